//! `forgepass`, the command line of Forgepass: credential helper, SSH agent and SSH wrapper for Git, and
//! the commands that sign this machine in and set Git up.
//!
//! What Git calls a hundred times a day is told apart before any argument parser, settings file or TLS
//! library is touched: it asks the agent over a Unix socket and prints the answer.

mod agent;
mod arguments;
mod clock;
mod commands;
mod control;
pub mod credential;
mod doctor;
mod env;
mod failure;
mod http;
mod machine;
mod matching;
#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
mod names;
mod places;
mod process;
mod say;
mod settings;
mod setup;
mod signing;
mod ssh_args;
mod ssh_command;
mod watch;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::credential::helper::{self, Chain};
use crate::failure::{Failure, Result};

/// Runs the program under the name and with the arguments that it was called by.
pub fn run(args: Vec<OsString>) -> ExitCode {
    let name = args
        .first()
        .map(Path::new)
        .and_then(Path::file_name)
        .and_then(OsStr::to_str);
    let rest = args.get(1..).unwrap_or_default();
    match name {
        Some("ssh") => return ssh_command::run(rest),
        Some("forgepass-ssh-keygen") => return signing::ssh_keygen(rest),
        _ => {}
    }
    let words: Vec<Option<&str>> = rest.iter().map(|word| word.to_str()).collect();
    match words.as_slice() {
        [Some("credential"), Some("--beside-others"), Some(operation)] => {
            helper::run(operation, Chain::Shared)
        }
        [Some("credential"), Some(operation)] if !operation.starts_with('-') => {
            helper::run(operation, Chain::Ours)
        }
        [Some("ssh"), ..] => ssh_command::run(&rest[1..]),
        _ => arguments::run(args),
    }
}

/// Where this program is. After an upgrade the system calls the running one deleted; its place is meant.
fn program() -> Result<PathBuf> {
    let path = std::env::current_exe().map_err(|error| {
        Failure::ours(
            format!("cannot tell where this program is: {error}"),
            "report this",
        )
    })?;
    let text = path.to_string_lossy();
    Ok(text
        .strip_suffix(" (deleted)")
        .map(PathBuf::from)
        .unwrap_or(path))
}
