//! `/api/v1/workspaces`: machines where my Git runs.

use axum::{Json, extract::Path, http::StatusCode};
use broker::{AsUser, UnboundSsh, WorkspaceId};

use super::{Answer, tag, views};
use crate::problem::Failure;

/// My workspaces, newest first.
#[utoipa::path(
    get, path = "/workspaces", tag = tag::ACCOUNT, operation_id = "workspaces",
    responses((status = OK, body = Vec<api::Workspace>))
)]
pub(super) async fn list(user: AsUser) -> Answer<Vec<api::Workspace>> {
    Ok(Json(
        user.workspaces()
            .await?
            .into_iter()
            .map(views::workspace)
            .collect(),
    ))
}

/// Makes a workspace without the device dance, for CI and images.
#[utoipa::path(
    post, path = "/workspaces", tag = tag::ACCOUNT, operation_id = "add_workspace",
    request_body = api::NewWorkspace, responses((status = CREATED, body = api::WorkspaceToken))
)]
pub(super) async fn add(
    user: AsUser,
    Json(ask): Json<api::NewWorkspace>,
) -> Result<(StatusCode, Json<api::WorkspaceToken>), Failure> {
    let unbound = if ask.unbound_allowed {
        UnboundSsh::Allowed
    } else {
        UnboundSsh::Denied
    };
    let new = user.add_workspace(&ask.name, ask.ttl_s, unbound).await?;
    Ok((StatusCode::CREATED, Json(views::workspace_token(new))))
}

/// Revokes one.
#[utoipa::path(
    delete, path = "/workspaces/{id}", tag = tag::ACCOUNT, operation_id = "revoke_workspace",
    params(("id" = String, Path)), responses((status = NO_CONTENT))
)]
pub(super) async fn revoke(user: AsUser, Path(id): Path<String>) -> Result<StatusCode, Failure> {
    user.revoke_workspace(&WorkspaceId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
