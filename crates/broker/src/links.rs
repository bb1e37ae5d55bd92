//! What users see of their links and of the providers they may link.

use std::collections::{HashMap, HashSet};

use forge::{AuthStyle, Narrowing, Purpose};
use store::{Grant, Link, Provider, User};

use crate::{
    AsUser, Broker, Result,
    context::site_of,
    keys::kind_of,
    rules::rule_address,
    views::{GrantView, KeyView, LinkState, LinkView, OfferedProvider},
};

impl AsUser {
    /// The user's links, oldest first.
    pub async fn links(&self) -> Result<Vec<LinkView>> {
        self.broker.link_views(&self.user).await
    }

    /// Every provider that the user may link or has linked, by name.
    pub async fn offered(&self) -> Result<Vec<OfferedProvider>> {
        let mut links = self.links().await?;
        let defaults: HashSet<String> = self.default_links().await?;
        links.sort_by_key(|link| !defaults.contains(&link.id));
        let mut offered = Vec::new();
        for provider in self.broker.store().providers().await? {
            let here = |link: &mut LinkView| link.provider_id == provider.id.as_str();
            let own: Vec<LinkView> = links.extract_if(.., here).collect();
            if provider.disabled_at.is_none() || !own.is_empty() {
                offered.push(offer(provider, own)?);
            }
        }
        Ok(offered)
    }
}

impl Broker {
    /// The links of a user, oldest first.
    pub(crate) async fn link_views(&self, user: &User) -> Result<Vec<LinkView>> {
        let providers = self.store().providers().await?;
        let providers: HashMap<_, _> = providers
            .iter()
            .map(|provider| (&provider.id, provider))
            .collect();
        let keys = self.key_views(user).await?;
        let mut views = Vec::new();
        for link in self.store().links_of(&user.id).await? {
            let Some(provider) = providers.get(&link.provider_id) else {
                continue;
            };
            if link.unlinking_at.is_none() {
                let grants = self.store().grants_of(&link.id).await?;
                views.push(view(&link, provider, &grants, &keys)?);
            }
        }
        Ok(views)
    }

    /// One link of a user.
    pub(crate) async fn link_view(&self, user: &User, link: &Link) -> Result<LinkView> {
        let views = self.link_views(user).await?;
        let view = views.into_iter().find(|view| view.id == link.id.as_str());
        view.ok_or_else(|| crate::Refused::not_found("link"))
    }
}

fn view(link: &Link, provider: &Provider, grants: &[Grant], keys: &[KeyView]) -> Result<LinkView> {
    let (state, reason) = state(link, provider, grants)?;
    let mine = keys
        .iter()
        .filter(|key| key.link.as_deref() == Some(link.id.as_str()));
    Ok(LinkView {
        id: link.id.to_string(),
        provider_id: provider.id.to_string(),
        provider: provider.name.clone(),
        account_id: link.account_id.clone(),
        login: link.login.clone(),
        state,
        reason,
        grants: grants.iter().map(grant_view).collect(),
        created_at: link.created_at,
        last_used_at: link.last_used_at,
        keys: mine.cloned().collect(),
    })
}

/// Whether a link works, and why not or what is special about it.
pub(crate) fn state(
    link: &Link,
    provider: &Provider,
    grants: &[Grant],
) -> Result<(LinkState, Option<String>)> {
    if link.dead_at.is_some() {
        return Ok((LinkState::Dead, link.dead_reason.clone()));
    }
    let kind = kind_of(provider)?;
    let git = grants
        .iter()
        .find(|grant| grant.purpose == Purpose::Git.as_str());
    let narrowed = provider.narrowing_off_at.is_none();
    Ok(match (git, kind.narrowing()) {
        (None, Narrowing::Mint) => {
            let reason = "the access token for Git over HTTPS is missing; SSH works";
            (LinkState::Unfinished, Some(reason.to_owned()))
        }
        (None, _) => {
            let reason = "the consent for Git over HTTPS is missing; SSH works";
            (LinkState::Unfinished, Some(reason.to_owned()))
        }
        (Some(git), Narrowing::SecondConsent) if narrowed && kind.holds_key_rights(&git.scopes) => {
            let reason = "Git's token may also change SSH keys, so it is not handed out; SSH works";
            (LinkState::Unfinished, Some(reason.to_owned()))
        }
        (Some(git), _) if git.remote_id.is_none() && kind.holds_key_rights(&git.scopes) => {
            let reason = "Git receives a token that may also change SSH keys: narrowing is off";
            (LinkState::Linked, Some(reason.to_owned()))
        }
        (Some(_), Narrowing::Impossible(why)) => (LinkState::Linked, Some(why.to_owned())),
        (Some(_), _) => (LinkState::Linked, None),
    })
}

fn grant_view(grant: &Grant) -> GrantView {
    GrantView {
        purpose: grant.purpose.clone(),
        scopes: grant.scopes.clone(),
        expires_at: grant.expires_at,
    }
}

fn offer(provider: Provider, links: Vec<LinkView>) -> Result<OfferedProvider> {
    let kind = kind_of(&provider)?;
    let git = site_of(kind, &provider)?.git;
    Ok(OfferedProvider {
        id: provider.id.to_string(),
        name: provider.name,
        kind: kind.name().to_owned(),
        description: provider.description,
        url: provider.url,
        linkable: kind.auth() != AuthStyle::None,
        disabled: provider.disabled_at.is_some(),
        alarm: provider.alarm,
        paste_steps: kind.paste_steps().to_vec(),
        rule_host: git.as_ref().map(rule_address),
        links,
    })
}
