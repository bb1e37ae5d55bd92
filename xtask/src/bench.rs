//! `cargo xtask bench`: the budgets, each as a ratio to a yardstick measured in the same run.

use anyhow::Result;

use crate::demo::{Demo, PROVIDERS, link};
use crate::world::{Build, wait_until};

mod agent;
mod clone;
mod figures;
mod helper;
mod load;
mod pages;
mod server;
mod start;
mod yardstick;

pub use figures::{Figures, Line};

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Subject {
    /// `git credential fill` beside other helpers.
    Helper,
    /// `POST /api/v1/credential` beside a bare handler.
    Server,
    /// List and sign through the agent beside `ssh-agent`.
    Agent,
    /// Memory when idle, and time to the first answer.
    Start,
    /// A clone of 100 MiB beside one with a token typed by hand.
    Clone,
    /// Every page of the console at 10,000 users beside a bare page.
    Pages,
}

const ALL: [Subject; 6] = [
    Subject::Start,
    Subject::Helper,
    Subject::Server,
    Subject::Agent,
    Subject::Clone,
    Subject::Pages,
];

/// Measures `subjects` (all of them where none is named) and prints a table.
///
/// # Errors
/// When something cannot be set up; a missed budget is printed and is no error.
pub fn run(subjects: &[Subject]) -> Result<()> {
    let subjects = if subjects.is_empty() { &ALL } else { subjects };
    // One provider with an OAuth 2.0 link is all that is measured against.
    let mut demo = Demo::start(Build::Release, &PROVIDERS[1..2])?;
    link(&demo.providers[0], &mut demo.browser, &demo.world)?;
    wait_until(|| Ok(!demo.providers[0].forge.keys().is_empty()))?;
    let mut lines = Vec::new();
    for subject in subjects {
        lines.extend(match subject {
            Subject::Helper => helper::measure(&demo)?,
            Subject::Server => server::measure(&demo)?,
            Subject::Agent => agent::measure(&demo)?,
            Subject::Start => start::measure(&mut demo)?,
            Subject::Clone => clone::measure(&demo)?,
            Subject::Pages => pages::measure(&demo)?,
        });
    }
    println!(
        "\n{:<58} {:>10} {:>10} {:>8}  budget",
        "what", "ours", "yardstick", "ratio"
    );
    for line in lines {
        println!("{line}");
    }
    Ok(())
}
