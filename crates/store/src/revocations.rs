//! What must still be undone at a provider after an unlink or a revocation.

use secrets::Sealed;

use crate::column::{row, words};
use crate::db::sql;
use crate::error::Result;
use crate::{LinkId, ProviderId, RevocationId, Store, Turn, UserId};

words! {
    /// What is to be undone.
    pub enum RevocationWhat {
        /// A token of a consent is revoked.
        Token = "token",
        /// A minted token is deleted.
        Minted = "minted",
        /// A key is deleted.
        Key = "key",
    }
}

row! {
    /// A revocation.
    pub struct Revocation {
        /// `rvk_…`.
        pub id: RevocationId,
        /// Where.
        pub provider_id: ProviderId,
        /// Whose.
        pub user_id: UserId,
        /// The link it comes from, which may be gone; part of what its secret is sealed for.
        pub link_id: LinkId,
        /// The account there.
        pub account_id: String,
        /// Its login, for calls that name it and for messages.
        pub login: String,
        /// What is to be undone.
        pub what: RevocationWhat,
        /// The purpose of the token: `manage` or `git`.
        pub purpose: String,
        /// The token, and what calls with it need.
        pub secret: Option<Sealed>,
        /// The provider's id of the minted token or key.
        pub remote_id: Option<String>,
        /// The usage of a key.
        pub usage: Option<String>,
        /// Since when.
        pub created_at: i64,
        /// When to try.
        pub due_at: i64,
        /// Tries failed.
        pub failures: i64,
        /// What the last one met, in words.
        pub reason: Option<String>,
        /// Who tries now.
        pub lease_owner: Option<String>,
        /// Until when nobody else does.
        pub lease_until: Option<i64>,
    }
}

impl Store {
    /// Adds revocations, all or none.
    pub async fn add_revocations(&self, revocations: &[Revocation]) -> Result<()> {
        let mut transaction = self.db.begin().await?;
        for revocation in revocations {
            let statement = sql("INSERT INTO revocations
                   (id, provider_id, user_id, link_id, account_id, login, what, purpose, secret,
                    remote_id, usage, created_at, due_at, failures, reason)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)")
            .bind(&revocation.id)
            .bind(&revocation.provider_id)
            .bind(&revocation.user_id)
            .bind(&revocation.link_id)
            .bind(&revocation.account_id)
            .bind(&revocation.login)
            .bind(&revocation.what)
            .bind(&revocation.purpose)
            .bind(&revocation.secret)
            .bind(&revocation.remote_id)
            .bind(&revocation.usage)
            .bind(&revocation.created_at)
            .bind(&revocation.due_at)
            .bind(&revocation.failures)
            .bind(&revocation.reason);
            transaction.execute(statement).await?;
        }
        transaction.commit().await
    }

    /// Leases revocations that are due and that nobody acts on, the longest due first.
    pub async fn lease_due_revocations(&self, turn: &Turn, now: i64) -> Result<Vec<Revocation>> {
        // The condition on the lease stands twice, as in `lease_due_uploads`.
        let statement = sql("UPDATE revocations SET lease_owner = $1, lease_until = $2
             WHERE id IN (SELECT id FROM revocations
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

    /// Forgets a revocation that is done, or cannot be done any more.
    pub async fn drop_revocation(&self, revocation: &RevocationId) -> Result<bool> {
        self.db
            .changed(sql("DELETE FROM revocations WHERE id = $1").bind(revocation))
            .await
    }

    /// Ends the lease of a revocation that failed and has it tried again at `due_at`.
    pub async fn retry_revocation(
        &self,
        revocation: &RevocationId,
        owner: &str,
        reason: &str,
        due_at: i64,
    ) -> Result<bool> {
        let statement = sql("UPDATE revocations
             SET due_at = $4, failures = failures + 1, reason = $3,
                 lease_owner = NULL, lease_until = NULL
             WHERE id = $1 AND lease_owner = $2")
        .bind(revocation)
        .bind(owner)
        .bind(reason)
        .bind(&due_at);
        self.db.changed(statement).await
    }

    /// What is still to be undone for a user, oldest first.
    pub async fn revocations_of(&self, user: &UserId) -> Result<Vec<Revocation>> {
        let statement = sql("SELECT * FROM revocations
             WHERE user_id = $1
             ORDER BY created_at, id")
        .bind(user);
        self.db.all(statement).await
    }

    /// What is still to be undone at a provider, oldest first.
    pub async fn revocations_at(
        &self,
        provider: &ProviderId,
        limit: i64,
    ) -> Result<Vec<Revocation>> {
        let statement = sql("SELECT * FROM revocations
             WHERE provider_id = $1
             ORDER BY created_at, id
             LIMIT $2")
        .bind(provider)
        .bind(&limit);
        self.db.all(statement).await
    }
}
