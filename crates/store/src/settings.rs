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
    /// at once, attempts without tokens to revoke, and drafts begun at `drafts_before` or
    /// earlier. Returns how many rows went.
    pub async fn drop_ended(&self, now: i64, drafts_before: i64) -> Result<u64> {
        let ended = [
            "DELETE FROM one_time_links WHERE expires_at <= $1",
            "DELETE FROM attempts WHERE expires_at <= $1 AND tokens IS NULL",
            "DELETE FROM sessions WHERE expires_at <= $1",
            "DELETE FROM api_tokens WHERE expires_at <= $1",
            "DELETE FROM devices WHERE expires_at <= $1",
        ];
        let mut dropped = 0;
        for text in ended {
            dropped += self.db.execute(sql(text).bind(&now)).await?;
        }
        let drafts = sql("DELETE FROM provider_drafts WHERE created_at <= $1").bind(&drafts_before);
        Ok(dropped + self.db.execute(drafts).await?)
    }
}
