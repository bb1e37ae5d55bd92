//! Faults that a test arms for the next requests to an endpoint.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{log::Refused, state::State};

/// The part of a site that a fault is armed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    /// Every request but those of the control API.
    Any,
    /// The OAuth 2.0 token endpoint: exchange and refresh.
    Token,
    /// Revocation of tokens and authorizations.
    Revoke,
    /// OAuth 1.0a request token.
    RequestToken,
    /// OAuth 1.0a access token.
    AccessToken,
    /// Who the caller is, e-mail addresses included.
    User,
    /// SSH keys, reading and writing.
    Keys,
    /// Adding an SSH key.
    AddKey,
    /// Minted HTTP access tokens.
    MintedTokens,
    /// Git over HTTPS.
    Git,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "fault")]
pub enum Fault {
    /// 500 with a short text.
    ServerError,
    /// A bare status without a body.
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// 200 with an HTML page, as from a captive portal.
    Html,
    /// A status with an HTML page, as from a reverse proxy.
    HtmlStatus {
        /// The HTTP status.
        status: u16,
    },
    /// 200 with nothing in it.
    Empty,
    /// No answer for ten minutes.
    Hang,
    /// The request is carried out after this delay.
    Slow {
        /// Milliseconds to wait.
        ms: u64,
    },
    /// The request is carried out and its answer lost on the way (a bare 502 comes instead).
    LostReply,
    /// 200 with an OAuth error in JSON.
    OkWithError {
        /// The value of `error`.
        error: String,
    },
    /// 400 with an OAuth error in JSON.
    OAuthError {
        /// The value of `error`.
        error: String,
    },
    /// 200 with JSON that holds no token.
    NoToken,
    /// 403 or 429 with rate-limit headers.
    RateLimited {
        /// The HTTP status.
        status: u16,
        /// Seconds in `Retry-After`.
        retry_after_s: i64,
    },
    /// 403 with `X-GitHub-SSO`.
    Saml {
        /// Where the person authorises the token.
        url: String,
    },
    /// 403 with the text of an organisation that forbids the application.
    OrganisationForbidsApp {
        /// The organisation.
        organisation: String,
    },
    /// 403 for a suspended account.
    Suspended,
    /// A redirect to another host.
    RedirectTo {
        /// The target.
        url: String,
    },
    /// 200 with a body of this many bytes.
    Huge {
        /// Length of the body.
        bytes: usize,
    },
}

/// A fault in wait.
pub(crate) struct Armed {
    pub(crate) endpoint: Endpoint,
    pub(crate) fault: Fault,
    pub(crate) left: u32,
}

/// Takes the fault that is armed for this request, if any.
pub(crate) fn take(state: &mut State, method: &Method, path: &str) -> Option<Fault> {
    let place = state
        .faults
        .iter()
        .position(|armed| hits(armed.endpoint, method, path))?;
    let armed = &mut state.faults[place];
    let fault = armed.fault.clone();
    armed.left -= 1;
    if armed.left == 0 {
        state.faults.remove(place);
    }
    Some(fault)
}

fn hits(endpoint: Endpoint, method: &Method, path: &str) -> bool {
    let ends = |endings: &[&str]| endings.iter().any(|ending| path.ends_with(ending));
    let keys = ends(&["/user/keys", "/user/ssh_signing_keys"])
        || ["/user/keys/", "/user/ssh_signing_keys/"]
            .iter()
            .any(|part| path.contains(part))
        || path.contains("/rest/ssh/") && path.contains("/keys");
    match endpoint {
        Endpoint::Any => true,
        Endpoint::Token => {
            ends(&["/login/oauth/access_token", "/oauth/token"])
                || path.contains("/rest/oauth2/") && ends(&["/token"])
        }
        Endpoint::Revoke => {
            path.contains("/applications/")
                || ends(&["/oauth/revoke"])
                || path.contains("/rest/oauth2/") && ends(&["/revoke"])
        }
        Endpoint::RequestToken => ends(&["/oauth/request-token"]),
        Endpoint::AccessToken => ends(&["/oauth/access-token"]),
        Endpoint::User => {
            ends(&[
                "/user",
                "/user/emails",
                "/applinks/whoami",
                "/application-properties",
            ]) || path.contains("/rest/api/") && path.contains("/users")
        }
        Endpoint::Keys => keys,
        Endpoint::AddKey => keys && method == Method::POST,
        Endpoint::MintedTokens => path.contains("/rest/access-tokens/"),
        Endpoint::Git => ends(&["/info/refs", "/git-upload-pack", "/git-receive-pack"]),
    }
}

/// What to do about a fault.
pub(crate) enum Effect {
    /// Answer with this and carry nothing out.
    Instead(Response),
    /// Carry the request out, then answer with this.
    After(Response),
    /// Wait, then carry on.
    Delay(Duration),
}

impl Fault {
    pub(crate) fn effect(self) -> Effect {
        let reason = format!("armed fault {self:?}");
        let mut effect = match self {
            Self::Hang => return Effect::Delay(Duration::from_secs(600)),
            Self::Slow { ms } => return Effect::Delay(Duration::from_millis(ms)),
            Self::LostReply => Effect::After(StatusCode::BAD_GATEWAY.into_response()),
            other => Effect::Instead(other.answer()),
        };
        if let Effect::Instead(response) | Effect::After(response) = &mut effect {
            response.extensions_mut().insert(Refused(reason));
        }
        effect
    }

    fn answer(self) -> Response {
        match self {
            Self::ServerError => answer(500, &[], "Internal Server Error"),
            Self::Status { status } => answer(status, &[], ""),
            Self::Html => answer(200, &[("content-type", "text/html")], PAGE),
            Self::HtmlStatus { status } => answer(status, &[("content-type", "text/html")], PAGE),
            Self::Empty | Self::Hang | Self::Slow { .. } | Self::LostReply => answer(200, &[], ""),
            Self::OkWithError { error } => answer_json(200, &json!({ "error": error })),
            Self::OAuthError { error } => answer_json(400, &json!({ "error": error })),
            Self::NoToken => answer_json(200, &json!({ "token_type": "bearer" })),
            Self::RateLimited {
                status,
                retry_after_s,
            } => rate_limited(status, retry_after_s),
            Self::Saml { url } => saml(&url),
            Self::OrganisationForbidsApp { organisation } => {
                answer_json(403, &json!({ "message": forbids_app(&organisation) }))
            }
            Self::Suspended => answer_json(
                403,
                &json!({ "message": "Sorry. Your account was suspended" }),
            ),
            Self::RedirectTo { url } => answer(302, &[("location", &url)], ""),
            Self::Huge { bytes } => answer(200, &[], &"x".repeat(bytes)),
        }
    }
}

const PAGE: &str = "<!DOCTYPE html><title>Sign in</title><p>Please sign in to the network.</p>";

/// The text of an organisation that restricts applications, as the real site words it.
pub(crate) fn forbids_app(organisation: &str) -> String {
    format!(
        "Although you appear to have the correct authorization credentials, the `{organisation}` \
         organization has enabled OAuth App access restrictions, meaning that data access to \
         third-parties is limited."
    )
}

fn saml(url: &str) -> Response {
    let message = "Resource protected by organization SAML enforcement. You must grant your OAuth \
                   token access to this organization.";
    let mut response = answer_json(403, &json!({ "message": message }));
    add_header(
        response.headers_mut(),
        "x-github-sso",
        &format!("required; url={url}"),
    );
    response
}

fn rate_limited(status: u16, retry_after_s: i64) -> Response {
    let mut response = answer_json(status, &json!({ "message": "API rate limit exceeded" }));
    let headers = response.headers_mut();
    add_header(headers, "retry-after", &retry_after_s.to_string());
    add_header(headers, "x-ratelimit-limit", "5000");
    add_header(headers, "x-ratelimit-remaining", "0");
    let reset = crate::world::now() + retry_after_s;
    add_header(headers, "x-ratelimit-reset", &reset.to_string());
    response
}

fn answer_json(status: u16, body: &serde_json::Value) -> Response {
    answer(
        status,
        &[("content-type", "application/json")],
        &body.to_string(),
    )
}

fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Response {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        add_header(response.headers_mut(), name, value);
    }
    response
}

fn add_header(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(header::HeaderName::from_static(name), value);
    }
}
