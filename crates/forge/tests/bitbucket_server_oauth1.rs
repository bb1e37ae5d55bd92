//! Bitbucket Server over OAuth 1.0a: the dance, its problems, and the tokens minted for Git.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{account, client, json, kind, plain, play, read, refuses, reply, site, url};
use forge::{Auth, Call, Kind, Minted, MintedId, Ours, Refusal, Site, Tokens, Usage};
use http::StatusCode;
use secrecy::ExposeSecret;
use serde_json::json;

const BASE: &str = "https://code.example.com/bitbucket";

fn v1() -> &'static dyn Kind {
    kind("bitbucket-server-oauth1")
}

fn own() -> Site {
    site(v1(), BASE)
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
