//! What is to be signed is understood, or it is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::collection::vec;
use proptest::prelude::*;
use ssh::signed::{Signed, SshSig, UserAuth, parse};
use ssh::wire::{WireError, Writer};

const HOSTBOUND: &str = "publickey-hostbound-v00@openssh.com";

fn key(key_type: &str) -> Vec<u8> {
    Writer::new().string(key_type).string("public").into_vec()
}

/// A sign-in, each part of which a test may replace.
struct SignIn {
    session_id: Vec<u8>,
    message: u8,
    service: &'static str,
    method: &'static str,
    with_signature: bool,
    algorithm: &'static str,
    key: Vec<u8>,
    host_key: Option<&'static str>,
}

impl Default for SignIn {
    fn default() -> Self {
        Self {
            session_id: vec![7; 32],
            message: 50,
            service: "ssh-connection",
            method: "publickey",
            with_signature: true,
            algorithm: "ssh-ed25519",
            key: key("ssh-ed25519"),
            host_key: None,
        }
    }
}

impl SignIn {
    fn parse(&self) -> Result<Signed, WireError> {
        parse(&self.encode())
    }

    fn encode(&self) -> Vec<u8> {
        let writer = Writer::new()
            .string(&self.session_id)
            .u8(self.message)
            .string("git")
            .string(self.service)
            .string(self.method)
            .bool(self.with_signature)
            .string(self.algorithm)
            .string(&self.key);
        match self.host_key {
            Some(host_key) => writer.string(host_key),
            None => writer,
        }
        .into_vec()
    }
}

fn sshsig(namespace: &str, reserved: &str, hash_algorithm: &str, hash: &[u8]) -> Vec<u8> {
    Writer::new()
        .raw(b"SSHSIG")
        .string(namespace)
        .string(reserved)
        .string(hash_algorithm)
        .string(hash)
        .into_vec()
}

#[test]
fn a_sign_in_tells_its_session_user_and_key() {
    assert_eq!(
        SignIn::default().parse(),
        Ok(Signed::UserAuth(UserAuth {
            session_id: vec![7; 32],
            user: "git".into(),
            algorithm: "ssh-ed25519".into(),
            key: key("ssh-ed25519"),
            server_host_key: None,
        }))
    );
}

#[test]
fn a_sign_in_bound_to_a_host_tells_the_host_key() {
    let sign_in = SignIn {
        method: HOSTBOUND,
        host_key: Some("host key"),
        ..SignIn::default()
    };

    let Ok(Signed::UserAuth(user_auth)) = sign_in.parse() else {
        panic!("not a sign-in");
    };
    assert_eq!(user_auth.server_host_key.as_deref(), Some(&b"host key"[..]));
}

#[test]
fn a_sign_in_that_differs_in_anything_is_refused() {
    let of = SignIn::default;
    let refused = [
        (
            "no session",
            SignIn {
                session_id: vec![],
                ..of()
            },
        ),
        (
            "overlong session",
            SignIn {
                session_id: vec![7; 129],
                ..of()
            },
        ),
        (
            "another message",
            SignIn {
                message: 51,
                ..of()
            },
        ),
        (
            "another service",
            SignIn {
                service: "ssh-userauth",
                ..of()
            },
        ),
        (
            "another method",
            SignIn {
                method: "hostbased",
                ..of()
            },
        ),
        (
            "a probe",
            SignIn {
                with_signature: false,
                ..of()
            },
        ),
        (
            "hostbound without host",
            SignIn {
                method: HOSTBOUND,
                ..of()
            },
        ),
        (
            "plain with host",
            SignIn {
                host_key: Some("host key"),
                ..of()
            },
        ),
        (
            "RSA with Ed25519",
            SignIn {
                key: key("ssh-rsa"),
                ..of()
            },
        ),
        (
            "an empty key",
            SignIn {
                key: vec![],
                ..of()
            },
        ),
    ];
    for (what, sign_in) in refused {
        assert!(sign_in.parse().is_err(), "{what}");
    }
}

#[test]
fn the_signature_algorithms_of_rsa_all_go_with_the_one_key_type() {
    for (algorithm, key_type) in [
        ("rsa-sha2-256", "ssh-rsa"),
        ("rsa-sha2-512", "ssh-rsa"),
        ("ssh-rsa", "ssh-rsa"),
        (
            "rsa-sha2-512-cert-v01@openssh.com",
            "ssh-rsa-cert-v01@openssh.com",
        ),
        ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"),
    ] {
        let sign_in = SignIn {
            algorithm,
            key: key(key_type),
            ..SignIn::default()
        };
        assert!(sign_in.parse().is_ok(), "{algorithm}");
        let other = SignIn {
            key: key("ssh-ed25519"),
            ..sign_in
        };
        assert!(other.parse().is_err(), "{algorithm} with another key");
    }
}

#[test]
fn a_file_signature_tells_its_namespace_and_hash() {
    for (hash_algorithm, length) in [("sha256", 32), ("sha512", 64)] {
        assert_eq!(
            parse(&sshsig("git", "", hash_algorithm, &vec![1; length])),
            Ok(Signed::SshSig(SshSig {
                namespace: "git".into(),
                hash_algorithm: hash_algorithm.into(),
            }))
        );
    }
}

#[test]
fn a_file_signature_that_is_not_fully_understood_is_refused() {
    let refused = [
        ("no namespace", sshsig("", "", "sha512", &[1; 64])),
        ("reserved field", sshsig("git", "x", "sha512", &[1; 64])),
        ("another hash", sshsig("git", "", "sha1", &[1; 20])),
        ("short hash", sshsig("git", "", "sha512", &[1; 32])),
        ("long hash", sshsig("git", "", "sha256", &[1; 64])),
        ("armoured signature", b"SSHSIG\0\0\0\x01".to_vec()),
        ("magic alone", b"SSHSIG".to_vec()),
        ("nothing", vec![]),
        (
            "a commit",
            b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n".to_vec(),
        ),
    ];
    for (what, data) in refused {
        assert!(parse(&data).is_err(), "{what}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(data in vec(any::<u8>(), 0..300)) {
        let _ = parse(&data);
        let _ = parse(&[b"SSHSIG", data.as_slice()].concat());
    }

    #[test]
    fn bytes_after_the_end_and_bytes_missing_are_refused(hostbound in any::<bool>(), cut in any::<prop::sample::Index>()) {
        let sign_in = if hostbound {
            SignIn { method: HOSTBOUND, host_key: Some("host key"), ..SignIn::default() }
        } else {
            SignIn::default()
        };
        for whole in [sign_in.encode(), sshsig("git", "", "sha512", &[1; 64])] {
            prop_assert!(parse(&whole).is_ok());
            prop_assert!(parse(&whole[..cut.index(whole.len())]).is_err());
            prop_assert_eq!(parse(&[whole, vec![0]].concat()), Err(WireError::Trailing));
        }
    }
}
