//! Bitbucket's HTTP access tokens: minted by their owner, listed without their text, deleted.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State as Shared},
    http::StatusCode,
    response::IntoResponse as _,
    routing::get,
};
use serde_json::{Value, json};

use crate::{
    ask::Ask,
    bitbucket_api::{Caller, error, no_such_user, page, slug, user_json},
    reply::{self, Answer, Refusal},
    state::{Account, Site, Standing, State, Token, TokenSort},
    world,
};

/// The resources; the version in their paths is `latest` or `1.0`.
pub(crate) fn api() -> Router<Arc<Site>> {
    ["latest", "1.0"]
        .into_iter()
        .fold(Router::new(), |router, version| {
            let base = format!("/rest/access-tokens/{version}/users/{{slug}}");
            router.route(&base, get(list_minted).put(mint)).route(
                &format!("{base}/{{id}}"),
                get(one_minted).delete(delete_minted),
            )
        })
}

/// What an HTTP access token may be given, with its level.
const PERMISSIONS: &[(&str, u8)] = &[
    ("PROJECT_READ", 1),
    ("PROJECT_WRITE", 2),
    ("PROJECT_ADMIN", 3),
    ("REPO_READ", 1),
    ("REPO_WRITE", 2),
    ("REPO_ADMIN", 3),
];

/// The caller if the slug is their own: others' tokens are for administrators.
fn owner(site: &Site, state: &mut State, ask: &Ask, wanted: &str) -> Result<Caller, Refusal> {
    let caller = Caller::of_account(site, state, ask)?;
    if slug(&caller.account.login) == wanted {
        return Ok(caller);
    }
    let known = state
        .accounts
        .iter()
        .any(|account| slug(&account.login) == wanted);
    let response = if known {
        let text = "You are not permitted to access this resource";
        error(StatusCode::UNAUTHORIZED, "AuthorisationException", text)
    } else {
        no_such_user(wanted)
    };
    Err(caller.named(response).into())
}

fn minted_json(site: &Site, token: &Token, account: &Account) -> Value {
    let name = match &token.sort {
        TokenSort::Minted { name } => name.as_str(),
        _ => "",
    };
    let mut body = json!({
        "id": token.id.to_string(),
        "name": name,
        "createdDate": token.issued_at * 1000,
        "permissions": token.scopes,
        "user": user_json(site, account),
    });
    if let Some(end) = token.expires_at {
        body["expiryDate"] = json!(end * 1000);
    }
    body
}

async fn mint(Shared(site): Shared<Arc<Site>>, Path(wanted): Path<String>, ask: Ask) -> Answer {
    let mut state = site.lock();
    let caller = owner(&site, &mut state, &ask, &wanted)?;
    let body = ask.json().unwrap_or_default();
    let wish = match read_wish(&state, &body) {
        Ok(wish) => wish,
        Err(text) => {
            let response = error(
                StatusCode::BAD_REQUEST,
                "accesstokens.InvalidException",
                text,
            );
            return Ok(caller.named(response));
        }
    };
    let now = state.now();
    let token = Token {
        id: state.next_id(),
        access: format!("BBDC-{}", world::random_letters(40)),
        refresh: None,
        refresh_expires_at: None,
        client_id: None,
        account: caller.account.id,
        scopes: wish.permissions,
        issued_at: now,
        expires_at: wish.days.map(|days| now + days * 86_400),
        revoked: false,
        sort: TokenSort::Minted { name: wish.name },
    };
    state.note_issued([&token.access]);
    state.tokens.push(token.clone());
    let mut body = minted_json(&site, &token, &caller.account);
    // Only here does the token itself appear.
    body["token"] = json!(token.access);
    Ok(caller.named(reply::json(StatusCode::OK, &body)))
}

/// What a token is to be.
struct Wish {
    name: String,
    permissions: Vec<String>,
    days: Option<i64>,
}

fn read_wish(state: &State, body: &Value) -> Result<Wish, &'static str> {
    let name = body["name"].as_str().filter(|name| !name.is_empty());
    let name = name.ok_or("A name is required.")?.to_owned();
    let mut permissions = Vec::new();
    let (mut project, mut repository) = (0, 0);
    for asked in body["permissions"].as_array().into_iter().flatten() {
        let found = PERMISSIONS
            .iter()
            .find(|(known, _)| asked.as_str() == Some(known));
        let (known, level) = found.ok_or("A permission is unknown.")?;
        let highest = if known.starts_with("REPO") {
            &mut repository
        } else {
            &mut project
        };
        *highest = (*highest).max(*level);
        permissions.push((*known).to_owned());
    }
    if permissions.is_empty() {
        return Err("Permissions are required.");
    }
    if repository < project {
        return Err("The repository permission must be at least the project permission.");
    }
    let days = body["expiryDays"].as_i64();
    if days.is_some_and(|days| days < 1) {
        return Err("The expiry must be at least one day.");
    }
    match (state.knobs.minted_max_days, days) {
        (Some(max), days) if days.is_none_or(|days| days > max) => {
            Err("The expiry is longer than the administrator allows.")
        }
        _ => Ok(Wish {
            name,
            permissions,
            days,
        }),
    }
}

/// The live minted tokens of an account.
fn minted_of(state: &State, account: u64) -> impl Iterator<Item = &Token> {
    let now = state.now();
    state.tokens.iter().filter(move |token| {
        token.account == account
            && matches!(token.sort, TokenSort::Minted { .. })
            && token.standing(now) == Standing::Alive
    })
}

async fn list_minted(
    Shared(site): Shared<Arc<Site>>,
    Path(wanted): Path<String>,
    ask: Ask,
) -> Answer {
    let mut state = site.lock();
    let caller = owner(&site, &mut state, &ask, &wanted)?;
    let list = minted_of(&state, caller.account.id)
        .map(|token| minted_json(&site, token, &caller.account))
        .collect();
    Ok(caller.named(page(&state, &ask, list)))
}

async fn one_minted(
    Shared(site): Shared<Arc<Site>>,
    Path((wanted, id)): Path<(String, u64)>,
    ask: Ask,
) -> Answer {
    let mut state = site.lock();
    let caller = owner(&site, &mut state, &ask, &wanted)?;
    let found = minted_of(&state, caller.account.id).find(|token| token.id == id);
    Ok(caller.named(match found {
        Some(token) => reply::json(StatusCode::OK, &minted_json(&site, token, &caller.account)),
        None => error(
            StatusCode::NOT_FOUND,
            "accesstokens.NoSuchException",
            "No such access token.",
        ),
    }))
}

async fn delete_minted(
    Shared(site): Shared<Arc<Site>>,
    Path((wanted, id)): Path<(String, u64)>,
    ask: Ask,
) -> Answer {
    let mut state = site.lock();
    let caller = owner(&site, &mut state, &ask, &wanted)?;
    let found = minted_of(&state, caller.account.id).find(|token| token.id == id);
    if let Some(id) = found.map(|token| token.id) {
        state.end_token(id);
    }
    Ok(caller.named(StatusCode::NO_CONTENT.into_response()))
}
