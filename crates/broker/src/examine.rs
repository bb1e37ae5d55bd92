//! Whether the provider still takes a token, asked only when somebody saw it refused.

use std::{sync::Arc, time::Duration};

use forge::Refusal;
use store::Link;

use crate::{
    Broker, ProviderContext, Refused, RefusedKind, Result,
    ask::explain,
    http::SendError,
    tokens::{FreshToken, Need},
};

/// A workspace gets at most one forced refresh of a link in this time, seconds.
const FORCED_S: i64 = 60;
/// A token made this moment may still be unknown to some of the provider's servers.
const SETTLES: Duration = Duration::from_secs(1);

impl Broker {
    /// A token that the provider takes: `token` itself, or a new one if the provider definitely refuses it.
    ///
    /// # Errors
    /// `link-dead` where it is refused and there is no other, `transient` where the provider does not say or
    /// the link had its forced refresh of this minute.
    pub(crate) async fn examined(
        &self,
        provider: &Arc<ProviderContext>,
        link: &Link,
        token: FreshToken,
        min_ttl_s: i64,
    ) -> Result<FreshToken> {
        if self.is_taken(provider, link, &token).await? {
            return Ok(token);
        }
        let now = self.now().await?;
        let fresh = now - token.grant.obtained_at < FORCED_S;
        // Where the next step is the end of the link, one answer is not enough either.
        if fresh || token.grant.refresh.is_none() {
            tokio::time::sleep(SETTLES).await;
            if self.is_taken(provider, link, &token).await? {
                return Ok(token);
            }
        }
        if !self
            .store()
            .force_grant(&token.grant.id, now - FORCED_S, now)
            .await?
        {
            return self.other_than(provider, &token).await;
        }
        let need = Need::other_than(&token.grant.token_id, min_ttl_s);
        self.fresh(provider, &token.grant, &need).await
    }

    /// Whether the provider takes a token; only a definite answer counts.
    async fn is_taken(
        &self,
        provider: &Arc<ProviderContext>,
        link: &Link,
        token: &FreshToken,
    ) -> Result<bool> {
        if let Some(id) = &token.grant.remote_id {
            return self
                .is_minted(provider, link, id)
                .await
                .map_err(|why| why.explain(&provider.row.name));
        }
        let Some(call) = provider.kind.whoami(&provider.site) else {
            return Ok(true);
        };
        match self.ask(provider, &token.token, call).await {
            Ok(account) => Ok(account.id == link.account_id),
            Err(SendError::Refused(Refusal::TokenRejected)) => Ok(false),
            Err(error) => Err(explain(&provider.row.name, &error)),
        }
    }

    /// Somebody else had the forced refresh of this minute: its outcome counts.
    async fn other_than(
        &self,
        provider: &Arc<ProviderContext>,
        token: &FreshToken,
    ) -> Result<FreshToken> {
        let grant = self
            .store()
            .grant(&token.grant.link_id, &token.grant.purpose)
            .await?;
        match grant {
            Some(grant) if grant.token_id != token.grant.token_id => {
                self.fresh(provider, &grant, &Need::ttl(0)).await
            }
            _ => Err(Refused::new(
                RefusedKind::Transient,
                format!(
                    "{} refuses a token that was replaced a moment ago",
                    provider.row.name
                ),
            )
            .hint("try again in a minute")
            .retry_after(Some(FORCED_S))),
        }
    }
}
