//! The files that Git includes or runs, in our own folder. Nothing in them is secret.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use api::Setup;

use super::identity;
use super::render::{self, Context};
use crate::env;
use crate::failure::{Failure, Result};
use crate::places::{self, Places};
use crate::settings::{Settings, SetupChoice};

/// The names by which Git calls us.
pub(super) const LINKS: [&str; 2] = ["ssh", "forgepass-ssh-keygen"];
/// Where systems keep the certificates that everybody trusts.
const SYSTEM_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];

/// Rewrites the files after a change of the set-up data, if `setup` has made them, or if the sign-in
/// comes by environment, where a system-wide set-up may include them.
///
/// # Errors
/// A file that cannot be written.
pub(crate) fn refresh(places: &Places, setup: &Setup) -> Result<()> {
    let settings = Settings::load(places)?;
    if settings.setup.is_none() && env::raw(env::TOKEN_FILE).is_none() {
        return Ok(());
    }
    write(places, setup, &settings)
}

/// Writes every file; leaves alone those that already say the same.
///
/// # Errors
/// A file that cannot be written.
pub(crate) fn write(places: &Places, setup: &Setup, settings: &Settings) -> Result<()> {
    let choice = settings.setup.clone().unwrap_or_default();
    for provider in &setup.providers {
        if let Some(pem) = &provider.ca_pem {
            let bundle = format!("{}\n{pem}\n", system_roots());
            places::keep_private(&render::bundle(&places.files, provider), bundle.as_bytes())?;
        }
    }
    places::keep_private(
        &places.files.join("allowed_signers"),
        setup.allowed_signers.as_bytes(),
    )?;
    for identity in identity::identities(&places.files, setup, &choice) {
        places::keep_private(&identity.file, identity.text.as_bytes())?;
    }
    link(&places.files)?;
    let text = config(places, setup, &choice, settings)?;
    // Last: it names the others.
    places::keep_private(&places.files.join("gitconfig"), text.as_bytes())
}

/// The text of the file that Git includes.
///
/// # Errors
/// This program does not know where it is.
pub(crate) fn config(
    places: &Places,
    setup: &Setup,
    choice: &SetupChoice,
    settings: &Settings,
) -> Result<String> {
    let program = crate::program()?;
    Ok(Context::new(&program, &places.files, setup, choice)
        .with(settings)
        .text())
}

/// Makes the links by which Git calls this program.
///
/// # Errors
/// A link that cannot be made.
pub(super) fn link(folder: &Path) -> Result<()> {
    let program = crate::program()?;
    fs::create_dir_all(folder).map_err(|error| Failure::file("make", folder, &error))?;
    for name in LINKS {
        let path = folder.join(name);
        if fs::read_link(&path).is_ok_and(|target| target == program) {
            continue;
        }
        let fresh = folder.join(format!("{name}.{}.new", std::process::id()));
        let _ = fs::remove_file(&fresh);
        symlink(&program, &fresh)
            .and_then(|()| fs::rename(&fresh, &path))
            .map_err(|error| Failure::file("make", &path, &error))?;
    }
    Ok(())
}

/// Removes what [`write()`] and [`link`] made, and the folder if nothing else is in it.
///
/// # Errors
/// A file that cannot be removed.
pub(super) fn remove(folder: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = LINKS.contains(&name.as_ref())
            || ["gitconfig", "allowed_signers", "setup.json"].contains(&name.as_ref())
            || name.starts_with("user-lnk_")
            || (name.starts_with("ca-") && name.ends_with(".pem"));
        if ours {
            fs::remove_file(entry.path())
                .map_err(|error| Failure::file("remove", &entry.path(), &error))?;
        }
    }
    // Not empty: somebody else's files are in it.
    let _ = fs::remove_dir(folder);
    Ok(())
}

/// `http.sslCAInfo` replaces the system's certificates, so ours come besides them.
fn system_roots() -> String {
    SYSTEM_ROOTS
        .iter()
        .find_map(|path| fs::read_to_string(path).ok())
        .unwrap_or_default()
}
