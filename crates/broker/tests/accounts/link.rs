//! Linking an account at a provider, and all that can go wrong on the way.

use crate::stage::{self, GITLAB, LINKABLE, Stage, alive, callback};
use broker::{LinkId, LinkOutcome, LinkState, RefusedKind, Visitor};
use testforge::{Endpoint, Fault, Shape};

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_links_and_uploads_its_key() {
    for shape in LINKABLE {
        let stage = Stage::new(shape).await;
        let link = stage.link().await;
        assert_eq!(
            (link.login.as_str(), link.state),
            ("ann", LinkState::Linked),
            "{shape:?}"
        );
        assert_eq!(link.keys.len(), 1, "{shape:?}");
        assert_eq!(
            link.keys[0].state, "present",
            "{shape:?} {:?}",
            link.keys[0]
        );
        let remote = stage.forge.keys();
        assert!(
            remote
                .iter()
                .any(|key| key.fingerprint == link.keys[0].fingerprint),
            "{shape:?} {remote:?}"
        );
        assert!(
            remote
                .iter()
                .all(|key| key.title.contains("(localhost:7080) – ann")),
            "{remote:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_state_that_is_missing_or_unknown() {
    let stage = Stage::new(GITLAB).await;
    let back = stage
        .forge
        .approve(&stage.begin(None).await, "ann")
        .await
        .unwrap();
    let mut query = callback(&back);
    query.state = None;
    assert_eq!(
        stage.ann.finish_link(query.clone()).await.unwrap_err().kind,
        RefusedKind::Invalid
    );
    query.state = Some("x".repeat(43).into());
    assert_eq!(
        stage.ann.finish_link(query).await.unwrap_err().kind,
        RefusedKind::Invalid
    );
    assert_eq!(alive(&stage), 0, "no code may have been redeemed");
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_state_seen_twice() {
    let stage = Stage::new(GITLAB).await;
    let back = stage
        .forge
        .approve(&stage.begin(None).await, "ann")
        .await
        .unwrap();
    let first = stage.ann.finish_link(callback(&back)).await.unwrap();
    assert!(matches!(first, LinkOutcome::SecondConsent(_)));
    let again = stage.ann.finish_link(callback(&back)).await.unwrap_err();
    assert_eq!(again.kind, RefusedKind::Invalid);
    assert_eq!(stage.ann.links().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_callbacks_with_one_state_one_wins() {
    let stage = Stage::new(GITLAB).await;
    let back = stage
        .forge
        .approve(&stage.begin(None).await, "ann")
        .await
        .unwrap();
    let (one, two) = tokio::join!(
        stage.ann.finish_link(callback(&back)),
        stage.ann.finish_link(callback(&back))
    );
    assert_eq!(
        [one.is_ok(), two.is_ok()].iter().filter(|ok| **ok).count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_state_that_is_too_old() {
    let stage = Stage::new(GITLAB).await;
    let back = stage
        .forge
        .approve(&stage.begin(None).await, "ann")
        .await
        .unwrap();
    stage.store.advance(601).await.unwrap();
    let refused = stage.ann.finish_link(callback(&back)).await.unwrap_err();
    assert_eq!(refused.kind, RefusedKind::Invalid);
    assert!(refused.detail.contains("too old"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_state_of_another_session_and_leaves_it_for_its_own() {
    let stage = Stage::new(GITLAB).await;
    let back = stage
        .forge
        .approve(&stage.begin(None).await, "ann")
        .await
        .unwrap();
    let password = "correct horse battery".into();
    let other = stage
        .broker
        .sign_in("ann", &password, &Visitor::default())
        .await
        .unwrap();
    let other = stage.broker.session(&other.token).await.unwrap();
    let refused = other.finish_link(callback(&back)).await.unwrap_err();
    assert_eq!(refused.kind, RefusedKind::Invalid);
    assert!(stage.ann.finish_link(callback(&back)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_request_token_that_another_attempt_began_with() {
    let stage = Stage::new(Shape::BitbucketServerOAuth1).await;
    let one = stage
        .forge
        .approve(&stage.begin(None).await, "ann")
        .await
        .unwrap();
    let two = stage
        .forge
        .approve(&stage.begin(None).await, "ann")
        .await
        .unwrap();
    let mut mixed = callback(&one);
    mixed.oauth_token = callback(&two).oauth_token;
    mixed.oauth_verifier = callback(&two).oauth_verifier;
    assert_eq!(
        stage.ann.finish_link(mixed).await.unwrap_err().kind,
        RefusedKind::Invalid
    );
    assert_eq!(alive(&stage), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_token_begins_no_link() {
    let stage = Stage::new(GITLAB).await;
    let token = stage.ann.add_api_token("script", 3600).await.unwrap();
    let script = stage.broker.api_token(&token.token).await.unwrap();
    let refused = script
        .begin_link(stage.provider.as_str(), None)
        .await
        .unwrap_err();
    assert_eq!(refused.kind, RefusedKind::Forbidden);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_links_begun_in_two_tabs_both_finish() {
    for shape in LINKABLE {
        let stage = Stage::new(shape).await;
        stage.forge.add_account("bob");
        let (one, two) = (stage.begin(None).await, stage.begin(None).await);
        let second = stage.walk(two, "bob").await.unwrap();
        let first = stage.walk(one, "ann").await.unwrap();
        assert!(
            matches!(first, LinkOutcome::Linked(_)),
            "{shape:?} {first:?}"
        );
        assert!(
            matches!(second, LinkOutcome::Linked(_)),
            "{shape:?} {second:?}"
        );
        let mut logins: Vec<String> = stage
            .ann
            .links()
            .await
            .unwrap()
            .into_iter()
            .map(|link| link.login)
            .collect();
        logins.sort();
        assert_eq!(logins, ["ann", "bob"], "{shape:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_in_two_tabs_is_one_link() {
    let stage = Stage::new(GITLAB).await;
    let (one, two) = (stage.begin(None).await, stage.begin(None).await);
    stage.walk(one, "ann").await.unwrap();
    stage.walk(two, "ann").await.unwrap();
    assert_eq!(stage.ann.links().await.unwrap().len(), 1);
    assert_eq!(alive(&stage), 2, "the tokens of the first tab are revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_consent_changes_nothing() {
    for shape in LINKABLE {
        let stage = Stage::new(shape).await;
        let back = stage
            .forge
            .deny(&stage.begin(None).await, "ann")
            .await
            .unwrap();
        let refused = stage.ann.finish_link(callback(&back)).await.unwrap_err();
        assert_eq!(
            refused.kind,
            RefusedKind::AccessDenied,
            "{shape:?} {refused}"
        );
        assert!(stage.ann.links().await.unwrap().is_empty(), "{shape:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_answers_nonsense_loses_nothing() {
    for fault in [
        Fault::ServerError,
        Fault::Html,
        Fault::HtmlStatus { status: 502 },
        Fault::Empty,
        Fault::NoToken,
        Fault::OkWithError {
            error: "bad_verification_code".into(),
        },
        Fault::RateLimited {
            status: 429,
            retry_after_s: 30,
        },
        Fault::Huge { bytes: 2_000_000 },
    ] {
        let stage = Stage::new(GITLAB).await;
        let link = stage.link().await;
        let url = stage.begin(Some(&LinkId(link.id.clone()))).await;
        let back = stage.forge.approve(&url, "ann").await.unwrap();
        stage.forge.fail_next(Endpoint::Token, fault.clone());
        let refused = stage.ann.finish_link(callback(&back)).await.unwrap_err();
        assert_eq!(refused.kind, RefusedKind::Transient, "{fault:?} {refused}");
        let links = stage.ann.links().await.unwrap();
        assert_eq!(links[0].state, LinkState::Linked, "{fault:?}");
        assert!(
            stage
                .workspace()
                .await
                .credential(&stage.ask())
                .await
                .is_ok(),
            "{fault:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_whose_account_is_not_told_are_kept_and_finished_later() {
    let stage = Stage::new(GITLAB).await;
    let back = stage
        .forge
        .approve(&stage.begin(None).await, "ann")
        .await
        .unwrap();
    stage
        .forge
        .fail_times(Endpoint::User, Fault::ServerError, 4);
    let refused = stage.ann.finish_link(callback(&back)).await.unwrap_err();
    assert_eq!(refused.kind, RefusedKind::Transient);
    assert!(refused.hint.unwrap().contains("by itself"));
    assert_eq!(alive(&stage), 1, "the tokens are not thrown away");
    stage.store.advance(61).await.unwrap();
    let broker = stage.broker.clone();
    let until = async {
        while stage.ann.links().await.unwrap().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    broker.run_background(until).await;
    assert_eq!(stage.ann.links().await.unwrap()[0].login, "ann");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_that_blocks_the_application_is_told_apart() {
    let stage = Stage::new(Shape::GitHubCom).await;
    let back = stage
        .forge
        .approve(&stage.begin(None).await, "ann")
        .await
        .unwrap();
    let fault = Fault::OrganisationForbidsApp {
        organisation: "acme".into(),
    };
    stage.forge.fail_times(Endpoint::User, fault, 9);
    let refused = stage.ann.finish_link(callback(&back)).await.unwrap_err();
    assert_eq!(refused.kind, RefusedKind::Forbidden, "{refused}");
    assert!(refused.detail.contains("acme"), "{refused}");
    assert_eq!(alive(&stage), 0, "its tokens are given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_client_secret_is_the_site_managers_fault() {
    let stage = Stage::new(GITLAB).await;
    let link = stage.link().await;
    stage.forge.renew_client_secret(&stage.client_id).unwrap();
    let url = stage.begin(Some(&LinkId(link.id))).await;
    let refused = stage.walk(url, "ann").await.unwrap_err();
    assert_eq!(refused.kind, RefusedKind::ProviderFault, "{refused}");
    let provider = stage
        .store
        .provider(&stage.provider)
        .await
        .unwrap()
        .unwrap();
    assert!(provider.alarm.is_some());
    assert_eq!(stage.ann.links().await.unwrap()[0].state, LinkState::Linked);
    assert!(
        stage
            .workspace()
            .await
            .credential(&stage.ask())
            .await
            .is_ok()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_verified_after_the_token_that_made_it_ended() {
    let stage = Stage::new(Shape::GitHubCom).await;
    stage
        .forge
        .set_knobs(|knobs| knobs.keys_die_with_token = true);
    let link = stage.link().await;
    let url = stage.begin(Some(&LinkId(link.id))).await;
    stage.walk(url, "ann").await.unwrap();
    let links = stage.ann.links().await.unwrap();
    assert_eq!(links[0].keys[0].state, "present");
    assert_eq!(
        stage.forge.keys().len(),
        2,
        "the sign-in and the signing entry are back"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_an_answer_of_another_issuer() {
    let stage = Stage::new(GITLAB).await;
    for (iss, taken) in [
        ("https://evil.example".to_owned(), false),
        (format!("{}.evil.example", stage.forge.url()), false),
        ("nonsense".to_owned(), false),
        (stage.forge.url().to_owned(), true),
        (format!("{}/login/oauth", stage.forge.url()), true),
    ] {
        let back = stage
            .forge
            .approve(&stage.begin(None).await, "ann")
            .await
            .unwrap();
        let mut query = callback(&back);
        query.iss = Some(iss.clone());
        let outcome = stage.ann.finish_link(query).await;
        assert_eq!(outcome.is_ok(), taken, "{iss}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_or_unknown_provider_offers_no_link() {
    let stage = Stage::new(GITLAB).await;
    let refused = stage.ann.begin_link("nowhere", None).await.unwrap_err();
    assert_eq!(refused.kind, RefusedKind::NotFound);
    let by_name = stage.ann.begin_link("Forge", None).await;
    assert!(by_name.is_ok());
    let mut row = stage
        .store
        .provider(&stage.provider)
        .await
        .unwrap()
        .unwrap();
    row.disabled_at = Some(1);
    stage.store.update_provider(&row).await.unwrap();
    let refused = stage
        .ann
        .begin_link(stage.provider.as_str(), None)
        .await
        .unwrap_err();
    assert_eq!(refused.kind, RefusedKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_without_oauth_has_nothing_to_link() {
    let stage = Stage::new(Shape::Azure).await;
    let refused = stage
        .ann
        .begin_link(stage.provider.as_str(), None)
        .await
        .unwrap_err();
    assert_eq!(refused.kind, RefusedKind::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_re_links_or_finishes_the_link_of_another() {
    let stage = Stage::new(GITLAB).await;
    let link = LinkId(stage.link().await.id);
    let manager = stage.ann.site_manager().unwrap();
    let invited = manager
        .add_user("bob", None, broker::Role::Member)
        .await
        .unwrap();
    let token = stage::token_of(&invited.url);
    let password = "correct horse battery".into();
    let session = stage
        .broker
        .accept_invitation(&token, password, &Visitor::default())
        .await
        .unwrap();
    let bob = stage.broker.session(&session.token).await.unwrap();
    let relink = bob
        .begin_link(stage.provider.as_str(), Some(&link))
        .await
        .unwrap_err();
    let finish = bob.finish_git_consent(&link).await.unwrap_err();
    let unlink = bob
        .unlink(&link, broker::UnlinkOptions::default())
        .await
        .unwrap_err();
    for refused in [relink, finish, unlink] {
        assert_eq!(refused.kind, RefusedKind::NotFound);
    }
    assert!(bob.links().await.unwrap().is_empty());
}
