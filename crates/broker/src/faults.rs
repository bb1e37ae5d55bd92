//! What follows from a failed refresh: whether the link is dead, an alarm is due, or it is only a matter of time. Pure.

use forge::Fault;

use crate::freshness::back_off;

/// What is known when a refresh has failed. Times are unix seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure {
    /// Whose fault this one is.
    pub(crate) fault: Fault,
    /// The database's clock.
    pub(crate) now: i64,
    /// How many went before it in a row.
    pub(crate) failures: i64,
    /// Since when answers look as if the token were dead, without saying so.
    pub(crate) suspect_since: Option<i64>,
    /// How long the provider asks us to stay away, seconds.
    pub(crate) retry_after_s: Option<i64>,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sequel {
    /// The link is dead: only the user can mend it.
    Dead,
    /// Keep the tokens, keep away until `retry_at`; the site manager must act.
    Alarm {
        /// Unix seconds.
        retry_at: i64,
    },
    /// Keep the tokens and try again at `retry_at`.
    Later {
        /// Unix seconds.
        retry_at: i64,
        /// What to remember of the suspicion.
        suspect_since: Option<i64>,
    },
}

/// A bare 400 or 401 that repeats over this time means what it seems to mean.
const SUSPICION_S: i64 = 600;

impl Failure {
    /// What to do about it.
    pub(crate) fn sequel(&self) -> Sequel {
        let retry_at = self.now + back_off(self.failures, self.retry_after_s);
        match self.fault {
            Fault::User => Sequel::Dead,
            Fault::Admin => Sequel::Alarm { retry_at },
            Fault::Transient => Sequel::Later {
                retry_at,
                suspect_since: self.suspect_since,
            },
            Fault::Suspect => match self.suspect_since {
                Some(since) if self.now - since >= SUSPICION_S => Sequel::Dead,
                since => Sequel::Later {
                    retry_at,
                    suspect_since: Some(since.unwrap_or(self.now)),
                },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(fault: Fault, suspect_since: Option<i64>) -> Sequel {
        Failure {
            fault,
            now: 10_000,
            failures: 0,
            suspect_since,
            retry_after_s: None,
        }
        .sequel()
    }

    #[test]
    fn only_a_users_fault_kills_a_link() {
        assert_eq!(failure(Fault::User, None), Sequel::Dead);
        assert_eq!(
            failure(Fault::Admin, Some(1)),
            Sequel::Alarm { retry_at: 10_005 }
        );
        let later = Sequel::Later {
            retry_at: 10_005,
            suspect_since: Some(1),
        };
        assert_eq!(failure(Fault::Transient, Some(1)), later);
    }

    #[test]
    fn a_suspicion_must_last_ten_minutes() {
        let since = |since| Sequel::Later {
            retry_at: 10_005,
            suspect_since: Some(since),
        };
        assert_eq!(failure(Fault::Suspect, None), since(10_000));
        assert_eq!(failure(Fault::Suspect, Some(9_401)), since(9_401));
        assert_eq!(failure(Fault::Suspect, Some(9_400)), Sequel::Dead);
    }

    #[test]
    fn stays_away_as_long_as_the_provider_asks() {
        let asked = Failure {
            fault: Fault::Transient,
            now: 0,
            failures: 2,
            suspect_since: None,
            retry_after_s: Some(90),
        };
        assert_eq!(
            asked.sequel(),
            Sequel::Later {
                retry_at: 90,
                suspect_since: None
            }
        );
    }
}
