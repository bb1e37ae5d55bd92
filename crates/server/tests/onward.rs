//! The page between a form of ours and a provider.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use axum::http::{StatusCode, header};
use broker::Role;
use common::{
    Answer,
    stage::{GITLAB, Stage, onward, path_of},
};

/// Our own page, which goes on to the forge, and whose policy lets forms go nowhere else.
#[track_caller]
fn leads_on(answer: &Answer, forge: &str) {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.location(), "", "no redirect follows the form");
    let policy = answer.header(header::CONTENT_SECURITY_POLICY);
    assert!(policy.contains("form-action 'self';"), "{policy}");
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    let url = onward(answer).expect("it goes on by itself");
    assert!(url.starts_with(forge), "{url}");
    let link = format!("id=\"onward\" href=\"{}\"", url.replace('&', "&#38;"));
    assert!(answer.text.contains(&link), "the same by a click");
}

#[tokio::test]
async fn every_way_to_a_provider_passes_our_own_page() {
    let stage = Stage::new(GITLAB).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let id = stage.register(&mut ann, "gitlab").await;
    let forge = stage.forge.url().trim_end_matches('/').to_owned();
    let begun = ann.post(&format!("/link/{id}"), &[]).await;
    leads_on(&begun, &forge);
    assert!(begun.text.contains("Continue to localhost:"));

    let url = onward(&begun).unwrap();
    let back = stage.forge.approve(&url, "ann").await.unwrap();
    let second = ann.get(path_of(&back)).await;
    leads_on(&second, &forge);

    let link = stage.site.script("ann").await.get("/api/v1/links").await;
    let link = link.json::<Vec<::api::Link>>().remove(0);
    let finish = ann.post(&format!("/links/{}/finish", link.id), &[]).await;
    leads_on(&finish, &forge);
    let relink = [("link", link.id.as_str())];
    leads_on(
        &ann.post(&format!("/link/{id}/relink"), &relink).await,
        &forge,
    );
}

#[tokio::test]
async fn it_leads_nowhere_that_a_link_from_elsewhere_names() {
    let stage = Stage::new(GITLAB).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let id = stage.register(&mut ann, "gitlab").await;
    let evil = "https://evil.example.com/";
    let path = format!("/link/{id}?url={evil}&next={evil}");
    let opened = ann.get(&path).await;
    assert_eq!(opened.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(onward(&opened).is_none());
    let form = [("url", evil), ("next", evil)];
    let forged = ann.post_from_elsewhere(&path, &form).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let own = ann.post(&path, &form).await;
    assert!(!own.text.contains("evil.example.com"), "{}", own.text);

    let (first, again) = (onward(&own).unwrap(), ann.post(&path, &form).await);
    assert_ne!(first, onward(&again).unwrap(), "each attempt is its own");
}
