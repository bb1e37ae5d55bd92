//! `forgepass setup --system`: for an image, before anybody has signed in. It names no host.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Action, Signing, files, git, include, render};
use crate::env;
use crate::failure::{Failure, Result};
use crate::say;

/// Where our files for every user lie by default.
pub(crate) const FOLDER: &str = "/usr/local/share/forgepass";

/// Writes, shows or removes the system-wide set-up.
///
/// # Errors
/// Files that cannot be written, or a helper of this user's own that would be given our tokens.
pub(super) fn run(folder: &Path, action: Action, signing: Option<Signing>) -> Result<()> {
    if folder.file_name().is_none_or(|name| name != "forgepass") || !folder.is_absolute() {
        return Err(Failure::usage(
            format!(
                "{} is not an absolute path that ends in `forgepass`",
                folder.display()
            ),
            format!("use {FOLDER}"),
        ));
    }
    let file = system_file()?;
    let included = folder.join("gitconfig");
    if action == Action::Undo {
        include::remove(&file, &included)?;
        files::remove(folder)?;
        say::out("Git no longer asks Forgepass for the users of this machine.");
        return Ok(());
    }
    let text = render::system_text(&crate::program()?, folder, signing.unwrap_or(Signing::Off));
    if action == Action::Print {
        let line = include::line(&included);
        say::out(format_args!("# {}, last line\n{line}\n", file.display()));
        say::out(format_args!(
            "# {}\n{}",
            included.display(),
            text.trim_end()
        ));
        return Ok(());
    }
    refuse_others()?;
    files::link(folder)?;
    fs::write(&included, text)
        .and_then(|()| fs::set_permissions(&included, fs::Permissions::from_mode(0o644)))
        .map_err(|error| Failure::file("write", &included, &error))?;
    include::add(&file, &included)?;
    say::out("Git now asks Forgepass for every user of this machine who signs in.");
    Ok(())
}

/// A helper in this user's own configuration follows the system's and would be given our tokens.
fn refuse_others() -> Result<()> {
    let entries = git::entries(r"^credential\.helper$");
    let other = entries
        .iter()
        .find(|entry| !entry.value.is_empty() && !super::is_our_helper(&entry.value));
    let Some(other) = other else { return Ok(()) };
    Err(Failure::user(
        format!(
            "the credential helper `{}` would be given Forgepass's tokens ({})",
            other.value, other.origin
        ),
        "remove it first, or run `forgepass setup` without --system after signing in, which takes the linked hosts out of its hands",
    ))
}

/// The file that `git config --system` writes.
fn system_file() -> Result<PathBuf> {
    if let Some(path) = env::path("GIT_CONFIG_SYSTEM") {
        return Ok(path);
    }
    let known = git::output(Command::new("git").args(["var", "GIT_CONFIG_SYSTEM"]));
    // Git before 2.41 does not tell; its editor is given the path.
    let known = known.or_else(|| {
        git::output(
            Command::new("git")
                .args(["config", "--system", "--edit"])
                .env("GIT_EDITOR", "echo"),
        )
    });
    let path = known.and_then(|text| text.lines().next().map(PathBuf::from));
    path.filter(|path| path.is_absolute()).ok_or_else(|| {
        Failure::user(
            "Git does not tell where its system-wide configuration is",
            "check that git is installed",
        )
    })
}
