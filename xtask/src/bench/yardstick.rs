//! The bare handler that the server is compared with, and how the examples of `store` are built.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::shell;
use crate::world::line_with;

/// The bare handler, ended when dropped.
pub(super) struct Bare {
    process: Child,
    /// Where it listens, `host:port`.
    pub(super) address: String,
}

impl Bare {
    /// Builds and starts it.
    ///
    /// # Errors
    /// When it does not compile or start.
    pub(super) fn start() -> Result<Self> {
        let program = example("bare")?;
        let mut process = Command::new(program).stdout(Stdio::piped()).spawn()?;
        let output = process
            .stdout
            .take()
            .context("the bare handler has no output")?;
        let (address, _) = line_with(output, |line| Some(line.trim().to_owned()))?;
        Ok(Self { process, address })
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Builds an example of `store` for release, and says where it is.
///
/// # Errors
/// When it does not compile.
pub(super) fn example(name: &str) -> Result<PathBuf> {
    let mut cargo = Command::new(shell::variable("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(shell::root());
    cargo.args(["build", "--quiet", "--release", "--package=store"]);
    shell::run(cargo.args(["--example", name]))?;
    Ok(shell::target().join("release/examples").join(name))
}
