//! `forgepass doctor`: walks the whole way of one remote and stops at the first thing that is broken.
//!
//! Each part of the way is one check in [`CHECKS`]; it says what it found, or why nothing after it can work.

mod account;
mod key;
mod local;
mod report;
mod server;
mod target;
mod trial;

use std::cell::OnceCell;

use api::{Setup, SetupProvider, WorkspaceStatus};

pub(crate) use self::report::{Form, Outcome};
use self::report::{Report, Step};
use self::target::{Target, Way};
use crate::failure::{Failure, Result};
use crate::http::Server;
use crate::places::Places;

/// One part of the way: what it is called, and how it is looked at.
type Check = (&'static str, fn(&Patient<'_>) -> Result<Finding>);

/// The way of a remote, in the order in which Git and ssh go it.
const CHECKS: &[Check] = &[
    ("sign-in", server::sign_in),
    ("server", server::answers),
    ("clock", server::clock),
    ("workspace", server::workspace),
    ("provider", account::provider),
    ("link", account::link),
    ("git", local::git),
    ("ssh program", local::ssh_program),
    ("credential helper", local::helper),
    ("ssh command", local::ssh_command),
    ("agent", local::agent),
    ("credential", account::credential),
    ("key", key::uploaded),
    ("host key", key::host_key),
    ("trial", trial::list),
];

/// What a check found where the way goes on.
enum Finding {
    /// It works; one sentence.
    Good(String),
    /// It works, but a person should know something: what, and what to do.
    Note(String, String),
    /// It is not on the way of this remote.
    Apart,
}

/// Who is looked at: the machine, the remote, and what the server told on the way.
struct Patient<'a> {
    places: &'a Places,
    target: &'a Target,
    server: OnceCell<Server>,
    setup: OnceCell<Setup>,
    status: OnceCell<WorkspaceStatus>,
}

/// Looks at a remote of the repository we stand in (`origin` where none is named), a URL or a host.
///
/// # Errors
/// The remote is not understood. What is broken on its way is an [`Outcome`], not an error.
pub(crate) fn run(what: Option<&str>, form: Form) -> Result<Outcome> {
    let places = Places::find()?;
    let target = Target::find(what)?;
    let patient = Patient {
        places: &places,
        target: &target,
        server: OnceCell::new(),
        setup: OnceCell::new(),
        status: OnceCell::new(),
    };
    let report = examine(&patient);
    report.show(form)?;
    Ok(report.outcome())
}

fn examine(patient: &Patient<'_>) -> Report {
    let mut report = Report::new(&patient.target.shown);
    for (name, check) in CHECKS {
        match check(patient) {
            Ok(Finding::Good(what)) => report.steps.push(Step::good(name, what)),
            Ok(Finding::Note(what, hint)) => report.steps.push(Step::note(name, what, hint)),
            Ok(Finding::Apart) => {}
            Err(failure) => {
                report.steps.push(Step::broken(name, &failure));
                break;
            }
        }
    }
    report
}

impl Patient<'_> {
    fn server(&self) -> Result<&Server> {
        if let Some(server) = self.server.get() {
            return Ok(server);
        }
        let server = Server::of_workspace(self.places)?;
        Ok(self.server.get_or_init(|| server))
    }

    /// The set-up data, fetched now: what the agent holds may be a minute old.
    fn setup(&self) -> Result<&Setup> {
        if let Some(setup) = self.setup.get() {
            return Ok(setup);
        }
        let setup = self.server()?.setup(None)?.ok_or_else(|| {
            Failure::ours(
                "the server does not tell its set-up data",
                "try again in a minute",
            )
        })?;
        Ok(self.setup.get_or_init(|| setup))
    }

    fn status(&self) -> Result<&WorkspaceStatus> {
        if let Some(status) = self.status.get() {
            return Ok(status);
        }
        let status = self.server()?.get("/api/v1/workspace")?;
        Ok(self.status.get_or_init(|| status))
    }

    /// The provider that the remote belongs to.
    fn provider(&self) -> Result<&SetupProvider> {
        let setup = self.setup()?;
        self.target.provider(setup).ok_or_else(|| {
            let names: Vec<&str> = setup.providers.iter().map(|one| one.name.as_str()).collect();
            Failure::user(
                format!("`{}` belongs to no provider that Forgepass knows", self.target.shown),
                if names.is_empty() {
                    "ask your site manager to add the provider under Manage > Admin > Git OAuth"
                        .to_owned()
                } else {
                    format!(
                        "check the address (the providers are {}), or ask your site manager to add this one",
                        names.join(", ")
                    )
                },
            )
        })
    }

    /// Whether Git reaches this remote so; a host alone may be reached both ways.
    fn goes_by(&self, way: Way) -> bool {
        self.target.way.is_none_or(|only| only == way)
    }
}
