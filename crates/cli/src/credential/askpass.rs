//! `forgepass askpass PROMPT`: the same answers for tools that know only `GIT_ASKPASS` or `SSH_ASKPASS`.

use url::Url;

use super::helper::question;
use super::protocol::Request;
use crate::control::{self, Answer, Ask};
use crate::failure::{Failure, Result};
use crate::places::Places;
use crate::say;

/// What a prompt asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Username,
    Password,
}

/// Answers Git's prompt `Username for 'https://…': ` or `Password for 'https://…': `.
///
/// # Errors
/// Another prompt, a host that is not ours, or no credential to give.
pub(crate) fn run(prompt: &str) -> Result<()> {
    let nothing = || {
        Failure::user(
            "no answer to this prompt",
            "Forgepass answers Git's questions for the hosts of linked accounts alone",
        )
    };
    let (wanted, request) = parse(prompt).ok_or_else(nothing)?;
    let get = question(&request).ok_or_else(nothing)?;
    match control::ask(&Places::find()?, &Ask::Get(get))? {
        Some(Answer::Credential(given)) => {
            say::out(match wanted {
                Wanted::Username => given.username,
                Wanted::Password => given.password,
            });
            Ok(())
        }
        Some(Answer::Refused { what, hint }) => Err(Failure::user(what, hint)),
        _ => Err(nothing()),
    }
}

fn parse(prompt: &str) -> Option<(Wanted, Request)> {
    let (wanted, rest) = if let Some(rest) = prompt.strip_prefix("Username for '") {
        (Wanted::Username, rest)
    } else {
        (Wanted::Password, prompt.strip_prefix("Password for '")?)
    };
    let url = Url::parse(
        rest.trim_end()
            .strip_suffix("':")
            .or_else(|| rest.trim_end().strip_suffix('\''))?,
    )
    .ok()?;
    let host = match (url.host_str()?, url.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    };
    let path = url.path().trim_start_matches('/');
    let request = Request {
        protocol: Some(url.scheme().to_owned()),
        host: Some(host),
        path: (!path.is_empty()).then(|| path.to_owned()),
        username: (!url.username().is_empty()).then(|| url.username().to_owned()),
        ..Request::default()
    };
    Some((wanted, request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_gits_prompts_and_no_others() {
        let (wanted, request) =
            parse("Password for 'https://ann@git.example.com:8443/a/b.git': ").unwrap();
        assert_eq!(wanted, Wanted::Password);
        assert_eq!(request.host.as_deref(), Some("git.example.com:8443"));
        assert_eq!(request.username.as_deref(), Some("ann"));
        assert_eq!(request.path.as_deref(), Some("a/b.git"));
        assert!(parse("Username for 'https://git.example.com': ").is_some());
        assert!(parse("Enter passphrase for key '/home/ann/.ssh/id_ed25519': ").is_none());
    }
}
