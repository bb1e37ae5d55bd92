//! Git's own dealings with credential helpers (gitcredentials(7), git-credential(1)), with ours among them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use api::code;

use crate::server::{credential, problem};
use crate::world::{World, assert_success, feed, gits, stdout};

const QUESTION: &str = "protocol=https\nhost=git.example.com\n\n";

/// A signed-in machine whose Git knows just the helpers that a test names.
struct Chain {
    world: World,
}

impl Chain {
    fn new() -> Self {
        let world = World::signed_in();
        world
            .server
            .state()
            .credentials
            .push_back(Ok(credential("ours")));
        Self { world }
    }

    fn ours(&self) -> String {
        format!("!'{}' credential", env!("CARGO_BIN_EXE_forgepass"))
    }

    /// A helper that writes down each operation and answers `get` with these lines.
    fn other(&self, name: &str, answer: &str) -> String {
        let file = self.world.path(&format!("bin/{name}"));
        let log = self.world.path(&format!("{name}.log"));
        let text = format!(
            "#!/bin/sh\nechoed=$(cat)\nprintf '%s\\n%s\\n' \"$1\" \"$echoed\" >> '{}'\n\
             [ \"$1\" = get ] && printf '{answer}'\nexit 0\n",
            log.display()
        );
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        file.display().to_string()
    }

    /// What another helper was told.
    fn told(&self, name: &str) -> String {
        fs::read_to_string(self.world.path(&format!("{name}.log"))).unwrap_or_default()
    }

    fn ask(&self, git: &Path, settings: &[(&str, &str)], operation: &str, input: &str) -> Output {
        let mut command = self.world.command(git);
        command.env("GIT_CONFIG_GLOBAL", "/dev/null");
        for (key, value) in settings {
            command.args(["-c", &format!("{key}={value}")]);
        }
        feed(command.args(["credential", operation]), input)
    }

    fn fill(&self, git: &Path, helpers: &[&str]) -> Output {
        let settings: Vec<_> = helpers
            .iter()
            .map(|helper| ("credential.helper", *helper))
            .collect();
        self.ask(git, &settings, "fill", QUESTION)
    }
}

fn has(out: &Output, line: &str) -> bool {
    stdout(out).lines().any(|one| one == line)
}

#[test]
fn the_first_full_answer_ends_the_search() {
    for git in gits() {
        let chain = Chain::new();
        let other = chain.other("other", "username=bob\\npassword=theirs\\n");
        let out = chain.fill(&git, &[&chain.ours(), &other]);
        assert!(has(&out, "password=ours"), "{}", stdout(&out));
        assert_eq!(chain.told("other"), "");
        let out = chain.fill(&git, &[&other, &chain.ours()]);
        assert!(has(&out, "password=theirs"), "{}", stdout(&out));
        assert!(chain.told("other").starts_with("get\n"));
        assert_eq!(chain.world.server.state().asked.len(), 1);
    }
}

#[test]
fn half_an_answer_before_ours_is_completed() {
    for git in gits() {
        let chain = Chain::new();
        let half = chain.other("half", "username=somebody\\n");
        let out = chain.fill(&git, &[&half, &chain.ours()]);
        assert!(has(&out, "password=ours"), "{}", stdout(&out));
        assert!(has(&out, "username=ann"), "{}", stdout(&out));
        let state = chain.world.server.state();
        assert_eq!(state.asked[0].username.as_deref(), Some("somebody"));
    }
}

#[test]
fn where_nothing_is_linked_the_next_helper_answers() {
    for git in gits() {
        let chain = Chain::new();
        {
            let mut state = chain.world.server.state();
            state.setup.providers[0].links.clear();
            state.credentials.clear();
        }
        let other = chain.other("other", "username=bob\\npassword=theirs\\n");
        let out = chain.fill(&git, &[&chain.ours(), &other]);
        assert!(has(&out, "password=theirs"), "{}", stdout(&out));
    }
}

#[test]
fn a_dead_link_ends_the_search_without_a_prompt_or_another_helper() {
    for git in gits() {
        let chain = Chain::new();
        let dead = problem(403, code::LINK_DEAD, "the link to GitLab is dead");
        chain.world.server.state().credentials = [Err(dead)].into();
        let other = chain.other("other", "username=bob\\npassword=theirs\\n");
        let out = chain.fill(&git, &[&chain.ours(), &other]);
        assert!(!out.status.success());
        assert_eq!(stdout(&out), "");
        assert_eq!(chain.told("other"), "");
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(said.contains("the link to GitLab is dead"), "{said}");
        assert!(!said.contains("Username for"), "{said}");
    }
}

#[test]
fn every_helper_hears_approve_and_reject_and_ours_writes_nothing() {
    for git in gits() {
        let chain = Chain::new();
        let other = chain.other("other", "");
        let ours = chain.ours();
        let helpers = [
            ("credential.helper", ours.as_str()),
            ("credential.helper", other.as_str()),
        ];
        let given = chain.fill(&git, &[&ours]);
        assert_success(&given);
        let known = stdout(&given);
        assert_success(&chain.ask(&git, &helpers, "approve", &known));
        assert!(
            chain.told("other").contains("store\n"),
            "{}",
            chain.told("other")
        );
        assert_success(&chain.ask(&git, &helpers, "reject", &known));
        assert!(
            chain.told("other").contains("erase\n"),
            "{}",
            chain.told("other")
        );
        assert!(!chain.world.home().join(".git-credentials").exists());
        // What was rejected is not given from memory again.
        let before = chain.world.server.state().asked.len();
        assert_success(&chain.fill(&git, &[&ours]));
        assert_eq!(chain.world.server.state().asked.len(), before + 1);
    }
}

#[test]
fn the_path_is_told_where_git_is_set_so_and_not_elsewhere() {
    for git in gits() {
        let chain = Chain::new();
        let ours = chain.ours();
        let question = "url=https://bob@git.example.com/team/app.git\n\n";
        let plain = [("credential.helper", ours.as_str())];
        assert_success(&chain.ask(&git, &plain, "fill", question));
        let with_path = [
            ("credential.helper", ours.as_str()),
            ("credential.https://git.example.com.useHttpPath", "true"),
        ];
        assert_success(&chain.ask(&git, &with_path, "fill", question));
        let state = chain.world.server.state();
        let paths: Vec<_> = state
            .asked
            .iter()
            .map(|asked| asked.path.as_deref())
            .collect();
        assert!(
            paths.contains(&None) && paths.contains(&Some("team/app.git")),
            "{paths:?}"
        );
        assert!(
            state
                .asked
                .iter()
                .all(|asked| asked.username.as_deref() == Some("bob"))
        );
    }
}

#[test]
fn a_helper_for_one_host_is_asked_for_no_other() {
    for git in gits() {
        let chain = Chain::new();
        let ours = chain.ours();
        let settings = [("credential.https://git.example.com.helper", ours.as_str())];
        let out = chain.ask(&git, &settings, "fill", QUESTION);
        assert!(has(&out, "password=ours"), "{}", stdout(&out));
        let elsewhere = "protocol=https\nhost=other.example.com\n\n";
        let out = chain.ask(&git, &settings, "fill", elsewhere);
        assert!(!out.status.success());
        let http = "protocol=http\nhost=git.example.com\n\n";
        assert!(!chain.ask(&git, &settings, "fill", http).status.success());
        assert_eq!(chain.world.server.state().asked.len(), 1);
    }
}

#[test]
fn a_url_that_hides_a_line_end_names_no_other_host() {
    for git in gits() {
        let chain = Chain::new();
        let ours = chain.ours();
        let settings = [("credential.helper", ours.as_str())];
        for smuggled in [
            "url=https://evil.example.com%0ahost=git.example.com/\n\n",
            "url=https://evil.example.com%0d%0ahost=git.example.com/\n\n",
            "url=https://evil.example.com/%0ahost=git.example.com\n\n",
        ] {
            let out = chain.ask(&git, &settings, "fill", smuggled);
            assert!(!stdout(&out).contains("password=ours"), "{smuggled}");
        }
        assert!(chain.world.server.state().asked.is_empty());
    }
}

/// The challenges of a server reach helpers since git 2.41, in whatever form it sent them.
#[test]
fn odd_challenges_and_unknown_keys_change_nothing() {
    let chain = Chain::new();
    for odd in [
        "wwwauth[]=Basic realm=\"a, b\"",
        "wwwauth[]=Negotiate\nwwwauth[]=Bearer authorize_uri=\"https://id.example.com\"  q=1 p=0",
        "wwwauth[]=",
        "wwwauth[]=basic realm=example.com folded second line",
        "capability[]=authtype\nephemeral=1\nauthtype=Bearer\ncredential=x",
        "something=else\nlist[]=\nlist[]=one",
        "password_expiry_utc=1\noauth_refresh_token=none",
    ] {
        let input = format!("capability[]=state\nprotocol=https\nhost=git.example.com\n{odd}\n\n");
        let out = chain.world.helper("get", &input);
        assert_success(&out);
        assert!(has(&out, "password=ours"), "{odd}: {}", stdout(&out));
        let said = stdout(&out);
        assert!(
            !said.contains("authtype") && !said.contains("credential="),
            "{said}"
        );
    }
}
