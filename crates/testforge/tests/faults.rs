//! Faults and knobs: what goes wrong on demand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stage;

use serde_json::json;
use stage::{Stage, curl};
use testforge::{Endpoint, Fault, Shape};

#[tokio::test]
async fn a_fault_hits_its_endpoint_alone_and_only_so_often() {
    let stage = Stage::new(Shape::GitHubCom).await;
    let access = stage.access("read:user").await;
    stage
        .forge
        .fail_times(Endpoint::User, Fault::ServerError, 2);
    let meta = format!("{}/meta", stage.forge.api_url());
    assert_eq!(curl(&stage.forge, &[&meta]).await.0, 200);
    assert_eq!(stage.user(&access).await, 500);
    assert_eq!(stage.user(&access).await, 500);
    assert_eq!(stage.user(&access).await, 200);
    stage
        .forge
        .fail_next(Endpoint::User, Fault::Status { status: 503 });
    stage.forge.clear_faults();
    assert_eq!(stage.user(&access).await, 200);
}

#[tokio::test]
async fn each_fault_answers_as_its_name_says() {
    let stage = Stage::new(Shape::GitHubCom).await;
    let url = format!("{}/user", stage.forge.api_url());
    let saml = Fault::Saml {
        url: "https://github.com/orgs/acme/sso".to_owned(),
    };
    let error = "bad_refresh_token".to_owned();
    let organisation = "acme".to_owned();
    let cases = [
        (Fault::Status { status: 401 }, 401, ""),
        (Fault::Html, 200, "<!DOCTYPE html>"),
        (Fault::HtmlStatus { status: 502 }, 502, "<!DOCTYPE html>"),
        (Fault::Empty, 200, ""),
        (
            Fault::OkWithError {
                error: error.clone(),
            },
            200,
            "bad_refresh_token",
        ),
        (Fault::OAuthError { error }, 400, "bad_refresh_token"),
        (Fault::NoToken, 200, "token_type"),
        (
            Fault::RateLimited {
                status: 429,
                retry_after_s: 7,
            },
            429,
            "retry-after: 7",
        ),
        (
            Fault::RateLimited {
                status: 403,
                retry_after_s: 7,
            },
            403,
            "x-ratelimit-remaining: 0",
        ),
        (
            saml,
            403,
            "x-github-sso: required; url=https://github.com/orgs/acme/sso",
        ),
        (
            Fault::OrganisationForbidsApp { organisation },
            403,
            "OAuth App access restrictions",
        ),
        (Fault::Suspended, 403, "suspended"),
        (
            Fault::RedirectTo {
                url: "https://example.org/".to_owned(),
            },
            302,
            "https://example.org/",
        ),
        (Fault::Huge { bytes: 100_000 }, 200, "xxxxxxxxxx"),
        (Fault::LostReply, 502, ""),
    ];
    for (fault, status, part) in cases {
        stage.forge.fail_next(Endpoint::User, fault.clone());
        let (got, body) = curl(&stage.forge, &["--include", &url]).await;
        assert_eq!(got, status, "{fault:?}");
        assert!(body.contains(part), "{fault:?}: {body}");
    }
}

#[tokio::test]
async fn a_hanging_site_does_not_answer() {
    let stage = Stage::new(Shape::GitHubCom).await;
    stage.forge.fail_next(Endpoint::Any, Fault::Hang);
    let meta = format!("{}/meta", stage.forge.api_url());
    assert_eq!(curl(&stage.forge, &["--max-time", "1", &meta]).await.0, 0);
    stage.forge.fail_next(Endpoint::Any, Fault::Slow { ms: 10 });
    assert_eq!(curl(&stage.forge, &[&meta]).await.0, 200);
}

#[tokio::test]
async fn a_lost_reply_leaves_the_refresh_token_redeemed() {
    let stage = Stage::new(Shape::GitLab { sub_path: "" }).await;
    let token = stage.link("api").await;
    stage.forge.fail_next(Endpoint::Token, Fault::LostReply);
    assert_eq!(stage.refresh(&token).await.0, 502);
    assert_eq!(stage.forge.refreshes(), 1);
    let (status, body) = stage.refresh(&token).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
    assert_eq!(stage.forge.refreshes(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_refreshes_at_once_one_wins() {
    let stage = Stage::new(Shape::GitLab { sub_path: "" }).await;
    let token = stage.link("api").await;
    let (one, other) = tokio::join!(stage.refresh(&token), stage.refresh(&token));
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    assert_eq!(stage.forge.refreshes(), 1);
}

#[tokio::test]
async fn tokens_expire_and_are_revoked_on_demand() {
    let stage = Stage::new(Shape::GitLab { sub_path: "" }).await;
    let token = stage.link("read_user").await;
    let access = token["access_token"].as_str().unwrap();
    assert_eq!(stage.user(access).await, 200);
    assert!(stage.forge.expire_token(access));
    assert_eq!(stage.user(access).await, 401);
    let (status, fresh) = stage.refresh(&token).await;
    assert_eq!(status, 200);
    let access = fresh["access_token"].as_str().unwrap();
    assert_eq!(stage.user(access).await, 200);
    stage.forge.revoke_tokens("ann");
    assert_eq!(stage.user(access).await, 401);
    assert_eq!(stage.refresh(&fresh).await.0, 400);
    assert!(!stage.forge.expire_token("never issued"));
}

#[tokio::test]
async fn knobs_change_lives_and_answers() {
    let stage = Stage::new(Shape::GitLab { sub_path: "" }).await;
    stage.forge.set_knobs(|knobs| {
        knobs.access_token_s = Some(30);
        knobs.keep_refresh_token = true;
        knobs.withheld_scope = Some("api".to_owned());
    });
    let token = stage.link("api+read_user").await;
    assert_eq!(token["expires_in"], 30);
    assert_eq!(token["scope"], "read_user");
    let (_, fresh) = stage.refresh(&token).await;
    assert_eq!(fresh.get("refresh_token"), None);
    assert_eq!(
        stage.refresh(&token).await.0,
        200,
        "the old refresh token stays good"
    );
    stage.forge.set_knobs(|knobs| knobs.hide_expires_in = true);
    assert_eq!(stage.link("read_user").await.get("expires_in"), None);
    stage.forge.set_knobs(|knobs| knobs.code_s = Some(0));
    assert_eq!(stage.link("read_user").await["error"], "invalid_grant");
}
