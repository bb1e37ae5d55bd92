//! Frames that OpenSSH 9.2 really sent: recorded between `ssh`, `ssh-keygen -Y sign` and
//! `ssh-agent`, with keys made for that and thrown away since.
//!
//! `hostbound-*` and `plain-*` are sign-ins to a server (`.bind`, `.sign`, the agent's `.answer`),
//! the latter with `PubkeyAuthentication=unbound`; `sshsig-*` are signatures of a file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ssh::agent::{Binding, Request, Response};
use ssh::signed::{Signed, SshSig, UserAuth, parse};
use ssh::wire::Reader;

fn frame(name: &str) -> Vec<u8> {
    std::fs::read(format!(
        "{}/tests/fixtures/{name}.bin",
        env!("CARGO_MANIFEST_DIR")
    ))
    .unwrap()
}

/// Reads a request and checks that it writes back to the same bytes.
fn request(name: &str) -> Request {
    let frame = frame(name);
    let request = Request::decode(&frame).unwrap();
    assert_eq!(request.encode(), frame, "{name}");
    request
}

fn binding(name: &str) -> Binding {
    match request(name) {
        Request::Bind(binding) => binding,
        other => panic!("{name}: {other:?}"),
    }
}

/// The key, meaning and flags of a sign request.
fn sign(name: &str) -> (Vec<u8>, Signed, u32) {
    match request(name) {
        Request::Sign { key, data, flags } => (key, parse(&data).unwrap(), flags),
        other => panic!("{name}: {other:?}"),
    }
}

fn user_auth(name: &str) -> UserAuth {
    match sign(name) {
        (key, Signed::UserAuth(user_auth), _) => {
            assert_eq!(user_auth.key, key, "{name}");
            user_auth
        }
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn the_answers_of_ssh_agent_read_and_write_back() {
    for name in [
        "list.answer",
        "hostbound-ed25519.answer",
        "hostbound-rsa.answer",
        "plain-ed25519.answer",
        "sshsig-ed25519.answer",
        "sshsig-rsa.answer",
    ] {
        let frame = frame(name);
        assert_eq!(Response::decode(&frame).unwrap().encode(), frame, "{name}");
    }
    let Response::Identities(identities) = Response::decode(&frame("list.answer")).unwrap() else {
        panic!("not a list");
    };
    let comments: Vec<_> = identities.iter().map(|i| i.comment.as_str()).collect();
    assert_eq!(comments, ["ann@example.com", "ann rsa"]);
}

#[test]
fn a_bound_sign_in_names_the_session_and_host_key_of_its_binding() {
    for (key, algorithm) in [("ed25519", "ssh-ed25519"), ("rsa", "rsa-sha2-512")] {
        let binding = binding(&format!("hostbound-{key}.bind"));
        let user_auth = user_auth(&format!("hostbound-{key}.sign"));

        assert!(!binding.forwarding);
        assert_eq!(user_auth.session_id, binding.session_id);
        assert_eq!(user_auth.server_host_key, Some(binding.host_key));
        assert_eq!(user_auth.algorithm, algorithm);
        assert_eq!(user_auth.user, "nobody");
    }
}

#[test]
fn a_plain_sign_in_names_the_session_alone() {
    let binding = binding("plain-ed25519.bind");
    let user_auth = user_auth("plain-ed25519.sign");

    assert_eq!(user_auth.session_id, binding.session_id);
    assert_eq!(user_auth.server_host_key, None);
}

#[test]
fn an_rsa_sign_in_asks_for_sha_512_by_its_flag() {
    let (key, _, flags) = sign("hostbound-rsa.sign");

    assert_eq!(Reader::new(&key).text(), Ok("ssh-rsa"));
    assert_eq!(flags, 4);
}

#[test]
fn a_signed_file_tells_its_namespace() {
    for key in ["ed25519", "rsa"] {
        let (_, signed, _) = sign(&format!("sshsig-{key}.sign"));
        let expected = SshSig {
            namespace: "git".into(),
            hash_algorithm: "sha512".into(),
        };
        assert_eq!(signed, Signed::SshSig(expected));
    }
}

#[test]
fn no_recorded_frame_reads_when_a_byte_is_missing() {
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures")).unwrap()
    {
        let path = entry.unwrap().path();
        let frame = std::fs::read(&path).unwrap();
        let answer = path.to_string_lossy().ends_with(".answer.bin");
        for length in 0..frame.len() {
            let cut = &frame[..length];
            let refused = match answer {
                true => Response::decode(cut).is_err(),
                false => Request::decode(cut).is_err(),
            };
            assert!(refused, "{} cut to {length} bytes", path.display());
        }
    }
}
