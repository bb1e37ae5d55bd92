//! Which credential helpers Git asks for a host, and what else keeps it from asking us.

use api::Setup;
use url::Url;

use super::git::{self, Entry};
use super::is_our_helper;
use crate::env;
use crate::failure::Failure;
use crate::places::Places;
use crate::say;

/// A helper that Git asks, ours or another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// As configured.
    pub(crate) helper: String,
    /// Where.
    pub(crate) origin: String,
}

impl Asked {
    /// Whether it is ours.
    pub(crate) fn is_ours(&self) -> bool {
        is_our_helper(&self.helper)
    }
}

/// The helpers of all linked hosts that are not ours.
pub(crate) fn others(setup: &Setup) -> Vec<Asked> {
    let entries = entries();
    let mut found = Vec::new();
    for provider in &setup.providers {
        let linked = provider.links.iter().any(|link| link.id.is_some());
        let Some(url) = provider
            .git_url
            .as_deref()
            .and_then(|url| Url::parse(url).ok())
        else {
            continue;
        };
        for other in of(&entries, &url).into_iter().filter(|_| linked) {
            if !found.contains(&other) {
                found.push(other);
            }
        }
    }
    found
}

/// The helpers that Git asks for `url` besides us.
pub(crate) fn others_for(url: &Url) -> Vec<Asked> {
    of(&entries(), url)
}

/// All helpers that Git asks for `url`, the first first.
pub(crate) fn asked_for(url: &Url) -> Vec<Asked> {
    walk(&entries(), url)
}

fn entries() -> Vec<Entry> {
    git::entries(r"^credential\.(.*\.)?helper$")
}

/// Walks the helpers as Git does (gitcredentials(7)): each that fits the URL, an empty one starts over.
fn walk(entries: &[Entry], url: &Url) -> Vec<Asked> {
    let mut chain = Vec::new();
    for entry in entries.iter().filter(|entry| fits(&entry.key, url)) {
        if entry.value.is_empty() {
            chain.clear();
        } else {
            chain.push(Asked {
                helper: entry.value.clone(),
                origin: entry.origin.clone(),
            });
        }
    }
    chain
}

fn of(entries: &[Entry], url: &Url) -> Vec<Asked> {
    let mut chain = walk(entries, url);
    chain.retain(|asked| !asked.is_ours());
    chain
}

/// Whether `credential.<pattern>.helper` applies to a URL. A pattern that is not understood does: better
/// one warning too many.
fn fits(key: &str, url: &Url) -> bool {
    let Some(pattern) = key
        .strip_prefix("credential.")
        .and_then(|rest| rest.strip_suffix(".helper"))
    else {
        return true;
    };
    let Ok(pattern) = Url::parse(pattern) else {
        return true;
    };
    let host = |url: &Url| url.host_str().unwrap_or_default().to_ascii_lowercase();
    let path = pattern.path().trim_end_matches('/');
    let below = url.path().trim_end_matches('/');
    let same_host = host(&pattern).contains('*') || host(&pattern) == host(url);
    pattern.scheme() == url.scheme()
        && same_host
        && pattern.port_or_known_default() == url.port_or_known_default()
        // The repository asked for may lie on either side of the pattern's path.
        && (below.starts_with(path) || path.starts_with(below))
}

/// What keeps Git from asking us, each with its mend. For `setup` and `status`.
pub(crate) fn warnings(places: &Places, setup: &Setup) -> Vec<Failure> {
    let mut warnings: Vec<Failure> = others(setup)
        .into_iter()
        .map(|other| {
            Failure::user(
                format!(
                    "the credential helper `{}` is given Forgepass's tokens ({})",
                    other.helper, other.origin
                ),
                "remove that helper, or run `forgepass setup` again so that ours comes last",
            )
        })
        .collect();
    if env::raw("GIT_SSH_COMMAND").is_some() {
        warnings.push(Failure::user(
            "GIT_SSH_COMMAND is set, so Git does not run SSH through Forgepass",
            "run `unset GIT_SSH_COMMAND`, in your shell's start-up file too",
        ));
    }
    if env::raw("GIT_SSL_CAINFO").is_some()
        && setup.providers.iter().any(|one| one.ca_pem.is_some())
    {
        warnings.push(Failure::user(
            "GIT_SSL_CAINFO is set, so Git does not use the certificates of your providers",
            "run `unset GIT_SSL_CAINFO`",
        ));
    }
    warnings.extend(ssh_command(places));
    warnings
}

/// Whether a later setting than ours decides how Git runs SSH.
pub(crate) fn ssh_command(places: &Places) -> Option<Failure> {
    let entries = git::entries(r"^core\.sshcommand$");
    let last = entries.last()?;
    let ours = places.files.join("ssh");
    let is_ours = |entry: &Entry| {
        entry.value.contains(&*ours.to_string_lossy()) || git::is_ours(&entry.origin)
    };
    if !entries.iter().any(is_ours) || is_ours(last) {
        return None;
    }
    Some(Failure::user(
        format!(
            "core.sshCommand `{}` wins over Forgepass's ({})",
            say::clean(&last.value),
            last.origin
        ),
        "remove that setting; for other hosts Forgepass runs plain ssh",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: &str) -> Entry {
        Entry {
            origin: "file:x".to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
        }
    }

    fn helpers(entries: &[Entry]) -> Vec<String> {
        let url = Url::parse("https://git.example.com/").unwrap();
        of(entries, &url)
            .into_iter()
            .map(|other| other.helper)
            .collect()
    }

    const OURS: &str = "!'/usr/bin/forgepass' credential";

    #[test]
    fn an_empty_helper_ends_what_came_before() {
        let before = entry("credential.helper", "store");
        let reset = entry("credential.https://git.example.com.helper", "");
        let ours = entry("credential.https://git.example.com.helper", OURS);
        assert!(helpers(&[before.clone(), reset.clone(), ours.clone()]).is_empty());
        assert_eq!(helpers(&[reset, ours, before]), ["store"]);
    }

    #[test]
    fn helpers_of_other_hosts_do_not_matter() {
        assert!(
            helpers(&[entry(
                "credential.https://other.example.com.helper",
                "store"
            )])
            .is_empty()
        );
        assert!(
            helpers(&[entry(
                "credential.https://git.example.com:8443.helper",
                "store"
            )])
            .is_empty()
        );
        assert_eq!(
            helpers(&[entry("credential.https://*.example.com.helper", "store")]),
            ["store"]
        );
        assert_eq!(
            helpers(&[entry(
                "credential.https://git.example.com/a.helper",
                "store"
            )]),
            ["store"]
        );
    }

    #[test]
    fn knows_its_own_helper_by_name() {
        assert!(is_our_helper(OURS));
        assert!(is_our_helper(
            "!'/usr/bin/forgepass' credential --beside-others"
        ));
        assert!(!is_our_helper("!'/usr/bin/forgepass-server' credential"));
        assert!(!is_our_helper("store"));
    }
}
