//! GitLab's REST API (v4): the user, SSH keys, version.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State as Shared},
    http::{Method, StatusCode},
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde_json::{Value, json};

use crate::{
    ask::{Ask, Authorization},
    keys::{Key, KeyProblem, NewKey, Page, Usage},
    reply::{self, Answer, Refusal, Remark as _},
    state::{Account, Site, Standing, State, Token},
    world::{iso, parse_iso},
};

/// The API, to be mounted at `/api/v4`.
pub(crate) fn api() -> Router<Arc<Site>> {
    Router::new()
        .route("/version", get(version))
        .route("/metadata", get(version))
        .route("/user", get(user))
        .route("/user/emails", get(emails))
        .route("/user/keys", get(list_keys).post(add_key))
        .route("/user/keys/{id}", get(one_key).delete(delete_key))
        .route("/users/{user}/keys", get(public_keys))
        .fallback(missing)
}

async fn missing() -> Response {
    reply::json(StatusCode::NOT_FOUND, &json!({ "error": "404 Not Found" })).because("no such path")
}

fn message(status: StatusCode, message: &Value, reason: &str) -> Response {
    reply::json(status, &json!({ "message": message })).because(reason)
}

struct Caller {
    account: Account,
    token: Token,
}

/// What the calls of the users API need: reading is open to `read_user`.
const READ: &[&str] = &["read_user", "read_api", "api"];
const WRITE: &[&str] = &["api"];

impl Caller {
    /// The caller if the token has one of `scopes`, else the answer that says why not.
    fn of(state: &State, ask: &Ask, scopes: &[&str]) -> Result<Self, Refusal> {
        let token = match ask.authorization() {
            Authorization::Bearer(access) => state.token(&access),
            _ => None,
        };
        let unauthorized = || {
            let text = json!("401 Unauthorized");
            Refusal::from(message(StatusCode::UNAUTHORIZED, &text, "no known token"))
        };
        let token = token.ok_or_else(unauthorized)?;
        let account = state.account(token.account).ok_or_else(unauthorized)?;
        match token.standing(state.now()) {
            Standing::Alive => {}
            Standing::Expired => {
                let text = "Token is expired. You can either do re-authorization or token refresh.";
                return Err(invalid_token(text).by(&account.login).into());
            }
            Standing::Revoked => {
                let text = "Token was revoked. You have to re-authorize from the user.";
                return Err(invalid_token(text).by(&account.login).into());
            }
        }
        if !scopes.iter().any(|scope| token.has_scope(scope)) {
            return Err(insufficient_scope(scopes).by(&account.login).into());
        }
        if account.suspended {
            let text = "403 Forbidden - Your account has been blocked.";
            let refusal = message(StatusCode::FORBIDDEN, &json!(text), "blocked");
            return Err(refusal.by(&account.login).into());
        }
        Ok(Self {
            account: account.clone(),
            token: token.clone(),
        })
    }
}

fn invalid_token(description: &str) -> Response {
    let challenge = format!(
        "Bearer realm=\"Protected by OAuth 2.0\", error=\"invalid_token\", \
         error_description=\"{description}\""
    );
    let body = json!({ "error": "invalid_token", "error_description": description });
    reply::json(StatusCode::UNAUTHORIZED, &body)
        .with("www-authenticate", &challenge)
        .because(description)
}

fn insufficient_scope(scopes: &[&str]) -> Response {
    let description = "The request requires higher privileges than provided by the access token.";
    let body = json!({
        "error": "insufficient_scope",
        "error_description": description,
        "scope": scopes.join(" "),
    });
    reply::json(StatusCode::FORBIDDEN, &body)
        .because(format!("needs scope {}", scopes.join(" or ")))
}

async fn version(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Answer {
    let caller = Caller::of(&site.lock(), &ask, READ)?;
    let body = json!({ "version": "18.1.1-ee", "revision": "5c7ce6a", "enterprise": true });
    Ok(reply::json(StatusCode::OK, &body).by(&caller.account.login))
}

async fn user(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Answer {
    let caller = Caller::of(&site.lock(), &ask, READ)?;
    let account = &caller.account;
    let confirmed = account.emails.first().is_some_and(|email| email.verified);
    let body = json!({
        "id": account.id,
        "username": account.login,
        "name": account.name,
        "email": account.email(),
        "public_email": Value::Null,
        "commit_email": account.email(),
        "confirmed_at": confirmed.then_some("2024-01-01T00:00:00.000Z"),
        "state": "active",
        "avatar_url": Value::Null,
        "web_url": format!("{}/{}", site.url, account.login),
        "bot": false,
    });
    Ok(reply::json(StatusCode::OK, &body).by(&account.login))
}

/// The addresses besides the primary one.
async fn emails(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Answer {
    let caller = Caller::of(&site.lock(), &ask, READ)?;
    let list = caller
        .account
        .emails
        .iter()
        .enumerate()
        .skip(1)
        .map(|(place, email)| {
            let confirmed_at = email.verified.then_some("2024-01-01T00:00:00.000Z");
            json!({ "id": place, "email": email.address, "confirmed_at": confirmed_at })
        });
    Ok(reply::json(StatusCode::OK, &Value::Array(list.collect())).by(&caller.account.login))
}

fn key_json(key: &Key, comment: &str) -> Value {
    json!({
        "id": key.id,
        "title": key.title,
        "key": format!("{} {comment}", key.parsed.line()).trim_end(),
        "created_at": iso(key.created_at),
        "expires_at": key.expires_at.map(iso),
        "last_used_at": Value::Null,
        "usage_type": key.usage,
    })
}

async fn list_keys(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Answer {
    let state = site.lock();
    let caller = Caller::of(&state, &ask, READ)?;
    let keys = state.keys_of(caller.account.id).collect();
    let number = ask.query.number("page").unwrap_or(1);
    let per_page = ask.query.number("per_page").unwrap_or(20);
    let page = Page::cut(&site, &state, keys, (number, per_page));
    let body = page
        .items
        .iter()
        .map(|key| key_json(key, &key.parsed.comment))
        .collect();
    let next = if page.number < page.pages() {
        (page.number + 1).to_string()
    } else {
        "".into()
    };
    let response = reply::json(StatusCode::OK, &Value::Array(body))
        .with("x-page", &page.number.to_string())
        .with("x-per-page", &page.per_page.to_string())
        .with("x-total", &page.total.to_string())
        .with("x-total-pages", &page.pages().to_string())
        .with("x-next-page", &next)
        .by(&caller.account.login);
    match page.link(&format!("{}/user/keys", site.api_url)) {
        Some(link) => Ok(response.with("link", &link)),
        None => Ok(response),
    }
}

async fn add_key(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Answer {
    let mut state = site.lock();
    let caller = Caller::of(&state, &ask, WRITE)?;
    let new = new_key(&state, &ask, &caller.token)?;
    let response = match state.add_key(caller.account.id, new) {
        Ok(key) => reply::json(StatusCode::CREATED, &key_json(&key, &key.parsed.comment)),
        Err(problem) => refuse_key(&problem),
    };
    Ok(response.by(&caller.account.login))
}

/// The key that a request describes, or what is wrong with the request.
fn new_key(state: &State, ask: &Ask, token: &Token) -> Result<NewKey, Refusal> {
    let bad = |text: String| -> Refusal {
        reply::json(StatusCode::BAD_REQUEST, &json!({ "error": text }))
            .because(text)
            .into()
    };
    let form = ask.form();
    let field = |name: &str| {
        form.get(name)
            .map(str::to_owned)
            .ok_or_else(|| bad(format!("{name} is missing")))
    };
    let (title, line) = (field("title")?, field("key")?);
    if title.len() > 255 || line.len() > 5000 {
        let text = json!({ "key": ["is too long (maximum is 5000 characters)"] });
        return Err(message(StatusCode::BAD_REQUEST, &text, "too long").into());
    }
    let usage = match form.get("usage_type") {
        None | Some("auth_and_signing") => Usage::AuthAndSigning,
        Some("auth") => Usage::Auth,
        Some("signing") => Usage::Signing,
        Some(_) => return Err(bad("usage_type does not have a valid value".to_owned())),
    };
    let expires_at = match form.get("expires_at").map(parse_iso) {
        Some(None) => return Err(bad("expires_at is invalid".to_owned())),
        other => other.flatten(),
    };
    if expires_at.is_some_and(|end| end <= state.now()) {
        let text = json!({ "key": ["has expired"] });
        return Err(message(StatusCode::BAD_REQUEST, &text, "already expired").into());
    }
    Ok(NewKey {
        title,
        line,
        usage,
        expires_at,
        made_by_app: token.client_id.clone(),
        made_by_token: Some(token.id),
    })
}

fn refuse_key(problem: &KeyProblem) -> Response {
    let text = match problem {
        KeyProblem::Taken => json!({ "fingerprint_sha256": ["has already been taken"] }),
        KeyProblem::Unreadable => {
            json!({ "fingerprint": ["cannot be generated"], "key": ["is invalid"] })
        }
        KeyProblem::Weak(least) => json!({ "key": [format!("must be at least {least} bits")] }),
        KeyProblem::Forbidden(_) => json!({
            "key": ["type is forbidden. Must be RSA, ECDSA, ED25519, ECDSA_SK, or ED25519_SK"]
        }),
    };
    message(StatusCode::BAD_REQUEST, &text, &problem.reason())
}

async fn one_key(Shared(site): Shared<Arc<Site>>, Path(id): Path<u64>, ask: Ask) -> Answer {
    let mut state = site.lock();
    let needed = if ask.method == Method::GET {
        READ
    } else {
        WRITE
    };
    let caller = Caller::of(&state, &ask, needed)?;
    let login = &caller.account.login;
    let key = state
        .keys_of(caller.account.id)
        .find(|key| key.id == id)
        .cloned();
    let Some(key) = key else {
        let text = json!("404 Key Not Found");
        return Ok(message(StatusCode::NOT_FOUND, &text, "no such key").by(login));
    };
    if ask.method == Method::GET {
        return Ok(reply::json(StatusCode::OK, &key_json(&key, &key.parsed.comment)).by(login));
    }
    state.delete_key(caller.account.id, id);
    Ok(StatusCode::NO_CONTENT.into_response().by(login))
}

async fn delete_key(site: Shared<Arc<Site>>, id: Path<u64>, ask: Ask) -> Answer {
    one_key(site, id, ask).await
}

/// The keys of anyone, for everyone.
async fn public_keys(Shared(site): Shared<Arc<Site>>, Path(user): Path<String>) -> Response {
    let state = site.lock();
    let account = match user.parse::<u64>() {
        Ok(id) => state.account(id),
        Err(_) => state.account_by_login(&user),
    };
    let Some(account) = account else {
        return message(
            StatusCode::NOT_FOUND,
            &json!("404 User Not Found"),
            "no such user",
        );
    };
    let comment = format!("{} ({})", account.name, site.ssh_address);
    let body = state
        .keys_of(account.id)
        .map(|key| key_json(key, &comment))
        .collect();
    reply::json(StatusCode::OK, &Value::Array(body))
}
