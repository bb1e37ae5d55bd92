//! What users see of their links and of the providers they may link.

use forge::{AuthStyle, Narrowing, Purpose};
use store::{Grant, Link, LinkedProvider, Provider, User, ViewedLink};

use crate::{
    AsUser, Broker, Result,
    context::site_of,
    held::Held,
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
        self.broker.held(&self.user).await?.offered()
    }

    /// The user's working keys as [`AsUser::keys`] has them, and what [`AsUser::offered`] has.
    pub async fn keys_and_offered(&self) -> Result<(Vec<KeyView>, Vec<OfferedProvider>)> {
        let held = self.broker.held_with_keys(&self.user).await?;
        let offered = held.offered()?;
        Ok((held.keys, offered))
    }
}

impl Held {
    /// What is shown of the links, oldest first.
    pub(crate) fn link_views(&self) -> Result<Vec<LinkView>> {
        let links = self.links().into_iter();
        let view = |(at, link): (&LinkedProvider, _)| view(link, &at.provider, &self.keys);
        links.map(view).collect()
    }

    /// Every provider that the user may link or has linked, by name.
    pub(crate) fn offered(&self) -> Result<Vec<OfferedProvider>> {
        let offered = self
            .providers
            .iter()
            .filter(|linked| linked.provider.disabled_at.is_none() || !linked.links.is_empty());
        offered.map(|linked| offer(linked, &self.keys)).collect()
    }
}

impl Broker {
    /// The links of a user, oldest first.
    pub(crate) async fn link_views(&self, user: &User) -> Result<Vec<LinkView>> {
        self.held(user).await?.link_views()
    }

    /// One link of a user.
    pub(crate) async fn link_view(&self, user: &User, link: &Link) -> Result<LinkView> {
        let views = self.link_views(user).await?;
        let view = views.into_iter().find(|view| view.id == link.id.as_str());
        view.ok_or_else(|| crate::Refused::not_found("link"))
    }
}

fn view(viewed: &ViewedLink, provider: &Provider, keys: &[KeyView]) -> Result<LinkView> {
    let ViewedLink { link, grants, .. } = viewed;
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

fn offer(linked: &LinkedProvider, keys: &[KeyView]) -> Result<OfferedProvider> {
    let provider = &linked.provider;
    let kind = kind_of(provider)?;
    let git = site_of(kind, provider)?.git;
    let rule_host = git.as_ref().map(rule_address);
    let mut links: Vec<&ViewedLink> = linked.links.iter().collect();
    // The link with the bare host's rule answers where nothing else is said.
    links.sort_by_key(|link| {
        rule_host
            .as_ref()
            .is_none_or(|host| !link.rules.contains(host))
    });
    let links = links.into_iter().map(|link| view(link, provider, keys));
    Ok(OfferedProvider {
        id: provider.id.to_string(),
        name: provider.name.clone(),
        kind: kind.name().to_owned(),
        description: provider.description.clone(),
        url: provider.url.clone(),
        linkable: kind.auth() != AuthStyle::None,
        disabled: provider.disabled_at.is_some(),
        alarm: provider.alarm.clone(),
        paste_steps: kind.paste_steps().to_vec(),
        links: links.collect::<Result<_>>()?,
        rule_host,
    })
}
