//! Bitbucket Server's replies over OAuth 2.0 and 1.0a, and what we make of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{
    LAPTOP, OURS, account, client, form, header, json, kind, plain, play, read, refuses, reply,
    site, url,
};
use forge::{
    Account, Auth, AuthStyle, Call, Email, Kind, Minted, MintedId, Narrowing, Ours, Purpose,
    Refusal, RemoteKey, Site, SshSettings, Tokens, Usage,
};
use http::StatusCode;
use secrecy::ExposeSecret;
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

fn mint() -> Call<Minted> {
    v1().mint(
        &own(),
        &account("101", "ann"),
        "forgepass-example.com-ann",
        90,
    )
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
fn runs_the_three_legs_of_oauth1() {
    let oauth = v1().oauth1(&own()).unwrap();
    let call = oauth.request_token(&url(
        "https://forgepass.example.com/oauth/callback?state=s-1",
    ));
    assert_eq!(
        call.url.path(),
        "/bitbucket/plugins/servlet/oauth/request-token"
    );
    let Auth::Signed { token: None, extra } = &call.auth else {
        panic!("{:?}", call.auth)
    };
    let callback = "https://forgepass.example.com/oauth/callback?state=s-1";
    assert_eq!(extra, &[("oauth_callback", callback.to_owned())]);
    let request = read(call, "bitbucket-server-oauth1/request-token").unwrap();
    assert_eq!(request.access.expose_secret(), "rt8yXyQmTz");
    assert_eq!(request.token_secret.unwrap().expose_secret(), "s3cr+et");
    let page = oauth.authorize_url("rt8yXyQmTz");
    assert_eq!(
        page.as_str(),
        "https://code.example.com/bitbucket/plugins/servlet/oauth/authorize?oauth_token=rt8yXyQmTz"
    );
    let call = oauth.access_token(&request.access, &"v3rIfy".into());
    let Auth::Signed {
        token: Some(token),
        extra,
    } = &call.auth
    else {
        panic!("{:?}", call.auth)
    };
    assert_eq!(token.expose_secret(), "rt8yXyQmTz");
    assert_eq!(extra, &[("oauth_verifier", "v3rIfy".to_owned())]);
    let tokens = read(call, "bitbucket-server-oauth1/access-token").unwrap();
    assert_eq!(tokens.access.expose_secret(), "atKq0PlWnE");
    assert_eq!(tokens.expires_in_s, Some(157_680_000));
    assert_eq!(tokens.session_handle.unwrap().expose_secret(), "sh1");
}

#[test]
fn names_the_problem_of_a_refused_oauth1_step() {
    let leg = || -> Call<Tokens> {
        let oauth = v1().oauth1(&own()).unwrap();
        oauth.access_token(&"rt".into(), &"v".into())
    };
    let problem = |error: &str, status: StatusCode, description: &str| Refusal::OAuth {
        error: error.into(),
        description: description.into(),
        status,
    };
    let unauthorized = StatusCode::UNAUTHORIZED;
    for code in [
        "consumer_key_unknown",
        "signature_invalid",
        "token_rejected",
        "token_expired",
        "nonce_used",
        "permission_denied",
        "permission_unknown",
    ] {
        let fixture = format!("bitbucket-server-oauth1/problem-{}", code.replace('_', "-"));
        assert_eq!(
            read(leg(), &fixture).unwrap_err(),
            problem(code, unauthorized, "")
        );
    }
    refuses(
        leg,
        &[
            (
                "bitbucket-server-oauth1/problem-timestamp-refused",
                problem("timestamp_refused", unauthorized, "clock differs"),
            ),
            (
                "bitbucket-server-oauth1/problem-parameter-absent",
                problem("parameter_absent", StatusCode::BAD_REQUEST, ""),
            ),
            (
                "bitbucket-server-oauth1/problem-in-header",
                problem("token_rejected", unauthorized, ""),
            ),
            (
                "bitbucket-server-oauth1/request-token-unconfirmed",
                Refusal::Shape("the callback was not confirmed".into()),
            ),
            (
                "bitbucket-server/setup-page",
                Refusal::Shape("a web page instead of tokens".into()),
            ),
        ],
    );
    for (reply, refusal) in [
        (plain(200, ""), Refusal::Shape("no token".into())),
        (
            plain(500, ""),
            Refusal::Status(StatusCode::INTERNAL_SERVER_ERROR),
        ),
        (
            plain(200, "oauth_problem=token_rejected"),
            problem("token_rejected", unauthorized, ""),
        ),
    ] {
        assert_eq!(leg().read(reply).unwrap_err(), refusal);
    }
}

#[test]
fn in_a_signed_api_call_only_token_problems_kill_the_token() {
    let list = || v1().list_keys(&own(), Usage::Auth).unwrap();
    for dead in [
        "problem-token-rejected",
        "problem-token-expired",
        "problem-in-header",
    ] {
        let fixture = format!("bitbucket-server-oauth1/{dead}");
        assert_eq!(
            read(list(), &fixture).unwrap_err(),
            Refusal::TokenRejected,
            "{dead}"
        );
    }
    for (fixture, fault) in [
        ("problem-signature-invalid", forge::Fault::Admin),
        ("problem-signature-in-header", forge::Fault::Admin),
        ("problem-timestamp-refused", forge::Fault::Admin),
        ("problem-consumer-key-unknown", forge::Fault::Admin),
        ("problem-nonce-used", forge::Fault::Transient),
    ] {
        let refusal = read(list(), &format!("bitbucket-server-oauth1/{fixture}")).unwrap_err();
        assert_eq!(refusal.refresh_fault(), fault, "{refusal:?}");
    }
}

#[test]
fn mints_a_token_for_git_in_the_name_of_the_account() {
    let found = [
        "bitbucket-server/users-page-1",
        "bitbucket-server/users-page-2",
    ];
    let with = |last| [found[0], found[1], last];
    let (sent, minted) = play(mint(), &with("bitbucket-server-oauth1/token-minted"));
    // The slug is Bitbucket's, not guessed from the name.
    assert_eq!(
        sent[2],
        "PUT https://code.example.com/bitbucket/rest/access-tokens/latest/users/ann_1"
    );
    let minted = minted.unwrap();
    assert_eq!(
        (minted.id.as_str(), minted.expires_at),
        ("252973515069", Some(1_707_776_000))
    );
    assert!(minted.token.expose_secret().starts_with("NTI3"));
    let endless = play(
        mint(),
        &with("bitbucket-server-oauth1/token-minted-without-end"),
    )
    .1;
    assert_eq!(endless.unwrap().expires_at, None);
    let without = play(
        mint(),
        &with("bitbucket-server-oauth1/token-minted-without-token"),
    )
    .1;
    assert_eq!(without.unwrap_err(), Refusal::Shape("no token".into()));
    let cap = play(mint(), &with("bitbucket-server-oauth1/token-cap"))
        .1
        .unwrap_err();
    let why = "The expiry of access tokens is limited to 30 days by the administrator.";
    assert_eq!(cap, Refusal::Blocked(why.into()));
}

#[test]
fn asks_for_repository_rights_alone_when_it_mints() {
    let mut call = mint();
    for page in [
        "bitbucket-server/users-page-1",
        "bitbucket-server/users-page-2",
    ] {
        let Ok(forge::Step::Then(next)) = call.read(reply(page)) else {
            panic!("{page}")
        };
        call = next;
    }
    assert_eq!(
        json(&call),
        json!({
            "name": "forgepass-example.com-ann",
            "permissions": ["PROJECT_READ", "REPO_WRITE"],
            "expiryDays": 90,
        })
    );
}

#[test]
fn mints_nothing_for_somebody_who_took_the_name_over() {
    let refusal = play(mint(), &["bitbucket-server/users-somebody-else"])
        .1
        .unwrap_err();
    assert_eq!(refusal, Refusal::NotFound);
}

#[test]
fn lists_and_deletes_minted_tokens() {
    let found = [
        "bitbucket-server/users-page-1",
        "bitbucket-server/users-page-2",
    ];
    let ann = account("101", "ann");
    let list = v1().list_minted(&own(), &ann).unwrap();
    let (_, tokens) = play(
        list,
        &[found[0], found[1], "bitbucket-server-oauth1/tokens-page"],
    );
    let named = |id: &str, name: &str| MintedId {
        id: id.into(),
        name: name.into(),
    };
    let expected = [
        named("252973515069", "forgepass-example.com-ann"),
        named("4712", "build"),
    ];
    assert_eq!(tokens.unwrap(), expected);
    let delete = v1().delete_minted(&own(), &ann, "252973515069").unwrap();
    let (sent, gone) = play(delete, &[found[0], found[1], "bitbucket-server/deleted"]);
    assert_eq!(
        sent[2],
        "DELETE https://code.example.com/bitbucket/rest/access-tokens/latest/users/ann_1/252973515069"
    );
    assert_eq!(gone, Ok(()));
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

#[test]
fn reads_where_ssh_listens() {
    let settings = || v2().ssh_settings(&own()).unwrap();
    assert_eq!(
        read(settings(), "bitbucket-server/ssh-settings").unwrap(),
        SshSettings {
            address: Some("code.example.com:7999".into()),
            fingerprint: Some("SHA256:ohD8VZEXGWo6Ez8GSEJQ9WpafgLFsOfLOtGGQCQo6Og".into()),
        }
    );
    let off = SshSettings {
        address: None,
        fingerprint: None,
    };
    assert_eq!(
        read(settings(), "bitbucket-server/ssh-disabled").unwrap(),
        off
    );
}

#[test]
fn the_guide_of_the_application_link_follows_its_form() {
    let ours = Ours {
        name: "Forgepass".into(),
        homepage: url("https://forgepass.example.com/"),
        callback: client().callback,
        consumer_key: "forgepass-key".into(),
        public_key: Some("-----BEGIN PUBLIC KEY-----".into()),
        url: Some(url(BASE)),
    };
    let steps = v1().guide(&ours);
    let fields: Vec<&str> = steps
        .iter()
        .flat_map(|step| &step.values)
        .map(|(field, _)| field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "Application URL",
            "Application Name",
            "Application Type",
            "Create incoming link",
            "Consumer Key",
            "Consumer Name",
            "Public Key",
        ]
    );
    let text = steps
        .iter()
        .map(|step| step.text.as_str())
        .collect::<String>();
    assert!(text.contains("No response was received"), "{text}");
    let before_key = v1().guide(&Ours {
        public_key: None,
        ..ours
    });
    assert!(
        before_key
            .iter()
            .flat_map(|step| &step.values)
            .all(|(_, v)| !v.starts_with("-----"))
    );
}
