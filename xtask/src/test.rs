//! `cargo xtask test`: every test, with the services they need.

use std::process::Command;

use anyhow::Result;

use crate::postgres::Cluster;
use crate::{install, shell};

/// Installs what is missing, starts a throw-away PostgreSQL and runs all tests that match `filter`.
///
/// # Errors
/// When something cannot be installed or a test fails.
pub fn run(filter: &[String]) -> Result<()> {
    let installed = install::all()?;
    let cluster = Cluster::start(&installed.postgres)?;
    // Tests of the whole run these programs, so they are built first.
    shell::run(cargo().args(["build", "--workspace", "--bins"]))?;
    let mut tests = cargo();
    if shell::find("cargo-nextest").is_some() {
        tests.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
    } else {
        tests.args(["test", "--workspace", "--no-fail-fast"]);
    }
    tests
        .args(filter)
        .env("FORGEPASS_TEST_POSTGRES", &cluster.url)
        .env("FORGEPASS_TEST_PYTHON", &installed.python)
        .env("FORGEPASS_TEST_NODE", &installed.node);
    shell::run(&mut tests)
}

fn cargo() -> Command {
    let mut command = Command::new(shell::variable("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(shell::root());
    command
}
