//! Ids, bearer tokens, codes, PKCE pairs and passwords are what they promise to be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use secrets::{
    PasswordError, hash_bearer, hash_password, new_bearer, pkce, random_code, random_id,
    random_text, sha256_hex, verify_password,
};

#[test]
fn an_id_is_its_prefix_and_26_characters_and_never_comes_twice() {
    let ids: HashSet<_> = (0..1000).map(|_| random_id("lnk_")).collect();

    assert_eq!(ids.len(), 1000);
    for id in &ids {
        let rest = id.strip_prefix("lnk_").unwrap();
        assert_eq!(rest.len(), 26);
        assert!(
            rest.chars()
                .all(|c| c.is_ascii_digit() || c.is_ascii_lowercase())
        );
        assert!(!rest.contains(['i', 'l', 'o', 'u']));
    }
    assert!(random_id("lnk").starts_with("lnk_"));
}

#[test]
fn ids_made_together_share_their_beginning_and_differ_in_all_the_rest() {
    // 48 bits of time are 10 characters less 2 bits; the first 5 change every 9 hours.
    let ids: Vec<_> = (0..200).map(|_| random_id("lnk_")).collect();

    let beginnings: HashSet<_> = ids.iter().map(|id| &id[4..9]).collect();
    assert!(beginnings.len() <= 2, "{beginnings:?}");
    for place in 14..30 {
        let seen: HashSet<_> = ids.iter().map(|id| &id[place..=place]).collect();
        assert!(seen.len() > 16, "character {place} hardly varies: {seen:?}");
    }
}

#[test]
fn a_bearer_token_is_stored_as_its_sha256() {
    let bearer = new_bearer("fpw_");
    let plain = bearer.plain.expose_secret();

    let random = plain.strip_prefix("fpw_").unwrap();
    assert_eq!(URL_SAFE_NO_PAD.decode(random).unwrap().len(), 32);
    assert_eq!(bearer.hash.as_str(), sha256_hex(plain.as_bytes()));
    assert_eq!(bearer.hash, hash_bearer(&plain.into()));
    assert_ne!(bearer.hash, new_bearer("fpw_").hash);
}

#[test]
fn a_sha256_is_the_published_one() {
    // FIPS 180-2, appendix B.1.
    assert_eq!(
        sha256_hex(b"abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn debug_shows_neither_a_token_nor_its_hash() {
    let bearer = new_bearer("fpw_");
    let pkce = pkce();

    let shown = format!("{bearer:?} {pkce:?}");

    assert!(!shown.contains(bearer.plain.expose_secret()));
    assert!(!shown.contains(bearer.hash.as_str()));
    assert!(!shown.contains(pkce.verifier.expose_secret()));
}

#[test]
fn a_random_text_has_the_bytes_asked_for() {
    for bytes in [0, 1, 16, 32, 64] {
        let text = random_text(bytes);
        let decoded = URL_SAFE_NO_PAD.decode(text.expose_secret()).unwrap();
        assert_eq!(decoded.len(), bytes);
    }
    assert_ne!(
        random_text(16).expose_secret(),
        random_text(16).expose_secret()
    );
}

#[test]
fn a_code_is_two_groups_of_letters_that_nobody_confuses() {
    let codes: Vec<_> = (0..500).map(|_| random_code()).collect();

    let mut letters = HashSet::new();
    for code in &codes {
        let (left, right) = code.split_once('-').unwrap();
        assert_eq!((left.len(), right.len()), (4, 4), "{code}");
        letters.extend(left.chars().chain(right.chars()));
    }
    let mut letters: Vec<_> = letters.into_iter().collect();
    letters.sort_unstable();
    assert_eq!(String::from_iter(letters), "BCDFGHJKLMNPQRSTVWXZ");
    assert_eq!(codes.iter().collect::<HashSet<_>>().len(), 500);
}

#[test]
fn a_pkce_challenge_is_the_sha256_of_its_verifier() {
    let pkce = pkce();
    let verifier = pkce.verifier.expose_secret();

    assert_eq!(verifier.len(), 43);
    let challenge = URL_SAFE_NO_PAD.decode(&pkce.challenge).unwrap();
    let hex: String = challenge.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, sha256_hex(verifier.as_bytes()));
}

#[test]
fn a_password_verifies_against_its_own_hash_alone() {
    let password = SecretString::from("correct horse battery staple");

    let phc = hash_password(&password).unwrap();

    assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
    assert!(verify_password(&password, &phc));
    assert!(!verify_password(
        &"correct horse battery stapl".into(),
        &phc
    ));
    assert!(!verify_password(&"".into(), &phc));
    assert_ne!(
        hash_password(&password).unwrap(),
        phc,
        "each has its own salt"
    );
}

#[test]
fn a_hash_with_other_parameters_verifies_still() {
    // Made by another implementation of Argon2 with m=256, t=2, p=1 and the salt `somesalt`.
    let phc =
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

    assert!(verify_password(&"password".into(), phc));
    assert!(!verify_password(&"Password".into(), phc));
}

#[test]
fn what_is_no_argon2id_hash_verifies_nothing() {
    let argon2i =
        "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8";
    for phc in [
        "",
        "password",
        "$argon2id$",
        "$argon2id$v=19$m=256",
        argon2i,
    ] {
        assert!(!verify_password(&"password".into(), phc), "{phc}");
        assert!(!verify_password(&"".into(), phc), "{phc}");
    }
}

#[test]
fn a_password_is_neither_empty_nor_a_book() {
    let refused = |password: &str| hash_password(&password.into()).unwrap_err();

    assert_eq!(refused(""), PasswordError::Empty);
    assert_eq!(refused(&"x".repeat(1025)), PasswordError::TooLong);
    assert!(hash_password(&"x".repeat(1024).into()).is_ok());
    // Nor is a book verified, even against its own hash: Argon2 would have to read it all.
    let book = "x".repeat(1025);
    let hasher = argon2::Argon2::default();
    let phc = argon2::PasswordHasher::hash_password(&hasher, book.as_bytes()).unwrap();
    assert!(!verify_password(&book.into(), &phc.to_string()));
}
