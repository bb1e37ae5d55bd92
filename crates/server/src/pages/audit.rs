//! `/manage/audit`: what was done, by whom, through what.

use askama::Template;
use axum::extract::Query;
use broker::{AsAuditor, EventId, EventQuery, NamedEvent};
use jiff::{civil::Date, tz::TimeZone};
use serde::Deserialize;
use url::form_urlencoded;

use super::{Answer, Frame, show, text};

/// Events of one page.
const PAGE: i64 = 50;

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
    /// A day, `2026-11-22`, in UTC: the first to show.
    from: String,
    /// The last day to show.
    until: String,
    before: String,
}

impl Asked {
    /// What to look for. A day that is none does not filter.
    pub(super) fn query(&self) -> EventQuery {
        EventQuery {
            user: text::filled(&self.user),
            provider: text::filled(&self.provider),
            workspace: text::filled(&self.workspace),
            action: text::filled(&self.action),
            from: day(&self.from).and_then(begin),
            until: day(&self.until)
                .and_then(|last| last.tomorrow().ok())
                .and_then(begin),
        }
    }

    /// The filters as a query of an address, without the page.
    fn filters(&self) -> form_urlencoded::Serializer<'static, String> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let fields = [
            ("user", &self.user),
            ("provider", &self.provider),
            ("workspace", &self.workspace),
            ("action", &self.action),
            ("from", &self.from),
            ("until", &self.until),
        ];
        for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        query
    }

    /// Where the same events are as a file.
    fn export(&self, format: &str) -> String {
        let query = self.filters().append_pair("format", format).finish();
        format!("/manage/audit/export?{query}")
    }
}

fn day(text: &str) -> Option<Date> {
    text.trim().parse().ok()
}

/// The first second of a day in UTC, unix seconds.
fn begin(day: Date) -> Option<i64> {
    let zoned = day.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second())
}

/// `GET /manage/audit`.
pub async fn page(auditor: AsAuditor, frame: Frame, Query(asked): Query<Asked>) -> Answer {
    let before = text::filled(&asked.before).map(EventId);
    let events = auditor
        .find_events(&asked.query(), before.as_ref(), PAGE)
        .await?;
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
    let query = asked
        .filters()
        .append_pair("before", last.as_str())
        .finish();
    format!("/manage/audit?{query}")
}
