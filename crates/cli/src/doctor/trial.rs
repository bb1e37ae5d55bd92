//! The end of the way: Git itself asks the remote for its branches, and the provider has the last word.

use std::process::{Command, Stdio};

use super::{Finding, Patient};
use crate::failure::{Failure, Result};

/// Lists the remote's branches with Git, as a fetch begins.
pub(super) fn list(patient: &Patient<'_>) -> Result<Finding> {
    let Some(url) = &patient.target.url else {
        return Ok(Finding::Apart);
    };
    let mut git = Command::new("git");
    git.args(["ls-remote", "--heads", "--quiet", "--", url]);
    // Nobody is asked: what is missing shall show.
    git.env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ASKPASS", "true")
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    let out = git
        .output()
        .map_err(|error| Failure::file("run", "git".as_ref(), &error))?;
    if out.status.success() {
        let branches = out.stdout.split(|byte| *byte == b'\n').count() - 1;
        return Ok(Finding::Good(format!("Git lists {branches} branches")));
    }
    let said = String::from_utf8_lossy(&out.stderr);
    Err(cause(&said.replace(url.as_str(), &patient.target.shown)))
}

/// What the provider said through Git, in its own words, and the mend for what is known.
fn cause(said: &str) -> Failure {
    let hint = said.lines().find_map(|line| line.strip_prefix("hint: "));
    let remote: Vec<&str> = said
        .lines()
        // Over SSH the provider's words come as they are.
        .filter_map(|line| {
            line.strip_prefix("remote: ")
                .or(line.strip_prefix("ERROR: "))
        })
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let own = said
        .lines()
        .find_map(|line| line.strip_prefix("forgepass: "));
    let last = said.lines().find(|line| line.starts_with("fatal: "));
    let words = match (own, remote.as_slice(), last) {
        (Some(own), _, _) => own.to_owned(),
        (None, [], Some(last)) => last.trim_start_matches("fatal: ").to_owned(),
        (None, [], None) => said.lines().last().unwrap_or("nothing").to_owned(),
        (None, lines, _) => lines.join(" "),
    };
    Failure::user(
        format!("the provider refuses this repository: {words}"),
        hint.map_or_else(|| mend(&words).to_owned(), str::to_owned),
    )
}

fn mend(words: &str) -> &'static str {
    let words = words.to_ascii_lowercase();
    let says = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    if says(&["saml", "sso"]) {
        "authorise Forgepass (over SSH its key) on the organisation's single sign-on page at the provider, then link again"
    } else if says(&[
        "oauth app access restrictions",
        "organization",
        "organisation",
    ]) {
        "ask an owner of the organisation to approve the OAuth application"
    } else if says(&["rate limit", "429", "too many"]) {
        "wait some minutes: the provider counts too many requests"
    } else if says(&["scope"]) {
        "link the account again and grant what the page asks for"
    } else if says(&["not found", "404", "does not exist", "could not be found"]) {
        "check the address, and that the linked account may see this repository"
    } else {
        "check at the provider that the linked account may read this repository"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_providers_words_with_its_own_mend() {
        for (said, words, hint) in [
            (
                "remote: The 'example' organization has enabled or enforced SAML SSO.\nfatal: unable to access",
                "SAML SSO",
                "single sign-on",
            ),
            (
                "remote: the `example` organization has enabled OAuth App access restrictions\nfatal: x",
                "restrictions",
                "approve the OAuth application",
            ),
            (
                "fatal: unable to access 'https://git.example.com/a/': The requested URL returned error: 429",
                "429",
                "wait some minutes",
            ),
            (
                "remote: Repository not found.\nfatal: repository 'https://git.example.com/a/' not found",
                "Repository not found.",
                "check the address",
            ),
            (
                "git@git.example.com: Permission denied (publickey).\nforgepass: the link is dead\nhint: link again\n",
                "the link is dead",
                "link again",
            ),
        ] {
            let failure = cause(said);
            assert!(failure.what().contains(words), "{failure}");
            assert!(failure.hint().contains(hint), "{failure}");
        }
    }
}
