//! The clock of the command line.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, unix seconds.
#[expect(
    clippy::disallowed_methods,
    reason = "this module owns the clock of the command line"
)]
pub(crate) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        })
}
