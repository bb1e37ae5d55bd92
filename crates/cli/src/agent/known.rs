//! The set-up data as last heard from the server: which hosts are ours, with which keys.
//!
//! A copy lies beside the files that Git includes (nothing in it is secret), so that after a restart
//! without a server it is still known which hosts have a link.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api::Setup;
use serde::{Deserialize, Serialize};

use super::locked;
use crate::failure::Result;
use crate::http::{CallError, Server};
use crate::places::{self, Places};
use crate::setup;

/// A server that was away is not asked again for so long.
const PAUSE: Duration = Duration::from_secs(1);

/// The set-up data.
pub(super) struct Known {
    places: Places,
    state: Mutex<State>,
    /// Held while asking, so that many questions at once make one request.
    asking: Mutex<()>,
}

#[derive(Default)]
struct State {
    setup: Option<Arc<Setup>>,
    heard: Option<Instant>,
    failed: Option<Instant>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    url: String,
    setup: Setup,
}

impl Known {
    pub(super) fn new(places: Places) -> Self {
        Self {
            places,
            state: Mutex::new(State::default()),
            asking: Mutex::new(()),
        }
    }

    /// What is known, whatever its age. Reads the kept copy on first use.
    pub(super) fn last(&self, url: &str) -> Option<Arc<Setup>> {
        let mut state = locked(&self.state);
        if state.setup.is_none() && state.heard.is_none() {
            state.setup = self.copy_of(|kept| kept == url).map(Arc::new);
        }
        state.setup.clone()
    }

    /// What is known while there is no sign-in to ask with.
    pub(super) fn without_server(&self) -> Option<Arc<Setup>> {
        let state = locked(&self.state);
        state
            .setup
            .clone()
            .or_else(|| self.copy_of(|_| true).map(Arc::new))
    }

    /// What is known and no older than `age`, asking the server if need be; an older version where the
    /// server does not answer.
    pub(super) fn within(&self, age: Duration, server: &Server) -> Option<Arc<Setup>> {
        let asked = Instant::now();
        if !self.is_fresh(age) {
            let _one_at_a_time = locked(&self.asking);
            let waited = self.state_is_newer_than(asked);
            if !waited && !self.is_fresh(age) {
                let _ = self.refresh(server);
            }
        }
        self.last(server.url())
    }

    /// Asks the server now.
    ///
    /// # Errors
    /// The server's, or the files cannot be written.
    pub(super) fn refresh(&self, server: &Server) -> Result<Arc<Setup>> {
        let known = self.last(server.url());
        let version = known.as_ref().map(|setup| setup.version.as_str());
        match server.setup(version) {
            Ok(answer) => self.learn(server.url(), known, answer),
            Err(error) => {
                let mut state = locked(&self.state);
                state.failed = Some(Instant::now());
                if matches!(error, CallError::Problem(_)) && !error.is_transient() {
                    // Signed out: what was known may no longer be so. It still tells which hosts were ours.
                    state.heard = None;
                }
                Err(error.into())
            }
        }
    }

    /// Forgets everything; the kept copy too.
    pub(super) fn forget(&self) {
        *locked(&self.state) = State::default();
        let _ = fs::remove_file(self.copy());
    }

    fn learn(
        &self,
        url: &str,
        known: Option<Arc<Setup>>,
        answer: Option<Setup>,
    ) -> Result<Arc<Setup>> {
        let (setup, changed) = match (answer, known) {
            (Some(setup), known) => {
                let changed = known.is_none_or(|known| *known != setup);
                (Arc::new(setup), changed)
            }
            (None, Some(known)) => (known, false),
            (None, None) => {
                return Err(CallError::Broken(format!("{url} sent no set-up data")).into());
            }
        };
        {
            let mut state = locked(&self.state);
            state.setup = Some(Arc::clone(&setup));
            state.heard = Some(Instant::now());
            state.failed = None;
        }
        if changed {
            let kept = Kept {
                url: url.to_owned(),
                setup: Setup::clone(&setup),
            };
            if let Ok(text) = serde_json::to_vec(&kept) {
                places::write_private(&self.copy(), &text)?;
            }
        }
        setup::files::refresh(&self.places, &setup)?;
        Ok(setup)
    }

    fn is_fresh(&self, age: Duration) -> bool {
        let state = locked(&self.state);
        let young = |at: &Instant, age| at.elapsed() < age;
        state.heard.is_some_and(|at| young(&at, age))
            || state.failed.is_some_and(|at| young(&at, PAUSE))
    }

    fn state_is_newer_than(&self, asked: Instant) -> bool {
        let state = locked(&self.state);
        [state.heard, state.failed]
            .into_iter()
            .flatten()
            .any(|at| at > asked)
    }

    fn copy(&self) -> std::path::PathBuf {
        self.places.files.join("setup.json")
    }

    fn copy_of(&self, is_wanted: impl Fn(&str) -> bool) -> Option<Setup> {
        let kept: Kept = serde_json::from_slice(&fs::read(self.copy()).ok()?).ok()?;
        is_wanted(&kept.url).then_some(kept.setup)
    }
}
