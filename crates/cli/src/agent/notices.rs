//! Messages from the agent to the person behind ssh or ssh-keygen, through whoever watches.

use std::collections::{HashMap, VecDeque};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::locked;
use crate::control::{self, Answer, Notice, NoticeKind};

/// How many refusals `forgepass status` can show.
const REMEMBERED: usize = 16;

/// Watchers, and the last refusals.
#[derive(Default)]
pub(super) struct Notices {
    watchers: Mutex<HashMap<u64, UnixStream>>,
    refusals: Mutex<VecDeque<Notice>>,
    next: AtomicU64,
}

impl Notices {
    /// Sends every notice to `stream` from now on.
    pub(super) fn watch(&self, stream: UnixStream) -> u64 {
        // A watcher that does not read must not hold up a signature.
        let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        locked(&self.watchers).insert(id, stream);
        id
    }

    /// Ends a watch.
    pub(super) fn leave(&self, watcher: u64) {
        locked(&self.watchers).remove(&watcher);
    }

    /// Tells every watcher, and remembers a refusal.
    pub(super) fn tell(&self, notice: &Notice) {
        if notice.kind == NoticeKind::Refused {
            let mut refusals = locked(&self.refusals);
            refusals.push_front(notice.clone());
            refusals.truncate(REMEMBERED);
        }
        locked(&self.watchers).retain(|_, stream| {
            control::write_frame(stream, &Answer::Notice(notice.clone())).is_ok()
        });
    }

    /// The last refusals, newest first.
    pub(super) fn refusals(&self) -> Vec<Notice> {
        locked(&self.refusals).iter().cloned().collect()
    }
}
