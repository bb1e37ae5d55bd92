//! The command line for every Linux image: one small file that needs nothing beside it.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use xtask::{dist, shell};

/// Built once for all tests of this file's process; later builds find nothing to do.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| dist::run().unwrap())
}

fn readelf(option: &str) -> String {
    shell::read(
        Command::new("readelf")
            .args(["--wide", option])
            .arg(binary()),
    )
    .unwrap()
}

#[test]
fn the_binary_is_small_and_needs_no_library_of_the_machine() {
    let size = std::fs::metadata(binary()).unwrap().len();
    assert!(size <= dist::MAX_SIZE, "{size} bytes");
    let headers = readelf("--program-headers");
    assert!(headers.contains("LOAD"), "{headers}");
    assert!(!headers.contains("INTERP"), "{headers}");
    let dynamic = readelf("--dynamic");
    assert!(!dynamic.contains("(NEEDED)"), "{dynamic}");
    let symbols = readelf("--dyn-syms");
    assert!(!symbols.contains("GLIBC_"), "{symbols}");
}

/// In a root folder that holds the binary and a home alone: no loader, no library, no `/etc`.
#[test]
fn the_binary_runs_where_there_is_nothing_else() {
    if !rustix::process::getuid().is_root() {
        let version = shell::read(Command::new(binary()).arg("--version")).unwrap();
        assert!(version.starts_with("forgepass "), "{version}");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    std::fs::copy(binary(), root.path().join("forgepass")).unwrap();
    for folder in ["home", "tmp"] {
        std::fs::create_dir(root.path().join(folder)).unwrap();
    }
    let chroot = shell::find("chroot").unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&chroot);
        command
            .arg(root.path())
            .arg("/forgepass")
            .args(arguments)
            .env_clear()
            .env("HOME", "/home")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    let version = run(&["--version"]);
    assert!(version.status.success(), "{version:?}");
    assert!(version.stdout.starts_with(b"forgepass "), "{version:?}");
    let capabilities = run(&["credential", "capability"]);
    assert_eq!(
        String::from_utf8_lossy(&capabilities.stdout),
        "version 0\ncapability state\n"
    );
    // A server that nobody answers for: the name is looked up, and the end is an error, not a crash.
    let away = run(&["login", "https://forgepass.example.com"]);
    let said = String::from_utf8_lossy(&away.stderr);
    assert!(away.status.code() == Some(1), "{away:?}");
    assert!(said.contains("hint:"), "{said}");
}
