//! `/setup`: the first site manager, by the one-time link that the server prints.

use askama::Template;
use axum::extract::{Query, State};
use axum_extra::extract::Form;
use broker::NewAccount;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{Answer, Frame, show, show_as, text};
use crate::{
    app::App,
    auth::{Knock, signed_in},
    problem::Failure,
};

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    frame: Frame,
    fault: Option<Failure>,
    /// In the form's own body when it is sent, so that it stands in no log of a proxy.
    token: String,
    name: String,
    email: String,
}

/// A one-time link's secret.
#[derive(Deserialize)]
pub struct Token {
    #[serde(default)]
    pub(super) token: SecretString,
}

/// The form.
#[derive(Deserialize)]
pub struct FirstAccount {
    token: SecretString,
    name: String,
    #[serde(default)]
    email: String,
    password: SecretString,
}

/// `GET /setup?token=`.
pub async fn page(
    State(app): State<App>,
    frame: Frame,
    Query(Token { token }): Query<Token>,
) -> Answer {
    app.broker().check_setup(&token).await?;
    let token = token.expose_secret().to_owned();
    show(&SetupPage {
        frame,
        fault: None,
        token,
        name: String::new(),
        email: String::new(),
    })
}

/// `POST /setup`.
pub async fn submit(
    State(app): State<App>,
    frame: Frame,
    Knock(visitor): Knock,
    Form(form): Form<FirstAccount>,
) -> Answer {
    let FirstAccount {
        token,
        name,
        email,
        password,
    } = form;
    let account = NewAccount {
        name: name.clone(),
        email: text::filled(&email),
        password,
    };
    match app.broker().complete_setup(&token, account, &visitor).await {
        Ok(session) => Ok(signed_in(&app, &session, "/manage/admin/git-oauth")),
        Err(refused) => {
            let failure = Failure::from(refused);
            if !failure.is_mendable() {
                return Err(failure);
            }
            let (status, fault) = (failure.status, Some(failure));
            let token = token.expose_secret().to_owned();
            show_as(
                status,
                &SetupPage {
                    frame,
                    fault,
                    token,
                    name,
                    email,
                },
            )
        }
    }
}
