//! GitHub's REST API: the user, SSH keys, and what applications may do with their tokens.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State as Shared},
    http::{StatusCode, header},
    middleware::map_response_with_state,
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde_json::{Value, json};

use crate::{
    Shape,
    ask::{Ask, Authorization},
    github::covers,
    keys::{Key, KeyProblem, NewKey, Page, Usage},
    reply::{self, Answer, Refusal, Remark as _},
    state::{Account, AppStyle, Site, Standing, State, Token},
    world::iso,
};

/// The API, to be mounted at its base.
pub(crate) fn api(site: &Arc<Site>) -> Router<Arc<Site>> {
    Router::new()
        .route("/meta", get(meta))
        .route("/user", get(user))
        .route("/user/emails", get(emails))
        .route("/user/{list}", get(list_keys).post(add_key))
        .route("/user/{list}/{id}", get(one_key).delete(delete_key))
        .route("/users/{login}/keys", get(public_keys))
        .route(
            "/applications/{client_id}/token",
            axum::routing::post(check_token)
                .patch(reset_token)
                .delete(revoke_token),
        )
        .route(
            "/applications/{client_id}/grant",
            axum::routing::delete(revoke_grant),
        )
        .fallback(missing)
        .layer(map_response_with_state(site.clone(), stamp))
}

/// Adds what every answer of the API carries.
async fn stamp(Shared(site): Shared<Arc<Site>>, response: Response) -> Response {
    let response = match site.shape {
        Shape::GitHubEnterprise => response.with("x-github-enterprise-version", "3.19.0"),
        _ => response
            .with("x-ratelimit-limit", "5000")
            .with("x-ratelimit-remaining", "4990")
            .with("x-ratelimit-resource", "core"),
    };
    response.with("x-github-media-type", "github.v3; format=json")
}

fn error(status: StatusCode, message: &str) -> Response {
    let documentation = "https://docs.github.com/rest";
    let body = json!({
        "message": message,
        "documentation_url": documentation,
        "status": status.as_u16().to_string(),
    });
    reply::json(status, &body).because(message)
}

fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, "Not Found")
}

async fn missing() -> Response {
    not_found()
}

async fn meta(Shared(site): Shared<Arc<Site>>) -> Response {
    let key = site.ssh_host_key.clone();
    let body = match site.shape {
        Shape::GitHubEnterprise => {
            json!({ "verifiable_password_authentication": true, "installed_version": "3.19.0" })
        }
        _ => json!({ "verifiable_password_authentication": false, "ssh_keys": [key] }),
    };
    reply::json(StatusCode::OK, &body)
}

/// Who asks, and with which token.
struct Caller {
    account: Account,
    token: Token,
    /// What `X-OAuth-Scopes` says: a GitHub App's token has none.
    told_scopes: String,
}

impl Caller {
    /// The caller of a request, or the answer for those who are none.
    fn of(state: &State, ask: &Ask) -> Result<Self, Refusal> {
        if ask.header(header::USER_AGENT).is_empty() {
            let text = "Request forbidden by administrative rules. Please make sure your request \
                        has a User-Agent header.";
            return Err(reply::text(StatusCode::FORBIDDEN, text)
                .because("no User-Agent")
                .into());
        }
        let access = match ask.authorization() {
            Authorization::Bearer(access) => access,
            Authorization::Basic { password, .. } => password,
            Authorization::Missing => {
                return Err(error(StatusCode::UNAUTHORIZED, "Requires authentication").into());
            }
            _ => return Err(error(StatusCode::UNAUTHORIZED, "Bad credentials").into()),
        };
        let token = state
            .token(&access)
            .filter(|t| t.standing(state.now()) == Standing::Alive);
        let account = token.and_then(|token| state.account(token.account));
        let (Some(token), Some(account)) = (token, account) else {
            return Err(error(StatusCode::UNAUTHORIZED, "Bad credentials").into());
        };
        if account.suspended {
            let text = "Sorry. Your account was suspended";
            return Err(error(StatusCode::FORBIDDEN, text).by(&account.login).into());
        }
        let app = token.client_id.as_ref().and_then(|id| state.app(id));
        let told_scopes = match app {
            Some(app) if app.style == AppStyle::GitHubApp => String::new(),
            _ => token.scopes.join(", "),
        };
        Ok(Self {
            account: account.clone(),
            token: token.clone(),
            told_scopes,
        })
    }

    /// Runs `work` if the token covers `scope`; without it the endpoint seems not to exist.
    fn with_scope(&self, scope: &str, work: impl FnOnce() -> Response) -> Answer {
        let response = if scope.is_empty() || covers(&self.token.scopes, scope) {
            work()
        } else {
            not_found().because(format!("needs scope {scope}"))
        };
        Ok(response
            .with("x-oauth-scopes", &self.told_scopes)
            .with("x-accepted-oauth-scopes", scope)
            .by(&self.account.login))
    }
}

async fn user(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Answer {
    let state = site.lock();
    let caller = Caller::of(&state, &ask)?;
    caller.with_scope("", || {
        let account = &caller.account;
        let body = json!({
            "login": account.login,
            "id": account.id,
            "node_id": format!("U_{}", account.id),
            "name": account.name,
            "email": Value::Null,
            "avatar_url": format!("{}/avatars/{}", site.url, account.id),
            "html_url": format!("{}/{}", site.url, account.login),
            "type": "User",
            "site_admin": false,
        });
        reply::json(StatusCode::OK, &body)
    })
}

async fn emails(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Answer {
    let state = site.lock();
    let caller = Caller::of(&state, &ask)?;
    caller.with_scope("user:email", || {
        let mut list: Vec<Value> = Vec::new();
        for (place, email) in caller.account.emails.iter().enumerate() {
            let visibility = if place == 0 {
                json!("private")
            } else {
                Value::Null
            };
            list.push(json!({
                "email": email.address,
                "verified": email.verified,
                "primary": place == 0,
                "visibility": visibility,
            }));
        }
        reply::json(StatusCode::OK, &Value::Array(list))
    })
}

/// The list that a path names: its usage and the word in its scopes.
fn list_of(name: &str) -> Option<(Usage, &'static str)> {
    match name {
        "keys" => Some((Usage::Auth, "public_key")),
        "ssh_signing_keys" => Some((Usage::Signing, "ssh_signing_key")),
        _ => None,
    }
}

fn key_json(site: &Site, key: &Key) -> Value {
    let mut body = json!({
        "id": key.id,
        // The comment is dropped.
        "key": key.parsed.line(),
        "title": key.title,
        "created_at": iso(key.created_at),
    });
    if key.usage == Usage::Auth {
        body["url"] = json!(format!("{}/user/keys/{}", site.api_url, key.id));
        body["verified"] = json!(true);
        body["read_only"] = json!(false);
        body["last_used"] = Value::Null;
    }
    body
}

async fn list_keys(Shared(site): Shared<Arc<Site>>, Path(list): Path<String>, ask: Ask) -> Answer {
    let state = site.lock();
    let Some((usage, word)) = list_of(&list) else {
        return Ok(not_found());
    };
    let caller = Caller::of(&state, &ask)?;
    caller.with_scope(&format!("read:{word}"), || {
        let keys = state
            .keys_of(caller.account.id)
            .filter(|key| key.usage == usage)
            .collect();
        let number = ask.query.number("page").unwrap_or(1);
        let per_page = ask.query.number("per_page").unwrap_or(30);
        let page = Page::cut(&site, &state, keys, (number, per_page));
        let body = page.items.iter().map(|key| key_json(&site, key)).collect();
        let response = reply::json(StatusCode::OK, &Value::Array(body));
        match page.link(&format!("{}/user/{list}", site.api_url)) {
            Some(link) => response.with("link", &link),
            None => response,
        }
    })
}

async fn add_key(Shared(site): Shared<Arc<Site>>, Path(list): Path<String>, ask: Ask) -> Answer {
    let mut state = site.lock();
    let Some((usage, word)) = list_of(&list) else {
        return Ok(not_found());
    };
    let caller = Caller::of(&state, &ask)?;
    caller.with_scope(&format!("write:{word}"), || {
        let Some(body) = ask.json().filter(Value::is_object) else {
            return error(StatusCode::BAD_REQUEST, "Problems parsing JSON");
        };
        let Some(line) = body["key"].as_str() else {
            return invalid("missing_field", "key can't be blank");
        };
        let new = NewKey {
            title: body["title"].as_str().unwrap_or_default().to_owned(),
            line: line.to_owned(),
            usage,
            expires_at: None,
            made_by_app: caller.token.client_id.clone(),
            made_by_token: Some(caller.token.id),
        };
        match state.add_key(caller.account.id, new) {
            Ok(key) => reply::json(StatusCode::CREATED, &key_json(&site, &key)),
            Err(problem) => refuse_key(&problem),
        }
    })
}

fn refuse_key(problem: &KeyProblem) -> Response {
    let message = match problem {
        KeyProblem::Taken => "key is already in use",
        KeyProblem::Weak(_) => "key is too weak. RSA keys must be at least 2048 bits",
        KeyProblem::Unreadable | KeyProblem::Forbidden(_) => {
            "key is invalid. You must supply a key in OpenSSH public key format"
        }
    };
    invalid("custom", message)
}

fn invalid(code: &str, message: &str) -> Response {
    let body = json!({
        "message": "Validation Failed",
        "errors": [
            { "resource": "PublicKey", "code": code, "field": "key", "message": message },
        ],
        "documentation_url": "https://docs.github.com/rest/users/keys",
        "status": "422",
    });
    reply::json(StatusCode::UNPROCESSABLE_ENTITY, &body).because(message)
}

async fn one_key(
    Shared(site): Shared<Arc<Site>>,
    Path((list, id)): Path<(String, u64)>,
    ask: Ask,
) -> Answer {
    let state = site.lock();
    let Some((usage, word)) = list_of(&list) else {
        return Ok(not_found());
    };
    let caller = Caller::of(&state, &ask)?;
    caller.with_scope(&format!("read:{word}"), || {
        let key = state
            .keys_of(caller.account.id)
            .find(|key| key.id == id && key.usage == usage);
        match key {
            Some(key) => reply::json(StatusCode::OK, &key_json(&site, key)),
            None => not_found(),
        }
    })
}

async fn delete_key(
    Shared(site): Shared<Arc<Site>>,
    Path((list, id)): Path<(String, u64)>,
    ask: Ask,
) -> Answer {
    let mut state = site.lock();
    let Some((usage, word)) = list_of(&list) else {
        return Ok(not_found());
    };
    let caller = Caller::of(&state, &ask)?;
    caller.with_scope(&format!("admin:{word}"), || {
        let listed = state
            .keys_of(caller.account.id)
            .any(|key| key.id == id && key.usage == usage);
        if listed && state.delete_key(caller.account.id, id) {
            StatusCode::NO_CONTENT.into_response()
        } else {
            not_found()
        }
    })
}

/// The keys of anyone, for everyone.
async fn public_keys(Shared(site): Shared<Arc<Site>>, Path(login): Path<String>) -> Response {
    let state = site.lock();
    let Some(account) = state.account_by_login(&login) else {
        return not_found();
    };
    let keys = state
        .keys_of(account.id)
        .filter(|key| key.usage == Usage::Auth);
    let body = keys
        .map(|key| json!({ "id": key.id, "key": key.parsed.line() }))
        .collect();
    reply::json(StatusCode::OK, &Value::Array(body))
}

/// The token named in the body of an application's own call, after its Basic credentials.
fn named_token(state: &State, client_id: &str, ask: &Ask) -> Result<Token, Refusal> {
    let known = match ask.authorization() {
        Authorization::Basic { username, password } => {
            username == client_id && state.app_with_secret(&username, &password).is_some()
        }
        _ => false,
    };
    if !known {
        // The real site does not tell a wrong secret from a missing application.
        return Err(not_found().because("wrong client credentials").into());
    }
    let body = ask.json().unwrap_or_default();
    let Some(access) = body["access_token"].as_str() else {
        return Err(error(StatusCode::UNPROCESSABLE_ENTITY, "Validation Failed").into());
    };
    state
        .token(access)
        .filter(|token| token.client_id.as_deref() == Some(client_id))
        .filter(|token| token.standing(state.now()) == Standing::Alive)
        .cloned()
        .ok_or_else(|| not_found().because("no live token").into())
}

fn introspection(state: &State, token: &Token) -> Response {
    let Some(account) = state.account(token.account) else {
        return not_found();
    };
    let client_id = token.client_id.as_deref().unwrap_or_default();
    let body = json!({
        "id": token.id,
        "token": token.access,
        "scopes": token.scopes,
        "created_at": iso(token.issued_at),
        "expires_at": token.expires_at.map(iso),
        "app": { "client_id": client_id, "name": state.app(client_id).map(|app| &app.name) },
        "user": { "login": account.login, "id": account.id },
    });
    reply::json(StatusCode::OK, &body).by(&account.login)
}

async fn check_token(
    Shared(site): Shared<Arc<Site>>,
    Path(client_id): Path<String>,
    ask: Ask,
) -> Answer {
    let state = site.lock();
    let token = named_token(&state, &client_id, &ask)?;
    Ok(introspection(&state, &token))
}

async fn reset_token(
    Shared(site): Shared<Arc<Site>>,
    Path(client_id): Path<String>,
    ask: Ask,
) -> Answer {
    let mut state = site.lock();
    let token = named_token(&state, &client_id, &ask)?;
    let Some(app) = state.app(&client_id).cloned() else {
        return Ok(not_found());
    };
    state.end_token(token.id);
    let token = state.issue(&app, token.account, token.scopes);
    Ok(introspection(&state, &token))
}

async fn revoke_token(
    Shared(site): Shared<Arc<Site>>,
    Path(client_id): Path<String>,
    ask: Ask,
) -> Answer {
    let mut state = site.lock();
    let token = named_token(&state, &client_id, &ask)?;
    state.end_token(token.id);
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Ends the whole authorization: every token of the person for this application, and with them
/// the SSH keys that the application made.
async fn revoke_grant(
    Shared(site): Shared<Arc<Site>>,
    Path(client_id): Path<String>,
    ask: Ask,
) -> Answer {
    let mut state = site.lock();
    let account = named_token(&state, &client_id, &ask)?.account;
    let theirs =
        |token: &&Token| token.account == account && token.client_id.as_ref() == Some(&client_id);
    let ids: Vec<u64> = state
        .tokens
        .iter()
        .filter(theirs)
        .map(|token| token.id)
        .collect();
    for id in ids {
        state.end_token(id);
    }
    state
        .keys
        .retain(|key| key.account != account || key.made_by_app.as_ref() != Some(&client_id));
    Ok(StatusCode::NO_CONTENT.into_response())
}
