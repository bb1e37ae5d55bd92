//! The environment: the one place of the command line that reads it.

use std::ffi::OsString;
use std::path::PathBuf;

/// An address of the server, instead of the one that `forgepass login` wrote.
pub(crate) const URL: &str = "FORGEPASS_URL";
/// A file with the workspace token, instead of the one that `forgepass login` wrote.
pub(crate) const TOKEN_FILE: &str = "FORGEPASS_TOKEN_FILE";
/// A file with an API token, for commands that act for the user.
pub(crate) const API_TOKEN_FILE: &str = "FORGEPASS_API_TOKEN_FILE";
/// A PEM file with the certificates that sign the server's own.
pub(crate) const CA_FILE: &str = "FORGEPASS_CA_FILE";

/// A variable as text; none if it is unset, empty or not UTF-8.
pub(crate) fn text(name: &str) -> Option<String> {
    raw(name)?.into_string().ok()
}

/// A variable as an absolute path; a relative one is ignored, as the XDG base directory specification asks.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    raw(name)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

/// A variable as it is; none if it is unset or empty.
#[expect(
    clippy::disallowed_methods,
    reason = "this module owns the environment"
)]
pub(crate) fn raw(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The folder of the user: `HOME`, else what the user database says.
pub(crate) fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|path| path.is_absolute())
}

/// The folder for temporary files: `TMPDIR`, else `/tmp`.
pub(crate) fn temp() -> PathBuf {
    path("TMPDIR").unwrap_or_else(|| PathBuf::from("/tmp"))
}

/// Whether Git asked not to be disturbed by questions (cron, maintenance, IDEs).
pub(crate) fn quiet() -> bool {
    text("GIT_TERMINAL_PROMPT")
        .is_some_and(|value| ["0", "false", "no", "off"].contains(&value.as_str()))
}
