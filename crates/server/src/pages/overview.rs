//! `/manage/overview`: the numbers of the site, and what was handed out in the last day.

use askama::Template;
use axum::response::{IntoResponse, Redirect};
use broker::{AsSiteManager, Health, Hour, LinkNumbers, Overview, ProviderView};

use super::{Answer, Frame, chart::Chart, show};

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    providers: Vec<(ProviderView, LinkNumbers)>,
    links: i64,
    keys: i64,
    alarms: usize,
    /// Uploads that are not as wanted yet, by state.
    backlog: Vec<(&'static str, i64)>,
    charts: [Chart; 3],
}

/// `GET /manage`: the first of its pages.
pub async fn manage(_manager: AsSiteManager) -> Answer {
    Ok(Redirect::to("/manage/overview").into_response())
}

/// `GET /manage/overview`.
pub async fn page(manager: AsSiteManager, frame: Frame) -> Answer {
    let (providers, counts, overview) = tokio::try_join!(
        manager.providers(),
        manager.key_counts(),
        manager.overview(),
    )?;
    let alarms = providers
        .iter()
        .filter(|provider| matches!(provider.health, Health::Alarm | Health::Away))
        .count();
    let numbers = |provider: &ProviderView| overview.links.get(&provider.id).copied();
    let providers = providers.into_iter().map(|provider| {
        let numbers = numbers(&provider).unwrap_or_default();
        (provider, numbers)
    });
    let providers: Vec<_> = providers.collect();
    show(&OverviewPage {
        frame,
        links: overview.links.values().map(LinkNumbers::all).sum(),
        keys: counts.iter().map(|(_, count)| count).sum(),
        alarms,
        backlog: backlog(&overview),
        charts: charts(&overview.hours),
        providers,
    })
}

/// What is not yet, or no longer, as it should be at a provider.
fn backlog(overview: &Overview) -> Vec<(&'static str, i64)> {
    let waits = |state: &str| !matches!(state, "present" | "by-hand");
    let uploads = overview.uploads.iter();
    uploads.filter(|(state, _)| waits(state)).copied().collect()
}

fn charts(hours: &[Hour]) -> [Chart; 3] {
    let of = |count: fn(&Hour) -> (i64, i64)| {
        hours.iter().map(move |hour| {
            let (good, bad) = count(hour);
            (hour.at, good, bad)
        })
    };
    [
        Chart::new(
            "credentials",
            "Credentials",
            ["given", "refused"],
            of(|hour| (hour.credentials, hour.credentials_refused)),
        ),
        Chart::new(
            "signatures",
            "Signatures",
            ["given", "refused"],
            of(|hour| (hour.signatures, hour.signatures_refused)),
        ),
        Chart::new(
            "refreshes",
            "Tokens renewed",
            ["renewed", "failed"],
            of(|hour| (hour.refreshes, hour.refreshes_failed)),
        ),
    ]
}
