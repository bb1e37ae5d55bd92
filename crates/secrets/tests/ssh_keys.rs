//! Keys made here are keys to OpenSSH, and signatures are good on both sides.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretString};
use secrets::{Algorithm, KeyError, KeyPair, fingerprint, verify_ssh};
use ssh::public_key::PublicKey;
use ssh::wire::{Reader, Writer};
use tempfile::TempDir;

/// One key of each algorithm; RSA takes too long to make it anew for each test.
static KEYS: LazyLock<Vec<(Algorithm, KeyPair)>> = LazyLock::new(|| {
    Algorithm::ALL
        .map(|algorithm| (algorithm, KeyPair::generate(algorithm).unwrap()))
        .into()
});

fn key(algorithm: Algorithm) -> &'static KeyPair {
    let (_, key) = KEYS.iter().find(|(other, _)| *other == algorithm).unwrap();
    key
}

/// Runs a program that must succeed; answers what it wrote.
fn run(folder: &Path, command: &[&str], input: &[u8]) -> String {
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Writes a private key the way ssh-keygen insists on.
fn write_private(folder: &Path, name: &str, text: &SecretString) {
    use std::os::unix::fs::OpenOptionsExt;
    let path = folder.join(name);
    let mut file = std::fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .unwrap();
    file.write_all(text.expose_secret().as_bytes()).unwrap();
}

/// Makes a key by ssh-keygen; answers its private half and its public blob.
fn by_ssh_keygen(folder: &Path, options: &[&str]) -> (SecretString, Vec<u8>) {
    let command = [&["ssh-keygen", "-q", "-N", "", "-f", "key"], options].concat();
    run(folder, &command, b"");
    let private = std::fs::read_to_string(folder.join("key")).unwrap();
    let line = std::fs::read_to_string(folder.join("key.pub")).unwrap();
    (private.into(), PublicKey::parse(&line).unwrap().blob)
}

#[test]
fn ssh_keygen_reads_every_key_and_agrees_on_public_half_and_fingerprint() {
    for (algorithm, key) in KEYS.iter() {
        let folder = TempDir::new().unwrap();
        write_private(folder.path(), "key", &key.to_openssh());

        let line = run(folder.path(), &["ssh-keygen", "-y", "-f", "key"], b"");
        let list = run(folder.path(), &["ssh-keygen", "-l", "-f", "key"], b"");

        assert_eq!(line.trim_end(), key.public_line(""), "{algorithm}");
        assert!(list.contains(&key.fingerprint()), "{algorithm}: {list}");
    }
}

#[test]
fn every_key_reads_back_as_it_was_written() {
    for (algorithm, key) in KEYS.iter() {
        let again = KeyPair::from_openssh(&key.to_openssh()).unwrap();

        assert_eq!(again.public_blob(), key.public_blob(), "{algorithm}");
        let signature = again.sign(b"data", 2).unwrap();
        assert!(
            verify_ssh(&key.public_blob(), b"data", &signature),
            "{algorithm}"
        );
    }
}

#[test]
fn elliptic_keys_read_back_whatever_their_numbers_begin_with() {
    // One scalar in 256 begins with a zero byte, and one signature in 128 has a short number.
    for algorithm in [Algorithm::Ed25519, Algorithm::EcdsaP256] {
        for round in 0..1500u32 {
            let key = KeyPair::generate(algorithm).unwrap();
            let again = KeyPair::from_openssh(&key.to_openssh()).unwrap();
            let data = round.to_be_bytes();
            let signature = again.sign(&data, 0).unwrap();
            assert!(
                verify_ssh(&key.public_blob(), &data, &signature),
                "{algorithm}"
            );
        }
    }
}

#[test]
fn keys_made_by_ssh_keygen_are_read_and_sign() {
    for options in [
        &["-t", "ed25519"][..],
        &["-t", "rsa", "-b", "2048"],
        &["-t", "rsa", "-b", "3072"],
    ] {
        let folder = TempDir::new().unwrap();
        let (private, public) = by_ssh_keygen(folder.path(), options);

        let key = KeyPair::from_openssh(&private).unwrap();

        assert_eq!(key.public_blob(), public, "{options:?}");
        let signature = key.sign(b"data", 4).unwrap();
        assert!(verify_ssh(&public, b"data", &signature), "{options:?}");
    }
}

#[test]
fn keys_that_are_not_in_use_here_are_refused() {
    let folder = TempDir::new().unwrap();
    let (p384, _) = by_ssh_keygen(folder.path(), &["-t", "ecdsa", "-b", "384"]);
    let folder = TempDir::new().unwrap();
    let (locked, _) = by_ssh_keygen(folder.path(), &["-t", "ed25519", "-N", "passphrase"]);
    let good = key(Algorithm::Ed25519).to_openssh();
    let cut: String = good.expose_secret().lines().take(4).collect();

    for text in [
        p384,
        locked,
        cut.into(),
        "".into(),
        "ssh-ed25519 AAAA".into(),
    ] {
        assert_eq!(
            KeyPair::from_openssh(&text).unwrap_err(),
            KeyError::Malformed
        );
    }
}

#[test]
fn ssh_keygen_verifies_signatures_of_every_key() {
    for (algorithm, key) in KEYS.iter() {
        let folder = TempDir::new().unwrap();
        let signers = format!("ann@example.com {}\n", key.public_line(""));
        std::fs::write(folder.path().join("signers"), signers).unwrap();
        for flags in [2, 4] {
            let armoured = sshsig(key, flags, b"a commit");
            std::fs::write(folder.path().join("sig"), armoured).unwrap();
            let verify = [
                "ssh-keygen",
                "-Y",
                "verify",
                "-n",
                "git",
                "-f",
                "signers",
                "-I",
                "ann@example.com",
                "-s",
                "sig",
            ];
            let said = run(folder.path(), &verify, b"a commit");
            assert!(
                said.starts_with("Good \"git\" signature"),
                "{algorithm}: {said}"
            );
        }
    }
}

/// An SSHSIG file of OpenSSH's `PROTOCOL.sshsig` over `message`.
fn sshsig(key: &KeyPair, flags: u32, message: &[u8]) -> String {
    use aws_lc_rs::digest::{SHA512, digest};
    use base64::Engine;
    let body = |writer: Writer| writer.string("git").string("").string("sha512");
    let signed = body(Writer::new().raw(b"SSHSIG"))
        .string(digest(&SHA512, message))
        .into_vec();
    let head = Writer::new()
        .raw(b"SSHSIG")
        .u32(1)
        .string(key.public_blob());
    let file = body(head)
        .string(key.sign(&signed, flags).unwrap())
        .into_vec();
    let base64 = base64::engine::general_purpose::STANDARD.encode(file);
    format!("-----BEGIN SSH SIGNATURE-----\n{base64}\n-----END SSH SIGNATURE-----\n")
}

/// Takes an SSHSIG file apart: public key, the bytes that were signed, signature blob.
fn read_sshsig(file: &str, hash: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    use base64::Engine;
    let base64: String = file
        .lines()
        .filter(|line| !line.starts_with("---"))
        .collect();
    let file = base64::engine::general_purpose::STANDARD
        .decode(base64)
        .unwrap();
    let mut reader = Reader::new(file.strip_prefix(b"SSHSIG").unwrap());
    assert_eq!(reader.u32(), Ok(1));
    let key = reader.string().unwrap().to_vec();
    let writer = Writer::new().raw(b"SSHSIG");
    let writer = writer.string(reader.string().unwrap());
    let writer = writer.string(reader.string().unwrap());
    let signed = writer
        .string(reader.string().unwrap())
        .string(hash)
        .into_vec();
    (key, signed, reader.string().unwrap().to_vec())
}

#[test]
fn signatures_of_ssh_keygen_verify_and_altered_ones_do_not() {
    use aws_lc_rs::digest::{SHA512, digest};
    for options in [
        &["-t", "ed25519"][..],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "384"],
        &["-t", "ecdsa", "-b", "521"],
        &["-t", "rsa", "-b", "2048"],
        &["-t", "rsa", "-b", "4096"],
    ] {
        let folder = TempDir::new().unwrap();
        let (_, public) = by_ssh_keygen(folder.path(), options);
        let sign = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", "key"];
        let file = run(folder.path(), &sign, b"a commit");
        let (key, signed, signature) = read_sshsig(&file, digest(&SHA512, b"a commit").as_ref());

        assert_eq!(key, public);
        assert!(verify_ssh(&public, &signed, &signature), "{options:?}");
        assert_refused_when_altered(&public, &signed, &signature);
    }
}

fn assert_refused_when_altered(public: &[u8], signed: &[u8], signature: &[u8]) {
    let flip = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    for at in 0..public.len() {
        assert!(
            !verify_ssh(&flip(public, at), signed, signature),
            "key byte {at}"
        );
    }
    for at in 0..signature.len() {
        assert!(
            !verify_ssh(public, signed, &flip(signature, at)),
            "signature byte {at}"
        );
    }
    for length in 0..signature.len() {
        assert!(
            !verify_ssh(public, signed, &signature[..length]),
            "cut to {length}"
        );
    }
    assert!(!verify_ssh(public, &flip(signed, 0), signature));
    assert!(!verify_ssh(public, signed, &[signature, &[0]].concat()));
    assert!(!verify_ssh(&[public, &[0]].concat(), signed, signature));
}

#[test]
fn an_ecdsa_signature_has_one_spelling() {
    let key = key(Algorithm::EcdsaP256);
    let (public, r, s) = loop {
        let signature = key.sign(b"data", 0).unwrap();
        let mut fields = Reader::new(&signature);
        fields.string().unwrap();
        let mut numbers = Reader::new(fields.string().unwrap());
        let (r, s) = (numbers.string().unwrap(), numbers.string().unwrap());
        // Numbers of 32 bytes whose ends may stand in front without a sign byte.
        if r.len() == 32 && s.len() == 32 && (1..128).contains(&r[31]) {
            break (key.public_blob(), r.to_vec(), s.to_vec());
        }
    };
    let blob = |name: &str, r: &[u8], s: &[u8], rest: &[u8]| {
        let numbers = Writer::new().string(r).string(s).raw(rest).into_vec();
        Writer::new().string(name).string(numbers).into_vec()
    };
    let name = "ecdsa-sha2-nistp256";
    assert!(verify_ssh(&public, b"data", &blob(name, &r, &s, b"")));

    // The last byte of one number moved to the other: the same 64 bytes, if nobody counts.
    let moved = [&r[31..], &s].concat();
    let refused = [
        ("moved", blob(name, &r, &moved, b"")),
        (
            "zero in front",
            blob(name, &[&[0], r.as_slice()].concat(), &s, b""),
        ),
        ("trailing", blob(name, &r, &s, &[0])),
        ("a third number", blob(name, &r, &s, &[0, 0, 0, 1, 1])),
        ("other curve", blob("ecdsa-sha2-nistp384", &r, &s, b"")),
        ("other type", blob("ssh-ed25519", &r, &s, b"")),
    ];
    for (what, signature) in refused {
        assert!(!verify_ssh(&public, b"data", &signature), "{what}");
    }
}

#[test]
fn another_key_of_the_same_type_verifies_nothing() {
    let other = KeyPair::generate(Algorithm::Ed25519).unwrap();
    let signature = other.sign(b"data", 0).unwrap();

    assert!(verify_ssh(&other.public_blob(), b"data", &signature));
    assert!(!verify_ssh(
        &key(Algorithm::Ed25519).public_blob(),
        b"data",
        &signature
    ));
}

#[test]
fn an_rsa_key_signs_as_the_flags_ask_and_never_with_sha_1() {
    let key = key(Algorithm::Rsa3072);
    let algorithm = |flags| {
        let signature = key.sign(b"data", flags).unwrap();
        assert!(verify_ssh(&key.public_blob(), b"data", &signature));
        Reader::new(&signature).text().unwrap().to_owned()
    };

    assert_eq!(algorithm(2), "rsa-sha2-256");
    assert_eq!(algorithm(4), "rsa-sha2-512");
    assert_eq!(algorithm(6), "rsa-sha2-256");
    assert_eq!(key.sign(b"data", 0), Err(KeyError::Sha1));
}

#[test]
fn flags_that_are_not_known_are_refused() {
    for (algorithm, key) in KEYS.iter() {
        for flags in [1, 8, 0x8000_0002] {
            let refused = key.sign(b"data", flags);
            assert_eq!(refused, Err(KeyError::UnknownFlags), "{algorithm}");
        }
    }
    assert!(key(Algorithm::Ed25519).sign(b"data", 4).is_ok());
}

#[test]
fn a_good_rsa_signature_with_sha_1_is_refused() {
    let folder = TempDir::new().unwrap();
    let (_, public) = by_ssh_keygen(folder.path(), &["-t", "rsa", "-b", "2048", "-m", "PEM"]);
    std::fs::write(folder.path().join("data"), b"data").unwrap();
    let openssl = |hash: &str| {
        let sign = [
            "openssl", "dgst", hash, "-sign", "key", "-out", "sig", "data",
        ];
        run(folder.path(), &sign, b"");
        std::fs::read(folder.path().join("sig")).unwrap()
    };
    let blob = |name: &str, hash| Writer::new().string(name).string(openssl(hash)).into_vec();

    assert!(verify_ssh(
        &public,
        b"data",
        &blob("rsa-sha2-256", "-sha256")
    ));
    assert!(verify_ssh(
        &public,
        b"data",
        &blob("rsa-sha2-512", "-sha512")
    ));
    assert!(!verify_ssh(&public, b"data", &blob("ssh-rsa", "-sha1")));
    assert!(!verify_ssh(
        &public,
        b"data",
        &blob("rsa-sha2-256", "-sha1")
    ));
    assert!(!verify_ssh(
        &public,
        b"data",
        &blob("rsa-sha2-512", "-sha256")
    ));
}

#[test]
fn a_signature_says_its_algorithm_and_nothing_follows_it() {
    for (algorithm, name) in [
        (Algorithm::Ed25519, "ssh-ed25519"),
        (Algorithm::EcdsaP256, "ecdsa-sha2-nistp256"),
    ] {
        let signature = key(algorithm).sign(b"data", 0).unwrap();
        let mut reader = Reader::new(&signature);
        assert_eq!(reader.text(), Ok(name));
        assert!(reader.string().is_ok());
        assert_eq!(reader.finish(), Ok(()));
    }
}

#[test]
fn a_public_line_is_one_line_whatever_the_comment() {
    for (algorithm, key) in KEYS.iter() {
        let line = key.public_line("ann@example.com\nssh-rsa AAAA");
        assert_eq!(line.lines().count(), 1, "{algorithm}");
        let parsed = PublicKey::parse(&line).unwrap();
        assert_eq!(parsed.blob, key.public_blob());
        assert_eq!(parsed.comment, "ann@example.comssh-rsa AAAA");
        assert!(!key.public_line("").ends_with(' '));
    }
}

#[test]
fn rsa_keys_have_the_size_that_their_name_says() {
    for (algorithm, bytes) in [(Algorithm::Rsa3072, 384), (Algorithm::Rsa4096, 512)] {
        let signature = key(algorithm).sign(b"data", 2).unwrap();
        let mut reader = Reader::new(&signature);
        reader.string().unwrap();
        assert_eq!(reader.string().unwrap().len(), bytes, "{algorithm}");
    }
}

#[test]
fn an_algorithm_reads_back_from_its_name() {
    for algorithm in Algorithm::ALL {
        assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
        assert_eq!(algorithm.to_string(), algorithm.as_str());
    }
    assert_eq!(
        "RSA-4096".parse::<Algorithm>(),
        Err(KeyError::UnknownAlgorithm)
    );
}

#[test]
fn debug_shows_the_fingerprint_alone() {
    for (_, key) in KEYS.iter() {
        assert_eq!(
            format!("{key:?}"),
            format!("KeyPair({})", key.fingerprint())
        );
        assert_eq!(key.fingerprint(), fingerprint(&key.public_blob()));
    }
}

#[test]
fn the_recorded_signatures_of_openssh_verify() {
    use ssh::agent::{Request, Response};
    let frame = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../ssh/tests/fixtures");
        std::fs::read(format!("{folder}/{name}.bin")).unwrap()
    };
    for name in ["hostbound-ed25519", "hostbound-rsa", "plain-ed25519"] {
        let Request::Bind(binding) = Request::decode(&frame(&format!("{name}.bind"))).unwrap()
        else {
            panic!("{name} has no binding");
        };
        assert!(
            verify_ssh(&binding.host_key, &binding.session_id, &binding.signature),
            "{name}"
        );
    }
    for name in [
        "hostbound-ed25519",
        "hostbound-rsa",
        "plain-ed25519",
        "sshsig-rsa",
    ] {
        let Request::Sign { key, data, .. } =
            Request::decode(&frame(&format!("{name}.sign"))).unwrap()
        else {
            panic!("{name} has no sign request");
        };
        let Response::Signature(signature) =
            Response::decode(&frame(&format!("{name}.answer"))).unwrap()
        else {
            panic!("{name} has no signature");
        };
        assert!(verify_ssh(&key, &data, &signature), "{name}");
    }
}

proptest! {
    #[test]
    fn arbitrary_keys_and_signatures_never_panic(
        name in prop_oneof![Just("ssh-ed25519"), Just("ssh-rsa"), Just("ecdsa-sha2-nistp256"), Just("rsa-sha2-256")],
        public in prop::collection::vec(any::<u8>(), 0..80),
        signature in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let wrap = |bytes: &[u8]| Writer::new().string(name).string(bytes).into_vec();
        prop_assert!(!verify_ssh(&public, b"data", &signature));
        prop_assert!(!verify_ssh(&wrap(&public), b"data", &wrap(&signature)));
        let good = key(Algorithm::EcdsaP256).public_blob();
        prop_assert!(!verify_ssh(&good, b"data", &wrap(&signature)));
    }
}
