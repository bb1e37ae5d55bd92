//! Talking to a person: standard output and standard error that survive a closed pipe.

use std::io::{IsTerminal, Write};

/// Writes a line to standard output. A reader that has gone away (`forgepass status | head -1`) ends the
/// program quietly: nobody is left to be told.
pub(crate) fn out(line: impl std::fmt::Display) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}

/// Writes a line to standard error; a closed one is nobody's problem.
pub(crate) fn err(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Writes a line to standard error where a person sees it at a terminal.
pub(crate) fn hint(line: impl std::fmt::Display) {
    if std::io::stderr().is_terminal() {
        err(format_args!("hint: {line}"));
    }
}

/// Replaces control characters of text that came from elsewhere, so that it cannot drive the terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
