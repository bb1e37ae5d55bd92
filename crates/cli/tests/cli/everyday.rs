//! What Git does besides clone and push: submodules, partial clones, maintenance, hooks and cron.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use testforge::{Forge, RepositoryUrls, Shape};

use crate::network::Net;
use crate::server::{credential, provider};
use crate::world::{assert_success, gits, stdout};

fn in_clone(net: &Net, git: &Path, args: &[&str]) -> Output {
    let folder = net.world.path("clone");
    let mut all = vec!["-C", folder.to_str().unwrap()];
    all.extend(args);
    net.git(git, &all)
}

/// A clone with one commit of ours pushed, so that there is something to fetch.
fn seeded(git: &Path) -> Net {
    let net = Net::new();
    assert_success(&net.clone(git, &net.urls.https, "clone"));
    commit(&net, git, "first");
    net
}

fn commit(net: &Net, git: &Path, text: &str) {
    fs::write(net.world.path("clone/file"), text).unwrap();
    assert_success(&in_clone(net, git, &["add", "."]));
    assert_success(&in_clone(net, git, &["commit", "-q", "-m", text]));
    assert_success(&in_clone(net, git, &["push", "-q", "origin", "HEAD"]));
}

/// A second forge at another host, whose repository the same user may read.
fn second_forge(net: &Net) -> (Forge, RepositoryUrls) {
    let forge = net
        .runtime
        .block_on(testforge::start(Shape::OtherGit))
        .unwrap();
    forge.add_account("ann");
    forge.set_password("ann", "good").unwrap();
    let urls = forge.create_repository("ann", "part").unwrap();
    let mut second = provider(forge.url());
    second.id = "prv_2".to_owned();
    second.name = "Second".to_owned();
    second.ca_pem = Some(forge.ca_pem());
    {
        let mut state = net.world.server.state();
        state.setup.version.push('2');
        state.setup.providers.push(second);
    }
    assert_success(&net.world.forgepass(&["setup"]).output().unwrap());
    (forge, urls)
}

#[test]
fn clones_submodules_of_several_hosts_in_one_command() {
    for git in gits() {
        let net = seeded(&git);
        let (second, part) = second_forge(&net);
        assert_success(&in_clone(
            &net,
            &git,
            &["submodule", "--quiet", "add", &part.https, "part"],
        ));
        commit(&net, &git, "with a part");
        let whole = net.world.path("whole");
        let out = net.git(
            &git,
            &[
                "clone",
                "-q",
                "--recurse-submodules",
                &net.urls.https,
                whole.to_str().unwrap(),
            ],
        );
        assert_success(&out);
        assert!(whole.join("part/.git").exists());
        let hosts: Vec<String> = {
            let state = net.world.server.state();
            state.asked.iter().map(|asked| asked.host.clone()).collect()
        };
        let of = |url: &str| url.trim_start_matches("https://").to_owned();
        assert!(hosts.contains(&of(net.forge.url())), "{hosts:?}");
        assert!(hosts.contains(&of(second.url())), "{hosts:?}");
    }
}

#[test]
fn a_partial_clone_fetches_what_it_lacks_after_its_first_token_died() {
    for git in gits() {
        let net = seeded(&git);
        commit(&net, &git, "second");
        let partial = net.world.path("partial");
        let partial = partial.to_str().unwrap();
        assert_success(&net.git(
            &git,
            &[
                "clone",
                "-q",
                "--no-checkout",
                "--filter=blob:none",
                &net.urls.https,
                partial,
            ],
        ));
        net.forge.set_password("ann", "newer").unwrap();
        net.world.server.state().credentials = [Ok(credential("newer"))].into();
        // As after the minute that the agent remembers a token.
        assert_success(&net.world.forgepass(&["agent", "--stop"]).output().unwrap());
        let before = net.world.server.state().asked.len();
        let out = net.git(&git, &["-C", partial, "show", "HEAD~1:file"]);
        assert_success(&out);
        assert_eq!(stdout(&out), "first");
        let after = net.world.server.state().asked.len();
        assert!(after > before, "the blob was there already");
    }
}

#[test]
fn maintenance_prefetches_in_the_background() {
    for git in gits() {
        let net = seeded(&git);
        let other = net.world.path("other");
        let other = other.to_str().unwrap();
        assert_success(&net.git(&git, &["clone", "-q", &net.urls.https, other]));
        commit(&net, &git, "second");
        let tip = stdout(&in_clone(&net, &git, &["rev-parse", "HEAD"]));
        assert_success(&net.git(
            &git,
            &["-C", other, "maintenance", "run", "--task=prefetch"],
        ));
        let out = net.git(&git, &["-C", other, "cat-file", "-t", tip.trim()]);
        assert_eq!(stdout(&out), "commit\n");
    }
}

#[test]
fn a_hook_may_fetch() {
    for git in gits() {
        let net = seeded(&git);
        let hook = net.world.path("clone/.git/hooks/post-commit");
        fs::create_dir_all(hook.parent().unwrap()).unwrap();
        let line = "git fetch -q origin && git ls-remote -q origin > ../seen-by-the-hook";
        fs::write(&hook, format!("#!/bin/sh\n{line}\n")).unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
        commit(&net, &git, "hooked");
        let seen = fs::read_to_string(net.world.path("seen-by-the-hook")).unwrap();
        assert!(seen.contains("refs/heads/"), "{seen}");
    }
}

/// As cron starts things: a home, a short path, no terminal, no runtime folder, a session of its own.
#[test]
fn fetches_and_pushes_from_cron_over_https_and_ssh() {
    for git in gits() {
        let net = seeded(&git);
        let folder = net.world.path("clone");
        for url in [&net.urls.https, &net.urls.ssh] {
            assert_success(&in_clone(&net, &git, &["remote", "set-url", "origin", url]));
            for job in [
                vec!["fetch", "-q"],
                vec!["push", "-q", "origin", "HEAD:refs/heads/from-cron"],
            ] {
                let mut cron = Command::new("/usr/bin/setsid");
                cron.arg("--wait").arg(&git).arg("-C").arg(&folder);
                let out = cron
                    .args(job)
                    .env_clear()
                    .env("HOME", net.world.home())
                    .env("TMPDIR", net.world.path("tmp"))
                    .env("PATH", "/usr/bin:/bin")
                    .env("GIT_CONFIG_NOSYSTEM", "1")
                    .current_dir("/")
                    .stdin(std::process::Stdio::null())
                    .output()
                    .unwrap();
                assert_success(&out);
            }
        }
        // The agent that cron started lives in its own runtime folder.
        let mut stop = net.world.forgepass(&["agent", "--stop"]);
        assert_success(&stop.env_remove("XDG_RUNTIME_DIR").output().unwrap());
    }
}
