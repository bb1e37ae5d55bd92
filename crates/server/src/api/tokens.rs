//! `/api/v1/tokens`: my API tokens.

use axum::{Json, extract::Path, http::StatusCode};
use broker::{ApiTokenId, AsUser};
use secrecy::ExposeSecret;

use super::{Answer, tag, views};
use crate::problem::Failure;

/// My API tokens, newest first.
#[utoipa::path(
    get, path = "/tokens", tag = tag::ACCOUNT, operation_id = "api_tokens",
    responses((status = OK, body = Vec<api::ApiToken>))
)]
pub(super) async fn list(user: AsUser) -> Answer<Vec<api::ApiToken>> {
    Ok(Json(
        user.api_tokens()
            .await?
            .into_iter()
            .map(views::api_token)
            .collect(),
    ))
}

/// Makes one; its secret is given this once.
#[utoipa::path(
    post, path = "/tokens", tag = tag::ACCOUNT, operation_id = "add_api_token",
    request_body = api::NewApiToken, responses((status = CREATED, body = api::ApiTokenSecret))
)]
pub(super) async fn add(
    user: AsUser,
    Json(ask): Json<api::NewApiToken>,
) -> Result<(StatusCode, Json<api::ApiTokenSecret>), Failure> {
    let new = user.add_api_token(&ask.name, ask.ttl_s).await?;
    let token = new.token.expose_secret().to_owned();
    let secret = api::ApiTokenSecret {
        token,
        info: views::api_token(new.view),
    };
    Ok((StatusCode::CREATED, Json(secret)))
}

/// Revokes one.
#[utoipa::path(
    delete, path = "/tokens/{id}", tag = tag::ACCOUNT, operation_id = "revoke_api_token",
    params(("id" = String, Path)), responses((status = NO_CONTENT))
)]
pub(super) async fn revoke(user: AsUser, Path(id): Path<String>) -> Result<StatusCode, Failure> {
    user.revoke_api_token(&ApiTokenId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
