//! `/api/v1/rules`: which of my links answers for which host, owner or path.

use axum::{Json, extract::Path, http::StatusCode};
use broker::{AsUser, LinkId, RuleId};

use super::{Answer, tag, views};
use crate::problem::Failure;

/// My rules.
#[utoipa::path(
    get, path = "/rules", tag = tag::ACCOUNT, operation_id = "rules",
    responses((status = OK, body = Vec<api::Rule>))
)]
pub(super) async fn list(user: AsUser) -> Answer<Vec<api::Rule>> {
    Ok(Json(
        user.rules().await?.into_iter().map(views::rule).collect(),
    ))
}

/// Lets one of my links answer for a pattern.
#[utoipa::path(
    post, path = "/rules", tag = tag::ACCOUNT, operation_id = "add_rule",
    request_body = api::NewRule, responses((status = OK, body = api::Rule))
)]
pub(super) async fn add(user: AsUser, Json(new): Json<api::NewRule>) -> Answer<api::Rule> {
    let rule = user.add_rule(&new.pattern, &LinkId(new.link)).await?;
    Ok(Json(views::rule(rule)))
}

/// Removes a rule.
#[utoipa::path(
    delete, path = "/rules/{id}", tag = tag::ACCOUNT, operation_id = "remove_rule",
    params(("id" = String, Path)), responses((status = NO_CONTENT))
)]
pub(super) async fn remove(user: AsUser, Path(id): Path<String>) -> Result<StatusCode, Failure> {
    user.remove_rule(&RuleId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
