//! The main job at every kind of provider, and the proof that it leaves no secret anywhere.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use common::processes::{Seen, Watch};
use common::scan::Scanner;
use xtask::demo::{Demo, PROVIDERS};
use xtask::world::Build;

#[test]
fn the_main_job_works_at_every_provider_and_leaks_nothing() {
    main_job_with(&common::gits()[0]);
}

#[test]
fn the_same_with_the_other_git_of_this_machine() {
    match common::gits().get(1) {
        Some(git) => main_job_with(git),
        None => println!("there is one Git on this machine"),
    }
}

fn main_job_with(git: &Path) {
    let watch = Watch::begin();
    let mut demo = Demo::start(Build::Debug, PROVIDERS).unwrap();
    demo.workspace.git = Some(git.to_owned());
    println!("{}", demo.workspace.run("git", &["--version"]).unwrap());
    let table = demo.main_job();
    let seen = watch.end(&demo.workspace.folder);
    assert!(!table.has_failed(), "{table}");
    // Whoever looks at nothing finds nothing.
    for program in [
        "git-remote-https",
        "credential get",
        "IdentityAgent=",
        "ssh-keygen",
    ] {
        let was_there = seen.iter().any(|one| one.line().contains(program));
        assert!(was_there, "no process with {program} was seen");
    }
    no_secret_of_a_provider_anywhere(&demo, &seen);
    the_workspace_token_in_its_one_file(&demo, &seen);
}

/// Client secrets, codes, tokens and private keys stand in no file, no process, no log and, unsealed, in no database.
fn no_secret_of_a_provider_anywhere(demo: &Demo, seen: &[Seen]) {
    let mut scanner = Scanner::private_keys();
    let mut count = 0;
    for provider in &demo.providers {
        for secret in provider.forge.issued_secrets() {
            count += 1;
            scanner.add(
                &format!("secret {count} of {}", provider.row.title),
                secret.as_bytes(),
            );
        }
    }
    assert!(count > 25, "the stand-ins tell their {count} secrets");
    assert_eq!(scanner.find_below(&demo.workspace.folder), [""; 0]);
    assert_eq!(scanner.find_below(&demo.world.data_folder()), [""; 0]);
    assert!(
        scanner
            .find(demo.world.log().unwrap().as_bytes())
            .is_empty()
    );
    assert_eq!(in_processes(&scanner, seen), [""; 0]);
    // These are the files in which the server keeps what it knows.
    let mut known = Scanner::default();
    known.add(
        "a stand-in's address",
        demo.providers[0].forge.url().as_bytes(),
    );
    assert!(!known.find_below(&demo.world.data_folder()).is_empty());
}

fn the_workspace_token_in_its_one_file(demo: &Demo, seen: &[Seen]) {
    let mut scanner = Scanner::default();
    scanner.add(
        "the workspace token",
        demo.workspace.token().unwrap().as_bytes(),
    );
    let file = demo.workspace.home().join(".config/forgepass/token");
    let found = scanner.find_below(&demo.workspace.folder);
    assert_eq!(found, [format!("{}: the workspace token", file.display())]);
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(scanner.find_below(&demo.world.data_folder()), [""; 0]);
    assert!(
        scanner
            .find(demo.world.log().unwrap().as_bytes())
            .is_empty()
    );
    assert_eq!(in_processes(&scanner, seen), [""; 0]);
}

/// What stands in arguments and variables: the program and what it is.
fn in_processes(scanner: &Scanner, seen: &[Seen]) -> Vec<String> {
    let bytes = seen
        .iter()
        .flat_map(|one| [(one, &one.arguments), (one, &one.variables)]);
    bytes
        .flat_map(|(one, bytes)| {
            let program = one.line().split(' ').next().unwrap_or_default().to_owned();
            let labels = scanner.find(bytes).into_iter();
            labels
                .map(move |label| format!("{program}: {label}"))
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn the_search_finds_a_secret_in_every_form_and_place() {
    let secret = "gho_0123456789abcdefghijklmnopqrstuvwxyz+/";
    let mut scanner = Scanner::private_keys();
    scanner.add("planted", secret.as_bytes());
    let folder = tempfile::tempdir().unwrap();
    let plant = |name: &str, text: &[u8]| {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    plant("plain", format!("x{secret}").as_bytes());
    plant(
        "deep/er/percent",
        secret.replace('+', "%2B").replace('/', "%2F").as_bytes(),
    );
    plant(
        "hex",
        secret
            .bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
            .as_bytes(),
    );
    for user in ["", "a", "an"] {
        let pair = format!("{user}:{secret}");
        plant(
            &format!("basic-{}", user.len()),
            base64(folder.path(), pair.as_bytes()).as_bytes(),
        );
    }
    std::os::unix::fs::symlink(format!("/tmp/{secret}"), folder.path().join("link")).unwrap();
    assert_eq!(scanner.find_below(folder.path()).len(), 7);

    let keys = tempfile::tempdir().unwrap();
    let key = keys.path().join("key");
    let mut keygen = Command::new("ssh-keygen");
    keygen
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key);
    assert!(keygen.status().unwrap().success());
    let found = scanner.find_below(keys.path());
    assert!(
        found
            .iter()
            .all(|one| one.starts_with(&format!("{}: ", key.display()))),
        "{found:?}"
    );
    assert!(
        found.iter().any(|one| one.contains("the armour")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|one| one.contains("an OpenSSH private key, in base64")),
        "{found:?}"
    );
}

#[test]
fn the_search_finds_a_secret_of_a_process() {
    let secret = "glpat-0123456789abcdefghij";
    let mut scanner = Scanner::default();
    scanner.add("planted", secret.as_bytes());
    let folder = tempfile::tempdir().unwrap();
    let watch = Watch::begin();
    for place in ["argument", "variable"] {
        let mut sleep = Command::new("sh");
        sleep
            .args(["-c", "sleep 0.5; :", place])
            .env("HOME", folder.path());
        match place {
            "argument" => sleep.arg(secret),
            _ => sleep.env("TOKEN", secret),
        };
        assert!(sleep.status().unwrap().success());
    }
    let seen = watch.end(folder.path());
    let holds = |one: &&Seen| !scanner.find(&one.arguments).is_empty();
    assert!(seen.iter().any(|one| holds(&one)));
    assert!(
        seen.iter()
            .any(|one| !scanner.find(&one.variables).is_empty())
    );
    assert!(
        in_processes(&scanner, &seen)
            .iter()
            .all(|found| found.ends_with(": planted"))
    );
}

/// What the system's own `base64` makes of `bytes`.
fn base64(folder: &Path, bytes: &[u8]) -> String {
    let file = folder.with_extension("input");
    std::fs::write(&file, bytes).unwrap();
    let output = Command::new("base64")
        .arg("--wrap=0")
        .arg(&file)
        .output()
        .unwrap();
    std::fs::remove_file(&file).unwrap();
    common::stdout(&output)
}
