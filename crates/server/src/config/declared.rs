//! `[[provider]]` blocks: providers that the file declares and the console shows read-only.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{ConfigError, Result, read};

/// A provider as the file declares it, with its secret read.
#[derive(Debug)]
pub struct DeclaredProvider {
    /// The kind's id.
    pub kind: String,
    /// Unique name; the block is matched to the stored provider by it.
    pub name: String,
    /// Base URL.
    pub url: String,
    /// Client id, application id or consumer key.
    pub client_id: String,
    /// Client secret, from `client_secret_file`.
    pub client_secret: Option<SecretString>,
    /// Consumer name of an OAuth 1.0a link.
    pub consumer_name: Option<String>,
    /// Shown to developers.
    pub description: Option<String>,
    /// API base, where it is not the kind's default.
    pub api_url: Option<String>,
    /// Git over HTTPS base, where it is not the URL.
    pub git_url: Option<String>,
    /// User of SSH addresses, where it is not `git`.
    pub ssh_user: Option<String>,
    /// SSH addresses, where they are not the kind's.
    pub ssh_addresses: Option<Vec<String>>,
    /// Host keys to pin.
    pub host_keys: Option<Vec<String>>,
    /// PEM certificates to trust, from `ca_file`.
    pub ca_pem: Option<String>,
    /// Loopback and private addresses are allowed.
    pub internal: bool,
    /// Narrowing is off.
    pub narrowing_off: bool,
    /// Not offered to developers.
    pub disabled: bool,
}

/// The block as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawProvider {
    kind: String,
    name: String,
    url: String,
    client_id: String,
    client_secret_file: Option<String>,
    consumer_name: Option<String>,
    description: Option<String>,
    api_url: Option<String>,
    git_url: Option<String>,
    ssh_user: Option<String>,
    ssh_addresses: Option<Vec<String>>,
    host_keys: Option<Vec<String>>,
    ca_file: Option<String>,
    internal: bool,
    narrowing_off: bool,
    disabled: bool,
}

impl RawProvider {
    /// Reads the files a block names; the rest is checked where every provider is.
    pub(super) fn checked(self) -> Result<DeclaredProvider> {
        for (key, value) in [
            ("kind", &self.kind),
            ("name", &self.name),
            ("url", &self.url),
        ] {
            if value.is_empty() {
                return Err(ConfigError::new(
                    format!("provider.{key}"),
                    "required in [[provider]]",
                ));
            }
        }
        let secret = |path: &String| read("provider.client_secret_file", Path::new(path));
        let ca = |path: &String| read("provider.ca_file", Path::new(path));
        let client_secret = self
            .client_secret_file
            .as_ref()
            .map(secret)
            .transpose()?
            .map(SecretString::from);
        Ok(DeclaredProvider {
            client_secret: client_secret.map(|it| SecretString::from(it.expose_secret().trim())),
            ca_pem: self.ca_file.as_ref().map(ca).transpose()?,
            kind: self.kind,
            name: self.name,
            url: self.url,
            client_id: self.client_id,
            consumer_name: self.consumer_name,
            description: self.description,
            api_url: self.api_url,
            git_url: self.git_url,
            ssh_user: self.ssh_user,
            ssh_addresses: self.ssh_addresses,
            host_keys: self.host_keys,
            internal: self.internal,
            narrowing_off: self.narrowing_off,
            disabled: self.disabled,
        })
    }
}
