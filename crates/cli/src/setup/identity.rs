//! Whose name and address commits carry where a rule chooses the account (git-config(1), "Conditional
//! includes"). Pure.

use std::path::{Path, PathBuf};

use api::{Setup, SetupLink, SetupProvider};

use super::render::{line, quoted};
use crate::settings::SetupChoice;

/// The file with the name and address of one link, and its text.
pub(super) struct Identity {
    /// Where it lies.
    pub(super) file: PathBuf,
    /// What it says.
    pub(super) text: String,
}

/// A file for every link that has a rule, where Git has no name or address of its own.
pub(super) fn identities(files: &Path, setup: &Setup, choice: &SetupChoice) -> Vec<Identity> {
    let links = setup.providers.iter().flat_map(|provider| &provider.links);
    links
        .filter(|link| !link.rules.is_empty())
        .filter_map(|link| {
            let file = file(files, link)?;
            let text = text(link, choice)?;
            Some(Identity { file, text })
        })
        .collect()
}

/// Includes those files where a remote's URL fits a rule, the most specific rule last, since Git keeps
/// the last value. A Git before 2.36 knows no such condition and includes none.
pub(super) fn conditions(files: &Path, setup: &Setup, choice: &SetupChoice) -> String {
    let mut rules: Vec<(&str, &SetupProvider, PathBuf)> = Vec::new();
    for provider in &setup.providers {
        for link in &provider.links {
            let known = text(link, choice).and_then(|_| file(files, link));
            let own = known.iter().flat_map(|file| {
                let rule = |rule| (String::as_str(rule), provider, file.clone());
                link.rules.iter().map(rule)
            });
            rules.extend(own);
        }
    }
    rules.sort_by_key(|(rule, ..)| (rules::weight(rule, Some(rule)), *rule));
    let mut text = String::new();
    for (rule, provider, file) in rules {
        for url in urls(provider, rule) {
            let condition = quoted(&format!("hasconfig:remote.*.url:{url}"));
            text.push_str(&format!("[includeIf {condition}]\n"));
            line(&mut text, "\tpath", &file.to_string_lossy());
        }
    }
    text
}

fn file(files: &Path, link: &SetupLink) -> Option<PathBuf> {
    let id = link.id.as_deref()?;
    let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let id: String = id.chars().filter(plain).collect();
    Some(files.join(format!("user-{id}")))
}

fn text(link: &SetupLink, choice: &SetupChoice) -> Option<String> {
    let name = link.name.as_ref().filter(|_| choice.give_name);
    let email = link.email.as_ref().filter(|_| choice.give_email);
    if name.is_none() && email.is_none() {
        return None;
    }
    let mut text = "[user]\n".to_owned();
    for (key, value) in [("\tname", name), ("\temail", email)] {
        if let Some(value) = value {
            line(&mut text, key, value);
        }
    }
    Some(text)
}

/// The patterns that URLs of repositories below a rule fit, in every form that Git takes (git-clone(1)).
fn urls(provider: &SetupProvider, rule: &str) -> Vec<String> {
    let mut bases = Vec::new();
    if let Some(url) = provider.git_url.as_deref() {
        let segment = provider.https_segment.as_deref();
        let segment = segment.map(|one| format!("{one}/")).unwrap_or_default();
        bases.push(format!("{url}/{segment}"));
        if let Some(rest) = url.strip_prefix("https://") {
            bases.push(format!("https://*@{rest}/{segment}"));
        }
    }
    let user = &provider.ssh_user;
    for address in &provider.ssh_addresses {
        bases.push(format!("ssh://{user}@{address}/"));
        bases.push(format!("{user}@{address}:"));
    }
    let below = match rule {
        "" => vec!["**".to_owned()],
        rule => vec![rule.to_owned(), format!("{rule}.git"), format!("{rule}/**")],
    };
    bases
        .iter()
        .flat_map(|base| below.iter().map(move |path| format!("{base}{path}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::tests::{provider, setup};

    fn two_accounts() -> Setup {
        let mut setup = setup(vec![provider(
            "one",
            "https://git.example.com",
            &["git.example.com"],
        )]);
        let first = &mut setup.providers[0].links[0];
        first.email = Some("ann@example.com".to_owned());
        let mut second = first.clone();
        second.id = Some("lnk_two".to_owned());
        second.email = Some("ann@work.example.com".to_owned());
        second.rules = vec!["work/app".to_owned(), "work".to_owned()];
        setup.providers[0].links.push(second);
        setup
    }

    const BOTH: SetupChoice = SetupChoice {
        sign: false,
        give_name: true,
        give_email: true,
        ssh_command: None,
    };

    #[test]
    fn the_more_specific_rule_comes_last() {
        let text = conditions(Path::new("/f"), &two_accounts(), &BOTH);
        let owner = text.find("hasconfig:remote.*.url:https://git.example.com/work/**");
        let repository = text.find("hasconfig:remote.*.url:https://git.example.com/work/app.git");
        assert!(owner.is_some() && owner < repository, "{text}");
        assert!(text.contains("git@git.example.com:work/**"), "{text}");
    }

    #[test]
    fn a_name_that_the_user_has_set_stays() {
        let own = SetupChoice::default();
        assert_eq!(conditions(Path::new("/f"), &two_accounts(), &own), "");
        assert!(identities(Path::new("/f"), &two_accounts(), &own).is_empty());
        let given = identities(Path::new("/f"), &two_accounts(), &BOTH);
        assert_eq!(given.len(), 1);
        assert_eq!(
            given[0].text,
            "[user]\n\temail = \"ann@work.example.com\"\n"
        );
    }
}
