//! Developer commands: `cargo xtask demo`, `cargo xtask test`, `cargo xtask bench`.

use anyhow::Result;
use clap::{Parser, Subcommand};

use xtask::{install, test};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer commands of Forgepass")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what the tests need and run all of them.
    Test {
        /// Passed on to the test runner, such as a part of a test's name.
        filter: Vec<String>,
    },
    /// Install what the tests need, and nothing else.
    Install,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Test { filter } => test::run(&filter),
        Command::Install => install::all().map(drop),
    }
}
