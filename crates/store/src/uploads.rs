//! What should be at a provider for a key, and what was last seen there.
//!
//! Rows that are due are leased by a loop on any replica, which acts and writes back what it
//! saw. A row whose lease ran out is due again.

use crate::column::{row, words};
use crate::db::sql;
use crate::error::Result;
use crate::{KeyId, LinkId, Store, UploadId, UserId};

words! {
    /// What should be.
    pub enum Wanted {
        /// The key stands at the provider.
        Present = "present",
        /// It does not.
        Absent = "absent",
    }
}

words! {
    /// What was last seen.
    pub enum UploadState {
        /// Nothing was tried yet.
        Pending = "pending",
        /// The key is there.
        Present = "present",
        /// The key is gone, as wanted.
        Absent = "absent",
        /// The key is there, but a person must authorise it (SAML).
        NeedsAuthorization = "needs-authorization",
        /// The provider does not take it.
        Refused = "refused",
        /// The provider ends it soon.
        Expiring = "expiring",
        /// The provider could not be asked.
        Unknown = "unknown",
        /// A person pastes it; its first signature is the proof.
        ByHand = "by-hand",
    }
}

row! {
    /// An upload.
    pub struct Upload {
        /// `upl_…`.
        pub id: UploadId,
        /// The key.
        pub key_id: KeyId,
        /// `auth`, `signing` or `auth-and-signing`.
        pub usage: String,
        /// What should be.
        pub wanted: Wanted,
        /// What was last seen.
        pub state: UploadState,
        /// The provider's id of the key.
        pub remote_id: Option<String>,
        /// Why, and what to do next.
        pub reason: Option<String>,
        /// The provider's page that helps.
        pub page: Option<String>,
        /// When to look again; none: nothing to do.
        pub due_at: Option<i64>,
        /// Tries failed in a row.
        pub failures: i64,
        /// Who acts now.
        pub lease_owner: Option<String>,
        /// Until when nobody else does.
        pub lease_until: Option<i64>,
        /// When the provider was last asked with success.
        pub seen_at: Option<i64>,
        /// When the provider ends the key.
        pub expires_at: Option<i64>,
        /// Grows whenever something else is wanted.
        pub version: i64,
    }
}

/// What is wanted of an upload.
#[derive(Debug, Clone)]
pub struct WantedUpload {
    /// The id, where the row is new.
    pub id: UploadId,
    /// The key.
    pub key_id: KeyId,
    /// `auth`, `signing` or `auth-and-signing`.
    pub usage: String,
    /// What should be.
    pub wanted: Wanted,
    /// What to show until the provider was asked.
    pub state: UploadState,
    /// When to act; none where a person does.
    pub due_at: Option<i64>,
}

/// What came of acting on an upload.
#[derive(Debug, Clone)]
pub struct SettledUpload {
    /// The upload.
    pub id: UploadId,
    /// Who held its lease.
    pub owner: String,
    /// The version it was leased at.
    pub version: i64,
    /// What was seen.
    pub state: UploadState,
    /// The provider's id of the key.
    pub remote_id: Option<String>,
    /// Why, and what to do next.
    pub reason: Option<String>,
    /// The provider's page that helps.
    pub page: Option<String>,
    /// When to look again; none: nothing to do.
    pub due_at: Option<i64>,
    /// Tries failed in a row; 0 after success.
    pub failures: i64,
    /// When the provider was asked, where it answered; none keeps the last time.
    pub seen_at: Option<i64>,
    /// When the provider ends the key.
    pub expires_at: Option<i64>,
}

row! {
    /// How many uploads are in a state.
    pub struct UploadCount {
        /// The state.
        pub state: UploadState,
        /// How many.
        pub number: i64,
    }
}

/// Whose turn it is to act on due rows, and for how long.
#[derive(Debug, Clone)]
pub struct Turn {
    /// A random text of one replica's loop.
    pub owner: String,
    /// Until when nobody else acts on what it leases.
    pub until: i64,
    /// How many rows at most.
    pub limit: i64,
}

impl Store {
    /// Says what should be at the provider for a key and usage; what is known of it stays.
    pub async fn put_upload(&self, upload: &WantedUpload) -> Result<()> {
        let statement = sql(
            "INSERT INTO uploads (id, key_id, usage, wanted, state, due_at, failures, version)
             VALUES ($1, $2, $3, $4, $5, $6, 0, 1)
             ON CONFLICT (key_id, usage) DO UPDATE
             SET wanted = excluded.wanted, state = excluded.state, due_at = excluded.due_at,
                 failures = 0, reason = NULL, page = NULL, version = uploads.version + 1",
        )
        .bind(&upload.id)
        .bind(&upload.key_id)
        .bind(&upload.usage)
        .bind(&upload.wanted)
        .bind(&upload.state)
        .bind(&upload.due_at);
        self.db.execute(statement).await?;
        Ok(())
    }

    /// Leases uploads that are due and that nobody acts on, the longest due first.
    pub async fn lease_due_uploads(&self, turn: &Turn, now: i64) -> Result<Vec<Upload>> {
        // The condition on the lease stands twice: PostgreSQL checks only the outer one again
        // when another replica took the row while this one waited for it.
        let statement = sql("UPDATE uploads SET lease_owner = $1, lease_until = $2
             WHERE id IN (SELECT id FROM uploads
                          WHERE due_at <= $3 AND (lease_until IS NULL OR lease_until <= $3)
                          ORDER BY due_at, id
                          LIMIT $4)
               AND (lease_until IS NULL OR lease_until <= $3)
             RETURNING *")
        .bind(&turn.owner)
        .bind(&turn.until)
        .bind(&now)
        .bind(&turn.limit);
        self.db.all_returned(statement).await
    }

    /// Leases the due uploads of one link, out of turn: somebody waits for them.
    pub async fn lease_uploads_of(
        &self,
        link: &LinkId,
        turn: &Turn,
        now: i64,
    ) -> Result<Vec<Upload>> {
        let statement = sql("UPDATE uploads SET lease_owner = $1, lease_until = $2
             WHERE id IN (SELECT p.id FROM uploads p
                          JOIN ssh_keys k ON k.id = p.key_id
                          WHERE k.link_id = $5 AND p.due_at <= $3
                          ORDER BY p.due_at, p.id
                          LIMIT $4)
               AND (lease_until IS NULL OR lease_until <= $3)
             RETURNING *")
        .bind(&turn.owner)
        .bind(&turn.until)
        .bind(&now)
        .bind(&turn.limit)
        .bind(link);
        self.db.all_returned(statement).await
    }

    /// Writes back what came of acting on an upload and ends its lease. Where something else
    /// was wanted meanwhile, only what the provider has is noted and the row stays due. False
    /// where the lease was taken over.
    pub async fn settle_upload(&self, upload: &SettledUpload) -> Result<bool> {
        let statement = sql("UPDATE uploads
             SET state = CASE WHEN version = $3 THEN $4 ELSE state END,
                 reason = CASE WHEN version = $3 THEN $6 ELSE reason END,
                 page = CASE WHEN version = $3 THEN $7 ELSE page END,
                 due_at = CASE WHEN version = $3 THEN $8 ELSE due_at END,
                 failures = CASE WHEN version = $3 THEN $9 ELSE failures END,
                 remote_id = $5, seen_at = COALESCE($10, seen_at), expires_at = $11,
                 lease_owner = NULL, lease_until = NULL
             WHERE id = $1 AND lease_owner = $2")
        .bind(&upload.id)
        .bind(&upload.owner)
        .bind(&upload.version)
        .bind(&upload.state)
        .bind(&upload.remote_id)
        .bind(&upload.reason)
        .bind(&upload.page)
        .bind(&upload.due_at)
        .bind(&upload.failures)
        .bind(&upload.seen_at)
        .bind(&upload.expires_at);
        self.db.changed(statement).await
    }

    /// The uploads of a key.
    pub async fn uploads_of(&self, key: &KeyId) -> Result<Vec<Upload>> {
        let statement = sql("SELECT * FROM uploads WHERE key_id = $1 ORDER BY usage").bind(key);
        self.db.all(statement).await
    }

    /// The uploads of every key of a user, in one read.
    pub async fn uploads_of_user(&self, user: &UserId) -> Result<Vec<Upload>> {
        let statement = sql("SELECT p.* FROM uploads p
             JOIN ssh_keys k ON k.id = p.key_id
             WHERE k.user_id = $1
             ORDER BY p.key_id, p.usage")
        .bind(user);
        self.db.all(statement).await
    }

    /// Has every upload of a link looked at again at `due_at`, as after the end of a token that
    /// made them.
    pub async fn recheck_uploads(&self, link: &LinkId, due_at: i64) -> Result<u64> {
        let statement = sql("UPDATE uploads SET due_at = $2, version = version + 1
             WHERE key_id IN (SELECT id FROM ssh_keys WHERE link_id = $1)
               AND state <> 'by-hand'")
        .bind(link)
        .bind(&due_at);
        self.db.execute(statement).await
    }

    /// Forgets an upload that is absent, as wanted.
    pub async fn drop_upload(&self, upload: &UploadId) -> Result<bool> {
        let statement = sql("DELETE FROM uploads WHERE id = $1 AND wanted = 'absent'").bind(upload);
        self.db.changed(statement).await
    }

    /// Uploads by state.
    pub async fn count_uploads_by_state(&self) -> Result<Vec<UploadCount>> {
        let statement = sql("SELECT state, count(*) AS number FROM uploads
             GROUP BY state
             ORDER BY state");
        self.db.all(statement).await
    }
}
