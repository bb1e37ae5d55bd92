//! Asks the installed Git about its configuration.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::places::Places;

/// One setting, where it stands and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Such as `file:/home/ann/.gitconfig` or `command line:`.
    pub(crate) origin: String,
    /// Section and name in lower case, subsection as written.
    pub(crate) key: String,
    /// The value; empty for one that is only named.
    pub(crate) value: String,
}

/// Git's settings whose key matches an extended regular expression, in the order in which Git reads them.
/// Empty without Git.
pub(crate) fn entries(pattern: &str) -> Vec<Entry> {
    let text = output(Command::new("git").args([
        "config",
        "-z",
        "--show-origin",
        "--get-regexp",
        pattern,
    ]));
    parse(&text.unwrap_or_default())
}

/// The value in force of `key`, unless it stands in a file of ours: what Git would use without us.
/// Settings of the repository that we happen to stand in, and of the environment, do not count.
pub(crate) fn value_of_others(places: &Places, key: &str) -> Option<String> {
    let above = places.files.parent().unwrap_or(Path::new("/"));
    let mut git = Command::new("git");
    git.args(["config", "-z", "--show-origin", "--get-all", key]);
    git.current_dir(above)
        .env("GIT_CEILING_DIRECTORIES", above.parent().unwrap_or(above));
    git.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE");
    let text = output(&mut git)?;
    let mut fields = text.split('\0');
    let mut last = None;
    while let (Some(origin), Some(value)) = (fields.next(), fields.next()) {
        if !is_ours(origin) && !origin.starts_with("command line:") {
            last = Some(value.to_owned());
        }
    }
    last.filter(|value| !value.is_empty())
}

/// Whether a setting stands in the file we wrote.
pub(crate) fn is_ours(origin: &str) -> bool {
    origin
        .strip_prefix("file:")
        .is_some_and(|path| path.ends_with("forgepass/gitconfig"))
}

/// What Git prints; none if it fails, which for `config` also means that there is no such setting.
pub(crate) fn output(git: &mut Command) -> Option<String> {
    let out = git
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    out.status
        .success()
        .then(|| String::from_utf8_lossy(&out.stdout).into_owned())
}

fn parse(text: &str) -> Vec<Entry> {
    let mut fields = text.split('\0');
    let mut entries = Vec::new();
    while let (Some(origin), Some(setting)) = (fields.next(), fields.next()) {
        let (key, value) = setting.split_once('\n').unwrap_or((setting, ""));
        entries.push(Entry {
            origin: origin.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
        });
    }
    entries
}
