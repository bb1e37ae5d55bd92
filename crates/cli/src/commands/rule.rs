//! `account rule`: which linked account answers for which host, owner or path.

use api::{Link, NewRule, Rule, Setup};

use super::account::{Caller, is_called, open, page};
use crate::control::{self, Ask};
use crate::failure::{Failure, Result};
use crate::http::Server;
use crate::places::Places;
use crate::say;

const RULES: &str = "/preferences/linked-accounts#rules";

/// Prints the rules: a workspace may look too.
///
/// # Errors
/// Not signed in, or the server does not answer.
pub(crate) fn list() -> Result<()> {
    let places = Places::find()?;
    let lines: Vec<String> = match Caller::find(&places)? {
        Caller::User(server) => {
            let rules: Vec<Rule> = server.get("/api/v1/rules")?;
            let line = |rule: &Rule| line(&rule.pattern, &rule.login, &rule.provider);
            rules.iter().map(line).collect()
        }
        Caller::Workspace(server) => {
            let setup: Option<Setup> = server.setup(None)?;
            setup.map(|setup| known(&setup)).unwrap_or_default()
        }
    };
    if lines.is_empty() {
        say::out("There are no rules: each provider's default account answers.");
    }
    lines.iter().for_each(say::out);
    Ok(())
}

/// Lets the account `login` answer for `pattern`; `provider` tells two accounts of one login apart.
///
/// # Errors
/// No such link, several of them, a pattern of another host, or the server does not answer.
pub(crate) fn add(pattern: &str, login: &str, provider: Option<&str>) -> Result<()> {
    let places = Places::find()?;
    let Some(server) = user_or_page(&places)? else {
        return Ok(());
    };
    let links: Vec<Link> = server.get("/api/v1/links")?;
    let here = |link: &&Link| {
        provider.is_none_or(|wanted| is_called(wanted, &link.provider, &link.provider_id))
    };
    let named: Vec<&Link> = links
        .iter()
        .filter(here)
        .filter(|link| link.login == login)
        .collect();
    let link = match named.as_slice() {
        [link] => *link,
        [] => {
            return Err(Failure::user(
                format!("no account `{}` is linked", say::clean(login)),
                "`forgepass status` lists the linked accounts",
            ));
        }
        _ => {
            return Err(Failure::user(
                format!("`{}` is linked at several providers", say::clean(login)),
                "say which one with --provider NAME",
            ));
        }
    };
    let new = NewRule {
        pattern: pattern.to_owned(),
        link: link.id.clone(),
    };
    let rule: Rule = server.post("/api/v1/rules", &new)?;
    let _ = control::ask_running(&places, &Ask::Refresh);
    say::out(line(&rule.pattern, &rule.login, &rule.provider));
    Ok(())
}

/// Removes the rule for `pattern`.
///
/// # Errors
/// No such rule, or the server does not answer.
pub(crate) fn remove(pattern: &str) -> Result<()> {
    let places = Places::find()?;
    let Some(server) = user_or_page(&places)? else {
        return Ok(());
    };
    let rules: Vec<Rule> = server.get("/api/v1/rules")?;
    let wanted = pattern.trim_end_matches('/');
    let rule = rules
        .iter()
        .find(|rule| rule.pattern.eq_ignore_ascii_case(wanted) || rule.id == wanted);
    let rule = rule.ok_or_else(|| {
        Failure::user(
            format!("there is no rule for `{}`", say::clean(pattern)),
            "`forgepass account rule list` shows them",
        )
    })?;
    server.delete(&format!("/api/v1/rules/{}", rule.id), None::<&()>)?;
    let _ = control::ask_running(&places, &Ask::Refresh);
    say::out(format_args!(
        "The rule for {} is removed.",
        say::clean(&rule.pattern)
    ));
    Ok(())
}

/// The user's API; a workspace may not change rules, so it is led to the page.
fn user_or_page(places: &Places) -> Result<Option<Server>> {
    match Caller::find(places)? {
        Caller::User(server) => Ok(Some(server)),
        Caller::Workspace(server) => {
            open(&page(&server, RULES));
            Ok(None)
        }
    }
}

/// The rules in a workspace's set-up data, which names their paths alone.
fn known(setup: &Setup) -> Vec<String> {
    let mut lines = Vec::new();
    for provider in &setup.providers {
        let address = provider.git_url.as_deref().unwrap_or_default();
        let address = address.trim_start_matches("https://");
        for link in &provider.links {
            let login = link.login.as_deref().unwrap_or_default();
            for path in &link.rules {
                let pattern = format!("{address}/{path}");
                lines.push(line(pattern.trim_end_matches('/'), login, &provider.name));
            }
        }
    }
    lines.sort();
    lines
}

fn line(pattern: &str, login: &str, provider: &str) -> String {
    say::clean(&format!("{pattern}  {login} at {provider}"))
}
