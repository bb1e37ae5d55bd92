//! Workspaces: the device sign-in of RFC 8628 and what their tokens are bound to.

use broker::{
    AsUser, Decision, DeviceAsk, DeviceBegun, NewWorkspace, RefusedKind, Role, UnboundSsh,
};
use secrecy::ExposeSecret;

use crate::site::{Site, refused};

const MACHINE: &str = "machine-one-0123456789";
const OTHER: &str = "machine-two-0123456789";
const DAY: i64 = 24 * 3600;

fn ask() -> DeviceAsk {
    DeviceAsk {
        name: "dev box".into(),
        machine: MACHINE.into(),
        ssh_version: None,
        address: "192.0.2.9".into(),
    }
}

async fn begun() -> (Site, AsUser, DeviceBegun) {
    let (site, root) = Site::managed().await;
    let ann = site.user(&root, "ann", Role::Member).await;
    let device = site.broker.begin_device(ask()).await.unwrap();
    (site, ann, device)
}

async fn signed_in() -> (Site, AsUser, NewWorkspace) {
    let (site, ann, device) = begun().await;
    ann.decide_device(&device.user_code, Decision::Approve)
        .await
        .unwrap();
    let workspace = site
        .broker
        .poll_device(&device.device_code, MACHINE)
        .await
        .unwrap();
    (site, ann, workspace)
}

#[tokio::test]
async fn a_device_waits_until_a_person_approves_and_gets_its_token_once() {
    let (site, ann, device) = begun().await;
    let poll = || site.broker.poll_device(&device.device_code, MACHINE);
    refused(poll().await, RefusedKind::AuthorizationPending);
    let shown = ann
        .pending_device(&device.user_code.to_lowercase())
        .await
        .unwrap();
    assert_eq!(
        (shown.name.as_str(), shown.address.as_str()),
        ("dev box", "192.0.2.9")
    );
    ann.decide_device(&device.user_code, Decision::Approve)
        .await
        .unwrap();

    let workspace = poll().await.unwrap();
    assert!(workspace.token.expose_secret().starts_with("fpw_"));
    assert_eq!(workspace.workspace.name, "dev box");
    refused(poll().await, RefusedKind::ExpiredToken);
    let known = site
        .broker
        .workspace(&workspace.token, Some(MACHINE))
        .await
        .unwrap();
    assert_eq!(known.workspace().id, workspace.workspace.id);
    assert_eq!(ann.workspaces().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_device_that_polls_too_fast_is_told_to_slow_down() {
    let (site, _ann, device) = begun().await;
    let poll = || site.broker.poll_device(&device.device_code, MACHINE);
    refused(poll().await, RefusedKind::AuthorizationPending);
    site.store.advance(4).await.unwrap();
    refused(poll().await, RefusedKind::SlowDown);
    site.store.advance(5).await.unwrap();
    refused(poll().await, RefusedKind::AuthorizationPending);
}

#[tokio::test]
async fn a_denied_device_is_told_so() {
    let (site, ann, device) = begun().await;
    ann.decide_device(&device.user_code, Decision::Deny)
        .await
        .unwrap();
    let poll = site.broker.poll_device(&device.device_code, MACHINE).await;
    refused(poll, RefusedKind::AccessDenied);
    let late = ann
        .decide_device(&device.user_code, Decision::Approve)
        .await;
    refused(late, RefusedKind::NotFound);
}

#[tokio::test]
async fn a_device_code_dies_after_fifteen_minutes() {
    let (site, ann, device) = begun().await;
    ann.decide_device(&device.user_code, Decision::Approve)
        .await
        .unwrap();
    site.store.advance(device.expires_in_s).await.unwrap();
    let poll = site.broker.poll_device(&device.device_code, MACHINE).await;
    refused(poll, RefusedKind::ExpiredToken);
    let unknown = site
        .broker
        .poll_device(&"fpd_unknown".into(), MACHINE)
        .await;
    refused(unknown, RefusedKind::ExpiredToken);
}

#[tokio::test]
async fn an_expired_user_code_cannot_be_approved() {
    let (site, ann, device) = begun().await;
    site.store.advance(device.expires_in_s).await.unwrap();
    refused(
        ann.pending_device(&device.user_code).await,
        RefusedKind::NotFound,
    );
    let late = ann
        .decide_device(&device.user_code, Decision::Approve)
        .await;
    refused(late, RefusedKind::NotFound);
}

#[tokio::test]
async fn a_device_code_is_of_no_use_to_another_machine() {
    let (site, ann, device) = begun().await;
    ann.decide_device(&device.user_code, Decision::Approve)
        .await
        .unwrap();
    let stolen = site.broker.poll_device(&device.device_code, OTHER).await;
    refused(stolen, RefusedKind::OtherMachine);
    assert!(
        site.broker
            .poll_device(&device.device_code, MACHINE)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn guessing_user_codes_ends_soon() {
    let (site, ann, device) = begun().await;
    for _ in 0..20 {
        refused(ann.pending_device("BBBB-BBBB").await, RefusedKind::NotFound);
    }
    refused(
        ann.pending_device(&device.user_code).await,
        RefusedKind::Unauthenticated,
    );
    site.store.advance(15 * 60).await.unwrap();
    let fresh = site.broker.begin_device(ask()).await.unwrap();
    assert!(ann.pending_device(&fresh.user_code).await.is_ok());
}

#[tokio::test]
async fn a_token_from_a_second_machine_is_refused_shown_and_recorded() {
    let (site, ann, workspace) = signed_in().await;
    let stolen = site.broker.workspace(&workspace.token, Some(OTHER)).await;
    refused(stolen, RefusedKind::OtherMachine);
    refused(
        site.broker.workspace(&workspace.token, None).await,
        RefusedKind::OtherMachine,
    );
    assert!(
        ann.workspaces().await.unwrap()[0]
            .other_machine_at
            .is_some()
    );
    let events = site
        .events(&site.broker.user_by_name("root").await.unwrap())
        .await;
    let noted = events
        .iter()
        .filter(|event| event.starts_with("workspace.refuse"))
        .count();
    assert_eq!(noted, 1, "once a minute is enough: {events:#?}");
    assert!(
        site.broker
            .workspace(&workspace.token, Some(MACHINE))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn an_issued_token_is_bound_to_no_machine() {
    let (site, root) = Site::managed().await;
    let ann = site.user(&root, "ann", Role::Member).await;
    let ci = ann
        .add_workspace("ci", Some(3600), UnboundSsh::Allowed)
        .await
        .unwrap();
    assert!(ci.workspace.unbound_allowed);
    for machine in [None, Some(MACHINE), Some(OTHER)] {
        assert!(site.broker.workspace(&ci.token, machine).await.is_ok());
    }
    site.store.advance(3600).await.unwrap();
    refused(
        site.broker.workspace(&ci.token, None).await,
        RefusedKind::Unauthenticated,
    );
}

#[tokio::test]
async fn an_issued_token_lives_no_longer_than_the_site_allows() {
    let (site, root) = Site::managed().await;
    let ann = site.user(&root, "ann", Role::Member).await;
    let limit = site.broker.config().workspace_ttl_s;
    for ttl_s in [limit + 1, 0, -5] {
        let asked = ann
            .add_workspace("ci", Some(ttl_s), UnboundSsh::Denied)
            .await;
        refused(asked, RefusedKind::Invalid);
    }
    let ci = ann
        .add_workspace("ci", None, UnboundSsh::Denied)
        .await
        .unwrap();
    assert_eq!(ci.workspace.expires_at - ci.workspace.created_at, limit);
}

#[tokio::test]
async fn a_workspace_ends_after_30_days_unused() {
    let (site, _ann, workspace) = signed_in().await;
    for _ in 0..2 {
        site.store.advance(29 * DAY).await.unwrap();
        assert!(
            site.broker
                .workspace(&workspace.token, Some(MACHINE))
                .await
                .is_ok()
        );
    }
    site.store.advance(30 * DAY).await.unwrap();
    let idle = site.broker.workspace(&workspace.token, Some(MACHINE)).await;
    refused(idle, RefusedKind::Unauthenticated);
}

#[tokio::test]
async fn a_workspace_in_use_ends_at_the_absolute_limit() {
    let (site, _ann, workspace) = signed_in().await;
    let left = workspace.workspace.expires_at - workspace.workspace.created_at;
    let mut passed = 0;
    while passed + 20 * DAY < left {
        site.store.advance(20 * DAY).await.unwrap();
        passed += 20 * DAY;
        assert!(
            site.broker
                .workspace(&workspace.token, Some(MACHINE))
                .await
                .is_ok()
        );
    }
    site.store.advance(left - passed).await.unwrap();
    let ended = site.broker.workspace(&workspace.token, Some(MACHINE)).await;
    refused(ended, RefusedKind::Unauthenticated);
}

#[tokio::test]
async fn a_revoked_workspace_is_refused_and_only_its_user_revokes_it() {
    let (site, ann, workspace) = signed_in().await;
    let root = site.broker.user_by_name("root").await.unwrap();
    refused(
        root.revoke_workspace(&workspace.workspace.id).await,
        RefusedKind::NotFound,
    );
    ann.revoke_workspace(&workspace.workspace.id).await.unwrap();
    let revoked = site.broker.workspace(&workspace.token, Some(MACHINE)).await;
    refused(revoked, RefusedKind::Unauthenticated);
    assert!(ann.workspaces().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_workspace_can_end_itself() {
    let (site, _ann, workspace) = signed_in().await;
    let itself = site
        .broker
        .workspace(&workspace.token, Some(MACHINE))
        .await
        .unwrap();
    itself.leave().await.unwrap();
    let left = site.broker.workspace(&workspace.token, Some(MACHINE)).await;
    refused(left, RefusedKind::Unauthenticated);
}

#[tokio::test]
async fn an_old_ssh_is_offered_unbound_sessions_and_gets_them_only_if_allowed() {
    let (site, root) = Site::managed().await;
    let ann = site.user(&root, "ann", Role::Member).await;
    for (decision, allowed) in [(Decision::Approve, false), (Decision::ApproveUnbound, true)] {
        let old = DeviceAsk {
            ssh_version: Some("OpenSSH_8.4p1 Debian-5".into()),
            ..ask()
        };
        let device = site.broker.begin_device(old).await.unwrap();
        assert!(ann.pending_device(&device.user_code).await.unwrap().old_ssh);
        ann.decide_device(&device.user_code, decision)
            .await
            .unwrap();
        let made = site
            .broker
            .poll_device(&device.device_code, MACHINE)
            .await
            .unwrap();
        assert_eq!(made.workspace.unbound_allowed, allowed);
    }
}

#[tokio::test]
async fn names_and_machine_ids_are_checked() {
    let (site, _root) = Site::managed().await;
    let long = "x".repeat(200);
    for (name, machine) in [
        ("", MACHINE),
        ("two\nlines", MACHINE),
        (long.as_str(), MACHINE),
        ("dev", "short"),
        ("dev", long.as_str()),
    ] {
        let asked = DeviceAsk {
            name: name.into(),
            machine: machine.into(),
            ..ask()
        };
        refused(site.broker.begin_device(asked).await, RefusedKind::Invalid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_polls_at_once_one_receives_the_token() {
    let (site, ann, device) = begun().await;
    ann.decide_device(&device.user_code, Decision::Approve)
        .await
        .unwrap();
    let replica = site.replica().await;
    let mut polls = tokio::task::JoinSet::new();
    for number in 0..8 {
        let broker = if number % 2 == 0 {
            site.broker.clone()
        } else {
            replica.clone()
        };
        let code = device.device_code.clone();
        polls.spawn(async move { broker.poll_device(&code, MACHINE).await.is_ok() });
    }
    let received = polls
        .join_all()
        .await
        .into_iter()
        .filter(|received| *received)
        .count();
    assert_eq!(received, 1);
    assert_eq!(ann.workspaces().await.unwrap().len(), 1);
}
