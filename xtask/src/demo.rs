//! `cargo xtask demo`: the main job, end to end, against a stand-in of every kind of provider.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use tokio::runtime::Runtime;

use crate::browser::Browser;
use crate::workspace::Workspace;
use crate::world::{self, Build, World};

mod provider;
mod steps;
mod table;

pub use provider::{PROVIDERS, Provider, Row, Way};
pub use steps::{link, link_as};
pub use table::{Cell, STEPS, Table};

/// The developer of the demo.
pub const DEVELOPER: &str = "ann";

/// Everything that the demo started; it ends when this is dropped.
pub struct Demo {
    /// The developer's workspace, first so that its agent ends while the server still runs.
    pub workspace: Workspace,
    /// The stand-ins, registered at the server.
    pub providers: Vec<Provider>,
    /// The developer's browser.
    pub browser: Browser,
    /// The server.
    pub world: World,
    /// What the stand-ins run on.
    pub runtime: Runtime,
}

/// What happens when the table is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// Everything is taken down.
    Leave,
    /// Everything goes on running until the person has seen enough.
    Stay,
}

/// Runs the demo.
///
/// # Errors
/// When it cannot be set up, or a cell of the table is ✗.
pub fn run(afterwards: Afterwards) -> Result<()> {
    let mut demo = Demo::start(Build::Debug, PROVIDERS)?;
    let table = demo.main_job();
    println!("\n{table}");
    if afterwards == Afterwards::Stay {
        demo.stay()?;
    }
    if table.has_failed() {
        bail!("the demo failed, see ✗ above");
    }
    println!("everything works");
    Ok(())
}

impl Demo {
    /// Builds the programs, starts server and stand-ins, and signs developer and workspace in.
    ///
    /// # Errors
    /// When something does not start.
    pub fn start(build: Build, rows: &[Row]) -> Result<Self> {
        let programs = timed("build forgepass-server and forgepass", || {
            world::build(build)
        })?;
        let runtime = Runtime::new()?;
        let world = timed("start the server on the embedded database", || {
            World::start(&programs)
        })?;
        let providers = rows
            .iter()
            .map(|row| {
                timed(&format!("register {}", row.title), || {
                    Provider::register(row, &world, &runtime)
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let ca = providers.first().context("no providers")?.forge.ca_pem();
        let mut browser = Browser::new(&ca)?;
        timed("add the developer ann, who sets a password", || {
            world.add_developer(DEVELOPER, &mut browser)
        })?;
        let workspace = Workspace::new(&world, "w")?;
        timed("forgepass login, approved in ann's browser", || {
            workspace.sign_in(&world, &mut browser, &[])
        })?;
        timed("forgepass setup --sign", || {
            workspace.run("forgepass", &["setup", "--sign"])
        })?;
        Ok(Self {
            workspace,
            providers,
            browser,
            world,
            runtime,
        })
    }

    /// Does the main job at every provider, each step shown as it happens.
    pub fn main_job(&mut self) -> Table {
        let mut table = Table::default();
        for at in 0..self.providers.len() {
            println!("\n{}", self.providers[at].row.title);
            let cells = steps::all(self, at);
            table.add(self.providers[at].row.title, cells);
        }
        table
    }

    fn stay(&self) -> Result<()> {
        println!("The console: {}", self.world.url);
        let token = self.world.server_command(&["user", "invite", "root"])?;
        println!("Sign in as site manager: {}", token.trim());
        let token = self.world.server_command(&["user", "invite", DEVELOPER])?;
        println!("Sign in as developer:    {}", token.trim());
        println!(
            "The workspace's HOME:    {}",
            self.workspace.home().display()
        );
        println!("Press Enter to end it.");
        std::io::stdin().read_line(&mut String::new())?;
        Ok(())
    }
}

/// Shows a step and how long it took.
pub(crate) fn timed<T>(what: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
    let begun = Instant::now();
    let outcome = step();
    let mark = if outcome.is_ok() { "✓" } else { "✗" };
    println!("  {mark} {what} ({:.2} s)", begun.elapsed().as_secs_f64());
    outcome.with_context(|| what.to_owned())
}
