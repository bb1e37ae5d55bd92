//! Lines of the audit log that nobody waits for: a signature must not cost a disk its breath.
//!
//! They are written at once, by a task of their own, and whatever comes while it writes is written with the
//! next transaction. [`Broker::flush`] waits for them before the server ends.

use std::sync::{Mutex, PoisonError};

use crate::{Broker, audit::Entry};

/// Lines that wait to be written.
#[derive(Default)]
pub(crate) struct Journal {
    waiting: Mutex<Vec<Entry>>,
    turn: tokio::sync::Mutex<()>,
}

impl Broker {
    /// Records an entry soon.
    pub(crate) fn record_soon(&self, entry: Entry) {
        let journal = self.journal();
        journal
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(entry);
        let broker = self.clone();
        tokio::spawn(async move { broker.flush().await });
    }

    /// Waits until every line of the audit log that was recorded so far is written.
    pub async fn flush(&self) {
        let journal = self.journal();
        let _turn = journal.turn.lock().await;
        let waiting = std::mem::take(
            &mut *journal
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        self.record(waiting).await;
    }
}
