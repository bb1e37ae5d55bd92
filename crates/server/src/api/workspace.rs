//! `/api/v1/workspace` and what a workspace asks for Git: credentials, signatures, its set-up.

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use broker::AsWorkspace;

use super::{Answer, tag, views};
use crate::problem::Failure;

/// The workspace's own status.
#[utoipa::path(
    get, path = "/workspace", tag = tag::WORKSPACE, operation_id = "workspace_status",
    responses((status = OK, body = api::WorkspaceStatus))
)]
pub(super) async fn status(workspace: AsWorkspace) -> Answer<api::WorkspaceStatus> {
    let links = workspace.status().await?;
    Ok(Json(api::WorkspaceStatus {
        workspace: views::workspace(workspace.workspace()),
        user: workspace.user().name,
        links: links.into_iter().map(views::link_status).collect(),
    }))
}

/// Ends the workspace: its token no longer works.
#[utoipa::path(
    delete, path = "/workspace", tag = tag::WORKSPACE, operation_id = "leave_workspace",
    responses((status = NO_CONTENT))
)]
pub(super) async fn leave(workspace: AsWorkspace) -> Result<StatusCode, Failure> {
    workspace.leave().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the workspace needs to configure Git and SSH. The `ETag` is its version: nothing is sent again
/// to who names it in `If-None-Match`.
#[utoipa::path(
    get, path = "/workspace/setup", tag = tag::WORKSPACE, operation_id = "workspace_setup",
    params(("If-None-Match" = Option<String>, Header)),
    responses((status = OK, body = api::Setup), (status = NOT_MODIFIED, description = "As before."))
)]
pub(super) async fn setup(workspace: AsWorkspace, headers: HeaderMap) -> Result<Response, Failure> {
    let setup = views::setup(workspace.setup().await?);
    let tag = format!("\"{}\"", setup.version);
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    let unchanged = known.is_some_and(|known| {
        known
            .split(',')
            .any(|it| it.trim().trim_start_matches("W/") == tag)
    });
    let mut response = match unchanged {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Json(setup).into_response(),
    };
    let tag = HeaderValue::from_str(&tag).map_err(Failure::internal)?;
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}

/// What Git needs to reach a repository over HTTPS.
#[utoipa::path(
    post, path = "/credential", tag = tag::WORKSPACE, operation_id = "credential",
    request_body = api::CredentialRequest, responses((status = OK, body = api::Credential))
)]
pub(super) async fn credential(
    workspace: AsWorkspace,
    Json(ask): Json<api::CredentialRequest>,
) -> Answer<api::Credential> {
    let given = workspace.credential(&views::credential_ask(ask)).await?;
    Ok(Json(views::credential(given)))
}

/// How credentials fared.
#[utoipa::path(
    post, path = "/report", tag = tag::WORKSPACE, operation_id = "report",
    request_body = api::Report, responses((status = NO_CONTENT))
)]
pub(super) async fn report(
    workspace: AsWorkspace,
    Json(report): Json<api::Report>,
) -> Result<StatusCode, Failure> {
    if report.uses.len() > 1000 {
        return Err(Failure::invalid("uses: at most 1000 at a time"));
    }
    workspace
        .report(report.uses.into_iter().map(views::use_report).collect())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Signs for ssh or git with one of the user's keys, if the policy allows it.
#[utoipa::path(
    post, path = "/sign", tag = tag::WORKSPACE, operation_id = "sign",
    request_body = api::SignRequest, responses((status = OK, body = api::Signature))
)]
pub(super) async fn sign(
    workspace: AsWorkspace,
    Json(ask): Json<api::SignRequest>,
) -> Answer<api::Signature> {
    let signature = workspace.sign(views::sign_ask(ask)?).await?;
    Ok(Json(views::signature(&signature)))
}
