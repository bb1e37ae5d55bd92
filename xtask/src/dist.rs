//! `cargo xtask dist`: `forgepass` as one file that runs on every Linux image, with no library beside it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::shell;

/// The largest that the binary may be, bytes.
pub const MAX_SIZE: u64 = 12 * 1024 * 1024;

/// Builds `forgepass` for release, with the C library in it, and returns where it is.
///
/// # Errors
/// When it does not build, or is larger than [`MAX_SIZE`].
pub fn run() -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    // A folder of its own: the flags differ from those of every other build.
    let folder = shell::target().join("dist");
    let mut cargo = Command::new(shell::variable("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(shell::root())
        .args(["build", "--release", "--locked", "--quiet"])
        .args(["--package", "cli", "--bin", "forgepass"])
        // Named even where it is the machine's own: else build scripts would be made static, too.
        .args(["--target", &target])
        .arg("--target-dir")
        .arg(&folder)
        .env("RUSTFLAGS", "-C target-feature=+crt-static");
    shell::run(&mut cargo)?;
    let binary = folder.join(target).join("release/forgepass");
    let size = std::fs::metadata(&binary)
        .with_context(|| format!("{} is missing", binary.display()))?
        .len();
    ensure!(
        size <= MAX_SIZE,
        "{} has {size} bytes, more than {MAX_SIZE}\nhint: see which dependency grew with `cargo bloat`",
        binary.display()
    );
    Ok(binary)
}
