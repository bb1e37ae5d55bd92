//! The key of an application link signs as two other implementations of OAuth 1.0a do.
//!
//! The fixtures were made with a throwaway key by Python's `cryptography` and by `oauthlib`, which
//! agreed: `.vectors` has a base string and its signature, line by line. The key is kept without its
//! armour, so that no scanner takes it for a live one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use secrets::{ConsumerKey, KeyError};
use tempfile::TempDir;

const KEY: &str = include_str!("fixtures/consumer_key.base64");
const PUBLIC_PEM: &str = include_str!("fixtures/consumer_key.pub.pem");
const VECTORS: &str = include_str!("fixtures/consumer_key.vectors");

fn armour(label: &str, base64: &str) -> SecretString {
    let base64 = base64.trim();
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n").into()
}

fn fixed_key() -> ConsumerKey {
    ConsumerKey::from_pem(&armour("PRIVATE KEY", KEY)).unwrap()
}

/// Runs OpenSSL in a folder; it must succeed.
fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
}

/// A private key that OpenSSL makes.
fn by_openssl(arguments: &[&str]) -> SecretString {
    let folder = TempDir::new().unwrap();
    openssl(folder.path(), &[arguments, &["-out", "key"]].concat());
    std::fs::read_to_string(folder.path().join("key"))
        .unwrap()
        .into()
}

#[test]
fn the_four_base_strings_get_the_signatures_that_others_gave_them() {
    let key = fixed_key();
    let lines: Vec<_> = VECTORS.lines().collect();

    assert_eq!(lines.len(), 8);
    for pair in lines.chunks(2) {
        let signature = key.sign_sha1(pair[0].as_bytes()).unwrap();
        assert_eq!(STANDARD.encode(signature), pair[1], "{}", pair[0]);
    }
}

#[test]
fn the_public_half_is_the_one_that_an_administrator_pastes() {
    assert_eq!(fixed_key().public_pem(), PUBLIC_PEM);
}

#[test]
fn openssl_verifies_with_the_public_half_of_a_new_key() {
    let key = ConsumerKey::generate().unwrap();
    let folder = TempDir::new().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("public", key.public_pem().as_bytes());
    write("message", b"POST&https");

    for key in [&key, &ConsumerKey::from_pem(&key.to_pem()).unwrap()] {
        let signature = key.sign_sha1(b"POST&https").unwrap();

        assert_eq!(signature.len(), 384);
        write("signature", &signature);
        let verify = [
            "dgst",
            "-sha1",
            "-verify",
            "public",
            "-signature",
            "signature",
            "message",
        ];
        openssl(folder.path(), &verify);
    }
}

#[test]
fn a_key_made_by_openssl_is_read_and_kept_as_it_is() {
    let pem = by_openssl(&[
        "genpkey",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
    ]);

    let key = ConsumerKey::from_pem(&pem).unwrap();

    assert_eq!(key.to_pem().expose_secret(), pem.expose_secret());
    assert_eq!(key.sign_sha1(b"").unwrap().len(), 256);
}

#[test]
fn keys_that_are_too_small_or_of_another_kind_are_refused() {
    let small = by_openssl(&[
        "genpkey",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:1024",
    ]);
    let curve = by_openssl(&[
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
    ]);
    let cut = armour("PRIVATE KEY", &KEY[..400]);
    let public = SecretString::from(PUBLIC_PEM);

    for pem in [small, curve, cut, public, "".into()] {
        let refused = ConsumerKey::from_pem(&pem).unwrap_err();
        assert_eq!(refused, KeyError::Malformed);
    }
}

#[test]
fn a_key_whose_numbers_disagree_is_refused() {
    let mut der = STANDARD.decode(KEY.trim().replace('\n', "")).unwrap();
    // Within the private exponent, which follows the modulus and the public exponent.
    der[400] ^= 1;

    let pem = armour("PRIVATE KEY", &STANDARD.encode(der));

    assert_eq!(
        ConsumerKey::from_pem(&pem).unwrap_err(),
        KeyError::Malformed
    );
}

#[test]
fn one_key_signs_on_several_threads_at_once() {
    let key = fixed_key();
    let expected = key.sign_sha1(b"message").unwrap();

    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(key.sign_sha1(b"message").unwrap(), expected);
                }
            });
        }
    });
}

#[test]
fn debug_shows_nothing() {
    assert_eq!(format!("{:?}", fixed_key()), "ConsumerKey(..)");
}
