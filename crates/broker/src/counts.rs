//! The rows of the whole site counted; on a large site every ten seconds at most, however many pages are opened.
//!
//! Counting takes longer the more users there are, and a page must not. A replica that counts again for itself
//! loses nothing but time.

use std::sync::Arc;

use store::{AlgorithmCount, HourCount, LinkCount, ProviderCount, UploadCount};

use crate::{Broker, Result};

/// How long the counts of a large site are shown, seconds.
const KEPT_S: i64 = 10;
/// Fewer rows than this are counted anew for each page: that is quick, and what was just done is seen at once.
const LARGE: i64 = 5_000;
/// Length of an hour, seconds.
pub(crate) const HOUR_S: i64 = 3600;
/// Hours of events that are counted, the one that runs included.
pub(crate) const HOURS: i64 = 24;

/// What was counted, and when.
pub(crate) struct Counts {
    /// When, unix seconds.
    at: i64,
    /// Links by provider and condition, without those being removed.
    pub(crate) conditions: Vec<LinkCount>,
    /// Links by provider, all of them.
    pub(crate) links: Vec<ProviderCount>,
    /// Working keys by provider.
    pub(crate) keys: Vec<ProviderCount>,
    /// Working keys by algorithm.
    pub(crate) algorithms: Vec<AlgorithmCount>,
    /// Uploads by state.
    pub(crate) uploads: Vec<UploadCount>,
    /// The first second of the first hour below, unix seconds.
    pub(crate) from: i64,
    /// Events of the last 24 hours, the one that runs included, by hour and action.
    pub(crate) hours: Vec<HourCount>,
}

/// The last counts; whoever counts holds the lock, so that others wait for the same.
pub(crate) type Kept = tokio::sync::Mutex<Option<Arc<Counts>>>;

impl Counts {
    /// Whether they may still be shown at `now`, unix seconds; a clock that was set back makes them old, too.
    fn are_fresh(&self, now: i64) -> bool {
        let links = self.links.iter().map(|count| count.number);
        let keys = self.keys.iter().map(|count| count.number);
        let uploads = self.uploads.iter().map(|count| count.number);
        let events = self.hours.iter().map(|count| count.number);
        let all: i64 = links.chain(keys).chain(uploads).chain(events).sum();
        all >= LARGE && (self.at..self.at + KEPT_S).contains(&now)
    }
}

impl Broker {
    /// The counts, ten seconds old at most.
    pub(crate) async fn counts(&self) -> Result<Arc<Counts>> {
        let mut kept = self.kept_counts().lock().await;
        let now = self.now().await?;
        if let Some(counts) = kept.as_ref().filter(|counts| counts.are_fresh(now)) {
            return Ok(Arc::clone(counts));
        }
        let counts = Arc::new(self.count(now).await?);
        *kept = Some(Arc::clone(&counts));
        Ok(counts)
    }

    /// One statement after the other: what somebody waits for to use Git shall find a connection.
    async fn count(&self, now: i64) -> Result<Counts> {
        let store = self.store();
        let until = now - now.rem_euclid(HOUR_S) + HOUR_S;
        let from = until - HOURS * HOUR_S;
        Ok(Counts {
            at: now,
            conditions: store.count_links_by_condition().await?,
            links: store.count_links_by_provider().await?,
            keys: store.count_keys_by_provider().await?,
            algorithms: store.count_keys_by_algorithm().await?,
            uploads: store.count_uploads_by_state().await?,
            from,
            hours: store.events_by_hour("", from, until).await?,
        })
    }
}

#[cfg(test)]
mod tests {
    use store::UploadState;

    use super::*;

    fn uploads(number: i64) -> Counts {
        let state = UploadState::Present;
        Counts {
            at: 1000,
            conditions: Vec::new(),
            links: Vec::new(),
            keys: Vec::new(),
            algorithms: Vec::new(),
            uploads: vec![UploadCount { state, number }],
            from: 0,
            hours: Vec::new(),
        }
    }

    #[test]
    fn a_small_site_is_counted_every_time_and_a_large_one_every_ten_seconds() {
        assert!(!uploads(LARGE - 1).are_fresh(1000));
        let large = uploads(LARGE);
        assert!(large.are_fresh(1000) && large.are_fresh(1009));
        assert!(!large.are_fresh(1010) && !large.are_fresh(999));
    }
}
