//! Signed commits: in an empty environment, and beside the user's own keys.

use std::fs;
use std::path::Path;
use std::process::Command;

use api::code;

use crate::server::problem;
use crate::world::{World, assert_success, gits, stderr, stdout};

fn ready() -> (World, String) {
    let mut world = World::signed_in();
    let key = world.make_key("ed25519");
    world.set_keys(&[&key]);
    world.server.state().setup.allowed_signers =
        format!("ann@users.example.com namespaces=\"git\" {key}\n");
    assert_success(&world.forgepass(&["setup", "--sign"]).output().unwrap());
    assert_success(&world.forgepass(&["agent", "--stop"]).output().unwrap());
    (world, key)
}

/// Git with nothing in its environment but a home.
fn bare(world: &World, git: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(git);
    command
        .env_clear()
        .env("HOME", world.home())
        .env("XDG_RUNTIME_DIR", world.path("run"));
    command.env("GIT_CONFIG_NOSYSTEM", "1");
    command
        .args(["-C", world.path("repository").to_str().unwrap()])
        .args(args);
    command
}

#[test]
fn signs_commits_in_an_empty_environment() {
    for git in gits() {
        let (world, _) = ready();
        fs::create_dir(world.path("repository")).unwrap();
        for args in [
            &["init", "-q"][..],
            &[
                "remote",
                "add",
                "origin",
                "https://git.example.com/ann/a.git",
            ],
            &["commit", "-q", "--allow-empty", "-m", "one"],
            &["verify-commit", "HEAD"],
        ] {
            assert_success(&bare(&world, &git, args).output().unwrap());
        }
        let shown = bare(&world, &git, &["log", "-1", "--format=%G? %GS"])
            .output()
            .unwrap();
        assert_eq!(stdout(&shown), "G ann@users.example.com\n");
    }
}

#[test]
fn signs_with_the_key_of_the_link_that_owns_the_remote() {
    let (mut world, first) = ready();
    let second = world.make_key("ecdsa");
    let mut other = crate::server::provider("https://other.example.com");
    other.id = "prv_2".to_owned();
    other.ssh_addresses = vec!["other.example.com:7999".to_owned()];
    other.links[0].keys = vec![second.clone()];
    let mut state = world.server.state();
    state.setup.version.push('o');
    state.setup.providers.push(other);
    drop(state);
    fs::create_dir(world.path("repository")).unwrap();
    let git = &gits()[0];
    assert_success(&bare(&world, git, &["init", "-q"]).output().unwrap());
    let key_for = |url: &str| {
        let _ = bare(&world, git, &["remote", "remove", "origin"]).output();
        assert_success(
            &bare(&world, git, &["remote", "add", "origin", url])
                .output()
                .unwrap(),
        );
        let mut print = world.forgepass(&["signing-key"]);
        stdout(
            &print
                .current_dir(world.path("repository"))
                .output()
                .unwrap(),
        )
    };
    assert_eq!(
        key_for("ssh://git@other.example.com:7999/ann/a.git"),
        format!("key::{second}\n")
    );
    assert_eq!(
        key_for("https://other.example.com/ann/a.git"),
        format!("key::{second}\n")
    );
    assert_eq!(
        key_for("git@git.example.com:ann/a.git"),
        format!("key::{first}\n")
    );
    assert_eq!(
        key_for("https://elsewhere.example.com/a.git"),
        format!("key::{first}\n")
    );
}

#[test]
fn leaves_a_key_of_the_users_own_to_the_users_own_agent() {
    let (world, _) = ready();
    let own = world.path("own");
    let mut keygen = world.command("ssh-keygen");
    assert_success(
        &keygen
            .args(["-q", "-N", "", "-t", "ed25519", "-f"])
            .arg(&own)
            .output()
            .unwrap(),
    );
    fs::create_dir(world.path("repository")).unwrap();
    let git = &gits()[0];
    assert_success(&bare(&world, git, &["init", "-q"]).output().unwrap());
    let setting = format!("user.signingKey={}", own.display());
    let commit = ["-c", &setting, "commit", "-q", "--allow-empty", "-m", "own"];
    assert_success(&bare(&world, git, &commit).output().unwrap());
    assert!(
        world.server.state().signs.is_empty(),
        "the server was not asked"
    );
}

#[test]
fn says_why_a_commit_was_not_signed() {
    let (world, _) = ready();
    world.server.state().sign_problem = Some(problem(
        403,
        code::SIGN_REFUSED,
        "signing is not allowed for this workspace",
    ));
    fs::create_dir(world.path("repository")).unwrap();
    let git = &gits()[0];
    assert_success(&bare(&world, git, &["init", "-q"]).output().unwrap());
    let out = bare(&world, git, &["commit", "-q", "--allow-empty", "-m", "one"])
        .output()
        .unwrap();
    assert!(!out.status.success());
    assert!(
        stderr(&out).contains("signing is not allowed for this workspace"),
        "{}",
        stderr(&out)
    );
}
