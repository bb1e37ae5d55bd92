//! `/manage/overview`: the numbers of the site.

use askama::Template;
use axum::response::{IntoResponse, Redirect};
use broker::{AsSiteManager, ProviderView};

use super::{Answer, Frame, show};

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    providers: Vec<ProviderView>,
    links: i64,
    keys: i64,
    alarms: usize,
}

/// `GET /manage`: the first of its pages.
pub async fn manage(_manager: AsSiteManager) -> Answer {
    Ok(Redirect::to("/manage/overview").into_response())
}

/// `GET /manage/overview`.
pub async fn page(manager: AsSiteManager, frame: Frame) -> Answer {
    let providers = manager.providers().await?;
    let keys = manager
        .key_counts()
        .await?
        .into_iter()
        .map(|(_, count)| count)
        .sum();
    let links = providers.iter().map(|provider| provider.links).sum();
    let alarms = providers
        .iter()
        .filter(|provider| provider.alarm.is_some())
        .count();
    show(&OverviewPage {
        frame,
        providers,
        links,
        keys,
        alarms,
    })
}
