//! Reading SSH host keys from the network with `ssh-keyscan`, to be confirmed by fingerprint.

use std::{io, net::SocketAddr, process::Stdio, time::Duration};

use ssh::public_key::PublicKey;
use tokio::{io::AsyncReadExt as _, process::Command};

use super::input::host_and_port;
use crate::http::Guard;

/// Longest wait for one address.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than any server's keys, bytes.
const LARGEST_ANSWER: u64 = 64 * 1024;

/// A host key as read from the network, not yet trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedHostKey {
    /// The address it was read at.
    pub address: String,
    /// `algorithm base64`.
    pub key: String,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// Whether it is pinned already.
    pub pinned: bool,
}

impl ScannedHostKey {
    /// Its algorithm, such as `ssh-ed25519`.
    pub fn algorithm(&self) -> &str {
        self.key.split(' ').next().unwrap_or_default()
    }
}

/// Reads the host keys at an SSH address; `pinned` are those trusted already.
///
/// # Errors
/// One sentence for the site manager: the name, the address guard, a missing program, no answer.
pub(super) async fn host_keys(
    address: &str,
    guard: Guard,
    pinned: &[String],
) -> Result<Vec<ScannedHostKey>, String> {
    let (host, port) = host_and_port(address).map_err(|refused| refused.detail)?;
    let place = guard
        .resolve(&host, port)
        .await
        .map_err(|error| format!("{host} cannot be reached: {error}"))?
        .into_iter()
        .next()
        .ok_or_else(|| format!("{host} has no address"))?;
    let printed = tokio::time::timeout(PATIENCE, keyscan(place))
        .await
        .map_err(|_| format!("{address} does not answer in time"))??;
    let found = read(address, &printed, pinned);
    if found.is_empty() {
        return Err(format!("no SSH server answers at {address}"));
    }
    Ok(found)
}

/// What `ssh-keyscan` prints for one resolved place: its arguments hold an address and a port only.
async fn keyscan(place: SocketAddr) -> Result<String, String> {
    let mut child = Command::new("ssh-keyscan")
        .args([
            "-T",
            "5",
            "-p",
            &place.port().to_string(),
            &place.ip().to_string(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                "ssh-keyscan is not installed on the server: install the OpenSSH client or paste \
                 the host keys"
                    .to_owned()
            }
            _ => format!("ssh-keyscan does not start: {error}"),
        })?;
    let mut printed = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let read = stdout.take(LARGEST_ANSWER).read_to_end(&mut printed).await;
        read.map_err(|error| format!("ssh-keyscan broke off: {error}"))?;
    }
    Ok(String::from_utf8_lossy(&printed).into_owned())
}

/// Every key in the known_hosts lines that `ssh-keyscan` printed.
fn read(address: &str, printed: &str, pinned: &[String]) -> Vec<ScannedHostKey> {
    let mut found: Vec<ScannedHostKey> = Vec::new();
    for line in printed.lines().filter(|line| !line.starts_with('#')) {
        let Ok(mut key) = PublicKey::parse(line) else {
            continue;
        };
        key.comment.clear();
        let line = key.to_line();
        if found.iter().any(|seen| seen.key == line) {
            continue;
        }
        found.push(ScannedHostKey {
            address: address.to_owned(),
            fingerprint: secrets::fingerprint(&key.blob),
            pinned: pinned.contains(&line),
            key: line,
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

    #[test]
    fn takes_each_key_once_and_nothing_else() {
        let printed =
            format!("# 192.0.2.1:22 SSH-2.0-x\n192.0.2.1 {KEY}\nnonsense\n[192.0.2.1]:22 {KEY}\n");
        let found = read("git.example.com", &printed, &[]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].key, KEY);
        assert_eq!(found[0].address, "git.example.com");
        assert_eq!(
            found[0].fingerprint,
            "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"
        );
        assert!(!found[0].pinned);
        assert!(read("git.example.com", &printed, &[KEY.to_owned()])[0].pinned);
    }

    #[tokio::test]
    async fn asks_no_address_that_the_guard_refuses() {
        for (address, guard) in [
            ("169.254.169.254", Guard::Internal),
            ("localhost:22", Guard::Public),
            ("127.0.0.1:22", Guard::Public),
        ] {
            let refused = host_keys(address, guard, &[])
                .await
                .err()
                .unwrap_or_default();
            assert!(
                refused.contains("address") || refused.contains("internal"),
                "{refused}"
            );
        }
    }
}
