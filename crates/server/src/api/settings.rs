//! `/api/v1/settings`: what holds for the whole site.

use axum::Json;
use broker::AsSiteManager;

use super::{Answer, tag};
use crate::pages::security_ssh::algorithm;

/// The algorithm of new SSH keys.
#[utoipa::path(
    get, path = "/settings/ssh", tag = tag::MANAGE, operation_id = "ssh_settings",
    responses((status = OK, body = api::SshSettings))
)]
pub(super) async fn ssh(manager: AsSiteManager) -> Answer<api::SshSettings> {
    let algorithm = manager.ssh_algorithm().await?.as_str().to_owned();
    Ok(Json(api::SshSettings { algorithm }))
}

/// Sets it; keys that exist stay as they are.
#[utoipa::path(
    put, path = "/settings/ssh", tag = tag::MANAGE, operation_id = "set_ssh_settings",
    request_body = api::SshSettings, responses((status = OK, body = api::SshSettings))
)]
pub(super) async fn set_ssh(
    manager: AsSiteManager,
    Json(settings): Json<api::SshSettings>,
) -> Answer<api::SshSettings> {
    manager
        .set_ssh_algorithm(algorithm(&settings.algorithm)?)
        .await?;
    Ok(Json(settings))
}
