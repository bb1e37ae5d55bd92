//! Bitbucket's REST resources: who am I, users, SSH keys, HTTP access tokens.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State as Shared},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::{
    Shape,
    ask::{Ask, Authorization},
    bitbucket::covers,
    git,
    keys::{Key, KeyProblem, NewKey, Usage},
    oauth1::Signed,
    reply::{self, Answer, Refusal, Remark as _},
    state::{Account, Site, Standing, State, Token, TokenSort},
};

/// The resources; the version in their paths is `latest` or `1.0`.
pub(crate) fn api() -> Router<Arc<Site>> {
    let router = Router::new().route("/plugins/servlet/applinks/whoami", get(whoami));
    ["latest", "1.0"]
        .into_iter()
        .fold(router, |router, version| {
            let rest = |path: &str| path.replacen("{v}", version, 1);
            router
                .route(
                    &rest("/rest/api/{v}/application-properties"),
                    get(properties),
                )
                .route(&rest("/rest/api/{v}/users"), get(users))
                .route(&rest("/rest/api/{v}/users/{slug}"), get(user))
                .route(&rest("/rest/api/{v}/inbox/pull-requests/count"), get(inbox))
                .route(
                    &rest("/rest/api/{v}/projects/{key}/repos/{slug}"),
                    get(repository),
                )
                .route(&rest("/rest/ssh/{v}/settings"), get(settings))
                .route(
                    &rest("/rest/ssh/{v}/keys"),
                    get(list_keys).post(add_key).delete(delete_all_keys),
                )
                .route(
                    &rest("/rest/ssh/{v}/keys/{id}"),
                    get(one_key).delete(delete_key),
                )
        })
}

pub(crate) fn error(status: StatusCode, exception: &str, message: &str) -> Response {
    let body = json!({
        "errors": [{
            "context": Value::Null,
            "message": message,
            "exceptionName": format!("com.atlassian.bitbucket.{exception}"),
        }],
    });
    reply::json(status, &body).because(message)
}

fn not_authenticated() -> Response {
    let text = "Authentication failed. Please check your credentials and try again.";
    error(
        StatusCode::UNAUTHORIZED,
        "auth.IncorrectPasswordAuthenticationException",
        text,
    )
}

/// Who asks, and with what.
pub(crate) struct Caller {
    pub(crate) account: Account,
    pub(crate) token: Token,
}

impl Caller {
    /// The caller, or none for those who are anonymous or whose token is not alive: resources
    /// that are open to everyone answer them alike. A wrong signature is always refused.
    fn maybe(site: &Site, state: &mut State, ask: &Ask) -> Result<Option<Self>, Refusal> {
        let token = match ask.authorization() {
            Authorization::OAuth1(_) => {
                let signed = Signed::check(state, site, ask);
                let token = signed.and_then(|signed| signed.token(state).cloned());
                Some(token.map_err(|problem| problem.answer(site))?)
            }
            Authorization::Bearer(access) => alive(state, &access, None),
            Authorization::Basic { username, password } => alive(state, &password, Some(&username)),
            _ => None,
        };
        let Some(token) = token else { return Ok(None) };
        let account = state
            .account(token.account)
            .filter(|account| !account.suspended);
        Ok(account.cloned().map(|account| Self { account, token }))
    }

    /// The caller of a resource that is not for everyone.
    fn of(site: &Site, state: &mut State, ask: &Ask) -> Result<Self, Refusal> {
        Self::maybe(site, state, ask)?.ok_or_else(|| not_authenticated().into())
    }

    /// The caller of a resource that changes the account.
    pub(crate) fn of_account(site: &Site, state: &mut State, ask: &Ask) -> Result<Self, Refusal> {
        let caller = Self::of(site, state, ask)?;
        let allowed = match &caller.token.sort {
            // 1.0a knows no scopes: the token may do what its person may.
            TokenSort::OAuth1 { .. } => true,
            TokenSort::OAuth2 => covers(&caller.token.scopes, "ACCOUNT_WRITE"),
            // Such a token can neither make tokens nor change its account.
            TokenSort::Minted { .. } => false,
        };
        if allowed {
            return Ok(caller);
        }
        let text = "You are not permitted to access this resource";
        let response = error(StatusCode::FORBIDDEN, "AuthorisationException", text);
        Err(caller.named(response).into())
    }

    /// Adds the headers that tell who was recognised.
    pub(crate) fn named(&self, response: Response) -> Response {
        let name = utf8_percent_encode(&self.account.login, NON_ALPHANUMERIC).to_string();
        response
            .with("x-ausername", &name)
            .with("x-auserid", &self.account.id.to_string())
            .by(&self.account.login)
    }
}

/// A live token: any as Bearer, a minted one as Basic with its owner's name.
fn alive(state: &State, access: &str, username: Option<&str>) -> Option<Token> {
    let token = state.token(access)?;
    let owner = state.account(token.account)?;
    let right_way = match (&token.sort, username) {
        (TokenSort::OAuth1 { .. }, _) | (TokenSort::OAuth2, Some(_)) => false,
        (TokenSort::Minted { .. }, Some(name)) => name == owner.login,
        (_, None) => true,
    };
    (right_way && token.standing(state.now()) == Standing::Alive).then(|| token.clone())
}

/// The user name as text; nothing at all for the anonymous.
async fn whoami(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Answer {
    let caller = Caller::maybe(&site, &mut site.lock(), &ask)?;
    Ok(match caller {
        Some(caller) => {
            let response = reply::text(StatusCode::OK, caller.account.login.clone());
            caller.named(response)
        }
        None => reply::text(StatusCode::OK, "").because("anonymous"),
    })
}

async fn properties(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Answer {
    let caller = Caller::maybe(&site, &mut site.lock(), &ask)?;
    let version = match site.shape {
        Shape::BitbucketServerOAuth1 => "7.17.1",
        _ => "9.4.1",
    };
    let body = json!({
        "version": version,
        "buildNumber": "9004001",
        "buildDate": "1730000000000",
        "displayName": "Bitbucket",
    });
    let response = reply::json(StatusCode::OK, &body);
    Ok(match caller {
        Some(caller) => caller.named(response),
        None => response,
    })
}

/// The part of a URL that stands for a user: lower case, other characters as `_`.
pub(crate) fn slug(login: &str) -> String {
    let keep = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    login
        .to_lowercase()
        .chars()
        .map(|letter| if keep(letter) { letter } else { '_' })
        .collect()
}

pub(crate) fn user_json(site: &Site, account: &Account) -> Value {
    let slug = slug(&account.login);
    json!({
        "name": account.login,
        "emailAddress": account.email(),
        "active": !account.suspended,
        "displayName": account.name,
        "id": account.id,
        "links": { "self": [{ "href": format!("{}/users/{slug}", site.url) }] },
        "slug": slug,
        "type": "NORMAL",
    })
}

/// One page of a list, by `start` and `limit`.
pub(crate) fn page(state: &State, ask: &Ask, items: Vec<Value>) -> Response {
    let start = ask.query.number("start").unwrap_or(0);
    let limit = ask.query.number("limit").unwrap_or(25);
    let limit = limit.clamp(1, state.knobs.page_size.unwrap_or(1000).max(1));
    let total = items.len();
    let values: Vec<Value> = items.into_iter().skip(start).take(limit).collect();
    let end = start + values.len();
    let mut body = json!({
        "size": values.len(),
        "limit": limit,
        "isLastPage": end >= total,
        "start": start,
        "values": values,
    });
    body["nextPageStart"] = if end < total { json!(end) } else { Value::Null };
    reply::json(StatusCode::OK, &body)
}

async fn users(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Answer {
    let mut state = site.lock();
    let caller = Caller::of(&site, &mut state, &ask)?;
    let filter = ask.query.text("filter").to_lowercase();
    // The filter looks into names, display names and addresses alike.
    let matches = |account: &&Account| {
        [&account.login, &account.name]
            .into_iter()
            .chain(account.emails.iter().map(|email| &email.address))
            .any(|text| text.to_lowercase().contains(&filter))
    };
    let found = state.accounts.iter().filter(matches);
    let found = found.map(|account| user_json(&site, account)).collect();
    Ok(caller.named(page(&state, &ask, found)))
}

async fn user(Shared(site): Shared<Arc<Site>>, Path(wanted): Path<String>, ask: Ask) -> Answer {
    let mut state = site.lock();
    let caller = Caller::of(&site, &mut state, &ask)?;
    let found = state
        .accounts
        .iter()
        .find(|account| slug(&account.login) == wanted);
    Ok(caller.named(match found {
        Some(account) => reply::json(StatusCode::OK, &user_json(&site, account)),
        None => no_such_user(&wanted),
    }))
}

pub(crate) fn no_such_user(slug: &str) -> Response {
    let text = format!("{slug} is not a user");
    error(StatusCode::NOT_FOUND, "user.NoSuchUserException", &text)
}

async fn inbox(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Answer {
    let caller = Caller::of(&site, &mut site.lock(), &ask)?;
    Ok(caller.named(reply::json(StatusCode::OK, &json!({ "count": 0 }))))
}

async fn repository(
    Shared(site): Shared<Arc<Site>>,
    Path((key, name)): Path<(String, String)>,
    ask: Ask,
) -> Answer {
    let mut state = site.lock();
    let caller = Caller::of(&site, &mut state, &ask)?;
    let found = state.repository(&key, &name);
    let Some(found) = found.filter(|known| git::is_member(known, &caller.account)) else {
        let text = format!("Repository {key}/{name} does not exist.");
        return Ok(error(
            StatusCode::NOT_FOUND,
            "repository.NoSuchRepositoryException",
            &text,
        ));
    };
    let urls = git::urls(&site, &found.owner, &found.name);
    let body = json!({
        "slug": found.name,
        "name": found.name,
        "project": { "key": found.owner },
        "links": { "clone": [
            { "href": urls.ssh, "name": "ssh" },
            { "href": urls.https, "name": "http" },
        ]},
    });
    Ok(caller.named(reply::json(StatusCode::OK, &body)))
}

/// Where SSH is, for everyone.
async fn settings(Shared(site): Shared<Arc<Site>>) -> Response {
    let fingerprint = crate::keys::Parsed::read(&site.ssh_host_key);
    let fingerprint = fingerprint.map_or_else(|_| String::new(), |key| key.fingerprint);
    let port: u16 = site
        .ssh_address
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok())
        .unwrap_or(7999);
    let body = json!({
        "enabled": true,
        "port": port,
        "baseUrl": format!("ssh://{}", site.ssh_address),
        "fingerprint": { "algorithm": "SHA256", "value": fingerprint },
        "accessKeysEnabled": true,
    });
    reply::json(StatusCode::OK, &body)
}

fn key_json(key: &Key, now: i64) -> Value {
    let text = format!("{} {}", key.parsed.line(), key.parsed.comment);
    json!({
        "id": key.id,
        "text": text.trim_end(),
        "label": key.title,
        "algorithmType": key.parsed.algorithm.trim_start_matches("ssh-").to_uppercase(),
        "bitLength": key.parsed.bits,
        "createdDate": key.created_at * 1000,
        "expiryDays": key.expires_at.map(|end| (end - now) / 86_400),
        "fingerprint": key.parsed.fingerprint,
        "lastAuthenticated": Value::Null,
    })
}

async fn list_keys(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Answer {
    let mut state = site.lock();
    let caller = Caller::of_account(&site, &mut state, &ask)?;
    let now = state.now();
    let keys = state
        .keys_of(caller.account.id)
        .map(|key| key_json(key, now))
        .collect();
    Ok(caller.named(page(&state, &ask, keys)))
}

async fn add_key(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Answer {
    let mut state = site.lock();
    let caller = Caller::of_account(&site, &mut state, &ask)?;
    let body = ask.json().unwrap_or_default();
    let line = body["text"].as_str().unwrap_or_default();
    let comment = line.splitn(3, ' ').nth(2).unwrap_or_default();
    let now = state.now();
    let new = NewKey {
        // Without a label, as older versions always do, the comment names the key.
        title: body["label"].as_str().unwrap_or(comment).to_owned(),
        line: line.to_owned(),
        usage: Usage::Auth,
        expires_at: body["expiryDays"].as_i64().map(|days| now + days * 86_400),
        made_by_app: caller.token.client_id.clone(),
        made_by_token: Some(caller.token.id),
    };
    let response = match state.add_key(caller.account.id, new) {
        Ok(key) => reply::json(StatusCode::CREATED, &key_json(&key, now)),
        Err(problem) => refuse_key(&problem),
    };
    Ok(caller.named(response))
}

fn refuse_key(problem: &KeyProblem) -> Response {
    match problem {
        KeyProblem::Taken => {
            let text = "An SSH key with this public key already exists on the system.";
            error(StatusCode::CONFLICT, "ssh.DuplicateSshKeyException", text)
        }
        _ => {
            let text = format!("The key cannot be used: {}.", problem.reason());
            error(StatusCode::BAD_REQUEST, "ssh.InvalidSshKeyException", &text)
        }
    }
}

async fn one_key(Shared(site): Shared<Arc<Site>>, Path(id): Path<u64>, ask: Ask) -> Answer {
    let mut state = site.lock();
    let caller = Caller::of_account(&site, &mut state, &ask)?;
    let now = state.now();
    let key = state.keys_of(caller.account.id).find(|key| key.id == id);
    Ok(caller.named(match key {
        Some(key) => reply::json(StatusCode::OK, &key_json(key, now)),
        None => error(
            StatusCode::NOT_FOUND,
            "ssh.NoSuchSshKeyException",
            "No such SSH key.",
        ),
    }))
}

/// 204 also when there is no such key.
async fn delete_key(Shared(site): Shared<Arc<Site>>, Path(id): Path<u64>, ask: Ask) -> Answer {
    let mut state = site.lock();
    let caller = Caller::of_account(&site, &mut state, &ask)?;
    state.delete_key(caller.account.id, id);
    Ok(caller.named(StatusCode::NO_CONTENT.into_response()))
}

/// Without a number this deletes every key of the caller.
async fn delete_all_keys(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Answer {
    let mut state = site.lock();
    let caller = Caller::of_account(&site, &mut state, &ask)?;
    state.keys.retain(|key| key.account != caller.account.id);
    Ok(caller.named(StatusCode::NO_CONTENT.into_response()))
}
