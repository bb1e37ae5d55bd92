//! The random id of this machine, which makes a copied workspace token tell on itself.
//!
//! It lies outside HOME, so that a home folder which is copied, shared or baked into an image does not
//! take it along.

use std::fs::{self, DirBuilder, File};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::env;
use crate::failure::{Failure, Result};
use crate::places::me;

/// This machine's id for this user, made on first use.
///
/// # Errors
/// Neither `/var/tmp` nor the temporary folder can keep it.
pub(crate) fn id() -> Result<String> {
    let folders = [PathBuf::from("/var/tmp"), env::temp()];
    let mut last = None;
    for folder in folders.map(|folder| folder.join(format!("forgepass-{}", me()))) {
        match read_or_make(&folder) {
            Ok(id) => return Ok(id),
            Err(error) => last = Some(Failure::file("keep this machine's id in", &folder, &error)),
        }
    }
    Err(last.unwrap_or_else(|| Failure::ours("this machine's id has no place", "set TMPDIR")))
}

fn read_or_make(folder: &Path) -> std::io::Result<String> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(folder)?;
    if !found.is_dir() || found.uid() != me() || found.mode() & 0o077 != 0 {
        return Err(std::io::ErrorKind::PermissionDenied.into());
    }
    let path = folder.join("machine");
    if let Some(id) = read(&path)? {
        return Ok(id);
    }
    make(folder, &path)?;
    read(&path)?.ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}

fn read(path: &Path) -> std::io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(id) if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(Some(id)),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes the id. The hard link lets one of several processes win, and none reads a half-written file.
fn make(folder: &Path, path: &Path) -> std::io::Result<()> {
    let mut random = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let fresh = folder.join(format!("machine.{}.new", std::process::id()));
    let _ = fs::remove_file(&fresh);
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)?
        .write_all(id.as_bytes())?;
    if fs::hard_link(&fresh, path).is_err() && read(path)?.is_none() {
        // A damaged file, or a file system without hard links.
        return fs::rename(&fresh, path);
    }
    fs::remove_file(&fresh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_the_same_once_made() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("forgepass");
        let first = read_or_make(&inside).unwrap();
        assert_eq!(read_or_make(&inside).unwrap(), first);
        assert_eq!(
            fs::metadata(inside.join("machine")).unwrap().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn refuses_a_folder_that_others_may_enter() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("forgepass");
        DirBuilder::new().mode(0o755).create(&inside).unwrap();
        assert!(read_or_make(&inside).is_err());
    }
}
