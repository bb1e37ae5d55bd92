//! `/api/v1/links`: my accounts at providers.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};
use broker::{AsUser, LinkId, SigningKeys, UnlinkOptions};

use super::{Answer, tag, views};
use crate::{app::App, problem::Failure};

/// My links.
#[utoipa::path(
    get, path = "/links", tag = tag::ACCOUNT, operation_id = "links",
    responses((status = OK, body = Vec<api::Link>))
)]
pub(super) async fn list(user: AsUser) -> Answer<Vec<api::Link>> {
    Ok(Json(
        user.links().await?.into_iter().map(views::link).collect(),
    ))
}

/// Where to link an account: consent happens in a browser that is signed in there.
#[utoipa::path(
    post, path = "/links", tag = tag::ACCOUNT, operation_id = "begin_link",
    request_body = api::BeginLink, responses((status = OK, body = api::OpenPage))
)]
pub(super) async fn begin(
    State(app): State<App>,
    user: AsUser,
    Json(ask): Json<api::BeginLink>,
) -> Answer<api::OpenPage> {
    let offered = user.offered().await?;
    let found = offered
        .iter()
        .find(|it| it.id == ask.provider || it.name == ask.provider);
    let provider = found.ok_or_else(|| broker::Refused::not_found("provider"))?;
    let page = if provider.linkable {
        "linked-accounts"
    } else {
        "ssh-keys"
    };
    let url = format!(
        "{}/preferences/{page}#{}",
        app.public_url_text(),
        provider.id
    );
    Ok(Json(api::OpenPage { url }))
}

/// Unlinks: keys at the provider are deleted, then tokens revoked. The body may be left out.
#[utoipa::path(
    delete, path = "/links/{id}", tag = tag::ACCOUNT, operation_id = "unlink",
    params(("id" = String, Path)), request_body = Option<api::Unlink>,
    responses((status = NO_CONTENT))
)]
pub(super) async fn unlink(
    user: AsUser,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Failure> {
    let ask: api::Unlink = optional(&body)?;
    let signing_keys = if ask.remove_signing_keys {
        SigningKeys::Remove
    } else {
        SigningKeys::Keep
    };
    user.unlink(&LinkId(id), UnlinkOptions { signing_keys })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where to give the consent for Git that an unfinished link still lacks.
#[utoipa::path(
    post, path = "/links/{id}/finish", tag = tag::ACCOUNT, operation_id = "finish_link",
    params(("id" = String, Path)), responses((status = OK, body = api::OpenPage))
)]
pub(super) async fn finish(
    State(app): State<App>,
    user: AsUser,
    Path(id): Path<String>,
) -> Answer<api::OpenPage> {
    let link = user.links().await?.into_iter().find(|link| link.id == id);
    let link = link.ok_or_else(|| broker::Refused::not_found("link"))?;
    let base = app.public_url_text();
    let url = format!("{base}/preferences/linked-accounts#{}", link.provider_id);
    Ok(Json(api::OpenPage { url }))
}

/// A JSON body that may be empty.
pub(super) fn optional<T: Default + serde::de::DeserializeOwned>(
    body: &[u8],
) -> Result<T, Failure> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|error| Failure::invalid(format!("the body: {error}")))
}
