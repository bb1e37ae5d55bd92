//! Single flight: callers that want the same work at the same time share one run of it.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

/// Work under way, by key.
///
/// The work runs in its own task, so a caller that goes away cancels nobody else's.
pub(crate) struct Flights<T> {
    running: Arc<Mutex<HashMap<String, watch::Receiver<Option<T>>>>>,
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// No work yet.
    pub(crate) fn new() -> Self {
        Self {
            running: Arc::default(),
        }
    }

    /// Joins the run under `key`, or starts `work` as that run.
    ///
    /// `None` if the run ended without an outcome, which only a panic in it does.
    pub(crate) async fn join<W>(&self, key: &str, work: W) -> Option<T>
    where
        W: Future<Output = T> + Send + 'static,
    {
        let mut outcome = self.board(key, work);
        let seen = outcome.wait_for(Option::is_some).await.ok()?;
        seen.clone()
    }

    fn board<W>(&self, key: &str, work: W) -> watch::Receiver<Option<T>>
    where
        W: Future<Output = T> + Send + 'static,
    {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = running.get(key) {
            return outcome.clone();
        }
        let (sender, outcome) = watch::channel(None);
        running.insert(key.to_owned(), outcome.clone());
        let landing = Landing {
            running: Arc::clone(&self.running),
            key: key.to_owned(),
            sender,
        };
        tokio::spawn(async move {
            let done = work.await;
            landing.land(done);
        });
        outcome
    }
}

/// Takes the run off the list before its end is told, also when it panics:
/// later callers must start anew, not read this outcome.
struct Landing<T> {
    running: Arc<Mutex<HashMap<String, watch::Receiver<Option<T>>>>>,
    key: String,
    sender: watch::Sender<Option<T>>,
}

impl<T> Landing<T> {
    fn land(self, done: T) {
        self.forget();
        // Nobody listens any more if every caller went away.
        self.sender.send_replace(Some(done));
    }

    fn forget(&self) {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}

impl<T> Drop for Landing<T> {
    fn drop(&mut self) {
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn runs_the_work_once_for_callers_at_the_same_time() {
        let flights = Flights::new();
        let (runs, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let work = || {
            let (runs, gate) = (Arc::clone(&runs), Arc::clone(&gate));
            async move {
                gate.notified().await;
                runs.fetch_add(1, Ordering::SeqCst) + 1
            }
        };
        let (first, second, ()) = tokio::join!(
            flights.join("grant", work()),
            flights.join("grant", work()),
            async { gate.notify_one() }
        );
        assert_eq!((first, second), (Some(1), Some(1)));
    }

    #[tokio::test]
    async fn starts_anew_once_the_run_has_ended() {
        let flights = Flights::new();
        assert_eq!(flights.join("grant", async { 1 }).await, Some(1));
        assert_eq!(flights.join("grant", async { 2 }).await, Some(2));
    }

    #[tokio::test]
    async fn goes_on_when_the_caller_that_started_it_goes_away() {
        let flights = Arc::new(Flights::new());
        let (gate, started) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let first = {
            let (flights, gate, started) = (
                Arc::clone(&flights),
                Arc::clone(&gate),
                Arc::clone(&started),
            );
            tokio::spawn(async move {
                let work = async move {
                    started.notify_one();
                    gate.notified().await;
                    7
                };
                flights.join("grant", work).await
            })
        };
        started.notified().await;
        let second = flights.join("grant", async { 0 });
        first.abort();
        gate.notify_one();
        assert_eq!(second.await, Some(7));
    }

    #[tokio::test]
    async fn a_panic_in_the_work_frees_the_key() {
        let flights: Flights<u8> = Flights::new();
        let broken = flights.join("grant", async {
            std::panic::resume_unwind(Box::new("broken"))
        });
        assert_eq!(broken.await, None);
        assert_eq!(flights.join("grant", async { 3 }).await, Some(3));
    }
}
