//! GitLab's OAuth provider (the engine is Doorkeeper): authorize, token, revoke, introspect.

use std::sync::Arc;

use axum::{
    Router,
    extract::State as Shared,
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use serde_json::{Value, json};

use crate::{
    ask::{Ask, Authorization, Params},
    consent,
    oauth2::{Challenge, Dance, Pending, Problem, Request},
    reply::{self, Remark as _},
    shape::Software,
    state::{App, Site, Standing, State, Token},
};

/// The scopes that an application can be given.
pub(crate) const SCOPES: &[&str] = &[
    "api",
    "read_api",
    "read_user",
    "read_repository",
    "write_repository",
    "openid",
    "profile",
    "email",
];

/// The OAuth pages and endpoints.
pub(crate) fn web() -> Router<Arc<Site>> {
    Router::new()
        .route("/oauth/authorize", get(authorize).post(consent::press))
        .route("/oauth/token", post(token))
        .route("/oauth/revoke", post(revoke))
        .route("/oauth/introspect", post(introspect))
        .route("/oauth/token/info", get(token_info))
}

async fn authorize(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Response {
    let mut state = site.lock();
    let query = &ask.query;
    let Some(app) = state.app(query.text("client_id")).cloned() else {
        let text = "Client authentication failed due to unknown client.";
        return consent::sorry(StatusCode::UNAUTHORIZED, text);
    };
    // Character by character: no wildcards, no sub-paths.
    if query.get("redirect_uri") != Some(&app.redirect_uri) {
        let text = "The redirect URI included is not valid.";
        return consent::sorry(StatusCode::BAD_REQUEST, text);
    }
    let scopes: Vec<String> = match query.get("scope") {
        Some(scope) => scope.split_whitespace().map(str::to_owned).collect(),
        None => app.scopes.iter().take(1).cloned().collect(),
    };
    if scopes.iter().any(|scope| !app.scopes.contains(scope)) {
        let text = "The requested scope is invalid, unknown, or malformed.";
        return consent::sorry(StatusCode::BAD_REQUEST, text);
    }
    let mut request = Request {
        client_id: app.client_id.clone(),
        redirect_uri: app.redirect_uri.clone(),
        sent_redirect_uri: Some(app.redirect_uri.clone()),
        state: query.get("state").map(str::to_owned),
        challenge: None,
    };
    if query.get("response_type") != Some("code") {
        let text = "The authorization server does not support this response type.";
        let pairs = [
            ("error", "unsupported_response_type"),
            ("error_description", text),
        ];
        return consent::back(&site, &request, &pairs).because(text);
    }
    match Challenge::parse(query, Software::GitLab) {
        Ok(challenge) => request.challenge = challenge,
        Err(text) => {
            let pairs = [
                ("error", "invalid_code_challenge_method"),
                ("error_description", text),
            ];
            return consent::back(&site, &request, &pairs).because(text);
        }
    }
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

const INVALID_GRANT: &str = "The provided authorization grant is invalid, expired, revoked, does \
                             not match the redirection URI used in the authorization request, or \
                             was issued to another client.";
const INVALID_CLIENT: &str = "Client authentication failed due to unknown client, no client \
                              authentication included, or unsupported authentication method.";

/// An OAuth error in Doorkeeper's form; `reason` is for the log.
fn oauth_error(status: StatusCode, error: &str, description: &str, reason: &str) -> Response {
    let challenge = format!(
        "Bearer realm=\"Doorkeeper\", error=\"{error}\", error_description=\"{description}\""
    );
    reply::json(
        status,
        &json!({ "error": error, "error_description": description }),
    )
    .with("www-authenticate", &challenge)
    .with("cache-control", "no-store")
    .because(format!("{error}: {reason}"))
}

/// The application of a request, by body or by Basic.
fn client(state: &State, ask: &Ask, form: &Params) -> Option<App> {
    match ask.authorization() {
        Authorization::Basic { username, password } => {
            state.app_with_secret(&username, &password).cloned()
        }
        _ => state
            .app_with_secret(form.text("client_id"), form.text("client_secret"))
            .cloned(),
    }
}

async fn token(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Response {
    let mut state = site.lock();
    let form = ask.form();
    let Some(app) = client(&state, &ask, &form) else {
        let reason = "unknown client or wrong secret";
        return oauth_error(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            INVALID_CLIENT,
            reason,
        );
    };
    match form.get("grant_type") {
        Some("authorization_code") => redeem(&mut state, &app, &form),
        Some("refresh_token") => refresh(&mut state, &app, &form),
        None => missing_parameter("grant_type"),
        Some(_) => {
            let text = "The authorization grant type is not supported by the authorization server.";
            oauth_error(
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                text,
                "unknown",
            )
        }
    }
}

fn missing_parameter(name: &str) -> Response {
    let text = format!("Missing required parameter: {name}.");
    oauth_error(
        StatusCode::BAD_REQUEST,
        "invalid_request",
        &text,
        "a parameter is missing",
    )
}

fn invalid_grant(reason: &str) -> Response {
    oauth_error(
        StatusCode::BAD_REQUEST,
        "invalid_grant",
        INVALID_GRANT,
        reason,
    )
}

fn redeem(state: &mut State, app: &App, form: &Params) -> Response {
    if form.get("redirect_uri").is_none() {
        return missing_parameter("redirect_uri");
    }
    match state.take_code(&app.client_id, form) {
        Ok(code) => {
            let token = state.issue(app, code.account, code.scopes);
            token_answer(state, &token)
        }
        Err(Problem::NoVerifier) => missing_parameter("code_verifier"),
        Err(problem) => invalid_grant(problem.reason()),
    }
}

fn refresh(state: &mut State, app: &App, form: &Params) -> Response {
    if form.get("refresh_token").is_none() {
        return missing_parameter("refresh_token");
    }
    // The documentation lists it among what a refresh sends.
    match form.get("redirect_uri") {
        None => return missing_parameter("redirect_uri"),
        Some(uri) if uri != app.redirect_uri => {
            return invalid_grant("the redirect_uri differs from that at authorization");
        }
        Some(_) => {}
    }
    match state.rotate(app, form.text("refresh_token")) {
        Some(token) => token_answer(state, &token),
        None => invalid_grant("the refresh token is unknown, used or revoked"),
    }
}

fn token_answer(state: &State, token: &Token) -> Response {
    let mut body = json!({
        "access_token": token.access,
        "token_type": "Bearer",
        "scope": token.scopes.join(" "),
        "created_at": token.issued_at,
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
    reply::json(StatusCode::OK, &body)
        .with("cache-control", "no-store")
        .by(login)
}

/// `{}` for every token, known or not; only a wrong client is told.
async fn revoke(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Response {
    let mut state = site.lock();
    let form = ask.form();
    let wanted = form.text("token");
    let Some(app) = client(&state, &ask, &form) else {
        return not_authorized("unknown client or wrong secret");
    };
    let token = state
        .tokens
        .iter()
        .find(|token| token.access == wanted || token.refresh.as_deref() == Some(wanted))
        .cloned();
    if let Some(token) = token {
        if token.client_id.as_ref() != Some(&app.client_id) {
            return not_authorized("the token is another client's");
        }
        state.end_token(token.id);
    }
    reply::json(StatusCode::OK, &json!({}))
}

fn not_authorized(reason: &str) -> Response {
    let text = "You are not authorized to revoke this token";
    oauth_error(StatusCode::FORBIDDEN, "unauthorized_client", text, reason)
}

async fn introspect(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Response {
    let state = site.lock();
    let form = ask.form();
    let Some(app) = client(&state, &ask, &form) else {
        let reason = "unknown client or wrong secret";
        return oauth_error(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            INVALID_CLIENT,
            reason,
        );
    };
    let token = state
        .token(form.text("token"))
        .filter(|token| token.client_id.as_ref() == Some(&app.client_id))
        .filter(|token| token.standing(state.now()) == Standing::Alive);
    let body = token.map_or(json!({ "active": false }), |token| {
        json!({
            "active": true,
            "scope": token.scopes.join(" "),
            "client_id": app.client_id,
            "token_type": "Bearer",
            "exp": token.expires_at,
            "iat": token.issued_at,
        })
    });
    reply::json(StatusCode::OK, &body)
}

async fn token_info(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Response {
    let state = site.lock();
    let token = match ask.authorization() {
        Authorization::Bearer(access) => state.token(&access),
        _ => None,
    };
    match token.filter(|token| token.standing(state.now()) == Standing::Alive) {
        Some(token) => reply::json(StatusCode::OK, &info(&state, token)),
        None => {
            let text = "The access token is invalid";
            oauth_error(
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                text,
                "no live token",
            )
        }
    }
}

fn info(state: &State, token: &Token) -> Value {
    json!({
        "resource_owner_id": token.account,
        "scope": token.scopes,
        "expires_in": token.expires_at.map(|end| end - state.now()),
        "application": { "uid": token.client_id },
        "created_at": token.issued_at,
    })
}
