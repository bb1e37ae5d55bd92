//! Developer commands: `cargo xtask demo`, `cargo xtask test`, `cargo xtask bench`, `cargo xtask dist`.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

use xtask::bench::{self, Subject};
use xtask::demo::{self, Afterwards};
use xtask::{dist, install, screenshots, test};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer commands of Forgepass")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Do the main job with real Git and SSH against a stand-in of every kind of provider.
    Demo {
        /// Leave everything running and print the console's address and sign-ins.
        #[arg(long)]
        stay: bool,
    },
    /// Measure the budgets as ratios in one run.
    Bench {
        /// What to measure; everything where nothing is named.
        subjects: Vec<Subject>,
    },
    /// Install what the tests need and run all of them.
    Test {
        /// Passed on to the test runner, such as a part of a test's name.
        filter: Vec<String>,
    },
    /// Build `forgepass` as one static file for every Linux image.
    Dist,
    /// Write a picture of every page and state of the console, in both themes and three widths.
    Screenshots {
        /// The folder for the pictures.
        folder: PathBuf,
    },
    /// Install what the tests need, and nothing else.
    Install,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Demo { stay: true } => demo::run(Afterwards::Stay),
        Command::Demo { stay: false } => demo::run(Afterwards::Leave),
        Command::Bench { subjects } => bench::run(&subjects),
        Command::Test { filter } => test::run(&filter),
        Command::Dist => dist::run().map(|binary| println!("{}", binary.display())),
        Command::Screenshots { folder } => screenshots::run(&folder),
        Command::Install => install::all().map(drop),
    }
}
