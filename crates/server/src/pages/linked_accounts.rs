//! `/preferences/linked-accounts`: every provider with this user's links there.

use askama::Template;
use axum::response::IntoResponse;
use broker::{AsUser, OfferedProvider};

use super::{Answer, Frame, show};
use crate::security::FormTargets;

#[derive(Template)]
#[template(path = "linked_accounts.html")]
struct LinkedAccountsPage {
    frame: Frame,
    providers: Vec<OfferedProvider>,
    manager: bool,
}

/// `GET /preferences/linked-accounts`.
pub async fn page(user: AsUser, frame: Frame) -> Answer {
    let providers = user.offered().await?;
    let targets = FormTargets::of(providers.iter().map(|provider| provider.url.as_str()));
    let manager = user.site_manager().is_ok();
    let response = show(&LinkedAccountsPage {
        frame,
        providers,
        manager,
    })?;
    Ok((axum::Extension(targets), response).into_response())
}
