//! The file and the variables as they were written, before any value is understood.

use std::fmt;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use super::{ConfigError, Environment, Result, declared::RawProvider};

/// Every key outside `[[provider]]`, as section and name: what a variable may set.
pub const KEYS: &[(&str, &str)] = &[
    ("server", "name"),
    ("server", "public_url"),
    ("server", "listen"),
    ("server", "data_dir"),
    ("server", "database_url"),
    ("server", "database_url_file"),
    ("server", "key_file"),
    ("server", "tls_cert"),
    ("server", "tls_key"),
    ("server", "trusted_proxies"),
    ("server", "outgoing_proxy"),
    ("workspaces", "max_days"),
    ("log", "format"),
    ("log", "level"),
];

/// The file as written, before any value is understood.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) server: RawServer,
    pub(super) workspaces: RawWorkspaces,
    pub(super) log: RawLog,
    pub(super) provider: Vec<RawProvider>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawServer {
    pub(super) name: Option<String>,
    pub(super) public_url: Option<String>,
    pub(super) listen: Option<String>,
    pub(super) data_dir: Option<String>,
    pub(super) database_url: Option<SecretString>,
    pub(super) database_url_file: Option<String>,
    pub(super) key_file: Option<String>,
    pub(super) tls_cert: Option<String>,
    pub(super) tls_key: Option<String>,
    pub(super) trusted_proxies: Words,
    pub(super) outgoing_proxy: Option<String>,
}

impl fmt::Debug for RawServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawServer").finish_non_exhaustive()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawWorkspaces {
    #[serde(deserialize_with = "number_as_text")]
    pub(super) max_days: Option<String>,
}

/// A number in the file; variables are text anyway.
fn number_as_text<'de, D>(deserializer: D) -> std::result::Result<Option<String>, D::Error>
where
    D: Deserializer<'de>,
{
    i64::deserialize(deserializer).map(|number| Some(number.to_string()))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLog {
    pub(super) format: Option<String>,
    pub(super) level: Option<String>,
}

impl Raw {
    /// Reads the file's `text`, and lays the variables over it.
    ///
    /// # Errors
    /// What is no TOML, and the first key or variable that is unknown.
    pub(super) fn read(text: &str, environment: &Environment) -> Result<Self> {
        let mut raw: Self = toml::from_str(text).map_err(|error| file_fault(text, &error))?;
        overlay(&mut raw, environment)?;
        Ok(raw)
    }
}

/// A list in the file, or words separated by commas or spaces in a variable.
#[derive(Debug, Default)]
pub(super) struct Words(pub(super) Vec<String>);

impl Words {
    fn split(text: &str) -> Self {
        let words = text
            .split([',', ' '])
            .map(str::trim)
            .filter(|word| !word.is_empty());
        Self(words.map(str::to_owned).collect())
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self)
    }
}

/// Lays the variables over the file.
///
/// A name with `__` that we do not know refuses the start: it is a misspelt setting. Other
/// `FORGEPASS_…` names are the command line's own or were put there by Kubernetes.
fn overlay(raw: &mut Raw, environment: &Environment) -> Result<()> {
    for (variable, value) in environment {
        let Some(rest) = variable.strip_prefix("FORGEPASS_") else {
            continue;
        };
        if !rest.contains("__") && !rest.starts_with('_') {
            continue;
        }
        let name = rest
            .strip_prefix('_')
            .unwrap_or_default()
            .to_ascii_lowercase();
        let known = name
            .split_once("__")
            .and_then(|(section, key)| KEYS.iter().find(|known| **known == (section, key)));
        let Some((section, key)) = known else {
            return Err(ConfigError::new(
                variable,
                format!("no such setting; known are {}", variables().join(", ")),
            ));
        };
        raw.set(section, key, value);
    }
    Ok(())
}

fn variables() -> Vec<String> {
    let variable = |(section, key): &(&str, &str)| format!("FORGEPASS__{section}__{key}");
    KEYS.iter()
        .map(|key| variable(key).to_ascii_uppercase())
        .collect()
}

impl Raw {
    /// Sets one of [`KEYS`]; an empty value takes the setting away.
    fn set(&mut self, section: &str, key: &str, value: &str) {
        let text = (!value.is_empty()).then(|| value.to_owned());
        match (section, key) {
            ("server", "name") => self.server.name = text,
            ("server", "public_url") => self.server.public_url = text,
            ("server", "listen") => self.server.listen = text,
            ("server", "data_dir") => self.server.data_dir = text,
            ("server", "database_url") => self.server.database_url = text.map(SecretString::from),
            ("server", "database_url_file") => self.server.database_url_file = text,
            ("server", "key_file") => self.server.key_file = text,
            ("server", "tls_cert") => self.server.tls_cert = text,
            ("server", "tls_key") => self.server.tls_key = text,
            ("server", "trusted_proxies") => self.server.trusted_proxies = Words::split(value),
            ("server", "outgoing_proxy") => self.server.outgoing_proxy = text,
            ("workspaces", "max_days") => self.workspaces.max_days = text,
            ("log", "format") => self.log.format = text,
            ("log", "level") => self.log.level = text,
            _ => {}
        }
    }
}

/// Names the line, but does not quote it as `toml` would: it may hold a password.
fn file_fault(text: &str, error: &toml::de::Error) -> ConfigError {
    let before = error
        .span()
        .and_then(|span| text.get(..span.start))
        .unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    ConfigError::new(format!("forgepass.toml, line {line}"), error.message())
}
