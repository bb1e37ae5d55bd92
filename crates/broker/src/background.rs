//! What goes on without anybody asking: uploads, revocations, unfinished callbacks and removals, clean-up.

use std::{future::Future, time::Duration};

use crate::{Broker, Result, lifetimes};

/// How long each loop rests when it found nothing to do.
const OFTEN: Duration = Duration::from_secs(5);
const SELDOM: Duration = Duration::from_secs(30);
const HOURLY: Duration = Duration::from_secs(3600);

impl Broker {
    /// Runs until `shutdown` ends. Every replica runs it: what is due is leased row by row, and work that a
    /// shutdown cuts short is taken up by whoever finds its lease run out.
    pub async fn run_background(self, shutdown: impl Future<Output = ()>) {
        let work = async {
            tokio::join!(
                every(OFTEN, "uploads", || self.reconcile_due()),
                every(OFTEN, "revocations", || self.undo_due()),
                every(SELDOM, "callbacks", || self.resume_attempts()),
                every(SELDOM, "removals", || self.finish_removals()),
                every(HOURLY, "clean-up", || self.clean_up()),
            )
        };
        tokio::select! {
            () = shutdown => {}
            _ = work => {}
        }
        self.flush().await;
    }

    /// Forgets what has ended.
    async fn clean_up(&self) -> Result<usize> {
        let now = self.now().await?;
        let dropped = self.store().drop_ended(now, now - lifetimes::DRAFT).await?;
        tracing::debug!(rows = dropped, "cleaned up");
        Ok(0)
    }
}

/// Does `work` again and again: at once while it finds something to do, else after a rest.
async fn every<F>(rest: Duration, what: &'static str, work: impl Fn() -> F)
where
    F: Future<Output = Result<usize>>,
{
    loop {
        match work().await {
            Ok(0) => tokio::time::sleep(rest).await,
            // Rows that fail again and again are put off by themselves; a breath keeps a loop from spinning.
            Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(refused) => {
                tracing::warn!(what, %refused, cause = refused.cause, "background work is put off");
                tokio::time::sleep(rest).await;
            }
        }
    }
}
