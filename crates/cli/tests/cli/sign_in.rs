//! `login`, `logout`, `status`, and what the command line says when it is misused.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Output;

use api::code;
use serde_json::json;

use crate::server::{API_TOKEN, Server, TOKEN, provider, setup};
use crate::world::{World, assert_success, stderr, stdout};

#[test]
fn signs_in_by_a_code_and_sets_git_up() {
    let world = World::new();
    let mut state = world.server.state();
    state.setup = setup(vec![provider("https://git.example.com")]);
    state.polls = [code::AUTHORIZATION_PENDING].into();
    drop(state);
    let out = world
        .forgepass(&["login", &world.server.url, "--name", "ann's box"])
        .output()
        .unwrap();
    assert_success(&out);
    assert!(stdout(&out).contains("ABCD-EFGH"), "{}", stdout(&out));
    assert!(!stdout(&out).contains(TOKEN) && !stderr(&out).contains(TOKEN));
    let token = world.home().join(".config/forgepass/token");
    assert_eq!(fs::read_to_string(&token).unwrap(), TOKEN);
    assert_eq!(fs::metadata(&token).unwrap().mode() & 0o777, 0o600);
    let config = fs::read_to_string(world.home().join(".gitconfig")).unwrap();
    assert!(config.contains("forgepass/gitconfig"), "{config}");
    let device = &world.server.state().devices[0];
    assert_eq!(device.name, "ann's box");
    assert!(
        device
            .ssh_version
            .as_deref()
            .is_some_and(|version| version.starts_with("OpenSSH_"))
    );
}

#[test]
fn leaves_git_alone_where_that_is_wished() {
    let world = World::new();
    assert_success(
        &world
            .forgepass(&["login", &world.server.url, "--no-setup"])
            .output()
            .unwrap(),
    );
    assert!(!world.home().join(".gitconfig").exists());
}

#[test]
fn says_that_the_sign_in_was_denied() {
    let world = World::new();
    world.server.state().polls = [code::ACCESS_DENIED].into();
    let out = world
        .forgepass(&["login", &world.server.url])
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(stderr(&out).contains("denied"), "{}", stderr(&out));
    assert!(!world.home().join(".config/forgepass/token").exists());
}

#[test]
fn refuses_an_address_that_would_show_the_token() {
    let world = World::new();
    let out = world
        .forgepass(&["login", "http://forgepass.example.com"])
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(stderr(&out).contains("not encrypted"), "{}", stderr(&out));
}

#[test]
fn a_second_login_ends_the_first_token() {
    let world = World::signed_in();
    assert_success(
        &world
            .forgepass(&["login", &world.server.url, "--no-setup"])
            .output()
            .unwrap(),
    );
    assert_eq!(world.server.count("DELETE /api/v1/workspace"), 1);
}

#[test]
fn logout_ends_the_token_here_and_there() {
    let world = World::signed_in();
    world.start_agent();
    assert_success(
        &world
            .forgepass(&["logout", "--undo-setup"])
            .output()
            .unwrap(),
    );
    assert_eq!(world.server.count("DELETE /api/v1/workspace"), 1);
    assert!(!world.home().join(".config/forgepass/token").exists());
    let out = world.forgepass(&["status"]).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(
        stderr(&out).contains("hint: run `forgepass login"),
        "{}",
        stderr(&out)
    );
}

#[test]
fn logout_removes_the_token_where_the_server_is_away() {
    let world = World::signed_in();
    world.server.go_away_for(usize::MAX);
    let out = world.forgepass(&["logout"]).output().unwrap();
    assert_success(&out);
    assert!(
        stderr(&out).contains("Preferences > Workspaces"),
        "{}",
        stderr(&out)
    );
    assert!(!world.home().join(".config/forgepass/token").exists());
}

#[test]
fn signs_in_without_a_person_by_environment() {
    let world = World::new();
    fs::write(world.path("mounted-token"), format!("{TOKEN}\n")).unwrap();
    let mut status = world.forgepass(&["status"]);
    status
        .env("FORGEPASS_URL", &world.server.url)
        .env("FORGEPASS_TOKEN_FILE", world.path("mounted-token"));
    let out = status.output().unwrap();
    assert_success(&out);
    assert!(stdout(&out).contains("box of ann"), "{}", stdout(&out));
    let mut stop = world.forgepass(&["agent", "--stop"]);
    stop.env("FORGEPASS_URL", &world.server.url)
        .env("FORGEPASS_TOKEN_FILE", world.path("mounted-token"));
    assert_success(&stop.output().unwrap());
}

#[test]
fn status_shows_links_and_the_agent() {
    let world = World::signed_in();
    let out = world.forgepass(&["status"]).output().unwrap();
    assert_success(&out);
    let text = stdout(&out);
    assert!(
        text.contains("GitLab: ann, linked, key present") && text.contains("SSH_AUTH_SOCK="),
        "{text}"
    );
}

#[test]
fn a_revoked_token_is_told_with_the_next_step() {
    let world = World::signed_in();
    fs::write(world.home().join(".config/forgepass/token"), "fpw_revoked").unwrap();
    let out = world.forgepass(&["status"]).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(
        stderr(&out).contains("hint: sign in again with `forgepass login`"),
        "{}",
        stderr(&out)
    );
}

#[test]
fn a_server_that_is_away_is_not_the_users_fault() {
    let world = World::signed_in();
    world.server.go_away_for(usize::MAX);
    let out = world.forgepass(&["status"]).output().unwrap();
    assert_eq!(out.status.code(), Some(255));
    assert!(stderr(&out).contains("\nhint: "), "{}", stderr(&out));
}

#[test]
fn misuse_has_its_own_exit_code_and_a_hint() {
    let world = World::new();
    for args in [
        &["no-such-command"][..],
        &["login"],
        &["config", "wait-for-link", "maybe"],
    ] {
        let out = world.forgepass(args).output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{args:?}");
        assert!(stderr(&out).contains("hint: "), "{}", stderr(&out));
    }
    assert_success(&world.forgepass(&["--help"]).output().unwrap());
    assert_success(&world.forgepass(&["--version"]).output().unwrap());
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let world = World::new();
    let line = format!("{} --help | true", env!("CARGO_BIN_EXE_forgepass"));
    let out = world
        .command("/bin/bash")
        .args(["-o", "pipefail", "-c", &line])
        .output()
        .unwrap();
    assert_success(&out);
    assert_eq!(stderr(&out), "");
}

#[test]
fn key_show_prints_the_line_to_paste() {
    let world = World::signed_in();
    world.server.state().setup.providers[0].links[0].keys = vec!["ssh-ed25519 AAAA ann".to_owned()];
    let out = world
        .forgepass(&["key", "show", "gitlab"])
        .output()
        .unwrap();
    assert_eq!(stdout(&out), "ssh-ed25519 AAAA ann\n");
}

#[test]
fn link_leads_to_the_consoles_page() {
    let world = World::signed_in();
    let out = world.forgepass(&["link", "GitLab"]).output().unwrap();
    assert_eq!(
        stdout(&out),
        "Open https://forgepass.example.com/preferences/linked-accounts\n"
    );
    let out = world.forgepass(&["link", "nobody"]).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(
        stderr(&out).contains("choose one of: GitLab"),
        "{}",
        stderr(&out)
    );
}

/// Runs a command by an API token of a user with two accounts at GitLab.
fn by_api_token(world: &World, args: &[&str]) -> Output {
    let link = |id: &str, login: &str| {
        json!({
            "id": id, "provider_id": "prv_1", "provider": "GitLab", "account_id": "1", "login": login,
            "state": "linked", "reason": null, "grants": [], "created_at": 1, "last_used_at": null, "keys": [],
        })
    };
    let key = |id: &str, link: &str| {
        json!({
            "id": id, "provider_id": "prv_1", "provider": "GitLab", "link": link, "algorithm": "ed25519",
            "public_key": format!("ssh-ed25519 {id}"), "fingerprint": "SHA256:x", "created_at": 1,
            "retired_at": null, "state": "present", "reason": null, "page": null,
        })
    };
    let mut state = world.server.state();
    state.links = json!([link("lnk_1", "ann"), link("lnk_2", "ann-at-work")]);
    state.keys = json!([key("key_1", "lnk_1"), key("key_2", "lnk_2")]);
    drop(state);
    fs::write(world.path("api-token"), API_TOKEN).unwrap();
    world
        .forgepass(args)
        .env("FORGEPASS_API_TOKEN_FILE", world.path("api-token"))
        .output()
        .unwrap()
}

#[test]
fn links_and_unlinks_by_an_api_token() {
    let world = World::signed_in();
    let out = by_api_token(&world, &["link", "GitLab"]);
    assert_eq!(
        stdout(&out),
        "Open https://forgepass.example.com/link/prv_1\n"
    );
    let out = by_api_token(&world, &["unlink", "gitlab"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(
        stderr(&out).contains("hint: say which one with --account LOGIN"),
        "{}",
        stderr(&out)
    );
    let out = by_api_token(
        &world,
        &[
            "unlink",
            "gitlab",
            "--account",
            "ann-at-work",
            "--remove-signing-keys",
        ],
    );
    assert_success(&out);
    assert_eq!(stdout(&out), "ann-at-work at GitLab is unlinked.\n");
    assert_eq!(world.server.count("DELETE /api/v1/links/lnk_2"), 1);
    assert_eq!(
        world.server.state().bodies.last(),
        Some(&json!({ "remove_signing_keys": true }))
    );
}

#[test]
fn shows_and_rotates_keys_by_an_api_token() {
    let world = World::signed_in();
    let out = by_api_token(&world, &["key", "show", "GitLab"]);
    assert_eq!(stdout(&out), "ssh-ed25519 key_1\nssh-ed25519 key_2\n");
    let out = by_api_token(
        &world,
        &["key", "rotate", "GitLab", "--account", "ann-at-work"],
    );
    assert_success(&out);
    assert_eq!(world.server.count("POST /api/v1/keys/key_2/regenerate"), 1);
}

#[test]
fn follows_no_redirect_with_the_token() {
    let world = World::signed_in();
    let elsewhere = Server::start();
    world.server.state().redirect = Some(elsewhere.url.clone());
    let out = world.forgepass(&["status"]).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(elsewhere.state().requests.is_empty());
}

#[test]
fn login_says_where_the_environment_would_win() {
    let world = World::new();
    let mut login = world.forgepass(&["login", &world.server.url]);
    let out = login
        .env("FORGEPASS_TOKEN_FILE", world.path("mounted-token"))
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(
        stderr(&out).contains("unset FORGEPASS_TOKEN_FILE"),
        "{}",
        stderr(&out)
    );
    assert!(world.server.state().requests.is_empty());
}
