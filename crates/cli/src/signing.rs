//! Commit signing: `forgepass-ssh-keygen`, Git's `gpg.ssh.program`, and `forgepass signing-key`, its
//! `gpg.ssh.defaultKeyCommand`.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ssh::public_key::PublicKey;

use crate::control::{self, Answer, Ask};
use crate::failure::{Failure, Result};
use crate::places::Places;
use crate::process;
use crate::say;
use crate::setup::git;
use crate::watch::{self, Watch};

/// Runs the stock ssh-keygen, with our agent's socket in its environment alone if it is to sign with one
/// of our keys. The user's own agent serves all else.
pub(crate) fn ssh_keygen(args: &[OsString]) -> ExitCode {
    match keygen(args) {
        Ok(code) => code,
        Err(failure) => {
            say::err(&failure);
            failure.exit_code()
        }
    }
}

fn keygen(args: &[OsString]) -> Result<ExitCode> {
    let program = process::find("ssh-keygen")?;
    let Some(key) = signing_key_of(args) else {
        return Err(process::become_plain(&program, args));
    };
    let places = Places::find()?;
    let question = Ask::Owns {
        key: STANDARD.encode(&key.blob),
    };
    match control::ask(&places, &question) {
        Ok(Some(Answer::Done)) => {}
        Ok(_) => return Err(process::become_plain(&program, args)),
        Err(failure) => {
            // The key may be another agent's.
            say::err(&failure);
            return Err(process::become_plain(&program, args));
        }
    }
    let watch = Watch::begin(&places);
    let mut command = Command::new(&program);
    command
        .args(args)
        .env("SSH_AUTH_SOCK", places.agent_socket());
    let status = process::run(&mut command, |child| {
        if let Some(watch) = &watch {
            watch.child(child);
        }
    })?;
    let heard = watch.map(Watch::end).unwrap_or_default();
    if let Some(notice) = heard.refused.filter(|_| !status.success()) {
        watch::explain(&notice);
    }
    Ok(process::exit_code(status))
}

/// The key of `-Y sign … -f FILE`, as Git calls it; none for everything else.
fn signing_key_of(args: &[OsString]) -> Option<PublicKey> {
    let signs = args
        .windows(2)
        .any(|pair| pair[0] == "-Y" && pair[1] == "sign");
    let file = args
        .windows(2)
        .find(|pair| pair[0] == "-f")
        .map(|pair| Path::new(&pair[1]))?;
    let text = signs.then(|| std::fs::read_to_string(file).ok())??;
    PublicKey::parse(text.lines().next()?).ok()
}

/// Prints the key to sign with in this repository, as gpg.ssh.defaultKeyCommand wants it.
///
/// # Errors
/// Not signed in, or no key.
pub(crate) fn print_key() -> Result<()> {
    let places = Places::find()?;
    match control::ask(&places, &Ask::SigningKey { remotes: remotes() })? {
        Some(Answer::Key { line }) => {
            say::out(format_args!("key::{line}"));
            Ok(())
        }
        Some(Answer::Refused { what, hint }) => Err(Failure::user(what, hint)),
        _ => Err(Failure::user(
            "this machine is not signed in to Forgepass",
            "run `forgepass login`, or set user.signingKey to a key of your own",
        )),
    }
}

/// The remotes' URLs: where the branch pushes first, then `origin`, then the others.
fn remotes() -> Vec<String> {
    let listed = git::output(Command::new("git").args(["remote", "-v"])).unwrap_or_default();
    let mut remotes: Vec<(&str, &str)> = listed
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, rest)| {
            (
                name,
                rest.rsplit_once(" (").map_or(rest, |(url, _kind)| url),
            )
        })
        .collect();
    // One remote needs no choice.
    let own = if remotes
        .iter()
        .any(|(name, _)| Some(*name) != remotes.first().map(|(name, _)| *name))
    {
        branch_remote()
    } else {
        None
    };
    remotes.sort_by_key(|(name, _)| (own.as_deref() != Some(*name), *name != "origin"));
    let mut urls: Vec<String> = remotes.into_iter().map(|(_, url)| url.to_owned()).collect();
    urls.dedup();
    urls
}

fn branch_remote() -> Option<String> {
    let branch =
        git::output(Command::new("git").args(["symbolic-ref", "--quiet", "--short", "HEAD"]))?;
    let key = |name: &str| format!("branch.{}.{name}", branch.trim());
    let value = |key: String| git::output(Command::new("git").args(["config", "--get", &key]));
    let remote = value(key("pushRemote"))
        .or_else(|| value("remote.pushDefault".to_owned()))
        .or_else(|| value(key("remote")))?;
    Some(remote.trim().to_owned())
}
