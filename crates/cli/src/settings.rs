//! What `forgepass login` and `forgepass config` remember, and the workspace token.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::env;
use crate::failure::{Failure, Result};
use crate::places::{self, Places};

/// The file `config.json` in the settings folder. Nothing in it is secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    /// The server's address without a trailing slash.
    pub(crate) url: Option<String>,
    /// A PEM file with the certificates that sign the server's own.
    pub(crate) ca: Option<PathBuf>,
    /// Wait for the account to be linked, instead of leaving Git without a credential.
    pub(crate) wait_for_link: bool,
    /// What `forgepass setup` was asked to write, none before it ran.
    pub(crate) setup: Option<SetupChoice>,
}

/// What the included file holds besides the credential helper.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SetupChoice {
    /// Sign commits and tags with the link's SSH key.
    pub(crate) sign: bool,
    /// Git had no `user.name` of its own.
    pub(crate) give_name: bool,
    /// Git had no `user.email` of its own.
    pub(crate) give_email: bool,
    /// The command for SSH that Git used before, for hosts that are not ours.
    pub(crate) ssh_command: Option<String>,
}

/// Where the server is and how to trust it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Without a trailing slash.
    pub(crate) url: String,
    /// A PEM file.
    pub(crate) ca: Option<PathBuf>,
}

impl Settings {
    /// Reads the settings; defaults where there are none.
    ///
    /// # Errors
    /// The file cannot be read or understood.
    pub(crate) fn load(places: &Places) -> Result<Self> {
        let path = places.settings.join("config.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(Failure::file("read", &path, &error)),
        };
        serde_json::from_slice(&text).map_err(|error| {
            Failure::user(
                format!("{} is not readable: {error}", path.display()),
                "mend the file, or remove it and sign in again with `forgepass login`",
            )
        })
    }

    /// Writes the settings.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn save(&self, places: &Places) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| {
            Failure::ours(format!("cannot write the settings: {error}"), "report this")
        })?;
        places::write_private(&places.settings.join("config.json"), &text)
    }

    /// The server, by the environment or by `login`; none before either.
    ///
    /// # Errors
    /// An address that must not be used.
    pub(crate) fn target(&self) -> Result<Option<Target>> {
        let Some(url) = env::text(env::URL).or_else(|| self.url.clone()) else {
            return Ok(None);
        };
        let ca = env::path(env::CA_FILE).or_else(|| self.ca.clone());
        Ok(Some(Target {
            url: check_url(&url)?,
            ca,
        }))
    }
}

/// Checks a server's address and drops its trailing slash.
///
/// # Errors
/// Not a URL, another scheme, or plain `http` to anywhere but this machine: the workspace token would be
/// readable on the way.
pub(crate) fn check_url(text: &str) -> Result<String> {
    let hint = "give the address of your Forgepass server, such as https://forgepass.example.com";
    let with_scheme = if text.contains("://") {
        text.to_owned()
    } else {
        format!("https://{text}")
    };
    let url = Url::parse(&with_scheme)
        .map_err(|error| Failure::user(format!("`{text}` is not an address: {error}"), hint))?;
    let plain = !url.username().is_empty() || url.password().is_some() || url.query().is_some();
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        _ if plain || url.host().is_none() => Err(Failure::user(
            format!("`{text}` is not the address of a server"),
            hint,
        )),
        "https" => Ok(()),
        "http" if loopback => Ok(()),
        "http" => Err(Failure::user(
            format!("{text} is not encrypted: the workspace token could be read on the way"),
            "use its https address; plain http is for this machine alone",
        )),
        _ => Err(Failure::user(
            format!("`{text}` is not an https address"),
            hint,
        )),
    }?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// The file that holds the workspace token: `FORGEPASS_TOKEN_FILE`, else the one of `login`.
pub(crate) fn token_file(places: &Places) -> PathBuf {
    env::path(env::TOKEN_FILE).unwrap_or_else(|| places.token())
}

/// Reads the workspace token; none where there is no file.
///
/// # Errors
/// The file cannot be read, is empty, or others may read the one that `login` wrote.
pub(crate) fn token(places: &Places) -> Result<Option<SecretString>> {
    read_token(&token_file(places), Some(&places.token()))
}

/// Reads the API token of `FORGEPASS_API_TOKEN_FILE`; none where it is not set.
///
/// # Errors
/// The file cannot be read or is empty.
pub(crate) fn api_token() -> Result<Option<SecretString>> {
    let Some(path) = env::path(env::API_TOKEN_FILE) else {
        return Ok(None);
    };
    read_token(&path, None)?.map(Some).ok_or_else(|| {
        Failure::user(
            format!("{} does not exist", path.display()),
            format!(
                "make an API token under Preferences > Sign-in and let {} name its file",
                env::API_TOKEN_FILE
            ),
        )
    })
}

/// Reads a token; `private` is the path that must be for its owner alone. A mounted secret of a container
/// often is not, and is not ours to judge.
fn read_token(path: &Path, private: Option<&Path>) -> Result<Option<SecretString>> {
    let file = match fs::metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::file("read", path, &error)),
    };
    if private == Some(path) && file.mode() & 0o077 != 0 {
        return Err(Failure::user(
            format!("others may read the workspace token in {}", path.display()),
            format!(
                "sign in again with `forgepass login`, or run `chmod 600 {}`",
                path.display()
            ),
        ));
    }
    let text = fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?;
    let text = text.trim();
    let sound = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
    if !sound {
        return Err(Failure::user(
            format!("{} holds no token", path.display()),
            "sign in again with `forgepass login`, or put the token alone into the file",
        ));
    }
    Ok(Some(SecretString::from(text.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_https_and_loopback_addresses() {
        assert_eq!(
            check_url("https://forgepass.example.com/").unwrap(),
            "https://forgepass.example.com"
        );
        assert_eq!(
            check_url("forgepass.example.com").unwrap(),
            "https://forgepass.example.com"
        );
        assert_eq!(
            check_url("http://localhost:7080").unwrap(),
            "http://localhost:7080"
        );
        assert_eq!(
            check_url("http://[::1]:7080/").unwrap(),
            "http://[::1]:7080"
        );
    }

    #[test]
    fn refuses_an_address_that_would_show_the_token() {
        for bad in [
            "http://forgepass.example.com",
            "http://localhost.example.com",
            "ftp://forgepass.example.com",
            "https://ann:secret@forgepass.example.com",
            "https://forgepass.example.com/?a=b",
            "https://",
        ] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }
}
