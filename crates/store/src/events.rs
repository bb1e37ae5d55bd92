//! The audit log: only ever added to.

use crate::column::{Columns, FromColumns, row};
use crate::db::{built_sql, sql};
use crate::error::Result;
use crate::{EventId, ProviderId, Store, UserId, WorkspaceId};

row! {
    /// A line of the audit log.
    pub struct Event {
        /// `evt_…`.
        pub id: EventId,
        /// When.
        pub at: i64,
        /// Who; none for the system itself.
        pub user_id: Option<UserId>,
        /// Through which workspace.
        pub workspace_id: Option<WorkspaceId>,
        /// At which provider.
        pub provider_id: Option<ProviderId>,
        /// What was done, dotted: `link.begin`, `credential.give`, …
        pub action: String,
        /// How it ended and why, in words. Never a secret.
        pub detail: String,
        /// How many times, for batched events.
        pub count: i64,
    }
}

/// An event with the names of what it names, as far as they still exist.
#[derive(Debug, Clone)]
pub struct NamedEvent {
    /// The event.
    pub event: Event,
    /// The user's sign-in name.
    pub user: Option<String>,
    /// The workspace's name.
    pub workspace: Option<String>,
    /// The provider's name.
    pub provider: Option<String>,
}

impl FromColumns for NamedEvent {
    fn from_columns(row: &dyn Columns, _prefix: &str) -> sqlx::Result<Self> {
        Ok(Self {
            event: Event::from_columns(row, "")?,
            user: row.text_or_none("user_name")?,
            workspace: row.text_or_none("workspace_name")?,
            provider: row.text_or_none("provider_name")?,
        })
    }
}

/// Which events to show; what is none does not filter.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Of this user.
    pub user_id: Option<UserId>,
    /// Through this workspace.
    pub workspace_id: Option<WorkspaceId>,
    /// At this provider.
    pub provider_id: Option<ProviderId>,
    /// Whose action begins so, such as `link.`.
    pub action: Option<String>,
    /// At this time or later.
    pub from: Option<i64>,
    /// Before this time.
    pub until: Option<i64>,
}

impl EventFilter {
    /// The columns of owners that filter, and their values.
    fn owners(&self) -> Vec<(&'static str, &str)> {
        let owners = [
            ("user_id", self.user_id.as_ref().map(UserId::as_str)),
            (
                "workspace_id",
                self.workspace_id.as_ref().map(WorkspaceId::as_str),
            ),
            (
                "provider_id",
                self.provider_id.as_ref().map(ProviderId::as_str),
            ),
        ];
        owners
            .into_iter()
            .filter_map(|(column, owner)| Some((column, owner?)))
            .collect()
    }
}

const EVENTS: &str =
    "SELECT e.*, u.name AS user_name, w.name AS workspace_name, p.name AS provider_name
     FROM events e
     LEFT JOIN users u ON u.id = e.user_id
     LEFT JOIN workspaces w ON w.id = e.workspace_id
     LEFT JOIN providers p ON p.id = e.provider_id
     WHERE (e.at, e.id) < ($1, $2) AND e.at >= $3 AND e.at < $4
       AND substr(e.action, 1, length($5)) = $5";

row! {
    /// How often an action happened in an hour.
    pub struct HourCount {
        /// The hour's first second.
        pub hour_at: i64,
        /// What was done.
        pub action: String,
        /// How often.
        pub number: i64,
    }
}

row! {
    struct Position {
        at: i64,
    }
}

impl Store {
    /// Adds events, all or none.
    pub async fn add_events(&self, events: &[Event]) -> Result<()> {
        let mut transaction = self.db.begin().await?;
        for event in events {
            let statement = sql("INSERT INTO events
                   (id, at, user_id, workspace_id, provider_id, action, detail, count)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
            .bind(&event.id)
            .bind(&event.at)
            .bind(&event.user_id)
            .bind(&event.workspace_id)
            .bind(&event.provider_id)
            .bind(&event.action)
            .bind(&event.detail)
            .bind(&event.count);
            transaction.execute(statement).await?;
        }
        transaction.commit().await
    }

    /// Events that pass the filter, newest first, older than the event `before`. A `before`
    /// that does not exist gives nothing.
    pub async fn events(
        &self,
        filter: &EventFilter,
        before: Option<&EventId>,
        limit: i64,
    ) -> Result<Vec<NamedEvent>> {
        let Some((at, id)) = self.position(before).await? else {
            return Ok(Vec::new());
        };
        let owners = filter.owners();
        let mut text = EVENTS.to_owned();
        // Only the columns that filter are named, so that the database can choose the index of
        // the one that narrows most.
        for ((column, _), number) in owners.iter().zip(7..) {
            text.push_str(&format!(" AND e.{column} = ${number}"));
        }
        text.push_str(" ORDER BY e.at DESC, e.id DESC LIMIT $6");
        let mut statement = built_sql(text)
            .bind(&at)
            .bind(id)
            .bind(&filter.from.unwrap_or(i64::MIN))
            .bind(&filter.until.unwrap_or(i64::MAX))
            .bind(filter.action.as_deref().unwrap_or_default())
            .bind(&limit);
        for (_, owner) in owners {
            statement = statement.bind(owner);
        }
        self.db.all(statement).await
    }

    /// Where a page of events starts: after everything, or at an event that exists.
    async fn position<'a>(&self, before: Option<&'a EventId>) -> Result<Option<(i64, &'a str)>> {
        let Some(before) = before else {
            return Ok(Some((i64::MAX, "")));
        };
        let statement = sql("SELECT at FROM events WHERE id = $1").bind(before);
        let position = self.db.optional::<Position>(statement).await?;
        Ok(position.map(|position| (position.at, before.as_str())))
    }

    /// How often each action that begins with `action` happened in each hour between `from` and
    /// `until`, batched events by their count.
    pub async fn events_by_hour(
        &self,
        action: &str,
        from: i64,
        until: i64,
    ) -> Result<Vec<HourCount>> {
        let statement = sql(
            "SELECT at - at % 3600 AS hour_at, action, CAST(sum(count) AS BIGINT) AS number
             FROM events
             WHERE at >= $2 AND at < $3 AND substr(action, 1, length($1)) = $1
             GROUP BY at - at % 3600, action
             ORDER BY hour_at, action",
        )
        .bind(action)
        .bind(&from)
        .bind(&until);
        self.db.all(statement).await
    }
}
