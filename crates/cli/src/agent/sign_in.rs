//! The agent's sign-in: which server, with which token. Read again whenever the files change, so that
//! `login`, `logout` or a rotated token file take effect at once.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::locked;
use crate::failure::Result;
use crate::http::Server;
use crate::places::Places;
use crate::settings;

/// The current sign-in.
pub(super) struct SignIn {
    places: Places,
    current: Mutex<Option<(Stamp, Arc<Server>)>>,
}

/// What tells one version of the files from the next.
type Stamp = [Option<(u64, i64, i64)>; 2];

/// The server to ask, and whether it is another than before.
pub(super) enum Current {
    Same(Arc<Server>),
    Switched(Arc<Server>),
}

impl SignIn {
    pub(super) fn new(places: Places) -> Self {
        Self {
            places,
            current: Mutex::new(None),
        }
    }

    /// Forgets the server.
    pub(super) fn forget(&self) {
        *locked(&self.current) = None;
    }

    /// The server to ask.
    ///
    /// # Errors
    /// Not signed in, or the files cannot be used.
    pub(super) fn current(&self) -> Result<Current> {
        let stamp = self.stamp();
        let mut current = locked(&self.current);
        let before = current.take();
        if let Some((known, server)) = before.as_ref()
            && *known == stamp
        {
            let server = Arc::clone(server);
            *current = before;
            return Ok(Current::Same(server));
        }
        let server = Arc::new(Server::of_workspace(&self.places)?);
        *current = Some((stamp, Arc::clone(&server)));
        let switched = before.is_some_and(|(_, before)| !server.is_same_sign_in(&before));
        Ok(if switched {
            Current::Switched(server)
        } else {
            Current::Same(server)
        })
    }

    fn stamp(&self) -> Stamp {
        let of = |path: &Path| {
            fs::metadata(path)
                .ok()
                .map(|file| (file.ino(), file.mtime(), file.mtime_nsec()))
        };
        [
            of(&settings::token_file(&self.places)),
            of(&self.places.settings.join("config.json")),
        ]
    }
}
