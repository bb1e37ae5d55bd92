//! Where things live: settings and token, the files that Git includes, and the sockets.
//!
//! Sockets and what changes with the set-up live in the runtime folder, never in HOME, which may be
//! shared between machines or kept in an image.

use std::fs::{self, DirBuilder};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::env;
use crate::failure::{Failure, Result};

/// The longest path of a Unix socket that every system takes, with room for the file's name.
const SOCKET_FOLDER_MAX: usize = 85;

/// The folders of one user and one sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    /// Settings and token: `$XDG_CONFIG_HOME/forgepass`.
    pub(crate) settings: PathBuf,
    /// What Git includes, and the links by which Git calls us: `$XDG_DATA_HOME/forgepass`. Its last part is
    /// `forgepass`, so that Git sees a command named `…/forgepass/ssh`.
    pub(crate) files: PathBuf,
    /// Sockets, public keys, pinned host keys.
    pub(crate) runtime: PathBuf,
}

impl Places {
    /// Reads the environment. Touches no file.
    ///
    /// # Errors
    /// No home folder.
    pub(crate) fn find() -> Result<Self> {
        let home = env::home();
        let below_home = |variable: &str, below: &str| {
            env::path(variable)
                .or_else(|| home.as_ref().map(|home| home.join(below)))
                .ok_or_else(|| {
                    Failure::user("there is no home folder", format!("set HOME or {variable}"))
                })
        };
        let settings = below_home("XDG_CONFIG_HOME", ".config")?.join("forgepass");
        let files = below_home("XDG_DATA_HOME", ".local/share")?.join("forgepass");
        let runtime = runtime_folder(&settings);
        Ok(Self {
            settings,
            files,
            runtime,
        })
    }

    /// The socket for credentials, set-up data and messages.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.runtime.join("control.sock")
    }

    /// The socket that speaks the SSH agent protocol.
    pub(crate) fn agent_socket(&self) -> PathBuf {
        self.runtime.join("agent.sock")
    }

    /// Held by the running agent.
    pub(crate) fn lock(&self) -> PathBuf {
        self.runtime.join("agent.lock")
    }

    /// The token that `login` wrote.
    pub(crate) fn token(&self) -> PathBuf {
        self.settings.join("token")
    }

    /// Checks that the runtime folder is this user's alone.
    ///
    /// # Errors
    /// It is missing, is a link, belongs to somebody else, or others may enter it.
    pub(crate) fn check_runtime(&self) -> std::io::Result<()> {
        let folder = fs::symlink_metadata(&self.runtime)?;
        let private = folder.is_dir() && folder.uid() == me() && folder.mode() & 0o077 == 0;
        if private {
            Ok(())
        } else {
            Err(std::io::ErrorKind::PermissionDenied.into())
        }
    }

    /// Makes the runtime folder where it is missing, and checks it.
    ///
    /// # Errors
    /// Somebody else made it, or it cannot be made.
    pub(crate) fn make_runtime(&self) -> Result<()> {
        let mut missing: Vec<&Path> = self
            .runtime
            .ancestors()
            .take_while(|folder| fs::symlink_metadata(folder).is_err())
            .collect();
        while let Some(folder) = missing.pop() {
            match DirBuilder::new().mode(0o700).create(folder) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(Failure::file("make", folder, &error));
                }
                _ => {}
            }
        }
        self.check_runtime().map_err(|_| {
            Failure::user(
                format!(
                    "{} is not a folder that only you can enter",
                    self.runtime.display()
                ),
                "remove it, or set XDG_RUNTIME_DIR to a folder of your own with mode 0700",
            )
        })
    }
}

/// The user id of this process.
pub(crate) fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// `$XDG_RUNTIME_DIR/forgepass`, else a folder of this user in the temporary folder.
///
/// Another sign-in (by environment, or another settings folder without a runtime folder of its own) has
/// an agent of its own in a folder below, so that no credential crosses from one to the other.
fn runtime_folder(settings: &Path) -> PathBuf {
    let by_environment = [env::URL, env::TOKEN_FILE].map(env::raw);
    let mut identity = Vec::new();
    for value in by_environment.iter().flatten() {
        identity.extend_from_slice(value.as_bytes());
        identity.push(0);
    }
    // After `su` or `sudo -E` it is another user's, and not for us (XDG base directory specification).
    let own = env::path("XDG_RUNTIME_DIR")
        .filter(|folder| fs::metadata(folder).is_ok_and(|folder| folder.uid() == me()));
    if let Some(folder) = own.map(|folder| folder.join("forgepass")) {
        let folder = if identity.is_empty() {
            folder
        } else {
            folder.join(short_hash(&identity))
        };
        if folder.as_os_str().len() <= SOCKET_FOLDER_MAX {
            return folder;
        }
        identity.extend_from_slice(folder.as_os_str().as_bytes());
    }
    identity.extend_from_slice(settings.as_os_str().as_bytes());
    env::temp()
        .join(format!("forgepass-{}", me()))
        .join(short_hash(&identity))
}

/// Eight characters that tell inputs apart (FNV-1a). Not for secrets.
pub(crate) fn short_hash(input: &[u8]) -> String {
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{:08x}", (hash >> 32) ^ (hash & 0xffff_ffff))
}

/// Writes a file whole or not at all, for this user alone (mode 0600).
///
/// # Errors
/// Whatever the file system answers.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = folder.join(name);
    let write = || {
        DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(folder)?;
        let _ = fs::remove_file(&fresh);
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(content)?;
        fs::rename(&fresh, path)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&fresh);
        Failure::file("write", path, &error)
    })
}

/// Like [`write_private`], but leaves a file alone that already has the content.
///
/// # Errors
/// Whatever the file system answers.
pub(crate) fn keep_private(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    write_private(path, content)
}
