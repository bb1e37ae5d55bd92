//! Users and roles.

use broker::{RefusedKind, Role, Suspended, UnboundSsh};

use crate::site::{PASSWORD, Site, refused, visitor};

#[tokio::test]
async fn only_a_site_manager_holds_the_authority_of_one() {
    let (site, root) = Site::managed().await;
    for (name, role, reads_audit) in [
        ("ann", Role::Member, false),
        ("bob", Role::Auditor, true),
        ("eve", Role::SiteManager, true),
    ] {
        let user = site.user(&root, name, role).await;
        assert_eq!(
            user.site_manager().is_ok(),
            role == Role::SiteManager,
            "{role}"
        );
        assert_eq!(user.auditor().is_ok(), reads_audit, "{role}");
    }
}

#[tokio::test]
async fn a_role_taken_away_is_gone_at_the_next_request() {
    let (site, root) = Site::managed().await;
    let session = site.session(&root, "ann", Role::SiteManager).await;
    let ann = site.broker.session(&session.token).await.unwrap();
    root.set_role(&ann.user().id, Role::Member).await.unwrap();
    let ann = site.broker.session(&session.token).await.unwrap();
    refused(ann.site_manager().map(drop), RefusedKind::Forbidden);
}

#[tokio::test]
async fn the_last_site_manager_stays() {
    let (site, root) = Site::managed().await;
    let id = site.broker.user_by_name("root").await.unwrap().user().id;
    refused(
        root.set_role(&id, Role::Member).await,
        RefusedKind::Conflict,
    );
    refused(
        root.set_suspended(&id, Suspended::Yes).await,
        RefusedKind::Conflict,
    );
    site.user(&root, "ann", Role::SiteManager).await;
    assert!(root.set_role(&id, Role::Member).await.is_ok());
}

#[tokio::test]
async fn a_site_manager_cannot_suspend_themselves_though_another_is_left() {
    let (site, root) = Site::managed().await;
    site.user(&root, "ann", Role::SiteManager).await;
    let own = site.broker.user_by_name("root").await.unwrap().user().id;
    let refusal = refused(
        root.set_suspended(&own, Suspended::Yes).await,
        RefusedKind::Conflict,
    );
    assert_eq!(refusal.detail, "you cannot suspend yourself");
}

#[tokio::test]
async fn a_suspended_user_is_refused_everywhere() {
    let (site, root) = Site::managed().await;
    let session = site.session(&root, "ann", Role::Member).await;
    let ann = site.broker.session(&session.token).await.unwrap();
    let api = ann.add_api_token("ci", 3600).await.unwrap().token;
    let workspace = ann
        .add_workspace("ci", None, UnboundSsh::Denied)
        .await
        .unwrap()
        .token;
    let id = ann.user().id;

    root.set_suspended(&id, Suspended::Yes).await.unwrap();
    refused(
        site.broker.session(&session.token).await,
        RefusedKind::Unauthenticated,
    );
    refused(
        site.broker.api_token(&api).await,
        RefusedKind::Unauthenticated,
    );
    refused(
        site.broker.workspace(&workspace, None).await,
        RefusedKind::Unauthenticated,
    );
    refused(
        site.sign_in("ann", PASSWORD).await,
        RefusedKind::Unauthenticated,
    );
    refused(site.broker.user_by_name("ann").await, RefusedKind::NotFound);
    refused(root.reinvite(&id).await, RefusedKind::Conflict);

    root.set_suspended(&id, Suspended::No).await.unwrap();
    assert!(site.sign_in("ann", PASSWORD).await.is_ok());
    let old = site.broker.session(&session.token).await;
    refused(old, RefusedKind::Unauthenticated);
}

#[tokio::test]
async fn a_suspended_user_cannot_use_an_older_invitation() {
    let (site, root) = Site::managed().await;
    let invited = root.add_user("ann", None, Role::Member).await.unwrap();
    root.set_suspended(&invited.user.id, Suspended::Yes)
        .await
        .unwrap();
    let token = crate::site::token_of(&invited.url);
    let accepted = site
        .broker
        .accept_invitation(&token, PASSWORD.into(), &visitor())
        .await;
    refused(accepted, RefusedKind::NotFound);
}

#[tokio::test]
async fn names_and_addresses_are_checked() {
    let (_site, root) = Site::managed().await;
    let long = "a".repeat(65);
    for name in ["", " ", "-ann", "ann smith", "änn", "ann/", long.as_str()] {
        refused(
            root.add_user(name, None, Role::Member).await,
            RefusedKind::Invalid,
        );
    }
    for email in [
        "ann",
        "@example.com",
        "ann@",
        "a nn@example.com",
        "ann@example.com>\nx",
    ] {
        refused(
            root.add_user("ann", Some(email), Role::Member).await,
            RefusedKind::Invalid,
        );
    }
    let ann = root
        .add_user(" Ann.B-c_1 ", Some(" ann@example.com "), Role::Member)
        .await
        .unwrap();
    assert_eq!(ann.user.name, "ann.b-c_1");
    assert_eq!(ann.user.email.as_deref(), Some("ann@example.com"));
}

#[tokio::test]
async fn a_name_is_given_once() {
    let (_site, root) = Site::managed().await;
    let taken = refused(
        root.add_user("ROOT", None, Role::Member).await,
        RefusedKind::Conflict,
    );
    assert!(taken.detail.contains("root"));
}

#[tokio::test]
async fn users_are_found_by_name_and_address() {
    let (_site, root) = Site::managed().await;
    root.add_user("ann", Some("ann@example.com"), Role::Member)
        .await
        .unwrap();
    root.add_user("bob", Some("bob@example.org"), Role::Auditor)
        .await
        .unwrap();
    let names = |found: Vec<broker::UserView>| -> Vec<String> {
        found.into_iter().map(|user| user.name).collect()
    };
    assert_eq!(
        names(root.users(None, None, 9).await.unwrap()),
        ["ann", "bob", "root"]
    );
    assert_eq!(
        names(root.users(Some("example.org"), None, 9).await.unwrap()),
        ["bob"]
    );
    assert_eq!(
        names(root.users(Some("  "), Some("ann"), 9).await.unwrap()),
        ["bob", "root"]
    );
}

#[tokio::test]
async fn every_change_of_a_user_stands_in_the_audit_log() {
    let (site, root) = Site::managed().await;
    let id = root
        .add_user("ann", None, Role::Member)
        .await
        .unwrap()
        .user
        .id;
    root.reinvite(&id).await.unwrap();
    root.set_role(&id, Role::Auditor).await.unwrap();
    root.set_suspended(&id, Suspended::Yes).await.unwrap();
    root.set_suspended(&id, Suspended::No).await.unwrap();
    let events = site
        .events(&site.broker.user_by_name("root").await.unwrap())
        .await;
    let about_ann: Vec<&str> = events
        .iter()
        .filter(|event| event.contains("ann"))
        .map(String::as_str)
        .collect();
    assert_eq!(
        about_ann,
        [
            "user.add: ann added as member",
            "user.invite: new one-time link for ann",
            "user.role: ann: member becomes auditor",
            "user.suspend: ann suspended",
            "user.restore: ann restored",
        ]
    );
}

#[tokio::test]
async fn new_keys_are_of_the_algorithm_that_the_site_manager_sets() {
    use secrets::Algorithm;
    let (site, root) = Site::managed().await;
    assert_eq!(root.ssh_algorithm().await.unwrap(), Algorithm::Ed25519);
    root.set_ssh_algorithm(Algorithm::Rsa4096).await.unwrap();
    assert_eq!(root.ssh_algorithm().await.unwrap(), Algorithm::Rsa4096);
    refused(
        root.set_ssh_algorithm(Algorithm::Rsa3072).await,
        RefusedKind::Invalid,
    );
    let events = site
        .events(&site.broker.user_by_name("root").await.unwrap())
        .await;
    assert!(events.contains(&"settings.ssh: new SSH keys are rsa-4096".to_owned()));
}
