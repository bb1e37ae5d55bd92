//! `/manage/audit`: what was done, by whom, through what.

use askama::Template;
use axum::extract::Query;
use broker::{AsAuditor, EventId, EventQuery, NamedEvent};
use serde::Deserialize;
use url::form_urlencoded;

use super::{Answer, Frame, show, text};

/// Events of one page.
const PAGE: i64 = 100;

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    asked: Asked,
    events: Vec<NamedEvent>,
    older: Option<String>,
}

/// Which events to show.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    user: String,
    provider: String,
    workspace: String,
    action: String,
    before: String,
}

/// `GET /manage/audit`.
pub async fn page(auditor: AsAuditor, frame: Frame, Query(asked): Query<Asked>) -> Answer {
    let query = EventQuery {
        user: text::filled(&asked.user),
        provider: text::filled(&asked.provider),
        workspace: text::filled(&asked.workspace),
        action: text::filled(&asked.action),
        from: None,
        until: None,
    };
    let before = text::filled(&asked.before).map(EventId);
    let events = auditor.find_events(&query, before.as_ref(), PAGE).await?;
    let is_full = i64::try_from(events.len()).is_ok_and(|count| count == PAGE);
    let older = events
        .last()
        .filter(|_| is_full)
        .map(|last| older(&asked, &last.event.id));
    show(&AuditPage {
        frame,
        asked,
        events,
        older,
    })
}

fn older(asked: &Asked, last: &EventId) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let fields = [
        ("user", &asked.user),
        ("provider", &asked.provider),
        ("workspace", &asked.workspace),
        ("action", &asked.action),
    ];
    for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    format!(
        "/manage/audit?{}",
        query.append_pair("before", last.as_str()).finish()
    )
}
