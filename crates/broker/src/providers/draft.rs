//! What a kind needs before its provider can be saved: for OAuth 1.0a the RSA pair, made once, so that
//! it survives going back and reloading.

use forge::AuthStyle;
use secrecy::SecretString;
use secrets::{ConsumerKey, Place, random_id};
use store::{DraftId, ProviderDraft, UserId};

use super::{input::Checked, known_kind, view::DraftView};
use crate::{AsSiteManager, Broker, Refused, Result, lifetimes};

/// The RSA pair of an OAuth 1.0a provider, both halves PEM.
pub(super) struct SigningKey {
    pub(super) private: SecretString,
    pub(super) public: String,
}

impl Broker {
    pub(super) async fn make_signing_key(&self) -> Result<SigningKey> {
        let key = self
            .making_rsa(ConsumerKey::generate)
            .await?
            .map_err(Refused::internal)?;
        Ok(SigningKey {
            private: key.to_pem(),
            public: key.public_pem(),
        })
    }
}

impl AsSiteManager {
    /// Prepares a provider of a kind.
    ///
    /// # Errors
    /// `invalid` for an unknown kind.
    pub async fn make_draft(&self, kind: &str) -> Result<DraftView> {
        let kind = known_kind(kind)?;
        let id = DraftId(random_id("drf"));
        let key = match kind.auth() {
            AuthStyle::OAuth1 => Some(self.broker.make_signing_key().await?),
            AuthStyle::OAuth2 | AuthStyle::None => None,
        };
        let place = place(&id, &self.user.id);
        let draft = ProviderDraft {
            kind: kind.id().to_owned(),
            signing_key: key
                .as_ref()
                .map(|key| self.broker.keyring().seal(&place, &key.private)),
            public_key: key.map(|key| key.public),
            user_id: self.user.id.clone(),
            created_at: self.broker.now().await?,
            id: id.clone(),
        };
        self.broker.store().add_draft(&draft).await?;
        Ok(view(draft))
    }

    /// A provider that this site manager prepared.
    ///
    /// # Errors
    /// `not-found` where it is unknown, used, or older than a day.
    pub async fn draft(&self, id: &DraftId) -> Result<DraftView> {
        Ok(view(self.draft_row(id).await?))
    }

    async fn draft_row(&self, id: &DraftId) -> Result<ProviderDraft> {
        let oldest = self.broker.now().await? - lifetimes::DRAFT;
        let draft = self.broker.store().draft(&self.user.id, id).await?;
        draft
            .filter(|draft| draft.created_at > oldest)
            .ok_or_else(|| {
                Refused::not_found("draft, or it is used or older than a day")
                    .hint("choose the kind again")
            })
    }

    /// The RSA pair of the draft that an input names; the draft stays until the provider is stored.
    ///
    /// # Errors
    /// `not-found` for the draft, `invalid` where it is of another kind.
    pub(super) async fn take_draft_key(&self, checked: &Checked) -> Result<Option<SigningKey>> {
        let Some(id) = &checked.draft else {
            return Ok(None);
        };
        let draft = self.draft_row(id).await?;
        if draft.kind != checked.kind.id() {
            return Err(Refused::invalid("draft: it was made for another kind")
                .hint("choose the kind again"));
        }
        let (Some(sealed), Some(public)) = (draft.signing_key, draft.public_key) else {
            return Ok(None);
        };
        let private = self
            .broker
            .keyring()
            .open(&place(id, &self.user.id), &sealed);
        Ok(Some(SigningKey {
            private: private.map_err(Refused::internal)?,
            public,
        }))
    }
}

fn place<'a>(id: &'a DraftId, user: &'a UserId) -> Place<'a> {
    Place {
        table: "provider_drafts",
        column: "signing_key",
        row: id.as_str(),
        owner: user.as_str(),
        origins: &[],
    }
}

fn view(draft: ProviderDraft) -> DraftView {
    DraftView {
        id: draft.id,
        kind: draft.kind,
        public_key: draft.public_key,
    }
}
