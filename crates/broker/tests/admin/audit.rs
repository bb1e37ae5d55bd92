//! Reading the audit log, and what the machine's owner may do without signing in.

use broker::{EventId, EventQuery, RefusedKind, Role};

use crate::site::{Site, gitlab, refused, visitor};

fn by_action(action: &str) -> EventQuery {
    EventQuery {
        action: Some(action.into()),
        ..EventQuery::default()
    }
}

#[tokio::test]
async fn events_are_found_by_the_names_of_users_and_providers() {
    let (site, root) = Site::managed().await;
    let ann = site.user(&root, "ann", Role::Auditor).await;
    let provider = root.add_provider(gitlab()).await.unwrap();
    let auditor = ann.auditor().unwrap();
    let find = async |query: EventQuery| -> Vec<String> {
        let found = auditor.find_events(&query, None, 100).await.unwrap();
        found.into_iter().map(|it| it.event.action).collect()
    };
    for name in ["ann", "ANN", ann.user().id.as_str()] {
        let query = EventQuery {
            user: Some(name.into()),
            ..EventQuery::default()
        };
        assert_eq!(
            find(query).await,
            ["session.begin", "user.password"],
            "{name}"
        );
    }
    for name in ["GitLab", provider.id.as_str()] {
        let query = EventQuery {
            provider: Some(name.into()),
            ..EventQuery::default()
        };
        assert_eq!(find(query).await, ["provider.add"], "{name}");
    }
    let nobody = EventQuery {
        user: Some("nobody".into()),
        ..EventQuery::default()
    };
    assert!(find(nobody).await.is_empty());
}

#[tokio::test]
async fn events_come_in_pages_newest_first() {
    let (site, root) = Site::managed().await;
    for name in ["ann", "bob", "carl"] {
        site.store.advance(1).await.unwrap();
        root.add_user(name, None, Role::Member).await.unwrap();
    }
    let manager = site.broker.user_by_name("root").await.unwrap();
    let auditor = manager.auditor().unwrap();
    let mut told = Vec::new();
    let mut before: Option<EventId> = None;
    loop {
        let page = auditor
            .find_events(&by_action("user."), before.as_ref(), 2)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.event.id.clone());
        told.extend(page.into_iter().map(|it| it.event.detail));
    }
    assert_eq!(
        told,
        [
            "carl added as member",
            "bob added as member",
            "ann added as member"
        ]
    );
}

#[tokio::test]
async fn a_line_end_in_a_name_does_not_forge_a_line_of_the_log() {
    let (site, _root) = Site::managed().await;
    let name = "eve\nsession.begin: root signed in";
    refused(
        site.sign_in(name, "wrong wrong wrong").await,
        RefusedKind::Unauthenticated,
    );
    let events = site
        .events(&site.broker.user_by_name("root").await.unwrap())
        .await;
    assert!(
        events.iter().all(|event| !event.contains('\n')),
        "{events:#?}"
    );
}

#[tokio::test]
async fn the_machines_owner_may_add_invite_and_promote() {
    let site = Site::fresh().await;
    let added = site
        .broker
        .add_user_as_owner("Ann", None, Role::Member)
        .await
        .unwrap();
    assert_eq!(added.user.name, "ann");
    let again = site.broker.reinvite_as_owner("ann").await.unwrap();
    let token = crate::site::token_of(&again.url);
    let session = site
        .broker
        .accept_invitation(&token, "correct horse battery".into(), &visitor())
        .await;
    let session = session.unwrap();
    let promoted = site
        .broker
        .set_role_as_owner("ann", Role::SiteManager)
        .await
        .unwrap();
    assert_eq!(promoted.role, Role::SiteManager);
    assert!(
        site.broker
            .session(&session.token)
            .await
            .unwrap()
            .site_manager()
            .is_ok()
    );
    let last = site.broker.set_role_as_owner("ann", Role::Member).await;
    refused(last, RefusedKind::Conflict);
    refused(
        site.broker.reinvite_as_owner("nobody").await.map(drop),
        RefusedKind::NotFound,
    );
    let names: Vec<String> = site
        .broker
        .users_as_owner(None)
        .await
        .unwrap()
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(names, ["ann"]);
}

#[tokio::test]
async fn a_check_tells_of_the_database_and_each_provider() {
    let (site, root) = Site::managed().await;
    let mut off = gitlab();
    (off.name, off.disabled) = ("Switched off".into(), true);
    root.add_provider(off).await.unwrap();
    let mut away = gitlab();
    // Nothing listens on the discard port of this machine.
    (away.name, away.url, away.internal) = ("Away".into(), "https://127.0.0.1:9".into(), true);
    away.ssh_addresses = Some(Vec::new());
    root.add_provider(away).await.unwrap();
    let checks = site.broker.check().await.unwrap();
    let told: Vec<(&str, bool)> = checks.iter().map(|it| (it.name.as_str(), it.ok)).collect();
    assert_eq!(
        told,
        [
            ("database", true),
            ("Away: address", false),
            ("Switched off", true)
        ]
    );
}
