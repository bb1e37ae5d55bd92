//! The text of the file that Git includes (git-config(1)). Pure.

use std::path::Path;

use api::{Setup, SetupProvider};

use super::identity;
use crate::matching;
use crate::settings::{Settings, SetupChoice};

/// What the text depends on.
pub(crate) struct Context<'a> {
    /// This program.
    pub(crate) program: &'a Path,
    /// The folder with our links and files.
    pub(crate) files: &'a Path,
    /// From the server.
    pub(crate) setup: &'a Setup,
    /// From the user.
    pub(crate) choice: &'a SetupChoice,
    /// Give unlinked hosts to us alone, so that we can wait for their link.
    pub(crate) wait_for_link: bool,
}

const HEAD: &str = "# Written by Forgepass and kept up to date by its agent: changes made here are lost.\n\
                    # `forgepass setup --undo` removes it.\n";

impl<'a> Context<'a> {
    /// What the settings say.
    pub(crate) fn new(
        program: &'a Path,
        files: &'a Path,
        setup: &'a Setup,
        choice: &'a SetupChoice,
    ) -> Self {
        Self {
            program,
            files,
            setup,
            choice,
            wait_for_link: false,
        }
    }

    /// With the user's wish to wait for links.
    pub(crate) fn with(mut self, settings: &Settings) -> Self {
        self.wait_for_link = settings.wait_for_link;
        self
    }

    /// The whole file.
    pub(crate) fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for provider in &self.setup.providers {
            self.provider(&mut text, provider);
        }
        ssh_section(&mut text, self.files);
        if self.choice.sign {
            signing_sections(&mut text, self.program, self.files);
            let signers = self.files.join("allowed_signers");
            line(
                &mut text,
                "[gpg \"ssh\"]\n\tallowedSignersFile",
                &signers.to_string_lossy(),
            );
        }
        self.user(&mut text);
        // After the general name: Git keeps the last value.
        text.push_str(&identity::conditions(self.files, self.setup, self.choice));
        text
    }

    fn provider(&self, text: &mut String, provider: &SetupProvider) {
        let Some(url) = provider.git_url.as_deref() else {
            return;
        };
        let alone = self.wait_for_link || is_linked(provider);
        text.push_str(&format!("[credential {}]\n", quoted(url)));
        if alone {
            // An empty value ends the list of helpers so far: no other may see our tokens.
            text.push_str("\thelper =\n");
            line(text, "\thelper", &helper(self.program));
        } else {
            line(text, "\thelper", &helper_beside_others(self.program));
        }
        if self.needs_path(provider, url) {
            text.push_str("\tuseHttpPath = true\n");
        }
        // Whether linked or not: a first clone may come seconds after the link, and an anonymous one before.
        if provider.ca_pem.is_some() {
            text.push_str(&format!("[http {}]\n", quoted(url)));
            line(
                text,
                "\tsslCAInfo",
                &bundle(self.files, provider).to_string_lossy(),
            );
        }
    }

    /// Whether the path decides: between links, between providers on one host, or below a sub-path.
    fn needs_path(&self, provider: &SetupProvider, url: &str) -> bool {
        let below = url::Url::parse(url).is_ok_and(|url| url.path().len() > 1);
        let shared = matching::https_address(provider)
            .is_some_and(|address| matching::https_providers(self.setup, &address).count() > 1);
        provider.links.len() > 1 || below || shared
    }

    fn user(&self, text: &mut String) {
        let links = || {
            self.setup
                .providers
                .iter()
                .flat_map(|provider| &provider.links)
        };
        let name = Some(&self.setup.user_name)
            .filter(|name| !name.is_empty())
            .or_else(|| links().find_map(|link| link.name.as_ref()))
            .filter(|_| self.choice.give_name);
        let email = links()
            .find_map(|link| link.email.as_ref())
            .or(self.setup.user_email.as_ref())
            .filter(|_| self.choice.give_email);
        if name.is_some() || email.is_some() {
            text.push_str("[user]\n");
        }
        for (key, value) in [("\tname", name), ("\temail", email)] {
            if let Some(value) = value {
                line(text, key, value);
            }
        }
    }
}

/// Whether Git can get a token for a provider: a key alone has no link.
fn is_linked(provider: &SetupProvider) -> bool {
    provider.links.iter().any(|link| link.id.is_some())
}

/// The certificates that Git trusts for a provider.
pub(crate) fn bundle(files: &Path, provider: &SetupProvider) -> std::path::PathBuf {
    let name: String = provider
        .id
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    files.join(format!("ca-{name}.pem"))
}

/// The file for every user of a machine. It names no host, so it needs no server.
pub(crate) fn system_text(program: &Path, files: &Path, sign: crate::setup::Signing) -> String {
    let mut text =
        "# Written by Forgepass. `forgepass setup --system --undo` removes it.\n".to_owned();
    text.push_str("[credential]\n");
    line(&mut text, "\thelper", &helper_beside_others(program));
    ssh_section(&mut text, files);
    if sign == crate::setup::Signing::On {
        signing_sections(&mut text, program, files);
    }
    text.push_str("[include]\n");
    line(&mut text, "\tpath", "~/.local/share/forgepass/gitconfig");
    text
}

fn ssh_section(text: &mut String, files: &Path) {
    text.push_str("[core]\n");
    line(
        text,
        "\tsshCommand",
        &shell_word(&files.join("ssh").to_string_lossy()),
    );
}

fn signing_sections(text: &mut String, program: &Path, files: &Path) {
    text.push_str("[gpg]\n\tformat = ssh\n[gpg \"ssh\"]\n");
    line(
        text,
        "\tprogram",
        &files.join("forgepass-ssh-keygen").to_string_lossy(),
    );
    let program = shell_word(&program.to_string_lossy());
    line(
        text,
        "\tdefaultKeyCommand",
        &format!("{program} signing-key"),
    );
    text.push_str("[commit]\n\tgpgSign = true\n[tag]\n\tgpgSign = true\n");
}

fn helper(program: &Path) -> String {
    format!("!{} credential", shell_word(&program.to_string_lossy()))
}

/// Gives a credential only if Git asks no other helper, which would be told it.
fn helper_beside_others(program: &Path) -> String {
    format!("{} --beside-others", helper(program))
}

/// One word for a shell, whatever is in it.
fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

pub(super) fn line(text: &mut String, key: &str, value: &str) {
    text.push_str(&format!("{key} = {}\n", quoted(value)));
}

/// A value or a section's name as git-config(1) reads it back. Control characters are left out: none
/// belongs in what we write, and a line break would begin another setting.
pub(crate) fn quoted(value: &str) -> String {
    let mut text = String::from('"');
    for c in value.chars().filter(|c| !c.is_control()) {
        if c == '"' || c == '\\' {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::tests::{provider, setup};

    fn text(setup: &Setup, choice: &SetupChoice) -> String {
        let (program, files) = (
            Path::new("/opt/it's/forgepass"),
            Path::new("/home/ann/.local/share/forgepass"),
        );
        Context::new(program, files, setup, choice).text()
    }

    #[test]
    fn takes_a_linked_host_for_itself_and_an_unlinked_one_beside_others() {
        let mut two = setup(vec![
            provider("one", "https://one.example.com", &[]),
            provider("two", "https://two.example.com", &[]),
        ]);
        two.providers[1].links.clear();
        let text = text(&two, &SetupChoice::default());
        assert!(
            text.contains(
                "[credential \"https://one.example.com\"]\n\thelper =\n\
             \thelper = \"!'/opt/it'\\\\''s/forgepass' credential\"\n"
            ),
            "{text}"
        );
        assert!(
            text.contains(
                "[credential \"https://two.example.com\"]\n\
             \thelper = \"!'/opt/it'\\\\''s/forgepass' credential --beside-others\"\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn asks_for_the_path_where_it_decides() {
        let alone = setup(vec![provider("one", "https://one.example.com", &[])]);
        assert!(!text(&alone, &SetupChoice::default()).contains("useHttpPath"));
        let below = setup(vec![provider("one", "https://one.example.com/gitlab", &[])]);
        assert!(text(&below, &SetupChoice::default()).contains("useHttpPath"));
    }

    #[test]
    fn gives_a_name_only_where_git_has_none() {
        let setup = setup(vec![provider("one", "https://one.example.com", &[])]);
        assert!(!text(&setup, &SetupChoice::default()).contains("[user]"));
        let choice = SetupChoice {
            give_email: true,
            ..SetupChoice::default()
        };
        assert!(text(&setup, &choice).ends_with("[user]\n\temail = \"ann@example.com\"\n"));
    }

    #[test]
    fn lets_no_name_begin_another_setting() {
        let mut setup = setup(vec![provider("one", "https://one.example.com", &[])]);
        setup.user_name = "Ann\"\n[core]\n\tsshCommand = evil".to_owned();
        let choice = SetupChoice {
            give_name: true,
            ..SetupChoice::default()
        };
        assert!(!text(&setup, &choice).contains("\n\tsshCommand = evil"));
    }
}
