//! What a workspace may know: how to configure Git and SSH for its user's links, and how those stand.

use std::collections::HashMap;

use forge::{AuthStyle, Narrowing};
use secrets::sha256_hex;
use store::{Grant, Link, LinkId, PastKey, Provider, Rule, SshKey, User};
use url::Url;

use crate::{
    AsWorkspace, Result,
    context::site_of,
    keys::kind_of,
    links::state,
    matching::rule_path,
    rules::default_first,
    signers::{Signer, allowed_signers},
    views::{KeyView, LinkState, LinkStatus, SetupLink, SetupProvider, SetupView},
};

impl AsWorkspace {
    /// All that the workspace needs to configure Git and SSH. Nothing in it is secret.
    pub async fn setup(&self) -> Result<SetupView> {
        self.broker.make_missing_keys(&self.user.id).await?;
        let store = self.broker.store();
        let mut links = store.links_of(&self.user.id).await?;
        links.retain(|link| link.unlinking_at.is_none());
        let own = Own {
            links: &links,
            keys: &store.keys_of(&self.user.id).await?,
            rules: &store.rules_of(&self.user.id).await?,
        };
        let mut providers = Vec::new();
        for provider in store.providers().await? {
            if provider.disabled_at.is_none() {
                providers.push(setup_provider(&provider, &own)?);
            }
        }
        let history = store.key_history(&self.user.id).await?;
        let first = links.first();
        let mut setup = SetupView {
            version: String::new(),
            user_name: first
                .and_then(|link| link.name.clone())
                .unwrap_or_else(|| self.user.name.clone()),
            user_email: first
                .and_then(commit_email)
                .or_else(|| self.user.email.clone()),
            providers,
            allowed_signers: signers(&history, &own_addresses(&self.user, &links)),
        };
        setup.version = version(&setup);
        Ok(setup)
    }

    /// How every enabled provider stands for the workspace's user.
    pub async fn status(&self) -> Result<Vec<LinkStatus>> {
        let store = self.broker.store();
        let mut by_provider: HashMap<_, Vec<Link>> = HashMap::new();
        for link in store.links_of(&self.user.id).await? {
            if link.unlinking_at.is_none() {
                by_provider
                    .entry(link.provider_id.clone())
                    .or_default()
                    .push(link);
            }
        }
        let keys = self.broker.key_views(&self.user).await?;
        let mut statuses = Vec::new();
        for provider in store.providers().await? {
            if provider.disabled_at.is_some() {
                continue;
            }
            let links = by_provider.remove(&provider.id).unwrap_or_default();
            if links.is_empty() {
                statuses.push(without_link(&provider, &keys)?);
            }
            for link in links {
                let grants = store.grants_of(&link.id).await?;
                statuses.push(with_link(&provider, &link, &grants, &keys)?);
            }
        }
        Ok(statuses)
    }
}

/// What a user has, at every provider.
struct Own<'a> {
    links: &'a [Link],
    keys: &'a [SshKey],
    rules: &'a [Rule],
}

fn setup_provider(provider: &Provider, own: &Own<'_>) -> Result<SetupProvider> {
    let kind = kind_of(provider)?;
    let site = site_of(kind, provider)?;
    let here = |link: &&Link| link.provider_id == provider.id;
    let mut here: Vec<&Link> = own.links.iter().filter(here).collect();
    default_first(&mut here, own.rules, site.git.as_ref());
    let mut links: Vec<SetupLink> = here
        .into_iter()
        .map(|link| SetupLink {
            rules: rules_of(link, own.rules, site.git.as_ref()),
            ..setup_link(link, lines(own.keys, provider, Some(&link.id)))
        })
        .collect();
    if kind.auth() == AuthStyle::None {
        links.push(key_alone(lines(own.keys, provider, None)));
    }
    Ok(SetupProvider {
        id: provider.id.to_string(),
        name: provider.name.clone(),
        git_url: site
            .git
            .map(|url| url.as_str().trim_end_matches('/').to_owned()),
        https_segment: kind.https_segment().map(str::to_owned),
        ca_pem: provider.ca_pem.clone(),
        ssh_user: provider.ssh_user.clone(),
        ssh_addresses: provider.ssh_addresses.clone(),
        host_keys: provider.host_keys.clone(),
        links,
    })
}

fn rules_of(link: &Link, rules: &[Rule], git: Option<&Url>) -> Vec<String> {
    let own = rules.iter().filter(|rule| rule.link_id == link.id);
    git.map(|git| own.map(|rule| rule_path(&rule.pattern, git)).collect())
        .unwrap_or_default()
}

fn setup_link(link: &Link, keys: Vec<String>) -> SetupLink {
    SetupLink {
        id: Some(link.id.to_string()),
        login: Some(link.login.clone()),
        name: link.name.clone(),
        email: commit_email(link),
        rules: Vec::new(),
        keys,
        dead: link
            .dead_at
            .map(|_| link.dead_reason.clone().unwrap_or_default()),
    }
}

fn key_alone(keys: Vec<String>) -> SetupLink {
    SetupLink {
        id: None,
        login: None,
        name: None,
        email: None,
        rules: Vec::new(),
        keys,
        dead: None,
    }
}

fn lines(keys: &[SshKey], provider: &Provider, link: Option<&LinkId>) -> Vec<String> {
    let own = |key: &&SshKey| key.provider_id == provider.id && key.link_id.as_ref() == link;
    keys.iter()
        .filter(own)
        .map(|key| key.public_key.clone())
        .collect()
}

/// The address that commits should carry.
fn commit_email(link: &Link) -> Option<String> {
    link.email.clone().or_else(|| link.noreply.clone())
}

/// The addresses known to be this user's: what their providers have verified, and what the site manager
/// entered for them.
fn own_addresses(user: &User, links: &[Link]) -> Vec<String> {
    let verified = links.iter().flat_map(|link| &link.emails).cloned();
    let mut addresses: Vec<String> = user.email.iter().cloned().chain(verified).collect();
    addresses.sort();
    addresses.dedup();
    addresses
}

/// A provider that verifies no address (or has no accounts for us) leaves its keys to the user's own.
fn signers(history: &[PastKey], own: &[String]) -> String {
    let signers: Vec<Signer<'_>> = history
        .iter()
        .map(|key| Signer {
            public_key: &key.public_key,
            emails: if key.emails.is_empty() {
                own
            } else {
                &key.emails
            },
            valid_from: key.valid_from,
            valid_until: key.valid_until,
        })
        .collect();
    allowed_signers(&signers)
}

/// The same wherever and whenever it is computed, as long as nothing changes.
fn version(setup: &SetupView) -> String {
    sha256_hex(format!("{setup:?}").as_bytes())
        .chars()
        .take(32)
        .collect()
}

fn without_link(provider: &Provider, keys: &[KeyView]) -> Result<LinkStatus> {
    let kind = kind_of(provider)?;
    let key = current(keys, provider, None);
    let by_hand = kind.auth() == AuthStyle::None;
    let next_step = match (by_hand, key) {
        (false, _) => Some(format!(
            "link an account: `forgepass link {}`",
            provider.name
        )),
        (true, Some(key)) if key.state == "present" => None,
        (true, _) => Some(format!(
            "paste the key at the provider: `forgepass key show {}`",
            provider.name
        )),
    };
    Ok(LinkStatus {
        provider: provider.name.clone(),
        login: None,
        state: if by_hand { "key-only" } else { "not-linked" }.to_owned(),
        next_step,
        key_state: key.map(|key| key.state.clone()),
    })
}

fn with_link(
    provider: &Provider,
    link: &Link,
    grants: &[Grant],
    keys: &[KeyView],
) -> Result<LinkStatus> {
    let (state, reason) = state(link, provider, grants)?;
    let key = current(keys, provider, Some(&link.id));
    let mints = kind_of(provider)?.narrowing() == Narrowing::Mint;
    let next_step = match state {
        LinkState::Dead => {
            let why = reason.unwrap_or_default();
            Some(format!(
                "link again: `forgepass link {}` ({why})",
                provider.name
            ))
        }
        LinkState::Unfinished if mints => {
            Some("link again, so that an access token is made".to_owned())
        }
        LinkState::Unfinished => {
            Some("press Finish under Preferences > Linked accounts".to_owned())
        }
        LinkState::Linked => key.and_then(|key| key.reason.clone()),
    };
    Ok(LinkStatus {
        provider: provider.name.clone(),
        login: Some(link.login.clone()),
        state: state.as_str().to_owned(),
        next_step,
        key_state: key.map(|key| key.state.clone()),
    })
}

fn current<'a>(
    keys: &'a [KeyView],
    provider: &Provider,
    link: Option<&LinkId>,
) -> Option<&'a KeyView> {
    let link = link.map(LinkId::as_str);
    keys.iter().find(|key| {
        key.provider_id == provider.id.as_str()
            && key.link.as_deref() == link
            && key.retired_at.is_none()
    })
}
