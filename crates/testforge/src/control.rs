//! The control API `/_testforge`: JSON over loopback for what the handle does in-process.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State as Shared,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    faults::{Endpoint, Fault},
    forge::AppSpec,
    git::{self, Visibility},
    shape::Knobs,
    state::{EmailAddress, Site},
    world,
};

type Site_ = Shared<Arc<Site>>;

/// The routes below `/_testforge`.
pub(crate) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/", get(about))
        .route("/accounts", post(add_account))
        .route("/accounts/change", post(change_account))
        .route("/apps", post(register_app))
        .route("/apps/secret", post(renew_secret))
        .route("/apps/suspend", post(suspend_app))
        .route("/consumers", post(register_consumer))
        .route("/keys", get(keys).post(accept_key).delete(remove_key))
        .route("/tokens", get(tokens))
        .route("/tokens/expire", post(expire_tokens))
        .route("/tokens/revoke", post(revoke_tokens))
        .route("/repositories", post(create_repository))
        .route("/organisations", post(change_organisation))
        .route("/knobs", get(knobs).post(set_knobs))
        .route("/faults", post(arm).delete(disarm))
        .route("/clock", post(advance))
        .route("/refreshes", get(refreshes))
        .route("/log", get(log).delete(clear_log))
}

fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

fn answer(result: anyhow::Result<Value>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(error) => {
            let body = Json(json!({ "error": format!("{error:#}") }));
            (StatusCode::BAD_REQUEST, body).into_response()
        }
    }
}

/// Where everything of a site is; also what the program `testforge` prints.
pub(crate) fn describe(site: &Site) -> Value {
    let root = site
        .url
        .strip_suffix(site.shape.sub_path())
        .unwrap_or(&site.url);
    json!({
        "shape": site.shape.name(),
        "url": site.url,
        "api_url": site.api_url,
        "control_url": format!("{root}/_testforge"),
        "ssh_address": site.ssh_address,
        "ssh_host_key": site.ssh_host_key,
        "ca_file": site.ca_file,
    })
}

async fn about(Shared(site): Site_) -> Response {
    Json(describe(&site)).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAccount {
    login: String,
    emails: Option<Vec<EmailAddress>>,
}

async fn add_account(Shared(site): Site_, Json(new): Json<NewAccount>) -> Response {
    let usual = || {
        vec![EmailAddress {
            address: format!("{}@example.com", new.login),
            verified: true,
        }]
    };
    let emails = new.emails.clone().unwrap_or_else(usual);
    let account = site.lock().add_account(&new.login, &emails);
    Json(json!(account)).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountChange {
    login: String,
    suspended: Option<bool>,
    password: Option<String>,
}

async fn change_account(Shared(site): Site_, Json(change): Json<AccountChange>) -> Response {
    let mut state = site.lock();
    answer(state.account_mut(&change.login).map(|account| {
        account.suspended = change.suspended.unwrap_or(account.suspended);
        account.password = change.password.or(account.password.take());
        json!({ "login": account.login })
    }))
}

async fn register_app(Shared(site): Site_, Json(spec): Json<AppSpec>) -> Response {
    answer(site.lock().register_app(spec).map(|(client_id, client_secret)| {
        json!({ "client_id": client_id, "client_secret": client_secret })
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppName {
    client_id: String,
}

async fn renew_secret(Shared(site): Site_, Json(app): Json<AppName>) -> Response {
    answer(site.lock().app_mut(&app.client_id).map(|known| {
        known.client_secret = world::random_hex(20);
        json!({ "client_secret": known.client_secret })
    }))
}

async fn suspend_app(Shared(site): Site_, Json(app): Json<AppName>) -> Response {
    answer(site.lock().app_mut(&app.client_id).map(|known| {
        known.suspended = true;
        json!({ "client_id": known.client_id })
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Consumer {
    key: String,
    name: String,
    public_key: String,
}

async fn register_consumer(Shared(site): Site_, Json(new): Json<Consumer>) -> Response {
    let result = site
        .lock()
        .register_consumer(&new.key, &new.name, &new.public_key);
    answer(result.map(|()| json!({ "key": new.key })))
}

async fn keys(Shared(site): Site_) -> Response {
    Json(site.lock().key_views()).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PastedKey {
    login: String,
    key: String,
}

async fn accept_key(Shared(site): Site_, Json(new): Json<PastedKey>) -> Response {
    answer(
        site.lock()
            .accept_key(&new.login, &new.key)
            .map(|view| json!(view)),
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyName {
    id: u64,
}

async fn remove_key(Shared(site): Site_, Json(key): Json<KeyName>) -> Response {
    site.lock().keys.retain(|known| known.id != key.id);
    done()
}

async fn tokens(Shared(site): Site_) -> Response {
    Json(site.lock().token_views()).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    login: String,
}

async fn expire_tokens(Shared(site): Site_, Json(who): Json<Login>) -> Response {
    site.lock().expire_tokens(&who.login);
    done()
}

async fn revoke_tokens(Shared(site): Site_, Json(who): Json<Login>) -> Response {
    site.lock().revoke_tokens(&who.login);
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRepository {
    owner: String,
    name: String,
    #[serde(default)]
    public: bool,
}

async fn create_repository(Shared(site): Site_, Json(new): Json<NewRepository>) -> Response {
    let visibility = if new.public {
        Visibility::Public
    } else {
        Visibility::Private
    };
    answer(git::create(&site, &new.owner, &new.name, visibility).map(|urls| json!(urls)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrganisationChange {
    name: String,
    forbid_app: Option<String>,
    saml: Option<bool>,
    authorise: Option<String>,
}

async fn change_organisation(Shared(site): Site_, Json(new): Json<OrganisationChange>) -> Response {
    let mut state = site.lock();
    let organisation = state.organisation_mut(&new.name);
    organisation.forbidden_apps.extend(new.forbid_app);
    organisation.authorised.extend(new.authorise);
    organisation.saml = new.saml.unwrap_or(organisation.saml);
    done()
}

async fn knobs(Shared(site): Site_) -> Response {
    Json(site.lock().knobs.clone()).into_response()
}

/// Members that are not sent keep their value.
async fn set_knobs(Shared(site): Site_, Json(change): Json<Value>) -> Response {
    let mut state = site.lock();
    let merged = serde_json::to_value(&state.knobs).map(|mut all| {
        if let (Some(all), Some(change)) = (all.as_object_mut(), change.as_object()) {
            all.extend(change.clone());
        }
        all
    });
    let merged = merged.and_then(serde_json::from_value::<Knobs>);
    answer(merged.map_err(Into::into).map(|knobs| {
        state.knobs = knobs;
        json!(state.knobs)
    }))
}

#[derive(Deserialize)]
struct ArmedFault {
    endpoint: Endpoint,
    times: Option<u32>,
    #[serde(flatten)]
    fault: Fault,
}

async fn arm(Shared(site): Site_, Json(new): Json<ArmedFault>) -> Response {
    site.lock()
        .arm(new.endpoint, new.fault, new.times.unwrap_or(1));
    done()
}

async fn disarm(Shared(site): Site_) -> Response {
    site.lock().faults.clear();
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clock {
    advance_s: i64,
}

async fn advance(Shared(site): Site_, Json(clock): Json<Clock>) -> Response {
    let mut state = site.lock();
    state.clock_offset_s += clock.advance_s;
    Json(json!({ "now": state.now() })).into_response()
}

async fn refreshes(Shared(site): Site_) -> Response {
    Json(json!({ "refreshes": site.lock().refreshes })).into_response()
}

async fn log(Shared(site): Site_) -> Response {
    Json(site.lock().log.clone()).into_response()
}

async fn clear_log(Shared(site): Site_) -> Response {
    site.lock().log.clear();
    done()
}
