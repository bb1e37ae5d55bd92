//! `forgepass login`: signs this machine in by a code that a person approves in the browser (RFC 8628).

use std::path::PathBuf;
use std::time::{Duration, Instant};

use api::{DeviceCode, DevicePoll, DeviceRequest, Meta, WorkspaceToken, code};

use crate::agent;
use crate::control::{self, Ask};
use crate::env;
use crate::failure::{Failure, Result};
use crate::http::{CallError, Server};
use crate::machine;
use crate::places::{self, Places};
use crate::process;
use crate::say;
use crate::settings::{self, Settings, Target, check_url};
use crate::setup;

/// What `forgepass login` was asked for.
pub(crate) struct Options {
    /// The server, as typed.
    pub(crate) url: String,
    /// Certificates to trust for it.
    pub(crate) ca: Option<PathBuf>,
    /// What to call this machine.
    pub(crate) name: Option<String>,
    /// How to set Git up afterwards; none leaves it alone.
    pub(crate) setup: Option<setup::Options>,
}

/// The longest name that a person can still compare.
const MAX_NAME: usize = 100;

/// Signs in.
///
/// # Errors
/// The server cannot be reached, the code ends or is denied, or the token cannot be kept.
pub(crate) fn run(options: &Options) -> Result<()> {
    if env::raw(env::TOKEN_FILE).is_some() {
        return Err(Failure::user(
            format!(
                "{} is set, and its token would be used instead of the new one",
                env::TOKEN_FILE
            ),
            format!("run `unset {}` first", env::TOKEN_FILE),
        ));
    }
    let places = Places::find()?;
    let target = Target {
        url: check_url(&options.url)?,
        ca: options.ca.clone(),
    };
    let signed_in = approve(&target, options.name.as_deref())?;
    keep(&places, target, &signed_in)?;
    let name = say::clean(&signed_in.workspace.name);
    say::out(format_args!("Signed in as workspace {name}."));
    match &options.setup {
        Some(setup) => setup::run(setup),
        None => Ok(()),
    }
}

/// Asks for a code, shows it, and waits until a person has approved it.
fn approve(target: &Target, name: Option<&str>) -> Result<WorkspaceToken> {
    let machine = machine::id()?;
    let server = Server::new(target, None, machine.clone())?;
    let meta: Meta = server.get("/api/v1/meta")?;
    check_server(&target.url, &meta)?;
    let ssh = process::find("ssh").ok();
    let request = DeviceRequest {
        name: own_name(name),
        machine: machine.clone(),
        ssh_version: ssh.and_then(|ssh| agent::ssh_version(&ssh)),
    };
    let code: DeviceCode = server.post("/api/v1/device", &request)?;
    show(&code);
    poll(&server, &code, machine)
}

/// Writes the sign-in, and ends the former one.
fn keep(places: &Places, target: Target, signed_in: &WorkspaceToken) -> Result<()> {
    let before = Server::of_workspace(places).ok();
    let mut settings = Settings::load(places)?;
    settings.url = Some(target.url);
    settings.ca = keep_ca(places, target.ca.as_deref())?;
    settings.save(places)?;
    places::write_private(&places.token(), signed_in.token.as_bytes())?;
    if let Some(before) = before {
        // The former token is of no use any more; if its server is away, it ends by itself.
        let _ = before.delete("/api/v1/workspace", None::<&()>);
    }
    let _ = control::ask_running(places, &Ask::Forget);
    Ok(())
}

/// A server of another product, or one that no longer works with this version.
fn check_server(url: &str, meta: &Meta) -> Result<()> {
    if meta.product != "forgepass" {
        return Err(Failure::user(
            format!("{url} is not a Forgepass server"),
            "check the address; it is the one that opens the console in a browser",
        ));
    }
    if is_older(env!("CARGO_PKG_VERSION"), &meta.minimum_cli) {
        return Err(Failure::user(
            format!(
                "{url} needs forgepass {} or later",
                say::clean(&meta.minimum_cli)
            ),
            "install a newer forgepass",
        ));
    }
    Ok(())
}

/// Whether version `ours` is below `least`; a version that cannot be read is not.
pub(crate) fn is_older(ours: &str, least: &str) -> bool {
    let read = |text: &str| -> Option<Vec<u64>> {
        text.split('.').map(|part| part.parse().ok()).collect()
    };
    matches!((read(ours), read(least)), (Some(ours), Some(least)) if ours < least)
}

/// What this machine calls itself: as asked, else by its host name.
fn own_name(given: Option<&str>) -> String {
    let host = || {
        rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned()
    };
    let name = given.map_or_else(host, str::to_owned);
    say::clean(name.trim()).chars().take(MAX_NAME).collect()
}

fn show(code: &DeviceCode) {
    say::out(format_args!(
        "Open {} in a browser",
        say::clean(&code.verification_uri_complete)
    ));
    say::out(format_args!(
        "or type this code at {}: {}",
        say::clean(&code.verification_uri),
        say::clean(&code.user_code)
    ));
    say::out("Compare the code there, then approve. Waiting …");
}

/// Asks until somebody has decided (RFC 8628 section 3.5).
fn poll(server: &Server, code: &DeviceCode, machine: String) -> Result<WorkspaceToken> {
    let question = DevicePoll {
        device_code: code.device_code.clone(),
        machine,
    };
    let seconds = |count: i64| Duration::from_secs(u64::try_from(count).unwrap_or(0));
    let mut pause = seconds(code.interval.max(1));
    // The interval lies between two questions; a script may have approved already.
    let mut wait = Duration::from_secs(1);
    let begun = Instant::now();
    while begun.elapsed() < seconds(code.expires_in) {
        std::thread::sleep(wait);
        let error = match server.post("/api/v1/device/token", &question) {
            Ok(token) => return Ok(token),
            Err(error) => error,
        };
        match (&error, error.code()) {
            (_, code::AUTHORIZATION_PENDING) => {}
            (_, code::SLOW_DOWN) => pause += Duration::from_secs(5),
            // RFC 8628 asks for exponential back-off on a lost connection.
            (CallError::Away(_), _) => pause = (pause * 2).min(Duration::from_secs(60)),
            (_, code::ACCESS_DENIED) => {
                return Err(Failure::user(
                    "the sign-in was denied in the browser",
                    "run `forgepass login` again",
                ));
            }
            (_, code::EXPIRED_TOKEN) => break,
            _ => return Err(error.into()),
        }
        wait = pause;
    }
    Err(Failure::user(
        "nobody approved the code in time",
        "run `forgepass login` again",
    ))
}

/// Copies the certificates beside the settings: the file that was given may not stay.
fn keep_ca(places: &Places, given: Option<&std::path::Path>) -> Result<Option<PathBuf>> {
    let Some(given) = given else { return Ok(None) };
    let pem = std::fs::read(given).map_err(|error| Failure::file("read", given, &error))?;
    let kept = places.settings.join("ca.pem");
    places::write_private(&kept, &pem)?;
    Ok(Some(kept))
}

/// Removes the token and the kept certificates.
///
/// # Errors
/// The token cannot be removed.
pub(super) fn forget(places: &Places, settings: &mut Settings) -> Result<()> {
    let token = settings::token_file(places);
    if token == places.token() {
        match std::fs::remove_file(&token) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::file("remove", &token, &error));
            }
            _ => {}
        }
    }
    if let Some(kept) = settings.ca.take() {
        let _ = std::fs::remove_file(kept);
    }
    settings.url = None;
    settings.save(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_versions_by_number() {
        assert!(is_older("0.9.0", "0.10.0"));
        assert!(!is_older("0.10.0", "0.9.9"));
        assert!(!is_older("1.0.0", "1.0.0"));
        assert!(!is_older("1.0.0", "soon"));
    }
}
