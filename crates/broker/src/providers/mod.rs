//! Providers: what the site manager registers, changes, tests and deletes.

mod change;
mod declare;
mod draft;
mod input;
mod kept;
mod propose;
mod scan;
mod test;
mod view;

use forge::{AuthStyle, Kind};
use secrecy::SecretString;
use secrets::random_id;
use store::{DraftId, Provider, ProviderCount, ProviderId, StoreError, Unique};
use url::Url;

use crate::{
    AsSiteManager, Broker, Refused, Result,
    context::{client_secret_place, signing_key_place},
};

pub use change::{Consequences, Force};
pub use input::ProviderInput;
pub use propose::Proposal;
pub use scan::ScannedHostKey;
pub use test::{Check, TestReport};
pub use view::{DraftView, Health, KindView, ProviderView};

use draft::SigningKey;
use input::{Checked, check, known_kind, plain};
use view::InUse;

impl Broker {
    /// The row of a new provider.
    ///
    /// # Errors
    /// `invalid` where its kind needs a client secret or a signing key that is not there.
    async fn new_row(&self, checked: Checked, key: Option<SigningKey>) -> Result<Provider> {
        let id = ProviderId(random_id("prv"));
        let now = self.now().await?;
        let mut row = checked.row(id, now);
        match checked.kind.auth() {
            AuthStyle::OAuth2 => {
                let secret = checked.client_secret.as_ref().ok_or_else(|| {
                    Refused::invalid("client secret: it is empty")
                        .hint("copy it from the application at the provider")
                })?;
                row.client_secret = Some(self.seal_client_secret(&row.id, &checked, secret));
            }
            AuthStyle::OAuth1 => {
                let key = key.ok_or_else(no_pair)?;
                self.put_signing_key(&mut row, key);
            }
            AuthStyle::None => {}
        }
        Ok(row)
    }

    fn seal_client_secret(
        &self,
        id: &ProviderId,
        checked: &Checked,
        secret: &SecretString,
    ) -> secrets::Sealed {
        let origins = checked.origins();
        self.keyring()
            .seal(&client_secret_place(id.as_str(), &origins), secret)
    }

    fn put_signing_key(&self, row: &mut Provider, key: SigningKey) {
        let place = signing_key_place(row.id.as_str());
        row.signing_key = Some(self.keyring().seal(&place, &key.private));
        row.public_key = Some(key.public);
    }
}

impl AsSiteManager {
    /// Every kind with its guide.
    ///
    /// # Errors
    /// Where our own address cannot hold a callback, which the configuration has ruled out.
    pub fn kinds(&self) -> Result<Vec<KindView>> {
        let ours = view::ours(&self.broker, None)?;
        let of = |kind: &&'static dyn Kind| KindView::of(*kind, &ours);
        Ok(forge::KINDS.iter().map(of).collect())
    }

    /// The kind of a draft; its guide shows the draft's public key and leads to the pages at `url`, or at the
    /// usual address where that is none.
    ///
    /// # Errors
    /// `not-found` where the draft is unknown or too old.
    pub async fn kind_of_draft(&self, draft: &DraftId, url: &str) -> Result<KindView> {
        let draft = self.draft(draft).await?;
        let kind = known_kind(&draft.kind)?;
        let mut ours = view::ours(&self.broker, draft.public_key)?;
        let entered = Url::parse(url).ok().filter(|url| url.has_host());
        let usual = || kind.usual_url().and_then(|url| Url::parse(url).ok());
        ours.url = entered.or_else(usual);
        Ok(KindView::of(kind, &ours))
    }

    /// Every provider, by name; its links and keys were counted ten seconds ago at most.
    pub async fn providers(&self) -> Result<Vec<ProviderView>> {
        let counts = self.broker.counts().await?;
        let rows = self.broker.store().providers().await?;
        let of = |counts: &[ProviderCount], id: &ProviderId| {
            let count = counts.iter().find(|count| count.provider_id == *id);
            count.map_or(0, |count| count.number)
        };
        rows.into_iter()
            .map(|row| {
                let in_use = InUse {
                    links: of(&counts.links, &row.id),
                    keys: of(&counts.keys, &row.id),
                };
                ProviderView::of(&self.broker, row, in_use)
            })
            .collect()
    }

    /// One provider.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn provider(&self, id: &ProviderId) -> Result<ProviderView> {
        let row = self.row(id).await?;
        let in_use = InUse {
            links: self.broker.store().count_links(id).await?,
            keys: self.broker.store().count_keys_at(id).await?,
        };
        ProviderView::of(&self.broker, row, in_use)
    }

    /// Registers a provider.
    ///
    /// # Errors
    /// `invalid`, naming the field; `conflict` for a name in use.
    pub async fn add_provider(&self, input: ProviderInput) -> Result<ProviderView> {
        let checked = check(&input)?;
        let key = self.take_draft_key(&checked).await?;
        let draft = checked.draft.clone();
        let row = self.broker.new_row(checked, key).await?;
        self.broker
            .store()
            .add_provider(&row)
            .await
            .map_err(|error| taken(error, &row.name))?;
        if let Some(draft) = &draft {
            self.broker.store().drop_draft(&self.user.id, draft).await?;
        }
        let detail = format!("{} ({}) at {}", row.name, row.kind, row.url);
        self.note_at("provider.add", &row.id, detail).await;
        ProviderView::of(&self.broker, row, InUse::default())
    }

    async fn row(&self, id: &ProviderId) -> Result<Provider> {
        let row = self.broker.store().provider(id).await?;
        row.ok_or_else(|| Refused::not_found("provider"))
    }
}

impl Checked {
    /// The row of a new provider, still without its secrets.
    fn row(&self, id: ProviderId, now: i64) -> Provider {
        let at = |set: bool| set.then_some(now);
        Provider {
            id,
            kind: self.kind.id().to_owned(),
            name: self.name.clone(),
            url: plain(&self.site.url),
            api_url: self.api_url.as_ref().map(plain),
            git_url: self.git_url.as_ref().map(plain),
            client_id: self.client_id.clone(),
            client_secret: None,
            signing_key: None,
            public_key: None,
            consumer_name: self.consumer_name.clone(),
            description: self.description.clone(),
            ssh_user: self.ssh_user.clone(),
            ssh_addresses: self.ssh_addresses.clone(),
            host_keys: self.host_keys.clone(),
            ca_pem: self.ca_pem.clone(),
            internal_at: at(self.internal),
            narrowing_off_at: at(self.narrowing_off),
            disabled_at: at(self.disabled),
            declared_at: None,
            alarm: None,
            alarm_at: None,
            last_success_at: None,
            last_error: None,
            last_error_at: None,
            version: 1,
            created_at: now,
        }
    }
}

fn no_pair() -> Refused {
    Refused::invalid("draft: this kind needs its RSA pair first")
        .hint("choose the kind again, so that the pair is made and shown")
}

/// What a store error means when a provider gets its name.
fn taken(error: StoreError, name: &str) -> Refused {
    match error {
        StoreError::Duplicate(Unique::ProviderName) => {
            Refused::conflict(format!("there is a provider called {name:?} already"))
                .hint("choose another name")
        }
        error => error.into(),
    }
}

/// An input as a provider that is ready to be asked.
#[cfg(test)]
pub(crate) fn opened(broker: &Broker, input: &ProviderInput) -> Result<crate::ProviderContext> {
    broker.unsaved(check(input)?, None)
}
