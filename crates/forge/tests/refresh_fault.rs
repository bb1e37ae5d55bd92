//! Whose fault a refused refresh is: one table of every case.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{client, kind, plain, reply, site};
use forge::Fault::{self, Admin, Suspect, Transient, User};
use forge::{Refusal, Reply};
use http::StatusCode;

fn oauth(error: &str, status: u16) -> Refusal {
    Refusal::OAuth {
        error: error.into(),
        description: String::new(),
        status: StatusCode::from_u16(status).unwrap(),
    }
}

#[test]
fn each_refusal_has_its_fault() {
    let rows: &[(Refusal, Fault)] = &[
        // OAuth 2.0: only a new link helps.
        (oauth("bad_refresh_token", 200), User),
        (oauth("invalid_grant", 400), User),
        (oauth("invalid_grant", 401), User),
        (oauth("unauthorized_client", 400), User),
        (oauth("unsupported_grant_type", 400), User),
        // The client secret is wrong or was renewed.
        (oauth("incorrect_client_credentials", 200), Admin),
        (oauth("invalid_client", 401), Admin),
        (oauth("invalid_client", 400), Admin),
        (oauth("unauthorized_client", 401), Admin),
        (oauth("unauthorized_client", 403), Admin),
        (oauth("application_suspended", 200), Admin),
        (oauth("redirect_uri_mismatch", 200), Admin),
        // A server in trouble proves nothing, whatever it says.
        (oauth("invalid_grant", 500), Transient),
        (oauth("invalid_grant", 503), Transient),
        (oauth("invalid_client", 502), Transient),
        (oauth("invalid_grant", 429), Transient),
        // A 403 is never a dead token.
        (oauth("invalid_grant", 403), Transient),
        (oauth("slow_down", 200), Transient),
        (oauth("temporarily_unavailable", 503), Transient),
        // An error we do not know is no better than its status.
        (oauth("strange", 400), Suspect),
        (oauth("strange", 200), Transient),
        // OAuth 1.0a.
        (oauth("token_rejected", 401), User),
        (oauth("token_expired", 401), User),
        (oauth("token_used", 401), User),
        (oauth("permission_denied", 401), User),
        (oauth("permission_unknown", 401), User),
        (oauth("additional_authorization_required", 401), User),
        (oauth("parameter_absent", 400), User),
        (oauth("parameter_rejected", 400), User),
        (oauth("version_rejected", 400), User),
        (oauth("consumer_key_unknown", 401), Admin),
        (oauth("signature_invalid", 401), Admin),
        (oauth("signature_method_rejected", 401), Admin),
        (oauth("timestamp_refused", 401), Admin),
        (oauth("nonce_used", 401), Transient),
        // Bare statuses.
        (Refusal::Status(StatusCode::BAD_REQUEST), Suspect),
        (Refusal::Status(StatusCode::UNAUTHORIZED), Suspect),
        (Refusal::TokenRejected, Suspect),
        (Refusal::Status(StatusCode::FORBIDDEN), Transient),
        (Refusal::Status(StatusCode::NOT_FOUND), Transient),
        (
            Refusal::Status(StatusCode::INTERNAL_SERVER_ERROR),
            Transient,
        ),
        (Refusal::Status(StatusCode::BAD_GATEWAY), Transient),
        (Refusal::Status(StatusCode::SERVICE_UNAVAILABLE), Transient),
        (Refusal::Status(StatusCode::GATEWAY_TIMEOUT), Transient),
        // Everything else keeps the tokens.
        (
            Refusal::RateLimited {
                retry_after_s: Some(9),
            },
            Transient,
        ),
        (Refusal::Shape("no access token".into()), Transient),
        (Refusal::Blocked("suspended".into()), Transient),
        (Refusal::MissingScope("api".into()), Transient),
        (
            Refusal::NeedsAuthorization {
                message: String::new(),
                page: None,
            },
            Transient,
        ),
        (Refusal::NotFound, Transient),
        (Refusal::DuplicateKey, Transient),
        (Refusal::KeyRefused(String::new()), Transient),
    ];
    for (refusal, fault) in rows {
        assert_eq!(refusal.refresh_fault(), *fault, "{refusal:?}");
    }
}

#[test]
fn a_description_can_turn_unauthorized_client_into_the_admins() {
    for (description, fault) in [
        ("invalid client secret", Admin),
        (
            "The client is not authorized to perform this request using this method.",
            Admin,
        ),
        ("token was already used", User),
        ("unable to parse refresh token", User),
        ("client is not authorized", User),
    ] {
        let refusal = Refusal::OAuth {
            error: "unauthorized_client".into(),
            description: description.into(),
            status: StatusCode::BAD_REQUEST,
        };
        assert_eq!(refusal.refresh_fault(), fault, "{description}");
    }
}

/// The same through each kind's own refresh call and real replies.
#[test]
fn each_recorded_reply_to_a_refresh_has_its_fault() {
    let rows: &[(&str, Reply, Fault)] = &[
        ("github", reply("github/tokens-bad-refresh"), User),
        ("github", reply("github/tokens-wrong-secret"), Admin),
        ("github", reply("github/tokens-none"), Transient),
        ("github", reply("github/unicorn"), Transient),
        ("github", reply("github/sign-in-page"), Transient),
        ("github", reply("github/sign-in-page-401"), Transient),
        ("gitlab", reply("gitlab/tokens-invalid-grant"), User),
        ("gitlab", reply("gitlab/tokens-invalid-client"), Admin),
        ("gitlab", reply("gitlab/tokens-unauthorized-client"), Admin),
        ("gitlab", reply("gitlab/rate-limit"), Transient),
        ("gitlab", reply("gitlab/maintenance"), Transient),
        (
            "bitbucket-server",
            reply("bitbucket-server/tokens-invalid-grant"),
            User,
        ),
        (
            "bitbucket-server",
            reply("bitbucket-server/tokens-invalid-client"),
            Admin,
        ),
        (
            "bitbucket-server",
            reply("bitbucket-server/setup-page"),
            Transient,
        ),
        ("gitlab", plain(200, ""), Transient),
        ("gitlab", plain(200, "{}"), Transient),
        ("gitlab", plain(200, "{\"access_token\":\"\"}"), Transient),
        ("gitlab", plain(200, "{\"error\":7}"), Transient),
        ("gitlab", plain(400, ""), Suspect),
        (
            "gitlab",
            plain(401, "{\"message\":\"401 Unauthorized\"}"),
            Suspect,
        ),
        ("gitlab", plain(400, "<html>"), Transient),
        ("gitlab", plain(403, "no"), Transient),
        ("gitlab", plain(429, ""), Transient),
        (
            "gitlab",
            plain(500, "{\"error\":\"invalid_grant\"}"),
            Transient,
        ),
    ];
    for (id, reply, fault) in rows {
        let kind = kind(id);
        let oauth = kind
            .oauth2(&site(kind, "https://code.example.com"))
            .unwrap();
        let refusal = oauth
            .refresh(&client(), &"rt".into())
            .read(reply.clone())
            .unwrap_err();
        assert_eq!(refusal.refresh_fault(), *fault, "{id} {refusal:?}");
    }
}
