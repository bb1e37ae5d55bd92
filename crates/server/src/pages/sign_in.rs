//! `/preferences/sign-in`: sessions and API tokens.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use axum_extra::extract::Form;
use broker::{ApiTokenId, ApiTokenView, AsUser, SessionId, SessionView};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{Answer, Frame, done, show_as, workspaces::Secret};
use crate::{app::App, problem::Failure};

const SIGN_IN: &str = "/preferences/sign-in";

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    fault: Option<Failure>,
    secret: Option<Secret>,
    sessions: Vec<SessionView>,
    tokens: Vec<ApiTokenView>,
}

/// `GET /preferences/sign-in`.
pub async fn page(user: AsUser, frame: Frame) -> Answer {
    let (sessions, tokens) = tokio::try_join!(user.sessions(), user.api_tokens())?;
    let page = SignInPage {
        frame,
        fault: None,
        secret: None,
        sessions,
        tokens,
    };
    show_as(StatusCode::OK, &page)
}

/// The form for an API token.
#[derive(Debug, Deserialize)]
pub struct NewToken {
    name: String,
    days: i64,
}

/// `POST /preferences/sign-in/tokens`: shows the token this once.
pub async fn add_token(user: AsUser, frame: Frame, Form(form): Form<NewToken>) -> Answer {
    let ttl_s = form.days.saturating_mul(super::DAY_S);
    let (secret, fault) = match user.add_api_token(&form.name, ttl_s).await {
        Ok(new) => {
            let token = new.token.expose_secret().to_owned();
            (
                Some(Secret {
                    name: new.view.name,
                    token,
                }),
                None,
            )
        }
        Err(refused) => (None, Some(Failure::from(refused).mendable()?)),
    };
    let status = fault
        .as_ref()
        .map_or(StatusCode::OK, |failure| failure.status);
    let (sessions, tokens) = tokio::try_join!(user.sessions(), user.api_tokens())?;
    show_as(
        status,
        &SignInPage {
            frame,
            fault,
            secret,
            sessions,
            tokens,
        },
    )
}

/// `POST /preferences/sign-in/tokens/{id}/revoke`.
pub async fn revoke_token(State(app): State<App>, user: AsUser, Path(id): Path<String>) -> Answer {
    user.revoke_api_token(&ApiTokenId(id)).await?;
    Ok(done(&app, SIGN_IN, "The API token is revoked."))
}

/// `POST /preferences/sign-in/sessions/{id}/end`.
pub async fn end_session(State(app): State<App>, user: AsUser, Path(id): Path<String>) -> Answer {
    user.end_session(&SessionId(id)).await?;
    Ok(done(&app, SIGN_IN, "The session is ended."))
}
