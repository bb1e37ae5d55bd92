//! SSH keys: one of each link, or of each user where a provider has no OAuth, and their replacement with overlap.

use forge::{AuthStyle, Kind};
use secrets::{Algorithm, KeyPair, random_id};
use store::{
    KeyId, LinkId, Provider, SshKey, StoreError, Unique, UploadId, UploadState, User, UserId,
    ViewedKey, Wanted, WantedUpload,
};

use crate::{AsUser, Broker, Refused, Result, audit::Entry, views::KeyView};

/// Whose key it is.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    /// The user.
    pub(crate) user: &'a UserId,
    /// The provider it is for.
    pub(crate) provider: &'a Provider,
    /// The link; none where the kind has no OAuth.
    pub(crate) link: Option<&'a LinkId>,
}

impl AsUser {
    /// The user's working keys, newest first. Those of providers without OAuth are made at first sight.
    pub async fn keys(&self) -> Result<Vec<KeyView>> {
        Ok(self.broker.held_with_keys(&self.user).await?.keys)
    }

    /// Replaces a key. The old one works on until the provider has the new one; where keys are pasted by
    /// hand, until the new one has been used.
    ///
    /// # Errors
    /// `not-found` where the user has no such key, `conflict` where it was replaced already.
    pub async fn regenerate_key(&self, id: &KeyId) -> Result<KeyView> {
        let key = self.broker.store().key(&self.user.id, id).await?;
        let key = key.filter(|key| key.deleted_at.is_none());
        let key = key.ok_or_else(|| Refused::not_found("key"))?;
        let new = self
            .broker
            .replace_key(&key, "replaced by its owner")
            .await?;
        let new = new.ok_or_else(|| Refused::conflict("this key has been replaced already"))?;
        if let Some(link) = &new.link_id {
            self.broker.reconcile_link(link).await?;
        }
        let views = self.broker.key_views(&self.user).await?;
        let view = views.into_iter().find(|view| view.id == new.id.as_str());
        view.ok_or_else(|| Refused::not_found("key"))
    }
}

impl Broker {
    /// Makes the keys of a user that need no link.
    pub(crate) async fn make_missing_keys(&self, user: &UserId) -> Result<()> {
        for provider in self.store().providers().await? {
            let by_hand = kind_of(&provider)?.auth() == AuthStyle::None;
            if by_hand && provider.disabled_at.is_none() {
                self.ensure_key(Owner {
                    user,
                    provider: &provider,
                    link: None,
                })
                .await?;
            }
        }
        Ok(())
    }

    /// The current key of an owner, made and put down for upload if there is none.
    pub(crate) async fn ensure_key(&self, owner: Owner<'_>) -> Result<SshKey> {
        let key = match self.current_key(owner).await? {
            Some(key) => key,
            None => self.make_key(owner).await?,
        };
        // A crash may have come between the key and its uploads.
        if self.store().uploads_of(&key.id).await?.is_empty() {
            self.want_uploads(kind_of(owner.provider)?, &key).await?;
        }
        Ok(key)
    }

    async fn current_key(&self, owner: Owner<'_>) -> Result<Option<SshKey>> {
        let keys = self
            .store()
            .live_keys(owner.user, &owner.provider.id, owner.link)
            .await?;
        Ok(keys.into_iter().find(|key| key.retired_at.is_none()))
    }

    async fn make_key(&self, owner: Owner<'_>) -> Result<SshKey> {
        let key = self.new_key(owner).await?;
        match self.store().add_key(&key).await {
            Ok(()) => {
                let words = format!("{} {}", key.algorithm, key.fingerprint);
                self.record([key_entry("key.make", words, &key)]).await;
                Ok(key)
            }
            // Another page or replica was first.
            Err(StoreError::Duplicate(Unique::CurrentKey)) => self
                .current_key(owner)
                .await?
                .ok_or_else(|| Refused::conflict("the key is changing")),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a key that takes the place of `old`; `None` where another one has done so already.
    pub(crate) async fn replace_key(&self, old: &SshKey, why: &str) -> Result<Option<SshKey>> {
        let provider = self.store().provider(&old.provider_id).await?;
        let provider = provider.ok_or_else(|| Refused::not_found("provider"))?;
        let owner = Owner {
            user: &old.user_id,
            provider: &provider,
            link: old.link_id.as_ref(),
        };
        let new = self.new_key(owner).await?;
        let now = self.now().await?;
        if !self.store().replace_key(&old.id, &new, now).await? {
            return Ok(None);
        }
        self.want_uploads(kind_of(&provider)?, &new).await?;
        let words = format!(
            "{} takes the place of {}: {why}",
            new.fingerprint, old.fingerprint
        );
        self.record([key_entry("key.replace", words, &new)]).await;
        Ok(Some(new))
    }

    async fn new_key(&self, owner: Owner<'_>) -> Result<SshKey> {
        let algorithm = choose(kind_of(owner.provider)?, self.ssh_algorithm().await?)?;
        let make = move || KeyPair::generate(algorithm);
        let pair = match algorithm {
            Algorithm::Rsa3072 | Algorithm::Rsa4096 => self.making_rsa(make).await?,
            Algorithm::Ed25519 | Algorithm::EcdsaP256 => make(),
        }
        .map_err(Refused::internal)?;
        let id = KeyId(random_id("key"));
        let private = self.seal_key(id.as_str(), owner.user.as_str(), &pair.to_openssh());
        Ok(SshKey {
            id,
            user_id: owner.user.clone(),
            provider_id: owner.provider.id.clone(),
            link_id: owner.link.cloned(),
            algorithm: algorithm.as_str().to_owned(),
            public_key: pair.public_line("").trim_end().to_owned(),
            blob_hash: secrets::sha256_hex(&pair.public_blob()),
            fingerprint: pair.fingerprint(),
            private: Some(private),
            created_at: self.now().await?,
            retired_at: None,
            used_at: None,
            deleted_at: None,
        })
    }

    /// Puts down where a key should stand.
    async fn want_uploads(&self, kind: &dyn Kind, key: &SshKey) -> Result<()> {
        let now = self.now().await?;
        let want = |usage: &str, state, due_at| WantedUpload {
            id: UploadId(random_id("upl")),
            key_id: key.id.clone(),
            usage: usage.to_owned(),
            wanted: Wanted::Present,
            state,
            due_at,
        };
        if kind.usages().is_empty() {
            self.store()
                .put_upload(&want("auth", UploadState::ByHand, None))
                .await?;
        }
        for usage in kind.usages() {
            let upload = want(usage.as_str(), UploadState::Pending, Some(now));
            self.store().put_upload(&upload).await?;
        }
        Ok(())
    }

    /// A sign-in proves that the provider has the key: where keys are pasted by hand, older ones end with it.
    pub(crate) async fn let_older_go(&self, key: &SshKey) -> Result<()> {
        let uploads = self.store().uploads_of(&key.id).await?;
        let by_hand = uploads
            .iter()
            .any(|upload| upload.state == UploadState::ByHand);
        if !by_hand || key.retired_at.is_some() {
            return Ok(());
        }
        let link = key.link_id.as_ref();
        let keys = self
            .store()
            .live_keys(&key.user_id, &key.provider_id, link)
            .await?;
        let now = self.now().await?;
        for older in keys.iter().filter(|older| older.retired_at.is_some()) {
            self.store()
                .delete_key(&older.user_id, &older.id, now)
                .await?;
            self.record([key_entry("key.delete", older.fingerprint.clone(), older)])
                .await;
        }
        Ok(())
    }

    /// The title of a user's keys at providers, also the comment of their lines: old Bitbucket Servers
    /// take the label from there.
    pub(crate) async fn key_title(&self, user: &UserId) -> Result<String> {
        let user = self
            .store()
            .user(user)
            .await?
            .ok_or_else(|| Refused::not_found("user"))?;
        Ok(self.title_for(&user.name))
    }

    pub(crate) fn title_for(&self, user: &str) -> String {
        format!(
            "{} ({}) – {user}",
            self.config().deployment,
            self.deployment_host()
        )
    }

    /// The host, and the port where it is not the default one, of this deployment.
    pub(crate) fn deployment_host(&self) -> String {
        let url = &self.config().public_url;
        let host = url.host_str().unwrap_or_default();
        url.port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// What a user sees of their working keys, newest first.
    pub(crate) async fn key_views(&self, user: &User) -> Result<Vec<KeyView>> {
        Ok(self.held(user).await?.keys)
    }
}

/// The kind of a provider's row.
pub(crate) fn kind_of(provider: &Provider) -> Result<&'static dyn Kind> {
    forge::kind(&provider.kind)
        .ok_or_else(|| Refused::internal(format!("provider of unknown kind {}", provider.kind)))
}

/// The base64 field of an OpenSSH line.
pub(crate) fn blob_of(line: &str) -> &str {
    line.split(' ').nth(1).unwrap_or_default()
}

/// The algorithm of a new key: the kind's demand where it accepts one only, else the site's setting,
/// else what the kind prefers.
pub(crate) fn choose(kind: &dyn Kind, setting: Algorithm) -> Result<Algorithm> {
    let accepted = kind.algorithms();
    if accepted.contains(&setting.as_str()) {
        return Ok(setting);
    }
    let first = accepted
        .first()
        .ok_or_else(|| Refused::internal("a kind accepts no keys"))?;
    first.parse().map_err(Refused::internal)
}

fn key_entry(action: &'static str, words: String, key: &SshKey) -> Entry {
    Entry::new(action, words)
        .by(&key.user_id)
        .at(&key.provider_id)
}

/// What is shown of a key, whose line ends in `title`, where `setting` is the site's algorithm.
pub(crate) fn key_view(
    ViewedKey { key, uploads }: &ViewedKey,
    provider: &Provider,
    (title, setting): (&str, Algorithm),
) -> Result<KeyView> {
    let kind = kind_of(provider)?;
    let worst = uploads.iter().max_by_key(|upload| gravity(upload.state));
    let state = worst.map_or(UploadState::Pending, |upload| upload.state);
    let site = crate::context::site_of(kind, provider)?;
    let own_page = || kind.key_page(&site).map(String::from);
    let reason = worst.and_then(|upload| upload.reason.clone());
    Ok(KeyView {
        id: key.id.to_string(),
        provider_id: provider.id.to_string(),
        provider: provider.name.clone(),
        link: key.link_id.as_ref().map(ToString::to_string),
        algorithm: key.algorithm.clone(),
        public_key: format!("{} {title}", key.public_key),
        fingerprint: key.fingerprint.clone(),
        created_at: key.created_at,
        retired_at: key.retired_at,
        state: shown(state, key).as_str().to_owned(),
        reason: reason.or_else(|| other_algorithm(kind, key, setting)),
        page: worst
            .and_then(|upload| upload.page.clone())
            .or_else(own_page),
    })
}

/// The first signature is the proof that the provider has a key that a person pasted.
fn shown(state: UploadState, key: &SshKey) -> UploadState {
    match state {
        UploadState::ByHand if key.used_at.is_some() => UploadState::Present,
        state => state,
    }
}

fn other_algorithm(kind: &dyn Kind, key: &SshKey, setting: Algorithm) -> Option<String> {
    let refused = !kind.algorithms().contains(&setting.as_str());
    (refused && key.algorithm != setting.as_str()).then(|| {
        format!(
            "{} does not take {}, so this key is {}",
            kind.name(),
            setting.title(),
            key.algorithm
                .parse()
                .map_or(key.algorithm.as_str(), |algorithm: Algorithm| algorithm
                    .title())
        )
    })
}

/// Of several uploads of one key, the one to show is the one that needs a person most.
fn gravity(state: UploadState) -> u8 {
    match state {
        UploadState::Absent => 0,
        UploadState::Present => 1,
        UploadState::ByHand => 2,
        UploadState::Expiring => 3,
        UploadState::Pending => 4,
        UploadState::Unknown => 5,
        UploadState::NeedsAuthorization => 6,
        UploadState::Refused => 7,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_kind_that_demands_an_algorithm_gets_it_whatever_the_setting_says() {
        let azure = forge::kind("azure-repos").unwrap();
        for setting in Algorithm::ALL {
            assert_eq!(choose(azure, setting).unwrap(), Algorithm::Rsa3072);
        }
    }

    #[test]
    fn the_setting_counts_where_the_kind_accepts_it() {
        for kind in forge::KINDS {
            for setting in Algorithm::ALL {
                let chosen = choose(*kind, setting).unwrap();
                let accepted = kind.algorithms().contains(&setting.as_str());
                assert_eq!(accepted, chosen == setting, "{} {setting}", kind.id());
            }
        }
    }
}
