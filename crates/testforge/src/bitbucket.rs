//! Bitbucket Data Center's OAuth 2.0 provider: authorize, token, revoke.

use std::sync::Arc;

use axum::{
    Router,
    extract::State as Shared,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde_json::json;

use crate::{
    ask::{Ask, Authorization, Params},
    consent,
    oauth2::{Challenge, Dance, Pending, Request},
    reply::{self, Remark as _},
    shape::Software,
    state::{App, AppStyle, Site, State, Token},
};

/// The tick boxes of an incoming link, each with those that it includes.
const SCOPES: &[(&str, &[&str])] = &[
    ("PUBLIC_REPOS", &[]),
    ("ACCOUNT_WRITE", &[]),
    ("REPO_READ", &["PUBLIC_REPOS"]),
    ("REPO_WRITE", &["REPO_READ", "PUBLIC_REPOS"]),
    ("REPO_ADMIN", &["REPO_WRITE", "REPO_READ", "PUBLIC_REPOS"]),
    (
        "PROJECT_ADMIN",
        &["REPO_ADMIN", "REPO_WRITE", "REPO_READ", "PUBLIC_REPOS"],
    ),
    ("ADMIN_WRITE", &[]),
    ("SYSTEM_ADMIN", &[]),
];

/// The names of all tick boxes.
pub(crate) fn scope_names() -> Vec<&'static str> {
    SCOPES.iter().map(|(name, _)| *name).collect()
}

/// Whether `granted` holds `wanted`, by itself or inside another.
pub(crate) fn covers(granted: &[String], wanted: &str) -> bool {
    granted.iter().any(|scope| {
        scope == wanted
            || SCOPES
                .iter()
                .any(|(name, includes)| name == scope && includes.contains(&wanted))
    })
}

/// The OAuth 2.0 endpoints; the version in the path is `latest` or `1.0`.
pub(crate) fn web() -> Router<Arc<Site>> {
    ["latest", "1.0"]
        .into_iter()
        .fold(Router::new(), |router, version| {
            let base = format!("/rest/oauth2/{version}");
            router
                .route(
                    &format!("{base}/authorize"),
                    get(authorize).post(consent::press),
                )
                .route(&format!("{base}/token"), post(token))
                .route(&format!("{base}/revoke"), post(revoke))
                .route(&format!("{base}/client"), get(probe))
        })
}

/// Only administrators list clients; that this is no 404 tells that the provider exists.
async fn probe() -> Response {
    let body = json!({ "errors": [{ "context": null, "message": "Authentication required" }] });
    reply::json(StatusCode::UNAUTHORIZED, &body).because("administrators only")
}

async fn authorize(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Response {
    let mut state = site.lock();
    let query = &ask.query;
    let app = state.app(query.text("client_id")).cloned();
    let Some(app) = app.filter(|app| app.style == AppStyle::OAuth2) else {
        return consent::sorry(StatusCode::BAD_REQUEST, "invalid_client: unknown client_id");
    };
    if query.get("redirect_uri") != Some(&app.redirect_uri) {
        let text = "invalid_redirect: the redirect_uri is not the registered one";
        return consent::sorry(StatusCode::BAD_REQUEST, text);
    }
    let mut request = Request {
        client_id: app.client_id.clone(),
        redirect_uri: app.redirect_uri.clone(),
        sent_redirect_uri: Some(app.redirect_uri.clone()),
        state: query.get("state").map(str::to_owned),
        challenge: None,
    };
    let scopes = match read_request(&app, query, &mut request) {
        Ok(scopes) => scopes,
        Err((error, text)) => {
            let pairs = [("error", error), ("error_description", text)];
            return consent::back(&site, &request, &pairs).because(text);
        }
    };
    let dance = Dance::OAuth2(request);
    let pending = Pending {
        id: String::new(),
        app_name: app.name,
        scopes,
        login_hint: None,
        dance,
    };
    consent::show(&site, &mut state, &ask, pending)
}

/// The scopes of a request, its challenge put in place; an error is its code and description.
fn read_request(
    app: &App,
    query: &Params,
    request: &mut Request,
) -> Result<Vec<String>, (&'static str, &'static str)> {
    if query.get("response_type") != Some("code") {
        return Err((
            "unsupported_response_type",
            "the response_type must be code",
        ));
    }
    request.challenge =
        Challenge::parse(query, Software::Bitbucket).map_err(|text| ("invalid_request", text))?;
    let scopes: Vec<String> = query
        .text("scope")
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let ticked = |scope: &String| covers(&app.scopes, scope);
    if scopes.is_empty() || !scopes.iter().all(ticked) {
        return Err(("invalid_scope", "a scope is missing, unknown or not ticked"));
    }
    Ok(scopes)
}

fn oauth_error(status: StatusCode, error: &str, description: &str) -> Response {
    let body = json!({ "error": error, "error_description": description });
    reply::json(status, &body).because(format!("{error}: {description}"))
}

/// The application whose credentials stand in the body; Basic is not known here.
fn client(state: &State, ask: &Ask, form: &Params) -> Option<App> {
    if ask.authorization() != Authorization::Missing {
        return None;
    }
    state
        .app_with_secret(form.text("client_id"), form.text("client_secret"))
        .cloned()
}

fn invalid_client() -> Response {
    let text = "Client authentication failed (unknown client or wrong secret in the body)";
    oauth_error(StatusCode::UNAUTHORIZED, "invalid_client", text)
}

async fn token(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Response {
    let mut state = site.lock();
    let form = ask.form();
    let Some(app) = client(&state, &ask, &form) else {
        return invalid_client();
    };
    match form.get("grant_type") {
        Some("authorization_code") => match state.take_code(&app.client_id, &form) {
            Ok(code) => {
                let token = state.issue(&app, code.account, code.scopes);
                token_answer(&state, &token)
            }
            Err(problem) => oauth_error(StatusCode::BAD_REQUEST, "invalid_grant", problem.reason()),
        },
        Some("refresh_token") => match state.rotate(&app, form.text("refresh_token")) {
            Some(token) => token_answer(&state, &token),
            None => {
                let text = "the refresh token is unknown, used or expired";
                oauth_error(StatusCode::BAD_REQUEST, "invalid_grant", text)
            }
        },
        _ => {
            let text = "the grant_type is authorization_code or refresh_token";
            oauth_error(StatusCode::BAD_REQUEST, "unsupported_grant_type", text)
        }
    }
}

fn token_answer(state: &State, token: &Token) -> Response {
    let mut body = json!({
        "access_token": token.access,
        "token_type": "bearer",
        "scope": token.scopes.join(" "),
    });
    if let Some(end) = token.expires_at.filter(|_| !state.knobs.hide_expires_in) {
        body["expires_in"] = json!(end - token.issued_at);
    }
    if let Some(refresh) = &token.refresh {
        body["refresh_token"] = json!(refresh);
    }
    let login = state
        .account(token.account)
        .map_or("", |account| account.login.as_str());
    reply::json(StatusCode::OK, &body).by(login)
}

async fn revoke(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Response {
    let mut state = site.lock();
    let form = ask.form();
    let Some(app) = client(&state, &ask, &form) else {
        return invalid_client();
    };
    let wanted = form.text("token");
    let token = state.tokens.iter().find(|token| {
        token.client_id.as_ref() == Some(&app.client_id)
            && (token.access == wanted || token.refresh.as_deref() == Some(wanted))
    });
    // As RFC 7009 has it, an unknown token is no error.
    if let Some(id) = token.map(|token| token.id) {
        state.end_token(id);
    }
    StatusCode::OK.into_response()
}
