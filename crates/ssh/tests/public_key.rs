//! Key lines are read as OpenSSH writes them, and written so that OpenSSH reads them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use ssh::public_key::{PublicKey, PublicKeyError, known_hosts_line};
use ssh::wire::Writer;

// Host keys that github.com publishes.
const ED25519: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=";

#[test]
fn a_pub_line_keeps_its_type_and_comment() {
    let key = PublicKey::parse(&format!("  {ED25519}   ann@example.com work \n")).unwrap();

    assert_eq!(key.algorithm, "ssh-ed25519");
    assert_eq!(key.comment, "ann@example.com work");
    assert_eq!(key.blob.len(), 51);
    assert_eq!(key.to_line(), format!("{ED25519} ann@example.com work"));
}

#[test]
fn a_known_hosts_line_loses_its_host() {
    let plain = PublicKey::parse(ECDSA).unwrap();
    for host in [
        "example.com",
        "[example.com]:7999,192.0.2.1",
        "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg=",
        "ssh-ed25519",
    ] {
        let key: PublicKey = format!("{host} {ECDSA}").parse().unwrap();
        assert_eq!(key, plain, "{host}");
    }
}

#[test]
fn lines_that_are_no_plain_key_are_refused() {
    let key = ED25519.split_once(' ').unwrap().1;
    for (line, expected) in [
        (String::new(), PublicKeyError::Shape),
        ("ssh-ed25519".into(), PublicKeyError::Shape),
        (format!("ssh-rsa {key}"), PublicKeyError::Shape),
        (format!("{ED25519}\n{ED25519}"), PublicKeyError::Shape),
        (format!("{ED25519} ann\nben"), PublicKeyError::Shape),
        (format!("@revoked * {ED25519}"), PublicKeyError::Marker),
        (
            format!("@cert-authority * {ED25519}"),
            PublicKeyError::Marker,
        ),
        ("# example.com:22 SSH-2.0-x".into(), PublicKeyError::Shape),
    ] {
        assert_eq!(PublicKey::parse(&line), Err(expected), "{line}");
    }
}

#[test]
fn a_blob_without_the_fields_of_its_type_is_refused() {
    let point = |length: usize| [vec![4], vec![1; length - 1]].concat();
    let ecdsa = |curve: &str, point: &[u8]| {
        let writer = Writer::new().string("ecdsa-sha2-nistp256");
        writer.string(curve).string(point).into_vec()
    };
    assert!(PublicKey::from_blob(&ecdsa("nistp256", &point(65))).is_ok());
    let refused = [
        (
            "short Ed25519",
            Writer::new()
                .string("ssh-ed25519")
                .string([1; 31])
                .into_vec(),
        ),
        ("other curve", ecdsa("nistp384", &point(97))),
        ("short point", ecdsa("nistp256", &point(64))),
        ("compressed point", ecdsa("nistp256", &[2; 65])),
        (
            "RSA without modulus",
            Writer::new()
                .string("ssh-rsa")
                .string([3])
                .string([])
                .into_vec(),
        ),
        (
            "type alone",
            Writer::new()
                .string("sk-ssh-ed25519@openssh.com")
                .into_vec(),
        ),
        (
            "trailing",
            [PublicKey::parse(ED25519).unwrap().blob, vec![0]].concat(),
        ),
    ];
    for (what, blob) in refused {
        assert!(PublicKey::from_blob(&blob).is_err(), "{what}");
    }
}

#[test]
fn a_key_type_that_would_break_its_line_is_refused() {
    for name in ["", "a b", "a\nb", "a,b", "@revoked", "ü", &"a".repeat(65)] {
        let blob = Writer::new().string(name).string("body").into_vec();
        assert!(PublicKey::from_blob(&blob).is_err(), "{name}");
    }
    let blob = Writer::new().string("sk-ssh-ed25519@openssh.com");
    assert!(PublicKey::from_blob(&blob.string("body").into_vec()).is_ok());
}

#[test]
fn a_known_hosts_line_pins_the_alias() {
    let mut key = PublicKey::parse(ED25519).unwrap();
    key.comment = "left out".into();

    assert_eq!(
        known_hosts_line("fp-prv_01", &key),
        format!("fp-prv_01 {ED25519}")
    );
}

#[test]
fn an_alias_cannot_widen_to_other_hosts_or_begin_a_second_line() {
    let key = PublicKey::parse(ED25519).unwrap();

    let line = known_hosts_line("fp-*,!x ?\n@cert-authority *", &key);

    assert_eq!(line, format!("fp-xcert-authority {ED25519}"));
}

#[test]
fn a_comment_cannot_begin_a_second_line() {
    let mut key = PublicKey::parse(ED25519).unwrap();
    key.comment = "ann\nssh-rsa AAAA".into();

    assert_eq!(key.to_line().lines().count(), 1);
}

proptest! {
    #[test]
    fn arbitrary_lines_and_blobs_never_panic(line in any::<String>(), blob in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = PublicKey::parse(&line);
        let _ = PublicKey::from_blob(&blob);
    }

    #[test]
    fn what_is_written_reads_back(comment in "[ -~]{0,40}", body in prop::array::uniform32(any::<u8>())) {
        let blob = Writer::new().string("ssh-ed25519").string(body).into_vec();
        let key = PublicKey { comment: comment.trim().into(), ..PublicKey::from_blob(&blob).unwrap() };
        prop_assert_eq!(PublicKey::parse(&key.to_line()), Ok(key));
    }
}
