//! Tokens for Git alone, made through the API of providers whose own tokens cannot do Git over HTTPS.

use std::sync::Arc;

use forge::{Account, Minted, Refusal, Tokens};
use secrecy::SecretString;
use store::Link;

use crate::{
    Broker, ProviderContext, Refused, Result,
    http::SendError,
    refresh::{Gained, Unrenewed},
};

/// Lives to ask for, days, the longest first: an administrator may have capped them.
const DAYS: [u32; 3] = [90, 30, 8];

impl Broker {
    /// Mints a token for Git. Older ones of ours are deleted, but for `keep`, which is still in use.
    pub(crate) async fn minted(
        &self,
        provider: &Arc<ProviderContext>,
        link: &Link,
        keep: Option<&str>,
    ) -> Result<Gained, Unrenewed> {
        let (manage, name) = self.purge_minted(provider, link, keep).await?;
        let minted = self.mint(provider, link, &manage, &name).await?;
        let now = self.now().await?;
        Ok(Gained {
            tokens: Tokens {
                access: minted.token,
                refresh: None,
                expires_in_s: minted.expires_at.map(|end| end - now),
                scopes: None,
                token_secret: None,
                session_handle: None,
            },
            remote_id: Some(minted.id),
        })
    }

    /// Deletes minted tokens of ours but for `keep`. Returns the token that could, and their common name.
    pub(crate) async fn purge_minted(
        &self,
        provider: &Arc<ProviderContext>,
        link: &Link,
        keep: Option<&str>,
    ) -> Result<(SecretString, String), Unrenewed> {
        let manage = self.manage_token(provider, link).await?.token;
        let name = self.minted_name(link).await?;
        let stale = |token: &forge::MintedId| token.name == name && Some(token.id.as_str()) != keep;
        self.delete_minted(provider, link, &manage, stale).await?;
        Ok((manage, name))
    }

    /// Deletes those minted tokens of an account that `which` says.
    async fn delete_minted(
        &self,
        provider: &ProviderContext,
        link: &Link,
        manage: &SecretString,
        which: impl Fn(&forge::MintedId) -> bool,
    ) -> Result<(), SendError> {
        let account = account_of(link);
        let Some(list) = provider.kind.list_minted(&provider.site, &account) else {
            return Ok(());
        };
        for token in self.ask(provider, manage, list).await? {
            let delete = provider
                .kind
                .delete_minted(&provider.site, &account, &token.id);
            if let Some(call) = delete.filter(|_| which(&token)) {
                self.ask(provider, manage, call).await?;
            }
        }
        Ok(())
    }

    async fn mint(
        &self,
        provider: &ProviderContext,
        link: &Link,
        manage: &SecretString,
        name: &str,
    ) -> Result<Minted, Unrenewed> {
        let account = account_of(link);
        let mut capped = None;
        for days in DAYS {
            let call = provider.kind.mint(&provider.site, &account, name, days);
            let call = call.ok_or_else(|| Refused::internal("this kind mints no tokens"))?;
            match self.ask(provider, manage, call).await {
                Err(SendError::Refused(refusal @ Refusal::Blocked(_))) => capped = Some(refusal),
                answer => return Ok(answer?),
            }
        }
        let refusal = capped.unwrap_or(Refusal::NotFound);
        Err(SendError::Refused(refusal).into())
    }

    /// Whether a minted token is still in the account's list.
    pub(crate) async fn is_minted(
        &self,
        provider: &Arc<ProviderContext>,
        link: &Link,
        id: &str,
    ) -> Result<bool, Unrenewed> {
        let manage = self.manage_token(provider, link).await?.token;
        let Some(list) = provider.kind.list_minted(&provider.site, &account_of(link)) else {
            return Ok(true);
        };
        Ok(self
            .ask(provider, &manage, list)
            .await?
            .iter()
            .any(|token| token.id == id))
    }

    /// The same for every token of one user of this deployment, so that stale ones are found again.
    async fn minted_name(&self, link: &Link) -> Result<String> {
        let user = self.store().user(&link.user_id).await?;
        let user = user.ok_or_else(|| Refused::not_found("user"))?;
        Ok(format!(
            "forgepass-{}-{}",
            self.deployment_host(),
            user.name
        ))
    }
}

/// What is known of a link's account, for calls that name it.
pub(crate) fn account_of(link: &Link) -> Account {
    Account {
        id: link.account_id.clone(),
        login: link.login.clone(),
        name: link.name.clone(),
        emails: Vec::new(),
        noreply: link.noreply.clone(),
        granted: None,
    }
}
