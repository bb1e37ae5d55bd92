//! One renewal of a grant: redeem or mint, store the outcome, or say whose fault it is that there is none.

use std::{sync::Arc, time::Duration};

use forge::Tokens;
use secrecy::SecretString;
use store::{Grant, Lease, Link, NewTokens, StoreError};

use crate::{
    Broker, ProviderContext, Refused, Result,
    ask::{explain, retry_after},
    audit::Entry,
    faults::{Failure, Sequel},
    http::SendError,
    revoke::Remains,
    tokens::{dead, new_token_id},
    vault::{ACCESS, REFRESH, Row, SESSION_HANDLE, TOKEN_SECRET},
};

/// What a provider gave for a grant.
#[derive(Clone)]
pub(crate) struct Gained {
    /// The tokens; without a refresh token the old one stays.
    pub(crate) tokens: Tokens,
    /// The provider's id of a minted token.
    pub(crate) remote_id: Option<String>,
}

/// Why there are no new tokens.
#[derive(Debug)]
pub(crate) enum Unrenewed {
    /// The provider did not give them.
    Asked(SendError),
    /// It was not even asked.
    Unasked(Refused),
}

/// What became of storing new tokens.
enum Swap {
    Stored,
    /// The link is being removed or was made anew: the tokens belong to nobody.
    Orphaned,
}

/// A database that is away is waited for, as long as nobody else may take the lease.
const COMMIT_TRIES: u32 = 40;
const COMMIT_PAUSE: Duration = Duration::from_secs(1);

impl Unrenewed {
    /// The same for whoever waits for the tokens of this provider.
    pub(crate) fn explain(self, provider: &str) -> Refused {
        match self {
            Self::Asked(error) => explain(provider, &error),
            Self::Unasked(refused) => refused,
        }
    }
}

impl From<Refused> for Unrenewed {
    fn from(refused: Refused) -> Self {
        Self::Unasked(refused)
    }
}

impl From<SendError> for Unrenewed {
    fn from(error: SendError) -> Self {
        Self::Asked(error)
    }
}

impl Broker {
    /// Asks the provider for new tokens of a grant that the caller has leased.
    pub(crate) async fn renewed(
        &self,
        provider: &Arc<ProviderContext>,
        link: &Link,
        grant: &Grant,
    ) -> Result<Gained, Unrenewed> {
        if grant.remote_id.is_some() {
            return self
                .minted(provider, link, grant.remote_id.as_deref())
                .await;
        }
        let oauth = provider.kind.oauth2(&provider.site);
        let (Some(oauth), Some(sealed)) = (oauth, &grant.refresh) else {
            return Err(dead(&provider.row.name, None).into());
        };
        let row = Row::new(grant.id.as_str(), link.user_id.as_str(), provider);
        let refresh = self.open(row, REFRESH, sealed)?;
        let call = oauth.refresh(&provider.client, &refresh);
        let tokens = self.ask_as_client(provider, call).await?;
        Ok(Gained {
            tokens,
            remote_id: None,
        })
    }

    /// Stores what a renewal gave; `None` where the tokens belong to nobody any more and were given up.
    pub(crate) async fn commit(
        &self,
        provider: &Arc<ProviderContext>,
        link: &Link,
        (grant, lease): (&Grant, Lease),
        gained: &Gained,
    ) -> Result<Option<Grant>> {
        let now = self.now().await?;
        let new = self.seal_tokens(provider, link.user_id.as_str(), grant, gained, now);
        match self.swap(lease, &new, now).await? {
            Swap::Stored => {
                let words = format!("a new {} token of {}", grant.purpose, link.login);
                self.record([link_entry("grant.refresh", words, link)])
                    .await;
                Ok(Some(renewed_grant(grant, new, now)))
            }
            Swap::Orphaned => {
                let remains = Remains::of(link, &grant.purpose);
                self.give_up_tokens(provider, &remains, &gained.tokens)
                    .await;
                Ok(None)
            }
        }
    }

    /// Seals new tokens for the row of `grant`.
    pub(crate) fn seal_tokens(
        &self,
        provider: &ProviderContext,
        user: &str,
        grant: &Grant,
        gained: &Gained,
        now: i64,
    ) -> NewTokens {
        let row = Row::new(grant.id.as_str(), user, provider);
        let tokens = &gained.tokens;
        let sealed = |column, plain: &Option<SecretString>| {
            plain.as_ref().map(|plain| self.seal(row, column, plain))
        };
        NewTokens {
            access: self.seal(row, ACCESS, &tokens.access),
            refresh: sealed(REFRESH, &tokens.refresh),
            token_secret: sealed(TOKEN_SECRET, &tokens.token_secret),
            session_handle: sealed(SESSION_HANDLE, &tokens.session_handle),
            scopes: tokens.scopes.clone(),
            expires_at: tokens.expires_in_s.map(|life| now.saturating_add(life)),
            token_id: new_token_id(),
            remote_id: gained.remote_id.clone(),
        }
    }

    /// Writes new tokens by compare-and-swap, waiting for a database that is away: the old ones are spent.
    async fn swap(&self, mut lease: Lease, new: &NewTokens, now: i64) -> Result<Swap> {
        for _ in 0..COMMIT_TRIES {
            match self.store().swap_grant(&lease, new, now).await {
                Ok(true) => return Ok(Swap::Stored),
                Ok(false) => match self.store().grant_by_id(&lease.grant_id).await? {
                    // An answer that got lost after it was done.
                    Some(grant) if grant.token_id == new.token_id => return Ok(Swap::Stored),
                    // This process slept past its lease, but nobody has changed the tokens since.
                    Some(grant) if grant.version == lease.version => {
                        lease.owner = secrets::random_id("ref");
                        let now = self.now().await?;
                        let until = now + crate::tokens::LEASE_S;
                        if !self.store().lease_grant(&lease, until, now).await? {
                            tokio::time::sleep(COMMIT_PAUSE).await;
                        }
                    }
                    _ => return Ok(Swap::Orphaned),
                },
                Err(StoreError::Unavailable(error)) => {
                    tracing::warn!(%error, grant.id = %lease.grant_id, "new tokens wait for the database");
                    tokio::time::sleep(COMMIT_PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        tracing::error!(grant.id = %lease.grant_id, "new tokens were lost: the database stayed away");
        Err(Refused::internal("the database did not take new tokens"))
    }

    /// Deals with a renewal that brought nothing, and says why it did not.
    pub(crate) async fn not_renewed(
        &self,
        provider: &ProviderContext,
        link: &Link,
        (grant, lease): (&Grant, Lease),
        why: Unrenewed,
    ) -> Result<Refused> {
        let error = match why {
            Unrenewed::Asked(error) => error,
            Unrenewed::Unasked(refused) => {
                self.store().release_grant(&lease).await?;
                return Ok(refused);
            }
        };
        let now = self.now().await?;
        let failure = Failure {
            fault: error.fault(),
            now,
            failures: grant.failures,
            suspect_since: grant.suspect_since,
            retry_after_s: retry_after(&error),
        };
        let (retry_at, suspect_since) = match failure.sequel() {
            Sequel::Dead => return self.end(provider, link, &lease, &error).await,
            Sequel::Alarm { retry_at } => (retry_at, grant.suspect_since),
            Sequel::Later {
                retry_at,
                suspect_since,
            } => (retry_at, suspect_since),
        };
        let noted = store::Failure {
            retry_at,
            suspect_since,
        };
        self.store().note_failure(&lease, &noted).await?;
        let words = format!("no new {} token of {}: {error}", grant.purpose, link.login);
        self.record([link_entry("grant.refresh-failed", words, link)])
            .await;
        Ok(explain(&provider.row.name, &error).retry_after(Some(retry_at - now)))
    }

    /// Marks a link dead, unless its tokens were replaced since the refresh began.
    async fn end(
        &self,
        provider: &ProviderContext,
        link: &Link,
        lease: &Lease,
        error: &SendError,
    ) -> Result<Refused> {
        let reason = error.to_string();
        let now = self.now().await?;
        if !self.store().note_dead_grant(lease, &reason, now).await? {
            return Ok(Refused::new(
                crate::RefusedKind::Transient,
                format!("the link to {} changed meanwhile", provider.row.name),
            )
            .hint("try again"));
        }
        self.record([link_entry(
            "link.dead",
            format!("{}: {reason}", link.login),
            link,
        )])
        .await;
        Ok(dead(&provider.row.name, Some(&reason)))
    }

    /// Marks a link dead whose token the provider has refused for good and that has no other.
    pub(crate) async fn bury(&self, provider: &str, link: &Link, reason: &str) -> Refused {
        match self.now().await {
            Ok(now) => match self.store().mark_link_dead(&link.id, reason, now).await {
                Ok(true) => {
                    let words = format!("{}: {reason}", link.login);
                    self.record([link_entry("link.dead", words, link)]).await;
                }
                Ok(false) => {}
                Err(error) => return error.into(),
            },
            Err(refused) => return refused,
        }
        dead(provider, Some(reason))
    }
}

/// A line of the audit log about a link.
pub(crate) fn link_entry(action: &'static str, words: impl Into<String>, link: &Link) -> Entry {
    Entry::new(action, words)
        .by(&link.user_id)
        .at(&link.provider_id)
}

/// The row as [`store::Store::swap_grant`] leaves it.
fn renewed_grant(old: &Grant, new: NewTokens, now: i64) -> Grant {
    Grant {
        access: new.access,
        refresh: new.refresh.or_else(|| old.refresh.clone()),
        token_secret: new.token_secret.or_else(|| old.token_secret.clone()),
        session_handle: new.session_handle.or_else(|| old.session_handle.clone()),
        scopes: new.scopes.unwrap_or_else(|| old.scopes.clone()),
        expires_at: new.expires_at,
        token_id: new.token_id,
        remote_id: new.remote_id,
        obtained_at: now,
        version: old.version + 1,
        lease_owner: None,
        lease_until: None,
        handed_at: None,
        retry_at: None,
        failures: 0,
        suspect_since: None,
        ..old.clone()
    }
}
