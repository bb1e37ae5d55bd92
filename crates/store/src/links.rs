//! The bonds between our users and their accounts at providers.

use crate::column::{row, words};
use crate::db::sql;
use crate::error::Result;
use crate::{LinkId, ProviderId, Store, UserId};

row! {
    /// A link.
    pub struct Link {
        /// `lnk_…`.
        pub id: LinkId,
        /// Whose it is.
        pub user_id: UserId,
        /// Where.
        pub provider_id: ProviderId,
        /// The account's permanent id there.
        pub account_id: String,
        /// The account's login.
        pub login: String,
        /// The account's full name.
        pub name: Option<String>,
        /// The address commits should carry.
        pub email: Option<String>,
        /// Every address that the provider has verified.
        pub emails: Vec<String>,
        /// The address of an account that hides its own.
        pub noreply: Option<String>,
        /// When it was made.
        pub created_at: i64,
        /// When it last gave a credential or signature.
        pub last_used_at: Option<i64>,
        /// When its tokens were found dead.
        pub dead_at: Option<i64>,
        /// Why, in words.
        pub dead_reason: Option<String>,
        /// When its removal began.
        pub unlinking_at: Option<i64>,
    }
}

words! {
    /// Whether a link works, as far as its rows show.
    pub enum LinkCondition {
        /// It has a grant for Git.
        Linked = "linked",
        /// It has none: its second consent or its minting is missing.
        Unfinished = "unfinished",
        /// Its tokens are dead.
        Dead = "dead",
    }
}

row! {
    /// How many links of a provider are in a condition.
    pub struct LinkCount {
        /// The provider.
        pub provider_id: ProviderId,
        /// The condition.
        pub condition: LinkCondition,
        /// How many.
        pub number: i64,
    }
}

/// Its plan is checked in `plans.rs`.
pub(crate) const LINKS_BY_CONDITION: &str = "SELECT provider_id, condition, count(*) AS number
     FROM (SELECT l.provider_id,
                  CASE WHEN l.dead_at IS NOT NULL THEN 'dead'
                       WHEN EXISTS (SELECT 1 FROM grants g
                                    WHERE g.link_id = l.id AND g.purpose = 'git') THEN 'linked'
                       ELSE 'unfinished' END AS condition
           FROM links l
           WHERE l.unlinking_at IS NULL) c
     GROUP BY provider_id, condition
     ORDER BY provider_id, condition";

impl Store {
    /// Links by provider and condition, without those being removed, in one read.
    pub async fn count_links_by_condition(&self) -> Result<Vec<LinkCount>> {
        self.db.all(sql(LINKS_BY_CONDITION)).await
    }

    /// Adds a link, or adopts the one that the user already has with this account: that one
    /// keeps its id and age, takes the account's new names and is alive again. Returns what is
    /// stored.
    pub async fn add_link(&self, link: &Link) -> Result<Link> {
        let statement = sql("INSERT INTO links
               (id, user_id, provider_id, account_id, login, name, email, emails, noreply,
                created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (user_id, provider_id, account_id) DO UPDATE
             SET login = excluded.login, name = excluded.name, email = excluded.email,
                 emails = excluded.emails, noreply = excluded.noreply,
                 dead_at = NULL, dead_reason = NULL, unlinking_at = NULL
             RETURNING *")
        .bind(&link.id)
        .bind(&link.user_id)
        .bind(&link.provider_id)
        .bind(&link.account_id)
        .bind(&link.login)
        .bind(&link.name)
        .bind(&link.email)
        .bind(&link.emails)
        .bind(&link.noreply)
        .bind(&link.created_at);
        self.db.returned_one(statement).await
    }

    /// One link of a user.
    pub async fn link(&self, user: &UserId, link: &LinkId) -> Result<Option<Link>> {
        let statement = sql("SELECT * FROM links WHERE user_id = $1 AND id = $2")
            .bind(user)
            .bind(link);
        self.db.optional(statement).await
    }

    /// Any link, for background work that acts for nobody.
    pub async fn any_link(&self, link: &LinkId) -> Result<Option<Link>> {
        self.db
            .optional(sql("SELECT * FROM links WHERE id = $1").bind(link))
            .await
    }

    /// A user's links, oldest first.
    pub async fn links_of(&self, user: &UserId) -> Result<Vec<Link>> {
        let statement = sql("SELECT * FROM links
             WHERE user_id = $1
             ORDER BY created_at, id")
        .bind(user);
        self.db.all(statement).await
    }

    /// Links at a provider by id, after the id `after`.
    pub async fn links_at(
        &self,
        provider: &ProviderId,
        after: Option<&LinkId>,
        limit: i64,
    ) -> Result<Vec<Link>> {
        let statement = sql("SELECT * FROM links
             WHERE provider_id = $1 AND id > $2
             ORDER BY id
             LIMIT $3")
        .bind(provider)
        .bind(after.map_or("", LinkId::as_str))
        .bind(&limit);
        self.db.all(statement).await
    }

    /// Notes that a link's tokens are dead, and why; the time and cause of an earlier death stay.
    pub async fn mark_link_dead(&self, link: &LinkId, reason: &str, now: i64) -> Result<bool> {
        let statement = sql("UPDATE links SET dead_at = $3, dead_reason = $2
             WHERE id = $1 AND dead_at IS NULL")
        .bind(link)
        .bind(reason)
        .bind(&now);
        self.db.changed(statement).await
    }

    /// Notes that a link works again.
    pub async fn revive_link(&self, link: &LinkId) -> Result<bool> {
        let statement = sql("UPDATE links SET dead_at = NULL, dead_reason = NULL
             WHERE id = $1 AND dead_at IS NOT NULL")
        .bind(link);
        self.db.changed(statement).await
    }

    /// Notes that a link gave a credential or signature.
    pub async fn touch_link(&self, link: &LinkId, now: i64) -> Result<bool> {
        let statement = sql("UPDATE links SET last_used_at = $2 WHERE id = $1")
            .bind(link)
            .bind(&now);
        self.db.changed(statement).await
    }

    /// Begins the removal of a user's link: from here on no refresh is stored and nothing is
    /// handed out. A refresh that is just being stored is waited for, so that its tokens can be
    /// read and revoked. Begins once; asked again it still answers true, so that a removal that
    /// a crash cut short can go on.
    pub async fn begin_unlink(&self, user: &UserId, link: &LinkId, now: i64) -> Result<bool> {
        let mut transaction = self.db.begin().await?;
        let statement = sql("UPDATE links SET unlinking_at = COALESCE(unlinking_at, $3)
             WHERE user_id = $1 AND id = $2")
        .bind(user)
        .bind(link)
        .bind(&now);
        if transaction.execute(statement).await? == 0 {
            return Ok(false);
        }
        // Swaps under way compare this version.
        let grants = sql("UPDATE grants SET version = version + 1 WHERE link_id = $1").bind(link);
        transaction.execute(grants).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Links whose removal began at `before` or earlier and has not ended.
    pub async fn unlinking_links(&self, before: i64, limit: i64) -> Result<Vec<Link>> {
        let statement = sql("SELECT * FROM links
             WHERE unlinking_at <= $1
             ORDER BY unlinking_at, id
             LIMIT $2")
        .bind(&before)
        .bind(&limit);
        self.db.all(statement).await
    }

    /// Deletes a link whose removal has begun, with its grants, keys, uploads, rules and
    /// attempts; its keys' history stays, with its addresses and an end. False where the account
    /// was linked again meanwhile.
    pub async fn delete_link(&self, user: &UserId, link: &LinkId, now: i64) -> Result<bool> {
        let mut transaction = self.db.begin().await?;
        let history = sql("UPDATE key_history
             SET emails = (SELECT emails FROM links WHERE id = $2),
                 valid_until = COALESCE(valid_until, $3)
             WHERE link_id = $2 AND user_id = $1
               AND EXISTS (SELECT 1 FROM links
                           WHERE id = $2 AND user_id = $1 AND unlinking_at IS NOT NULL)")
        .bind(user)
        .bind(link)
        .bind(&now);
        transaction.execute(history).await?;
        let statement = sql("DELETE FROM links
             WHERE user_id = $1 AND id = $2 AND unlinking_at IS NOT NULL")
        .bind(user)
        .bind(link);
        if transaction.execute(statement).await? == 0 {
            return Ok(false);
        }
        transaction.commit().await?;
        Ok(true)
    }
}
