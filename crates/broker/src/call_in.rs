//! Calling in tokens: what a revoked workspace or a suspended user was handed must end, without unlinking anybody.

use std::{sync::Arc, time::Duration};

use forge::{Call, Refusal, Tokens};
use secrecy::SecretString;
use store::{Grant, Link, RevocationWhat, WorkspaceId};

use crate::{
    Broker, ProviderContext, Refused, Result,
    ask::explain,
    http::SendError,
    refresh::{Gained, link_entry},
    revoke::{Remains, Undo},
    tokens::{FreshToken, LEASE_S, Need, lease},
};

/// A provider that is away is asked again after these times.
const AGAIN: [Duration; 4] = [
    Duration::from_secs(2),
    Duration::from_secs(20),
    Duration::from_secs(120),
    Duration::from_secs(600),
];

impl Broker {
    /// Ends every token that a workspace holds, in the background: the revocation itself has happened.
    pub(crate) fn call_in(&self, workspace: &WorkspaceId) {
        let (broker, workspace) = (self.clone(), workspace.clone());
        tokio::spawn(async move {
            if let Err(refused) = broker.call_in_all(&workspace).await {
                tracing::error!(%refused, workspace.id = %workspace, "its tokens could not be called in");
            }
        });
    }

    async fn call_in_all(&self, workspace: &WorkspaceId) -> Result<()> {
        for handed in self.store().tokens_handed_to(workspace).await? {
            let Some(grant) = self.store().grant_by_id(&handed.grant_id).await? else {
                continue;
            };
            if grant.token_id == handed.token_id {
                self.call_in_one(&grant).await?;
            } else if grant.remote_id.is_some() {
                // Unlike a refresh, minting leaves the older token alive for a while.
                self.end_stale(&grant).await?;
            }
        }
        Ok(())
    }

    /// Deletes minted tokens that are no longer the current one.
    async fn end_stale(&self, grant: &Grant) -> Result<()> {
        let Some(link) = self.store().any_link(&grant.link_id).await? else {
            return Ok(());
        };
        let provider = self.provider_context(&link.provider_id).await?;
        let kept = grant.remote_id.as_deref();
        let purged = self.purge_minted(&provider, &link, kept).await;
        purged.map_err(|why| why.explain(&provider.row.name))?;
        Ok(())
    }

    async fn call_in_one(&self, grant: &Grant) -> Result<()> {
        let Some(link) = self.store().any_link(&grant.link_id).await? else {
            return Ok(());
        };
        let mut outcome = self.rotate(&link, grant).await;
        for pause in AGAIN {
            if outcome.is_ok() {
                break;
            }
            tokio::time::sleep(pause).await;
            outcome = self.rotate(&link, grant).await;
        }
        let words = match &outcome {
            Ok(()) => format!(
                "the {} token of {} was called in",
                grant.purpose, link.login
            ),
            Err(refused) => format!(
                "the {} token of {} lives on{}: {refused}",
                grant.purpose,
                link.login,
                grant
                    .expires_at
                    .map(|end| format!(" until {end}"))
                    .unwrap_or_default(),
            ),
        };
        self.record([link_entry("grant.call-in", words, &link)])
            .await;
        Ok(())
    }

    /// Replaces a token and ends the old one; a token that cannot be replaced just ends.
    async fn rotate(&self, link: &Link, grant: &Grant) -> Result<()> {
        let provider = self.provider_context(&link.provider_id).await?;
        let old = self.opened(&provider, link.user_id.as_str(), grant.clone())?;
        if grant.refresh.is_none() && grant.remote_id.is_none() {
            return match provider
                .kind
                .reset(&provider.site, &provider.client, &old.token)
            {
                Some(call) => self.reset(&provider, link, old, call).await,
                None => self.end_for_good(&provider, link, old).await,
            };
        }
        let need = Need::other_than(&grant.token_id, 0);
        self.fresh(&provider, grant, &need).await?;
        if let Some(id) = &grant.remote_id {
            let manage = self.manage_token(&provider, link).await?.token;
            let undo = Undo {
                what: RevocationWhat::Minted,
                token: manage,
                remote_id: Some(id.clone()),
                usage: None,
            };
            self.undo(&provider, &Remains::of(link, &grant.purpose), vec![undo])
                .await?;
            return Ok(());
        }
        let kills = provider
            .kind
            .oauth2(&provider.site)
            .is_some_and(|oauth| oauth.refresh_kills_access);
        if kills {
            Ok(())
        } else {
            self.end_token(&provider, link, grant, old.token).await
        }
    }

    /// Has the provider put a new token in place of the old one, where it can.
    async fn reset(
        &self,
        provider: &Arc<ProviderContext>,
        link: &Link,
        old: FreshToken,
        call: Call<Tokens>,
    ) -> Result<()> {
        let now = self.now().await?;
        let lease = lease(&old.grant);
        if !self.store().lease_grant(&lease, now + LEASE_S, now).await? {
            return Err(Refused::conflict("somebody else is replacing the token"));
        }
        let taken = (&old.grant, lease.clone());
        match self.ask_as_client(provider, call).await {
            Ok(tokens) => {
                let gained = Gained {
                    tokens,
                    remote_id: None,
                };
                drop(self.commit(provider, link, taken, &gained).await?);
                Ok(())
            }
            // It has ended already, so nothing is left to be called in.
            Err(SendError::Refused(Refusal::NotFound)) => {
                self.store().release_grant(&lease).await?;
                Ok(())
            }
            Err(error) => {
                self.store().release_grant(&lease).await?;
                Err(explain(&provider.row.name, &error))
            }
        }
    }

    /// A token without a successor: Git over HTTPS needs a new consent, SSH goes on.
    async fn end_for_good(
        &self,
        provider: &Arc<ProviderContext>,
        link: &Link,
        old: FreshToken,
    ) -> Result<()> {
        if !self
            .store()
            .delete_grant(&old.grant.id, old.grant.version)
            .await?
        {
            return Ok(());
        }
        self.end_token(provider, link, &old.grant, old.token).await
    }

    async fn end_token(
        &self,
        provider: &ProviderContext,
        link: &Link,
        grant: &Grant,
        token: SecretString,
    ) -> Result<()> {
        let remains = Remains::of(link, &grant.purpose);
        self.undo(provider, &remains, vec![Undo::token(token)])
            .await?;
        Ok(())
    }
}
