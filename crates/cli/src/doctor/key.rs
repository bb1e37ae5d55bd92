//! The way over SSH at the provider's end: our key there, and the provider's key here.

use std::process::{Command, Stdio};

use api::SetupProvider;
use ssh::public_key::PublicKey;

use super::account::link_status;
use super::{Finding, Patient, Way};
use crate::failure::{Failure, Result};
use crate::process;

/// Whether the provider has the user's key.
pub(super) fn uploaded(patient: &Patient<'_>) -> Result<Finding> {
    if !patient.goes_by(Way::Ssh) {
        return Ok(Finding::Apart);
    }
    let provider = patient.provider()?;
    let status = link_status(patient)?;
    let Some(state) = &status.key_state else {
        return without_key(patient, provider);
    };
    let trouble = match state.as_str() {
        "present" | "expiring" => {
            return Ok(Finding::Good(format!("{} has your key", provider.name)));
        }
        "needs-authorization" => format!(
            "{} has your key, but an organisation there wants you to authorise it",
            provider.name
        ),
        "refused" => format!("{} refused your key", provider.name),
        "absent" => format!("{} no longer has your key", provider.name),
        _ => {
            return Ok(Finding::Note(
                format!("{} has not confirmed your key yet", provider.name),
                next(provider, status.next_step.as_deref()),
            ));
        }
    };
    Err(Failure::user(
        trouble,
        next(provider, status.next_step.as_deref()),
    ))
}

fn without_key(patient: &Patient<'_>, provider: &SetupProvider) -> Result<Finding> {
    if patient.target.way.is_none() && provider.ssh_addresses.is_empty() {
        return Ok(Finding::Apart);
    }
    if provider.links.iter().any(|link| !link.keys.is_empty()) {
        return Ok(Finding::Good("you have a key for it".to_owned()));
    }
    Err(Failure::user(
        format!("you have no SSH key for {}", provider.name),
        "open Preferences > SSH keys in the console",
    ))
}

fn next(provider: &SetupProvider, step: Option<&str>) -> String {
    step.map_or_else(
        || {
            format!(
                "see Preferences > SSH keys in the console, or `forgepass key show {}`",
                provider.name
            )
        },
        str::to_owned,
    )
}

/// Whether the provider's SSH server shows a key that the site manager has pinned.
pub(super) fn host_key(patient: &Patient<'_>) -> Result<Finding> {
    if !patient.goes_by(Way::Ssh) {
        return Ok(Finding::Apart);
    }
    let provider = patient.provider()?;
    let Some(address) = provider.ssh_addresses.first() else {
        return Ok(Finding::Apart);
    };
    let pinned: Vec<PublicKey> = parse(provider.host_keys.iter().map(String::as_str));
    if pinned.is_empty() {
        return Err(Failure::user(
            format!(
                "no SSH host key of {} is known, and Forgepass trusts none on first use",
                provider.name
            ),
            "ask your site manager to pin one: Manage > Admin > Git OAuth, Test connection",
        ));
    }
    let shown = scan(address)?;
    if shown.is_empty() {
        return Err(Failure::user(
            format!(
                "the SSH server of {} at {address} does not answer",
                provider.name
            ),
            "check the network and its firewall, or use the repository's https address",
        ));
    }
    if shown
        .iter()
        .any(|key| pinned.iter().any(|one| one.blob == key.blob))
    {
        return Ok(Finding::Good(format!("{address} shows a pinned key")));
    }
    Err(Failure::user(
        format!(
            "the SSH host key of {} at {address} has changed, or something stands between",
            provider.name
        ),
        "ask your site manager: if the provider announced it, pin the new key under Manage > Admin > Git OAuth",
    ))
}

/// What an SSH server shows of itself (ssh-keyscan(1)): lines of `host algorithm base64`.
fn scan(address: &str) -> Result<Vec<PublicKey>> {
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, port),
        _ => (address, "22"),
    };
    let program = process::find("ssh-keyscan")?;
    let out = Command::new(&program)
        .args(["-T", "5", "-p", port, "--", host])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::file("run", &program, &error))?;
    let text = String::from_utf8_lossy(&out.stdout);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    Ok(parse(
        lines.filter_map(|line| Some(line.split_once(' ')?.1)),
    ))
}

fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<PublicKey> {
    lines
        .filter_map(|line| PublicKey::parse(line).ok())
        .collect()
}
