//! `/api/v1/users`: everybody who may sign in.

use axum::{
    Json,
    extract::{Path, Query},
    http::StatusCode,
};
use broker::{AsSiteManager, Suspended, UserId};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, tag, views};
use crate::{pages::users::role, problem::Failure};

/// Which users.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Part of a name or e-mail address.
    search: Option<String>,
    /// The name after which to go on.
    after: Option<String>,
}

/// Users of one answer.
const PAGE: i64 = 200;

/// Users by name, 200 at most.
#[utoipa::path(
    get, path = "/users", tag = tag::MANAGE, operation_id = "users", params(Asked),
    responses((status = OK, body = Vec<api::User>))
)]
pub(super) async fn list(
    manager: AsSiteManager,
    Query(asked): Query<Asked>,
) -> Answer<Vec<api::User>> {
    let users = manager
        .users(asked.search.as_deref(), asked.after.as_deref(), PAGE)
        .await?;
    Ok(Json(users.into_iter().map(views::user).collect()))
}

/// Adds a user and makes their one-time link.
#[utoipa::path(
    post, path = "/users", tag = tag::MANAGE, operation_id = "add_user",
    request_body = api::NewUser, responses((status = CREATED, body = api::Invitation))
)]
pub(super) async fn add(
    manager: AsSiteManager,
    Json(new): Json<api::NewUser>,
) -> Result<(StatusCode, Json<api::Invitation>), Failure> {
    let invitation = manager
        .add_user(&new.name, new.email.as_deref(), role(&new.role)?)
        .await?;
    Ok((StatusCode::CREATED, Json(views::invitation(invitation))))
}

/// Changes a role, suspends or restores.
#[utoipa::path(
    patch, path = "/users/{id}", tag = tag::MANAGE, operation_id = "change_user",
    params(("id" = String, Path)), request_body = api::UserChange,
    responses((status = OK, body = api::User))
)]
pub(super) async fn change(
    manager: AsSiteManager,
    Path(id): Path<String>,
    Json(change): Json<api::UserChange>,
) -> Answer<api::User> {
    let id = UserId(id);
    let role = change.role.as_deref().map(role).transpose()?;
    let suspended = change
        .suspended
        .map(|yes| if yes { Suspended::Yes } else { Suspended::No });
    let mut user = None;
    if let Some(role) = role {
        user = Some(manager.set_role(&id, role).await?);
    }
    if let Some(suspended) = suspended {
        user = Some(manager.set_suspended(&id, suspended).await?);
    }
    let nothing = || Failure::invalid("the body: it names neither `role` nor `suspended`");
    Ok(Json(views::user(user.ok_or_else(nothing)?)))
}

/// A new one-time link, for a lost invitation or a forgotten password.
#[utoipa::path(
    post, path = "/users/{id}/invitation", tag = tag::MANAGE, operation_id = "reinvite_user",
    params(("id" = String, Path)), responses((status = OK, body = api::Invitation))
)]
pub(super) async fn reinvite(
    manager: AsSiteManager,
    Path(id): Path<String>,
) -> Answer<api::Invitation> {
    Ok(Json(views::invitation(
        manager.reinvite(&UserId(id)).await?,
    )))
}
