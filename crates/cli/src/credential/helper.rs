//! `forgepass credential get|store|erase|capability`, as Git calls it.

use std::io::Write;
use std::process::ExitCode;

use url::Url;

use super::protocol::{self, Answer, Request};
use super::wait;
use crate::control::{self, Ask, Fared, Get};
use crate::failure::{Failure, Result};
use crate::places::Places;
use crate::say;
use crate::setup::chain::others_for;

/// Least remaining life of a token for a Git that comes back when a token is refused. It covers the body
/// of one push: a body that has begun cannot be sent again.
const MIN_TTL_S: i64 = 300;
/// The same for an older Git, which does not come back.
const MIN_TTL_OLD_GIT_S: i64 = 600;

/// Whom Git tells what we answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chain {
    /// Nobody else: `setup` took the host out of the others' hands.
    Ours,
    /// Perhaps other helpers; `store` would write the token to disk.
    Shared,
}

/// Runs one operation. An operation that is not known is ignored, as gitcredentials(7) asks.
pub(crate) fn run(operation: &str, chain: Chain) -> ExitCode {
    let done = match operation {
        "get" => get(chain),
        "store" => report(Verdict::Accepted),
        "erase" => report(Verdict::Refused),
        "capability" => print(protocol::CAPABILITIES),
        _ => Ok(()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say::err(&failure);
            failure.exit_code()
        }
    }
}

enum Verdict {
    Accepted,
    Refused,
}

fn get(chain: Chain) -> Result<()> {
    let request = request()?;
    let Some(get) = question(&request) else {
        return Ok(());
    };
    let places = Places::find()?;
    let answer = match control::ask(&places, &Ask::Get(get.clone())) {
        Ok(Some(control::Answer::NotLinked { hint, page })) => {
            wait::for_link(&places, &get, wait::Offer { hint, page })
        }
        other => other,
    };
    match answer {
        Ok(Some(control::Answer::Credential(given))) => match told_others(chain, &get) {
            Some(failure) => quit(&failure),
            None => give(&request, given),
        },
        Ok(Some(control::Answer::Refused { what, hint })) => quit(&Failure::user(what, hint)),
        Ok(None) => {
            say::hint("this machine is not signed in to Forgepass; run `forgepass login`");
            Ok(())
        }
        Ok(Some(_)) => Ok(()),
        // The agent knows which hosts are ours; without it another helper may still know.
        Err(failure) => {
            say::err(&failure);
            Ok(())
        }
    }
}

fn request() -> Result<Request> {
    let input = protocol::read(std::io::stdin()).map_err(|error| malformed(&error))?;
    Request::parse(&input).map_err(|error| malformed(&error))
}

fn malformed(error: &dyn std::fmt::Display) -> Failure {
    Failure::user(
        error.to_string(),
        "check the repository's URL; Forgepass gives no credential for a request that could name another host",
    )
}

/// What to ask the agent; none for what is never ours.
pub(super) fn question(request: &Request) -> Option<Get> {
    let https = request.protocol.as_deref() == Some("https");
    Some(Get {
        host: request.host.clone().filter(|_| https)?,
        path: request.path.clone(),
        username: request.username.clone(),
        state: request.states.last().cloned(),
        min_ttl_s: if request.knows_state {
            MIN_TTL_S
        } else {
            MIN_TTL_OLD_GIT_S
        },
    })
}

fn give(request: &Request, given: control::Given) -> Result<()> {
    let answer = Answer {
        username: given.username,
        password: given.password,
        expires_at: given.expires_at,
        state: given.state,
    };
    match answer.lines(request) {
        Some(lines) => print(&lines),
        None => quit(&Failure::ours(
            "the server sent a credential that Git cannot read",
            "report this",
        )),
    }
}

/// Why a credential must not be given: Git would tell it to another helper too.
fn told_others(chain: Chain, get: &Get) -> Option<Failure> {
    if chain == Chain::Ours {
        return None;
    }
    let path = get.path.as_deref().unwrap_or_default();
    let url = Url::parse(&format!("https://{}/{path}", get.host)).ok()?;
    let other = others_for(&url).into_iter().next()?;
    Some(Failure::user(
        format!(
            "Git would give the token to the credential helper `{}` too ({})",
            other.helper, other.origin
        ),
        "run `forgepass setup`, then the same command again",
    ))
}

/// One line for the person, and Git asks nobody else: a link exists, so another helper's answer or a
/// question at the terminal would only hide the reason.
fn quit(failure: &Failure) -> Result<()> {
    say::err(failure);
    print(protocol::QUIT)
}

fn report(verdict: Verdict) -> Result<()> {
    let request = request()?;
    if question(&request).is_none() {
        return Ok(());
    }
    let fared = Fared {
        accepted: matches!(verdict, Verdict::Accepted),
        states: request.states,
        password: request.password,
    };
    // Without an agent there is nobody who handed the token out, and nothing to forget.
    let _ = control::ask_running(&Places::find()?, &Ask::Fared(fared));
    Ok(())
}

fn print(lines: &str) -> Result<()> {
    let mut out = std::io::stdout();
    match out.write_all(lines.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::ours(
            format!("cannot answer Git: {error}"),
            "report this",
        )),
        _ => Ok(()),
    }
}
