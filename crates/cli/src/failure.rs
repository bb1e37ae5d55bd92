//! What a command says when it cannot do its work: what happened, what to do next, and whose fault it is.

use std::fmt;
use std::process::ExitCode;

/// A failed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    what: String,
    hint: String,
    blame: Blame,
}

/// Who has to act; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The person who typed the command, or their set-up.
    User,
    /// The words of the command line.
    Usage,
    /// Forgepass: the server, the agent, or a bug.
    Ours,
}

/// What a command returns.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// The user's to mend. `what` is one sentence in lower case without a full stop, `hint` the next step.
    pub(crate) fn user(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: hint.into(),
            blame: Blame::User,
        }
    }

    /// A misuse of the command line.
    pub(crate) fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: hint.into(),
            blame: Blame::Usage,
        }
    }

    /// Not the user's fault.
    pub(crate) fn ours(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: hint.into(),
            blame: Blame::Ours,
        }
    }

    /// A file or folder that could not be used.
    pub(crate) fn file(verb: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::user(
            format!("cannot {verb} {}: {error}", path.display()),
            "check the owner and the permissions of the file and its folder",
        )
    }

    /// What happened, in one sentence.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// The next step.
    pub(crate) fn hint(&self) -> &str {
        &self.hint
    }

    /// 1 for the user, 2 for usage, 255 for ours.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.blame {
            Blame::User => 1,
            Blame::Usage => 2,
            Blame::Ours => 255,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "forgepass: {}\nhint: {}", self.what, self.hint)
    }
}

impl std::error::Error for Failure {}
