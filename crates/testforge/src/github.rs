//! GitHub.com and GitHub Enterprise Server: OAuth endpoints and REST API.

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
    state::{App, AppStyle, Site, State, Token, TokenSort},
};

/// Scopes that exist, with those that each of them includes.
const SCOPES: &[(&str, &[&str])] = &[
    ("repo", &["public_repo"]),
    ("public_repo", &[]),
    ("workflow", &[]),
    ("user", &["read:user", "user:email"]),
    ("read:user", &[]),
    ("user:email", &[]),
    ("read:org", &[]),
    ("admin:public_key", &["write:public_key", "read:public_key"]),
    ("write:public_key", &["read:public_key"]),
    ("read:public_key", &[]),
    (
        "admin:ssh_signing_key",
        &["write:ssh_signing_key", "read:ssh_signing_key"],
    ),
    ("write:ssh_signing_key", &["read:ssh_signing_key"]),
    ("read:ssh_signing_key", &[]),
];

/// The OAuth pages and endpoints of the web host.
pub(crate) fn web() -> Router<Arc<Site>> {
    Router::new()
        .route(
            "/login/oauth/authorize",
            get(authorize).post(consent::press),
        )
        .route("/login/oauth/access_token", post(access_token))
}

/// Whether a token with `granted` may do what needs `wanted`.
pub(crate) fn covers(granted: &[String], wanted: &str) -> bool {
    granted.iter().any(|scope| {
        scope == wanted
            || SCOPES
                .iter()
                .any(|(name, includes)| name == scope && includes.contains(&wanted))
    })
}

async fn authorize(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Response {
    let mut state = site.lock();
    let Some(app) = state.app(ask.query.text("client_id")).cloned() else {
        return consent::sorry(StatusCode::NOT_FOUND, "There is no such application.");
    };
    let request = match read_request(&app, &ask.query) {
        Ok(request) => request,
        Err(error) => return send_back(&site, &app, &ask.query, error),
    };
    let login_hint = ask.query.get("login").map(str::to_owned);
    let scopes = match asked_scopes(&app, &ask.query) {
        Ok(Some(scopes)) => scopes,
        Ok(None) => match earlier_consent(&state, &app, login_hint.as_deref()) {
            // Without `scope` the flow skips the page for those who agreed before.
            Some((account, scopes)) => {
                let code = state.grant_code(request.clone(), account, &scopes);
                return consent::back(&site, &request, &[("code", &code)]);
            }
            None => Vec::new(),
        },
        Err(error) => return send_back(&site, &app, &ask.query, error),
    };
    let dance = Dance::OAuth2(request);
    let pending = Pending {
        id: String::new(),
        app_name: app.name,
        scopes,
        login_hint,
        dance,
    };
    consent::show(&site, &mut state, &ask, pending)
}

/// The checks of an authorization request; an error is its code and description.
fn read_request(app: &App, query: &Params) -> Result<Request, (&'static str, &'static str)> {
    if app.suspended {
        return Err((
            "application_suspended",
            "Your application has been suspended.",
        ));
    }
    let sent = query.get("redirect_uri");
    if sent.is_some_and(|uri| !may_redirect(app, uri)) {
        let text = "The redirect_uri MUST match the registered callback URL for this application.";
        return Err(("redirect_uri_mismatch", text));
    }
    let challenge =
        Challenge::parse(query, Software::GitHub).map_err(|text| ("invalid_request", text))?;
    Ok(Request {
        client_id: app.client_id.clone(),
        redirect_uri: sent.unwrap_or(&app.redirect_uri).to_owned(),
        sent_redirect_uri: sent.map(str::to_owned),
        state: query.get("state").map(str::to_owned),
        challenge,
    })
}

/// Errors of the authorize step go to the registered callback, whatever was asked.
fn send_back(site: &Site, app: &App, query: &Params, error: (&str, &str)) -> Response {
    let request = Request {
        client_id: app.client_id.clone(),
        redirect_uri: app.redirect_uri.clone(),
        sent_redirect_uri: None,
        state: query.get("state").map(str::to_owned),
        challenge: None,
    };
    let uri = "https://docs.github.com/apps/managing-oauth-apps/troubleshooting";
    let pairs = [
        ("error", error.0),
        ("error_description", error.1),
        ("error_uri", uri),
    ];
    consent::back(site, &request, &pairs).because(error.1)
}

/// The redirect rule: host (or a sub-domain) and port as registered, path as registered or below;
/// a loopback address may vary its port. A GitHub App's callback must match exactly.
fn may_redirect(app: &App, asked: &str) -> bool {
    if app.style == AppStyle::GitHubApp {
        return asked == app.redirect_uri;
    }
    let (Ok(registered), Ok(asked)) = (url::Url::parse(&app.redirect_uri), url::Url::parse(asked))
    else {
        return false;
    };
    let (Some(home), Some(host)) = (registered.host_str(), asked.host_str()) else {
        return false;
    };
    let loopback = host == "127.0.0.1" || host == "[::1]";
    let same_host = host == home || !loopback && host.ends_with(&format!(".{home}"));
    let same_port = loopback || registered.port_or_known_default() == asked.port_or_known_default();
    let below = asked
        .path()
        .strip_prefix(registered.path())
        .is_some_and(|rest| {
            rest.is_empty() || registered.path().ends_with('/') || rest.starts_with('/')
        });
    registered.scheme() == asked.scheme() && same_host && same_port && below
}

/// The scopes asked for; `None` when the request names none. A GitHub App has its permissions.
fn asked_scopes(
    app: &App,
    query: &Params,
) -> Result<Option<Vec<String>>, (&'static str, &'static str)> {
    if app.style == AppStyle::GitHubApp {
        return Ok(Some(app.scopes.clone()));
    }
    let Some(text) = query.get("scope") else {
        return Ok(None);
    };
    let scopes: Vec<String> = text
        .split([' ', ','])
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect();
    if scopes
        .iter()
        .any(|scope| !SCOPES.iter().any(|(known, _)| known == scope))
    {
        return Err(("invalid_scope", "The scopes requested are invalid."));
    }
    Ok(Some(scopes))
}

/// The account that agreed to this application before, with the union of its scopes.
fn earlier_consent(state: &State, app: &App, login: Option<&str>) -> Option<(u64, Vec<String>)> {
    let account = match login {
        Some(login) => state.account_by_login(login)?,
        None => state.accounts.first()?,
    };
    let mut scopes = Vec::new();
    let now = state.now();
    for token in &state.tokens {
        let counts = token.account == account.id
            && token.client_id.as_ref() == Some(&app.client_id)
            && token.standing(now) == crate::state::Standing::Alive;
        if counts {
            scopes.extend(token.scopes.iter().cloned());
        }
    }
    scopes.sort();
    scopes.dedup();
    (!scopes.is_empty()).then_some((account.id, scopes))
}

async fn access_token(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Response {
    let mut form = ask.form();
    form.0.extend(ask.query.0.iter().cloned());
    let answer = exchange(&mut site.lock(), &ask, &form);
    let pairs = match &answer {
        Ok(pairs) => pairs.clone(),
        Err((error, text, _)) => vec![
            ("error", json!(error)),
            ("error_description", json!(text)),
            (
                "error_uri",
                json!("https://docs.github.com/apps/managing-oauth-apps"),
            ),
        ],
    };
    // Failures come with status 200 too.
    let response = say(&ask, &pairs);
    match answer {
        Ok(_) => response,
        Err((error, _, reason)) => response.because(format!("{error}: {reason}")),
    }
}

type Pairs = Vec<(&'static str, Value)>;
type TokenError = (&'static str, &'static str, &'static str);

fn exchange(state: &mut State, ask: &Ask, form: &Params) -> Result<Pairs, TokenError> {
    const CREDENTIALS: &str = "The client_id and/or client_secret passed are incorrect.";
    if ask.authorization() != Authorization::Missing {
        let reason = "client credentials belong in the body";
        return Err(("incorrect_client_credentials", CREDENTIALS, reason));
    }
    let app = state
        .app_with_secret(form.text("client_id"), form.text("client_secret"))
        .cloned();
    let Some(app) = app else {
        let reason = "unknown client or wrong secret";
        return Err(("incorrect_client_credentials", CREDENTIALS, reason));
    };
    match form.get("grant_type") {
        Some("refresh_token") => refresh(state, &app, form),
        None | Some("authorization_code") => redeem(state, &app, form),
        Some(_) => {
            let text = "The grant_type is not supported.";
            Err(("unsupported_grant_type", text, "unknown grant_type"))
        }
    }
}

fn redeem(state: &mut State, app: &App, form: &Params) -> Result<Pairs, TokenError> {
    let code = state
        .take_code(&app.client_id, form)
        .map_err(|problem| match problem {
            Problem::RedirectMismatch => {
                let text = "The redirect_uri MUST match the registered callback URL.";
                ("redirect_uri_mismatch", text, problem.reason())
            }
            _ => {
                let text = "The code passed is incorrect or expired.";
                ("bad_verification_code", text, problem.reason())
            }
        })?;
    let token = state.issue(app, code.account, code.scopes);
    evict(state, &token);
    Ok(token_pairs(state, app, &token))
}

/// Ten live tokens per user, application and scopes: the eleventh revokes the oldest.
fn evict(state: &mut State, newest: &Token) {
    let sorted = |scopes: &[String]| {
        let mut scopes = scopes.to_vec();
        scopes.sort();
        scopes
    };
    let alike: Vec<u64> = state
        .tokens
        .iter()
        .filter(|token| {
            !token.revoked
                && token.sort == TokenSort::OAuth2
                && token.account == newest.account
                && token.client_id == newest.client_id
                && sorted(&token.scopes) == sorted(&newest.scopes)
        })
        .map(|token| token.id)
        .collect();
    for id in alike.iter().take(alike.len().saturating_sub(10)) {
        state.end_token(*id);
    }
}

fn refresh(state: &mut State, app: &App, form: &Params) -> Result<Pairs, TokenError> {
    let token = state.rotate(app, form.text("refresh_token")).ok_or((
        "bad_refresh_token",
        "The refresh token passed is incorrect or expired.",
        "the refresh token is unknown, used or expired",
    ))?;
    Ok(token_pairs(state, app, &token))
}

fn token_pairs(state: &State, app: &App, token: &Token) -> Pairs {
    // Asked for with spaces, answered with commas.
    let scope = if app.style == AppStyle::GitHubApp {
        String::new()
    } else {
        token.scopes.join(",")
    };
    let mut pairs = vec![("access_token", json!(token.access))];
    if let Some(end) = token.expires_at.filter(|_| !state.knobs.hide_expires_in) {
        pairs.push(("expires_in", json!(end - token.issued_at)));
    }
    if let Some(refresh) = &token.refresh {
        pairs.push(("refresh_token", json!(refresh)));
        let end = token.refresh_expires_at.unwrap_or(token.issued_at);
        pairs.push(("refresh_token_expires_in", json!(end - token.issued_at)));
    }
    pairs.push(("scope", json!(scope)));
    pairs.push(("token_type", json!("bearer")));
    pairs
}

/// JSON for those who ask for it, else a form.
fn say(ask: &Ask, pairs: &Pairs) -> Response {
    if ask.accepts_json() {
        let members = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        return reply::json(StatusCode::OK, &Value::Object(members.collect()));
    }
    let texts: Vec<(&str, String)> = pairs
        .iter()
        .map(|(name, value)| {
            (
                *name,
                value.as_str().map_or(value.to_string(), str::to_owned),
            )
        })
        .collect();
    let texts: Vec<(&str, &str)> = texts
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    reply::form(StatusCode::OK, &texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(redirect_uri: &str) -> App {
        App {
            client_id: "id".to_owned(),
            client_secret: "secret".to_owned(),
            name: "app".to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            scopes: Vec::new(),
            style: AppStyle::OAuth2,
            suspended: false,
        }
    }

    #[test]
    fn redirects_as_the_documentation_says() {
        let app = app("http://example.com/path");
        for good in [
            "http://example.com/path",
            "http://example.com/path/subdir/other",
            "http://oauth.example.com/path",
            "http://oauth.example.com/path/subdir/other",
        ] {
            assert!(may_redirect(&app, good), "{good}");
        }
        for bad in [
            "http://example.com/bar",
            "http://example.com/",
            "http://example.com:8080/path",
            "http://oauth.example.com:8080/path",
            "http://example.org/path",
            "http://example.com/pathology",
        ] {
            assert!(!may_redirect(&app, bad), "{bad}");
        }
    }

    #[test]
    fn a_loopback_address_may_vary_its_port() {
        assert!(may_redirect(
            &app("http://127.0.0.1/path"),
            "http://127.0.0.1:1234/path"
        ));
        assert!(!may_redirect(
            &app("http://localhost/path"),
            "http://localhost:1234/path"
        ));
    }

    #[test]
    fn admin_scopes_include_the_lesser_ones() {
        let granted = ["admin:public_key".to_owned()];
        assert!(covers(&granted, "read:public_key"));
        assert!(!covers(&granted, "read:ssh_signing_key"));
    }
}
