//! Users, providers, links, grants, keys, workspaces and events in SQLite or PostgreSQL.
//!
//! The only SQL of Forgepass. Every method is one atomic verb: no transaction leaves the crate.
//! Times are unix seconds and come in as `now`, which callers take from [`Store::now`].
//! Methods that act for a user take the user's id and answer "nothing" for another's row.

mod attempts;
mod backup;
mod clock;
mod column;
mod db;
mod error;
mod events;
mod grants;
mod ids;
mod keys;
mod links;
mod open;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod plans;
mod providers;
mod revocations;
mod rules;
mod sealed;
mod settings;
mod sign_in;
mod uploads;
mod users;
mod view;
mod workspaces;

use std::sync::Arc;

pub use attempts::*;
pub use error::*;
pub use events::*;
pub use grants::*;
pub use ids::*;
pub use keys::*;
pub use links::*;
pub use providers::*;
pub use revocations::*;
pub use rules::*;
pub use sealed::*;
pub use sign_in::*;
pub use uploads::*;
pub use users::*;
pub use view::*;
pub use workspaces::*;

use clock::Clock;
use db::{Db, Number, sql};

/// The database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    db: Db,
    clock: Arc<Clock>,
}

impl Store {
    /// The database's time, unix seconds; a reading is reused for five seconds.
    pub async fn now(&self) -> Result<i64> {
        if let Some(now) = self.clock.known() {
            return Ok(now);
        }
        let now = self.read_clock().await?;
        self.clock.learn(now);
        Ok(self.clock.known().unwrap_or(now))
    }

    /// Asks the database for its time, which also shows that it answers.
    pub async fn read_clock(&self) -> Result<i64> {
        let statement = match self.db {
            Db::Sqlite { .. } => sql("SELECT unixepoch() AS number"),
            Db::Postgres { .. } => {
                sql("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT) AS number")
            }
        };
        Ok(self.db.one::<Number>(statement).await?.number)
    }

    /// Replaces the database's time for this store and its clones; `None` gives it back.
    /// For tests.
    pub fn set_now(&self, now: Option<i64>) {
        self.clock.set(now);
    }

    /// Moves the time on, from what it is now. For tests.
    pub async fn advance(&self, seconds: i64) -> Result<()> {
        let now = self.now().await?;
        self.set_now(Some(now.saturating_add(seconds)));
        Ok(())
    }

    /// Statements that PostgreSQL keeps prepared for one of our connections; none on SQLite. Behind
    /// a pooler in transaction mode there must be none. For tests and diagnosis.
    pub async fn prepared_statements(&self) -> Result<i64> {
        match self.db {
            Db::Sqlite { .. } => Ok(0),
            Db::Postgres { .. } => {
                let statement = sql("SELECT count(*) AS number FROM pg_prepared_statements");
                Ok(self.db.one::<Number>(statement).await?.number)
            }
        }
    }
}
