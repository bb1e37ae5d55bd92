//! `/invitation`: a password for an invited user, or a new one for a forgotten one.

use askama::Template;
use axum::extract::{Query, State};
use axum_extra::extract::Form;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{Answer, Frame, setup::Token, show, show_as};
use crate::{
    app::App,
    auth::{Knock, signed_in},
    problem::Failure,
};

#[derive(Template)]
#[template(path = "invitation.html")]
struct InvitationPage {
    frame: Frame,
    fault: Option<Failure>,
    token: String,
    name: String,
    expires_at: i64,
}

/// The form.
#[derive(Deserialize)]
pub struct Accepted {
    token: SecretString,
    password: SecretString,
}

/// `GET /invitation?token=`.
pub async fn page(
    State(app): State<App>,
    frame: Frame,
    Query(Token { token }): Query<Token>,
) -> Answer {
    show(&invitation_page(&app, frame, &token).await?)
}

/// `POST /invitation`.
pub async fn submit(
    State(app): State<App>,
    frame: Frame,
    Knock(visitor): Knock,
    Form(form): Form<Accepted>,
) -> Answer {
    match app
        .broker()
        .accept_invitation(&form.token, form.password, &visitor)
        .await
    {
        Ok(session) => Ok(signed_in(&app, &session, "/")),
        Err(refused) => {
            let failure = Failure::from(refused);
            if !failure.is_mendable() {
                return Err(failure);
            }
            let status = failure.status;
            let mut page = invitation_page(&app, frame, &form.token).await?;
            page.fault = Some(failure);
            show_as(status, &page)
        }
    }
}

async fn invitation_page(
    app: &App,
    frame: Frame,
    token: &SecretString,
) -> Result<InvitationPage, Failure> {
    let invitation = app.broker().invitation(token).await?;
    Ok(InvitationPage {
        frame,
        fault: None,
        token: token.expose_secret().to_owned(),
        name: invitation.user.name,
        expires_at: invitation.expires_at,
    })
}
