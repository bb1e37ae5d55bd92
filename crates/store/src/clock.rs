//! The time of the database, so that every replica means the same second.
//!
//! Leases, expiries and back-offs are compared across replicas, whose own clocks may differ.
//! A statement per question would cost the hot path a round trip, so the distance between the
//! database's clock and this process's monotonic clock is read once and kept for
//! [`KEPT_FOR`]: replicas then agree to within a second, far below any lease.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a reading of the database's clock is trusted.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// The last reading, and what a test has put in its place.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    state: Mutex<State>,
}

#[derive(Debug, Default, Clone, Copy)]
struct State {
    read: Option<(Instant, i64)>,
    set: Option<i64>,
}

impl Clock {
    /// The time, unless the database must be asked again.
    pub(crate) fn known(&self) -> Option<i64> {
        let state = *self.state();
        state.set.or_else(|| {
            let (instant, read) = state.read?;
            let age = instant.elapsed();
            (age < KEPT_FOR).then(|| read.saturating_add_unsigned(age.as_secs()))
        })
    }

    /// Remembers what the database said.
    pub(crate) fn learn(&self, now: i64) {
        self.state().read = Some((Instant::now(), now));
    }

    /// Puts a time in place of the database's, or takes it away.
    pub(crate) fn set(&self, now: Option<i64>) {
        self.state().set = now;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is plain data that is replaced whole: a panic elsewhere cannot tear it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
