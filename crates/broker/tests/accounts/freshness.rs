//! Tokens over time: each of the 22 ways in which other systems lost them is a test here, by its number.
//! (Number 19, callers that cluster at one margin, is a table of the pure decision.)

use broker::{CredentialGiven, LinkState, RefusedKind};
use secrecy::ExposeSecret;
use testforge::{Endpoint, Fault, Shape};

use crate::stage::{
    GITLAB, OVER, Stage, give, link_state, linked, owner, pause, refusal, workspace_of,
};

#[tokio::test(flavor = "multi_thread")]
async fn f10_a_provider_in_trouble_kills_no_link() {
    for fault in [
        Fault::ServerError,
        Fault::Status { status: 502 },
        Fault::Status { status: 503 },
        Fault::Status { status: 504 },
        Fault::Status { status: 403 },
        Fault::Status { status: 400 },
        Fault::Status { status: 401 },
        Fault::Html,
        Fault::HtmlStatus { status: 400 },
        Fault::HtmlStatus { status: 401 },
        Fault::Empty,
        Fault::NoToken,
        Fault::RateLimited {
            status: 429,
            retry_after_s: 5,
        },
        Fault::RateLimited {
            status: 403,
            retry_after_s: 5,
        },
        Fault::OkWithError {
            error: "server_error".into(),
        },
        Fault::OAuthError {
            error: "temporarily_unavailable".into(),
        },
    ] {
        let (stage, workspace) = linked(GITLAB).await;
        stage.advance(OVER).await;
        stage.forge.fail_next(Endpoint::Token, fault.clone());
        let refused = refusal(&stage, &workspace).await;
        assert_eq!(refused.kind, RefusedKind::Transient, "{fault:?} {refused}");
        assert_eq!(link_state(&stage).await, LinkState::Linked, "{fault:?}");
        stage.advance(11).await;
        assert!(
            workspace.credential(&stage.ask()).await.is_ok(),
            "{fault:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_the_users_fault_kills_the_link_at_once() {
    for error in ["invalid_grant", "bad_refresh_token", "unauthorized_client"] {
        let (stage, workspace) = linked(GITLAB).await;
        stage.advance(OVER).await;
        let fault = Fault::OAuthError {
            error: error.into(),
        };
        stage.forge.fail_next(Endpoint::Token, fault);
        let refused = refusal(&stage, &workspace).await;
        assert_eq!(refused.kind, RefusedKind::LinkDead, "{error} {refused}");
        assert_eq!(link_state(&stage).await, LinkState::Dead, "{error}");
        let again = refusal(&stage, &workspace).await;
        assert_eq!(again.kind, RefusedKind::LinkDead);
        assert_eq!(stage.forge.refreshes(), 0, "a dead link is not tried again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_a_bare_refusal_counts_once_it_has_lasted_ten_minutes() {
    let (stage, workspace) = linked(GITLAB).await;
    stage.advance(OVER).await;
    stage
        .forge
        .fail_times(Endpoint::Token, Fault::Status { status: 401 }, 100);
    for _ in 0..2 {
        assert_eq!(
            refusal(&stage, &workspace).await.kind,
            RefusedKind::Transient
        );
        stage.advance(290).await;
    }
    assert_eq!(
        refusal(&stage, &workspace).await.kind,
        RefusedKind::Transient
    );
    stage.advance(30).await;
    assert_eq!(
        refusal(&stage, &workspace).await.kind,
        RefusedKind::LinkDead
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_a_wrong_client_secret_keeps_everyones_tokens_and_raises_an_alarm() {
    let (stage, workspace) = linked(GITLAB).await;
    stage.advance(OVER).await;
    let secret = stage.forge.renew_client_secret(&stage.client_id).unwrap();
    let refused = refusal(&stage, &workspace).await;
    assert_eq!(refused.kind, RefusedKind::ProviderFault, "{refused}");
    assert_eq!(link_state(&stage).await, LinkState::Linked);
    let provider = stage
        .store
        .provider(&stage.provider)
        .await
        .unwrap()
        .unwrap();
    assert!(provider.alarm.is_some());

    stage.enter_secret(&secret).await;
    stage.advance(11).await;
    give(&stage, &workspace).await;
    let provider = stage
        .store
        .provider(&stage.provider)
        .await
        .unwrap()
        .unwrap();
    assert!(provider.alarm.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_a_rate_limit_is_never_a_revocation() {
    for status in [403, 429] {
        let (stage, workspace) = linked(Shape::GitHubCom).await;
        let given = give(&stage, &workspace).await;
        let fault = Fault::RateLimited {
            status,
            retry_after_s: 40,
        };
        stage.forge.fail_times(Endpoint::User, fault, 10);
        let mut ask = stage.ask();
        ask.state = Some(given.state.clone());
        let refused = workspace.credential(&ask).await.unwrap_err();
        assert_eq!(refused.kind, RefusedKind::Transient, "{status} {refused}");
        assert_eq!(refused.retry_after_s, Some(40), "{status}");
        assert_eq!(link_state(&stage).await, LinkState::Linked, "{status}");
        assert_eq!(give(&stage, &workspace).await.state, given.state);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f20_tokens_that_nobody_uses_are_kept_alive() {
    let (stage, workspace) = linked(Shape::BitbucketServer).await;
    // Refresh tokens die after 90 days there.
    for _ in 0..3 {
        stage.advance(50 * 86_400).await;
        let before = stage.events("grant.refresh").await.len();
        let until = async {
            while stage.events("grant.refresh").await.len() < before + 2 {
                pause(20).await;
            }
        };
        stage.broker.clone().run_background(until).await;
    }
    give(&stage, &workspace).await;
    assert_eq!(link_state(&stage).await, LinkState::Linked);
}

#[tokio::test(flavor = "multi_thread")]
async fn f21_a_token_about_to_end_is_replaced_before_it_is_given() {
    let (stage, workspace) = linked(GITLAB).await;
    stage.advance(7200 - 200).await;
    let given = give(&stage, &workspace).await;
    let now = stage.store.now().await.unwrap();
    assert!(given.expires_at.unwrap() - now >= 300);
    assert_eq!(stage.forge.refreshes(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn f21_a_token_killed_in_use_is_replaced_when_git_asks_again() {
    let (stage, workspace) = linked(GITLAB).await;
    let given = give(&stage, &workspace).await;
    assert!(stage.forge.expire_token(given.password.expose_secret()));
    let mut ask = stage.ask();
    ask.state = Some(given.state.clone());
    let healed = workspace.credential(&ask).await.unwrap();
    assert_ne!(healed.state, given.state);
    assert_eq!(owner(&stage, &healed).await.as_deref(), Some("ann"));
}

#[tokio::test(flavor = "multi_thread")]
async fn f22_whoever_holds_an_old_token_gets_the_newer_one_without_a_question() {
    let (stage, workspace) = linked(GITLAB).await;
    let old = give(&stage, &workspace).await;
    stage.advance(OVER).await;
    let new = give(&stage, &workspace).await;
    stage.forge.clear_log();
    let mut ask = stage.ask();
    ask.state = Some(old.state);
    assert_eq!(workspace.credential(&ask).await.unwrap().state, new.state);
    assert!(stage.forge.log().is_empty(), "{:?}", stage.forge.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_cannot_force_refreshes() {
    let (stage, workspace) = linked(GITLAB).await;
    for min_ttl_s in [i64::MAX, 7199, 3600] {
        let mut ask = stage.ask();
        ask.min_ttl_s = Some(min_ttl_s);
        workspace.credential(&ask).await.unwrap();
    }
    // A token that the provider takes is not replaced on a workspace's word.
    for _ in 0..3 {
        let mut ask = stage.ask();
        ask.state = Some(give(&stage, &workspace).await.state);
        workspace.credential(&ask).await.unwrap();
    }
    assert_eq!(stage.forge.refreshes(), 0);
    // One that it refuses is replaced once a minute.
    for _ in 0..5 {
        let given = give(&stage, &workspace).await;
        stage.forge.expire_token(given.password.expose_secret());
        let mut ask = stage.ask();
        ask.state = Some(given.state);
        let _ = workspace.credential(&ask).await;
    }
    assert_eq!(stage.forge.refreshes(), 1);
    stage.store.advance(61).await.unwrap();
    let mut ask = stage.ask();
    ask.state = Some(give(&stage, &workspace).await.state);
    workspace.credential(&ask).await.unwrap();
    assert_eq!(stage.forge.refreshes(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_a_successor_that_is_refused_for_good_ends_the_link() {
    let (stage, workspace) = linked(Shape::GitHubCom).await;
    let given = give(&stage, &workspace).await;
    stage.forge.revoke_tokens("ann");
    let mut ask = stage.ask();
    ask.state = Some(given.state);
    assert_eq!(
        workspace.credential(&ask).await.unwrap_err().kind,
        RefusedKind::LinkDead
    );
    assert_eq!(link_state(&stage).await, LinkState::Dead);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minted_token_is_replaced_before_its_end_and_stale_ones_are_deleted() {
    let (stage, workspace) = linked(Shape::BitbucketServerOAuth1).await;
    let first = give(&stage, &workspace).await;
    assert_eq!(first.username, "ann");
    stage.advance(80 * 86_400).await;
    assert_eq!(give(&stage, &workspace).await.state, first.state);
    stage.advance(5 * 86_400).await;
    let second = give(&stage, &workspace).await;
    assert_ne!(second.state, first.state);
    stage.advance(85 * 86_400).await;
    give(&stage, &workspace).await;
    let minted: Vec<_> = stage
        .forge
        .tokens()
        .into_iter()
        .filter(|token| token.sort == "minted")
        .collect();
    let names: Vec<_> = minted
        .iter()
        .filter_map(|token| token.name.as_deref())
        .collect();
    assert!(
        names
            .iter()
            .all(|name| *name == "forgepass-localhost:7080-ann"),
        "{names:?}"
    );
    assert_eq!(
        minted.iter().filter(|token| token.alive).count(),
        2,
        "{minted:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_workspaces_tokens_are_called_in_and_others_go_on() {
    for shape in [
        GITLAB,
        Shape::GitHubCom,
        Shape::BitbucketServer,
        Shape::BitbucketServerOAuth1,
    ] {
        let (stage, lost) = linked(shape).await;
        let repository = stage.forge.create_repository("ann", "app").unwrap().https;
        let stolen = give(&stage, &lost).await;
        assert!(opens(&stage, &repository, &stolen).await, "{shape:?}");
        let kept = workspace_of(&stage.broker, &stage.ann).await;
        let workspace = lost.workspace().id;
        stage.ann.revoke_workspace(&workspace).await.unwrap();
        while stage.events("grant.call-in").await.is_empty() {
            pause(20).await;
        }
        assert!(!opens(&stage, &repository, &stolen).await, "{shape:?}");
        let given = give(&stage, &kept).await;
        assert!(opens(&stage, &repository, &given).await, "{shape:?}");
        assert_eq!(link_state(&stage).await, LinkState::Linked, "{shape:?}");
    }
}

/// Whether a credential opens a repository of the forge, as Git asks for it.
#[expect(clippy::disallowed_methods, reason = "the thief does not use our door")]
async fn opens(stage: &Stage, repository: &str, given: &CredentialGiven) -> bool {
    let url = format!("{repository}/info/refs?service=git-upload-pack");
    let ca = reqwest::Certificate::from_pem(stage.forge.ca_pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_merge([ca])
        .build()
        .unwrap();
    let request = client.get(&url);
    let password = given.password.expose_secret();
    let reply = request
        .basic_auth(&given.username, Some(password))
        .send()
        .await
        .unwrap();
    reply.status().is_success()
}
