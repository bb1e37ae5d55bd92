//! The first part of the way: this machine's sign-in, the server, and the workspace's token.

use api::Meta;

use super::{Finding, Patient};
use crate::clock::now;
use crate::commands::login::is_older;
use crate::failure::{Failure, Result};

/// More than this between two clocks, seconds, and fresh tokens look expired.
const MAX_SKEW_S: i64 = 60;

/// Whether there is a server to talk to and a token to show it.
pub(super) fn sign_in(patient: &Patient<'_>) -> Result<Finding> {
    let server = patient.server()?;
    Ok(Finding::Good(format!("signed in at {}", server.url())))
}

/// Whether the server is reached, is Forgepass, and works with this version.
pub(super) fn answers(patient: &Patient<'_>) -> Result<Finding> {
    let meta: Meta = patient.server()?.get("/api/v1/meta")?;
    if is_older(env!("CARGO_PKG_VERSION"), &meta.minimum_cli) {
        return Err(Failure::user(
            format!(
                "this forgepass is {}, and the server works with {} and later alone",
                env!("CARGO_PKG_VERSION"),
                meta.minimum_cli
            ),
            "install a newer forgepass",
        ));
    }
    Ok(Finding::Good(format!("Forgepass {} answers", meta.version)))
}

/// Whether this machine and the server agree on the time.
pub(super) fn clock(patient: &Patient<'_>) -> Result<Finding> {
    let meta: Meta = patient.server()?.get("/api/v1/meta")?;
    let ahead = now() - meta.now;
    if ahead.abs() > MAX_SKEW_S {
        let direction = if ahead > 0 { "ahead of" } else { "behind" };
        return Err(Failure::user(
            format!(
                "this machine's clock is {} seconds {direction} the server's, so that tokens seem to end at the wrong time",
                ahead.abs()
            ),
            "set the clock, best by a time service such as systemd-timesyncd or chrony",
        ));
    }
    Ok(Finding::Good("agrees with the server's".to_owned()))
}

/// Whether the server still takes this workspace's token.
pub(super) fn workspace(patient: &Patient<'_>) -> Result<Finding> {
    let status = patient.status()?;
    let days = (status.workspace.expires_at - now()) / 86_400;
    Ok(Finding::Good(format!(
        "{} of {}, for {days} more days",
        status.workspace.name, status.user
    )))
}
