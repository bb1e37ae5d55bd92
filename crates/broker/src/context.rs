//! A provider opened for use: its row, its kind, and its secrets in the clear.

use forge::{Client, Kind, Site};
use secrecy::SecretString;
use secrets::{Place, Sealed};
use store::Provider;
use url::Url;

use crate::{Broker, Refused, RefusedKind, Result};

/// One provider, ready to be asked.
pub struct ProviderContext {
    /// Its row.
    pub row: Provider,
    /// What it is.
    pub kind: &'static dyn Kind,
    /// Where it is.
    pub site: Site,
    /// The origins that its tokens and client secret may be sent to: base, API, Git, each once.
    ///
    /// They stand in the associated data of everything sealed for it,
    /// so nothing opens once an address has moved.
    pub origins: Vec<String>,
    /// Our OAuth application there.
    pub client: Client,
    /// The private key that signs OAuth 1.0a requests, PEM, where the kind needs one.
    pub signing_key: Option<SecretString>,
}

impl ProviderContext {
    /// Opens a row.
    ///
    /// # Errors
    /// `provider-fault` where its client secret was entered for other addresses,
    /// `internal` where the row is of no known kind or has no valid address.
    pub(crate) fn open(broker: &Broker, row: Provider) -> Result<Self> {
        let kind = forge::kind(&row.kind)
            .ok_or_else(|| Refused::internal(format!("provider of unknown kind {}", row.kind)))?;
        let site = site_of(kind, &row)?;
        let origins = origins(&site);
        let secret = match &row.client_secret {
            Some(sealed) => broker
                .keyring()
                .open(&client_secret_place(row.id.as_str(), &origins), sealed)
                .map_err(|_| moved(&row))?,
            None => SecretString::default(),
        };
        let signing_key = open_signing_key(broker, row.id.as_str(), row.signing_key.as_ref())?;
        let client = Client {
            id: row.client_id.clone(),
            secret,
            callback: broker.config().callback()?,
        };
        Ok(Self {
            row,
            kind,
            site,
            origins,
            client,
            signing_key,
        })
    }
}

/// Where a client secret rests: it may be sent to these origins only.
pub(crate) fn client_secret_place<'a>(provider: &'a str, origins: &'a [String]) -> Place<'a> {
    Place {
        table: "providers",
        column: "client_secret",
        row: provider,
        owner: "",
        origins,
    }
}

/// Where an OAuth 1.0a key rests: it is never sent, so it is bound to no origin.
pub(crate) fn signing_key_place(provider: &str) -> Place<'_> {
    Place {
        table: "providers",
        column: "signing_key",
        row: provider,
        owner: "",
        origins: &[],
    }
}

fn open_signing_key(
    broker: &Broker,
    provider: &str,
    sealed: Option<&Sealed>,
) -> Result<Option<SecretString>> {
    sealed
        .map(|sealed| broker.keyring().open(&signing_key_place(provider), sealed))
        .transpose()
        .map_err(Refused::internal)
}

fn moved(row: &Provider) -> Refused {
    let detail = format!(
        "the client secret of {} was entered for other addresses",
        row.name
    );
    Refused::new(RefusedKind::ProviderFault, detail)
        .hint("a site manager enters it again under Manage > Admin > Git OAuth")
}

/// The addresses in force: those of the row, else the kind's defaults.
pub(crate) fn site_of(kind: &dyn Kind, row: &Provider) -> Result<Site> {
    site_at(
        kind,
        &row.url,
        row.api_url.as_deref(),
        row.git_url.as_deref(),
    )
}

/// The addresses in force, of a row's columns.
pub(crate) fn site_at(
    kind: &dyn Kind,
    url: &str,
    api: Option<&str>,
    git: Option<&str>,
) -> Result<Site> {
    let url = Url::parse(url).map_err(Refused::internal)?;
    let defaults = kind.defaults(&url).map_err(Refused::internal)?;
    let parse = |text: &str| Url::parse(text).map_err(Refused::internal);
    let api = api.map(parse).transpose()?.unwrap_or(defaults.api);
    let git = git.map(parse).transpose()?.or(defaults.git);
    Ok(Site { url, api, git })
}

/// The origins of a site, each once, in the order base, API, Git.
pub(crate) fn origins(site: &Site) -> Vec<String> {
    let mut origins: Vec<String> = Vec::new();
    for url in [Some(&site.url), Some(&site.api), site.git.as_ref()]
        .into_iter()
        .flatten()
    {
        let origin = url.origin().ascii_serialization();
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    origins
}
