//! What the doctor is asked about: a remote's name, a URL or a host.

use std::process::Command;

use api::{Setup, SetupProvider};
use url::Url;

use crate::failure::{Failure, Result};
use crate::matching::{Address, https_providers, remote_provider, ssh_provider};
use crate::setup::git;

const SSH_PORT: u16 = 22;

/// How Git reaches a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Https,
    Ssh,
}

/// A remote, or a host alone.
pub(super) struct Target {
    /// For people: without a password.
    pub(super) shown: String,
    /// As Git would be given it; none where a host alone was named.
    pub(super) url: Option<String>,
    /// None where a host alone was named.
    pub(super) way: Option<Way>,
    host: String,
}

impl Target {
    /// Understands `what`; without it the repository's own remote.
    ///
    /// # Errors
    /// There is no such remote, or Forgepass has nothing to do with its protocol.
    pub(super) fn find(what: Option<&str>) -> Result<Self> {
        let Some(what) = what else {
            let url = remote("origin").or_else(first_remote).ok_or_else(|| {
                Failure::usage(
                    "this folder is no repository with a remote",
                    "name a remote, a URL or a host: `forgepass doctor git.example.com`",
                )
            })?;
            return Self::of_url(&url);
        };
        if let Some(url) = remote(what) {
            return Self::of_url(&url);
        }
        if what.contains("://") || what.contains('@') || what.contains(":/") {
            return Self::of_url(what);
        }
        if what.is_empty() || what.contains(['/', ' ']) {
            return Err(Failure::usage(
                format!("`{what}` is neither a remote of this repository nor a URL nor a host"),
                "name a remote, a URL or a host: `forgepass doctor git.example.com`",
            ));
        }
        Ok(Self {
            shown: what.to_owned(),
            url: None,
            way: None,
            host: what.to_owned(),
        })
    }

    fn of_url(url: &str) -> Result<Self> {
        let other = |protocol: &str| {
            Failure::usage(
                format!("Git reaches this remote by {protocol}, where Forgepass has no part"),
                "use an https or ssh address of the repository: `git remote set-url`",
            )
        };
        if let Some(parsed) = Url::parse(url).ok().filter(|_| url.contains("://")) {
            let way = match parsed.scheme() {
                "https" => Way::Https,
                "ssh" | "git+ssh" | "ssh+git" => Way::Ssh,
                scheme => return Err(other(scheme)),
            };
            let mut shown = parsed.clone();
            let _ = shown.set_password(None);
            return Ok(Self {
                shown: shown.to_string(),
                url: Some(url.to_owned()),
                way: Some(way),
                host: parsed.host_str().unwrap_or_default().to_owned(),
            });
        }
        match url.split_once(':') {
            Some((place, _)) if !place.contains('/') => Ok(Self {
                shown: url.to_owned(),
                url: Some(url.to_owned()),
                way: Some(Way::Ssh),
                host: place.rsplit('@').next().unwrap_or_default().to_owned(),
            }),
            _ => Err(other("a path of this machine")),
        }
    }

    /// The provider that owns it.
    pub(super) fn provider<'a>(&self, setup: &'a Setup) -> Option<&'a SetupProvider> {
        if let Some(url) = &self.url {
            return remote_provider(setup, url);
        }
        let address = Address::https(&self.host)?;
        https_providers(setup, &address)
            .max_by_key(|provider| !provider.links.is_empty())
            .or_else(|| ssh_provider(setup, &self.host, SSH_PORT))
    }

    /// The remote over HTTPS, parsed.
    pub(super) fn https(&self) -> Option<Url> {
        let url = self.url.as_deref()?;
        (self.way == Some(Way::Https))
            .then(|| Url::parse(url).ok())
            .flatten()
    }
}

fn remote(name: &str) -> Option<String> {
    if name.starts_with('-') {
        return None;
    }
    // `get-url` follows `url.<base>.insteadOf`, as Git does when it connects.
    let url = git::output(Command::new("git").args(["remote", "get-url", name]))?;
    Some(url.trim_end().to_owned()).filter(|url| !url.is_empty())
}

fn first_remote() -> Option<String> {
    let names = git::output(Command::new("git").arg("remote"))?;
    remote(names.lines().next()?)
}
