//! One line in the user's Git configuration that includes ours, and its removal to the byte.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{git, render};
use crate::env;
use crate::failure::{Failure, Result};

/// How our line is told from the user's own.
const MARK: &str = "# added by forgepass setup";
/// The same, where we had to end the user's last line first.
const MARK_BREAK: &str = "# added by forgepass setup, with the line break before it";
/// The same, where we made the file.
const MARK_FILE: &str = "# added by forgepass setup, with this file";

/// What [`remove`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    Line,
    Nothing,
}

/// The file that `git config --global` writes: `GIT_CONFIG_GLOBAL`, else `~/.gitconfig`, else (where only
/// that exists) `$XDG_CONFIG_HOME/git/config`.
///
/// # Errors
/// No home folder.
pub(crate) fn user_file() -> Result<PathBuf> {
    if let Some(path) = env::path("GIT_CONFIG_GLOBAL") {
        return Ok(path);
    }
    let home = env::home().ok_or_else(|| Failure::user("there is no home folder", "set HOME"))?;
    let first = home.join(".gitconfig");
    let second = env::path("XDG_CONFIG_HOME")
        .unwrap_or_else(|| home.join(".config"))
        .join("git/config");
    Ok(if !first.exists() && second.exists() {
        second
    } else {
        first
    })
}

/// Our line, without marks.
pub(crate) fn line(included: &Path) -> String {
    format!(
        "[include] path = {}",
        render::quoted(&included.to_string_lossy())
    )
}

/// Adds our line as the last of `file`; moves it there if it stands elsewhere.
///
/// # Errors
/// The file cannot be read or written, or its end is such that Git would not read our line.
pub(crate) fn add(file: &Path, included: &Path) -> Result<()> {
    let file = &real(file);
    let before = read(file)?;
    let clean = without(before.as_deref().unwrap_or_default(), included);
    // A file that we made stays ours while our line is the only one in it.
    let made = before.is_none() || (clean.is_empty() && before.as_deref().is_some_and(made_by_us));
    let after = with(&clean, included, made.then_some(()));
    if before.as_deref() == Some(after.as_slice()) {
        return Ok(());
    }
    replace(file, &after, |fresh| check(fresh, included))
}

/// Takes our line out of `file`. A file that we made and that holds nothing else goes too.
///
/// # Errors
/// The file cannot be read or written.
pub(crate) fn remove(file: &Path, included: &Path) -> Result<Removed> {
    let file = &real(file);
    let Some(before) = read(file)? else {
        return Ok(Removed::Nothing);
    };
    let after = without(&before, included);
    if after == before {
        return Ok(Removed::Nothing);
    }
    if after.is_empty() && made_by_us(&before) {
        fs::remove_file(file).map_err(|error| Failure::file("remove", file, &error))?;
    } else {
        replace(file, &after, |_| Ok(()))?;
    }
    Ok(Removed::Line)
}

/// Follows symbolic links, so that a dotfiles folder keeps its link.
fn real(file: &Path) -> PathBuf {
    fs::canonicalize(file).unwrap_or_else(|_| file.to_owned())
}

fn read(file: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(file) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::file("read", file, &error)),
    }
}

fn made_by_us(content: &[u8]) -> bool {
    content.trim_ascii_end().ends_with(MARK_FILE.as_bytes())
}

/// `content` and our line. `made`: we make the file.
fn with(content: &[u8], included: &Path, made: Option<()>) -> Vec<u8> {
    let open_end = content.last().is_some_and(|last| *last != b'\n');
    let mark = match (made, open_end) {
        (Some(()), _) => MARK_FILE,
        (None, true) => MARK_BREAK,
        (None, false) => MARK,
    };
    let mut after = content.to_vec();
    if open_end {
        after.push(b'\n');
    }
    after.extend_from_slice(format!("{} {mark}\n", line(included)).as_bytes());
    after
}

/// `content` without our lines, to the byte as it was before them.
fn without(content: &[u8], included: &Path) -> Vec<u8> {
    let line = line(included);
    let mut after: Vec<u8> = Vec::with_capacity(content.len());
    for one in content.split_inclusive(|byte| *byte == b'\n') {
        let text = one.trim_ascii_end();
        let mark = text
            .strip_prefix(line.as_bytes())
            .map(<[u8]>::trim_ascii_start);
        match mark {
            Some(mark) if mark == MARK.as_bytes() || mark == MARK_FILE.as_bytes() => {}
            Some(mark) if mark == MARK_BREAK.as_bytes() => {
                // What the user added after our line needs the break that we made.
                let more = !content.ends_with(one);
                if !more && after.last() == Some(&b'\n') {
                    after.pop();
                }
            }
            _ => after.extend_from_slice(one),
        }
    }
    after
}

/// Writes `file` as Git does: under its lock, whole or not at all, with its old permissions.
fn replace(file: &Path, content: &[u8], check: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let failed = |error: &std::io::Error| Failure::file("write", file, error);
    let mut lock = file.as_os_str().to_owned();
    lock.push(".lock");
    let lock = PathBuf::from(lock);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    }
    let open = File::options()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&lock);
    let mut fresh = open.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::user(
            format!(
                "{} exists: another program is changing Git's configuration",
                lock.display()
            ),
            "try again, or remove the file if nothing else runs",
        ),
        _ => failed(&error),
    })?;
    let mode = fs::metadata(file).map_or(0o644, |old| old.permissions().mode() & 0o7777);
    let written = fresh
        .set_permissions(fs::Permissions::from_mode(mode))
        .and_then(|()| fresh.write_all(content))
        .map_err(|error| failed(&error))
        .and_then(|()| check(&lock))
        .and_then(|()| fs::rename(&lock, file).map_err(|error| failed(&error)));
    if written.is_err() {
        let _ = fs::remove_file(&lock);
    }
    written
}

/// Whether Git finds our line in `file`: after an unfinished line it would not.
fn check(file: &Path, included: &Path) -> Result<()> {
    let mut git = Command::new("git");
    git.args(["config", "-z", "--no-includes", "--file"])
        .arg(file);
    git.args(["--get-all", "include.path"]);
    let paths = git::output(&mut git).unwrap_or_default();
    if paths.split('\0').any(|path| Path::new(path) == included) {
        return Ok(());
    }
    Err(Failure::user(
        "Git does not read the line that includes Forgepass's settings",
        format!(
            "check that git runs and that your Git configuration is whole, or add this line yourself: {}",
            line(included)
        ),
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OURS: &str = "/home/ann/.local/share/forgepass/gitconfig";

    #[test]
    fn our_line_is_the_last_however_often_it_is_added() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".gitconfig");
        fs::write(&file, "[user]\n\tname = Ann\n").unwrap();
        add(&file, Path::new(OURS)).unwrap();
        let mut text = fs::read_to_string(&file).unwrap();
        text.push_str("[alias]\n\tco = checkout\n");
        fs::write(&file, &text).unwrap();
        add(&file, Path::new(OURS)).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text.matches("forgepass/gitconfig").count(), 1);
        assert!(
            text.lines()
                .last()
                .unwrap()
                .starts_with("[include] path = \"/home/ann")
        );
    }

    #[test]
    fn a_file_that_was_not_there_is_gone_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".gitconfig");
        add(&file, Path::new(OURS)).unwrap();
        add(&file, Path::new(OURS)).unwrap();
        assert_eq!(remove(&file, Path::new(OURS)).unwrap(), Removed::Line);
        assert!(!file.exists());
    }

    #[test]
    fn a_link_into_a_dotfiles_folder_stays_a_link_and_permissions_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (file, target) = (
            folder.path().join(".gitconfig"),
            folder.path().join("dotfiles"),
        );
        fs::write(&target, "[user]\n\tname = Ann").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&target, &file).unwrap();
        add(&file, Path::new(OURS)).unwrap();
        assert!(fs::symlink_metadata(&file).unwrap().is_symlink());
        assert_eq!(
            fs::metadata(&target).unwrap().permissions().mode() & 0o777,
            0o600
        );
        remove(&file, Path::new(OURS)).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"[user]\n\tname = Ann");
    }

    #[test]
    fn refuses_a_file_whose_last_line_would_swallow_ours() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".gitconfig");
        fs::write(&file, "[user]\n\tname = Ann \\").unwrap();
        assert!(add(&file, Path::new(OURS)).is_err());
        assert_eq!(fs::read(&file).unwrap(), b"[user]\n\tname = Ann \\");
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no lock stays behind"
        );
    }

    proptest! {
        #[test]
        fn removing_restores_every_byte(content in prop::collection::vec(any::<u8>(), 0..200)) {
            let after = with(&content, Path::new(OURS), None);
            prop_assert_eq!(without(&after, Path::new(OURS)), content);
        }

        #[test]
        fn removing_keeps_what_the_user_added_later(before in "[a-z\\[\\]=\n\t ]{0,60}", later in "[a-z]{1,20}\n") {
            let mut text = with(before.as_bytes(), Path::new(OURS), None);
            text.extend_from_slice(later.as_bytes());
            let rest = without(&text, Path::new(OURS));
            let mut wanted = before.into_bytes();
            if wanted.last().is_some_and(|last| *last != b'\n') {
                wanted.push(b'\n');
            }
            wanted.extend_from_slice(later.as_bytes());
            prop_assert_eq!(rest, wanted);
        }
    }
}
