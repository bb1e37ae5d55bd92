//! `/api/v1/keys`: the public halves of my SSH keys.

use axum::{Json, extract::Path};
use broker::{AsUser, KeyId};

use super::{Answer, tag, views};

/// My keys. Those of kinds without OAuth are made at the first call.
#[utoipa::path(
    get, path = "/keys", tag = tag::ACCOUNT, operation_id = "keys",
    responses((status = OK, body = Vec<api::Key>))
)]
pub(super) async fn list(user: AsUser) -> Answer<Vec<api::Key>> {
    Ok(Json(
        user.keys().await?.into_iter().map(views::key).collect(),
    ))
}

/// Makes a new key in place of this one, which works until the new one does.
#[utoipa::path(
    post, path = "/keys/{id}/regenerate", tag = tag::ACCOUNT, operation_id = "regenerate_key",
    params(("id" = String, Path)), responses((status = OK, body = api::Key))
)]
pub(super) async fn regenerate(user: AsUser, Path(id): Path<String>) -> Answer<api::Key> {
    Ok(Json(views::key(user.regenerate_key(&KeyId(id)).await?)))
}
