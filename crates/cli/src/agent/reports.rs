//! How credentials fared, gathered and sent to the server in batches.

use std::collections::HashMap;
use std::sync::Mutex;

use api::{Report, Use, UseOutcome};

use super::locked;
use crate::clock;
use crate::http::Server;

/// The server takes no more at once.
const BATCH: usize = 1000;

/// What has not been reported yet.
#[derive(Default)]
pub(super) struct Reports {
    waiting: Mutex<HashMap<(Outcome, String), (i64, i64)>>,
}

/// [`UseOutcome`] as a map's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    Accepted,
    Refused,
    CacheHit,
}

impl Reports {
    /// Notes one use of a token.
    pub(super) fn note(&self, outcome: Outcome, state: &str) {
        let mut waiting = locked(&self.waiting);
        if waiting.len() >= BATCH && !waiting.contains_key(&(outcome, state.to_owned())) {
            return;
        }
        let (count, at) = waiting.entry((outcome, state.to_owned())).or_default();
        *count += 1;
        *at = clock::now();
    }

    /// Whether there is something to send.
    pub(super) fn is_empty(&self) -> bool {
        locked(&self.waiting).is_empty()
    }

    /// Sends what waits; keeps it where the server is away.
    pub(super) fn send(&self, server: &Server) {
        let taken = std::mem::take(&mut *locked(&self.waiting));
        if taken.is_empty() {
            return;
        }
        let mut uses: Vec<Use> = taken
            .iter()
            .map(|((outcome, state), (count, at))| Use {
                outcome: match outcome {
                    Outcome::Accepted => UseOutcome::Accepted,
                    Outcome::Refused => UseOutcome::Refused,
                    Outcome::CacheHit => UseOutcome::CacheHit,
                },
                state: state.clone(),
                count: *count,
                at: *at,
            })
            .collect();
        uses.sort_by_key(|one| one.at);
        let sent = server.post::<serde::de::IgnoredAny>("/api/v1/report", &Report { uses });
        if sent.is_err_and(|error| error.is_transient()) {
            let mut waiting = locked(&self.waiting);
            for (key, (count, at)) in taken {
                let kept = waiting.entry(key).or_default();
                *kept = (kept.0 + count, kept.1.max(at));
            }
        }
    }

    /// Forgets what waits.
    pub(super) fn forget(&self) {
        locked(&self.waiting).clear();
    }
}
