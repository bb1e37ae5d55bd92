//! `forgepass status`: the sign-in, the linked accounts, the agent, and what stands in Git's way.

use api::{LinkStatus, Meta, WorkspaceStatus};
use serde::Serialize;

use super::login::is_older;
use crate::clock;
use crate::control::{self, AgentStatus, Answer, Ask};
use crate::failure::{Failure, Result};
use crate::http::Server;
use crate::places::Places;
use crate::say;
use crate::setup::chain;

/// How to show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// All of it, as `--json` prints it.
#[derive(Serialize)]
struct Status {
    server: String,
    server_version: Option<String>,
    status: WorkspaceStatus,
    agent: Option<AgentStatus>,
    warnings: Vec<Warning>,
}

#[derive(Serialize)]
struct Warning {
    what: String,
    hint: String,
}

/// Shows the status.
///
/// # Errors
/// Not signed in, or the server does not answer.
pub(crate) fn run(form: Form) -> Result<()> {
    let places = Places::find()?;
    let server = Server::of_workspace(&places)?;
    let meta: Option<Meta> = server.get("/api/v1/meta").ok();
    let status: WorkspaceStatus = server.get("/api/v1/workspace")?;
    let mut warnings = warnings(&places);
    if let Some(meta) = meta
        .as_ref()
        .filter(|meta| is_older(env!("CARGO_PKG_VERSION"), &meta.minimum_cli))
    {
        warnings.push(Failure::user(
            format!(
                "the server works with forgepass {} and later alone",
                meta.minimum_cli
            ),
            "install a newer forgepass",
        ));
    }
    let status = Status {
        server: server.url().to_owned(),
        server_version: meta.map(|meta| meta.version),
        status,
        agent: agent(&places),
        warnings: warnings
            .iter()
            .map(|one| Warning {
                what: one.what().to_owned(),
                hint: one.hint().to_owned(),
            })
            .collect(),
    };
    match form {
        Form::Json => {
            let text = serde_json::to_string_pretty(&status);
            say::out(text.map_err(|error| Failure::ours(error.to_string(), "report this"))?);
        }
        Form::Text => print(&status),
    }
    Ok(())
}

fn warnings(places: &Places) -> Vec<Failure> {
    match control::ask(places, &Ask::Refresh) {
        Ok(Some(Answer::Setup(setup))) => chain::warnings(places, &setup),
        Ok(Some(Answer::Refused { what, hint })) => vec![Failure::user(what, hint)],
        Ok(_) => Vec::new(),
        Err(failure) => vec![failure],
    }
}

fn agent(places: &Places) -> Option<AgentStatus> {
    match control::ask_running(places, &Ask::Status) {
        Ok(Answer::Status(status)) => Some(status),
        _ => None,
    }
}

fn print(status: &Status) {
    let workspace = &status.status.workspace;
    let days = (workspace.expires_at - clock::now()) / 86_400;
    let version = status
        .server_version
        .as_deref()
        .unwrap_or("version not told");
    say::out(format_args!(
        "Server     {} ({})",
        status.server,
        say::clean(version)
    ));
    say::out(format_args!(
        "Workspace  {} of {}, for {days} more days",
        say::clean(&workspace.name),
        say::clean(&status.status.user)
    ));
    match &status.agent {
        Some(agent) => say::out(format_args!(
            "Agent      process {}, SSH_AUTH_SOCK={}",
            agent.process,
            agent.socket.display()
        )),
        None => say::out("Agent      not running; Git starts it when it needs it"),
    }
    status.status.links.iter().for_each(print_link);
    print_troubles(status);
}

/// What was refused lately, and what keeps Git from asking us.
fn print_troubles(status: &Status) {
    for refusal in status
        .agent
        .iter()
        .flat_map(|agent| &agent.refusals)
        .take(3)
    {
        say::out(format_args!("Refused    {}", say::clean(&refusal.what)));
    }
    for warning in &status.warnings {
        say::err(format_args!(
            "warning: {}\nhint: {}",
            say::clean(&warning.what),
            say::clean(&warning.hint)
        ));
    }
}

fn print_link(link: &LinkStatus) {
    let account = link.login.as_deref().unwrap_or("no account");
    let key = link
        .key_state
        .as_deref()
        .map(|state| format!(", key {state}"))
        .unwrap_or_default();
    say::out(say::clean(&format!(
        "{}: {account}, {}{key}",
        link.provider, link.state
    )));
    if let Some(next) = &link.next_step {
        say::out(format_args!("  next: {}", say::clean(next)));
    }
}
