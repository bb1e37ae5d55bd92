//! `/api/v1/me` and `/api/v1/sessions`: who I am and where I am signed in.

use axum::{Json, extract::Path, http::StatusCode};
use broker::{AsUser, SessionId};

use super::{Answer, tag, views};
use crate::problem::Failure;

/// Who I am.
#[utoipa::path(get, path = "/me", tag = tag::ACCOUNT, responses((status = OK, body = api::Me)))]
pub(super) async fn me(user: AsUser) -> Answer<api::Me> {
    let user = user.user();
    Ok(Json(api::Me {
        id: user.id.to_string(),
        name: user.name,
        email: user.email,
        role: user.role.as_str().to_owned(),
    }))
}

/// My browser sessions, last seen first.
#[utoipa::path(
    get, path = "/sessions", tag = tag::ACCOUNT, responses((status = OK, body = Vec<api::Session>))
)]
pub(super) async fn sessions(user: AsUser) -> Answer<Vec<api::Session>> {
    Ok(Json(
        user.sessions()
            .await?
            .into_iter()
            .map(views::session)
            .collect(),
    ))
}

/// Ends one.
#[utoipa::path(
    delete, path = "/sessions/{id}", tag = tag::ACCOUNT, params(("id" = String, Path)),
    responses((status = NO_CONTENT))
)]
pub(super) async fn end_session(
    user: AsUser,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    user.end_session(&SessionId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
