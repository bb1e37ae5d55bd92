//! `/api/v1/device`: sign-in of a workspace by device code (RFC 8628).

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use broker::{AsUser, Decision, DeviceAsk};
use secrecy::{ExposeSecret, SecretString};

use super::{Answer, tag, views};
use crate::{app::App, auth::Knock, problem::Failure};

/// Begins a sign-in.
#[utoipa::path(
    post, path = "/device", tag = tag::OPEN, operation_id = "begin_device",
    request_body = api::DeviceRequest, responses((status = OK, body = api::DeviceCode))
)]
pub(super) async fn begin(
    State(app): State<App>,
    Knock(visitor): Knock,
    Json(ask): Json<api::DeviceRequest>,
) -> Answer<api::DeviceCode> {
    let api::DeviceRequest {
        name,
        machine,
        ssh_version,
    } = ask;
    let ask = DeviceAsk {
        name,
        machine,
        ssh_version,
        address: visitor.address,
    };
    let begun = app.broker().begin_device(ask).await?;
    let page = format!("{}/device", app.public_url_text());
    Ok(Json(api::DeviceCode {
        device_code: begun.device_code.expose_secret().to_owned(),
        verification_uri_complete: format!("{page}?code={}", begun.user_code),
        verification_uri: page,
        user_code: begun.user_code,
        expires_in: begun.expires_in_s,
        interval: begun.interval_s,
    }))
}

/// Asks whether somebody has decided; gives the workspace's token once.
#[utoipa::path(
    post, path = "/device/token", tag = tag::OPEN, operation_id = "poll_device",
    request_body = api::DevicePoll, responses((status = OK, body = api::WorkspaceToken))
)]
pub(super) async fn poll(
    State(app): State<App>,
    Json(poll): Json<api::DevicePoll>,
) -> Answer<api::WorkspaceToken> {
    let code = SecretString::from(poll.device_code);
    Ok(Json(views::workspace_token(
        app.broker().poll_device(&code, &poll.machine).await?,
    )))
}

/// A sign-in that waits for a decision.
#[utoipa::path(
    get, path = "/device/{user_code}", tag = tag::ACCOUNT, operation_id = "pending_device",
    params(("user_code" = String, Path)), responses((status = OK, body = api::PendingDevice))
)]
pub(super) async fn pending(user: AsUser, Path(code): Path<String>) -> Answer<api::PendingDevice> {
    let device = user.pending_device(&code).await?;
    Ok(Json(api::PendingDevice {
        name: device.name,
        address: device.address,
        created_at: device.created_at,
        old_ssh: device.old_ssh,
    }))
}

/// Decides.
#[utoipa::path(
    post, path = "/device/{user_code}", tag = tag::ACCOUNT, operation_id = "decide_device",
    params(("user_code" = String, Path)), request_body = api::DeviceDecision,
    responses((status = NO_CONTENT))
)]
pub(super) async fn decide(
    user: AsUser,
    Path(code): Path<String>,
    Json(decision): Json<api::DeviceDecision>,
) -> Result<StatusCode, Failure> {
    let decision = match (decision.approve, decision.unbound_allowed) {
        (true, false) => Decision::Approve,
        (true, true) => Decision::ApproveUnbound,
        (false, _) => Decision::Deny,
    };
    user.decide_device(&code, decision).await?;
    Ok(StatusCode::NO_CONTENT)
}
