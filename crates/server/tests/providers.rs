//! What the site manager is told about providers, and how a provider is changed, by the pages alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use axum::http::StatusCode;
use broker::Role;
use common::stage::{Stage, add, provider_id};
use testforge::Shape;

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
