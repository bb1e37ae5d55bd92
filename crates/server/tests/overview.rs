//! The site in numbers, on its page.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use axum::http::StatusCode;
use broker::Role;
use common::{
    MACHINE, Script, Site,
    stage::{GITLAB, Stage},
};
use serde_json::json;
use testforge::{Endpoint, Fault};

const OVERVIEW: &str = "/manage/overview";

#[tokio::test]
async fn counts_what_was_given_refused_and_renewed() {
    let stage = Stage::new(GITLAB).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let id = stage.register(&mut ann, "gitlab").await;
    let url = stage.begin(&mut ann, &id).await;
    stage.approve(&mut ann, &url).await;
    let script = stage.site.script("ann").await;
    let made = script
        .post("/api/v1/workspaces", &json!({"name": "box"}))
        .await;
    let workspace = Script {
        site: &stage.site,
        token: Some(made.json::<::api::WorkspaceToken>().token),
        machine: Some(MACHINE),
    };
    let host = stage.forge.url().trim_start_matches("https://");
    let host = host.trim_end_matches('/');
    let ask = json!({"protocol": "https", "host": host, "path": "ann/app.git"});
    let given = workspace.post("/api/v1/credential", &ask).await;
    assert_eq!(given.status, StatusCode::OK, "{}", given.text);
    stage.site.store.advance(7300).await.unwrap();
    stage.forge.advance(7300);
    let over = Fault::OAuthError {
        error: "invalid_grant".to_owned(),
    };
    stage.forge.fail_next(Endpoint::Token, over);
    let refused = workspace.post("/api/v1/credential", &ask).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    stage.site.broker.flush().await;

    let page = ann.get(OVERVIEW).await;
    let shown = |words: &str| assert!(page.text.contains(words), "{words}: {}", page.text);
    shown("Credentials in the last 24 hours: 1 given, 1 refused.");
    shown("Tokens renewed in the last 24 hours: 0 renewed, 1 failed.");
    shown("aria-label=\"0 linked, 0 unfinished, 1 dead\"");
    shown("None in the last 24 hours.");
    shown("<td class=\"number\">1</td><td class=\"number\">0</td>");
    assert!(!page.text.contains("style="), "the policy forbids it");
}

#[tokio::test]
async fn a_key_that_is_not_where_it_should_be_is_counted() {
    let stage = Stage::new(GITLAB).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let id = stage.register(&mut ann, "gitlab").await;
    let none = ann.get(OVERVIEW).await.text;
    assert!(none.contains("Every key is where it should be."));
    stage.forge.fail_next(Endpoint::AddKey, Fault::ServerError);
    let url = stage.begin(&mut ann, &id).await;
    stage.approve(&mut ann, &url).await;
    let some = ann.get(OVERVIEW).await.text;
    assert!(
        some.contains("Not known</span><strong>1</strong>"),
        "{some}"
    );
}

#[tokio::test]
async fn a_fresh_site_is_told_what_to_do_first() {
    let site = Site::new().await;
    let mut ann = site.signed_in("ann", Role::SiteManager).await;
    let page = ann.get(OVERVIEW).await.text;
    assert!(page.contains("Add the first provider"));
    assert!(!page.contains("<svg"), "nothing to draw yet");
}
