//! What the doctor says: one line a step, and of the broken one its cause and its mend.

use serde::Serialize;

use crate::failure::{Failure, Result};
use crate::say;

/// How to show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// For programs and support; holds no secret.
    Json,
}

/// How the examination ended; decides the exit code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything on the way works.
    Well,
    /// Something is broken.
    Broken,
}

/// The examination of one remote, as `--json` prints it.
#[derive(Serialize)]
pub(super) struct Report {
    /// What was examined, without a password.
    remote: String,
    /// This program's version.
    version: &'static str,
    /// Whether the whole way works.
    well: bool,
    /// In the order of the way, up to the first broken one.
    pub(super) steps: Vec<Step>,
}

/// One step of the way.
#[derive(Serialize)]
pub(super) struct Step {
    name: &'static str,
    state: State,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Good,
    Note,
    Broken,
}

impl Step {
    pub(super) fn good(name: &'static str, what: String) -> Self {
        Self {
            name,
            state: State::Good,
            what: say::clean(&what),
            hint: None,
        }
    }

    pub(super) fn note(name: &'static str, what: String, hint: String) -> Self {
        Self {
            state: State::Note,
            hint: Some(say::clean(&hint)),
            ..Self::good(name, what)
        }
    }

    pub(super) fn broken(name: &'static str, failure: &Failure) -> Self {
        Self {
            state: State::Broken,
            hint: Some(say::clean(failure.hint())),
            ..Self::good(name, failure.what().to_owned())
        }
    }
}

impl Report {
    pub(super) fn new(remote: &str) -> Self {
        Self {
            remote: say::clean(remote),
            version: env!("CARGO_PKG_VERSION"),
            well: true,
            steps: Vec::new(),
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        if self.steps.iter().any(|step| step.state == State::Broken) {
            Outcome::Broken
        } else {
            Outcome::Well
        }
    }

    pub(super) fn show(&self, form: Form) -> Result<()> {
        match form {
            Form::Text => self.print(),
            Form::Json => {
                let whole = Self {
                    remote: self.remote.clone(),
                    version: self.version,
                    well: self.outcome() == Outcome::Well,
                    steps: Vec::new(),
                };
                let mut value = serde_json::json!(whole);
                value["steps"] = serde_json::json!(self.steps);
                let text = serde_json::to_string_pretty(&value)
                    .map_err(|error| Failure::ours(error.to_string(), "report this"))?;
                say::out(text);
            }
        }
        Ok(())
    }

    fn print(&self) {
        say::out(format_args!("The way of {}", self.remote));
        for step in &self.steps {
            let mark = match step.state {
                State::Good => "✓",
                State::Note => "–",
                State::Broken => "✗",
            };
            say::out(format_args!("{mark} {:<17} {}", step.name, step.what));
            if let Some(hint) = &step.hint {
                say::out(format_args!("  hint: {hint}"));
            }
        }
        if self.outcome() == Outcome::Well {
            say::out("everything on this way works");
        }
    }
}
