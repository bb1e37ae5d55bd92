//! Stock OpenSSH programs use keys made here through an agent that speaks our codec.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use secrets::{Algorithm, KeyPair};
use ssh::agent::{Identity, Request, Response, read_frame, write_frame};
use ssh::signed::{Signed, parse};
use tempfile::TempDir;

/// Keys, and a socket `agent` in a folder where each connection is served by them.
fn agent(folder: &Path) -> Arc<Vec<KeyPair>> {
    let keys = Arc::new(Vec::from(
        [Algorithm::Ed25519, Algorithm::EcdsaP256, Algorithm::Rsa3072]
            .map(|algorithm| KeyPair::generate(algorithm).unwrap()),
    ));
    let listener = UnixListener::bind(folder.join("agent")).unwrap();
    let served = Arc::clone(&keys);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            serve(stream, &served);
        }
    });
    keys
}

fn serve(mut stream: UnixStream, keys: &[KeyPair]) {
    while let Ok(Some(frame)) = read_frame(&mut stream) {
        let response = answer(Request::decode(&frame).unwrap(), keys);
        write_frame(&mut stream, &response.encode()).unwrap();
    }
}

fn answer(request: Request, keys: &[KeyPair]) -> Response {
    match request {
        Request::List => Response::Identities(keys.iter().map(identity).collect()),
        Request::Sign { key, data, flags } => keys
            .iter()
            .find(|pair| pair.public_blob() == key)
            .filter(|_| matches!(parse(&data), Ok(Signed::SshSig(sig)) if sig.namespace == "git"))
            .and_then(|pair| pair.sign(&data, flags).ok())
            .map_or(Response::Failure, Response::Signature),
        Request::UnknownExtension(_) => Response::ExtensionFailure,
        _ => Response::Failure,
    }
}

fn identity(key: &KeyPair) -> Identity {
    Identity {
        key: key.public_blob(),
        comment: "ann@example.com".into(),
    }
}

fn run(folder: &Path, command: &[&str]) -> Output {
    Command::new(command[0])
        .args(&command[1..])
        .current_dir(folder)
        .env("SSH_AUTH_SOCK", folder.join("agent"))
        .output()
        .unwrap()
}

#[test]
fn ssh_add_lists_every_key() {
    let folder = TempDir::new().unwrap();
    let keys = agent(folder.path());

    let output = run(folder.path(), &["ssh-add", "-l"]);

    let list = String::from_utf8(output.stdout).unwrap();
    assert_eq!(list.lines().count(), keys.len(), "{list}");
    for (key, line) in keys.iter().zip(list.lines()) {
        let part = format!(" {} ann@example.com ", key.fingerprint());
        assert!(line.contains(&part), "{line}");
    }
}

#[test]
fn ssh_keygen_signs_a_commit_through_the_agent_and_verifies_it() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    for key in agent(folder.path()).iter() {
        write("key.pub", key.public_line(""));
        write(
            "signers",
            format!("ann@example.com {}\n", key.public_line("")),
        );
        write("commit", "tree 4b825dc6\n".into());
        let _ = std::fs::remove_file(folder.path().join("commit.sig"));

        let sign = [
            "ssh-keygen",
            "-Y",
            "sign",
            "-n",
            "git",
            "-U",
            "-f",
            "key.pub",
            "commit",
        ];
        let signed = run(folder.path(), &sign);
        assert!(signed.status.success(), "{signed:?}");

        let verify =
            "ssh-keygen -Y verify -n git -f signers -I ann@example.com -s commit.sig <commit";
        let verified = run(folder.path(), &["sh", "-c", verify]);
        assert!(verified.status.success(), "{verified:?}");
    }
}

#[test]
fn openssh_takes_a_refusal_for_what_it_is() {
    let folder = TempDir::new().unwrap();
    let keys = agent(folder.path());
    std::fs::write(folder.path().join("key.pub"), keys[0].public_line("")).unwrap();
    std::fs::write(folder.path().join("file"), "text").unwrap();

    let other_namespace = [
        "ssh-keygen",
        "-Y",
        "sign",
        "-n",
        "file",
        "-U",
        "-f",
        "key.pub",
        "file",
    ];
    for command in [&other_namespace[..], &["ssh-add", "-D"]] {
        let output = run(folder.path(), command);
        assert!(!output.status.success(), "{command:?}: {output:?}");
    }
    assert!(run(folder.path(), &["ssh-add", "-l"]).status.success());
}
