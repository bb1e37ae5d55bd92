//! `/login` and `/logout`: sign-in by name and password.

use askama::Template;
use axum::{extract::Query, extract::State, response::IntoResponse, response::Redirect};
use axum_extra::extract::Form;
use broker::AsUser;
use secrecy::SecretString;
use serde::Deserialize;

use super::{Answer, Frame, show, show_as};
use crate::{
    app::App,
    auth::{Knock, signed_in, signed_out_to},
    problem::Failure,
};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Frame,
    fault: Option<Failure>,
    name: String,
    next: String,
    ended: bool,
    /// Whether anybody can sign in at all.
    set_up: bool,
}

/// Where the person wanted to go.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    next: String,
    ended: Option<String>,
}

/// The form.
#[derive(Deserialize)]
pub struct SignIn {
    name: String,
    password: SecretString,
    #[serde(default)]
    next: String,
}

/// `GET /login`. Whoever is signed in already goes on at once.
pub async fn page(
    State(app): State<App>,
    user: Option<AsUser>,
    frame: Frame,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let next = local_path(&app, &wanted.next);
    if user.is_some() {
        return Ok(Redirect::to(&next).into_response());
    }
    show(&LoginPage {
        frame,
        fault: None,
        name: String::new(),
        next,
        ended: wanted.ended.is_some(),
        set_up: app.broker().is_set_up().await?,
    })
}

/// `POST /login`.
pub async fn submit(
    State(app): State<App>,
    frame: Frame,
    Knock(visitor): Knock,
    Form(form): Form<SignIn>,
) -> Answer {
    let next = local_path(&app, &form.next);
    match app
        .broker()
        .sign_in(&form.name, &form.password, &visitor)
        .await
    {
        Ok(session) => Ok(signed_in(&app, &session, &next)),
        Err(refused) => {
            let failure = Failure::from(refused);
            if failure.status.is_server_error() {
                return Err(failure);
            }
            let status = failure.status;
            let (name, fault) = (form.name, Some(failure));
            show_as(
                status,
                &LoginPage {
                    frame,
                    fault,
                    name,
                    next,
                    ended: false,
                    set_up: true,
                },
            )
        }
    }
}

/// `POST /logout`.
pub async fn sign_out(State(app): State<App>, user: AsUser) -> Answer {
    user.sign_out().await?;
    Ok(signed_out_to(&app, "/login"))
}

/// The path to go on to, if it is one of ours; else the home page.
///
/// Browsers read `//host`, `/\host` and tabs within as other sites, so the address is resolved as
/// they would and its origin compared.
fn local_path(app: &App, next: &str) -> String {
    let resolved = app.public_url().join(next).ok();
    let ours =
        resolved.filter(|url| next.starts_with('/') && url.origin() == app.public_url().origin());
    match ours {
        Some(url) => match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        },
        None => "/".to_owned(),
    }
}
