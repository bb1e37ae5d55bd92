//! GitLab's replies, and what we make of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{LAPTOP, OURS, client, form, json, kind, play, read, refuses, site, url};
use forge::{Account, Auth, Call, Email, Fault, Purpose, Refusal, RemoteKey, Site, Tokens, Usage};
use http::StatusCode;
use secrecy::ExposeSecret;
use serde_json::json;

fn own() -> Site {
    site(kind("gitlab"), "https://code.example.com/gitlab")
}

fn whoami() -> Call<Account> {
    kind("gitlab").whoami(&own()).unwrap()
}

fn add(usage: Usage) -> Call<RemoteKey> {
    let line = format!("ssh-ed25519 {OURS} ann");
    kind("gitlab")
        .add_key(&own(), "Forgepass", &line, usage)
        .unwrap()
}

fn refresh() -> Call<Tokens> {
    kind("gitlab")
        .oauth2(&own())
        .unwrap()
        .refresh(&client(), &"old".into())
}

#[test]
fn serves_gitlab_com_and_sub_paths() {
    let defaults = kind("gitlab").defaults(&url("https://gitlab.com")).unwrap();
    assert_eq!(defaults.api.as_str(), "https://gitlab.com/api/v4");
    assert_eq!(
        defaults.ssh_addresses,
        ["gitlab.com", "altssh.gitlab.com:443"]
    );
    assert_eq!(defaults.host_keys.len(), 3);
    let defaults = kind("gitlab")
        .defaults(&url("https://code.example.com/gitlab/"))
        .unwrap();
    assert_eq!(
        defaults.api.as_str(),
        "https://code.example.com/gitlab/api/v4"
    );
    assert_eq!(defaults.ssh_addresses, ["code.example.com"]);
    let oauth = kind("gitlab").oauth2(&own()).unwrap();
    assert_eq!(
        oauth.token.as_str(),
        "https://code.example.com/gitlab/oauth/token"
    );
    let page = kind("gitlab").key_page(&own()).unwrap();
    assert_eq!(
        page.as_str(),
        "https://code.example.com/gitlab/-/user_settings/ssh_keys"
    );
}

#[test]
fn asks_for_the_scopes_of_the_purpose() {
    let oauth = kind("gitlab").oauth2(&own()).unwrap();
    let scopes = kind("gitlab").scopes(Some(Purpose::Git));
    let page = oauth.authorize_url(&client(), "s", "c", scopes);
    let asked = page
        .query_pairs()
        .find(|(name, _)| name == "scope")
        .unwrap()
        .1
        .into_owned();
    assert_eq!(asked, "read_user read_repository write_repository");
    assert_eq!(kind("gitlab").scopes(Some(Purpose::Manage)), ["api"]);
    let api = ["api".to_owned()];
    assert!(kind("gitlab").holds_key_rights(&api));
    assert!(
        kind("gitlab")
            .consent_hint()
            .unwrap()
            .contains("write_repository")
    );
}

#[test]
fn repeats_the_redirect_uri_on_refresh() {
    assert_eq!(
        form(&refresh()),
        [
            ("grant_type", "refresh_token"),
            ("refresh_token", "old"),
            (
                "redirect_uri",
                "https://forgepass.example.com/oauth/callback"
            ),
            ("client_id", "our-id"),
            ("client_secret", "our-secret"),
        ]
    );
    let tokens = read(refresh(), "gitlab/tokens").unwrap();
    assert_eq!(tokens.expires_in_s, Some(7200));
    assert_eq!(
        tokens.scopes.unwrap(),
        ["read_repository", "read_user", "write_repository"]
    );
    assert_eq!(
        tokens.refresh.unwrap().expose_secret(),
        "5f6f2e0a8c7b4d3e9a1b"
    );
}

#[test]
fn reads_refused_grants() {
    for (fixture, code, status) in [
        (
            "gitlab/tokens-invalid-grant",
            "invalid_grant",
            StatusCode::BAD_REQUEST,
        ),
        (
            "gitlab/tokens-invalid-client",
            "invalid_client",
            StatusCode::UNAUTHORIZED,
        ),
        (
            "gitlab/tokens-unauthorized-client",
            "unauthorized_client",
            StatusCode::BAD_REQUEST,
        ),
    ] {
        let refusal = read(refresh(), fixture).unwrap_err();
        let Refusal::OAuth {
            error,
            status: answered,
            ..
        } = refusal
        else {
            panic!("{refusal:?}")
        };
        assert_eq!((error.as_str(), answered), (code, status));
    }
    let limited = read(refresh(), "gitlab/rate-limit").unwrap_err();
    assert_eq!(
        limited,
        Refusal::RateLimited {
            retry_after_s: Some(42)
        }
    );
}

#[test]
fn knows_the_account_and_prefers_its_commit_address() {
    let email = |address: &str, primary| Email {
        address: address.into(),
        verified: true,
        primary,
    };
    let account = read(whoami(), "gitlab/user").unwrap();
    assert_eq!(
        (account.id.as_str(), account.login.as_str()),
        ("4711", "ann")
    );
    assert_eq!(
        account.emails,
        [
            email("ann@work.example.com", true),
            email("ann@example.com", false)
        ]
    );
    // The administrator of another GitLab chooses this host, so we do not guess it.
    assert_eq!(account.noreply, None);
    let account = read(whoami(), "gitlab/user-private-commit-email").unwrap();
    assert_eq!(
        account.noreply.as_deref(),
        Some("4711-ann@users.noreply.code.example.com")
    );
    assert_eq!(account.emails, [email("ann@example.com", true)]);
    let com = site(kind("gitlab"), "https://gitlab.com");
    let account = read(kind("gitlab").whoami(&com).unwrap(), "gitlab/user").unwrap();
    assert_eq!(
        account.noreply.as_deref(),
        Some("4711-ann@users.noreply.gitlab.com")
    );
}

#[test]
fn believes_no_address_of_an_unconfirmed_account() {
    assert_eq!(
        read(whoami(), "gitlab/user-unconfirmed").unwrap().emails,
        []
    );
}

#[test]
fn tells_a_dead_token_from_everything_else() {
    refuses(
        whoami,
        &[
            ("gitlab/token-expired", Refusal::TokenRejected),
            ("gitlab/token-revoked", Refusal::TokenRejected),
            ("gitlab/token-unknown", Refusal::TokenRejected),
            ("gitlab/insufficient-scope", Refusal::MissingScope("api".into())),
            ("gitlab/blocked", Refusal::Blocked("Your account has been blocked.".into())),
            ("gitlab/forbidden", Refusal::Status(StatusCode::FORBIDDEN)),
            ("gitlab/rate-limit", Refusal::RateLimited { retry_after_s: Some(42) }),
            (
                "gitlab/rate-limit-without-retry-after",
                Refusal::RateLimited { retry_after_s: Some(60) },
            ),
            ("gitlab/maintenance", Refusal::Status(StatusCode::SERVICE_UNAVAILABLE)),
            (
                "gitlab/sso-session",
                Refusal::NeedsAuthorization {
                    message: "403 Forbidden - Cannot find valid SSO session. Please login via your group's SSO at https://gitlab.com/groups/acme/-/saml/sso?token=xyz".into(),
                    page: Some(url("https://gitlab.com/groups/acme/-/saml/sso?token=xyz")),
                },
            ),
        ],
    );
}

#[test]
fn lists_keys_over_all_pages_with_usage_and_end() {
    let call = kind("gitlab")
        .list_keys(&own(), Usage::AuthAndSigning)
        .unwrap();
    let (sent, keys) = play(call, &["gitlab/keys-page-1", "gitlab/keys-page-2"]);
    assert_eq!(
        sent,
        [
            "GET https://code.example.com/gitlab/api/v4/user/keys?per_page=100&page=1",
            "GET https://code.example.com/gitlab/api/v4/user/keys?per_page=100&page=2",
        ]
    );
    let rows: Vec<_> = keys
        .unwrap()
        .into_iter()
        .map(|key| (key.id, key.blob, key.expires_at, key.usage))
        .collect();
    let end = Some(1_896_048_000);
    assert_eq!(
        rows,
        [
            ("11".into(), LAPTOP.into(), end, Usage::Auth),
            ("12".into(), OURS.into(), None, Usage::AuthAndSigning),
            ("13".into(), LAPTOP.into(), end, Usage::Signing),
        ]
    );
    let call = kind("gitlab").list_keys(&own(), Usage::Auth).unwrap();
    let old = read(call, "gitlab/keys-old-version").unwrap();
    assert_eq!(old[0].usage, Usage::AuthAndSigning);
}

#[test]
fn adds_a_key_for_its_usage() {
    let call = add(Usage::AuthAndSigning);
    assert_eq!(
        json(&call),
        json!({
            "title": "Forgepass",
            "key": format!("ssh-ed25519 {OURS} ann"),
            "usage_type": "auth_and_signing",
        })
    );
    assert_eq!(
        read(call, "gitlab/key-added").unwrap().usage,
        Usage::AuthAndSigning
    );
    // A retired key is deleted and added again for its old signatures alone.
    let call = add(kind("gitlab").retired_usage().unwrap());
    assert_eq!(json(&call)["usage_type"], "signing");
    assert_eq!(
        read(call, "gitlab/key-added-signing").unwrap().usage,
        Usage::Signing
    );
    let long = "x".repeat(300);
    let call = kind("gitlab")
        .add_key(&own(), &long, "ssh-ed25519 A c", Usage::Auth)
        .unwrap();
    assert_eq!(json(&call)["title"].as_str().unwrap().len(), 255);
}

#[test]
fn tells_a_duplicate_key_from_a_refused_one() {
    let refused = |why: &str| Refusal::KeyRefused(why.into());
    refuses(
        || add(Usage::AuthAndSigning),
        &[
            ("gitlab/key-duplicate", Refusal::DuplicateKey),
            ("gitlab/key-duplicate-old", Refusal::DuplicateKey),
            (
                "gitlab/key-forbidden-type",
                refused("key type is forbidden. Must be RSA or ED25519"),
            ),
            (
                "gitlab/key-needs-expiry",
                refused("expires_at must be present, must be before 2026-01-01"),
            ),
            (
                "gitlab/key-title-taken-by-text",
                refused("400 Bad request - title has already been taken"),
            ),
            (
                "gitlab/insufficient-scope",
                Refusal::MissingScope("api".into()),
            ),
        ],
    );
}

#[test]
fn deletes_a_key_that_may_be_gone() {
    let delete = || {
        kind("gitlab")
            .delete_key(&own(), "12", Usage::AuthAndSigning)
            .unwrap()
    };
    let line = format!("{} {}", delete().method, delete().url);
    assert_eq!(
        line,
        "DELETE https://code.example.com/gitlab/api/v4/user/keys/12"
    );
    assert_eq!(read(delete(), "gitlab/deleted"), Ok(()));
    assert_eq!(read(delete(), "gitlab/not-found"), Ok(()));
    assert_eq!(
        read(delete(), "gitlab/token-revoked"),
        Err(Refusal::TokenRejected)
    );
}

#[test]
fn revokes_with_the_client_in_the_body() {
    let revoke = || {
        kind("gitlab")
            .revoke(&own(), &client(), &"dead".into())
            .unwrap()
    };
    assert_eq!(
        revoke().url.as_str(),
        "https://code.example.com/gitlab/oauth/revoke"
    );
    assert!(matches!(revoke().auth, Auth::None));
    let fields = [
        ("token", "dead"),
        ("client_id", "our-id"),
        ("client_secret", "our-secret"),
    ];
    assert_eq!(form(&revoke()), fields);
    assert_eq!(read(revoke(), "gitlab/revoked"), Ok(()));
    let refusal = read(revoke(), "gitlab/revoke-wrong-client").unwrap_err();
    assert_eq!(refusal.refresh_fault(), Fault::Admin);
}

#[test]
fn probes_without_authentication() {
    let probe = || kind("gitlab").probe(&own()).unwrap();
    assert!(matches!(probe().auth, Auth::None));
    assert_eq!(
        read(probe(), "gitlab/version").unwrap().version.as_deref(),
        Some("18.1.1-ee")
    );
    assert_eq!(
        read(probe(), "gitlab/version-to-strangers")
            .unwrap()
            .product,
        "GitLab"
    );
    for other in [
        "gitlab/not-gitlab",
        "gitlab/maintenance",
        "github/bad-credentials",
    ] {
        assert!(
            matches!(read(probe(), other), Err(Refusal::Shape(_))),
            "{other}"
        );
    }
}

#[test]
fn the_guide_ticks_everything_and_says_what_api_alone_means() {
    let ours = forge::Ours {
        name: "Forgepass".into(),
        homepage: url("https://forgepass.example.com"),
        callback: client().callback,
        consumer_key: String::new(),
        public_key: None,
        url: Some(url("https://code.example.com/gitlab")),
    };
    let steps = kind("gitlab").guide(&ours);
    let value = |field: &str| {
        let mut values = steps.iter().flat_map(|step| &step.values);
        values
            .find(|(name, _)| name == field)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(
        value("Scopes"),
        Some("api read_user read_repository write_repository")
    );
    assert_eq!(value("Confidential"), Some("ticked"));
    assert_eq!(
        value("Redirect URI"),
        Some("https://forgepass.example.com/oauth/callback")
    );
    let text = steps
        .iter()
        .map(|step| step.text.as_str())
        .collect::<String>();
    assert!(text.contains("narrowing switched off"), "{text}");
}
