//! `forgepass setup`: makes Git ask us, and `--undo` makes it forget us again.

pub(crate) mod chain;
pub(crate) mod files;
pub(crate) mod git;
mod identity;
pub(crate) mod include;
pub(crate) mod render;
mod system;

pub(crate) use system::FOLDER as SYSTEM_FOLDER;

use std::path::{Path, PathBuf};

use api::Setup;

use crate::control::{self, Answer, Ask};
use crate::failure::{Failure, Result};
use crate::places::Places;
use crate::say;
use crate::settings::{Settings, SetupChoice};

/// What `forgepass setup` was asked for.
pub(crate) struct Options {
    /// What to do.
    pub(crate) action: Action,
    /// Whether to sign commits; none keeps what was chosen before.
    pub(crate) signing: Option<Signing>,
    /// Whose Git.
    pub(crate) scope: Scope,
}

/// What `forgepass setup` does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Writes Git's configuration.
    Write,
    /// Shows what would be written.
    Print,
    /// Restores the user's file.
    Undo,
}

/// Whether commits and tags are signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signing {
    On,
    Off,
}

/// Whose Git is set up.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// This user's.
    User,
    /// Every user's on this machine, with our files in this folder.
    System(PathBuf),
}

/// Runs `forgepass setup`.
///
/// # Errors
/// Not signed in (for this user's Git), files that cannot be written, or a credential helper that would
/// write our tokens to disk.
pub(crate) fn run(options: &Options) -> Result<()> {
    match (&options.scope, options.action) {
        (Scope::System(folder), action) => system::run(folder, action, options.signing),
        (Scope::User, Action::Undo) => undo(),
        (Scope::User, action) => write(action, options.signing),
    }
}

fn write(action: Action, signing: Option<Signing>) -> Result<()> {
    let places = Places::find()?;
    let mut settings = Settings::load(&places)?;
    let setup = ask_setup(&places)?;
    let choice = choose(&places, &settings, signing);
    let file = include::user_file()?;
    let line = include::line(&places.files.join("gitconfig"));
    if action == Action::Print {
        say::out(format_args!("# {}, last line\n{line}\n", file.display()));
        say::out(format_args!(
            "# {}",
            places.files.join("gitconfig").display()
        ));
        say::out(files::config(&places, &setup, &choice, &settings)?.trim_end());
        return Ok(());
    }
    settings.setup = Some(choice);
    settings.save(&places)?;
    files::write(&places, &setup, &settings)?;
    include::add(&file, &places.files.join("gitconfig"))?;
    if let Err(failure) = refuse_others(&setup) {
        include::remove(&file, &places.files.join("gitconfig"))?;
        return Err(failure);
    }
    say::out(format_args!(
        "Git now asks Forgepass for {}.",
        names(&setup)
    ));
    for warning in chain::warnings(&places, &setup) {
        say::err(&warning);
    }
    Ok(())
}

/// Asks the agent for fresh set-up data.
///
/// # Errors
/// Not signed in, or the server does not answer.
pub(crate) fn ask_setup(places: &Places) -> Result<Setup> {
    match control::ask(places, &Ask::Refresh)? {
        Some(Answer::Setup(setup)) => Ok(*setup),
        Some(Answer::Refused { what, hint }) => Err(Failure::user(what, hint)),
        _ => Err(Failure::user(
            "this machine is not signed in to Forgepass",
            "run `forgepass login ADDRESS`; in a container image, `forgepass setup --system` needs no sign-in",
        )),
    }
}

fn choose(places: &Places, settings: &Settings, signing: Option<Signing>) -> SetupChoice {
    let before = settings.setup.clone().unwrap_or_default();
    let has = |key: &str| git::value_of_others(places, key).is_some();
    SetupChoice {
        sign: signing.map_or(before.sign, |signing| signing == Signing::On),
        give_name: !has("user.name"),
        give_email: !has("user.email"),
        ssh_command: git::value_of_others(places, "core.sshCommand"),
    }
}

/// Refuses where another helper is told about our tokens: `store` would write them to disk.
fn refuse_others(setup: &Setup) -> Result<()> {
    let Some(other) = chain::others(setup).into_iter().next() else {
        return Ok(());
    };
    Err(Failure::user(
        format!(
            "the credential helper `{}` would be given Forgepass's tokens ({})",
            other.helper, other.origin
        ),
        "remove that helper for these hosts, then run `forgepass setup` again; nothing was changed",
    ))
}

fn names(setup: &Setup) -> String {
    let linked = |provider: &&api::SetupProvider| !provider.links.is_empty();
    let names: Vec<&str> = setup
        .providers
        .iter()
        .filter(linked)
        .map(|provider| provider.name.as_str())
        .collect();
    match names.as_slice() {
        [] => "every provider once you link an account there".to_owned(),
        names => names.join(", "),
    }
}

/// Restores the user's file byte for byte and removes ours.
///
/// # Errors
/// A file that cannot be written.
pub(crate) fn undo() -> Result<()> {
    let places = Places::find()?;
    let removed = include::remove(&include::user_file()?, &places.files.join("gitconfig"))?;
    let mut settings = Settings::load(&places)?;
    if settings.setup.take().is_some() {
        settings.save(&places)?;
    }
    files::remove(&places.files)?;
    say::out(match removed {
        include::Removed::Line => "Git no longer asks Forgepass.",
        include::Removed::Nothing => "Git did not ask Forgepass; nothing was changed.",
    });
    Ok(())
}

/// Whether `value`, a credential helper in Git's configuration, is ours.
pub(crate) fn is_our_helper(value: &str) -> bool {
    // Ours by its words, not by its path: another version may have written it.
    let words = value.strip_prefix('!').unwrap_or(value);
    let Some((program, rest)) = words.rsplit_once(" credential") else {
        return false;
    };
    let name = Path::new(program.trim_matches('\'')).file_name();
    name.is_some_and(|name| name == "forgepass") && matches!(rest, "" | " --beside-others")
}
