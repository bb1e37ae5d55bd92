//! Signing in: set-up link, passwords, one-time links, sessions, API tokens.

use broker::{RefusedKind, Role, Visitor};
use secrecy::{ExposeSecret, SecretString};

use crate::site::{PASSWORD, Site, refused, token_of, visitor};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

async fn setup_token(site: &Site) -> SecretString {
    token_of(&site.broker.setup_link().await.unwrap().unwrap())
}

#[tokio::test]
async fn the_setup_link_makes_one_site_manager_and_dies() {
    let site = Site::fresh().await;
    let token = setup_token(&site).await;
    let session = site.set_up(&token, "root").await.unwrap();
    let root = site.broker.session(&session.token).await.unwrap();
    assert!(root.site_manager().is_ok());
    refused(site.set_up(&token, "other").await, RefusedKind::NotFound);
    assert!(
        site.broker.setup_link().await.unwrap().is_none(),
        "no more once there is a manager"
    );
}

#[tokio::test]
async fn the_setup_link_is_a_page_of_the_public_address() {
    let link = Site::fresh()
        .await
        .broker
        .setup_link()
        .await
        .unwrap()
        .unwrap();
    assert!(
        link.expose_secret()
            .starts_with("https://forgepass.example.com/setup?token=fps_")
    );
}

#[tokio::test]
async fn the_setup_link_dies_after_an_hour_and_by_a_newer_one() {
    let site = Site::fresh().await;
    let (older, newer) = (setup_token(&site).await, setup_token(&site).await);
    refused(site.set_up(&older, "root").await, RefusedKind::NotFound);
    site.store.advance(HOUR).await.unwrap();
    refused(site.set_up(&newer, "root").await, RefusedKind::NotFound);
}

#[tokio::test]
async fn a_mistake_at_setup_does_not_use_the_link_up() {
    let site = Site::fresh().await;
    site.broker
        .add_user_as_owner("ann", None, Role::Member)
        .await
        .unwrap();
    let token = setup_token(&site).await;
    let with = |name: &str, password: &str| broker::NewAccount {
        name: name.into(),
        email: None,
        password: password.into(),
    };
    for (account, kind) in [
        (with("root", "short"), RefusedKind::Invalid),
        (with("Not A Name", PASSWORD), RefusedKind::Invalid),
        (with("ann", PASSWORD), RefusedKind::Conflict),
    ] {
        refused(
            site.broker
                .complete_setup(&token, account, &visitor())
                .await,
            kind,
        );
    }
    assert!(site.set_up(&token, "root").await.is_ok());
}

#[tokio::test]
async fn an_invitation_is_no_setup_link_and_the_other_way_round() {
    let site = Site::fresh().await;
    let setup = setup_token(&site).await;
    let invited = site
        .broker
        .add_user_as_owner("ann", None, Role::Member)
        .await
        .unwrap();
    let invitation = token_of(&invited.url);
    refused(
        site.set_up(&invitation, "root").await,
        RefusedKind::NotFound,
    );
    let accepted = site
        .broker
        .accept_invitation(&setup, PASSWORD.into(), &visitor())
        .await;
    refused(accepted, RefusedKind::NotFound);
    assert!(site.set_up(&setup, "root").await.is_ok());
}

#[tokio::test]
async fn signs_in_by_name_in_any_case_and_password() {
    let (site, _) = Site::managed().await;
    let session = site.sign_in(" Root ", PASSWORD).await.unwrap();
    assert_eq!(
        site.broker
            .session(&session.token)
            .await
            .unwrap()
            .user()
            .name,
        "root"
    );
}

#[tokio::test]
async fn every_failed_sign_in_has_the_same_words() {
    let (site, root) = Site::managed().await;
    let suspended = site.user(&root, "bob", Role::Member).await.user();
    root.set_suspended(&suspended.id, broker::Suspended::Yes)
        .await
        .unwrap();
    root.add_user("carl", None, Role::Member).await.unwrap();
    let mut answers = Vec::new();
    for (name, password) in [
        ("root", "wrong wrong wrong"),
        ("nobody", PASSWORD),
        ("bob", PASSWORD),
        ("carl", ""),
    ] {
        answers.push(refused(
            site.sign_in(name, password).await,
            RefusedKind::Unauthenticated,
        ));
    }
    let words: Vec<_> = answers
        .iter()
        .map(|it| (&it.detail, &it.hint, it.retry_after_s))
        .collect();
    assert!(words.iter().all(|it| it == &words[0]), "{words:?}");
}

#[tokio::test]
async fn too_many_failures_of_one_name_from_one_address_must_wait() {
    let (site, _) = Site::managed().await;
    for _ in 0..10 {
        refused(
            site.sign_in("root", "wrong wrong wrong").await,
            RefusedKind::Unauthenticated,
        );
    }
    let waiting = refused(
        site.sign_in("root", PASSWORD).await,
        RefusedKind::Unauthenticated,
    );
    assert!(waiting.retry_after_s.is_some());

    let elsewhere = Visitor {
        address: "192.0.2.8".into(),
        agent: String::new(),
    };
    let other = site
        .broker
        .sign_in("root", &PASSWORD.into(), &elsewhere)
        .await;
    assert!(other.is_ok(), "another address does not wait");
    let replica = site.replica().await;
    let there = replica.sign_in("root", &PASSWORD.into(), &visitor()).await;
    assert!(
        there.unwrap_err().retry_after_s.is_some(),
        "a second server knows of it"
    );

    site.store.advance(15 * 60).await.unwrap();
    assert!(site.sign_in("root", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a_success_forgets_the_failures_before_it() {
    let (site, _) = Site::managed().await;
    for _ in 0..3 {
        for _ in 0..9 {
            refused(
                site.sign_in("root", "wrong wrong wrong").await,
                RefusedKind::Unauthenticated,
            );
        }
        assert!(site.sign_in("root", PASSWORD).await.is_ok());
    }
}

#[tokio::test]
async fn a_session_ends_after_a_week_unused_and_a_month_in_use() {
    let (site, _) = Site::managed().await;
    let unused = site.sign_in("root", PASSWORD).await.unwrap();
    let used = site.sign_in("root", PASSWORD).await.unwrap();
    for _ in 0..29 {
        site.store.advance(DAY).await.unwrap();
        assert!(site.broker.session(&used.token).await.is_ok());
    }
    refused(
        site.broker.session(&unused.token).await,
        RefusedKind::Unauthenticated,
    );
    site.store.advance(DAY).await.unwrap();
    refused(
        site.broker.session(&used.token).await,
        RefusedKind::Unauthenticated,
    );
}

#[tokio::test]
async fn a_session_ends_by_signing_out() {
    let (site, _) = Site::managed().await;
    let session = site.sign_in("root", PASSWORD).await.unwrap();
    site.broker
        .session(&session.token)
        .await
        .unwrap()
        .sign_out()
        .await
        .unwrap();
    refused(
        site.broker.session(&session.token).await,
        RefusedKind::Unauthenticated,
    );
}

#[tokio::test]
async fn a_user_sees_and_ends_their_own_sessions_alone() {
    let (site, root) = Site::managed().await;
    let ann = site.user(&root, "ann", Role::Member).await;
    let second = site.sign_in("ann", PASSWORD).await.unwrap();
    let bob = site.user(&root, "bob", Role::Member).await;

    let sessions = ann.sessions().await.unwrap();
    assert_eq!(sessions.len(), 2);
    let other = sessions.iter().find(|session| !session.current).unwrap();
    refused(bob.end_session(&other.id).await, RefusedKind::NotFound);
    ann.end_session(&other.id).await.unwrap();
    refused(
        site.broker.session(&second.token).await,
        RefusedKind::Unauthenticated,
    );
    assert_eq!(ann.sessions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_invitation_works_once_within_72_hours() {
    let (site, root) = Site::managed().await;
    let invited = root
        .add_user("ann", Some("ann@example.com"), Role::Member)
        .await
        .unwrap();
    assert!(!invited.user.active);
    let token = token_of(&invited.url);
    assert_eq!(
        site.broker.invitation(&token).await.unwrap().user.name,
        "ann"
    );
    let session = site
        .broker
        .accept_invitation(&token, PASSWORD.into(), &visitor())
        .await
        .unwrap();
    assert!(
        site.broker
            .session(&session.token)
            .await
            .unwrap()
            .user()
            .active
    );
    let again = site
        .broker
        .accept_invitation(&token, "another password".into(), &visitor())
        .await;
    refused(again, RefusedKind::NotFound);

    let late = token_of(&root.add_user("bob", None, Role::Member).await.unwrap().url);
    site.store.advance(72 * HOUR).await.unwrap();
    refused(
        site.broker.invitation(&late).await.map(drop),
        RefusedKind::NotFound,
    );
}

#[tokio::test]
async fn a_short_password_does_not_use_the_invitation_up() {
    let (site, root) = Site::managed().await;
    let token = token_of(&root.add_user("ann", None, Role::Member).await.unwrap().url);
    let short = site
        .broker
        .accept_invitation(&token, "short".into(), &visitor())
        .await;
    refused(short, RefusedKind::Invalid);
    assert!(
        site.broker
            .accept_invitation(&token, PASSWORD.into(), &visitor())
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_forgotten_password_link_replaces_earlier_ones_and_ends_sessions() {
    let (site, root) = Site::managed().await;
    let before = site.session(&root, "ann", Role::Member).await;
    let ann = site.broker.session(&before.token).await.unwrap().user().id;
    let earlier = token_of(&root.reinvite(&ann).await.unwrap().url);
    let later = token_of(&root.reinvite(&ann).await.unwrap().url);
    refused(
        site.broker.invitation(&earlier).await.map(drop),
        RefusedKind::NotFound,
    );
    assert!(
        site.broker.session(&before.token).await.is_ok(),
        "nothing changes until it is used"
    );

    let fresh = "another good password";
    site.broker
        .accept_invitation(&later, fresh.into(), &visitor())
        .await
        .unwrap();
    refused(
        site.broker.session(&before.token).await,
        RefusedKind::Unauthenticated,
    );
    refused(
        site.sign_in("ann", PASSWORD).await,
        RefusedKind::Unauthenticated,
    );
    assert!(site.sign_in("ann", fresh).await.is_ok());
}

#[tokio::test]
async fn an_api_token_works_until_it_ends_or_is_revoked() {
    let (site, root) = Site::managed().await;
    let ann = site.user(&root, "ann", Role::Member).await;
    let short = ann.add_api_token("short", HOUR).await.unwrap();
    let long = ann.add_api_token("long", 365 * DAY).await.unwrap();
    assert!(short.token.expose_secret().starts_with("fpa_"));
    assert_eq!(
        site.broker
            .api_token(&long.token)
            .await
            .unwrap()
            .user()
            .name,
        "ann"
    );
    site.store.advance(HOUR).await.unwrap();
    refused(
        site.broker.api_token(&short.token).await,
        RefusedKind::Unauthenticated,
    );

    let bob = site.user(&root, "bob", Role::Member).await;
    refused(
        bob.revoke_api_token(&long.view.id).await,
        RefusedKind::NotFound,
    );
    ann.revoke_api_token(&long.view.id).await.unwrap();
    refused(
        site.broker.api_token(&long.token).await,
        RefusedKind::Unauthenticated,
    );
    assert!(ann.api_tokens().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_api_token_lives_a_year_at_most() {
    let (site, root) = Site::managed().await;
    let ann = site.user(&root, "ann", Role::Member).await;
    for ttl_s in [365 * DAY + 1, 0, -1, i64::MAX] {
        refused(ann.add_api_token("ci", ttl_s).await, RefusedKind::Invalid);
    }
    refused(
        ann.add_api_token("two\nlines", HOUR).await,
        RefusedKind::Invalid,
    );
}

#[tokio::test]
async fn a_token_of_one_sort_is_none_of_another() {
    let (site, root) = Site::managed().await;
    let session = site.session(&root, "ann", Role::Member).await;
    let ann = site.broker.session(&session.token).await.unwrap();
    let api = ann.add_api_token("ci", HOUR).await.unwrap().token;
    refused(
        site.broker.session(&api).await,
        RefusedKind::Unauthenticated,
    );
    refused(
        site.broker.api_token(&session.token).await,
        RefusedKind::Unauthenticated,
    );
    refused(
        site.broker.workspace(&api, None).await,
        RefusedKind::Unauthenticated,
    );
    refused(
        site.broker.session(&"".into()).await,
        RefusedKind::Unauthenticated,
    );
}

#[tokio::test]
async fn no_bearer_token_and_no_password_is_stored_or_told_in_the_log() {
    let (site, root) = Site::managed().await;
    let session = site.session(&root, "ann", Role::Member).await;
    let ann = site.broker.session(&session.token).await.unwrap();
    let api = ann.add_api_token("ci", HOUR).await.unwrap();
    let workspace = ann
        .add_workspace("ci", None, broker::UnboundSsh::Denied)
        .await
        .unwrap();
    let invited = root.add_user("bob", None, Role::Member).await.unwrap();
    refused(
        site.sign_in("ann", "a wrong password").await,
        RefusedKind::Unauthenticated,
    );

    let stored = site.database();
    let invitation = token_of(&invited.url);
    let secrets = [&session.token, &api.token, &workspace.token, &invitation];
    for secret in secrets.map(ExposeSecret::expose_secret) {
        assert!(!stored.contains(secret), "{}…", &secret[..4]);
        assert!(!format!("{session:?}{api:?}{workspace:?}{invited:?}").contains(secret));
    }
    for password in [PASSWORD, "a wrong password"] {
        assert!(!stored.contains(password));
    }
}

#[tokio::test]
async fn sign_ins_and_failures_stand_in_the_audit_log() {
    let (site, _) = Site::managed().await;
    refused(
        site.sign_in("nobody", "wrong wrong wrong").await,
        RefusedKind::Unauthenticated,
    );
    let session = site.sign_in("root", PASSWORD).await.unwrap();
    let root = site.broker.session(&session.token).await.unwrap();
    root.add_api_token("ci", HOUR).await.unwrap();
    let events = site.events(&root).await;
    for expected in [
        "setup.complete: root set the site up from 192.0.2.7",
        "session.begin: root signed in from 192.0.2.7",
        "session.refuse: sign-in as \"nobody\" from 192.0.2.7 refused",
        "token.add: API token \"ci\" for 3600 s",
    ] {
        assert!(
            events.iter().any(|event| event == expected),
            "{expected}: {events:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_setups_at_once_one_succeeds() {
    let site = Site::fresh().await;
    let token = setup_token(&site).await;
    let replica = site.replica().await;
    let mut setups = tokio::task::JoinSet::new();
    for number in 0..6 {
        let broker = if number % 2 == 0 {
            site.broker.clone()
        } else {
            replica.clone()
        };
        let account = broker::NewAccount {
            name: format!("root-{number}"),
            email: None,
            password: PASSWORD.into(),
        };
        let token = token.clone();
        setups.spawn(async move {
            broker
                .complete_setup(&token, account, &visitor())
                .await
                .is_ok()
        });
    }
    let succeeded = setups
        .join_all()
        .await
        .into_iter()
        .filter(|succeeded| *succeeded)
        .count();
    assert_eq!(succeeded, 1);
    assert_eq!(site.store.count_site_managers().await.unwrap(), 1);
}
