//! The tokens of links, by purpose, and who may refresh them.
//!
//! One refresher owns a grant: it leases the row at a version, redeems the refresh token, and
//! commits by compare-and-swap on that version. A lease that ran out uncleared says that its
//! owner may have spent the refresh token before it died. Whatever changes the tokens otherwise
//! (a re-link, an unlink) moves the version on or stops swaps, so a late refresher cannot
//! bring old tokens back.

use std::collections::BTreeMap;

use secrets::Sealed;

use crate::column::row;
use crate::db::{Statement, sql};
use crate::error::{Result, StoreError};
use crate::{GrantId, LinkId, Store, WorkspaceId};

row! {
    /// A grant.
    pub struct Grant {
        /// `grt_…`.
        pub id: GrantId,
        /// The link it belongs to.
        pub link_id: LinkId,
        /// `manage` or `git`.
        pub purpose: String,
        /// Access token.
        pub access: Sealed,
        /// Refresh token.
        pub refresh: Option<Sealed>,
        /// OAuth 1.0a token secret.
        pub token_secret: Option<Sealed>,
        /// OAuth 1.0a session handle.
        pub session_handle: Option<Sealed>,
        /// Scopes the provider says it granted.
        pub scopes: Vec<String>,
        /// When the access token ends, where that is known.
        pub expires_at: Option<i64>,
        /// A random name of the access token, not secret.
        pub token_id: String,
        /// The provider's id of a minted token.
        pub remote_id: Option<String>,
        /// When the access token was obtained.
        pub obtained_at: i64,
        /// Grows with every change of the tokens.
        pub version: i64,
        /// Who refreshes it now, or died doing so.
        pub lease_owner: Option<String>,
        /// Until when nobody else may.
        pub lease_until: Option<i64>,
        /// When it was last handed out.
        pub handed_at: Option<i64>,
        /// Before when it is not to be tried again.
        pub retry_at: Option<i64>,
        /// Refreshes failed in a row.
        pub failures: i64,
        /// Since when the provider answers as if the user were at fault, unconfirmed.
        pub suspect_since: Option<i64>,
        /// When a workspace last had a refused token examined.
        pub forced_at: Option<i64>,
    }
}

row! {
    /// That a workspace was handed a token.
    pub struct Handed {
        /// The workspace.
        pub workspace_id: WorkspaceId,
        /// The grant.
        pub grant_id: GrantId,
        /// Which of its tokens.
        pub token_id: String,
        /// When last.
        pub at: i64,
    }
}

/// The right to change a grant's tokens, as [`Store::lease_grant`] gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The grant.
    pub grant_id: GrantId,
    /// Who holds it: a random text of one refresh.
    pub owner: String,
    /// The version that its holder read.
    pub version: i64,
}

/// What a refresh gave.
#[derive(Debug, Clone)]
pub struct NewTokens {
    /// Access token.
    pub access: Sealed,
    /// Refresh token; none keeps the old one.
    pub refresh: Option<Sealed>,
    /// OAuth 1.0a token secret; none keeps the old one.
    pub token_secret: Option<Sealed>,
    /// OAuth 1.0a session handle; none keeps the old one.
    pub session_handle: Option<Sealed>,
    /// Scopes; none keeps the old ones.
    pub scopes: Option<Vec<String>>,
    /// When the access token ends; none: not known.
    pub expires_at: Option<i64>,
    /// A random name of the access token.
    pub token_id: String,
    /// The provider's id of a minted token; none: it has none.
    pub remote_id: Option<String>,
}

/// How a refresh failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Before when it is not to be tried again.
    pub retry_at: i64,
    /// Since when the provider answers as if the user were at fault; none: it did not.
    pub suspect_since: Option<i64>,
}

impl Store {
    /// Writes the tokens of a consent, in place of the grant that the link had for the purpose.
    /// Returns the grant it replaced, whose tokens are to be revoked; leases on that one end. A
    /// link that is being removed takes no grant ([`StoreError::Dangling`]).
    pub async fn put_grant(&self, grant: &Grant) -> Result<Option<Grant>> {
        let mut transaction = self.db.begin().await?;
        // Keeps a removal from beginning meanwhile.
        let lock = sql("UPDATE links SET login = login WHERE id = $1 AND unlinking_at IS NULL");
        if transaction.execute(lock.bind(&grant.link_id)).await? == 0 {
            return Err(StoreError::Dangling);
        }
        let old = sql("DELETE FROM grants WHERE link_id = $1 AND purpose = $2 RETURNING *")
            .bind(&grant.link_id)
            .bind(&grant.purpose);
        let old = transaction.optional(old).await?;
        transaction.execute(insert_grant(grant)).await?;
        transaction.commit().await?;
        Ok(old)
    }

    /// The grant of a link for a purpose.
    pub async fn grant(&self, link: &LinkId, purpose: &str) -> Result<Option<Grant>> {
        let statement = sql("SELECT * FROM grants WHERE link_id = $1 AND purpose = $2")
            .bind(link)
            .bind(purpose);
        self.db.optional(statement).await
    }

    /// A grant by id.
    pub async fn grant_by_id(&self, grant: &GrantId) -> Result<Option<Grant>> {
        self.db
            .optional(sql("SELECT * FROM grants WHERE id = $1").bind(grant))
            .await
    }

    /// The grants of a link.
    pub async fn grants_of(&self, link: &LinkId) -> Result<Vec<Grant>> {
        let statement = sql("SELECT * FROM grants WHERE link_id = $1 ORDER BY purpose").bind(link);
        self.db.all(statement).await
    }

    /// Leases a grant at the version its caller read, until `until`: of many callers one
    /// succeeds. A lease that ran out can be taken over; a link being removed gives none.
    pub async fn lease_grant(&self, lease: &Lease, until: i64, now: i64) -> Result<bool> {
        let statement = sql("UPDATE grants SET lease_owner = $2, lease_until = $4
             WHERE id = $1 AND version = $3
               AND (lease_owner IS NULL OR lease_until <= $5)
               AND EXISTS (SELECT 1 FROM links
                           WHERE links.id = grants.link_id AND links.unlinking_at IS NULL)")
        .bind(&lease.grant_id)
        .bind(&lease.owner)
        .bind(&lease.version)
        .bind(&until)
        .bind(&now);
        self.db.changed(statement).await
    }

    /// Writes what a refresh gave and clears its lease, unless the lease was taken over, the
    /// tokens changed or the link is being removed: then the new tokens are to be revoked.
    pub async fn swap_grant(&self, lease: &Lease, tokens: &NewTokens, now: i64) -> Result<bool> {
        let statement = sql("UPDATE grants
             SET access = $4, refresh = COALESCE($5, refresh),
                 token_secret = COALESCE($6, token_secret),
                 session_handle = COALESCE($7, session_handle),
                 scopes = COALESCE($8, scopes), expires_at = $9, token_id = $10, remote_id = $11,
                 obtained_at = $12, version = version + 1, lease_owner = NULL, lease_until = NULL,
                 handed_at = NULL, retry_at = NULL, failures = 0, suspect_since = NULL
             WHERE id = $1 AND version = $2 AND lease_owner = $3
               AND EXISTS (SELECT 1 FROM links
                           WHERE links.id = grants.link_id AND links.unlinking_at IS NULL)")
        .bind(&lease.grant_id)
        .bind(&lease.version)
        .bind(&lease.owner)
        .bind(&tokens.access)
        .bind(&tokens.refresh)
        .bind(&tokens.token_secret)
        .bind(&tokens.session_handle)
        .bind(&tokens.scopes)
        .bind(&tokens.expires_at)
        .bind(&tokens.token_id)
        .bind(&tokens.remote_id)
        .bind(&now);
        self.db.changed(statement).await
    }

    /// Gives a lease back without a change, by whoever spent nothing.
    pub async fn release_grant(&self, lease: &Lease) -> Result<bool> {
        let statement = sql("UPDATE grants SET lease_owner = NULL, lease_until = NULL
             WHERE id = $1 AND version = $2 AND lease_owner = $3")
        .bind(&lease.grant_id)
        .bind(&lease.version)
        .bind(&lease.owner);
        self.db.changed(statement).await
    }

    /// Notes a failed refresh and clears its lease.
    pub async fn note_failure(&self, lease: &Lease, failure: &Failure) -> Result<bool> {
        let statement = sql("UPDATE grants
             SET failures = failures + 1, retry_at = $4, suspect_since = $5,
                 lease_owner = NULL, lease_until = NULL
             WHERE id = $1 AND version = $2 AND lease_owner = $3")
        .bind(&lease.grant_id)
        .bind(&lease.version)
        .bind(&lease.owner)
        .bind(&failure.retry_at)
        .bind(&failure.suspect_since);
        self.db.changed(statement).await
    }

    /// Notes that a refresh showed the link dead, and clears its lease, unless the tokens were
    /// replaced meanwhile.
    pub async fn note_dead_grant(&self, lease: &Lease, reason: &str, now: i64) -> Result<bool> {
        let mut transaction = self.db.begin().await?;
        // The link before the grant, as everywhere: two transactions never wait for each other.
        let statement = sql(
            "UPDATE links SET dead_at = COALESCE(dead_at, $3), dead_reason = $2
             WHERE id = (SELECT link_id FROM grants WHERE id = $1)",
        )
        .bind(&lease.grant_id)
        .bind(reason)
        .bind(&now);
        transaction.execute(statement).await?;
        let release = sql(
            "UPDATE grants SET failures = failures + 1, lease_owner = NULL, lease_until = NULL
             WHERE id = $1 AND version = $2 AND lease_owner = $3",
        )
        .bind(&lease.grant_id)
        .bind(&lease.version)
        .bind(&lease.owner);
        if transaction.execute(release).await? == 0 {
            return Ok(false);
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Claims the one examination that a link may have between `since` and `now`, asked for by
    /// a workspace whose token was refused. False where another caller had it.
    pub async fn force_grant(&self, grant: &GrantId, since: i64, now: i64) -> Result<bool> {
        let statement = sql("UPDATE grants SET forced_at = $3
             WHERE id = $1 AND (forced_at IS NULL OR forced_at <= $2)")
        .bind(grant)
        .bind(&since)
        .bind(&now);
        self.db.changed(statement).await
    }

    /// Notes tokens that were handed to workspaces, with the uses of the workspace, the grant
    /// and its link, in one transaction however many there are.
    pub async fn note_handed(&self, handed: &[Handed]) -> Result<()> {
        let mut transaction = self.db.begin().await?;
        for statement in note_in_order(handed) {
            transaction.execute(statement).await?;
        }
        transaction.commit().await
    }

    /// Tokens that a workspace was handed, the last first.
    pub async fn tokens_handed_to(&self, workspace: &WorkspaceId) -> Result<Vec<Handed>> {
        let statement = sql("SELECT * FROM handed
             WHERE workspace_id = $1
             ORDER BY at DESC, grant_id, token_id")
        .bind(workspace);
        self.db.all(statement).await
    }

    /// Deletes a grant at the version its caller read.
    pub async fn delete_grant(&self, grant: &GrantId, version: i64) -> Result<bool> {
        let statement = sql("DELETE FROM grants WHERE id = $1 AND version = $2")
            .bind(grant)
            .bind(&version);
        self.db.changed(statement).await
    }
}

fn insert_grant(grant: &Grant) -> Statement {
    sql("INSERT INTO grants
           (id, link_id, purpose, access, refresh, token_secret, session_handle, scopes,
            expires_at, token_id, remote_id, obtained_at, version, failures)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, 0)")
    .bind(&grant.id)
    .bind(&grant.link_id)
    .bind(&grant.purpose)
    .bind(&grant.access)
    .bind(&grant.refresh)
    .bind(&grant.token_secret)
    .bind(&grant.session_handle)
    .bind(&grant.scopes)
    .bind(&grant.expires_at)
    .bind(&grant.token_id)
    .bind(&grant.remote_id)
    .bind(&grant.obtained_at)
}

/// Table by table, and in each in the order of ids, so that two batches never wait for each
/// other. What went away meanwhile leaves nothing to note.
fn note_in_order(handed: &[Handed]) -> Vec<Statement> {
    let by_workspace: BTreeMap<_, _> = handed
        .iter()
        .map(|hand| (&hand.workspace_id, hand))
        .collect();
    let by_grant: BTreeMap<_, _> = handed.iter().map(|hand| (&hand.grant_id, hand)).collect();
    let by_pair: BTreeMap<_, _> = handed
        .iter()
        .map(|hand| ((&hand.workspace_id, &hand.grant_id, &hand.token_id), hand))
        .collect();
    let workspaces = by_workspace.values().map(|hand| {
        sql("UPDATE workspaces SET last_seen_at = $2, last_used_at = $2 WHERE id = $1")
            .bind(&hand.workspace_id)
            .bind(&hand.at)
    });
    let links = by_grant.values().map(|hand| {
        sql("UPDATE links SET last_used_at = $2
             WHERE id = (SELECT link_id FROM grants WHERE id = $1)")
        .bind(&hand.grant_id)
        .bind(&hand.at)
    });
    let grants = by_grant.values().map(|hand| {
        sql("UPDATE grants SET handed_at = $3 WHERE id = $1 AND token_id = $2")
            .bind(&hand.grant_id)
            .bind(&hand.token_id)
            .bind(&hand.at)
    });
    let pairs = by_pair.values().map(|hand| {
        sql("INSERT INTO handed (workspace_id, grant_id, token_id, at)
             SELECT w.id, g.id, $3, $4 FROM workspaces w, grants g
             WHERE w.id = $1 AND g.id = $2
             ON CONFLICT (workspace_id, grant_id, token_id) DO UPDATE SET at = excluded.at")
        .bind(&hand.workspace_id)
        .bind(&hand.grant_id)
        .bind(&hand.token_id)
        .bind(&hand.at)
    });
    workspaces.chain(links).chain(grants).chain(pairs).collect()
}
