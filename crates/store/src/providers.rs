//! The installations that the site manager registered.

use secrets::Sealed;

use crate::column::row;
use crate::db::{Number, Statement, sql};
use crate::error::{Result, StoreError};
use crate::{DraftId, ProviderId, Store, UserId};

row! {
    /// A provider.
    pub struct Provider {
        /// `prv_…`.
        pub id: ProviderId,
        /// The kind's id.
        pub kind: String,
        /// Unique name shown to developers.
        pub name: String,
        /// Base URL.
        pub url: String,
        /// API base; none: by kind.
        pub api_url: Option<String>,
        /// Git over HTTPS base; none: by kind.
        pub git_url: Option<String>,
        /// Client id, application id or consumer key; empty where the kind has no OAuth.
        pub client_id: String,
        /// Client secret.
        pub client_secret: Option<Sealed>,
        /// RSA pair of an OAuth 1.0a application link.
        pub signing_key: Option<Sealed>,
        /// Its public half, PEM.
        pub public_key: Option<String>,
        /// Consumer name of an OAuth 1.0a link.
        pub consumer_name: Option<String>,
        /// Shown to developers.
        pub description: Option<String>,
        /// User of SSH addresses.
        pub ssh_user: String,
        /// `host` or `host:port`.
        pub ssh_addresses: Vec<String>,
        /// Pinned host keys, each `algorithm base64`.
        pub host_keys: Vec<String>,
        /// PEM certificates trusted for it.
        pub ca_pem: Option<String>,
        /// When loopback and private addresses were allowed.
        pub internal_at: Option<i64>,
        /// When narrowing was switched off.
        pub narrowing_off_at: Option<i64>,
        /// When it was taken out of the offer.
        pub disabled_at: Option<i64>,
        /// When the configuration file declared it.
        pub declared_at: Option<i64>,
        /// What is wrong with its configuration.
        pub alarm: Option<String>,
        /// Since when.
        pub alarm_at: Option<i64>,
        /// When a request to it last succeeded.
        pub last_success_at: Option<i64>,
        /// What the last failed request met.
        pub last_error: Option<String>,
        /// When it did.
        pub last_error_at: Option<i64>,
        /// Grows with every change of what the site manager entered.
        pub version: i64,
        /// When it was registered.
        pub created_at: i64,
    }
}

row! {
    /// What a kind needs before its provider can be saved.
    pub struct ProviderDraft {
        /// `drf_…`.
        pub id: DraftId,
        /// The kind's id.
        pub kind: String,
        /// RSA pair of an OAuth 1.0a kind.
        pub signing_key: Option<Sealed>,
        /// Its public half, PEM.
        pub public_key: Option<String>,
        /// Who prepares it.
        pub user_id: UserId,
        /// When it was begun.
        pub created_at: i64,
    }
}

row! {
    /// How many of something a provider has.
    pub struct ProviderCount {
        /// The provider.
        pub provider_id: ProviderId,
        /// How many.
        pub number: i64,
    }
}

/// What became of deleting a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderDeletion {
    /// It is gone, with its drafts, attempts, keys without a link, and what was to be undone there.
    Deleted,
    /// There is no such provider.
    NotFound,
    /// Refused: so many links exist.
    LinksExist(i64),
}

impl Store {
    /// Adds a provider. [`crate::Unique::ProviderName`] where the name is taken.
    pub async fn add_provider(&self, provider: &Provider) -> Result<()> {
        let statement = sql("INSERT INTO providers
               (id, kind, name, url, api_url, git_url, client_id, client_secret, signing_key,
                public_key, consumer_name, description, ssh_user, ssh_addresses, host_keys, ca_pem,
                internal_at, narrowing_off_at, disabled_at, declared_at, version, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                     $18, $19, $20, $21, $22)");
        let statement = bind_entered(statement, provider)
            .bind(&provider.version)
            .bind(&provider.created_at);
        self.db.execute(statement).await?;
        Ok(())
    }

    /// A provider by id.
    pub async fn provider(&self, provider: &ProviderId) -> Result<Option<Provider>> {
        self.db
            .optional(sql("SELECT * FROM providers WHERE id = $1").bind(provider))
            .await
    }

    /// A provider by name, exactly.
    pub async fn provider_by_name(&self, name: &str) -> Result<Option<Provider>> {
        self.db
            .optional(sql("SELECT * FROM providers WHERE name = $1").bind(name))
            .await
    }

    /// Every provider, by name.
    pub async fn providers(&self) -> Result<Vec<Provider>> {
        self.db
            .all(sql("SELECT * FROM providers ORDER BY name"))
            .await
    }

    /// Writes what the site manager entered, unless someone else did since `provider.version`
    /// was read. What its answers showed (alarm, last success, last error) stays.
    pub async fn update_provider(&self, provider: &Provider) -> Result<bool> {
        let statement = sql("UPDATE providers
             SET kind = $2, name = $3, url = $4, api_url = $5, git_url = $6, client_id = $7,
                 client_secret = $8, signing_key = $9, public_key = $10, consumer_name = $11,
                 description = $12, ssh_user = $13, ssh_addresses = $14, host_keys = $15,
                 ca_pem = $16, internal_at = $17, narrowing_off_at = $18, disabled_at = $19,
                 declared_at = $20, version = version + 1
             WHERE id = $1 AND version = $21");
        self.db
            .changed(bind_entered(statement, provider).bind(&provider.version))
            .await
    }

    /// Deletes a provider that has no links.
    pub async fn delete_provider(&self, provider: &ProviderId) -> Result<ProviderDeletion> {
        let statement = sql("DELETE FROM providers WHERE id = $1").bind(provider);
        match self.db.changed(statement).await {
            Ok(true) => return Ok(ProviderDeletion::Deleted),
            // Links name their provider, so the database itself keeps it.
            Ok(false) | Err(StoreError::Dangling) => {}
            Err(error) => return Err(error),
        }
        if self.provider(provider).await?.is_none() {
            return Ok(ProviderDeletion::NotFound);
        }
        Ok(ProviderDeletion::LinksExist(
            self.count_links(provider).await?,
        ))
    }

    /// Notes what is wrong with a provider's configuration; the time of a standing alarm stays.
    pub async fn set_alarm(&self, provider: &ProviderId, alarm: &str, now: i64) -> Result<bool> {
        let statement = sql(
            "UPDATE providers SET alarm = $2, alarm_at = COALESCE(alarm_at, $3)
             WHERE id = $1",
        )
        .bind(provider)
        .bind(alarm)
        .bind(&now);
        self.db.changed(statement).await
    }

    /// Takes an alarm away.
    pub async fn clear_alarm(&self, provider: &ProviderId) -> Result<bool> {
        let statement = sql("UPDATE providers SET alarm = NULL, alarm_at = NULL
             WHERE id = $1 AND alarm IS NOT NULL")
        .bind(provider);
        self.db.changed(statement).await
    }

    /// Notes that a request to a provider succeeded.
    pub async fn note_success(&self, provider: &ProviderId, now: i64) -> Result<bool> {
        let statement = sql("UPDATE providers SET last_success_at = $2 WHERE id = $1")
            .bind(provider)
            .bind(&now);
        self.db.changed(statement).await
    }

    /// Notes what a failed request to a provider met, in words, never a secret.
    pub async fn note_error(&self, provider: &ProviderId, error: &str, now: i64) -> Result<bool> {
        let statement =
            sql("UPDATE providers SET last_error = $2, last_error_at = $3 WHERE id = $1")
                .bind(provider)
                .bind(error)
                .bind(&now);
        self.db.changed(statement).await
    }

    /// Links of a provider.
    pub async fn count_links(&self, provider: &ProviderId) -> Result<i64> {
        let statement = sql("SELECT count(*) AS number FROM links WHERE provider_id = $1");
        Ok(self
            .db
            .one::<Number>(statement.bind(provider))
            .await?
            .number)
    }

    /// Links of every provider that has some, in one read.
    pub async fn count_links_by_provider(&self) -> Result<Vec<ProviderCount>> {
        let statement = sql("SELECT provider_id, count(*) AS number FROM links
             GROUP BY provider_id
             ORDER BY provider_id");
        self.db.all(statement).await
    }

    /// Adds a draft.
    pub async fn add_draft(&self, draft: &ProviderDraft) -> Result<()> {
        let statement = sql(
            "INSERT INTO provider_drafts (id, kind, signing_key, public_key, user_id, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&draft.id)
        .bind(&draft.kind)
        .bind(&draft.signing_key)
        .bind(&draft.public_key)
        .bind(&draft.user_id)
        .bind(&draft.created_at);
        self.db.execute(statement).await?;
        Ok(())
    }

    /// A draft of a user.
    pub async fn draft(&self, user: &UserId, draft: &DraftId) -> Result<Option<ProviderDraft>> {
        let statement = sql("SELECT * FROM provider_drafts WHERE user_id = $1 AND id = $2")
            .bind(user)
            .bind(draft);
        self.db.optional(statement).await
    }

    /// Drops a draft of a user.
    pub async fn drop_draft(&self, user: &UserId, draft: &DraftId) -> Result<bool> {
        let statement = sql("DELETE FROM provider_drafts WHERE user_id = $1 AND id = $2")
            .bind(user)
            .bind(draft);
        self.db.changed(statement).await
    }
}

/// Binds `$1` to `$20`: the id and all that the site manager enters.
fn bind_entered(statement: Statement, provider: &Provider) -> Statement {
    statement
        .bind(&provider.id)
        .bind(&provider.kind)
        .bind(&provider.name)
        .bind(&provider.url)
        .bind(&provider.api_url)
        .bind(&provider.git_url)
        .bind(&provider.client_id)
        .bind(&provider.client_secret)
        .bind(&provider.signing_key)
        .bind(&provider.public_key)
        .bind(&provider.consumer_name)
        .bind(&provider.description)
        .bind(&provider.ssh_user)
        .bind(&provider.ssh_addresses)
        .bind(&provider.host_keys)
        .bind(&provider.ca_pem)
        .bind(&provider.internal_at)
        .bind(&provider.narrowing_off_at)
        .bind(&provider.disabled_at)
        .bind(&provider.declared_at)
}
