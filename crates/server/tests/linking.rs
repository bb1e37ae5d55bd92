//! The site manager registers a provider and a developer links an account, by the pages alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use axum::http::{StatusCode, header};
use broker::Role;
use common::{
    MACHINE, Script,
    stage::{GITLAB, LINKED_ACCOUNTS, Stage, add, onward, path_of, provider_id},
};
use serde_json::json;
use testforge::{AppSpec, Endpoint, Fault, Shape};

#[tokio::test]
async fn links_an_account_and_git_gets_a_credential() {
    let stage = Stage::new(GITLAB).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let id = stage.register(&mut ann, "gitlab").await;

    let origin = stage.forge.url().trim_end_matches('/');

    let url = stage.begin(&mut ann, &id).await;
    assert!(url.starts_with(origin), "{url}");
    let done = stage.approve(&mut ann, &url).await;
    assert_eq!(done.location(), LINKED_ACCOUNTS, "{}", done.text);
    let page = ann.get(LINKED_ACCOUNTS).await;
    assert!(page.text.contains("Linked ann at Forge."), "{}", page.text);
    assert!(
        page.text.contains("write_repository"),
        "granted scopes are shown"
    );
    assert!(
        ann.get("/preferences/ssh-keys")
            .await
            .text
            .contains("ssh-ed25519 ")
    );

    let script = stage.site.script("ann").await;
    let new = script
        .post("/api/v1/workspaces", &json!({"name": "box"}))
        .await;
    let token = new.json::<::api::WorkspaceToken>().token;
    let workspace = Script {
        site: &stage.site,
        token: Some(token),
        machine: Some(MACHINE),
    };
    let host = origin.trim_start_matches("https://");
    let ask = json!({"protocol": "https", "host": host, "path": "ann/app.git"});
    let given = workspace.post("/api/v1/credential", &ask).await;
    assert_eq!(given.status, StatusCode::OK, "{}", given.text);
    assert!(!given.json::<::api::Credential>().password.is_empty());

    let setup = workspace.get("/api/v1/workspace/setup").await;
    let tag = setup.header(header::ETAG).to_owned();
    assert_eq!(setup.json::<::api::Setup>().providers[0].links.len(), 1);
    let request = axum::http::Request::builder()
        .uri("/api/v1/workspace/setup")
        .header(
            header::AUTHORIZATION,
            format!("Bearer {}", workspace.token.as_ref().unwrap()),
        )
        .header("forgepass-machine", MACHINE)
        .header(header::IF_NONE_MATCH, tag)
        .body(axum::body::Body::empty())
        .unwrap();
    assert_eq!(
        stage.site.send(request).await.status,
        StatusCode::NOT_MODIFIED
    );
}

#[tokio::test]
async fn a_denied_consent_is_told_and_links_nothing() {
    let stage = Stage::new(Shape::GitHubEnterprise).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let id = stage.register(&mut ann, "github").await;
    let url = stage.begin(&mut ann, &id).await;
    let back = stage.forge.deny(&url, "ann").await.unwrap();
    let answer = ann.get(path_of(&back)).await;
    assert!(answer.status.is_client_error(), "{}", answer.status);
    assert!(answer.text.contains("Support id"));
    assert!(ann.get(LINKED_ACCOUNTS).await.text.contains("Not linked."));
}

#[tokio::test]
async fn an_abandoned_second_consent_can_be_finished() {
    let stage = Stage::new(GITLAB).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let id = stage.register(&mut ann, "gitlab").await;
    let url = stage.begin(&mut ann, &id).await;
    let back = stage.forge.approve(&url, "ann").await.unwrap();
    let second = ann.get(path_of(&back)).await;
    assert!(onward(&second).is_some(), "the consent for Git");

    let page = ann.get(LINKED_ACCOUNTS).await.text;
    assert!(page.contains(">Finish<"), "{page}");
    let link = stage.site.script("ann").await.get("/api/v1/links").await;
    let link = link.json::<Vec<::api::Link>>().remove(0);
    assert_eq!(link.state, "unfinished");
    let finish = ann.post(&format!("/links/{}/finish", link.id), &[]).await;
    let done = stage.approve(&mut ann, &onward(&finish).unwrap()).await;
    assert_eq!(done.location(), LINKED_ACCOUNTS, "{}", done.text);
    assert!(!ann.get(LINKED_ACCOUNTS).await.text.contains(">Finish<"));
}

#[tokio::test]
async fn refuses_a_callback_in_another_session_and_one_seen_twice() {
    let stage = Stage::new(GITLAB).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let mut eve = stage.site.signed_in("eve", Role::Member).await;
    let id = stage.register(&mut ann, "gitlab").await;
    let url = stage.begin(&mut ann, &id).await;
    let back = stage.forge.approve(&url, "ann").await.unwrap();
    assert!(eve.get(path_of(&back)).await.status.is_client_error());
    let url = stage.begin(&mut ann, &id).await;
    let back = stage.forge.approve(&url, "ann").await.unwrap();
    assert_eq!(ann.get(path_of(&back)).await.status, StatusCode::OK);
    assert!(ann.get(path_of(&back)).await.status.is_client_error());
    assert!(
        ann.get("/oauth/callback?state=nonsense&code=x")
            .await
            .status
            .is_client_error()
    );
    assert!(ann.get("/oauth/callback").await.status.is_client_error());
}

#[tokio::test]
async fn two_links_begun_in_two_tabs_both_finish() {
    let stage = Stage::new(GITLAB).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let id = stage.register(&mut ann, "gitlab").await;
    let first = stage.begin(&mut ann, &id).await;
    let second = stage.begin(&mut ann, &id).await;
    for url in [second, first] {
        let done = stage.approve(&mut ann, &url).await;
        assert_eq!(done.location(), LINKED_ACCOUNTS, "{}", done.text);
    }
}

#[tokio::test]
async fn a_provider_that_answers_nonsense_is_told_on_a_page() {
    let stage = Stage::new(GITLAB).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let id = stage.register(&mut ann, "gitlab").await;
    for fault in [Fault::ServerError, Fault::Html, Fault::Empty] {
        let url = stage.begin(&mut ann, &id).await;
        let back = stage.forge.approve(&url, "ann").await.unwrap();
        stage.forge.fail_next(Endpoint::Token, fault.clone());
        let answer = ann.get(path_of(&back)).await;
        assert!(
            !answer.status.is_success() && !answer.status.is_redirection(),
            "{fault:?}"
        );
        assert!(
            answer.text.contains("Support id"),
            "{fault:?}: {}",
            answer.text
        );
        stage.forge.clear_faults();
    }
}

#[tokio::test]
async fn unlinks_after_saying_what_it_does() {
    let stage = Stage::new(GITLAB).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let id = stage.register(&mut ann, "gitlab").await;
    let url = stage.begin(&mut ann, &id).await;
    stage.approve(&mut ann, &url).await;
    let link = stage.site.script("ann").await.get("/api/v1/links").await;
    let link = link.json::<Vec<::api::Link>>().remove(0);
    let path = format!("/links/{}/unlink", link.id);
    assert!(ann.get(&path).await.text.contains("Unlink ann at Forge?"));
    let refused = ann
        .post(&format!("/manage/admin/git-oauth/{id}/delete"), &[])
        .await;
    assert_eq!(
        refused.status,
        StatusCode::CONFLICT,
        "a provider with links stays"
    );
    assert!(refused.text.contains("1 link"));
    assert_eq!(ann.post(&path, &[]).await.location(), LINKED_ACCOUNTS);
    assert!(ann.get(LINKED_ACCOUNTS).await.text.contains("Not linked."));
    let mut eve = stage.site.signed_in("eve", Role::Member).await;
    assert_eq!(eve.post(&path, &[]).await.status, StatusCode::NOT_FOUND);
    let deleted = ann
        .post(&format!("/manage/admin/git-oauth/{id}/delete"), &[])
        .await;
    assert_eq!(deleted.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_public_key_of_an_application_link_stays_when_the_page_is_loaded_again() {
    let stage = Stage::new(Shape::BitbucketServerOAuth1).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let kind = [("kind", "bitbucket-server-oauth1")];
    let path = ann
        .post("/manage/admin/git-oauth/add", &kind)
        .await
        .location()
        .to_owned();
    let first = ann.get(&path).await.text;
    let pem = |page: &str| {
        let start = page.find("-----BEGIN PUBLIC KEY-----").unwrap();
        let end = page.find("-----END PUBLIC KEY-----").unwrap() + 24;
        page[start..end].to_owned()
    };
    assert_eq!(pem(&first), pem(&ann.get(&path).await.text));
    assert!(
        first.contains("http://localhost:7080"),
        "our address stands in the guide"
    );

    stage
        .forge
        .register_consumer("forgepass", "Forgepass", &pem(&first))
        .unwrap();
    let fields = stage.fields(Some(("forgepass".to_owned(), String::new())));
    let wrong = fields.iter().map(|(name, value)| match *name {
        "name" => ("name", ""),
        name => (name, value.as_str()),
    });
    let again = ann.post(&path, &wrong.collect::<Vec<_>>()).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        pem(&again.text),
        pem(&first),
        "a mistake in the form loses nothing"
    );
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    assert_eq!(ann.post(&path, &fields).await.status, StatusCode::SEE_OTHER);

    let id = provider_id(&mut ann).await;
    let url = stage.begin(&mut ann, &id).await;
    let done = stage.approve(&mut ann, &url).await;
    assert_eq!(done.location(), LINKED_ACCOUNTS, "{}", done.text);
}

#[tokio::test]
async fn a_key_to_paste_by_hand_is_made_at_the_first_view() {
    let stage = Stage::new(Shape::Azure).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let saved = add(&mut ann, "azure-repos", &stage.fields(None)).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let page = ann.get("/preferences/ssh-keys").await.text;
    assert!(
        page.contains("ssh-rsa ") && page.contains("Paste by hand"),
        "{page}"
    );
    assert!(page.contains("How to paste it at Forge"));
    let script = stage.site.script("ann").await;
    let keys = script.get("/api/v1/keys").await.json::<Vec<::api::Key>>();
    assert_eq!(keys.len(), 1);
    let path = format!("/preferences/ssh-keys/{}/regenerate", keys[0].id);
    assert!(ann.get(&path).await.text.contains(&keys[0].fingerprint));
    ann.post(&path, &[]).await;
    let both = script.get("/api/v1/keys").await.json::<Vec<::api::Key>>();
    assert_eq!(both.len(), 2, "both stay until the new one has been used");
}

#[tokio::test]
async fn a_change_that_touches_links_is_asked_about_first() {
    let stage = Stage::new(GITLAB).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let id = stage.register(&mut ann, "gitlab").await;
    let url = stage.begin(&mut ann, &id).await;
    stage.approve(&mut ann, &url).await;
    let path = format!("/manage/admin/git-oauth/{id}");
    let mut fields = stage.fields(Some(("another-id".to_owned(), "another-secret".to_owned())));
    fields.push(("kind", "gitlab".to_owned()));
    let form: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let asked = ann.post(&path, &form).await;
    assert_eq!(asked.status, StatusCode::CONFLICT);
    assert!(asked.text.contains("Before this is saved"));
    assert!(
        !asked.text.contains("another-secret"),
        "a secret is never shown"
    );
    assert!(
        !ann.get(&path).await.text.contains("another-id"),
        "nothing was saved yet"
    );
    let mut confirmed = form.clone();
    confirmed.push(("confirm", "yes"));
    assert_eq!(
        ann.post(&path, &confirmed).await.status,
        StatusCode::SEE_OTHER
    );
    assert!(ann.get(&path).await.text.contains("another-id"));
}

#[tokio::test]
async fn a_test_of_the_connection_shows_host_keys_to_compare() {
    let stage = Stage::new(GITLAB).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let app = AppSpec::new("http://localhost:7080/oauth/callback");
    let client = stage.forge.register_app(app).unwrap();
    let mut fields = stage.fields(Some(client));
    fields[0].1 = "test".to_owned();
    let page = add(&mut ann, "gitlab", &fields).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    assert!(
        page.text.contains("Test connection") && page.text.contains("SHA256:"),
        "{}",
        page.text
    );
    assert!(
        page.text.contains("value=\"Forge\""),
        "what was entered is kept"
    );
    assert!(
        ann.get("/manage/admin/git-oauth")
            .await
            .text
            .contains("No providers yet")
    );
}

#[tokio::test]
async fn an_application_link_can_be_moved_to_oauth_2() {
    let stage = Stage::new(Shape::BitbucketServer).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let fields = stage.fields(Some(("forgepass".to_owned(), String::new())));
    let saved = add(&mut ann, "bitbucket-server-oauth1", &fields).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let id = provider_id(&mut ann).await;
    let path = format!("/manage/admin/git-oauth/{id}");
    let moved = format!("{path}?kind=bitbucket-server");
    assert!(
        ann.get(&path)
            .await
            .text
            .contains(&format!("href=\"{moved}\""))
    );
    let form = ann.get(&moved).await.text;
    assert!(form.contains("id=\"client_secret\"") && form.contains("value=\"bitbucket-server\""));
    let app = AppSpec::new("http://localhost:7080/oauth/callback");
    let client = stage.forge.register_app(app).unwrap();
    let mut fields = stage.fields(Some(client));
    fields.push(("kind", "bitbucket-server".to_owned()));
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let done = ann.post(&path, &fields).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    let script = stage.site.script("ann").await;
    let provider = script
        .get(&format!("/api/v1/providers/{id}"))
        .await
        .json::<::api::Provider>();
    assert_eq!(provider.kind, "bitbucket-server");
}

#[tokio::test]
async fn rules_choose_between_two_accounts_of_one_provider() {
    let stage = Stage::new(GITLAB).await;
    stage.forge.add_account("ann-work");
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let id = stage.register(&mut ann, "gitlab").await;
    for login in ["ann", "ann-work"] {
        assert!(!ann.get(LINKED_ACCOUNTS).await.text.contains("id=\"rules\""));
        let url = stage.begin(&mut ann, &id).await;
        let done = stage.approve_as(login, &mut ann, &url).await;
        assert_eq!(done.location(), LINKED_ACCOUNTS, "{}", done.text);
    }
    let script = stage.site.script("ann").await;
    let links = script.get("/api/v1/links").await.json::<Vec<api::Link>>();
    let work = links.iter().find(|link| link.login == "ann-work").unwrap();
    let rules = format!("{LINKED_ACCOUNTS}/rules");
    let form = |pattern| [("pattern", pattern), ("link", work.id.as_str())];

    let wrong = ann.post(&rules, &form("elsewhere.example.com/work")).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST, "{}", wrong.text);
    assert!(
        wrong.text.contains("elsewhere.example.com/work\""),
        "what was typed is kept"
    );
    assert!(
        wrong.text.contains("Begin the pattern with localhost:"),
        "{}",
        wrong.text
    );

    let host = stage
        .forge
        .url()
        .trim_start_matches("https://")
        .trim_end_matches('/')
        .to_owned();
    let pattern = format!("{host}/work");
    let typed = format!("https://{host}/Work/");
    let added = ann.post(&rules, &form(&typed)).await;
    assert_eq!(added.status, StatusCode::SEE_OTHER, "{}", added.text);
    assert!(
        ann.get(LINKED_ACCOUNTS)
            .await
            .text
            .contains(&format!("<code>{pattern}</code>"))
    );
    let again = ann.post(&rules, &form(&pattern)).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "{}", again.text);
    let listed = script.get("/api/v1/rules").await.json::<Vec<api::Rule>>();
    assert_eq!((listed.len(), listed[0].login.as_str()), (1, "ann-work"));

    // Without a path the default answers, which is the oldest link until another is chosen.
    let first = |page: &str| page.find("<h3>ann-work</h3>") < page.find("<h3>ann</h3>");
    assert!(!first(&ann.get(LINKED_ACCOUNTS).await.text));
    ann.post(&rules, &form(&host)).await;
    assert!(first(&ann.get(LINKED_ACCOUNTS).await.text));

    let removed = ann
        .post(&format!("{rules}/{}/remove", listed[0].id), &[])
        .await;
    assert_eq!(removed.status, StatusCode::SEE_OTHER, "{}", removed.text);
    let left = script.get("/api/v1/rules").await.json::<Vec<api::Rule>>();
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn nobody_makes_or_removes_rules_with_anothers_links() {
    let stage = Stage::new(GITLAB).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let id = stage.register(&mut ann, "gitlab").await;
    let url = stage.begin(&mut ann, &id).await;
    stage.approve(&mut ann, &url).await;
    let script = stage.site.script("ann").await;
    let link = script
        .get("/api/v1/links")
        .await
        .json::<Vec<api::Link>>()
        .remove(0);
    let host = stage
        .forge
        .url()
        .trim_start_matches("https://")
        .trim_end_matches('/')
        .to_owned();
    let new = json!({"pattern": host, "link": link.id});
    let rule = script.post("/api/v1/rules", &new).await.json::<api::Rule>();

    stage.site.signed_in("bob", Role::Member).await;
    let bob = stage.site.script("bob").await;
    let made = bob.post("/api/v1/rules", &new).await;
    assert_eq!(made.status, StatusCode::NOT_FOUND, "{}", made.text);
    let path = format!("/api/v1/rules/{}", rule.id);
    let removed = bob.call(axum::http::Method::DELETE, &path, None).await;
    assert_eq!(removed.status, StatusCode::NOT_FOUND, "{}", removed.text);
    assert_eq!(
        script
            .get("/api/v1/rules")
            .await
            .json::<Vec<api::Rule>>()
            .len(),
        1
    );
}
