//! `forgepass setup`: what it writes, and that undoing it leaves no trace.

use std::fs;
use std::path::Path;

use crate::server::provider;
use crate::world::{World, assert_success, gits, stderr, stdout};

#[test]
fn undo_leaves_the_users_file_byte_for_byte() {
    for before in [
        "",
        "[user]\n\tname = Ann\n",
        "[user]\n\tname = Ann",
        "# caf\u{e9}\r\n[alias]\r\n\tco = checkout\r\n",
    ] {
        let world = World::signed_in();
        let file = world.home().join(".gitconfig");
        fs::write(&file, before).unwrap();
        assert_success(&world.forgepass(&["setup"]).output().unwrap());
        assert_success(&world.forgepass(&["setup", "--sign"]).output().unwrap());
        assert_eq!(
            fs::read_to_string(&file)
                .unwrap()
                .matches("forgepass")
                .count(),
            2,
            "one line: path and mark"
        );
        assert_success(&world.forgepass(&["setup", "--undo"]).output().unwrap());
        assert_eq!(fs::read_to_string(&file).unwrap(), before);
        assert!(!world.files().exists());
    }
}

#[test]
fn undo_leaves_no_file_where_there_was_none() {
    let world = World::signed_in();
    assert_success(&world.forgepass(&["setup"]).output().unwrap());
    assert!(world.home().join(".gitconfig").exists());
    assert_success(&world.forgepass(&["setup", "--undo"]).output().unwrap());
    assert!(!world.home().join(".gitconfig").exists());
}

#[test]
fn print_writes_nothing() {
    let world = World::signed_in();
    let out = world.forgepass(&["setup", "--print"]).output().unwrap();
    assert_success(&out);
    assert!(
        stdout(&out).contains("[credential \"https://git.example.com\"]"),
        "{}",
        stdout(&out)
    );
    assert!(!world.home().join(".gitconfig").exists() && !world.files().join("gitconfig").exists());
}

#[test]
fn git_reads_what_is_written() {
    for git in gits() {
        let world = World::signed_in();
        world.server.state().setup.providers[0].ca_pem =
            Some("-----BEGIN CERTIFICATE-----\n".to_owned());
        assert_success(&world.forgepass(&["setup", "--sign"]).output().unwrap());
        let value = |key: &str| {
            stdout(
                &world
                    .git(
                        &git,
                        &["config", "--get-urlmatch", key, "https://git.example.com/a"],
                    )
                    .output()
                    .unwrap(),
            )
        };
        let files = world.files();
        assert_eq!(
            value("http.sslCAInfo"),
            format!("{}\n", files.join("ca-prv_1.pem").display())
        );
        let plain =
            |key: &str| stdout(&world.git(&git, &["config", "--get", key]).output().unwrap());
        assert_eq!(
            plain("core.sshCommand"),
            format!("'{}'\n", files.join("ssh").display())
        );
        assert_eq!(plain("gpg.format"), "ssh\n");
        assert_eq!(plain("user.email"), "ann@users.example.com\n");
        assert_eq!(plain("user.name"), "Ann Example\n");
        let program = plain("gpg.ssh.program");
        assert!(
            Path::new(program.trim())
                .canonicalize()
                .unwrap()
                .ends_with("forgepass"),
            "{program}"
        );
    }
}

#[test]
fn leaves_the_users_own_name_alone() {
    let world = World::signed_in();
    fs::write(
        world.home().join(".gitconfig"),
        "[user]\n\temail = own@example.com\n",
    )
    .unwrap();
    for _ in 0..2 {
        assert_success(&world.forgepass(&["setup"]).output().unwrap());
        let out = world
            .git(&gits()[0], &["config", "--get-all", "user.email"])
            .output()
            .unwrap();
        assert_eq!(stdout(&out), "own@example.com\n");
    }
}

#[test]
fn keeps_other_helpers_away_from_linked_hosts_alone() {
    let world = World::signed_in();
    fs::write(
        world.home().join(".gitconfig"),
        "[credential]\n\thelper = store\n",
    )
    .unwrap();
    let mut unlinked = provider("https://unlinked.example.com");
    unlinked.links.clear();
    world.server.state().setup.providers.push(unlinked);
    assert_success(&world.forgepass(&["setup"]).output().unwrap());
    let out = world.forgepass(&["status"]).output().unwrap();
    assert!(!stderr(&out).contains("store"), "{}", stderr(&out));
    let store = "url=https://unlinked.example.com/a\nusername=ann\npassword=own\n\n";
    let mut approve = world.git(&gits()[0], &["credential", "approve"]);
    assert_success(&crate::world::feed(&mut approve, store));
    let stored = fs::read_to_string(world.home().join(".git-credentials")).unwrap();
    assert_eq!(stored, "https://ann:own@unlinked.example.com\n");
    let mut fill = world.git(&gits()[0], &["credential", "fill"]);
    let filled = crate::world::feed(&mut fill, "url=https://unlinked.example.com/a\n\n");
    assert!(stdout(&filled).contains("password=own"));
}

#[test]
fn refuses_where_a_later_helper_would_get_our_tokens() {
    let world = World::signed_in();
    let mut setup = world.forgepass(&["setup"]);
    setup.env("GIT_CONFIG_COUNT", "1");
    setup
        .env("GIT_CONFIG_KEY_0", "credential.helper")
        .env("GIT_CONFIG_VALUE_0", "store");
    let out = setup.output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(
        stderr(&out).contains("`store` would be given"),
        "{}",
        stderr(&out)
    );
    assert!(!world.home().join(".gitconfig").exists());
}

#[test]
fn status_warns_of_a_helper_that_was_added_later() {
    let world = World::signed_in();
    assert_success(&world.forgepass(&["setup"]).output().unwrap());
    assert_success(
        &world
            .git(
                &gits()[0],
                &["config", "--global", "credential.helper", "store"],
            )
            .output()
            .unwrap(),
    );
    let out = world.forgepass(&["status"]).output().unwrap();
    assert_success(&out);
    assert!(
        stderr(&out).contains("warning: the credential helper `store`"),
        "{}",
        stderr(&out)
    );
    assert_success(&world.forgepass(&["setup"]).output().unwrap());
    let out = world.forgepass(&["status"]).output().unwrap();
    assert!(
        !stderr(&out).contains("store"),
        "setup made ours the last again: {}",
        stderr(&out)
    );
}

#[test]
fn warns_of_an_environment_that_wins() {
    let world = World::signed_in();
    let out = world
        .forgepass(&["setup"])
        .env("GIT_SSH_COMMAND", "coder gitssh")
        .output()
        .unwrap();
    assert_success(&out);
    assert!(
        stderr(&out).contains("hint: run `unset GIT_SSH_COMMAND`"),
        "{}",
        stderr(&out)
    );
}

#[test]
fn warns_of_settings_in_the_environment_and_does_not_keep_them() {
    let world = World::signed_in();
    let mut setup = world.forgepass(&["setup"]);
    setup
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "core.sshCommand");
    let out = setup
        .env("GIT_CONFIG_VALUE_0", "ssh -i /elsewhere")
        .output()
        .unwrap();
    assert_success(&out);
    assert!(
        stderr(&out).contains("core.sshCommand `ssh -i /elsewhere` wins"),
        "{}",
        stderr(&out)
    );
    let settings = fs::read_to_string(world.home().join(".config/forgepass/config.json")).unwrap();
    assert!(!settings.contains("elsewhere"), "{settings}");
}

#[test]
fn follows_changes_at_the_server() {
    let world = World::signed_in();
    assert_success(&world.forgepass(&["setup"]).output().unwrap());
    let mut state = world.server.state();
    state.setup.version.push('n');
    state
        .setup
        .providers
        .push(provider("https://new.example.com"));
    drop(state);
    assert_success(&world.forgepass(&["status"]).output().unwrap());
    let text = fs::read_to_string(world.files().join("gitconfig")).unwrap();
    assert!(text.contains("https://new.example.com"), "{text}");
}

#[test]
fn a_system_wide_set_up_needs_neither_server_nor_sign_in() {
    let world = World::new();
    let (system, folder) = (world.path("etc-gitconfig"), world.path("share/forgepass"));
    let folder = folder.to_str().unwrap();
    let run = |args: &[&str]| {
        let mut all = vec!["setup", "--system", "--folder", folder];
        all.extend(args);
        world
            .forgepass(&all)
            .env("GIT_CONFIG_SYSTEM", &system)
            .env_remove("GIT_CONFIG_NOSYSTEM")
            .output()
            .unwrap()
    };
    assert_success(&run(&[]));
    let text = fs::read_to_string(Path::new(folder).join("gitconfig")).unwrap();
    assert!(text.contains("credential --beside-others"), "{text}");
    world.sign_in();
    let mut state = world.server.state();
    state.setup.providers = vec![provider("https://git.example.com")];
    state
        .credentials
        .push_back(Ok(crate::server::credential("one")));
    drop(state);
    let mut fill = world.git(&gits()[0], &["credential", "fill"]);
    fill.env("GIT_CONFIG_SYSTEM", &system)
        .env_remove("GIT_CONFIG_NOSYSTEM");
    let filled = crate::world::feed(&mut fill, "url=https://git.example.com/a\n\n");
    assert!(
        stdout(&filled).contains("password=one"),
        "{}",
        stderr(&filled)
    );
    assert_success(&run(&["--undo"]));
    assert!(!system.exists() && !Path::new(folder).exists());
}

#[test]
fn a_system_wide_set_up_refuses_where_the_users_helper_would_follow() {
    let world = World::new();
    fs::write(
        world.home().join(".gitconfig"),
        "[credential]\n\thelper = store\n",
    )
    .unwrap();
    let folder = world.path("share/forgepass");
    let mut setup = world.forgepass(&["setup", "--system", "--folder", folder.to_str().unwrap()]);
    let out = setup
        .env("GIT_CONFIG_SYSTEM", world.path("etc-gitconfig"))
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(!world.path("etc-gitconfig").exists());
}
