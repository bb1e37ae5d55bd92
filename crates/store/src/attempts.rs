//! OAuth dances under way: each is taken once, by the session that began it.

use secrets::{Sealed, TokenHash};

use crate::column::row;
use crate::db::sql;
use crate::error::Result;
use crate::{AttemptId, LinkId, ProviderId, SessionId, Store, UserId};

row! {
    /// An attempt.
    pub struct Attempt {
        /// `att_…`.
        pub id: AttemptId,
        /// The browser session it is bound to.
        pub session_id: SessionId,
        /// Whose link it makes.
        pub user_id: UserId,
        /// Where.
        pub provider_id: ProviderId,
        /// The grant it is for: `manage` or `git`.
        pub purpose: String,
        /// The link of a second consent or a re-link.
        pub link_id: Option<LinkId>,
        /// The account it must name.
        pub expected_account: Option<String>,
        /// PKCE verifier, or request token and its secret.
        pub secret: Sealed,
        /// The tokens of the exchange.
        pub tokens: Option<Sealed>,
        /// When it was begun.
        pub created_at: i64,
        /// When it dies.
        pub expires_at: i64,
        /// When its callback came.
        pub taken_at: Option<i64>,
    }
}

/// What the callback names an attempt by.
#[derive(Debug)]
pub struct AttemptHashes {
    /// Of the `state`; OAuth 1.0a attempts have one too, for uniqueness.
    pub state: TokenHash,
    /// Of the OAuth 1.0a request token.
    pub request_token: Option<TokenHash>,
}

impl Store {
    /// Adds an attempt.
    pub async fn add_attempt(&self, hashes: &AttemptHashes, attempt: &Attempt) -> Result<()> {
        let statement = sql("INSERT INTO attempts
               (id, state_hash, request_token_hash, session_id, user_id, provider_id, purpose,
                link_id, expected_account, secret, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
        .bind(&attempt.id)
        .bind(&hashes.state)
        .bind(&hashes.request_token)
        .bind(&attempt.session_id)
        .bind(&attempt.user_id)
        .bind(&attempt.provider_id)
        .bind(&attempt.purpose)
        .bind(&attempt.link_id)
        .bind(&attempt.expected_account)
        .bind(&attempt.secret)
        .bind(&attempt.created_at)
        .bind(&attempt.expires_at);
        self.db.execute(statement).await?;
        Ok(())
    }

    /// Takes the attempt of a `state`, for the session that began it: of many callers one
    /// receives it, and nobody after its end.
    pub async fn take_attempt(
        &self,
        state: &TokenHash,
        session: &SessionId,
        now: i64,
    ) -> Result<Option<Attempt>> {
        let statement = sql("UPDATE attempts SET taken_at = $3
             WHERE state_hash = $1 AND session_id = $2 AND taken_at IS NULL AND expires_at > $3
             RETURNING *")
        .bind(state)
        .bind(session)
        .bind(&now);
        self.db.returned(statement).await
    }

    /// Like [`Self::take_attempt`], by the OAuth 1.0a request token.
    pub async fn take_attempt_by_request_token(
        &self,
        request_token: &TokenHash,
        session: &SessionId,
        now: i64,
    ) -> Result<Option<Attempt>> {
        let statement = sql("UPDATE attempts SET taken_at = $3
             WHERE request_token_hash = $1 AND session_id = $2
               AND taken_at IS NULL AND expires_at > $3
             RETURNING *")
        .bind(request_token)
        .bind(session)
        .bind(&now);
        self.db.returned(statement).await
    }

    /// Stores what the exchange gave with the taken attempt, before anything is done with it.
    pub async fn store_attempt_tokens(&self, attempt: &AttemptId, tokens: &Sealed) -> Result<bool> {
        let statement = sql("UPDATE attempts SET tokens = $2
             WHERE id = $1 AND taken_at IS NOT NULL")
        .bind(attempt)
        .bind(tokens);
        self.db.changed(statement).await
    }

    /// Drops an attempt that came to its end.
    pub async fn drop_attempt(&self, attempt: &AttemptId) -> Result<bool> {
        self.db
            .changed(sql("DELETE FROM attempts WHERE id = $1").bind(attempt))
            .await
    }

    /// Attempts that received tokens but were never finished: their server died in between, and
    /// the tokens are to be revoked. Those taken at `before` or earlier.
    pub async fn stranded_attempts(&self, before: i64, limit: i64) -> Result<Vec<Attempt>> {
        let statement = sql("SELECT * FROM attempts
             WHERE tokens IS NOT NULL AND taken_at <= $1
             ORDER BY expires_at, id
             LIMIT $2")
        .bind(&before)
        .bind(&limit);
        self.db.all(statement).await
    }
}
