//! Why a user's Git does not work, as far as the server knows: one cause and one mend for each provider. Pure.

use forge::{AuthStyle, Kind, Narrowing, Purpose, Refusal};
use store::{Grant, Link, Provider, User};

use crate::{
    Result,
    ask::trouble,
    dossier::{WorkspaceSeen, WorkspaceState},
    links::state,
    views::{KeyView, LinkState},
};

/// How one part stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about: a provider's name, `Sign-in` or `Workspaces`.
    pub about: String,
    /// Whether it works.
    pub verdict: Verdict,
    /// The cause, or what works, one sentence without a full stop.
    pub cause: String,
    /// What to do, one sentence without a full stop, where there is something to do.
    pub fix: Option<String>,
}

/// Whether a part works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Good,
    /// It works, or will, but there is something to know.
    Note,
    /// It does not work.
    Broken,
}

impl Verdict {
    /// The word for pages and programs: `good`, `note` or `broken`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Broken => "broken",
        }
    }
}

/// What is known of one user at one provider.
pub(crate) struct Case<'a> {
    /// The database's clock, unix seconds.
    pub(crate) now: i64,
    /// The user's name.
    pub(crate) user: &'a str,
    /// Where.
    pub(crate) provider: &'a Provider,
    /// What kind it is.
    pub(crate) kind: &'a dyn Kind,
    /// The link, if there is one.
    pub(crate) link: Option<LinkCase<'a>>,
    /// The key in force, if there is one.
    pub(crate) key: Option<&'a KeyView>,
}

/// What is known of one link.
pub(crate) struct LinkCase<'a> {
    /// The link.
    pub(crate) link: &'a Link,
    /// Its grants.
    pub(crate) grants: &'a [Grant],
    /// What the audit log says of the last refresh that failed.
    pub(crate) last_failure: Option<&'a str>,
}

/// What is found, before it is known what it is about.
type Found = (Verdict, String, Option<String>);

fn broken(cause: impl Into<String>, fix: impl Into<String>) -> Found {
    (Verdict::Broken, cause.into(), Some(fix.into()))
}

fn note(cause: impl Into<String>, fix: impl Into<String>) -> Found {
    (Verdict::Note, cause.into(), Some(fix.into()))
}

/// How one user stands at one provider: the first thing that is broken on the way, as the doctor on
/// the command line would name it.
///
/// # Errors
/// `internal` for a kind that this release does not know.
pub(crate) fn at_provider(case: &Case<'_>) -> Result<Finding> {
    let about = case.provider.name.clone();
    let found = of_provider(case)
        .or(of_link(case)?)
        .or_else(|| of_refresh(case))
        .or_else(|| of_key(case))
        .or_else(|| of_scopes(case))
        .unwrap_or_else(|| good(case));
    let (verdict, cause, fix) = found;
    Ok(Finding {
        about,
        verdict,
        cause,
        fix,
    })
}

fn of_provider(case: &Case<'_>) -> Option<Found> {
    let provider = case.provider;
    let name = &provider.name;
    if provider.disabled_at.is_some() {
        return Some(broken(
            format!("{name} is turned off"),
            "turn it on under Manage > Admin > Git OAuth",
        ));
    }
    if let Some(alarm) = &provider.alarm {
        return Some(broken(
            format!("{name} cannot be used as it is configured: {alarm}"),
            "mend its settings under Manage > Admin > Git OAuth, then test the connection",
        ));
    }
    let what = trouble(provider)?;
    Some(broken(
        format!("{name} {what}"),
        "check the network between this server and the provider, then test the connection under \
         Manage > Admin > Git OAuth",
    ))
}

fn of_link(case: &Case<'_>) -> Result<Option<Found>> {
    let (name, user) = (&case.provider.name, case.user);
    let again = || format!("ask {user} to link again under Preferences > Linked accounts");
    let Some(LinkCase { link, grants, .. }) = &case.link else {
        let has_accounts = case.kind.auth() != AuthStyle::None;
        return Ok(has_accounts.then(|| {
            broken(
                format!("no account is linked at {name}"),
                format!("ask {user} to link one under Preferences > Linked accounts"),
            )
        }));
    };
    let login = &link.login;
    let (state, reason) = state(link, case.provider, grants)?;
    Ok(match state {
        LinkState::Linked => None,
        LinkState::Dead => {
            let why = reason.unwrap_or_else(|| "the provider gave no reason".to_owned());
            let evicted = why == Refusal::TokenRejected.to_string();
            let more = "; should it happen again, somebody revokes the authorisation, or the \
                        provider ends the oldest of too many tokens of one application";
            let fix = again() + if evicted { more } else { "" };
            Some(broken(
                format!("the link of {login} at {name} is dead: {why}"),
                fix,
            ))
        }
        LinkState::Unfinished => {
            let mints = case.kind.narrowing() == Narrowing::Mint;
            let finish = format!("ask {user} to press Finish under Preferences > Linked accounts");
            let why = reason.unwrap_or_default();
            let fix = if mints { again() } else { finish };
            Some(note(
                format!("the link of {login} at {name} is not finished: {why}"),
                fix,
            ))
        }
    })
}

/// A renewal that failed; tokens that still live are used on, so it is only noted.
fn of_refresh(case: &Case<'_>) -> Option<Found> {
    let LinkCase {
        link,
        grants,
        last_failure,
    } = case.link.as_ref()?;
    let grant = grants.iter().find(|grant| grant.failures > 0)?;
    let (name, now) = (&case.provider.name, case.now);
    let why = last_failure.unwrap_or("the provider did not say why");
    let cause = format!("{name} did not renew the token of {}: {why}", link.login);
    let wait = wait(grant.retry_at.map_or(0, |at| at - now));
    let fix = if is_rate_limit(why) {
        format!("wait: Forgepass tries again {wait}, as the provider asked")
    } else if grant.suspect_since.is_some() {
        format!(
            "wait: Forgepass tries again {wait}; if the provider says the same for ten minutes, the \
             link is marked dead"
        )
    } else {
        format!("nothing: Forgepass tries again {wait}, and the tokens are kept")
    };
    let lives = grant.expires_at.is_none_or(|at| at > now);
    Some(if lives {
        note(cause, fix)
    } else {
        broken(cause, fix)
    })
}

fn of_key(case: &Case<'_>) -> Option<Found> {
    let (name, user) = (&case.provider.name, case.user);
    let Some(key) = case.key else {
        return Some(note(
            format!("there is no SSH key for {name}"),
            format!("ask {user} to open Preferences > SSH keys, which makes one, or to link again"),
        ));
    };
    let why = key.reason.as_deref().unwrap_or("it gave no reason");
    let page = key.page.as_deref().unwrap_or("the provider's page of keys");
    match key.state.as_str() {
        "needs-authorization" => Some(broken(
            format!("{name} has the key, but an organisation there wants it authorised first"),
            format!("ask {user} to authorise it at {page}"),
        )),
        "refused" => Some(broken(
            format!("{name} refused the key: {why}"),
            format!(
                "ask {user} to regenerate it under Preferences > SSH keys, or to mend what it says"
            ),
        )),
        "absent" => Some(broken(
            format!("{name} no longer has the key"),
            format!("ask {user} to regenerate it under Preferences > SSH keys"),
        )),
        "pending" => Some(note(
            format!("the key is on its way to {name}"),
            "wait a minute",
        )),
        "by-hand" => Some(note(
            format!("the key for {name} has not been used yet, so it may not have been pasted"),
            format!("ask {user} to paste it at {page}"),
        )),
        "unknown" => Some(unconfirmed(name, why)),
        _ => None,
    }
}

fn unconfirmed(provider: &str, why: &str) -> Found {
    let cause = if is_rate_limit(why) {
        format!("{provider} asks to slow down, so the key is not confirmed")
    } else {
        format!("{provider} could not be asked about the key: {why}")
    };
    note(cause, "wait: Forgepass tries again by itself")
}

/// Scopes that were asked for and not granted. Providers may name a wider one instead, so it is a note.
fn of_scopes(case: &Case<'_>) -> Option<Found> {
    let LinkCase { link, grants, .. } = case.link.as_ref()?;
    let apart = case.provider.narrowing_off_at.is_none()
        && case.kind.narrowing() == Narrowing::SecondConsent;
    let lacking = |grant: &Grant| {
        let purpose = [Purpose::Manage, Purpose::Git]
            .into_iter()
            .find(|purpose| purpose.as_str() == grant.purpose)?;
        let asked = case.kind.scopes(apart.then_some(purpose));
        let named = !grant.scopes.is_empty() && grant.remote_id.is_none();
        let granted = |scope: &str| grant.scopes.iter().any(|granted| granted == scope);
        asked
            .iter()
            .find(|scope| named && !granted(scope))
            .map(|scope| (purpose, *scope))
    };
    let (purpose, scope) = grants.iter().find_map(lacking)?;
    let (name, login) = (&case.provider.name, &link.login);
    let what = match purpose {
        Purpose::Manage => "keys",
        Purpose::Git => "Git",
    };
    Some(note(
        format!("{name} did not grant the scope {scope} for {what} to {login}"),
        format!(
            "allow it in the application's settings at {name}, then ask {} to link again",
            case.user
        ),
    ))
}

fn good(case: &Case<'_>) -> Found {
    let name = &case.provider.name;
    let cause = match &case.link {
        Some(it) => format!(
            "the account {} is linked, and {name} has the key",
            it.link.login
        ),
        None => format!("{name} takes the key; it has no accounts to link"),
    };
    (Verdict::Good, cause, None)
}

/// Whether a text of the audit log or of a key ends in what a rate limit is called.
fn is_rate_limit(text: &str) -> bool {
    let words = Refusal::RateLimited {
        retry_after_s: None,
    };
    text.ends_with(&words.to_string())
}

fn wait(seconds: i64) -> String {
    match seconds {
        ..=60 => "within a minute".to_owned(),
        61..=5400 => format!("in {} minutes", (seconds + 59) / 60),
        _ => format!("in {} hours", (seconds + 1800) / 3600),
    }
}

/// Whether the user may sign in at all.
pub(crate) fn of_user(user: &User) -> Option<Finding> {
    let name = &user.name;
    let (verdict, cause, fix) = if user.suspended_at.is_some() {
        broken(
            "this user is suspended, so nothing is handed out",
            format!("restore {name} at the end of this page"),
        )
    } else if user.password_hash.is_none() {
        note(
            "this user has not set a password yet",
            "make a new one-time link under Manage > Users and hand it over",
        )
    } else {
        return None;
    };
    Some(Finding {
        about: "Sign-in".to_owned(),
        verdict,
        cause,
        fix,
    })
}

/// Whether the user has a workspace whose token works; `workspaces` newest first.
pub(crate) fn of_workspaces(workspaces: &[WorkspaceSeen]) -> Finding {
    let login = "run `forgepass login` there";
    let active = || {
        workspaces
            .iter()
            .filter(|seen| seen.state == WorkspaceState::Active)
    };
    let copied = active().find(|seen| seen.workspace.other_machine_at.is_some());
    let (verdict, cause, fix) = match (workspaces.first(), active().next(), copied) {
        (None, ..) => note("no workspace has signed in yet", login),
        (Some(last), None, _) => broken(
            format!(
                "the workspace token of {} {}",
                last.workspace.name,
                over(last.state)
            ),
            format!("{login} again"),
        ),
        (_, _, Some(seen)) => note(
            format!(
                "a second machine came with the token of {} and was refused",
                seen.workspace.name
            ),
            "sign that machine in by `forgepass login`; if nobody copied the token, revoke it",
        ),
        (Some(_), Some(_), None) => {
            let cause = format!("{} of {} can ask", active().count(), workspaces.len());
            (Verdict::Good, cause, None)
        }
    };
    Finding {
        about: "Workspaces".to_owned(),
        verdict,
        cause,
        fix,
    }
}

fn over(state: WorkspaceState) -> &'static str {
    match state {
        WorkspaceState::Active => "works",
        WorkspaceState::Idle => "was not used for 30 days, so it ended",
        WorkspaceState::Ended => "has reached its end",
        WorkspaceState::Revoked => "was revoked",
    }
}

#[cfg(test)]
mod tests;
