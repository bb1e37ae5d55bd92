//! `/api/v1/meta`: what this server is.

use axum::{Json, extract::State};

use super::{Answer, tag};
use crate::app::App;

/// The oldest command line this server works with: the previous minor release.
const MINIMUM_CLI: &str = "0.1.0";

/// What this server is, and its clock.
#[utoipa::path(get, path = "/meta", tag = tag::OPEN, responses((status = OK, body = api::Meta)))]
pub(super) async fn meta(State(app): State<App>) -> Answer<api::Meta> {
    Ok(Json(api::Meta {
        product: "forgepass".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        minimum_cli: MINIMUM_CLI.to_owned(),
        public_url: app.public_url_text().to_owned(),
        now: app.broker().now().await?,
    }))
}
