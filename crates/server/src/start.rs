//! What stands between the configuration and a working broker: data folder, key file, database, providers.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use anyhow::Context;
use broker::{Broker, BrokerConfig, Keyring, ProviderInput, Store};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{
    app::worded,
    config::{Config, DeclaredProvider},
};

/// Opens the key file and the database.
///
/// # Errors
/// What is missing or unreadable, and where.
pub async fn broker(config: &Config, public_url: Url) -> anyhow::Result<Broker> {
    make_private_folder(&config.data_dir)?;
    let keyring = keyring(config)?;
    let store = Store::open(config.database.url().expose_secret()).await;
    let store = store.context("cannot open the database")?;
    let mut settings = BrokerConfig::new(public_url);
    settings.deployment = config.name.clone();
    settings.version = env!("CARGO_PKG_VERSION").to_owned();
    settings.proxy = config.outgoing_proxy.clone();
    if let Some(seconds) = config.workspace_ttl_s {
        settings.workspace_ttl_s = seconds;
    }
    Ok(Broker::new(store, keyring, settings))
}

/// Makes the stored providers agree with those that the file declares.
///
/// # Errors
/// Which provider is wrong, and how.
pub async fn declare(broker: &Broker, config: &Config) -> anyhow::Result<()> {
    let declared: Vec<ProviderInput> = config.providers.iter().map(input).collect();
    broker.declare_providers(&declared).await.map_err(worded)
}

fn input(declared: &DeclaredProvider) -> ProviderInput {
    ProviderInput {
        kind: declared.kind.clone(),
        name: declared.name.clone(),
        url: declared.url.clone(),
        client_id: declared.client_id.clone(),
        client_secret: declared.client_secret.clone(),
        consumer_name: declared.consumer_name.clone(),
        draft: None,
        description: declared.description.clone(),
        api_url: declared.api_url.clone(),
        git_url: declared.git_url.clone(),
        ssh_user: declared.ssh_user.clone(),
        ssh_addresses: declared.ssh_addresses.clone(),
        host_keys: declared.host_keys.clone(),
        ca_pem: declared.ca_pem.clone(),
        internal: declared.internal,
        narrowing_off: declared.narrowing_off,
        disabled: declared.disabled,
        confirm: true,
    }
}

/// The keys that seal secrets. With the embedded database a missing file is made, and said so.
fn keyring(config: &Config) -> anyhow::Result<Keyring> {
    let path = &config.key_file;
    let text = match fs::read_to_string(path) {
        Ok(text) => SecretString::from(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound && config.database.is_embedded() => {
            tracing::info!(path = %path.display(), "made a key file: back it up, without it no stored secret can be opened");
            new_key_file(path)?
        }
        Err(error) => {
            return Err(error)
                .with_context(|| format!("cannot read the key file {}", path.display()));
        }
    };
    Keyring::from_text(&text).with_context(|| format!("the key file {} is damaged", path.display()))
}

/// Writes a new key file that its owner alone can read; an existing file is never touched.
///
/// # Errors
/// Where it exists or cannot be written.
pub fn new_key_file(path: &Path) -> anyhow::Result<SecretString> {
    let text = Keyring::generate().to_text();
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = |mut file: fs::File| {
        file.write_all(text.expose_secret().as_bytes())?;
        file.sync_all()
    };
    let written = options.open(path).and_then(write);
    written.with_context(|| format!("cannot write the key file {}", path.display()))?;
    Ok(text)
}

fn make_private_folder(path: &Path) -> anyhow::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let made = builder.create(path);
    made.with_context(|| format!("cannot make the data folder {}", path.display()))
}
