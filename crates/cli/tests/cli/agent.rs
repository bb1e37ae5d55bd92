//! The agent as a process and as an SSH agent.

use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::process::Output;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ssh::agent::{Binding, Request, Response, read_frame, write_frame};

use crate::server::provider;
use crate::world::{World, assert_success, feed, stderr, stdout, until};

/// A running agent with a key of that kind.
pub(crate) fn with_key(kind: &str) -> (World, String) {
    let mut world = World::signed_in();
    let key = world.make_key(kind);
    world.set_keys(&[&key]);
    world.start_agent();
    (world, key)
}

fn talk(stream: &mut UnixStream, request: &Request) -> Response {
    write_frame(stream, &request.encode()).unwrap();
    Response::decode(&read_frame(stream).unwrap().unwrap()).unwrap()
}

fn blob(line: &str) -> Vec<u8> {
    STANDARD.decode(line.split(' ').nth(1).unwrap()).unwrap()
}

fn ssh_add(world: &World, args: &[&str]) -> Output {
    world
        .command("ssh-add")
        .args(args)
        .env("SSH_AUTH_SOCK", world.agent_socket())
        .output()
        .unwrap()
}

#[test]
fn ssh_add_lists_the_keys_of_linked_accounts() {
    let (world, _) = with_key("ed25519");
    let out = ssh_add(&world, &["-l"]);
    assert_success(&out);
    assert!(
        stdout(&out).contains("ann at GitLab (ED25519)"),
        "{}",
        stdout(&out)
    );
}

#[test]
fn refuses_to_take_remove_or_lock_keys() {
    let (world, key) = with_key("ed25519");
    let own = world.path("own");
    let made = world
        .command("ssh-keygen")
        .args(["-q", "-N", "", "-t", "ed25519", "-f"])
        .arg(&own)
        .output()
        .unwrap();
    assert_success(&made);
    for args in [
        vec![own.to_str().unwrap()],
        vec!["-D"],
        vec!["-d", own.to_str().unwrap()],
    ] {
        assert!(!ssh_add(&world, &args).status.success(), "{args:?}");
    }
    let mut stream = UnixStream::connect(world.agent_socket()).unwrap();
    // Lock, unlock, and a message that nobody knows.
    for number in [22, 23, 200] {
        assert_eq!(
            talk(&mut stream, &Request::Other(number)),
            Response::Failure
        );
    }
    let Response::Identities(keys) = talk(&mut stream, &Request::List) else {
        panic!("no list")
    };
    assert_eq!(keys[0].key, blob(&key));
}

#[test]
fn tells_its_extensions() {
    let (world, _) = with_key("ed25519");
    let mut stream = UnixStream::connect(world.agent_socket()).unwrap();
    let Response::Extensions(names) = talk(&mut stream, &Request::Query) else {
        panic!("no extensions")
    };
    assert_eq!(names, ["query", "session-bind@openssh.com"]);
    let unknown = Request::UnknownExtension("restrict-everything@example.com".to_owned());
    assert_eq!(talk(&mut stream, &unknown), Response::Failure);
}

#[test]
fn answers_failure_to_a_malformed_message_and_closes_on_a_frame_that_is_too_long() {
    let (world, _) = with_key("ed25519");
    let mut stream = UnixStream::connect(world.agent_socket()).unwrap();
    write_frame(&mut stream, &[13, 0, 0, 0, 200, 1]).unwrap();
    assert_eq!(
        Response::decode(&read_frame(&mut stream).unwrap().unwrap()).unwrap(),
        Response::Failure
    );
    stream
        .write_all(&(256 * 1024 + 1_u32).to_be_bytes())
        .unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "closed");
}

#[test]
fn shows_a_bound_client_the_keys_of_that_server_alone_and_passes_the_binding_on() {
    let (world, key) = with_key("ed25519");
    let host = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBk6fEyN3ZVDyfuyBTaJkVS8xOeL2aJ8MZXaiIkjIrDH";
    let mut state = world.server.state();
    state.setup.version.push('h');
    state.setup.providers[0].host_keys = vec![host.to_owned()];
    let mut other = provider("https://other.example.com");
    other.id = "prv_2".to_owned();
    state.setup.providers.push(other);
    drop(state);
    assert_success(&world.forgepass(&["status"]).output().unwrap());
    let bind = |host_key: Vec<u8>| {
        Request::Bind(Binding {
            host_key,
            session_id: vec![7; 32],
            signature: vec![1, 2, 3],
            forwarding: false,
        })
    };
    let mut stream = UnixStream::connect(world.agent_socket()).unwrap();
    assert_eq!(talk(&mut stream, &bind(blob(host))), Response::Success);
    let Response::Identities(keys) = talk(&mut stream, &Request::List) else {
        panic!("no list")
    };
    assert_eq!(keys.len(), 1);
    let sign = Request::Sign {
        key: blob(&key),
        data: b"anything".to_vec(),
        flags: 0,
    };
    assert!(matches!(talk(&mut stream, &sign), Response::Signature(_)));
    let bindings = world.server.state().signs[0].bindings.clone();
    assert_eq!(
        STANDARD.decode(&bindings[0].session_id).unwrap(),
        vec![7; 32]
    );
    assert_eq!(STANDARD.decode(&bindings[0].host_key).unwrap(), blob(host));

    let mut stranger = UnixStream::connect(world.agent_socket()).unwrap();
    assert_eq!(talk(&mut stranger, &bind(blob(&key))), Response::Success);
    assert_eq!(
        talk(&mut stranger, &Request::List),
        Response::Identities(vec![])
    );
}

#[test]
fn keeps_sixteen_bindings_of_a_connection_at_most() {
    let (world, _) = with_key("ed25519");
    let mut stream = UnixStream::connect(world.agent_socket()).unwrap();
    let bind = Request::Bind(Binding {
        host_key: vec![1],
        session_id: vec![2],
        signature: vec![3],
        forwarding: false,
    });
    for _ in 0..16 {
        assert_eq!(talk(&mut stream, &bind), Response::Success);
    }
    assert_eq!(talk(&mut stream, &bind), Response::Failure);
}

#[test]
fn does_not_ask_the_server_to_sign_with_a_strangers_key() {
    let (world, _) = with_key("ed25519");
    let mut stream = UnixStream::connect(world.agent_socket()).unwrap();
    let sign = Request::Sign {
        key: b"stranger".to_vec(),
        data: vec![1],
        flags: 0,
    };
    assert_eq!(talk(&mut stream, &sign), Response::Failure);
    assert!(world.server.state().signs.is_empty());
}

#[test]
fn signs_files_with_every_kind_of_key() {
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let (world, key) = with_key(kind);
        std::fs::write(world.path("key.pub"), &key).unwrap();
        std::fs::write(world.path("signers"), format!("ann@example.com {key}\n")).unwrap();
        let mut sign = world.command("ssh-keygen");
        sign.args(["-q", "-Y", "sign", "-n", "git", "-U", "-f"])
            .arg(world.path("key.pub"));
        sign.env("SSH_AUTH_SOCK", world.agent_socket());
        let signed = feed(&mut sign, "a message");
        assert_success(&signed);
        std::fs::write(world.path("signature"), &signed.stdout).unwrap();
        let mut verify = world.command("ssh-keygen");
        verify
            .args(["-Y", "verify", "-n", "git", "-I", "ann@example.com", "-f"])
            .arg(world.path("signers"));
        verify.arg("-s").arg(world.path("signature"));
        assert_success(&feed(&mut verify, "a message"));
        let flags = world.server.state().signs[0].flags;
        assert_eq!(
            flags,
            if kind == "rsa" { 4 } else { 0 },
            "{kind}: the wish for SHA-512 is passed on"
        );
    }
}

#[test]
fn a_server_that_restarts_delays_a_signature_and_does_not_fail_it() {
    let (world, key) = with_key("ed25519");
    // Two per try: a broken connection is tried once more at once.
    world.server.go_away_for(6);
    let mut stream = UnixStream::connect(world.agent_socket()).unwrap();
    let sign = Request::Sign {
        key: blob(&key),
        data: vec![1],
        flags: 0,
    };
    assert!(matches!(talk(&mut stream, &sign), Response::Signature(_)));
}

#[test]
fn its_folder_and_sockets_are_the_users_alone() {
    let (world, _) = with_key("ed25519");
    let mode = |path| std::fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(world.runtime()), 0o700);
    assert_eq!(mode(world.agent_socket()), 0o600);
    assert_eq!(mode(world.runtime().join("control.sock")), 0o600);
}

#[test]
fn does_not_use_a_folder_that_others_may_enter() {
    let world = World::signed_in();
    std::fs::create_dir(world.runtime()).unwrap();
    std::fs::set_permissions(world.runtime(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let out = world.get();
    assert_eq!(stdout(&out), "");
    assert!(
        stderr(&out).contains("not a folder that only you can enter"),
        "{}",
        stderr(&out)
    );
    assert!(!world.agent_socket().exists());
}

#[test]
fn leaves_no_socket_behind_when_nobody_needs_it() {
    let world = World::signed_in();
    let mut agent = world
        .forgepass(&["agent", "--idle-s", "1"])
        .spawn()
        .unwrap();
    until("it listens", || world.agent_socket().exists());
    assert!(agent.wait().unwrap().success());
    assert!(!world.agent_socket().exists() && !world.runtime().join("control.sock").exists());
}

#[test]
fn leaves_no_socket_behind_when_it_is_ended() {
    let (world, _) = with_key("ed25519");
    let process = world.agent_process().to_string();
    assert!(
        world
            .command("kill")
            .args(["-TERM", &process])
            .status()
            .unwrap()
            .success()
    );
    until("the sockets are gone", || {
        !world.agent_socket().exists() && !world.runtime().join("control.sock").exists()
    });
}

#[test]
fn replaces_the_sockets_of_an_agent_that_was_killed() {
    let (world, _) = with_key("ed25519");
    let process = world.agent_process();
    assert!(
        world
            .command("kill")
            .args(["-KILL", &process.to_string()])
            .status()
            .unwrap()
            .success()
    );
    assert_success(&world.get());
    assert_ne!(world.agent_process(), process);
}

#[test]
fn many_at_once_start_one_agent() {
    let world = World::signed_in();
    let agents: Vec<_> = (0..8)
        .map(|_| world.forgepass(&["agent", "--detached"]).spawn().unwrap())
        .collect();
    until("one listens", || {
        world.runtime().join("control.sock").exists()
    });
    let process = world.agent_process();
    let mut left = 0;
    for mut agent in agents {
        if u64::from(agent.id()) == process {
            assert!(
                agent.try_wait().unwrap().is_none(),
                "the one that listens goes on"
            );
            assert!(
                world
                    .forgepass(&["agent", "--stop"])
                    .status()
                    .unwrap()
                    .success()
            );
            assert!(agent.wait().unwrap().success());
        } else {
            left += 1;
            assert!(agent.wait().unwrap().success());
        }
    }
    assert_eq!(left, 7);
}

#[test]
fn hears_no_other_user() {
    let (world, _) = with_key("ed25519");
    // Only root can become another user; everybody else is kept out by the folder already.
    let is_root = std::fs::metadata(world.home()).unwrap().uid() == 0;
    if !is_root {
        return;
    }
    let open = |path: &std::path::Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    };
    for path in [
        world.folder.path(),
        &world.path("run"),
        &world.runtime(),
        &world.agent_socket(),
    ] {
        open(path);
    }
    let mut stranger = world.command("setpriv");
    stranger.args(["--reuid", "65534", "--clear-groups", "ssh-add", "-l"]);
    let out = stranger
        .env("SSH_AUTH_SOCK", world.agent_socket())
        .output()
        .unwrap();
    assert!(
        !out.status.success() && stdout(&out).is_empty(),
        "{}",
        stdout(&out)
    );
    assert!(ssh_add(&world, &["-l"]).status.success());
    std::fs::set_permissions(world.runtime(), std::fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn another_sign_in_by_environment_has_an_agent_of_its_own() {
    let world = World::signed_in();
    world
        .server
        .state()
        .credentials
        .push_back(Ok(crate::server::credential("one")));
    assert!(stdout(&world.get()).contains("password=one"));
    std::fs::write(world.path("other-token"), "fpw_other").unwrap();
    let other = |args: &[&str]| {
        let mut command = world.forgepass(args);
        command
            .env("FORGEPASS_URL", &world.server.url)
            .env("FORGEPASS_TOKEN_FILE", world.path("other-token"));
        command
    };
    let out = feed(
        &mut other(&["credential", "get"]),
        "protocol=https\nhost=git.example.com\n\n",
    );
    assert!(!stdout(&out).contains("password=one"));
    assert_success(&other(&["agent", "--stop"]).output().unwrap());
}

#[test]
fn does_not_use_another_users_runtime_folder() {
    let world = World::signed_in();
    let theirs = world.path("theirs");
    std::fs::create_dir(&theirs).unwrap();
    let is_root = std::fs::metadata(world.home()).unwrap().uid() == 0;
    if is_root {
        std::os::unix::fs::chown(&theirs, Some(65534), None).unwrap();
    }
    // Whoever is not root cannot give a folder away, but has one of root's at hand.
    let theirs = if is_root {
        theirs
    } else {
        std::path::PathBuf::from("/usr")
    };
    let mut status = world.forgepass(&["status", "--json"]);
    let out = status.env("XDG_RUNTIME_DIR", &theirs).output().unwrap();
    assert_success(&out);
    let status: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let socket = status["agent"]["socket"].as_str().unwrap().to_owned();
    assert!(
        socket.starts_with(world.path("tmp").to_str().unwrap()),
        "{socket}"
    );
    let mut stop = world.forgepass(&["agent", "--stop"]);
    assert_success(&stop.env("XDG_RUNTIME_DIR", &theirs).output().unwrap());
}
