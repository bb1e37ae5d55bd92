//! `/preferences/workspaces`: machines where this user's Git runs.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use axum_extra::extract::Form;
use broker::{AsUser, UnboundSsh, WorkspaceId, WorkspaceView};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{Answer, Frame, done, show_as};
use crate::{app::App, problem::Failure};

#[derive(Template)]
#[template(path = "workspaces.html")]
struct WorkspacesPage {
    frame: Frame,
    workspaces: Vec<WorkspaceView>,
    login_command: String,
    fault: Option<Failure>,
    secret: Option<Secret>,
    /// Whether the form for a token is unfolded.
    open: bool,
}

/// A token, shown this once.
pub(super) struct Secret {
    pub(super) name: String,
    pub(super) token: String,
}

/// What became of the form, if it was sent.
enum Sent {
    Nothing,
    Token(Secret),
    Fault(Failure),
}

/// `GET /preferences/workspaces`.
pub async fn page(State(app): State<App>, user: AsUser, frame: Frame) -> Answer {
    render(&app, &user, frame, Sent::Nothing).await
}

/// The form for a token without the device dance.
#[derive(Debug, Deserialize)]
pub struct NewToken {
    name: String,
    days: i64,
    unbound_allowed: Option<String>,
}

/// `POST /preferences/workspaces`: shows the token this once.
pub async fn add(
    State(app): State<App>,
    user: AsUser,
    frame: Frame,
    Form(form): Form<NewToken>,
) -> Answer {
    let unbound = match form.unbound_allowed {
        Some(_) => UnboundSsh::Allowed,
        None => UnboundSsh::Denied,
    };
    let ttl_s = form.days.saturating_mul(super::DAY_S);
    let sent = match user.add_workspace(&form.name, Some(ttl_s), unbound).await {
        Ok(new) => Sent::Token(Secret {
            name: new.workspace.name,
            token: new.token.expose_secret().to_owned(),
        }),
        Err(refused) => Sent::Fault(Failure::from(refused).mendable()?),
    };
    render(&app, &user, frame, sent).await
}

async fn render(app: &App, user: &AsUser, frame: Frame, sent: Sent) -> Answer {
    let (secret, fault) = match sent {
        Sent::Nothing => (None, None),
        Sent::Token(secret) => (Some(secret), None),
        Sent::Fault(failure) => (None, Some(failure)),
    };
    let status = fault
        .as_ref()
        .map_or(StatusCode::OK, |failure| failure.status);
    let page = WorkspacesPage {
        frame,
        workspaces: user.workspaces().await?,
        login_command: format!("forgepass login {}", app.public_url_text()),
        open: fault.is_some(),
        fault,
        secret,
    };
    show_as(status, &page)
}

/// `POST /preferences/workspaces/{id}/revoke`.
pub async fn revoke(State(app): State<App>, user: AsUser, Path(id): Path<String>) -> Answer {
    user.revoke_workspace(&WorkspaceId(id)).await?;
    Ok(done(
        &app,
        "/preferences/workspaces",
        "Revoked. Git no longer works in that workspace.",
    ))
}
