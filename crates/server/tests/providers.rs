//! What the site manager is told about providers, and how a provider is changed, by the pages alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use axum::http::StatusCode;
use broker::Role;
use common::stage::{GITLAB, Stage, add, provider_id};
use testforge::{Endpoint, Fault, Shape};

#[tokio::test]
async fn a_provider_that_refuses_the_chosen_algorithm_is_named_with_what_it_gets() {
    let stage = Stage::new(Shape::Azure).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let path = "/manage/admin/security/ssh";
    let warning = "Not every provider accepts Ed25519.";
    assert!(!ann.get(path).await.text.contains(warning), "none is there");
    add(&mut ann, "azure-repos", &stage.fields(None)).await;
    let page = ann.get(path).await.text;
    assert!(page.contains(warning), "{page}");
    assert!(page.contains(">Forge</a> does not: new keys there are RSA 3072 instead."));
    assert!(page.contains("Not accepted by Forge: its keys are RSA 3072."));
    ann.get("/preferences/ssh-keys").await;
    let counts = ann.get(path).await.text;
    assert!(counts.contains("<td>RSA 3072</td><td class=\"number\">1</td>"));

    let id = provider_id(&mut ann).await;
    let mut fields = stage.fields(None);
    fields.extend(
        [
            ("kind", "azure-repos"),
            ("disabled", "yes"),
            ("confirm", "yes"),
        ]
        .map(|(name, value)| (name, value.to_owned())),
    );
    let form: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let saved = ann
        .post(&format!("/manage/admin/git-oauth/{id}"), &form)
        .await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    assert!(!ann.get(path).await.text.contains(warning), "it is off");
}

#[tokio::test]
async fn the_list_says_how_each_provider_stands() {
    let stage = Stage::new(GITLAB).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let id = stage.register(&mut ann, "gitlab").await;
    let list = "/manage/admin/git-oauth";
    let unused = ann.get(list).await.text;
    assert!(unused.contains("Not used yet") && unused.contains("no success yet"));

    let url = stage.begin(&mut ann, &id).await;
    stage.approve(&mut ann, &url).await;
    let working = ann.get(list).await.text;
    assert!(working.contains("Working") && working.contains("1 link · 1 key · last success"));
    assert!(!working.contains("Last error"));

    stage.site.store.advance(100).await.unwrap();
    stage.forge.fail_next(Endpoint::Keys, Fault::ServerError);
    let script = stage.site.script("ann").await;
    let key = script.get("/api/v1/keys").await;
    let key = key.json::<Vec<::api::Key>>().remove(0);
    let regenerate = format!("/preferences/ssh-keys/{}/regenerate", key.id);
    ann.post(&regenerate, &[]).await;
    for page in [list, &format!("{list}/{id}")] {
        let away = ann.get(page).await.text;
        assert!(away.contains("Not answering"), "{away}");
        assert!(
            away.contains(": It did not answer as it should: "),
            "{away}"
        );
    }
    assert!(
        ann.get("/manage/overview")
            .await
            .text
            .contains("<strong>1</strong><span class=\"muted small\">provider not working")
    );
}
