//! This machine's part of the way: Git, ssh, the agent, and what stands between Git and them.

use std::process::Command;

use url::Url;

use super::{Finding, Patient, Way};
use crate::agent::ssh_version;
use crate::control::{self, Answer, Ask};
use crate::env;
use crate::failure::{Failure, Result};
use crate::process;
use crate::setup::{chain, git as git_config};

/// The first Git that can ask again after a refused token.
const ASKS_AGAIN: (u32, u32) = (2, 46);
/// The first Git that signs with SSH keys.
const SIGNS: (u32, u32) = (2, 34);
/// The first ssh that tells the agent which server it talks to.
const BINDS: (u32, u32) = (8, 9);

/// Whether Git is there, and old in a way that matters.
pub(super) fn git(_: &Patient<'_>) -> Result<Finding> {
    let text = git_config::output(Command::new("git").arg("--version")).ok_or_else(|| {
        Failure::user(
            "Git is not installed",
            "install Git 2.34 or later, best 2.46",
        )
    })?;
    let version = text.trim().trim_start_matches("git version ").to_owned();
    let found = number(&version);
    if found.is_some_and(|found| found < SIGNS) {
        return Ok(Finding::Note(
            format!("Git {version} cannot sign with SSH keys, nor ask again after a refused token"),
            "install Git 2.46 or later".to_owned(),
        ));
    }
    if found.is_some_and(|found| found < ASKS_AGAIN) {
        return Ok(Finding::Note(
            format!("Git {version} cannot ask again when a token is revoked under it"),
            "install Git 2.46 or later; until then run such a command again".to_owned(),
        ));
    }
    Ok(Finding::Good(format!("Git {version}")))
}

/// Whether ssh is there, and too old to say whom it talks to.
pub(super) fn ssh_program(patient: &Patient<'_>) -> Result<Finding> {
    if !patient.goes_by(Way::Ssh) {
        return Ok(Finding::Apart);
    }
    let ssh = process::find("ssh")?;
    let version = ssh_version(&ssh).unwrap_or_else(|| "an ssh of unknown version".to_owned());
    let found = version
        .strip_prefix("OpenSSH_")
        .and_then(|text| number(text.rsplit('_').next()?));
    if found.is_some_and(|found| found < BINDS) {
        return Ok(Finding::Note(
            format!("{version} does not tell the agent which server it talks to"),
            "install OpenSSH 8.9 or later, or allow this workspace to sign unbound under Preferences > Workspaces"
                .to_owned(),
        ));
    }
    Ok(Finding::Good(version))
}

/// Whether Git asks us, and nobody before or after us.
pub(super) fn helper(patient: &Patient<'_>) -> Result<Finding> {
    let Some(base) = &patient.provider()?.git_url else {
        return Ok(Finding::Apart);
    };
    if !patient.goes_by(Way::Https) {
        return Ok(Finding::Apart);
    }
    let url = patient.target.https();
    if url.as_ref().is_some_and(|url| url.password().is_some()) {
        return Err(Failure::user(
            "the remote's URL holds a password, so Git asks nobody",
            format!(
                "revoke that password, and run `git remote set-url REMOTE {}`",
                patient.target.shown
            ),
        ));
    }
    let Some(url) = url.or_else(|| Url::parse(base).ok()) else {
        return Ok(Finding::Apart);
    };
    let asked = chain::asked_for(&url);
    let Some(ours) = asked.iter().position(chain::Asked::is_ours) else {
        return Err(not_asked(&asked));
    };
    if let Some(first) = asked[..ours].last() {
        return Err(Failure::user(
            format!(
                "Git asks `{}` before Forgepass ({})",
                first.helper, first.origin
            ),
            "remove that helper, or run `forgepass setup` again so that ours is asked alone",
        ));
    }
    if let Some(after) = asked.get(ours + 1) {
        return Ok(Finding::Note(
            format!(
                "the helper `{}` is given Forgepass's tokens ({})",
                after.helper, after.origin
            ),
            "remove that helper, or run `forgepass setup` again so that ours comes last".to_owned(),
        ));
    }
    Ok(Finding::Good("Git asks Forgepass alone".to_owned()))
}

fn not_asked(asked: &[chain::Asked]) -> Failure {
    const HINT: &str = "run `forgepass setup`";
    if let Some(other) = asked.first() {
        return Failure::user(
            format!(
                "Git asks `{}` and not Forgepass ({})",
                other.helper, other.origin
            ),
            HINT,
        );
    }
    match env::text("GIT_ASKPASS") {
        Some(program) => Failure::user(
            format!("Git does not ask Forgepass, and GIT_ASKPASS ({program}) answers in its place"),
            HINT,
        ),
        None => Failure::user("Git does not ask Forgepass", HINT),
    }
}

/// Whether Git runs ssh through us.
pub(super) fn ssh_command(patient: &Patient<'_>) -> Result<Finding> {
    if !patient.goes_by(Way::Ssh) {
        return Ok(Finding::Apart);
    }
    if let Some(command) = env::text("GIT_SSH_COMMAND") {
        return Err(Failure::user(
            format!("GIT_SSH_COMMAND is `{command}`, so Git does not run ssh through Forgepass"),
            "run `unset GIT_SSH_COMMAND`, in your shell's start-up file and the IDE's settings too",
        ));
    }
    if let Some(failure) = chain::ssh_command(patient.places) {
        return Err(failure);
    }
    if git_config::entries(r"^core\.sshcommand$").is_empty() {
        return Err(Failure::user(
            "Git does not run ssh through Forgepass",
            "run `forgepass setup`",
        ));
    }
    Ok(Finding::Good("Git runs ssh through Forgepass".to_owned()))
}

/// Whether the agent comes up and listens.
pub(super) fn agent(patient: &Patient<'_>) -> Result<Finding> {
    match control::ask(patient.places, &Ask::Status)? {
        Some(Answer::Status(status)) => Ok(Finding::Good(format!(
            "process {} listens at {}",
            status.process,
            status.socket.display()
        ))),
        _ => Err(Failure::ours(
            "the agent does not tell how it is",
            "end it with `forgepass agent --stop`; the next command starts a new one",
        )),
    }
}

/// Major and minor of `2.39.5` and `9.2p1`.
fn number(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?;
    let digits = minor.len() - minor.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    Some((major, minor[..digits].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_versions_of_git_and_openssh() {
        assert_eq!(number("2.39.5"), Some((2, 39)));
        assert_eq!(number("2.47.3.windows.1"), Some((2, 47)));
        assert_eq!(number("9.2p1"), Some((9, 2)));
        assert_eq!(number("dropbear"), None);
    }
}
