//! Providers that the configuration file declares, which the console then shows read-only.

use forge::AuthStyle;
use secrecy::ExposeSecret;
use store::{Provider, StoreError, Unique};

use super::{
    ProviderInput,
    change::same_software,
    input::{Checked, check, plain},
};
use crate::{Broker, RefusedKind, Result, audit::Entry, context};

/// Replicas that start together meet; each reads again what another wrote.
const MOST_TRIES: usize = 5;

impl Broker {
    /// Makes the database agree with the providers that the configuration file declares, matched by
    /// name: adds those that are missing, changes those that differ. One that the file no longer
    /// declares stays, and may then be changed in the console.
    ///
    /// # Errors
    /// `invalid` or `conflict`, naming the provider.
    pub async fn declare_providers(&self, declared: &[ProviderInput]) -> Result<()> {
        for input in declared {
            self.declare(input).await.map_err(|mut refused| {
                refused.detail = format!("provider {:?}: {}", input.name, refused.detail);
                refused
            })?;
        }
        let is_declared =
            |row: &Provider| declared.iter().any(|input| input.name.trim() == row.name);
        for mut row in self.store().providers().await? {
            if row.declared_at.is_some() && !is_declared(&row) {
                row.declared_at = None;
                self.store().update_provider(&row).await?;
            }
        }
        Ok(())
    }

    async fn declare(&self, input: &ProviderInput) -> Result<()> {
        for _ in 1..MOST_TRIES {
            match self.declare_once(input).await {
                Err(refused) if refused.kind == RefusedKind::Conflict => {}
                outcome => return outcome,
            }
        }
        self.declare_once(input).await
    }

    async fn declare_once(&self, input: &ProviderInput) -> Result<()> {
        let checked = check(input)?;
        match self.store().provider_by_name(&checked.name).await? {
            Some(row) => self.redeclare(row, checked).await,
            None => self.declare_new(checked).await,
        }
    }

    async fn declare_new(&self, checked: Checked) -> Result<()> {
        let key = match checked.kind.auth() {
            AuthStyle::OAuth1 => Some(self.make_signing_key().await?),
            AuthStyle::OAuth2 | AuthStyle::None => None,
        };
        let mut row = self.new_row(checked, key).await?;
        row.declared_at = Some(row.created_at);
        match self.store().add_provider(&row).await {
            // Another replica that started together with this one was first.
            Err(StoreError::Duplicate(Unique::ProviderName)) => return Ok(()),
            other => other?,
        }
        let detail = format!("{} declared in the configuration file", row.name);
        self.record([Entry::new("provider.add", detail).at(&row.id)])
            .await;
        Ok(())
    }

    /// Changes a provider to what the configuration file says now. The file was written by whoever
    /// runs the server, so nothing is asked.
    async fn redeclare(&self, row: Provider, checked: Checked) -> Result<()> {
        same_software(&row, checked.kind)?;
        if row.declared_at.is_some() && self.agrees(&row, &checked) {
            return Ok(());
        }
        let key = match (checked.kind.auth(), &row.signing_key) {
            (AuthStyle::OAuth1, None) => Some(self.make_signing_key().await?),
            _ => None,
        };
        let mut row = row;
        row.declared_at = Some(row.declared_at.unwrap_or(self.now().await?));
        let detail = format!("{} changed in the configuration file", row.name);
        let entry = Entry::new("provider.change", detail).at(&row.id);
        self.put_change(row, checked, key).await?;
        self.record([entry]).await;
        Ok(())
    }

    /// Whether the stored provider is the declared one already.
    fn agrees(&self, row: &Provider, checked: &Checked) -> bool {
        let text = |url: &Option<url::Url>| url.as_ref().map(plain);
        let same = row.kind == checked.kind.id()
            && row.url == plain(&checked.site.url)
            && row.api_url == text(&checked.api_url)
            && row.git_url == text(&checked.git_url)
            && row.client_id == checked.client_id
            && row.consumer_name == checked.consumer_name
            && row.description == checked.description
            && row.ssh_user == checked.ssh_user
            && row.ssh_addresses == checked.ssh_addresses
            && row.host_keys == checked.host_keys
            && row.ca_pem == checked.ca_pem
            && row.internal_at.is_some() == checked.internal
            && row.narrowing_off_at.is_some() == checked.narrowing_off
            && row.disabled_at.is_some() == checked.disabled;
        same && self.has_secret(row, checked)
    }

    fn has_secret(&self, row: &Provider, checked: &Checked) -> bool {
        let Some(declared) = &checked.client_secret else {
            return true;
        };
        let origins = checked.origins();
        let place = context::client_secret_place(row.id.as_str(), &origins);
        let stored = row
            .client_secret
            .as_ref()
            .and_then(|it| self.keyring().open(&place, it).ok());
        stored.is_some_and(|stored| stored.expose_secret() == declared.expose_secret())
    }
}
