//! Unlinking: delete our keys at the provider, then end the tokens, then forget the link here, whatever became of the rest.

use std::sync::Arc;

use forge::{Purpose, RemoteKey, Usage};
use secrecy::SecretString;
use store::{Grant, KeyId, Link, LinkId, RevocationWhat, SshKey};

use crate::{
    AsUser, Broker, ProviderContext, Refused, Result,
    keys::blob_of,
    refresh::link_entry,
    revoke::{Remains, Undo},
    vault::{ACCESS, REFRESH, Row},
};

/// How to unlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnlinkOptions {
    /// What becomes of the keys that verify old signatures at the provider.
    pub signing_keys: SigningKeys,
}

/// What becomes of signing keys at the provider when a link ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SigningKeys {
    /// They stay, so that old signatures stay verified.
    #[default]
    Keep,
    /// They go too.
    Remove,
}

/// What became of an unlinking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlinked {
    /// Things at the provider that could not be undone yet and are tried again.
    pub left: usize,
}

/// Links that a round of the loop finishes.
const ROUND: i64 = 20;
/// A removal that stands for so long was cut short, seconds.
const CUT_SHORT_S: i64 = 300;

impl AsUser {
    /// Ends a link: our keys at the provider are deleted, minted tokens and tokens revoked, the link
    /// forgotten. What the provider does not do now is tried again later.
    ///
    /// # Errors
    /// `not-found` where the user has no such link.
    pub async fn unlink(&self, id: &LinkId, options: UnlinkOptions) -> Result<Unlinked> {
        let (broker, user, id) = (self.broker.clone(), self.user.id.clone(), id.clone());
        // In its own task: a browser that goes away does not leave it half done.
        let work = tokio::spawn(async move {
            let link = broker.store().link(&user, &id).await?;
            let link = link.ok_or_else(|| Refused::not_found("link"))?;
            broker.remove_link(&link, options).await
        });
        work.await.map_err(Refused::internal)?
    }
}

impl Broker {
    /// Ends a link, for its user or with its provider.
    pub(crate) async fn remove_link(
        &self,
        link: &Link,
        options: UnlinkOptions,
    ) -> Result<Unlinked> {
        let provider = self.provider_context(&link.provider_id).await;
        if let Ok(provider) = &provider {
            // While refreshes are still stored: what follows may need the token for a while.
            drop(self.manage_token(provider, link).await);
        }
        let now = self.now().await?;
        if !self
            .store()
            .begin_unlink(&link.user_id, &link.id, now)
            .await?
        {
            return Err(Refused::not_found("link"));
        }
        let left = match provider {
            Ok(provider) => self.clear_out(&provider, link, options).await?,
            Err(refused) => {
                tracing::warn!(%refused, link.id = %link.id, "nothing could be undone at the provider");
                0
            }
        };
        let now = self.now().await?;
        if !self
            .store()
            .delete_link(&link.user_id, &link.id, now)
            .await?
        {
            return Err(Refused::conflict("the account was linked again meanwhile"));
        }
        let words = match left {
            0 => format!("{} is unlinked", link.login),
            left => format!(
                "{} is unlinked; {left} things at the provider are undone later",
                link.login
            ),
        };
        self.record([link_entry("link.remove", words, link)]).await;
        Ok(Unlinked { left })
    }

    /// Finishes removals that a crash cut short.
    pub(crate) async fn finish_removals(&self) -> Result<usize> {
        let now = self.now().await?;
        let links = self
            .store()
            .unlinking_links(now - CUT_SHORT_S, ROUND)
            .await?;
        for link in &links {
            if let Err(refused) = self.remove_link(link, UnlinkOptions::default()).await {
                tracing::warn!(%refused, link.id = %link.id, "a removal could not be finished");
            }
        }
        Ok(links.len())
    }

    /// Undoes everything at the provider; returns how many things are left for later.
    async fn clear_out(
        &self,
        provider: &Arc<ProviderContext>,
        link: &Link,
        options: UnlinkOptions,
    ) -> Result<usize> {
        let grants = self.store().grants_of(&link.id).await?;
        let manage = self.manage_of(provider, link, &grants);
        let mut left = 0;
        if let Some(manage) = &manage {
            let undos = self
                .keys_to_delete(provider, link, manage, options.signing_keys)
                .await?;
            left += self
                .undo(
                    provider,
                    &Remains::of(link, Purpose::Manage.as_str()),
                    undos,
                )
                .await?;
            if options.signing_keys == SigningKeys::Keep {
                self.keep_for_signatures(provider, link, manage).await;
            }
        }
        // Git's tokens first: the one that manages may still be needed for what was minted.
        for purpose in [Purpose::Git, Purpose::Manage] {
            for grant in grants
                .iter()
                .filter(|grant| grant.purpose == purpose.as_str())
            {
                let undos = self.tokens_of(provider, link, grant, manage.as_ref());
                left += self
                    .undo(provider, &Remains::of(link, &grant.purpose), undos)
                    .await?;
            }
        }
        Ok(left)
    }

    /// The token that manages keys, as it stands: nothing is refreshed once a removal has begun.
    fn manage_of(
        &self,
        provider: &ProviderContext,
        link: &Link,
        grants: &[Grant],
    ) -> Option<SecretString> {
        let of = |purpose: &str| grants.iter().find(|grant| grant.purpose == purpose);
        let grant = of("manage").or_else(|| of("git").filter(|git| git.remote_id.is_none()))?;
        let row = Row::new(grant.id.as_str(), link.user_id.as_str(), provider);
        self.open(row, ACCESS, &grant.access).ok()
    }

    fn tokens_of(
        &self,
        provider: &ProviderContext,
        link: &Link,
        grant: &Grant,
        manage: Option<&SecretString>,
    ) -> Vec<Undo> {
        if let (Some(id), Some(manage)) = (&grant.remote_id, manage) {
            return vec![Undo {
                what: RevocationWhat::Minted,
                token: manage.clone(),
                remote_id: Some(id.clone()),
                usage: None,
            }];
        }
        let row = Row::new(grant.id.as_str(), link.user_id.as_str(), provider);
        let access = self.open(row, ACCESS, &grant.access).ok();
        let refresh = grant
            .refresh
            .as_ref()
            .and_then(|sealed| self.open(row, REFRESH, sealed).ok());
        access.into_iter().chain(refresh).map(Undo::token).collect()
    }

    /// What stands at the provider of a link's keys, live or only kept for old signatures.
    async fn keys_to_delete(
        &self,
        provider: &ProviderContext,
        link: &Link,
        manage: &SecretString,
        signing: SigningKeys,
    ) -> Result<Vec<Undo>> {
        let mut undos = Vec::new();
        for (key, usage, remote_id) in self.placed_keys(provider, link, manage).await? {
            let goes = usage != Usage::Signing || signing == SigningKeys::Remove;
            tracing::debug!(key.id = %key.id, usage = usage.as_str(), goes, "unlinking");
            if goes {
                undos.push(Undo {
                    what: RevocationWhat::Key,
                    token: manage.clone(),
                    remote_id: Some(remote_id),
                    usage: Some(usage),
                });
            }
        }
        Ok(undos)
    }

    /// Our keys at the provider as it lists them, or as we last saw them where it does not answer.
    async fn placed_keys(
        &self,
        provider: &ProviderContext,
        link: &Link,
        manage: &SecretString,
    ) -> Result<Vec<(SshKey, Usage, String)>> {
        let keys = self.keys_ever(link).await?;
        let mut placed = Vec::new();
        for usage in usages_of(provider) {
            let call = provider.kind.list_keys(&provider.site, usage);
            let Some(call) = call else { continue };
            match self.ask(provider, manage, call).await {
                Ok(listed) => placed.extend(ours(&keys, &listed, usage)),
                Err(error) => {
                    tracing::warn!(%error, link.id = %link.id, "keys are deleted as last seen");
                    placed.extend(self.last_seen(&keys, usage).await?);
                }
            }
        }
        Ok(placed)
    }

    /// The keys of a link, also those whose private half is gone and that stay for old signatures.
    async fn keys_ever(&self, link: &Link) -> Result<Vec<SshKey>> {
        let uploads = self.store().uploads_of_user(&link.user_id).await?;
        let mut ids: Vec<KeyId> = uploads.into_iter().map(|upload| upload.key_id).collect();
        ids.dedup();
        let mut keys = Vec::new();
        for id in ids {
            keys.extend(self.store().key(&link.user_id, &id).await?);
        }
        keys.retain(|key| key.link_id.as_ref() == Some(&link.id));
        Ok(keys)
    }

    async fn last_seen(
        &self,
        keys: &[SshKey],
        usage: Usage,
    ) -> Result<Vec<(SshKey, Usage, String)>> {
        let mut seen = Vec::new();
        for key in keys {
            for upload in self.store().uploads_of(&key.id).await? {
                if let (true, Some(id)) = (upload.usage == usage.as_str(), upload.remote_id) {
                    seen.push((key.clone(), usage, id));
                }
            }
        }
        Ok(seen)
    }

    /// Where one entry served for both, a signing one takes its place.
    async fn keep_for_signatures(
        &self,
        provider: &ProviderContext,
        link: &Link,
        manage: &SecretString,
    ) {
        let both = provider.kind.usages().contains(&Usage::AuthAndSigning);
        let Some(usage) = provider.kind.retired_usage().filter(|_| both) else {
            return;
        };
        let keys = self
            .store()
            .live_keys(&link.user_id, &link.provider_id, Some(&link.id))
            .await;
        let Ok(title) = self.key_title(&link.user_id).await else {
            return;
        };
        for key in keys.unwrap_or_default() {
            let line = format!("{} {title}", key.public_key);
            let Some(call) = provider.kind.add_key(&provider.site, &title, &line, usage) else {
                return;
            };
            if let Err(error) = self.ask(provider, manage, call).await {
                tracing::warn!(%error, key.id = %key.id, "a key does not stay for its old signatures");
            }
        }
    }
}

/// Every list in which our keys may stand.
fn usages_of(provider: &ProviderContext) -> Vec<Usage> {
    let mut usages = provider.kind.usages().to_vec();
    usages.extend(
        provider
            .kind
            .retired_usage()
            .filter(|usage| !usages.contains(usage)),
    );
    usages
}

fn ours(keys: &[SshKey], listed: &[RemoteKey], usage: Usage) -> Vec<(SshKey, Usage, String)> {
    let same = |key: &&SshKey, entry: &RemoteKey| {
        blob_of(&key.public_key).trim_end_matches('=') == entry.blob.trim_end_matches('=')
    };
    let mine = listed.iter().filter(|entry| entry.usage == usage);
    mine.filter_map(|entry| {
        let key = keys.iter().find(|key| same(key, entry))?;
        Some((key.clone(), usage, entry.id.clone()))
    })
    .collect()
}
