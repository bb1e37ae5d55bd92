//! The audit log: what was done, by whom, through what. Never a secret.

use secrets::random_id;
use store::{Event, EventFilter, EventId, NamedEvent, ProviderId, UserId, WorkspaceId};

use crate::{AsAuditor, Broker, Result};

/// Something that happened, for the audit log.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    user: Option<UserId>,
    workspace: Option<WorkspaceId>,
    provider: Option<ProviderId>,
    action: &'static str,
    detail: String,
    count: i64,
}

impl Entry {
    /// An action, dotted, such as `link.begin`, and how it ended in words.
    pub(crate) fn new(action: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            user: None,
            workspace: None,
            provider: None,
            action,
            detail,
            count: 1,
        }
    }

    /// Who did it, or whom it concerns where nobody else is known.
    pub(crate) fn by(mut self, user: &UserId) -> Self {
        self.user = Some(user.clone());
        self
    }

    /// Who did it, where that is a user and not the owner of the machine.
    pub(crate) fn maybe_by(mut self, user: Option<&UserId>) -> Self {
        self.user = user.cloned();
        self
    }

    /// Through which workspace.
    pub(crate) fn through(mut self, workspace: &WorkspaceId) -> Self {
        self.workspace = Some(workspace.clone());
        self
    }

    /// At which provider.
    pub(crate) fn at(mut self, provider: &ProviderId) -> Self {
        self.provider = Some(provider.clone());
        self
    }

    /// How many times, for what is reported in batches.
    pub(crate) fn times(mut self, count: i64) -> Self {
        self.count = count;
        self
    }

    fn event(self, now: i64) -> Event {
        Event {
            id: EventId(random_id("evt")),
            at: now,
            user_id: self.user,
            workspace_id: self.workspace,
            provider_id: self.provider,
            action: self.action.to_owned(),
            detail: self.detail.chars().filter(|c| !c.is_control()).collect(),
            count: self.count,
        }
    }
}

impl Broker {
    /// Writes entries. What they tell has happened already, so a database that is away does not make
    /// it fail: the entries then stand in the server's log.
    pub(crate) async fn record(&self, entries: impl IntoIterator<Item = Entry>) {
        let now = self.store().now().await.unwrap_or_default();
        let events: Vec<Event> = entries.into_iter().map(|entry| entry.event(now)).collect();
        if events.is_empty() {
            return;
        }
        if let Err(error) = self.store().add_events(&events).await {
            for event in events {
                tracing::error!(
                    event.action = %event.action,
                    event.detail = %event.detail,
                    user.id = event.user_id.as_ref().map(UserId::as_str),
                    workspace.id = event.workspace_id.as_ref().map(WorkspaceId::as_str),
                    provider.id = event.provider_id.as_ref().map(ProviderId::as_str),
                    %error,
                    "an event of the audit log could not be stored"
                );
            }
        }
    }
}

/// Which events to show, as a person asks; what is none does not filter.
#[derive(Debug, Clone, Default)]
pub struct EventQuery {
    /// A user's id or name.
    pub user: Option<String>,
    /// A provider's id or name.
    pub provider: Option<String>,
    /// A workspace's id.
    pub workspace: Option<String>,
    /// How the action begins, such as `link.`.
    pub action: Option<String>,
    /// Not earlier, unix seconds.
    pub from: Option<i64>,
    /// Earlier, unix seconds.
    pub until: Option<i64>,
}

/// Most events of one page.
const LARGEST_PAGE: i64 = 500;

impl AsAuditor {
    /// Events that match, newest first, before the event `before`; at most `limit`, and 500 at most.
    pub async fn events(
        &self,
        filter: &EventFilter,
        before: Option<&EventId>,
        limit: i64,
    ) -> Result<Vec<NamedEvent>> {
        Ok(self
            .broker
            .store()
            .events(filter, before, limit.clamp(1, LARGEST_PAGE))
            .await?)
    }

    /// Like [`AsAuditor::events`], with users and providers by id or name. A name that nobody has
    /// finds nothing.
    pub async fn find_events(
        &self,
        query: &EventQuery,
        before: Option<&EventId>,
        limit: i64,
    ) -> Result<Vec<NamedEvent>> {
        let store = self.broker.store();
        let user_id = match &query.user {
            Some(user) => {
                let named = store.user_by_name(&user.to_ascii_lowercase()).await?;
                Some(named.map_or_else(|| UserId::from(user.as_str()), |named| named.id))
            }
            None => None,
        };
        let provider_id = match &query.provider {
            Some(provider) => {
                let named = store.provider_by_name(provider).await?;
                Some(named.map_or_else(|| ProviderId::from(provider.as_str()), |named| named.id))
            }
            None => None,
        };
        let filter = EventFilter {
            user_id,
            provider_id,
            workspace_id: query.workspace.as_deref().map(WorkspaceId::from),
            action: query.action.clone(),
            from: query.from,
            until: query.until,
        };
        self.events(&filter, before, limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let event = Entry::new("user.add", "ann\r\nsession.begin: \u{1b}[31mroot").event(1);
        assert_eq!(event.detail, "annsession.begin: [31mroot");
    }
}
