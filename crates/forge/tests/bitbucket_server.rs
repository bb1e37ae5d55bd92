//! Bitbucket Server's replies, and what we make of them; its OAuth 1.0a has a file of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{LAPTOP, OURS, client, form, header, json, kind, play, read, refuses, site, url};
use forge::{
    Account, AuthStyle, Call, Email, Kind, Narrowing, Purpose, Refusal, RemoteKey, Site, Usage,
};
use serde_json::json;

const BASE: &str = "https://code.example.com/bitbucket";

fn v2() -> &'static dyn Kind {
    kind("bitbucket-server")
}

fn v1() -> &'static dyn Kind {
    kind("bitbucket-server-oauth1")
}

fn own() -> Site {
    site(v2(), BASE)
}

fn whoami() -> Call<Account> {
    v2().whoami(&own()).unwrap()
}

fn add() -> Call<RemoteKey> {
    let line = format!("ssh-ed25519 {OURS} Forgepass");
    v2().add_key(&own(), "Forgepass", &line, Usage::Auth)
        .unwrap()
}

#[test]
fn serves_a_context_path_and_its_own_ssh_port() {
    let defaults = v2().defaults(&url(BASE)).unwrap();
    assert_eq!(
        defaults.api.as_str(),
        "https://code.example.com/bitbucket/rest"
    );
    assert_eq!(defaults.git, Some(url(BASE)));
    assert_eq!(defaults.ssh_addresses, ["code.example.com:7999"]);
    let page = v1().key_page(&own()).unwrap();
    assert_eq!(page.path(), "/bitbucket/plugins/servlet/ssh/account/keys");
}

#[test]
fn refuses_bitbucket_cloud_and_says_what_to_do() {
    for kind in [v2(), v1()] {
        for cloud in [
            "https://bitbucket.org",
            "https://bitbucket.org/acme",
            "https://api.bitbucket.org",
        ] {
            let why = kind.defaults(&url(cloud)).unwrap_err();
            for part in [
                "Bitbucket Cloud",
                "`other-git`",
                "paste your key",
                "ssh-keys",
            ] {
                assert!(why.contains(part), "{why}");
            }
        }
    }
}

#[test]
fn narrows_by_a_second_consent_or_by_minting() {
    assert_eq!(
        (v2().auth(), v2().narrowing()),
        (AuthStyle::OAuth2, Narrowing::SecondConsent)
    );
    assert_eq!(
        (v1().auth(), v1().narrowing()),
        (AuthStyle::OAuth1, Narrowing::Mint)
    );
    assert_eq!(v2().scopes(Some(Purpose::Manage)), ["ACCOUNT_WRITE"]);
    assert_eq!(v2().scopes(Some(Purpose::Git)), ["REPO_WRITE"]);
    for scope in ["ACCOUNT_WRITE", "ADMIN_WRITE", "SYSTEM_ADMIN"] {
        assert!(
            v2().holds_key_rights(&["REPO_WRITE".into(), scope.into()]),
            "{scope}"
        );
    }
    assert!(!v2().holds_key_rights(&["REPO_WRITE".into(), "PROJECT_ADMIN".into()]));
    assert_eq!(v2().git_username("ann"), "x-token-auth");
    assert_eq!(v1().git_username("ann"), "ann");
}

#[test]
fn speaks_oauth2_without_pkce() {
    let oauth = v2().oauth2(&own()).unwrap();
    let page = oauth.authorize_url(&client(), "s", "c", v2().scopes(Some(Purpose::Git)));
    assert_eq!(page.path(), "/bitbucket/rest/oauth2/latest/authorize");
    assert!(!page.as_str().contains("challenge"), "{page}");
    let call = oauth.exchange(&client(), &"c0de".into(), &"v".into());
    assert!(form(&call).iter().all(|(name, _)| *name != "code_verifier"));
    let tokens = read(call, "bitbucket-server/tokens").unwrap();
    assert_eq!(
        (tokens.expires_in_s, tokens.scopes.unwrap().join(" ")),
        (Some(3600), "REPO_WRITE".into())
    );
    let refresh = oauth.refresh(&client(), &"old".into());
    assert!(form(&refresh).contains(&("redirect_uri", client().callback.as_str())));
    let revoke = v2().revoke(&own(), &client(), &"dead".into()).unwrap();
    assert_eq!(revoke.url.path(), "/bitbucket/rest/oauth2/latest/revoke");
    assert_eq!(read(revoke, "bitbucket-server/revoked"), Ok(()));
    assert!(v1().revoke(&own(), &client(), &"dead".into()).is_none());
}

#[test]
fn finds_the_account_by_its_exact_name_on_any_page() {
    let call = whoami();
    assert!(header(&call, "accept").unwrap().starts_with("text/plain"));
    let (sent, account) = play(
        call,
        &[
            "bitbucket-server/whoami",
            "bitbucket-server/users-page-1",
            "bitbucket-server/users-page-2",
        ],
    );
    assert_eq!(
        sent,
        [
            "GET https://code.example.com/bitbucket/plugins/servlet/applinks/whoami",
            "GET https://code.example.com/bitbucket/rest/api/latest/users?start=0&limit=100&filter=ann",
            "GET https://code.example.com/bitbucket/rest/api/latest/users?start=2&limit=100&filter=ann",
        ]
    );
    let account = account.unwrap();
    assert_eq!(
        (account.id.as_str(), account.login.as_str()),
        ("101", "ann")
    );
    // Nobody checked that this address is the person's.
    let email = Email {
        address: "ann@example.com".into(),
        verified: false,
        primary: true,
    };
    assert_eq!(account.emails, [email]);
}

#[test]
fn an_anonymous_answer_is_a_dead_token() {
    assert_eq!(
        read(whoami(), "bitbucket-server/whoami-anonymous"),
        Err(Refusal::TokenRejected)
    );
    assert_eq!(
        read(whoami(), "bitbucket-server/unauthorized"),
        Err(Refusal::TokenRejected)
    );
    let nobody = play(
        whoami(),
        &["bitbucket-server/whoami", "bitbucket-server/users-none"],
    )
    .1;
    assert_eq!(nobody, Err(Refusal::NotFound));
}

#[test]
fn a_list_without_an_end_is_refused() {
    let endless = play(
        whoami(),
        &["bitbucket-server/whoami", "bitbucket-server/users-endless"],
    )
    .1;
    assert!(matches!(endless, Err(Refusal::Shape(_))), "{endless:?}");
}

#[test]
fn tells_a_dead_token_from_everything_else() {
    let captcha = "Bitbucket wants you to sign in there once in the browser (CAPTCHA)";
    refuses(
        whoami,
        &[
            ("bitbucket-server/captcha", Refusal::Blocked(captcha.into())),
            (
                "bitbucket-server/forbidden",
                Refusal::Blocked("You are not permitted to access this resource".into()),
            ),
            (
                "bitbucket-server/rate-limit",
                Refusal::RateLimited {
                    retry_after_s: Some(7),
                },
            ),
            (
                "bitbucket-server/setup-page",
                Refusal::Shape("a web page instead of data".into()),
            ),
            ("bitbucket-server/not-found", Refusal::NotFound),
        ],
    );
}

#[test]
fn lists_keys_over_all_pages_with_their_end() {
    let list = || v2().list_keys(&own(), Usage::Auth).unwrap();
    let (sent, keys) = play(
        list(),
        &[
            "bitbucket-server/keys-page-1",
            "bitbucket-server/keys-page-2",
        ],
    );
    assert_eq!(
        sent,
        [
            "GET https://code.example.com/bitbucket/rest/ssh/latest/keys?start=0&limit=100",
            "GET https://code.example.com/bitbucket/rest/ssh/latest/keys?start=1&limit=100",
        ]
    );
    let key = |id: &str, blob: &str, title: &str, expires_at| RemoteKey {
        id: id.into(),
        blob: blob.into(),
        title: title.into(),
        expires_at,
        usage: Usage::Auth,
    };
    let end = Some(1_700_000_000 + 90 * 86_400);
    assert_eq!(
        keys.unwrap(),
        [
            key("21", LAPTOP, "laptop", None),
            key("22", OURS, "Forgepass", end)
        ]
    );
    let old = read(list(), "bitbucket-server/keys-old-version").unwrap();
    assert_eq!(old, [key("23", LAPTOP, "", None)]);
}

#[test]
fn adds_a_key_with_a_label_for_new_and_a_comment_for_old_versions() {
    let body = json!({ "text": format!("ssh-ed25519 {OURS} Forgepass"), "label": "Forgepass" });
    assert_eq!(json(&add()), body);
    assert_eq!(read(add(), "bitbucket-server/key-added").unwrap().id, "22");
    let why = "The SSH key is invalid: the minimum length for RSA keys is 2048 bits.";
    refuses(
        add,
        &[
            ("bitbucket-server/key-duplicate", Refusal::DuplicateKey),
            (
                "bitbucket-server/key-invalid",
                Refusal::KeyRefused(why.into()),
            ),
            ("bitbucket-server/unauthorized", Refusal::TokenRejected),
            (
                "bitbucket-server-oauth1/problem-token-rejected",
                Refusal::TokenRejected,
            ),
        ],
    );
}

#[test]
fn deletes_one_key_and_never_all() {
    let delete = |id: &str| v1().delete_key(&own(), id, Usage::Auth);
    let call = delete("22").unwrap();
    let line = format!("{} {}", call.method, call.url.path());
    assert_eq!(line, "DELETE /bitbucket/rest/ssh/latest/keys/22");
    assert_eq!(read(call, "bitbucket-server/deleted"), Ok(()));
    assert_eq!(
        read(delete("22").unwrap(), "bitbucket-server/not-found"),
        Ok(())
    );
    assert!(delete("").is_none());
}

#[test]
fn probes_the_software_and_for_oauth2_its_provider() {
    let (sent, probe) = play(
        v2().probe(&own()).unwrap(),
        &[
            "bitbucket-server/properties",
            "bitbucket-server/oauth2-there",
        ],
    );
    assert_eq!(
        sent[1],
        "GET https://code.example.com/bitbucket/rest/oauth2/1.0/client"
    );
    assert_eq!(probe.unwrap().version.as_deref(), Some("9.4.1"));
    let missing = [
        "bitbucket-server/properties",
        "bitbucket-server/oauth2-missing",
    ];
    let refusal = play(v2().probe(&own()).unwrap(), &missing).1.unwrap_err();
    let Refusal::Blocked(why) = refusal else {
        panic!("{refusal:?}")
    };
    assert!(why.contains("`bitbucket-server-oauth1`"), "{why}");
    assert!(read(v1().probe(&own()).unwrap(), "bitbucket-server/properties").is_ok());
    for other in [
        "bitbucket-server/properties-jira",
        "bitbucket-server/setup-page",
    ] {
        let refusal = read(v1().probe(&own()).unwrap(), other).unwrap_err();
        assert!(matches!(refusal, Refusal::Shape(_)), "{other}");
    }
}
