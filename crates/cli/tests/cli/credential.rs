//! Git's credential helper: what it says, to whom, and how often it asks the server.

use std::fs;

use api::{UseOutcome, code};

use crate::server::{credential, problem, provider};
use crate::world::{World, assert_success, feed, gits, stderr, stdout, until};

fn ready(password: &str) -> World {
    let world = World::signed_in();
    world
        .server
        .state()
        .credentials
        .push_back(Ok(credential(password)));
    world
}

#[test]
fn gives_git_a_credential_through_its_own_configuration() {
    for git in gits() {
        let world = ready("one");
        assert_success(&world.forgepass(&["setup"]).output().unwrap());
        let filled = feed(
            &mut world.git(&git, &["credential", "fill"]),
            "url=https://git.example.com/a/b.git\n\n",
        );
        assert_success(&filled);
        let text = stdout(&filled);
        assert!(
            text.contains("username=ann\npassword=one\n"),
            "{git:?}: {text}"
        );
    }
}

#[test]
fn speaks_of_states_to_a_git_that_knows_them() {
    let world = ready("one");
    assert_eq!(
        stdout(&world.get()),
        "capability[]=state\nusername=ann\npassword=one\npassword_expiry_utc=4000000000\n\
         state[]=forgepass:state-of-one\ncontinue=1\n"
    );
    let old = world.helper("get", "protocol=https\nhost=git.example.com\n\n");
    assert_eq!(
        stdout(&old),
        "username=ann\npassword=one\npassword_expiry_utc=4000000000\n"
    );
}

#[test]
fn takes_every_spelling_of_the_host_and_a_user_name() {
    let world = ready("one");
    for host in ["git.example.com", "Git.Example.COM", "git.example.com:443"] {
        let out = world.helper(
            "get",
            &format!("protocol=https\nhost={host}\nusername=somebody\n\n"),
        );
        assert!(stdout(&out).contains("password=one"), "{host}");
    }
}

#[test]
fn is_silent_for_what_is_not_ours() {
    let world = ready("one");
    for input in [
        "protocol=http\nhost=git.example.com\n\n",
        "protocol=ssh\nhost=git.example.com\n\n",
        "protocol=cert\npath=/a.pem\n\n",
        "protocol=https\nhost=elsewhere.example.com\n\n",
        "protocol=https\nhost=git.example.com.evil.example\n\n",
        "protocol=https\nhost=git.example.com:8443\n\n",
        "protocol=https\nhost=git.example.com.\n\n",
        "protocol=https\nhost=gıt.example.com\n\n",
    ] {
        let out = world.helper("get", input);
        assert_success(&out);
        assert_eq!(
            (stdout(&out), stderr(&out)),
            (String::new(), String::new()),
            "{input}"
        );
    }
    assert!(
        world.server.state().asked.is_empty(),
        "the server was not even asked"
    );
}

#[test]
fn is_silent_where_nothing_is_linked() {
    let world = World::signed_in();
    world.server.state().setup.providers[0].links.clear();
    let out = world.get();
    assert_success(&out);
    assert_eq!((stdout(&out), stderr(&out)), (String::new(), String::new()));
}

#[test]
fn is_silent_on_a_machine_that_is_not_signed_in_and_starts_nothing() {
    let world = World::new();
    let out = world.get();
    assert_success(&out);
    assert_eq!((stdout(&out), stderr(&out)), (String::new(), String::new()));
    assert!(!world.runtime().exists());
}

#[test]
fn refuses_a_request_that_could_name_another_host() {
    let world = ready("one");
    let long = format!(
        "protocol=https\nhost=git.example.com\npath={}\n\n",
        "a".repeat(65_531)
    );
    for input in [
        "protocol=https\nhost=git.example.com\rx\n\n",
        "protocol=https\nhost=git.example.com\0\n\n",
        "protocol=https\n\n",
        "host=git.example.com\n\n",
        "protocol=https\nhost=git.example.com\nnonsense\n\n",
        &long,
    ] {
        let out = world.helper("get", input);
        assert_eq!(out.status.code(), Some(1), "{input:.60}");
        assert_eq!(stdout(&out), "");
        assert!(stderr(&out).contains("\nhint: "), "{}", stderr(&out));
    }
    assert!(world.server.state().asked.is_empty());
}

#[test]
fn ignores_an_operation_it_does_not_know() {
    let world = World::signed_in();
    let out = world.helper("approve-more", "protocol=https\nhost=git.example.com\n\n");
    assert_success(&out);
    assert_eq!((stdout(&out), stderr(&out)), (String::new(), String::new()));
}

#[test]
fn tells_its_capabilities() {
    let out = World::new().helper("capability", "");
    assert_eq!(stdout(&out), "version 0\ncapability state\n");
}

#[test]
fn asks_the_server_once_for_many_questions_at_once() {
    let world = ready("one");
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..64).map(|_| scope.spawn(|| world.get())).collect();
        for asker in askers {
            assert!(stdout(&asker.join().unwrap()).contains("password=one"));
        }
    });
    assert_eq!(world.server.state().asked.len(), 1);
}

#[test]
fn gives_a_refused_token_to_the_server_and_never_again_to_git() {
    let world = ready("old");
    world.get();
    world.server.state().credentials = [Ok(credential("new"))].into();
    let again = world.helper(
        "get",
        "capability[]=state\nprotocol=https\nhost=git.example.com\nstate[]=forgepass:state-of-old\n\n",
    );
    let text = stdout(&again);
    assert!(
        text.contains("password=new") && !text.contains("continue"),
        "{text}"
    );
    assert_eq!(
        world.server.state().asked[1].state.as_deref(),
        Some("state-of-old")
    );
    assert!(stdout(&world.get()).contains("password=new"));
}

#[test]
fn an_older_gits_erase_makes_the_next_answer_a_new_token() {
    let world = ready("old");
    world.get();
    world.helper(
        "erase",
        "protocol=https\nhost=git.example.com\nusername=ann\npassword=old\n\n",
    );
    world.server.state().credentials = [Ok(credential("new"))].into();
    assert!(stdout(&world.get()).contains("password=new"));
    let state = world.server.state();
    assert_eq!(state.asked[1].state.as_deref(), Some("state-of-old"));
    assert_eq!(state.asked.len(), 2);
}

#[test]
fn an_erase_of_somebody_elses_password_changes_nothing() {
    let world = ready("one");
    world.get();
    world.helper(
        "erase",
        "protocol=https\nhost=git.example.com\nusername=ann\npassword=typed\n\n",
    );
    assert!(stdout(&world.get()).contains("password=one"));
    assert_eq!(world.server.state().asked.len(), 1);
}

#[test]
fn gives_no_token_from_memory_that_is_about_to_end() {
    let world = World::signed_in();
    let mut short = credential("short");
    short.expires_at = Some(now() + 120);
    world.server.state().credentials.push_back(Ok(short));
    world.get();
    world.get();
    assert_eq!(world.server.state().asked.len(), 2);
}

#[test]
fn reports_uses_in_batches() {
    let world = ready("one");
    for _ in 0..5 {
        world.get();
    }
    world.helper(
        "store",
        "protocol=https\nhost=git.example.com\nusername=ann\npassword=one\n\n",
    );
    assert_success(&world.forgepass(&["agent", "--stop"]).output().unwrap());
    until("the agent has reported", || {
        world.server.state().uses.len() == 2
    });
    let state = world.server.state();
    let count = |outcome| {
        state
            .uses
            .iter()
            .find(|one| one.outcome == outcome)
            .map(|one| one.count)
    };
    assert_eq!(count(UseOutcome::CacheHit), Some(4));
    assert_eq!(count(UseOutcome::Accepted), Some(1));
    drop(state);
    assert_eq!(world.server.count("POST /api/v1/report"), 1);
}

#[test]
fn a_dead_link_ends_gits_search_with_the_next_step() {
    let world = World::signed_in();
    world.server.state().credentials.push_back(Err(problem(
        409,
        code::LINK_DEAD,
        "GitLab no longer accepts the link of ann",
    )));
    let out = world.get();
    assert_success(&out);
    assert_eq!(stdout(&out), "quit=1\n");
    let text = stderr(&out);
    assert!(
        text.starts_with(
            "forgepass: GitLab no longer accepts the link of ann\nhint: open https://"
        ),
        "{text}"
    );
}

#[test]
fn a_server_that_is_away_fails_nothing_for_a_while() {
    let world = ready("one");
    world.get();
    world.server.go_away_for(usize::MAX);
    assert!(stdout(&world.get()).contains("password=one"));
}

#[test]
fn a_server_that_is_away_is_told_of_where_a_link_exists_and_nowhere_else() {
    let world = World::signed_in();
    world.start_agent();
    world.server.go_away_for(usize::MAX);
    let out = world.get();
    assert_eq!(stdout(&out), "quit=1\n");
    assert!(
        stderr(&out).contains("cannot be reached"),
        "{}",
        stderr(&out)
    );
    let other = world.helper("get", "protocol=https\nhost=elsewhere.example.com\n\n");
    assert_eq!(
        (stdout(&other), stderr(&other)),
        (String::new(), String::new())
    );
}

#[test]
fn knows_its_links_after_a_restart_without_a_server() {
    let world = World::signed_in();
    world.start_agent();
    assert_success(&world.forgepass(&["agent", "--stop"]).output().unwrap());
    until("the agent has ended", || !world.agent_socket().exists());
    world.server.go_away_for(usize::MAX);
    assert_eq!(stdout(&world.get()), "quit=1\n");
}

#[test]
fn a_replaced_token_file_takes_effect_at_once() {
    let world = ready("one");
    world.get();
    fs::write(world.home().join(".config/forgepass/token"), "fpw_revoked").unwrap();
    let out = world.get();
    assert!(
        !stdout(&out).contains("password"),
        "another sign-in never sees the former one's tokens"
    );
}

#[test]
fn refuses_a_token_file_that_others_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let world = ready("one");
    world.start_agent();
    let token = world.home().join(".config/forgepass/token");
    fs::set_permissions(token, fs::Permissions::from_mode(0o644)).unwrap();
    // The time of the last change must differ.
    let settings = world.home().join(".config/forgepass/config.json");
    fs::write(&settings, format!("{{\"url\":\"{}\" }}", world.server.url)).unwrap();
    let out = world.get();
    assert_eq!(stdout(&out), "quit=1\n");
    assert!(
        stderr(&out).contains("others may read the workspace token"),
        "{}",
        stderr(&out)
    );
    let other = world.helper("get", "protocol=https\nhost=elsewhere.example.com\n\n");
    assert_eq!(
        (stdout(&other), stderr(&other)),
        (String::new(), String::new())
    );
    let status = world.forgepass(&["status"]).output().unwrap();
    assert_eq!(status.status.code(), Some(1));
}

#[test]
fn gives_no_token_that_another_helper_would_write_to_disk() {
    let world = World::signed_in();
    world.server.state().setup.providers[0].links.clear();
    assert_success(&world.forgepass(&["setup"]).output().unwrap());
    let git = &gits()[0];
    assert_success(
        &world
            .git(git, &["config", "--global", "credential.helper", "store"])
            .output()
            .unwrap(),
    );
    // The account is linked now, but this Git has read its configuration before.
    let mut state = world.server.state();
    state.credentials.push_back(Ok(credential("one")));
    drop(state);
    let input = "url=https://git.example.com/a/b.git\n\n";
    let out = feed(&mut world.git(git, &["credential", "fill"]), input);
    assert!(!stdout(&out).contains("password=one"));
    assert!(
        stderr(&out).contains("credential helper `store`"),
        "{}",
        stderr(&out)
    );
}

#[test]
fn waits_for_the_link_where_that_is_wished() {
    let world = World::signed_in();
    world.server.state().setup.providers[0].links.clear();
    assert_success(
        &world
            .forgepass(&["config", "wait-for-link", "on"])
            .output()
            .unwrap(),
    );
    std::thread::scope(|scope| {
        let mut helper = world.forgepass(&["credential", "get"]);
        helper.env_remove("GIT_TERMINAL_PROMPT");
        let waiting =
            scope.spawn(move || feed(&mut helper, "protocol=https\nhost=git.example.com\n\n"));
        until("it has asked twice", || {
            world.server.state().asked.len() >= 2
        });
        let mut state = world.server.state();
        state.setup.version.push('l');
        state.setup.providers = vec![provider("https://git.example.com")];
        state.credentials.push_back(Ok(credential("one")));
        drop(state);
        let out = waiting.join().unwrap();
        assert!(stdout(&out).contains("password=one"));
        let text = stderr(&out);
        assert!(
            text.contains("Open https://forgepass.example.com/preferences/linked-accounts"),
            "{text}"
        );
    });
}

#[test]
fn answers_the_prompts_of_git_askpass() {
    let world = ready("one");
    let ask = |prompt: &str| world.forgepass(&["askpass", prompt]).output().unwrap();
    assert_eq!(
        stdout(&ask("Username for 'https://git.example.com': ")),
        "ann\n"
    );
    assert_eq!(
        stdout(&ask("Password for 'https://ann@git.example.com': ")),
        "one\n"
    );
    let other = ask("Password for 'https://elsewhere.example.com': ");
    assert_eq!(
        (other.status.code(), stdout(&other).as_str()),
        (Some(1), "")
    );
}

fn now() -> i64 {
    let out = std::process::Command::new("date")
        .arg("+%s")
        .output()
        .unwrap();
    String::from_utf8(out.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}
