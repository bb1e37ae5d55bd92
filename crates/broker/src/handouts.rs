//! Noting which workspace was handed which token, before it gets it: revocation needs to know.
//!
//! Whoever comes while a note is being written is written with the next one, so that many at once cost
//! few transactions and one alone waits for nobody. A token that the same workspace was handed before is known
//! to be its: then nobody waits, and hand-outs within seconds are only counted, for one line of the audit log.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use store::{Handed, WorkspaceId};
use tokio::sync::oneshot;

use crate::{Broker, Refused, Result, audit::Entry};

/// A token on its way to a workspace.
pub(crate) struct Handout {
    /// What must be known before it leaves.
    pub(crate) handed: Handed,
    /// The line of the audit log.
    pub(crate) entry: Entry,
}

/// Hand-outs that wait to be noted, and those noted a moment ago.
#[derive(Default)]
pub(crate) struct Handouts {
    waiting: Mutex<Vec<Waiting>>,
    turn: tokio::sync::Mutex<()>,
    recent: Mutex<HashMap<Key, i64>>,
    known: Mutex<HashSet<Key>>,
}

/// Which token to whom.
type Key = (WorkspaceId, String);

struct Waiting {
    handout: Handout,
    noted: oneshot::Sender<Result<()>>,
}

/// How long a note counts for further hand-outs of the same token to the same workspace. Short beside the time
/// for which a token in somebody's hands is spared.
const RECENT: Duration = Duration::from_secs(10);
/// How many tokens in hands are remembered; beyond it, callers wait for their note once more.
const MOST_KNOWN: usize = 100_000;

impl Handouts {
    fn push(&self, one: Waiting) {
        locked(&self.waiting).push(one);
    }

    fn take(&self) -> Vec<Waiting> {
        std::mem::take(&mut *locked(&self.waiting))
    }

    /// Counts a hand-out that was noted a moment ago; false if it was not.
    fn again(&self, key: &Key) -> bool {
        locked(&self.recent)
            .get_mut(key)
            .map(|more| *more += 1)
            .is_some()
    }

    fn is_known(&self, key: &Key) -> bool {
        locked(&self.known).contains(key)
    }

    fn noted(&self, key: Key) {
        let mut known = locked(&self.known);
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(key.clone());
        locked(&self.recent).insert(key, 0);
    }

    /// Ends the moment of a note and tells how many hand-outs came in it.
    fn forget(&self, key: &Key) -> i64 {
        locked(&self.recent).remove(key).unwrap_or(0)
    }
}

/// What is held under these locks is replaced whole: a panic elsewhere cannot tear it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handout {
    fn key(&self) -> Key {
        (
            self.handed.workspace_id.clone(),
            self.handed.token_id.clone(),
        )
    }
}

impl Broker {
    /// Notes a hand-out durably, with its line of the audit log.
    pub(crate) async fn hand_out(&self, handout: Handout) -> Result<()> {
        let key = handout.key();
        if self.handouts().again(&key) {
            return Ok(());
        }
        let known = self.handouts().is_known(&key);
        let (noted, answer) = oneshot::channel();
        self.handouts().push(Waiting { handout, noted });
        let broker = self.clone();
        // In its own task: it may write for others too, who must not be left when this caller goes away.
        tokio::spawn(async move { broker.write_handouts().await });
        if known {
            return Ok(());
        }
        answer.await.map_err(Refused::internal)?
    }

    /// Writes all that wait once it is this one's turn; often another one has done so by then.
    async fn write_handouts(&self) {
        let _turn = self.handouts().turn.lock().await;
        let batch = self.handouts().take();
        if batch.is_empty() {
            return;
        }
        let handed: Vec<Handed> = batch.iter().map(|one| one.handout.handed.clone()).collect();
        let outcome = self
            .store()
            .note_handed(&handed)
            .await
            .map_err(Refused::from);
        if outcome.is_ok() {
            self.record(batch.iter().map(|one| one.handout.entry.clone()))
                .await;
        }
        for one in batch {
            if outcome.is_ok() {
                self.count_more(one.handout);
            }
            // Nobody listens any more if the caller went away.
            let _ = one.noted.send(outcome.clone());
        }
    }

    /// For a moment hand-outs of this token to this workspace are counted, then their number is recorded.
    fn count_more(&self, handout: Handout) {
        let key = handout.key();
        self.handouts().noted(key.clone());
        let broker = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(RECENT).await;
            let more = broker.handouts().forget(&key);
            if more > 0 {
                broker.record_soon(handout.entry.times(more));
            }
        });
    }
}
