//! What a user has at the providers, read at once for every page that shows some of it.

use forge::AuthStyle;
use store::{LinkedProvider, User, ViewedKey, ViewedLink};

use crate::{
    Broker, Refused, Result,
    keys::{key_view, kind_of},
    views::KeyView,
};

/// What a user has at the providers.
pub(crate) struct Held {
    /// Every provider by name, with the user's links there, oldest first.
    pub(crate) providers: Vec<LinkedProvider>,
    /// The user's working keys, newest first.
    pub(crate) keys: Vec<KeyView>,
    /// Whether a provider without OAuth has no key of this user yet, or none that is put down for upload.
    lacks_key: bool,
}

impl Held {
    /// The user's links, oldest first, each with the provider it is at.
    pub(crate) fn links<'a>(&'a self) -> Vec<(&'a LinkedProvider, &'a ViewedLink)> {
        let of = |at: &'a LinkedProvider| at.links.iter().map(move |link| (at, link));
        let mut links: Vec<_> = self.providers.iter().flat_map(of).collect();
        links.sort_by_key(|(_, viewed)| (viewed.link.created_at, &viewed.link.id));
        links
    }
}

impl Broker {
    /// What a user has, as it stands.
    pub(crate) async fn held(&self, user: &User) -> Result<Held> {
        // At the same time: each waits for the database, none for another.
        let (providers, keys, setting) = tokio::try_join!(
            async { Ok::<_, Refused>(self.store().linked_view(&user.id).await?) },
            async { Ok::<_, Refused>(self.store().keys_view(&user.id).await?) },
            self.ssh_algorithm(),
        )?;
        let title = self.title_for(&user.name);
        let views = keys.iter().filter_map(|viewed| {
            let mut providers = providers.iter().map(|linked| &linked.provider);
            let provider = providers.find(|provider| provider.id == viewed.key.provider_id)?;
            Some(key_view(viewed, provider, (&title, setting)))
        });
        Ok(Held {
            keys: views.collect::<Result<_>>()?,
            lacks_key: lacks_key(&providers, &keys)?,
            providers,
        })
    }

    /// The same with a key for every provider without OAuth: those that are missing are made.
    pub(crate) async fn held_with_keys(&self, user: &User) -> Result<Held> {
        let held = self.held(user).await?;
        if !held.lacks_key {
            return Ok(held);
        }
        self.make_missing_keys(&user.id).await?;
        self.held(user).await
    }
}

fn lacks_key(providers: &[LinkedProvider], keys: &[ViewedKey]) -> Result<bool> {
    for LinkedProvider { provider, .. } in providers {
        let by_hand = kind_of(provider)?.auth() == AuthStyle::None;
        let mut own = keys.iter().filter(|viewed| {
            let key = &viewed.key;
            key.provider_id == provider.id && key.link_id.is_none() && key.retired_at.is_none()
        });
        let has = own.any(|viewed| !viewed.uploads.is_empty());
        if by_hand && provider.disabled_at.is_none() && !has {
            return Ok(true);
        }
    }
    Ok(false)
}
