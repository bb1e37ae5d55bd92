//! Noting which workspace was handed which token, before it gets it: revocation needs to know.
//!
//! Whoever comes while a note is being written is written with the next one, so that many at once cost
//! few transactions, and one alone waits for nobody.

use std::sync::{Mutex, PoisonError};

use store::Handed;
use tokio::sync::oneshot;

use crate::{Broker, Refused, Result, audit::Entry};

/// A token on its way to a workspace.
pub(crate) struct Handout {
    /// What must be known before it leaves.
    pub(crate) handed: Handed,
    /// The line of the audit log.
    pub(crate) entry: Entry,
}

/// Hand-outs that wait to be noted.
#[derive(Default)]
pub(crate) struct Handouts {
    waiting: Mutex<Vec<Waiting>>,
    turn: tokio::sync::Mutex<()>,
}

struct Waiting {
    handout: Handout,
    noted: oneshot::Sender<Result<()>>,
}

impl Handouts {
    fn push(&self, one: Waiting) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(one);
    }

    fn take(&self) -> Vec<Waiting> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Broker {
    /// Notes a hand-out durably; its line of the audit log follows.
    pub(crate) async fn hand_out(&self, handout: Handout) -> Result<()> {
        let (noted, answer) = oneshot::channel();
        self.handouts().push(Waiting { handout, noted });
        let broker = self.clone();
        // In its own task: it may write for others too, who must not be left when this caller goes away.
        tokio::spawn(async move { broker.write_handouts().await });
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
        let mut entries = Vec::new();
        for one in batch {
            if outcome.is_ok() {
                entries.push(one.handout.entry);
            }
            // Nobody listens any more if the caller went away.
            let _ = one.noted.send(outcome.clone());
        }
        self.record(entries).await;
    }
}
