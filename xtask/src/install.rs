//! Installs what the tests need beside Rust: Debian packages, a Python with OAuth and SSH clients, and
//! a Node with what judges pages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::shell;

/// A program that the tests run, and the Debian package that brings it.
const PROGRAMS: &[(&str, &str)] = &[
    ("git", "git"),
    ("git-lfs", "git-lfs"),
    ("curl", "curl"),
    ("ssh", "openssh-client"),
    ("ssh-keyscan", "openssh-client"),
    ("python3", "python3"),
    ("runuser", "util-linux"),
    ("readelf", "binutils"),
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("node", "nodejs"),
    ("npm", "npm"),
];

/// What the stand-in forges and the agent are checked with: OAuth and SSH clients that are not ours.
const PYTHON_PACKAGES: &[&str] = &[
    "oauthlib",
    "requests-oauthlib",
    "requests",
    "cryptography",
    "paramiko",
    "asyncssh",
];

/// What the console's pages are judged by: accessibility rules and a validator of HTML. Both run with
/// Node 18, which is Debian 12's.
const NODE_PACKAGES: &[&str] = &["axe-core@4.14.1", "html-validate@9.7.1"];

/// Where the things stand that [`all`] installed.
#[derive(Debug, Clone)]
pub struct Installed {
    /// A Python that has the packages of the tests.
    pub python: PathBuf,
    /// The `node_modules` with the packages of the tests.
    pub node: PathBuf,
    /// The folder of PostgreSQL's own programs.
    pub postgres: PathBuf,
}

/// Makes sure that everything the tests need is there.
///
/// # Errors
/// When something is missing and this is not Debian or Ubuntu, or its package does not install.
pub fn all() -> Result<Installed> {
    packages()?;
    let Some(postgres) = postgres_programs() else {
        bail!("PostgreSQL's initdb is missing\nhint: install PostgreSQL 15 or later");
    };
    Ok(Installed {
        python: python()?,
        node: node()?,
        postgres,
    })
}

/// Installs missing Debian packages.
fn packages() -> Result<()> {
    let mut missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| shell::find(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    if postgres_programs().is_none() {
        missing.push("postgresql");
    }
    if !has_venv() {
        missing.push("python3-venv");
    }
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    if shell::find("apt-get").is_none() {
        bail!(
            "missing: {}\nhint: install them with this system's package manager",
            missing.join(", ")
        );
    }
    println!("installing {}", missing.join(", "));
    shell::run(&mut apt(&["update", "--quiet"]))?;
    let mut install = apt(&["install", "--quiet", "--yes", "--no-install-recommends"]);
    shell::run(install.args(&missing))
}

/// `apt-get`, through `sudo` for everyone but root.
fn apt(arguments: &[&str]) -> Command {
    let mut command = if rustix::process::getuid().is_root() {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["--non-interactive", "apt-get"]);
        sudo
    };
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// PostgreSQL's programs are not in `PATH` on Debian: each version has a folder.
fn postgres_programs() -> Option<PathBuf> {
    if let Some(initdb) = shell::find("initdb") {
        return initdb.parent().map(Path::to_owned);
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut folders: Vec<PathBuf> = versions
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|folder| folder.join("initdb").is_file())
        .collect();
    folders.sort();
    folders.pop()
}

fn has_venv() -> bool {
    let mut command = Command::new("python3");
    shell::read(command.args(["-c", "import venv, ensurepip"])).is_ok()
}

/// A virtual environment among the build results, made once.
fn python() -> Result<PathBuf> {
    let folder = shell::target().join("test-python");
    let python = folder.join("bin/python3");
    once(&folder, PYTHON_PACKAGES, || {
        shell::run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        let mut pip = Command::new(&python);
        shell::run(
            pip.args(["-m", "pip", "install", "--quiet"])
                .args(PYTHON_PACKAGES),
        )
    })?;
    Ok(python)
}

/// Packages of Node among the build results, installed once.
fn node() -> Result<PathBuf> {
    let folder = shell::target().join("test-node");
    once(&folder, NODE_PACKAGES, || {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]);
        shell::run(npm.arg(&folder).args(NODE_PACKAGES))
    })?;
    Ok(folder.join("node_modules"))
}

/// Runs `install` unless `folder` says that it has these packages already; an older checkout may have
/// left others there.
fn once(folder: &Path, packages: &[&str], install: impl FnOnce() -> Result<()>) -> Result<()> {
    let ready = folder.join("ready");
    let wanted = packages.join(", ");
    if std::fs::read_to_string(&ready).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    println!("installing {wanted}");
    std::fs::create_dir_all(folder)?;
    install()?;
    Ok(std::fs::write(&ready, &wanted)?)
}
