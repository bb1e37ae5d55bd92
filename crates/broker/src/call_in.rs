//! Calling in tokens: what a revoked workspace or a suspended user was handed must end, without unlinking anybody.

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;
use store::{Grant, Link, RevocationWhat, WorkspaceId};

use crate::{
    Broker, ProviderContext, Result,
    refresh::link_entry,
    revoke::{Remains, Undo},
    tokens::{FreshToken, Need},
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
            // An older token of the grant has ended with the refresh that replaced it.
            if grant.token_id != handed.token_id {
                continue;
            }
            self.call_in_one(&grant).await?;
        }
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
            return self.end_for_good(&provider, link, old).await;
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
