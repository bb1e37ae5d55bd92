//! `forgepass config`: settings of the command line.

use crate::arguments::Switch;
use crate::control::{self, Ask};
use crate::failure::Result;
use crate::places::Places;
use crate::say;
use crate::settings::Settings;

/// Sets whether Git waits for a missing link.
///
/// # Errors
/// The settings cannot be read or written.
pub(crate) fn wait_for_link(value: Switch) -> Result<()> {
    let places = Places::find()?;
    let mut settings = Settings::load(&places)?;
    settings.wait_for_link = value == Switch::On;
    settings.save(&places)?;
    // Git's configuration names hosts differently now; without a sign-in it is written later.
    if settings.setup.is_some() {
        let _ = control::ask(&places, &Ask::Refresh);
    }
    say::out(match value {
        Switch::On => "Git now waits for you to link an account where one is missing.",
        Switch::Off => "Git no longer waits for a missing link.",
    });
    Ok(())
}
