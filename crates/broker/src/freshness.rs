//! Whether a token may be handed out as it is, must be refreshed first, or is lost. Pure.

/// What is known of a grant's token when somebody asks for it. Times are unix seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenFacts {
    /// The database's clock.
    pub(crate) now: i64,
    /// When it was obtained.
    pub(crate) obtained_at: i64,
    /// When it ends; `None` is unknown, not over.
    pub(crate) expires_at: Option<i64>,
    /// When it was last handed to a workspace.
    pub(crate) handed_at: Option<i64>,
    /// Not before then may the provider be asked again.
    pub(crate) retry_at: Option<i64>,
    /// What a new one can be had for.
    pub(crate) renewal: Renewal,
    /// A number in `0..100` that differs between grants, so that they do not all expire at one margin.
    pub(crate) jitter: i64,
}

/// How a new token can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// By a refresh that leaves the old token alive, or by minting.
    Gentle,
    /// By a refresh that kills the old token at once.
    Killing,
    /// Not at all: the account must be linked again.
    Never,
}

/// What to do about a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Hand it out.
    Give,
    /// Get a new one first.
    Refresh,
    /// Get a new one after so many seconds: somebody who was just given this one still needs it.
    RefreshAfter(i64),
    /// It is over and the provider may be asked again only in so many seconds.
    Wait(i64),
    /// It is over and there is no way to a new one.
    Lost,
}

/// What a caller gets where it does not say how much life it needs.
pub(crate) const USUAL_TTL_S: i64 = 300;
/// A token handed out this recently is still in somebody's hands.
const IN_HANDS_S: i64 = 120;
/// Less than this is too little for whoever holds it, too.
const USABLE_S: i64 = 60;
/// The longest that a caller is made to wait for the sake of another.
const PATIENCE_S: i64 = 5;

impl TokenFacts {
    /// What to do for a caller that needs `min_ttl_s` seconds of life.
    pub(crate) fn verdict(&self, min_ttl_s: i64) -> Verdict {
        // No known end means no reason to doubt it.
        let Some(expires_at) = self.expires_at else {
            return Verdict::Give;
        };
        let remaining = expires_at - self.now;
        if remaining > self.margin(min_ttl_s, expires_at) {
            return Verdict::Give;
        }
        match self.renewal {
            Renewal::Never if remaining > 0 => Verdict::Give,
            Renewal::Never => Verdict::Lost,
            _ if self.held_back() && remaining > 0 => Verdict::Give,
            _ if self.held_back() => Verdict::Wait(self.retry_at.unwrap_or(self.now) - self.now),
            Renewal::Gentle => Verdict::Refresh,
            Renewal::Killing => self.spare_the_holder(remaining),
        }
    }

    /// The life below which the token is renewed: what is asked, with a spread between grants.
    ///
    /// Never more than half of the token's whole life, or a workspace could force refreshes by asking for much.
    fn margin(&self, min_ttl_s: i64, expires_at: i64) -> i64 {
        let half_life = ((expires_at - self.obtained_at) / 2).max(0);
        let asked = min_ttl_s.clamp(0, half_life);
        (asked + asked / 5 * self.jitter / 100).min(half_life)
    }

    fn held_back(&self) -> bool {
        self.retry_at.is_some_and(|at| at > self.now)
    }

    /// A refresh would kill the token in the hands of whoever was given it last.
    fn spare_the_holder(&self, remaining: i64) -> Verdict {
        let Some(handed_at) = self.handed_at else {
            return Verdict::Refresh;
        };
        let free_in = handed_at + IN_HANDS_S - self.now;
        if free_in <= 0 || remaining <= 0 {
            return Verdict::Refresh;
        }
        if remaining >= USABLE_S {
            return Verdict::Give;
        }
        Verdict::RefreshAfter(free_in.min(remaining).min(PATIENCE_S))
    }
}

/// A number in `0..100` made of a grant's id.
pub(crate) fn jitter(grant: &str) -> i64 {
    let sum = grant
        .bytes()
        .fold(7_u32, |sum, byte| sum.wrapping_mul(31) ^ u32::from(byte));
    i64::from(sum % 100)
}

/// How long to keep away from a provider after `failures` failures in a row, seconds.
///
/// Doubles from five seconds to ten minutes; what the provider itself asks for wins if it is longer.
pub(crate) fn back_off(failures: i64, retry_after_s: Option<i64>) -> i64 {
    let doubled = 5_i64 << failures.clamp(0, 7);
    // A provider that asks for more than a day is not believed.
    doubled
        .min(600)
        .max(retry_after_s.unwrap_or(0).clamp(0, 24 * 3600))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    fn token(remaining: i64, renewal: Renewal) -> TokenFacts {
        TokenFacts {
            now: NOW,
            obtained_at: NOW + remaining - 7200,
            expires_at: Some(NOW + remaining),
            handed_at: None,
            retry_at: None,
            renewal,
            jitter: 0,
        }
    }

    #[test]
    fn gives_what_lives_long_enough_and_refreshes_the_rest() {
        for (remaining, verdict) in [
            (7200, Verdict::Give),
            (301, Verdict::Give),
            (300, Verdict::Refresh),
            (1, Verdict::Refresh),
            (-5, Verdict::Refresh),
        ] {
            for renewal in [Renewal::Gentle, Renewal::Killing] {
                assert_eq!(
                    token(remaining, renewal).verdict(300),
                    verdict,
                    "{remaining}"
                );
            }
        }
    }

    #[test]
    fn a_missing_end_is_unknown_and_not_over() {
        let unknown = TokenFacts {
            expires_at: None,
            ..token(0, Renewal::Killing)
        };
        assert_eq!(unknown.verdict(7200), Verdict::Give);
    }

    #[test]
    fn a_caller_cannot_force_a_refresh_by_asking_for_much() {
        for jitter in [0, 99] {
            let spread = TokenFacts {
                jitter,
                ..token(3601, Renewal::Gentle)
            };
            assert_eq!(spread.verdict(i64::MAX), Verdict::Give);
        }
        assert_eq!(
            token(3600, Renewal::Gentle).verdict(i64::MAX),
            Verdict::Refresh
        );
        assert_eq!(token(10, Renewal::Gentle).verdict(-5), Verdict::Give);
    }

    #[test]
    fn f19_grants_do_not_all_expire_at_one_margin() {
        let spread = |jitter| {
            TokenFacts {
                jitter,
                ..token(330, Renewal::Gentle)
            }
            .verdict(300)
        };
        assert_eq!((spread(0), spread(99)), (Verdict::Give, Verdict::Refresh));
    }

    #[test]
    fn without_a_refresh_token_it_is_given_to_its_end_and_then_lost() {
        assert_eq!(token(5, Renewal::Never).verdict(300), Verdict::Give);
        assert_eq!(token(0, Renewal::Never).verdict(300), Verdict::Lost);
    }

    #[test]
    fn a_token_in_hands_is_not_refreshed_away_while_a_minute_of_it_remains() {
        let handed = |remaining, ago, renewal| {
            TokenFacts {
                handed_at: Some(NOW - ago),
                ..token(remaining, renewal)
            }
            .verdict(3000)
        };
        assert_eq!(handed(60, 119, Renewal::Killing), Verdict::Give);
        assert_eq!(handed(60, 120, Renewal::Killing), Verdict::Refresh);
        assert_eq!(handed(60, 119, Renewal::Gentle), Verdict::Refresh);
        assert_eq!(handed(59, 10, Renewal::Killing), Verdict::RefreshAfter(5));
        assert_eq!(handed(59, 118, Renewal::Killing), Verdict::RefreshAfter(2));
        assert_eq!(handed(3, 10, Renewal::Killing), Verdict::RefreshAfter(3));
        assert_eq!(handed(0, 10, Renewal::Killing), Verdict::Refresh);
    }

    #[test]
    fn keeps_away_from_a_provider_that_asked_for_it() {
        let held = |remaining| {
            TokenFacts {
                retry_at: Some(NOW + 30),
                ..token(remaining, Renewal::Gentle)
            }
            .verdict(300)
        };
        assert_eq!(held(20), Verdict::Give);
        assert_eq!(held(0), Verdict::Wait(30));
        let over = TokenFacts {
            retry_at: Some(NOW),
            ..token(0, Renewal::Gentle)
        };
        assert_eq!(over.verdict(300), Verdict::Refresh);
    }

    #[test]
    fn back_off_doubles_to_ten_minutes_and_obeys_the_provider() {
        let steps: Vec<i64> = (0..9).map(|failures| back_off(failures, None)).collect();
        assert_eq!(steps, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(back_off(0, Some(90)), 90);
        assert_eq!(back_off(7, Some(90)), 600);
        assert_eq!(back_off(0, Some(i64::MAX)), 86_400);
    }
}
