//! `/api/v1/kinds`, `/api/v1/provider-drafts`, `/api/v1/providers`: what the site offers.

use axum::{Json, body::Bytes, extract::Path, http::StatusCode};
use broker::{AsSiteManager, DraftId, Force, ProviderId};

use super::{Answer, links::optional, tag, views};
use crate::problem::Failure;

/// Every kind, with its guide.
#[utoipa::path(
    get, path = "/kinds", tag = tag::MANAGE, operation_id = "kinds",
    responses((status = OK, body = Vec<api::Kind>))
)]
pub(super) async fn kinds(manager: AsSiteManager) -> Answer<Vec<api::Kind>> {
    Ok(Json(
        manager.kinds()?.into_iter().map(views::kind).collect(),
    ))
}

/// Prepares a provider: an OAuth 1.0a kind gets its RSA pair, to paste the public half first.
#[utoipa::path(
    post, path = "/provider-drafts", tag = tag::MANAGE, operation_id = "make_provider_draft",
    request_body = api::NewProviderDraft, responses((status = CREATED, body = api::ProviderDraft))
)]
pub(super) async fn make_draft(
    manager: AsSiteManager,
    Json(new): Json<api::NewProviderDraft>,
) -> Result<(StatusCode, Json<api::ProviderDraft>), Failure> {
    let draft = manager.make_draft(&new.kind).await?;
    Ok((StatusCode::CREATED, Json(views::draft(draft))))
}

/// A prepared provider.
#[utoipa::path(
    get, path = "/provider-drafts/{id}", tag = tag::MANAGE, operation_id = "provider_draft",
    params(("id" = String, Path)), responses((status = OK, body = api::ProviderDraft))
)]
pub(super) async fn draft(
    manager: AsSiteManager,
    Path(id): Path<String>,
) -> Answer<api::ProviderDraft> {
    Ok(Json(views::draft(manager.draft(&DraftId(id)).await?)))
}

/// Every provider.
#[utoipa::path(
    get, path = "/providers", tag = tag::MANAGE, operation_id = "providers",
    responses((status = OK, body = Vec<api::Provider>))
)]
pub(super) async fn list(manager: AsSiteManager) -> Answer<Vec<api::Provider>> {
    Ok(Json(
        manager
            .providers()
            .await?
            .into_iter()
            .map(views::provider)
            .collect(),
    ))
}

/// Adds a provider.
#[utoipa::path(
    post, path = "/providers", tag = tag::MANAGE, operation_id = "add_provider",
    request_body = api::ProviderInput, responses((status = CREATED, body = api::Provider))
)]
pub(super) async fn add(
    manager: AsSiteManager,
    Json(input): Json<api::ProviderInput>,
) -> Result<(StatusCode, Json<api::Provider>), Failure> {
    let provider = manager.add_provider(views::provider_input(input)).await?;
    Ok((StatusCode::CREATED, Json(views::provider(provider))))
}

/// One provider.
#[utoipa::path(
    get, path = "/providers/{id}", tag = tag::MANAGE, operation_id = "provider",
    params(("id" = String, Path)), responses((status = OK, body = api::Provider))
)]
pub(super) async fn one(manager: AsSiteManager, Path(id): Path<String>) -> Answer<api::Provider> {
    Ok(Json(views::provider(
        manager.provider(&ProviderId(id)).await?,
    )))
}

/// Changes a provider. Where existing links are touched, `confirm` must be set.
#[utoipa::path(
    put, path = "/providers/{id}", tag = tag::MANAGE, operation_id = "change_provider",
    params(("id" = String, Path)), request_body = api::ProviderInput,
    responses((status = OK, body = api::Provider))
)]
pub(super) async fn change(
    manager: AsSiteManager,
    Path(id): Path<String>,
    Json(input): Json<api::ProviderInput>,
) -> Answer<api::Provider> {
    let input = views::provider_input(input);
    Ok(Json(views::provider(
        manager.change_provider(&ProviderId(id), input).await?,
    )))
}

/// What a change would do, without doing it.
#[utoipa::path(
    post, path = "/providers/{id}/preview", tag = tag::MANAGE, operation_id = "preview_provider",
    params(("id" = String, Path)), request_body = api::ProviderInput,
    responses((status = OK, body = api::ProviderPreview))
)]
pub(super) async fn preview(
    manager: AsSiteManager,
    Path(id): Path<String>,
    Json(input): Json<api::ProviderInput>,
) -> Answer<api::ProviderPreview> {
    let input = views::provider_input(input);
    let found = manager.preview_change(&ProviderId(id), &input).await?;
    Ok(Json(api::ProviderPreview {
        text: found.text,
        needs_confirm: found.needs_confirm,
    }))
}

/// Deletes a provider; refused while links exist, unless forced. The body may be left out.
#[utoipa::path(
    delete, path = "/providers/{id}", tag = tag::MANAGE, operation_id = "delete_provider",
    params(("id" = String, Path)), request_body = Option<api::DeleteProvider>,
    responses((status = NO_CONTENT))
)]
pub(super) async fn delete(
    manager: AsSiteManager,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Failure> {
    let ask: api::DeleteProvider = optional(&body)?;
    let force = if ask.force { Force::Yes } else { Force::No };
    manager.delete_provider(&ProviderId(id), force).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tests the connection of a stored provider.
#[utoipa::path(
    post, path = "/providers/{id}/test", tag = tag::MANAGE, operation_id = "test_provider",
    params(("id" = String, Path)), responses((status = OK, body = api::ProviderTest))
)]
pub(super) async fn test(
    manager: AsSiteManager,
    Path(id): Path<String>,
) -> Answer<api::ProviderTest> {
    Ok(Json(views::provider_test(
        manager.test_provider(&ProviderId(id)).await?,
    )))
}

/// Tests the connection of a provider that is not saved yet.
#[utoipa::path(
    post, path = "/providers/test", tag = tag::MANAGE, operation_id = "test_provider_input",
    request_body = api::ProviderInput, responses((status = OK, body = api::ProviderTest))
)]
pub(super) async fn test_input(
    manager: AsSiteManager,
    Json(input): Json<api::ProviderInput>,
) -> Answer<api::ProviderTest> {
    let input = views::provider_input(input);
    Ok(Json(views::provider_test(
        manager.test_input(&input).await?,
    )))
}
