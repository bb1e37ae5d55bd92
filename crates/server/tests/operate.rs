//! The operator's guide is true: its example configuration parses and its tables name everything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use server::config::{Config, Environment, KEYS};

const GUIDE: &str = include_str!("../../../docs/operate.md");

/// The example, with its files in a folder where they exist.
fn example(folder: &Path) -> String {
    let start = GUIDE.find("```toml\n").unwrap() + "```toml\n".len();
    let text = &GUIDE[start..][..GUIDE[start..].find("```").unwrap()];
    let files = [
        (
            "database-url",
            "postgres://forgepass@db.example.com/forgepass",
        ),
        ("gitlab-secret", "secret"),
        ("example-ca.pem", "-----BEGIN CERTIFICATE-----"),
    ];
    for (name, content) in files {
        std::fs::write(folder.join(name), content).unwrap();
    }
    text.replace("/etc/forgepass/", &format!("{}/", folder.display()))
}

#[test]
fn the_example_configuration_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::parse(&example(folder.path()), &Environment::new()).unwrap();
    assert_eq!(config.name, "Example Forgepass");
    assert_eq!(config.providers.len(), 1);
    assert!(!config.database.is_embedded());
}

#[test]
fn every_setting_stands_in_the_example_and_in_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let example = example(folder.path());
    for (section, key) in KEYS {
        let variable = format!("`FORGEPASS__{section}__{key}`").to_ascii_uppercase();
        assert!(
            GUIDE.contains(&format!("| {variable} | `{section}.{key}` |")),
            "{variable}"
        );
        assert!(example.contains(key), "{key}");
    }
}
