//! The arrows between crates are the ones of ARCHITECTURE.md, and no others.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use xtask::shell;

/// Who may use whom in the product itself: the whole picture, one line a crate.
const ARROWS: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("broker", &["forge", "rules", "secrets", "ssh", "store"]),
    ("cli", &["api", "rules", "ssh"]),
    ("forge", &[]),
    ("rules", &[]),
    ("secrets", &[]),
    ("server", &["api", "broker"]),
    ("ssh", &[]),
    ("store", &["secrets"]),
    ("testforge", &[]),
    ("xtask", &["server", "ssh", "testforge"]),
];

/// What else tests may use, so that they can put real parts together.
const TEST_ARROWS: &[(&str, &[&str])] = &[
    ("broker", &["testforge"]),
    ("cli", &["secrets", "testforge"]),
    ("secrets", &["ssh"]),
    ("server", &["secrets", "store", "testforge"]),
    ("xtask", &["api"]),
];

/// Crates that reach for the network, the database or a cipher, and the crates that alone may have them.
const OWNERS: &[(&str, &[&str])] = &[
    ("sqlx", &["store"]),
    ("reqwest", &["broker"]),
    ("ureq", &["cli", "xtask"]),
    ("axum", &["server", "testforge"]),
    ("askama", &["server"]),
    ("aws-lc-rs", &["secrets", "testforge"]),
    ("aws-lc-sys", &["secrets"]),
    ("ssh-key", &["secrets"]),
    ("russh", &["testforge"]),
];

/// The workspace's packages with what they use: (name, kind of use) by package name.
fn uses() -> BTreeMap<String, Vec<(String, bool)>> {
    let mut metadata = Command::new("cargo");
    metadata.args(["metadata", "--format-version=1", "--no-deps", "--offline"]);
    let text = shell::read(metadata.current_dir(shell::root())).unwrap();
    let metadata: Value = serde_json::from_str(&text).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| {
            let used = package["dependencies"].as_array().unwrap().iter();
            let used = used.map(|one| {
                (
                    one["name"].as_str().unwrap().to_owned(),
                    one["kind"].as_str() == Some("dev"),
                )
            });
            (package["name"].as_str().unwrap().to_owned(), used.collect())
        })
        .collect()
}

fn allowed<'a>(table: &[(&str, &[&'a str])], name: &str) -> BTreeSet<&'a str> {
    let row = table.iter().find(|(from, _)| *from == name);
    row.map(|(_, to)| to.iter().copied().collect())
        .unwrap_or_default()
}

#[test]
fn every_arrow_between_our_crates_is_drawn() {
    let uses = uses();
    let drawn: Vec<&str> = ARROWS.iter().map(|(from, _)| *from).collect();
    assert_eq!(uses.keys().map(String::as_str).collect::<Vec<_>>(), drawn);
    for (from, used) in &uses {
        let product = allowed(ARROWS, from);
        let tests = allowed(TEST_ARROWS, from);
        for (to, for_tests) in used.iter().filter(|(to, _)| uses.contains_key(to)) {
            let fine = product.contains(to.as_str()) || (*for_tests && tests.contains(to.as_str()));
            assert!(fine, "{from} must not use {to}");
        }
    }
}

#[test]
fn network_database_and_cipher_have_one_owner() {
    for (name, owners) in OWNERS {
        for (from, used) in uses() {
            let has = used.iter().any(|(to, for_tests)| to == name && !for_tests);
            assert!(
                !has || owners.contains(&from.as_str()),
                "{from} must not use {name}"
            );
        }
    }
}

#[test]
fn no_provider_is_named_outside_its_room() {
    let named = ["github", "gitlab", "bitbucket", "azure"];
    for room in ["api", "broker", "cli", "secrets", "server", "ssh", "store"] {
        for file in sources(&shell::root().join("crates").join(room).join("src")) {
            let text = std::fs::read_to_string(&file).unwrap();
            // Tests may use a real kind as their example; they stand at the end of a file.
            let product = text.split("#[cfg(test)]").next().unwrap_or_default();
            for (number, line) in product.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default().to_lowercase();
                if let Some(name) = named.iter().find(|name| code.contains(**name)) {
                    panic!(
                        "{}:{}: names {name}, see rule 2",
                        file.display(),
                        number + 1
                    );
                }
            }
        }
    }
}

fn sources(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs")
            && !path.ends_with("tests.rs")
        {
            found.push(path);
        }
    }
    found
}
