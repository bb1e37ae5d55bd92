//! `forgepass logout`: ends this machine's token, at the server and here.

use super::login;
use crate::control::{self, Ask};
use crate::env;
use crate::failure::{Failure, Result};
use crate::http::Server;
use crate::places::Places;
use crate::say;
use crate::settings::Settings;
use crate::setup;

/// What becomes of Git's configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setup {
    /// It stays, and does nothing until the next sign-in.
    Keep,
    /// It is restored.
    Undo,
}

/// Signs out.
///
/// # Errors
/// Not signed in, or the token cannot be removed. A server that is away is told about, but does not keep
/// the token here.
pub(crate) fn run(set_up: Setup) -> Result<()> {
    let places = Places::find()?;
    if env::raw(env::TOKEN_FILE).is_some() {
        return Err(Failure::user(
            format!(
                "the sign-in comes from {}, which is not ours to remove",
                env::TOKEN_FILE
            ),
            "revoke the workspace under Preferences > Workspaces",
        ));
    }
    let mut settings = Settings::load(&places)?;
    let revoked = Server::of_workspace(&places)?.delete("/api/v1/workspace", None::<&()>);
    let _ = control::ask_running(&places, &Ask::Forget);
    let _ = control::ask_running(&places, &Ask::Stop);
    login::forget(&places, &mut settings)?;
    if set_up == Setup::Undo {
        setup::undo()?;
    }
    match revoked {
        Ok(()) => say::out("Signed out."),
        Err(error) => {
            say::out("The token was removed from this machine.");
            say::err(Failure::ours(
                format!(
                    "the server could not revoke it: {}",
                    Failure::from(error).what()
                ),
                "revoke the workspace under Preferences > Workspaces",
            ));
        }
    }
    Ok(())
}
