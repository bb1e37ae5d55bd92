//! `/api/v1/events`: the audit log.

use axum::{Json, extract::Query};
use broker::{AsAuditor, EventId, EventQuery};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, tag, views};

/// Events of one answer where nothing else is asked.
const PAGE: i64 = 100;

/// Which events.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// A user's id or name.
    user: Option<String>,
    /// A provider's id or name.
    provider: Option<String>,
    /// A workspace's id.
    workspace: Option<String>,
    /// How the action begins, such as `link.`.
    action: Option<String>,
    /// Not earlier, unix seconds.
    from: Option<i64>,
    /// Earlier, unix seconds.
    until: Option<i64>,
    /// `next` of the page before.
    before: Option<String>,
    /// At most so many, 1 to 500.
    limit: Option<i64>,
}

/// Events, newest first.
#[utoipa::path(
    get, path = "/events", tag = tag::AUDIT, operation_id = "events", params(Asked),
    responses((status = OK, body = api::Events))
)]
pub(super) async fn list(auditor: AsAuditor, Query(asked): Query<Asked>) -> Answer<api::Events> {
    let limit = asked.limit.unwrap_or(PAGE).clamp(1, 500);
    let before = asked.before.map(EventId);
    let query = EventQuery {
        user: asked.user,
        provider: asked.provider,
        workspace: asked.workspace,
        action: asked.action,
        from: asked.from,
        until: asked.until,
    };
    let events = auditor.find_events(&query, before.as_ref(), limit).await?;
    let is_full = i64::try_from(events.len()).is_ok_and(|count| count == limit);
    let next = events
        .last()
        .filter(|_| is_full)
        .map(|event| event.event.id.to_string());
    Ok(Json(api::Events {
        events: events.into_iter().map(views::event).collect(),
        next,
    }))
}
