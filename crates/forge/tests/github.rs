//! GitHub's replies, and what we make of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{
    LAPTOP, OURS, client, form, header, json, kind, plain, play, read, refuses, reply, site, url,
};
use forge::{Auth, Call, Email, Purpose, Refusal, RemoteKey, Site, Tokens, Usage};
use http::StatusCode;
use secrecy::ExposeSecret;
use serde_json::json;

fn com() -> Site {
    site(kind("github"), "https://github.com")
}

fn list() -> Call<Vec<RemoteKey>> {
    kind("github").list_keys(&com(), Usage::Auth).unwrap()
}

fn add() -> Call<RemoteKey> {
    kind("github")
        .add_key(
            &com(),
            "Forgepass",
            &format!("ssh-ed25519 {OURS} c"),
            Usage::Auth,
        )
        .unwrap()
}

fn refresh() -> Call<Tokens> {
    kind("github")
        .oauth2(&com())
        .unwrap()
        .refresh(&client(), &"ghr_old".into())
}

#[test]
fn finds_the_api_of_each_sort_of_installation() {
    for (base, api, page) in [
        (
            "https://github.com",
            "https://api.github.com/",
            "https://github.com/settings/keys",
        ),
        (
            "https://acme.ghe.com",
            "https://api.acme.ghe.com/",
            "https://acme.ghe.com/settings/keys",
        ),
        (
            "https://git.example.com:8443",
            "https://git.example.com:8443/api/v3",
            "https://git.example.com:8443/settings/keys",
        ),
    ] {
        let site = site(kind("github"), base);
        assert_eq!(site.api.as_str(), api);
        assert_eq!(site.git, Some(url(base)));
        assert_eq!(kind("github").key_page(&site).unwrap().as_str(), page);
    }
    let defaults = kind("github").defaults(&url("https://github.com")).unwrap();
    assert_eq!(defaults.ssh_addresses, ["github.com", "ssh.github.com:443"]);
    assert_eq!(defaults.host_keys.len(), 3);
    let defaults = kind("github")
        .defaults(&url("https://git.example.com:8443"))
        .unwrap();
    assert_eq!(defaults.ssh_addresses, ["git.example.com"]);
    assert!(defaults.host_keys.is_empty());
}

#[test]
fn refuses_addresses_that_people_enter_by_mistake() {
    for (wrong, hint) in [
        ("https://api.github.com", "https://github.com"),
        ("https://www.github.com", "https://github.com"),
        ("https://api.acme.ghe.com", "your own GitHub"),
        ("https://github.com/acme", "https://github.com alone"),
    ] {
        let why = kind("github").defaults(&url(wrong)).unwrap_err();
        assert!(why.contains(hint), "{why}");
    }
}

#[test]
fn asks_for_consent_with_pkce_and_the_scopes_of_the_purpose() {
    let oauth = kind("github").oauth2(&com()).unwrap();
    let scopes = kind("github").scopes(Some(Purpose::Git));
    let page = oauth.authorize_url(&client(), "st-ate_1", "ch4llenge", scopes);
    assert_eq!(
        page.as_str(),
        "https://github.com/login/oauth/authorize?response_type=code&client_id=our-id\
         &redirect_uri=https%3A%2F%2Fforgepass.example.com%2Foauth%2Fcallback\
         &scope=repo+workflow&state=st-ate_1&code_challenge=ch4llenge&code_challenge_method=S256"
    );
}

#[test]
fn sends_the_client_secret_in_the_body_and_asks_for_json() {
    let oauth = kind("github").oauth2(&com()).unwrap();
    let call = oauth.exchange(&client(), &"c0de".into(), &"v3rifier".into());
    assert_eq!(
        call.url.as_str(),
        "https://github.com/login/oauth/access_token"
    );
    assert!(matches!(call.auth, Auth::None));
    assert_eq!(header(&call, "accept"), Some("application/json"));
    assert_eq!(
        form(&call),
        [
            ("grant_type", "authorization_code"),
            ("code", "c0de"),
            (
                "redirect_uri",
                "https://forgepass.example.com/oauth/callback"
            ),
            ("code_verifier", "v3rifier"),
            ("client_id", "our-id"),
            ("client_secret", "our-secret"),
        ]
    );
    assert_eq!(
        form(&refresh()),
        [
            ("grant_type", "refresh_token"),
            ("refresh_token", "ghr_old"),
            ("client_id", "our-id"),
            ("client_secret", "our-secret"),
        ]
    );
}

#[test]
fn reads_tokens_with_comma_separated_scopes_and_without_an_end() {
    let tokens = read(refresh(), "github/tokens").unwrap();
    assert!(tokens.access.expose_secret().starts_with("gho_"));
    assert!(tokens.refresh.is_none());
    assert_eq!(tokens.expires_in_s, None);
    let scopes = [
        "admin:public_key",
        "admin:ssh_signing_key",
        "read:user",
        "user:email",
    ];
    assert_eq!(tokens.scopes.unwrap(), scopes);
    let tokens = read(refresh(), "github/tokens-expiring").unwrap();
    assert_eq!(tokens.expires_in_s, Some(28800));
    assert!(tokens.refresh.unwrap().expose_secret().starts_with("ghr_"));
    assert_eq!(tokens.scopes, Some(Vec::new()));
}

#[test]
fn sees_a_refused_grant_behind_status_200() {
    let ok = StatusCode::OK;
    let refused = |error: &str, description: &str| Refusal::OAuth {
        error: error.into(),
        description: description.into(),
        status: ok,
    };
    refuses(
        refresh,
        &[
            (
                "github/tokens-bad-code",
                refused(
                    "bad_verification_code",
                    "The code passed is incorrect or expired.",
                ),
            ),
            (
                "github/tokens-bad-refresh",
                refused(
                    "bad_refresh_token",
                    "The refresh token passed is incorrect or expired.",
                ),
            ),
            (
                "github/tokens-wrong-secret",
                refused(
                    "incorrect_client_credentials",
                    "The client_id and/or client_secret passed are incorrect.",
                ),
            ),
            (
                "github/tokens-none",
                Refusal::Shape("no access token".into()),
            ),
            (
                "github/unicorn",
                Refusal::Shape("a web page instead of tokens".into()),
            ),
        ],
    );
}

#[test]
fn knows_the_account_its_verified_addresses_and_its_scopes() {
    let call = kind("github").whoami(&com()).unwrap();
    assert_eq!(header(&call, "accept"), Some("application/vnd.github+json"));
    assert_eq!(header(&call, "x-github-api-version"), Some("2022-11-28"));
    let (sent, account) = play(call, &["github/user", "github/emails"]);
    assert_eq!(
        sent,
        [
            "GET https://api.github.com/user",
            "GET https://api.github.com/user/emails"
        ]
    );
    let account = account.unwrap();
    assert_eq!(
        (account.id.as_str(), account.login.as_str()),
        ("583231", "ann")
    );
    assert_eq!(account.name.as_deref(), Some("Ann Example"));
    assert_eq!(
        account.noreply.as_deref(),
        Some("583231+ann@users.noreply.github.com")
    );
    let addresses: Vec<&str> = account
        .emails
        .iter()
        .map(|email| email.address.as_str())
        .collect();
    assert_eq!(
        addresses,
        ["ann@example.com", "583231+ann@users.noreply.github.com"]
    );
    assert!(account.emails.iter().all(|email| email.verified) && account.emails[0].primary);
    let scopes = [
        "admin:public_key",
        "admin:ssh_signing_key",
        "read:user",
        "user:email",
    ];
    assert_eq!(account.granted.unwrap(), scopes);
}

#[test]
fn does_not_ask_for_addresses_that_the_git_token_may_not_see() {
    let call = kind("github").whoami(&com()).unwrap();
    let account = read(call, "github/user-git-scopes").unwrap();
    assert_eq!(account.granted.unwrap(), ["repo", "workflow"]);
    let public = Email {
        address: "ann@example.com".into(),
        verified: false,
        primary: true,
    };
    assert_eq!(account.emails, [public]);
}

#[test]
fn knows_the_account_even_if_its_addresses_are_refused() {
    for refused in ["github/not-found", "github/not-found-scope"] {
        let call = kind("github").whoami(&com()).unwrap();
        let account = play(call, &["github/user", refused]).1.unwrap();
        assert_eq!((account.login.as_str(), account.emails.len()), ("ann", 0));
    }
    let call = kind("github").whoami(&com()).unwrap();
    let limited = play(call, &["github/user", "github/rate-limit-primary"])
        .1
        .unwrap_err();
    assert_eq!(
        limited,
        Refusal::RateLimited {
            retry_after_s: Some(3600)
        }
    );
}

#[test]
fn private_commit_addresses_of_an_enterprise_server_have_its_host() {
    let kind = kind("github");
    let call = kind.whoami(&site(kind, "https://git.example.com")).unwrap();
    assert_eq!(call.url.as_str(), "https://git.example.com/api/v3/user");
    let account = read(call, "github/user-git-scopes").unwrap();
    assert_eq!(
        account.noreply.unwrap(),
        "583231+ann@users.noreply.git.example.com"
    );
}

#[test]
fn tells_a_dead_token_from_everything_else() {
    let whoami = || kind("github").whoami(&com()).unwrap();
    let blocked = |text: &str| Refusal::Blocked(text.into());
    refuses(
        whoami,
        &[
            ("github/bad-credentials", Refusal::TokenRejected),
            (
                "github/suspended",
                blocked("Sorry. Your account was suspended. Please contact GitHub Support."),
            ),
            (
                "github/rate-limit-primary",
                Refusal::RateLimited {
                    retry_after_s: Some(3600),
                },
            ),
            (
                "github/rate-limit-secondary",
                Refusal::RateLimited {
                    retry_after_s: Some(60),
                },
            ),
            (
                "github/rate-limit-429",
                Refusal::RateLimited {
                    retry_after_s: Some(45),
                },
            ),
            (
                "github/rate-limit-without-headers",
                Refusal::RateLimited {
                    retry_after_s: None,
                },
            ),
            ("github/unicorn", Refusal::Status(StatusCode::BAD_GATEWAY)),
            (
                "github/sign-in-page",
                Refusal::Shape("a web page instead of data".into()),
            ),
            (
                "github/sign-in-page-401",
                Refusal::Status(StatusCode::UNAUTHORIZED),
            ),
        ],
    );
}

#[test]
fn tells_an_organisation_that_forbids_the_app_and_one_that_wants_saml() {
    let refusal = read(list(), "github/app-restricted").unwrap_err();
    let Refusal::Blocked(why) = refusal else {
        panic!("{refusal:?}")
    };
    assert!(
        why.contains("`acme` organization has enabled OAuth App access restrictions"),
        "{why}"
    );
    assert_eq!(
        read(list(), "github/saml").unwrap_err(),
        Refusal::NeedsAuthorization {
            message: "Resource protected by organization SAML enforcement. You must grant your OAuth token access to this organization.".into(),
            page: Some(url("https://github.com/orgs/acme/sso?authorization_request=AZSCKtL4U8yX1H3sCQIVnVgmjmon5fWxks5YrqhJgah0b2tlbl9pZM4EuMz4")),
        }
    );
    // A partial list is a list.
    assert_eq!(read(list(), "github/keys-partial-sso").unwrap().len(), 1);
}

#[test]
fn lists_keys_over_all_pages() {
    let (sent, keys) = play(list(), &["github/keys-page-1", "github/keys-page-2"]);
    assert_eq!(
        sent,
        [
            "GET https://api.github.com/user/keys?per_page=100",
            "GET https://api.github.com/user/keys?per_page=100&page=2",
        ]
    );
    let key = |id: &str, blob: &str, title: &str| RemoteKey {
        id: id.into(),
        blob: blob.into(),
        title: title.into(),
        expires_at: None,
        usage: Usage::Auth,
    };
    assert_eq!(
        keys.unwrap(),
        [key("1", LAPTOP, "laptop"), key("2", OURS, "Forgepass")]
    );
}

#[test]
fn takes_the_token_to_no_other_address_for_the_next_page() {
    let refusal = read(list(), "github/keys-next-elsewhere").unwrap_err();
    assert_eq!(
        refusal,
        Refusal::Shape("the next page is at another address".into())
    );
}

#[test]
fn keeps_authentication_and_signing_keys_in_two_lists() {
    assert_eq!(kind("github").usages(), [Usage::Auth, Usage::Signing]);
    assert_eq!(kind("github").retired_usage(), Some(Usage::Signing));
    let line = format!("ssh-ed25519 {OURS} ann");
    let call = kind("github")
        .add_key(&com(), "Forgepass", &line, Usage::Signing)
        .unwrap();
    assert_eq!(
        call.url.as_str(),
        "https://api.github.com/user/ssh_signing_keys"
    );
    assert_eq!(json(&call), json!({ "title": "Forgepass", "key": line }));
    let key = read(call, "github/signing-key-added").unwrap();
    assert_eq!(
        (key.id.as_str(), key.blob.as_str(), key.usage),
        ("7", OURS, Usage::Signing)
    );
    let call = kind("github").list_keys(&com(), Usage::Signing).unwrap();
    assert_eq!(call.url.path(), "/user/ssh_signing_keys");
    let call = kind("github")
        .delete_key(&com(), "7", Usage::Signing)
        .unwrap();
    assert_eq!(
        format!("{} {}", call.method, call.url.path()),
        "DELETE /user/ssh_signing_keys/7"
    );
    assert_eq!(read(add(), "github/key-added").unwrap().id, "2");
}

#[test]
fn tells_a_duplicate_key_from_a_bad_one() {
    let refused = |why: &str| Refusal::KeyRefused(why.into());
    refuses(
        add,
        &[
            ("github/key-duplicate", Refusal::DuplicateKey),
            (
                "github/key-invalid",
                refused("key is invalid. You must supply a key in OpenSSH public key format"),
            ),
            (
                "github/key-refused-without-detail",
                refused("Validation Failed"),
            ),
            (
                "github/forbidden-scope",
                Refusal::MissingScope("admin:public_key or write:public_key".into()),
            ),
            (
                "github/not-found-scope",
                Refusal::MissingScope("admin:public_key".into()),
            ),
        ],
    );
}

#[test]
fn a_key_is_gone_only_if_the_token_could_have_seen_it() {
    let delete = || kind("github").delete_key(&com(), "2", Usage::Auth).unwrap();
    assert_eq!(read(delete(), "github/deleted"), Ok(()));
    assert_eq!(read(delete(), "github/not-found"), Ok(()));
    let lacks = Refusal::MissingScope("admin:public_key".into());
    assert_eq!(read(delete(), "github/not-found-scope"), Err(lacks.clone()));
    assert_eq!(
        read(delete(), "github/not-found-without-accepted"),
        Err(lacks)
    );
    assert_eq!(
        read(delete(), "github/bad-credentials"),
        Err(Refusal::TokenRejected)
    );
}

#[test]
fn revokes_the_token_alone_and_never_the_whole_grant() {
    let revoke = || {
        kind("github")
            .revoke(&com(), &client(), &"gho_dead".into())
            .unwrap()
    };
    let call = revoke();
    let line = format!("{} {}", call.method, call.url);
    assert_eq!(
        line,
        "DELETE https://api.github.com/applications/our-id/token"
    );
    assert_eq!(json(&call), json!({ "access_token": "gho_dead" }));
    let Auth::Basic(name, secret) = &call.auth else {
        panic!("{:?}", call.auth)
    };
    assert_eq!(
        (name.as_str(), secret.expose_secret()),
        ("our-id", "our-secret")
    );
    assert_eq!(read(revoke(), "github/deleted"), Ok(()));
    assert_eq!(read(revoke(), "github/token-missing"), Ok(()));
    // 401 here is about our secret, not about the person's token.
    let refusal = read(revoke(), "github/client-rejected").unwrap_err();
    assert_eq!(refusal.refresh_fault(), forge::Fault::Admin);
}

#[test]
fn resets_a_token_in_place() {
    let reset = || {
        kind("github")
            .reset(&com(), &client(), &"gho_old".into())
            .unwrap()
    };
    let call = reset();
    let line = format!("{} {}", call.method, call.url);
    assert_eq!(
        line,
        "PATCH https://api.github.com/applications/our-id/token"
    );
    assert_eq!(json(&call), json!({ "access_token": "gho_old" }));
    let tokens = read(reset(), "github/token-reset").unwrap();
    assert_eq!(tokens.access.expose_secret(), "gho_new");
    assert_eq!(tokens.scopes.unwrap(), ["repo", "workflow"]);
    assert_eq!(
        read(reset(), "github/token-missing").unwrap_err(),
        Refusal::NotFound
    );
}

#[test]
fn recognises_key_rights_among_scopes() {
    let holds = |scopes: &[&str]| {
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        kind("github").holds_key_rights(&scopes)
    };
    for scope in [
        "admin:public_key",
        "write:public_key",
        "admin:ssh_signing_key",
        "write:ssh_signing_key",
    ] {
        assert!(holds(&["repo", scope]), "{scope}");
    }
    assert!(!holds(&[
        "repo",
        "workflow",
        "read:public_key",
        "admin:org",
        "write:packages"
    ]));
}

#[test]
fn probes_without_authentication() {
    let probe = || kind("github").probe(&com()).unwrap();
    assert!(matches!(probe().auth, Auth::None));
    assert_eq!(probe().url.as_str(), "https://api.github.com/meta");
    assert_eq!(read(probe(), "github/meta-com").unwrap().product, "GitHub");
    let enterprise = read(probe(), "github/meta-enterprise").unwrap();
    assert_eq!(enterprise.product, "GitHub Enterprise Server");
    assert_eq!(enterprise.version.as_deref(), Some("3.19.0"));
    assert_eq!(
        read(probe(), "github/meta-private-mode").unwrap().version,
        None
    );
    for other in [
        reply("github/sign-in-page"),
        plain(404, "{\"message\":\"Not Found\"}"),
    ] {
        assert!(matches!(probe().read(other), Err(Refusal::Shape(_))));
    }
}
