//! Slowing down whoever guesses: tries are counted in the database, so that every replica knows of them.

use secrets::sha256_hex;

use crate::{Broker, Result, audit::Entry, lifetimes, signin::unauthenticated};

impl Broker {
    /// Counts a try and refuses once there were too many.
    pub(crate) async fn count_try(&self, place: &str, most: i64, what: &str) -> Result<()> {
        let now = self.now().await?;
        let place = sha256_hex(place.as_bytes());
        let tries = self
            .store()
            .count_try(&place, now, now - lifetimes::THROTTLE)
            .await?;
        if tries <= most {
            return Ok(());
        }
        if tries == most + 1 {
            self.record([Entry::new("throttle.begin", format!("too many {what}"))])
                .await;
        }
        Err(unauthenticated(
            &format!("too many {what}"),
            "wait fifteen minutes and try again",
        )
        .retry_after(Some(lifetimes::THROTTLE)))
    }

    /// Forgets the tries of a place.
    pub(crate) async fn forget_tries(&self, place: &str) -> Result<()> {
        Ok(self
            .store()
            .forget_tries(&sha256_hex(place.as_bytes()))
            .await?)
    }
}
