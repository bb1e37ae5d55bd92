//! Two accounts at one provider: rules choose the token, the key and the name that commits carry.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use std::path::{Path, PathBuf};

use common::{assert_success, gits};
use testforge::{KeyView, RepositoryUrls};
use xtask::demo::{DEVELOPER, Demo, PROVIDERS, Row, link, link_as};
use xtask::world::{Build, wait_until};

/// The developer's other account.
const OTHER: &str = "ann-work";

/// Where the developer has two accounts: each account has a repository that the other cannot see.
struct Stage {
    demo: Demo,
    own: RepositoryUrls,
    work: RepositoryUrls,
}

impl Stage {
    fn new(row: &Row, git: &Path) -> Self {
        let mut demo = Demo::start(Build::Debug, &[*row]).unwrap();
        demo.workspace.git = Some(git.to_owned());
        let Demo {
            providers,
            browser,
            world,
            ..
        } = &mut demo;
        let provider = &providers[0];
        provider.forge.add_account(OTHER);
        link(provider, browser, world).unwrap();
        link_as(OTHER, provider, browser, world).unwrap();
        for login in [DEVELOPER, OTHER] {
            let has_key = |keys: Vec<KeyView>| keys.iter().any(|key| key.login == login);
            wait_until(|| Ok(has_key(provider.forge.keys()))).unwrap();
        }
        let own = provider.forge.create_repository(DEVELOPER, "own").unwrap();
        let work = provider.forge.create_repository(OTHER, "work").unwrap();
        let token = ["user", "token", DEVELOPER, "--name", "test", "--ttl", "1d"];
        let token = world.server_command(&token).unwrap();
        let file = demo.workspace.folder.join("api-token");
        std::fs::write(&file, token.trim()).unwrap();
        let file = file.to_str().unwrap().to_owned();
        let variable = ("FORGEPASS_API_TOKEN_FILE".to_owned(), file);
        demo.workspace.variables.push(variable);
        Self { demo, own, work }
    }

    fn forgepass(&self, arguments: &[&str]) -> String {
        self.demo.workspace.run("forgepass", arguments).unwrap()
    }

    fn git(&self, folder: &Path, arguments: &[&str]) -> String {
        self.demo
            .workspace
            .run_in(folder, "git", arguments)
            .unwrap()
    }

    /// Clones, commits, signs and pushes; returns the commit's author and the signing key.
    fn main_job(&self, url: &str, name: &str) -> (String, String) {
        let home = self.demo.workspace.home();
        self.git(&home, &["clone", "--quiet", url, name]);
        let clone: PathBuf = home.join(name);
        std::fs::write(clone.join(name), name).unwrap();
        self.git(&clone, &["add", "--all"]);
        self.git(&clone, &["commit", "--quiet", "--message", name]);
        self.git(&clone, &["push", "--quiet", "origin", "HEAD"]);
        self.git(&clone, &["verify-commit", "HEAD"]);
        let shown = self.git(&clone, &["log", "-1", "--format=%ae %GF"]);
        let (author, key) = shown.trim().split_once(' ').unwrap();
        (author.to_owned(), key.to_owned())
    }

    /// Fingerprints of the keys that an account has at the provider.
    fn keys_of(&self, login: &str) -> Vec<String> {
        let keys = self.demo.providers[0].forge.keys();
        let own = keys.into_iter().filter(|key| key.login == login);
        own.map(|key| key.fingerprint).collect()
    }

    fn assert_job(&self, url: &str, name: &str, login: &str) {
        let (author, key) = self.main_job(url, name);
        assert_eq!(author, format!("{login}@example.com"), "{url}");
        let keys = self.keys_of(login);
        assert!(keys.contains(&key), "{url}: {key} is none of {keys:?}");
    }
}

/// The owner's part of a repository's address, with the host: a rule's pattern.
fn owner(urls: &RepositoryUrls) -> String {
    let (owner, _repository) = urls.https.rsplit_once('/').unwrap();
    owner.replace("https://", "")
}

fn two_accounts_at(title: &str) {
    let row = PROVIDERS.iter().find(|row| row.title == title).unwrap();
    for git in gits() {
        let stage = Stage::new(row, &git);
        // Without a rule the oldest link answers, who cannot see the other's repository.
        let home = stage.demo.workspace.home();
        for url in [&stage.work.https, &stage.work.ssh] {
            let clone = ["clone", "--quiet", url, "refused"];
            let refused = stage.demo.workspace.try_run_in(&home, "git", &clone);
            assert!(!refused.unwrap().status.success(), "{url}");
        }
        let pattern = owner(&stage.work);
        let added = stage.forgepass(&["account", "rule", "add", &pattern, OTHER]);
        assert!(added.contains(OTHER), "{added}");
        let listed = stage.forgepass(&["account", "rule", "list"]);
        assert_eq!(listed, added);

        stage.assert_job(&stage.work.https, "work-https", OTHER);
        stage.assert_job(&stage.own.https, "own-https", DEVELOPER);
        stage.assert_job(&stage.work.ssh, "work-ssh", OTHER);
        stage.assert_job(&stage.own.ssh, "own-ssh", DEVELOPER);
        submodules_of_both_accounts(&stage);
        a_default_is_chosen_and_taken_back(&stage);
    }
}

/// One clone fetches the repositories of both accounts, over HTTPS and SSH.
fn submodules_of_both_accounts(stage: &Stage) {
    let home = stage.demo.workspace.home();
    let clone = home.join("own-https");
    for (url, path) in [(&stage.work.https, "by-https"), (&stage.work.ssh, "by-ssh")] {
        stage.git(&clone, &["submodule", "--quiet", "add", url, path]);
    }
    let commit = ["commit", "--quiet", "--message", "submodules"];
    stage.git(&clone, &commit);
    // The branch has moved on: the commits over SSH came later.
    stage.git(&clone, &["pull", "--quiet", "--rebase"]);
    stage.git(&clone, &["push", "--quiet", "origin", "HEAD"]);
    let whole = ["clone", "--quiet", "--recurse-submodules"];
    let whole = [&whole[..], &[&stage.own.ssh, "whole"]].concat();
    stage.git(&home, &whole);
    for path in ["by-https", "by-ssh"] {
        assert!(home.join("whole").join(path).join("work-https").is_file());
    }
}

/// The bare host's rule chooses who answers where no other does.
fn a_default_is_chosen_and_taken_back(stage: &Stage) {
    let home = stage.demo.workspace.home();
    let pattern = owner(&stage.own);
    let (host, _path) = pattern.split_once('/').unwrap();
    stage.forgepass(&["account", "rule", "add", host, OTHER]);
    let refused = ["ls-remote", stage.own.https.as_str()];
    let outcome = stage.demo.workspace.try_run_in(&home, "git", &refused);
    assert!(
        !outcome.unwrap().status.success(),
        "the default is another account now"
    );
    let listed = stage.forgepass(&["account", "rule", "list"]);
    let pattern = listed
        .lines()
        .next()
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    stage.forgepass(&["account", "rule", "remove", pattern]);
    let again = stage.demo.workspace.try_run_in(&home, "git", &refused);
    assert_success(&again.unwrap());
}

#[test]
fn two_accounts_at_github_clone_push_and_sign() {
    two_accounts_at("GitHub.com");
}

#[test]
fn two_accounts_at_gitlab_below_a_path_clone_push_and_sign() {
    two_accounts_at("GitLab below /gitlab");
}

#[test]
fn two_accounts_at_bitbucket_server_clone_push_and_sign() {
    two_accounts_at("Bitbucket Server 2.0");
}
