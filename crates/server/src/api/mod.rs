//! The JSON API under `/api/v1`, and the OpenAPI document that describes it. One file a resource.

use axum::{Json, extract::State, http::header, response::IntoResponse};
use utoipa::{
    OpenApi,
    openapi::{
        Content, Ref, RefOr, Response, SecurityRequirement,
        path::Operation,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::App, problem::Failure};

mod device;
mod events;
mod keys;
mod links;
mod me;
mod meta;
mod providers;
mod rules;
mod settings;
mod tokens;
mod users;
mod views;
mod workspace;
mod workspaces;

/// What a handler returns.
type Answer<T> = Result<Json<T>, Failure>;

/// Tags say who may call: the document's `security` and the tests follow from them.
mod tag {
    /// Whoever can reach the server.
    pub(super) const OPEN: &str = "open";
    /// A workspace token.
    pub(super) const WORKSPACE: &str = "workspace";
    /// A browser session or an API token.
    pub(super) const ACCOUNT: &str = "account";
    /// The same, of an auditor or a site manager.
    pub(super) const AUDIT: &str = "audit";
    /// The same, of a site manager.
    pub(super) const MANAGE: &str = "manage";
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Forgepass",
        description = "Everything the console can do. Errors are problem+json (RFC 9457): act on `code`, show `detail` and `hint`. Times are unix seconds.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(api::Problem)),
    tags(
        (name = "open", description = "Without a sign-in."),
        (name = "workspace", description = "With a workspace token and the header `Forgepass-Machine`."),
        (name = "account", description = "What a user does for themself."),
        (name = "audit", description = "For auditors and site managers."),
        (name = "manage", description = "For site managers.")
    )
)]
struct Document;

/// Every route, with its description.
pub fn router() -> OpenApiRouter<App> {
    let all = OpenApiRouter::with_openapi(Document::openapi());
    all.merge(workspaces_side())
        .merge(account_side())
        .merge(manage_side())
}

/// Without a sign-in, and with a workspace token.
fn workspaces_side() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(meta::meta))
        .routes(routes!(openapi))
        .routes(routes!(device::begin))
        .routes(routes!(device::poll))
        .routes(routes!(device::pending, device::decide))
        .routes(routes!(workspace::status, workspace::leave))
        .routes(routes!(workspace::setup))
        .routes(routes!(workspace::credential))
        .routes(routes!(workspace::report))
        .routes(routes!(workspace::sign))
}

/// What users do for themselves.
fn account_side() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(me::me))
        .routes(routes!(me::sessions))
        .routes(routes!(me::end_session))
        .routes(routes!(links::list, links::begin))
        .routes(routes!(links::unlink))
        .routes(routes!(links::finish))
        .routes(routes!(rules::list, rules::add))
        .routes(routes!(rules::remove))
        .routes(routes!(keys::list))
        .routes(routes!(keys::regenerate))
        .routes(routes!(workspaces::list, workspaces::add))
        .routes(routes!(workspaces::revoke))
        .routes(routes!(tokens::list, tokens::add))
        .routes(routes!(tokens::revoke))
}

/// What site managers and auditors do.
fn manage_side() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(providers::kinds))
        .routes(routes!(providers::make_draft))
        .routes(routes!(providers::draft))
        .routes(routes!(providers::list, providers::add))
        .routes(routes!(
            providers::one,
            providers::change,
            providers::delete
        ))
        .routes(routes!(providers::preview))
        .routes(routes!(providers::test))
        .routes(routes!(providers::test_input))
        .routes(routes!(users::list, users::add))
        .routes(routes!(users::change))
        .routes(routes!(users::reinvite))
        .routes(routes!(settings::ssh, settings::set_ssh))
        .routes(routes!(events::list))
}

/// The OpenAPI 3.1 document.
pub fn document() -> utoipa::openapi::OpenApi {
    let (_, mut document) = OpenApiRouter::new()
        .nest("/api/v1", router())
        .split_for_parts();
    document.info = Document::openapi().info;
    document.info.contact = None;
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    document.tags = Document::openapi().tags;
    let components = document.components.get_or_insert_default();
    let bearer = |text: &str| {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(text));
        SecurityScheme::Http(scheme.build())
    };
    let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("__Host-forgepass")));
    components.add_security_scheme("session", cookie);
    components.add_security_scheme("api_token", bearer("An API token, `fpa_…`."));
    components.add_security_scheme("workspace_token", bearer("A workspace token, `fpw_…`."));
    for path in document.paths.paths.values_mut() {
        let operations = [
            &mut path.get,
            &mut path.put,
            &mut path.post,
            &mut path.delete,
            &mut path.patch,
        ];
        operations.into_iter().flatten().for_each(complete);
    }
    document
}

/// Adds what every operation has: who may call it, and the one shape of errors.
fn complete(operation: &mut Operation) {
    let tag = operation.tags.as_ref().and_then(|tags| tags.first());
    let schemes: &[&str] = match tag.map(String::as_str) {
        Some(tag::OPEN) => &[],
        Some(tag::WORKSPACE) => &["workspace_token"],
        _ => &["session", "api_token"],
    };
    let require = |scheme: &&str| SecurityRequirement::new::<_, [&str; 0], _>(*scheme, []);
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            response.description = meaning(status).to_owned();
        }
    }
    operation.security = Some(schemes.iter().map(require).collect());
    let mut problem = Response::new("A problem (RFC 9457).");
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    problem
        .content
        .insert("application/problem+json".to_owned(), content.into());
    operation
        .responses
        .responses
        .insert("default".to_owned(), problem.into());
}

/// What a status says by itself; OpenAPI wants words for each.
fn meaning(status: &str) -> &'static str {
    match status {
        "201" => "Made.",
        "204" => "Done.",
        _ => "As asked.",
    }
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = tag::OPEN, responses((status = OK, description = "OpenAPI 3.1")))]
async fn openapi(State(_app): State<App>) -> Result<impl IntoResponse, Failure> {
    let json = document().to_json().map_err(Failure::internal)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json))
}
