//! Who is connected to the agent, and since when nobody is.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use super::locked;

/// Counts connections.
pub(super) struct Activity {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    connections: usize,
    last: Instant,
}

/// One connection; counted while it lives.
pub(super) struct Connection<'a>(&'a Activity);

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                connections: 0,
                last: Instant::now(),
            }),
            changed: Condvar::new(),
        }
    }

    pub(super) fn begin(&self) -> Connection<'_> {
        locked(&self.state).connections += 1;
        Connection(self)
    }

    /// Since when nobody is connected; none while somebody is.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        let state = locked(&self.state);
        (state.connections == 0).then(|| state.last.elapsed())
    }

    /// Whether somebody was here in the last `time`.
    pub(super) fn within(&self, time: Duration) -> bool {
        self.idle_for().is_none_or(|idle| idle < time)
    }

    pub(super) fn wait_until_idle(&self) {
        let mut state = locked(&self.state);
        while state.connections > 0 {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        let mut state = locked(&self.0.state);
        state.connections -= 1;
        state.last = Instant::now();
        self.0.changed.notify_all();
    }
}
