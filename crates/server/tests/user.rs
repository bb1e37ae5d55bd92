//! What a site manager sees and does on one user's page.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use axum::http::StatusCode;
use broker::{Role, UserId};
use common::{
    Script, Site,
    stage::{GITLAB, Stage},
};
use serde_json::json;

async fn id_of(site: &Site, name: &str) -> UserId {
    site.broker.user_by_name(name).await.unwrap().user().id
}

#[tokio::test]
async fn shows_links_keys_workspaces_and_what_happened() {
    let stage = Stage::new(GITLAB).await;
    let mut manager = stage.site.signed_in("root", Role::SiteManager).await;
    let provider = stage.register(&mut manager, "gitlab").await;
    let mut ann = stage.site.signed_in("ann", Role::Member).await;
    let url = stage.begin(&mut ann, &provider).await;
    stage.approve(&mut ann, &url).await;
    let script = stage.site.script("ann").await;
    for name in ["box", "old box"] {
        script
            .post("/api/v1/workspaces", &json!({"name": name}))
            .await;
    }
    let id = id_of(&stage.site, "ann").await;
    let workspaces = script.get("/api/v1/workspaces").await;
    let workspaces = workspaces.json::<Vec<::api::Workspace>>();
    let old = workspaces.iter().find(|it| it.name == "old box").unwrap();
    let revoke = format!("/preferences/workspaces/{}/revoke", old.id);
    ann.post(&revoke, &[]).await;

    let list = manager.get("/manage/users").await.text;
    assert!(list.contains(&format!("href=\"/manage/users/{id}\"")));
    let page = manager.get(&format!("/manage/users/{id}")).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let key = script.get("/api/v1/keys").await;
    let key = key.json::<Vec<::api::Key>>().remove(0);
    for shown in [
        "write_repository",
        "At the provider",
        &key.fingerprint,
        "old box",
        "Revoked",
        "link.grant",
        "href=\"/manage/audit?user=ann\"",
    ] {
        assert!(page.text.contains(shown), "{shown}: {}", page.text);
    }
    assert!(
        !page.text.contains("root signed in"),
        "nobody else's events are shown"
    );
}

#[tokio::test]
async fn a_suspension_asks_to_be_sure_and_says_how_to_end_it() {
    let site = Site::new().await;
    let mut manager = site.signed_in("root", Role::SiteManager).await;
    let mut ann = site.signed_in("ann", Role::Member).await;
    let id = id_of(&site, "ann").await;
    let (page, form) = (
        format!("/manage/users/{id}"),
        format!("/manage/users/{id}/suspended"),
    );
    let unsure = manager.post(&form, &[("suspended", "yes")]).await;
    assert_eq!(unsure.status, StatusCode::BAD_REQUEST);
    assert_eq!(ann.get("/").await.status, StatusCode::OK, "nothing is done");

    let script = site.script("ann").await;
    let made = script
        .post("/api/v1/workspaces", &json!({"name": "box"}))
        .await;
    let workspace = Script {
        token: Some(made.json::<::api::WorkspaceToken>().token),
        ..site.stranger()
    };
    assert_eq!(
        workspace.get("/api/v1/workspace").await.status,
        StatusCode::OK
    );
    let sure = [("suspended", "yes"), ("sure", "yes")];
    assert_eq!(manager.post(&form, &sure).await.location(), page);
    assert!(ann.get("/").await.location().starts_with("/login"));
    for refused in [
        script.get("/api/v1/me").await,
        workspace.get("/api/v1/workspace").await,
        workspace.post("/api/v1/sign", &json!({})).await,
    ] {
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{}", refused.text);
    }

    let shown = manager.get(&page).await.text;
    assert!(shown.contains("Suspended since") && shown.contains("Restore ann"));
    manager.post(&form, &[("suspended", "no")]).await;
    assert!(manager.get(&page).await.text.contains("Yes, suspend ann"));
    assert_eq!(script.get("/api/v1/me").await.status, StatusCode::OK);
}

#[tokio::test]
async fn nobody_is_offered_their_own_suspension() {
    let site = Site::new().await;
    let mut root = site.signed_in("root", Role::SiteManager).await;
    site.signed_in("ann", Role::SiteManager).await;
    let id = id_of(&site, "root").await;
    let page = root.get(&format!("/manage/users/{id}")).await.text;
    assert!(page.contains("You cannot suspend yourself."));
    assert!(!page.contains("Yes, suspend"));
    let sure = [("suspended", "yes"), ("sure", "yes")];
    let form = format!("/manage/users/{id}/suspended");
    assert_eq!(root.post(&form, &sure).await.status, StatusCode::CONFLICT);
    assert_eq!(root.get("/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn says_why_git_does_not_work_and_what_to_do() {
    let stage = Stage::new(GITLAB).await;
    let mut manager = stage.site.signed_in("root", Role::SiteManager).await;
    let provider = stage.register(&mut manager, "gitlab").await;
    let mut ann = stage.site.signed_in("ann", Role::Member).await;
    let path = format!("/manage/users/{}", id_of(&stage.site, "ann").await);

    let before = manager.get(&path).await.text;
    assert!(before.contains("No account is linked at Forge."));
    assert!(before.contains("Ask ann to link one under Preferences &#62; Linked accounts."));
    let url = stage.begin(&mut ann, &provider).await;
    stage.approve(&mut ann, &url).await;
    let linked = manager.get(&path).await.text;
    assert!(
        linked.contains("The account ann is linked, and Forge has the key."),
        "{linked}"
    );

    stage.site.store.advance(3600).await.unwrap();
    let script = stage.site.script("ann").await;
    let key = script.get("/api/v1/keys").await;
    let key = key.json::<Vec<::api::Key>>().remove(0);
    drop(stage.forge);
    let regenerate = format!("/preferences/ssh-keys/{}/regenerate", key.id);
    ann.post(&regenerate, &[]).await;
    let away = manager.get(&path).await.text;
    assert!(away.contains("Forge could not be reached:"), "{away}");
    assert!(away.contains("Check the network between this server and the provider"));
}
