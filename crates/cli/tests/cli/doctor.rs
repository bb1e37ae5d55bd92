//! The doctor: each part of the way is broken by itself, and it names that part, the cause and the mend.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Output;

use api::code;
use serde_json::{Value, json};

use crate::network::Net;
use crate::server::{TOKEN, credential, problem};
use crate::world::{World, assert_success, stderr, stdout};

/// Where `--json` goes: what is broken, its cause and its mend.
struct Broken {
    step: String,
    what: String,
    hint: String,
}

fn examine(world: &World, args: &[&str]) -> (Output, Value) {
    let out = examine_in(world, args, &[]);
    let report = serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|_| panic!("{}\n{}", stdout(&out), stderr(&out)));
    (out, report)
}

fn examine_in(world: &World, args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut doctor = world.forgepass(&["doctor", "--json"]);
    doctor
        .args(args)
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

#[track_caller]
fn assert_well(net: &Net) {
    for url in [&net.urls.https, &net.urls.ssh] {
        let (out, report) = examine(&net.world, &[url]);
        assert!(out.status.success(), "{report:#}");
        assert_eq!(report["well"], true, "{report:#}");
        let last = report["steps"].as_array().unwrap().last().unwrap();
        assert_eq!(last["name"], "trial", "{report:#}");
    }
}

#[track_caller]
fn broken(world: &World, remote: &str) -> Broken {
    broken_in(world, remote, &[])
}

#[track_caller]
fn broken_in(world: &World, remote: &str, variables: &[(&str, &str)]) -> Broken {
    let out = examine_in(world, &[remote], variables);
    let report: Value = serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|_| panic!("{}\n{}", stdout(&out), stderr(&out)));
    assert_eq!(out.status.code(), Some(1), "{report:#}");
    assert_eq!(report["well"], false);
    let last = report["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(last["state"], "broken", "{report:#}");
    let text = |name: &str| last[name].as_str().unwrap().to_owned();
    Broken {
        step: text("name"),
        what: text("what"),
        hint: text("hint"),
    }
}

impl Broken {
    #[track_caller]
    fn says(&self, step: &str, what: &str, hint: &str) {
        assert_eq!(self.step, step, "{}", self.what);
        assert!(self.what.contains(what), "{}", self.what);
        assert!(self.hint.contains(hint), "{}", self.hint);
    }
}

fn standing(net: &Net, state: &str, key_state: &str, next: &str) {
    net.world.server.state().standing = json!({
        "provider": "GitLab", "login": "ann", "state": state, "next_step": next,
        "key_state": key_state,
    });
}

#[test]
fn doctor_finds_nothing_on_a_way_that_works_and_says_no_secret() {
    let net = Net::new();
    net.forge.set_password("ann", "kept-quiet").unwrap();
    net.world.server.state().credentials = [Ok(credential("kept-quiet"))].into();
    assert_well(&net);
    let out = net.world.forgepass(&["doctor", &net.urls.https]).output();
    let out = out.unwrap();
    assert_success(&out);
    let text = stdout(&out);
    assert!(text.ends_with("everything on this way works\n"), "{text}");
    assert!(text.contains("✓ credential helper"), "{text}");
    let (_, report) = examine(&net.world, &[&net.urls.https]);
    for secret in [TOKEN, "kept-quiet"] {
        assert!(!format!("{text}{report}").contains(secret), "{secret}");
    }
}

#[test]
fn doctor_looks_at_the_remote_of_the_repository_it_stands_in() {
    let net = Net::new();
    assert_success(&net.clone("git".as_ref(), &net.urls.https, "clone"));
    let mut doctor = net.world.forgepass(&["doctor", "--json"]);
    let out = doctor
        .current_dir(net.world.path("clone"))
        .output()
        .unwrap();
    assert_success(&out);
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(report["remote"], net.urls.https.as_str());
    let nowhere = net.world.forgepass(&["doctor"]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(stderr(&nowhere).contains("hint: name a remote"));
}

#[test]
fn doctor_names_a_missing_sign_in() {
    let net = Net::new();
    assert_well(&net);
    fs::remove_file(net.world.home().join(".config/forgepass/token")).unwrap();
    broken(&net.world, &net.urls.https).says("sign-in", "not signed in", "forgepass login");
}

#[test]
fn doctor_names_a_server_that_cannot_be_reached() {
    let net = Net::new();
    assert_well(&net);
    net.world.server.go_away_for(1000);
    broken(&net.world, &net.urls.https).says("server", "cannot be reached", "check the network");
}

#[test]
fn doctor_names_a_server_whose_certificate_is_not_trusted() {
    let net = Net::new();
    assert_well(&net);
    let settings = net.world.home().join(".config/forgepass/config.json");
    fs::write(settings, json!({ "url": net.forge.url() }).to_string()).unwrap();
    broken(&net.world, &net.urls.https).says("server", "ertificate", "--ca FILE");
}

#[test]
fn doctor_names_a_clock_that_is_wrong() {
    let net = Net::new();
    assert_well(&net);
    net.world.server.state().clock_ahead_s = 3600;
    broken(&net.world, &net.urls.https).says("clock", "seconds behind", "time service");
    net.world.server.state().clock_ahead_s = -3600;
    broken(&net.world, &net.urls.https).says("clock", "seconds ahead of", "time service");
}

#[test]
fn doctor_names_a_forgepass_that_is_too_old() {
    let net = Net::new();
    assert_well(&net);
    net.world.server.state().minimum_cli = "9.0.0";
    broken(&net.world, &net.urls.https).says("server", "9.0.0 and later", "newer forgepass");
}

#[test]
fn doctor_names_a_revoked_workspace_token() {
    let net = Net::new();
    assert_well(&net);
    let token = net.world.home().join(".config/forgepass/token");
    fs::write(token, "fpw_revoked").unwrap();
    broken(&net.world, &net.urls.https).says("workspace", "workspace token is not known", "");
}

#[test]
fn doctor_names_a_host_without_a_provider() {
    let net = Net::new();
    assert_well(&net);
    broken(&net.world, "https://elsewhere.example.com/ann/a.git").says(
        "provider",
        "belongs to no provider",
        "site manager",
    );
}

#[test]
fn doctor_names_a_missing_link() {
    let net = Net::new();
    assert_well(&net);
    standing(
        &net,
        "not-linked",
        "absent",
        "link an account: `forgepass link GitLab`",
    );
    broken(&net.world, &net.urls.https).says("link", "no account at GitLab", "forgepass link");
}

#[test]
fn doctor_names_a_dead_link_and_why_it_died() {
    let net = Net::new();
    assert_well(&net);
    net.world.server.state().setup.providers[0].links[0].dead =
        Some("the provider has revoked it".to_owned());
    standing(
        &net,
        "dead",
        "present",
        "link again: `forgepass link GitLab`",
    );
    broken(&net.world, &net.urls.https).says(
        "link",
        "dead: the provider has revoked it",
        "link again",
    );
}

#[test]
fn doctor_names_a_missing_consent_for_https_and_lets_ssh_pass() {
    let net = Net::new();
    assert_well(&net);
    standing(
        &net,
        "unfinished",
        "present",
        "finish the link: `forgepass link GitLab`",
    );
    broken(&net.world, &net.urls.https).says("link", "consent for Git over HTTPS", "finish");
    let (out, report) = examine(&net.world, &[&net.urls.ssh]);
    assert!(out.status.success(), "{report:#}");
}

#[test]
fn doctor_names_a_provider_that_limits_the_rate() {
    let net = Net::new();
    assert_well(&net);
    let mut limited = problem(503, code::TRANSIENT, "GitLab limits the rate of requests");
    limited.hint = Some("try again in 40 seconds".to_owned());
    net.world.server.state().credentials = [Err(limited)].into();
    broken(&net.world, &net.urls.https).says("credential", "limits the rate", "40 seconds");
}

#[test]
fn doctor_names_a_token_that_the_provider_no_longer_takes() {
    let net = Net::new();
    assert_well(&net);
    net.world.server.state().credentials = [Ok(credential("evicted"))].into();
    assert_success(&net.world.forgepass(&["agent", "--stop"]).output().unwrap());
    broken(&net.world, &net.urls.https).says("trial", "the provider refuses", "");
}

#[test]
fn doctor_names_a_repository_that_the_account_may_not_see() {
    let net = Net::new();
    assert_well(&net);
    let other = net.urls.https.replace("/a.git", "/nothing-there.git");
    broken(&net.world, &other).says("trial", "the provider refuses", "check");
}

#[test]
fn doctor_names_a_key_that_is_missing_or_refused_or_waits_for_a_click() {
    let net = Net::new();
    assert_well(&net);
    for (state, what) in [
        ("absent", "no longer has your key"),
        ("refused", "refused your key"),
        ("needs-authorization", "wants you to authorise it"),
    ] {
        standing(&net, "linked", state, "open Preferences > SSH keys");
        broken(&net.world, &net.urls.ssh).says("key", what, "SSH keys");
    }
}

#[test]
fn doctor_names_a_host_key_that_is_unknown_or_has_changed() {
    let net = Net::new();
    assert_well(&net);
    let key = net.world.server.state().setup.providers[0].links[0].keys[0].clone();
    net.world.server.state().setup.providers[0].host_keys = vec![key];
    broken(&net.world, &net.urls.ssh).says("host key", "has changed", "site manager");
    net.world.server.state().setup.providers[0]
        .host_keys
        .clear();
    broken(&net.world, &net.urls.ssh).says("host key", "trusts none on first use", "Git OAuth");
}

#[test]
fn doctor_names_an_ssh_server_that_does_not_answer() {
    let net = Net::new();
    assert_well(&net);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    net.world.server.state().setup.providers[0].ssh_addresses = vec![address.to_string()];
    let url = format!("ssh://git@{address}/ann/a.git");
    broken(&net.world, &url).says("host key", "does not answer", "check the network");
}

#[test]
fn doctor_names_an_agent_that_cannot_start() {
    let net = Net::new();
    assert_well(&net);
    assert_success(&net.world.forgepass(&["agent", "--stop"]).output().unwrap());
    fs::remove_dir_all(net.world.runtime()).unwrap();
    fs::write(net.world.runtime(), "in the way").unwrap();
    broken(&net.world, &net.urls.https).says("agent", "", "");
}

#[test]
fn doctor_names_a_helper_that_is_asked_in_our_place_and_one_that_hears_our_tokens() {
    let net = Net::new();
    assert_well(&net);
    let config = net.world.home().join(".gitconfig");
    let ours = fs::read_to_string(&config).unwrap();
    let host = net.forge.url();
    fs::write(
        &config,
        format!("{ours}[credential \"{host}\"]\n\thelper = store\n"),
    )
    .unwrap();
    let (out, report) = examine(&net.world, &[&net.urls.https]);
    assert!(out.status.success(), "{report:#}");
    let steps = report["steps"].as_array().unwrap();
    let helper = steps
        .iter()
        .find(|step| step["name"] == "credential helper");
    let helper = helper.unwrap();
    assert_eq!(helper["state"], "note", "{report:#}");
    assert!(
        helper["what"].as_str().unwrap().contains("`store`"),
        "{report:#}"
    );
    fs::write(
        &config,
        format!("{ours}[credential \"{host}\"]\n\thelper =\n\thelper = store\n"),
    )
    .unwrap();
    broken(&net.world, &net.urls.https).says("credential helper", "asks `store` and not", "setup");
}

#[test]
fn doctor_names_an_askpass_that_answers_in_our_place() {
    let net = Net::new();
    assert_well(&net);
    assert_success(&net.world.forgepass(&["setup", "--undo"]).output().unwrap());
    broken_in(
        &net.world,
        &net.urls.https,
        &[("GIT_ASKPASS", "/opt/ide/askpass.sh")],
    )
    .says(
        "credential helper",
        "GIT_ASKPASS (/opt/ide/askpass.sh)",
        "forgepass setup",
    );
    broken(&net.world, &net.urls.ssh).says("ssh command", "does not run ssh", "forgepass setup");
}

#[test]
fn doctor_names_a_git_ssh_command_and_a_setting_that_win() {
    let net = Net::new();
    assert_well(&net);
    broken_in(&net.world, &net.urls.ssh, &[("GIT_SSH_COMMAND", "ssh -v")]).says(
        "ssh command",
        "GIT_SSH_COMMAND is `ssh -v`",
        "unset GIT_SSH_COMMAND",
    );
    let winning = [
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "core.sshCommand"),
        ("GIT_CONFIG_VALUE_0", "ssh -4"),
    ];
    broken_in(&net.world, &net.urls.ssh, &winning).says("ssh command", "`ssh -4` wins", "remove");
}

#[test]
fn doctor_names_a_password_in_the_url_without_showing_it() {
    let net = Net::new();
    assert_well(&net);
    let url = net.urls.https.replace("https://", "https://ann:hunter2@");
    let found = broken(&net.world, &url);
    found.says(
        "credential helper",
        "holds a password",
        "revoke that password",
    );
    let out = examine_in(&net.world, &[&url], &[]);
    assert!(!stdout(&out).contains("hunter2"), "{}", stdout(&out));
}

#[test]
fn doctor_notes_a_git_and_an_ssh_that_are_too_old_for_something() {
    let net = Net::new();
    assert_well(&net);
    let bin = net.world.path("bin");
    let script = |name: &str, question: &str, answer: &str, real: &str| {
        let file = bin.join(name);
        let text = format!(
            "#!/bin/sh\n[ \"$1\" = {question} ] && {{ echo '{answer}' >&2; echo '{answer}'; exit 0; }}\nexec {real} \"$@\"\n"
        );
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    };
    script("git", "--version", "git version 2.30.2", "/usr/bin/git");
    script(
        "ssh",
        "-V",
        "OpenSSH_8.4p1 Example, OpenSSL",
        "/usr/bin/ssh",
    );
    let (_, report) = examine(&net.world, &[&net.urls.ssh]);
    let note = |name: &str| {
        let steps = report["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["name"] == name).unwrap();
        assert_eq!(step["state"], "note", "{report:#}");
        step["what"].as_str().unwrap().to_owned()
    };
    assert!(note("git").contains("2.30.2 cannot sign"), "{report:#}");
    assert!(
        note("ssh program").contains("8.4p1 does not tell"),
        "{report:#}"
    );
}

#[test]
fn doctor_names_a_missing_git() {
    let net = Net::new();
    assert_well(&net);
    let bin = net.world.path("only");
    fs::create_dir(&bin).unwrap();
    symlink("/usr/bin/ssh", bin.join("ssh")).unwrap();
    let path = bin.to_str().unwrap().to_owned();
    broken_in(&net.world, &net.urls.https, &[("PATH", &path)]).says(
        "git",
        "Git is not installed",
        "install Git",
    );
}
