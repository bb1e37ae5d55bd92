//! How a person proves who they are: one-time links, browser sessions and API tokens.

use secrets::TokenHash;

use crate::column::{Columns, FromColumns, row, words};
use crate::db::{Number, sql};
use crate::error::Result;
use crate::{ApiTokenId, SessionId, Store, User, UserId};

words! {
    /// What a one-time link is for.
    pub enum OneTimePurpose {
        /// Makes the first site manager.
        Setup = "setup",
        /// Sets a user's password: an invitation, or a forgotten one.
        Password = "password",
    }
}

row! {
    /// A link that works once.
    pub struct OneTimeLink {
        /// Whose password it sets; none for set-up.
        pub user_id: Option<UserId>,
        /// What it is for.
        pub purpose: OneTimePurpose,
        /// When it dies.
        pub expires_at: i64,
    }
}

row! {
    /// A browser sign-in.
    pub struct Session {
        /// `ses_…`.
        pub id: SessionId,
        /// Who signed in.
        pub user_id: UserId,
        /// Address it was begun from.
        pub address: String,
        /// The browser's own words.
        pub agent: String,
        /// When it was begun.
        pub created_at: i64,
        /// When it was last seen.
        pub last_seen_at: i64,
        /// When it ends.
        pub expires_at: i64,
    }
}

row! {
    /// A user's token for scripts.
    pub struct ApiToken {
        /// `tok_…`.
        pub id: ApiTokenId,
        /// Whose it is.
        pub user_id: UserId,
        /// What it is for.
        pub name: String,
        /// When it was made.
        pub created_at: i64,
        /// When it ends.
        pub expires_at: i64,
        /// When it was last used.
        pub last_used_at: Option<i64>,
        /// When it was revoked.
        pub revoked_at: Option<i64>,
    }
}

/// A session and the user it stands for.
#[derive(Debug, Clone)]
pub struct SessionUser {
    /// The session.
    pub session: Session,
    /// Its user, not suspended.
    pub user: User,
}

/// An API token and the user it stands for.
#[derive(Debug, Clone)]
pub struct ApiTokenUser {
    /// The token.
    pub api_token: ApiToken,
    /// Its user, not suspended.
    pub user: User,
}

impl FromColumns for SessionUser {
    fn from_columns(row: &dyn Columns, _prefix: &str) -> sqlx::Result<Self> {
        Ok(Self {
            session: Session::from_columns(row, "")?,
            user: User::from_columns(row, "u_")?,
        })
    }
}

impl FromColumns for ApiTokenUser {
    fn from_columns(row: &dyn Columns, _prefix: &str) -> sqlx::Result<Self> {
        Ok(Self {
            api_token: ApiToken::from_columns(row, "")?,
            user: User::from_columns(row, "u_")?,
        })
    }
}

impl Store {
    /// Adds a one-time link; older ones of the same purpose and user die.
    pub async fn add_one_time_link(&self, token: &TokenHash, link: &OneTimeLink) -> Result<()> {
        let mut transaction = self.db.begin().await?;
        let older = sql("DELETE FROM one_time_links
             WHERE purpose = $1 AND COALESCE(user_id, '') = COALESCE($2, '')")
        .bind(&link.purpose)
        .bind(&link.user_id);
        transaction.execute(older).await?;
        let statement = sql(
            "INSERT INTO one_time_links (token_hash, user_id, purpose, expires_at)
             VALUES ($1, $2, $3, $4)",
        )
        .bind(token)
        .bind(&link.user_id)
        .bind(&link.purpose)
        .bind(&link.expires_at);
        transaction.execute(statement).await?;
        transaction.commit().await
    }

    /// Looks at a one-time link without using it.
    pub async fn one_time_link(&self, token: &TokenHash, now: i64) -> Result<Option<OneTimeLink>> {
        let statement = sql("SELECT user_id, purpose, expires_at FROM one_time_links
             WHERE token_hash = $1 AND expires_at > $2")
        .bind(token)
        .bind(&now);
        self.db.optional(statement).await
    }

    /// Uses a one-time link up: of many callers one receives it.
    pub async fn take_one_time_link(
        &self,
        token: &TokenHash,
        now: i64,
    ) -> Result<Option<OneTimeLink>> {
        let statement = sql("DELETE FROM one_time_links
             WHERE token_hash = $1 AND expires_at > $2
             RETURNING user_id, purpose, expires_at")
        .bind(token)
        .bind(&now);
        self.db.returned(statement).await
    }

    /// Whether a set-up link could still be used.
    pub async fn has_setup_link(&self, now: i64) -> Result<bool> {
        let statement = sql("SELECT count(*) AS number FROM one_time_links
             WHERE purpose = 'setup' AND expires_at > $1")
        .bind(&now);
        Ok(self.db.one::<Number>(statement).await?.number > 0)
    }

    /// Kills every set-up link.
    pub async fn drop_setup_links(&self) -> Result<u64> {
        self.db
            .execute(sql("DELETE FROM one_time_links WHERE purpose = 'setup'"))
            .await
    }

    /// Counts a try at a place and returns how many there were since the first one; one that lies
    /// at `since` or earlier is forgotten.
    pub async fn count_try(&self, place: &str, now: i64, since: i64) -> Result<i64> {
        let statement = sql(
            "INSERT INTO tries (place, number, since_at) VALUES ($1, 1, $2)
             ON CONFLICT (place) DO UPDATE
             SET number = CASE WHEN tries.since_at > $3 THEN tries.number + 1 ELSE 1 END,
                 since_at = CASE WHEN tries.since_at > $3 THEN tries.since_at ELSE $2 END
             RETURNING number",
        )
        .bind(place)
        .bind(&now)
        .bind(&since);
        Ok(self.db.returned_one::<Number>(statement).await?.number)
    }

    /// Forgets the tries at a place.
    pub async fn forget_tries(&self, place: &str) -> Result<()> {
        self.db
            .execute(sql("DELETE FROM tries WHERE place = $1").bind(place))
            .await?;
        Ok(())
    }

    /// Adds a browser session.
    pub async fn add_session(&self, token: &TokenHash, session: &Session) -> Result<()> {
        let statement = sql("INSERT INTO sessions
               (id, token_hash, user_id, address, agent, created_at, last_seen_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(&session.id)
        .bind(token)
        .bind(&session.user_id)
        .bind(&session.address)
        .bind(&session.agent)
        .bind(&session.created_at)
        .bind(&session.last_seen_at)
        .bind(&session.expires_at);
        self.db.execute(statement).await?;
        Ok(())
    }

    /// The session of a token and its user, unless it has ended or the user is suspended.
    pub async fn session_by_token(
        &self,
        token: &TokenHash,
        now: i64,
    ) -> Result<Option<SessionUser>> {
        let statement = sql("SELECT s.*,
                    u.id AS u_id, u.name AS u_name, u.email AS u_email, u.role AS u_role,
                    u.password_hash AS u_password_hash, u.created_at AS u_created_at,
                    u.suspended_at AS u_suspended_at
             FROM sessions s
             JOIN users u ON u.id = s.user_id
             WHERE s.token_hash = $1 AND s.expires_at > $2 AND u.suspended_at IS NULL")
        .bind(token)
        .bind(&now);
        self.db.optional(statement).await
    }

    /// Notes that a session is in use.
    pub async fn touch_session(&self, session: &SessionId, now: i64) -> Result<bool> {
        let statement = sql("UPDATE sessions SET last_seen_at = $2 WHERE id = $1")
            .bind(session)
            .bind(&now);
        self.db.changed(statement).await
    }

    /// A user's sessions that have not ended, last seen first.
    pub async fn sessions_of(&self, user: &UserId, now: i64) -> Result<Vec<Session>> {
        let statement = sql("SELECT * FROM sessions
             WHERE user_id = $1 AND expires_at > $2
             ORDER BY last_seen_at DESC, id")
        .bind(user)
        .bind(&now);
        self.db.all(statement).await
    }

    /// Ends one session of a user.
    pub async fn drop_session(&self, user: &UserId, session: &SessionId) -> Result<bool> {
        let statement = sql("DELETE FROM sessions WHERE user_id = $1 AND id = $2")
            .bind(user)
            .bind(session);
        self.db.changed(statement).await
    }

    /// Ends every session of a user.
    pub async fn drop_sessions_of(&self, user: &UserId) -> Result<u64> {
        self.db
            .execute(sql("DELETE FROM sessions WHERE user_id = $1").bind(user))
            .await
    }

    /// Adds an API token.
    pub async fn add_api_token(&self, token: &TokenHash, api_token: &ApiToken) -> Result<()> {
        let statement = sql("INSERT INTO api_tokens
               (id, token_hash, user_id, name, created_at, expires_at, last_used_at, revoked_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(&api_token.id)
        .bind(token)
        .bind(&api_token.user_id)
        .bind(&api_token.name)
        .bind(&api_token.created_at)
        .bind(&api_token.expires_at)
        .bind(&api_token.last_used_at)
        .bind(&api_token.revoked_at);
        self.db.execute(statement).await?;
        Ok(())
    }

    /// The API token that a bearer is, and its user, unless it ended or the user is suspended.
    pub async fn api_token_by_token(
        &self,
        token: &TokenHash,
        now: i64,
    ) -> Result<Option<ApiTokenUser>> {
        let statement = sql("SELECT t.*,
                    u.id AS u_id, u.name AS u_name, u.email AS u_email, u.role AS u_role,
                    u.password_hash AS u_password_hash, u.created_at AS u_created_at,
                    u.suspended_at AS u_suspended_at
             FROM api_tokens t
             JOIN users u ON u.id = t.user_id
             WHERE t.token_hash = $1 AND t.expires_at > $2 AND t.revoked_at IS NULL
               AND u.suspended_at IS NULL")
        .bind(token)
        .bind(&now);
        self.db.optional(statement).await
    }

    /// A user's API tokens that still work, newest first.
    pub async fn api_tokens_of(&self, user: &UserId, now: i64) -> Result<Vec<ApiToken>> {
        let statement = sql("SELECT * FROM api_tokens
             WHERE user_id = $1 AND expires_at > $2 AND revoked_at IS NULL
             ORDER BY created_at DESC, id")
        .bind(user)
        .bind(&now);
        self.db.all(statement).await
    }

    /// Notes that an API token was used.
    pub async fn touch_api_token(&self, api_token: &ApiTokenId, now: i64) -> Result<bool> {
        let statement = sql("UPDATE api_tokens SET last_used_at = $2 WHERE id = $1")
            .bind(api_token)
            .bind(&now);
        self.db.changed(statement).await
    }

    /// Revokes an API token of a user.
    pub async fn revoke_api_token(
        &self,
        user: &UserId,
        api_token: &ApiTokenId,
        now: i64,
    ) -> Result<bool> {
        let statement = sql("UPDATE api_tokens SET revoked_at = $3
             WHERE user_id = $1 AND id = $2 AND revoked_at IS NULL")
        .bind(user)
        .bind(api_token)
        .bind(&now);
        self.db.changed(statement).await
    }
}
