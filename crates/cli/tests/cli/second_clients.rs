//! The agent serves SSH clients that are not OpenSSH: paramiko and asyncssh.

use std::path::Path;
use std::process::{Command, Output};

use crate::agent::with_key;
use crate::network::Net;
use crate::world::{World, assert_success, stdout};

/// Runs a word of `second_client.py` with our agent.
fn python(world: &World, args: &[&str]) -> Output {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test command names the Python that has the clients"
    )]
    let python = std::env::var_os("FORGEPASS_TEST_PYTHON").expect(
        "FORGEPASS_TEST_PYTHON names a Python with paramiko and asyncssh: run `cargo xtask test`",
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/second_client.py");
    let mut command: Command = world.command(python);
    command
        .arg("-B")
        .arg(script)
        .args(args)
        .env("SSH_AUTH_SOCK", world.agent_socket())
        .output()
        .unwrap()
}

#[test]
fn both_list_the_keys_of_linked_accounts() {
    let (world, key) = with_key("ed25519");
    let blob = key.split(' ').nth(1).unwrap();
    let out = python(&world, &["paramiko_lists"]);
    assert_success(&out);
    let line = stdout(&out);
    assert!(line.contains(blob), "{line}");
    let out = python(&world, &["asyncssh_lists"]);
    assert_success(&out);
    assert_eq!(stdout(&out), "ssh-ed25519 ann at GitLab\n");
}

#[test]
fn a_client_gets_the_rsa_signature_it_asks_for() {
    let (world, _) = with_key("rsa");
    for algorithm in ["rsa-sha2-256", "rsa-sha2-512"] {
        let out = python(&world, &["paramiko_signs", algorithm]);
        assert_success(&out);
        assert_eq!(stdout(&out), format!("{algorithm}\n"));
    }
    let state = world.server.state();
    let flags: Vec<u32> = state.signs.iter().map(|sign| sign.flags).collect();
    // draft-ietf-sshm-ssh-agent, "Signature flags": SHA-256 is 2, SHA-512 is 4.
    assert_eq!(flags, [2, 4]);
}

/// Neither client says which server it talks to, so each of these is an unbound request: the agent passes
/// it on as such, and the server decides by the workspace's own setting.
#[test]
fn both_sign_in_and_read_a_repository_where_the_server_allows_it() {
    let net = Net::new();
    net.world.start_agent();
    let (host, port) = net.forge.ssh_address().rsplit_once(':').unwrap();
    let (_, path) = net.urls.ssh.split_once("git@").unwrap();
    let (_, path) = path.split_once('/').unwrap();
    let command = format!("git-upload-pack '/{path}'");
    for client in ["paramiko_fetches", "asyncssh_fetches"] {
        let before = net.world.server.state().signs.len();
        let out = python(&net.world, &[client, host, port, &command]);
        assert_success(&out);
        assert!(stdout(&out).contains("multi_ack"), "{}", stdout(&out));
        let state = net.world.server.state();
        let signs = &state.signs[before..];
        assert!(!signs.is_empty(), "{client} did not use the agent");
        assert!(
            signs.iter().all(|sign| sign.bindings.is_empty()),
            "{client} binds"
        );
    }
}

#[test]
fn both_are_refused_where_the_server_refuses_an_unbound_request() {
    let net = Net::new();
    net.world.start_agent();
    net.world.server.state().sign_problem = Some(crate::server::problem(
        403,
        api::code::SIGN_REFUSED,
        "this ssh does not say which server it talks to",
    ));
    let (host, port) = net.forge.ssh_address().rsplit_once(':').unwrap();
    for client in ["paramiko_fetches", "asyncssh_fetches"] {
        let out = python(
            &net.world,
            &[client, host, port, "git-upload-pack '/ann/a.git'"],
        );
        assert!(!out.status.success(), "{client}: {}", stdout(&out));
        assert!(!stdout(&out).contains("multi_ack"));
    }
}
