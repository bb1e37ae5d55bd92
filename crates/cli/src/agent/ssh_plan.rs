//! What ssh needs to reach a provider: public halves, pinned host keys, and what this ssh understands.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use api::{Setup, SetupLink, SetupProvider};
use ssh::public_key::{PublicKey, known_hosts_line};

use super::{keys, locked};
use crate::control::SshPlan;
use crate::failure::Result;
use crate::places::{self, Places, short_hash};

/// Makes plans, and remembers which ssh is how old.
pub(super) struct Plans {
    places: Places,
    versions: Mutex<HashMap<Program, Option<Version>>>,
}

/// One version of one program: path, inode, time of change.
type Program = (PathBuf, u64, i64);
/// Major and minor.
type Version = (u32, u32);

/// The first OpenSSH that knows `KnownHostsCommand`; to an older one an unknown option is fatal.
const KNOWN_HOSTS_COMMAND: Version = (8, 5);

impl Plans {
    pub(super) fn new(places: Places) -> Self {
        Self {
            places,
            versions: Mutex::default(),
        }
    }

    /// Writes what ssh reads and says how to run it with the keys of `link`.
    ///
    /// # Errors
    /// The runtime folder cannot be written.
    pub(super) fn plan(
        &self,
        setup: &Setup,
        provider: &SetupProvider,
        link: Option<&SetupLink>,
        ssh: &Path,
    ) -> Result<SshPlan> {
        let known_hosts = self.places.runtime.join("known_hosts");
        places::keep_private(&known_hosts, known_hosts_file(setup).as_bytes())?;
        let mut identity_files = Vec::new();
        // This link's keys alone: a provider takes the first key it knows, whoever's it is.
        for line in link.iter().flat_map(|link| &link.keys) {
            let Ok(key) = PublicKey::parse(line) else {
                continue;
            };
            let path = self
                .places
                .runtime
                .join("keys")
                .join(format!("{}.pub", short_hash(&key.blob)));
            places::keep_private(&path, format!("{}\n", key.to_line()).as_bytes())?;
            identity_files.push(path);
        }
        Ok(SshPlan {
            provider: provider.name.clone(),
            alias: alias(provider),
            identity_files,
            known_hosts,
            agent: self.places.agent_socket(),
            knows_known_hosts_command: self
                .version(ssh)
                .is_some_and(|version| version >= KNOWN_HOSTS_COMMAND),
            pinned: keys::pinned(provider).next().is_some(),
            dead: link
                .iter()
                .filter_map(|link| Some(dead(provider, link.dead.as_deref()?)))
                .collect(),
        })
    }

    fn version(&self, ssh: &Path) -> Option<Version> {
        let file = fs::metadata(ssh).ok()?;
        let key = (ssh.to_owned(), file.ino(), file.mtime());
        *locked(&self.versions)
            .entry(key)
            .or_insert_with(|| version_of(ssh))
    }
}

fn dead(provider: &SetupProvider, why: &str) -> String {
    format!("the link to {} is dead: {why}", provider.name)
}

/// One name for all of a provider's addresses, so that its keys are pinned once.
fn alias(provider: &SetupProvider) -> String {
    format!("fp-{}", provider.id)
}

fn known_hosts_file(setup: &Setup) -> String {
    let mut lines = String::new();
    for provider in &setup.providers {
        for key in keys::pinned(provider) {
            lines.push_str(&known_hosts_line(&alias(provider), &key));
            lines.push('\n');
        }
    }
    lines
}

/// Runs `ssh -V`, which prints to standard error.
pub(crate) fn version_text(ssh: &Path) -> Option<String> {
    let out = Command::new(ssh)
        .arg("-V")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&out.stderr);
    text.split([',', ' ', '\n'])
        .next()
        .map(str::to_owned)
        .filter(|text| !text.is_empty())
}

fn version_of(ssh: &Path) -> Option<Version> {
    parse_version(&version_text(ssh)?)
}

/// Reads `OpenSSH_9.2p1` and `OpenSSH_for_Windows_8.1p1`.
fn parse_version(text: &str) -> Option<Version> {
    let number = text.strip_prefix("OpenSSH_")?.rsplit('_').next()?;
    let (major, rest) = number.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::tests::{provider, setup};

    #[test]
    fn reads_versions_of_openssh_alone() {
        assert_eq!(parse_version("OpenSSH_9.2p1"), Some((9, 2)));
        assert_eq!(parse_version("OpenSSH_8.4p1"), Some((8, 4)));
        assert_eq!(parse_version("OpenSSH_10.0p2"), Some((10, 0)));
        assert_eq!(parse_version("OpenSSH_for_Windows_8.1p1"), Some((8, 1)));
        assert_eq!(parse_version("Dropbear"), None);
    }

    #[test]
    fn pins_every_providers_keys_under_its_own_name() {
        let setup = setup(vec![provider(
            "prv_1",
            "https://a.example.com",
            &["a.example.com", "b.example.com:443"],
        )]);
        let file = known_hosts_file(&setup);
        assert_eq!(file.lines().count(), 1);
        assert!(file.starts_with("fp-prv_1 ssh-ed25519 AAAA"), "{file}");
    }
}
