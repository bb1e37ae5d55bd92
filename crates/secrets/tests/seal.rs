//! A sealed secret opens at its own place with its own key, and nowhere else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;

use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretString};
use secrets::{Keyring, KeyringError, OpenError, Place, Sealed};

const ORIGINS: &[String] = &[];

fn place<'a>(row: &'a str, origins: &'a [String]) -> Place<'a> {
    Place {
        table: "grants",
        column: "refresh",
        row,
        owner: "usr_ann",
        origins,
    }
}

fn origins(hosts: &[&str]) -> Vec<String> {
    hosts.iter().map(|host| format!("https://{host}")).collect()
}

proptest! {
    #[test]
    fn what_was_sealed_opens_again(plain in any::<String>(), row in any::<String>(), hosts in prop::collection::vec(any::<String>(), 0..4)) {
        let ring = Keyring::generate();
        let place = place(&row, &hosts);

        let sealed = Sealed::from_text(ring.seal(&place, &plain.as_str().into()).as_str().into());

        let opened = ring.open(&place, &sealed).unwrap();
        prop_assert_eq!(opened.expose_secret(), plain);
        prop_assert!(ring.is_current(&sealed));
    }

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>(), tail in "[A-Za-z0-9_-]{0,90}\\.[A-Za-z0-9_-]{0,90}") {
        let ring = Keyring::generate();
        let id = key_ids(&ring)[0].clone();
        let place = place("gra_1", ORIGINS);
        for text in [text, format!("v1.{id}.{tail}"), tail] {
            prop_assert!(ring.open(&place, &Sealed::from_text(text)).is_err());
        }
    }
}

fn key_ids(ring: &Keyring) -> Vec<String> {
    let text = ring.to_text();
    let lines = text.expose_secret().lines();
    lines
        .map(|line| line.split_once(' ').unwrap().0.to_owned())
        .collect()
}

#[test]
fn every_flipped_bit_is_refused() {
    let ring = Keyring::generate().rotated();
    let place = place("gra_1", ORIGINS);
    let sealed = ring.seal(&place, &"secret".into()).as_str().to_owned();
    for at in 0..sealed.len() * 8 {
        let mut bytes = sealed.clone().into_bytes();
        bytes[at / 8] ^= 1 << (at % 8);
        if let Ok(text) = String::from_utf8(bytes) {
            let opened = ring.open(&place, &Sealed::from_text(text.clone()));
            assert!(opened.is_err(), "{text}");
        }
    }
}

#[test]
fn every_truncation_and_extension_is_refused() {
    let ring = Keyring::generate();
    let place = place("gra_1", ORIGINS);
    let sealed = ring.seal(&place, &"secret".into()).as_str().to_owned();
    for length in 0..sealed.len() {
        assert!(
            ring.open(&place, &Sealed::from_text(sealed[..length].into()))
                .is_err()
        );
    }
    for more in ["A", "AA", "AAAA", ".", ".AAAA", "="] {
        assert!(
            ring.open(&place, &Sealed::from_text(format!("{sealed}{more}")))
                .is_err()
        );
    }
}

#[test]
fn a_secret_moved_to_another_place_is_refused() {
    let ring = Keyring::generate();
    let hosts = origins(&["example.com", "api.example.com"]);
    let here = place("gra_1", &hosts);
    let sealed = ring.seal(&here, &"secret".into());
    let (fewer, swapped) = (&hosts[..1], origins(&["api.example.com", "example.com"]));
    let joined = origins(&["example.comhttps://api.example.com"]);
    let elsewhere = [
        Place {
            table: "links",
            ..here
        },
        Place {
            column: "access",
            ..here
        },
        Place {
            row: "gra_2",
            ..here
        },
        Place {
            owner: "usr_ben",
            ..here
        },
        Place {
            origins: &[],
            ..here
        },
        Place {
            origins: fewer,
            ..here
        },
        Place {
            origins: &swapped,
            ..here
        },
        Place {
            origins: &joined,
            ..here
        },
        // The same bytes in a row, cut at other points.
        Place {
            table: "grant",
            column: "srefresh",
            ..here
        },
        Place {
            row: "gra_1usr_ann",
            owner: "",
            ..here
        },
    ];
    for place in elsewhere {
        assert_eq!(
            ring.open(&place, &sealed).unwrap_err(),
            OpenError::Refused,
            "{place:?}"
        );
    }
    assert!(ring.open(&here, &sealed).is_ok());
}

#[test]
fn one_secret_sealed_twice_looks_different_each_time() {
    let ring = Keyring::generate();
    let place = place("gra_1", ORIGINS);
    let sealed: HashSet<_> = (0..50)
        .map(|_| ring.seal(&place, &"secret".into()).as_str().to_owned())
        .collect();

    assert_eq!(sealed.len(), 50);
}

#[test]
fn a_rotated_ring_opens_what_the_old_key_sealed_and_asks_to_seal_it_again() {
    let old = Keyring::generate();
    let place = place("gra_1", ORIGINS);
    let sealed = old.seal(&place, &"secret".into());

    let ring = old.rotated().rotated();

    assert!(!ring.is_current(&sealed));
    let plain = ring.open(&place, &sealed).unwrap();
    let resealed = ring.seal(&place, &plain);
    assert!(ring.is_current(&resealed));
    assert_eq!(
        ring.open(&place, &resealed).unwrap().expose_secret(),
        "secret"
    );
    assert_eq!(
        old.open(&place, &resealed).unwrap_err(),
        OpenError::UnknownKey(key_ids(&ring)[0].clone())
    );
}

#[test]
fn a_key_of_the_same_id_but_other_bytes_opens_nothing() {
    let ring = |bytes: &str| Keyring::from_text(&format!("k1 {bytes}").into()).unwrap();
    let place = place("gra_1", ORIGINS);
    let sealed = ring("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").seal(&place, &"x".into());

    let other = ring("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");

    assert_eq!(other.open(&place, &sealed).unwrap_err(), OpenError::Refused);
}

#[test]
fn a_ring_reads_back_as_it_was_written_the_current_key_first() {
    let ring = Keyring::generate().rotated();
    let text = ring.to_text();

    let again = Keyring::from_text(&text).unwrap();

    assert_eq!(again.to_text().expose_secret(), text.expose_secret());
    assert_eq!(text.expose_secret().lines().count(), 2);
    let sealed = ring.seal(&place("gra_1", ORIGINS), &"secret".into());
    assert!(again.is_current(&sealed));
}

#[test]
fn a_ring_written_by_hand_may_have_comments_and_blank_lines() {
    let text = "# current\n\nkey-2 AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n \
                key_1\tAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= \n";

    let ring = Keyring::from_text(&text.into()).unwrap();

    assert_eq!(key_ids(&ring), ["key-2", "key_1"]);
}

#[test]
fn a_damaged_ring_is_refused_by_line_and_without_showing_it() {
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for (text, expected) in [
        ("".into(), KeyringError::Empty),
        ("# nothing\n".into(), KeyringError::Empty),
        (key.into(), KeyringError::Line(1)),
        (format!("k1 {key}\n\nk2 {key}=\n"), KeyringError::Line(3)),
        (format!("k1 {}", &key[4..]), KeyringError::Line(1)),
        (format!("k.1 {key}"), KeyringError::Line(1)),
        (format!("k1 {key}\nk1 {key}"), KeyringError::Duplicate(2)),
    ] {
        let error = Keyring::from_text(&SecretString::from(text)).unwrap_err();
        assert_eq!(error, expected);
        assert!(!error.to_string().contains("AAAA"));
    }
}

#[test]
fn debug_shows_no_secret() {
    let ring = Keyring::generate();
    let sealed = ring.seal(&place("gra_1", ORIGINS), &"secret".into());
    let text = ring.to_text();
    let (id, bytes) = text.expose_secret().trim_end().split_once(' ').unwrap();

    let shown = format!("{ring:?}");
    assert!(shown.contains(id) && !shown.contains(bytes), "{shown}");
    assert_eq!(format!("{sealed:?}"), "Sealed(..)");
}
