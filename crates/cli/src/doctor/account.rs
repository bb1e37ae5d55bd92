//! The middle of the way: the provider, this user's link there, and the credential Git would get.

use api::{Credential, CredentialRequest, LinkStatus};

use super::{Finding, Patient, Way};
use crate::failure::{Failure, Result};

/// Whether the remote's host is a provider's.
pub(super) fn provider(patient: &Patient<'_>) -> Result<Finding> {
    let provider = patient.provider()?;
    Ok(Finding::Good(format!(
        "{} owns this address",
        provider.name
    )))
}

/// Whether the user has a link there that is alive and whole.
pub(super) fn link(patient: &Patient<'_>) -> Result<Finding> {
    let status = link_status(patient)?;
    let next = || {
        let fallback = || format!("run `forgepass link {}`", status.provider);
        status.next_step.clone().unwrap_or_else(fallback)
    };
    let login = status.login.as_deref().unwrap_or("no account");
    match status.state.as_str() {
        "not-linked" => Err(Failure::user(
            format!("you have linked no account at {}", status.provider),
            next(),
        )),
        "dead" => Err(Failure::user(
            format!(
                "the link of {login} at {} is dead{}",
                status.provider,
                reason(patient, login)?
            ),
            next(),
        )),
        "unfinished" if patient.target.way == Some(Way::Https) => Err(Failure::user(
            format!(
                "the link of {login} at {} is not finished: the consent for Git over HTTPS is missing",
                status.provider
            ),
            next(),
        )),
        "unfinished" => Ok(Finding::Note(
            format!("{login} works over SSH; the consent for HTTPS is missing"),
            next(),
        )),
        "key-only" => Ok(Finding::Good(format!(
            "{} takes your key; it has no accounts to link",
            status.provider
        ))),
        _ => Ok(Finding::Good(format!("{login} is linked"))),
    }
}

/// The status of the link that answers; the most broken one where a user has several and none works.
pub(super) fn link_status<'a>(patient: &'a Patient<'_>) -> Result<&'a LinkStatus> {
    let name = &patient.provider()?.name;
    let mine = || {
        let links = &patient.status()?.links;
        Ok::<_, Failure>(links.iter().filter(|link| link.provider == *name))
    };
    mine()?
        .find(|link| link.state == "linked")
        .or(mine()?.next())
        .ok_or_else(|| {
            Failure::ours(
                format!("the server does not tell how you stand at {name}"),
                "try again in a minute",
            )
        })
}

fn reason(patient: &Patient<'_>, login: &str) -> Result<String> {
    let mut links = patient.provider()?.links.iter();
    let dead = links.find(|link| link.login.as_deref() == Some(login));
    let why = dead.and_then(|link| link.dead.as_deref());
    Ok(why
        .filter(|why| !why.is_empty())
        .map(|why| format!(": {why}"))
        .unwrap_or_default())
}

/// Whether the server gives a credential, as it would to Git. It is not looked at, and thrown away.
pub(super) fn credential(patient: &Patient<'_>) -> Result<Finding> {
    let Some(base) = &patient.provider()?.git_url else {
        return Ok(Finding::Apart);
    };
    if !patient.goes_by(Way::Https) || link_status(patient)?.state != "linked" {
        return Ok(Finding::Apart);
    }
    let url = match patient.target.https() {
        Some(url) => url,
        None => base.parse().map_err(|_| {
            Failure::ours(
                "the server tells an address that is none",
                "tell your site manager",
            )
        })?,
    };
    let host = url.host_str().unwrap_or_default();
    let host = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let credential: Credential = patient.server()?.post(
        "/api/v1/credential",
        &CredentialRequest {
            protocol: "https".to_owned(),
            host,
            path: Some(url.path().trim_start_matches('/').to_owned())
                .filter(|path| !path.is_empty()),
            username: Some(url.username().to_owned()).filter(|name| !name.is_empty()),
            min_ttl_s: None,
            state: None,
        },
    )?;
    Ok(Finding::Good(format!(
        "{} gives one for {}",
        credential.provider, credential.username
    )))
}
