//! Site-wide settings by name, and the clean-up of what has ended.

use crate::Store;
use crate::column::row;
use crate::db::sql;
use crate::error::Result;

row! {
    struct Setting {
        value: String,
    }
}

impl Store {
    /// A setting, where it was set.
    pub async fn setting(&self, name: &str) -> Result<Option<String>> {
        let statement = sql("SELECT value FROM settings WHERE name = $1").bind(name);
        Ok(self
            .db
            .optional::<Setting>(statement)
            .await?
            .map(|setting| setting.value))
    }

    /// Sets a setting.
    pub async fn set_setting(&self, name: &str, value: &str) -> Result<()> {
        let statement = sql("INSERT INTO settings (name, value) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value")
        .bind(name)
        .bind(value);
        self.db.execute(statement).await?;
        Ok(())
    }

    /// Deletes what ended before `now`: one-time links, sessions, API tokens and device sign-ins
    /// at once, attempts without tokens to revoke, and drafts and counted tries begun at `before`
    /// or earlier. Returns how many rows went.
    pub async fn drop_ended(&self, now: i64, before: i64) -> Result<u64> {
        let ended = [
            ("DELETE FROM one_time_links WHERE expires_at <= $1", now),
            (
                "DELETE FROM attempts WHERE expires_at <= $1 AND tokens IS NULL",
                now,
            ),
            ("DELETE FROM sessions WHERE expires_at <= $1", now),
            ("DELETE FROM api_tokens WHERE expires_at <= $1", now),
            ("DELETE FROM devices WHERE expires_at <= $1", now),
            ("DELETE FROM provider_drafts WHERE created_at <= $1", before),
            ("DELETE FROM tries WHERE since_at <= $1", before),
        ];
        let mut dropped = 0;
        for (text, time) in ended {
            dropped += self.db.execute(sql(text).bind(&time)).await?;
        }
        Ok(dropped)
    }
}
