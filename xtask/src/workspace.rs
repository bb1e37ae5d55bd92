//! A developer's workspace for the demo: an empty environment, a HOME of its own, the real programs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, bail};

use crate::browser::Browser;
use crate::shell;
use crate::world::{World, line_with, wait_until};

/// One workspace; nothing of it is outside its folder but the agent's machine id.
pub struct Workspace {
    /// The workspace's folder: `home`, `run`, `tmp` and `bin` are below it.
    pub folder: PathBuf,
    programs: PathBuf,
    /// The folder whose `git` is used, where it is not the first in `PATH`.
    pub git: Option<PathBuf>,
    /// Further variables, as some tool would set them.
    pub variables: Vec<(String, String)>,
}

impl Workspace {
    /// Makes the folders of a workspace called `name` in the world's scratch folder.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn new(world: &World, name: &str) -> Result<Self> {
        let folder = world.scratch.path().join(name);
        for part in ["home", "run", "tmp"] {
            std::fs::create_dir_all(folder.join(part))?;
        }
        // XDG_RUNTIME_DIR must be its user's alone, or the agent refuses it.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(folder.join("run"), mode)?;
        let programs = world.programs.clone();
        Ok(Self {
            folder,
            programs,
            git: None,
            variables: Vec::new(),
        })
    }

    /// Its HOME.
    pub fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// A command in the workspace's own, otherwise empty environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.resolve(program));
        let path = shell::variable("PATH").unwrap_or_default();
        let git = self
            .git
            .iter()
            .map(|folder| format!("{}:", folder.display()));
        let path: String = git.chain([path]).collect();
        command
            .env_clear()
            .env("PATH", format!("{}:{path}", self.programs.display()))
            .env("HOME", self.home())
            .env("XDG_RUNTIME_DIR", self.folder.join("run"))
            .env("TMPDIR", self.folder.join("tmp"))
            .env("GIT_TERMINAL_PROMPT", "0")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .current_dir(self.home());
        command
    }

    /// Our programs by their path, so that nothing else in `PATH` can be meant.
    fn resolve(&self, program: &str) -> PathBuf {
        let ours = self.programs.join(program);
        match &self.git {
            Some(folder) if program == "git" => folder.join("git"),
            _ if ours.is_file() => ours,
            _ => PathBuf::from(program),
        }
    }

    /// Runs a command that must succeed and returns its standard output.
    ///
    /// # Errors
    /// When it fails; the error holds all that it said.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        self.run_in(&self.home(), program, arguments)
    }

    /// As [`Workspace::run`], in another folder.
    ///
    /// # Errors
    /// As [`Workspace::run`].
    pub fn run_in(&self, folder: &Path, program: &str, arguments: &[&str]) -> Result<String> {
        let output = self.try_run_in(folder, program, arguments)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!(
                "{program} {} ended with {}\n{said}{complaint}",
                arguments.join(" "),
                output.status
            );
        }
        Ok(said)
    }

    /// Runs a command and returns whatever became of it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn try_run_in(&self, folder: &Path, program: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(program);
        command.args(arguments).current_dir(folder);
        command
            .output()
            .with_context(|| format!("cannot start {program}"))
    }

    /// Signs the workspace in: `forgepass login`, approved by the developer in their browser.
    ///
    /// # Errors
    /// When a step is refused.
    pub fn sign_in(&self, world: &World, browser: &mut Browser, more: &[&str]) -> Result<()> {
        let mut login = self.command("forgepass");
        login
            .arg("login")
            .arg(&world.url)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut login = login.spawn().context("cannot start forgepass login")?;
        match approve(&mut login, browser) {
            Ok(()) => finish(login),
            Err(error) => {
                // The sign-in that nobody approves must not outlive the demo.
                drop(login.kill());
                let output = login.wait_with_output()?;
                Err(error.context(String::from_utf8_lossy(&output.stderr).into_owned()))
            }
        }
    }

    /// Runs `forgepass login` as far as the address that waits for approval; it ends with what is given back.
    ///
    /// # Errors
    /// When no sign-in begins.
    pub fn ask_to_sign_in(&self, world: &World, name: &str) -> Result<Asking> {
        let mut login = self.command("forgepass");
        login
            .args(["login", &world.url, "--name", name])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut login = login.spawn().context("cannot start forgepass login")?;
        match address(&mut login) {
            Ok(address) => Ok(Asking { address, login }),
            Err(error) => {
                drop(login.kill());
                drop(login.wait());
                Err(error)
            }
        }
    }

    /// What `git credential fill` answers for `url`.
    ///
    /// # Errors
    /// When there is no credential.
    pub fn credential(&self, url: &str) -> Result<String> {
        let mut git = self.command("git");
        git.args(["credential", "fill"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = git.spawn()?;
        let mut input = child.stdin.take().context("no standard input")?;
        write!(input, "url={url}\n\n")?;
        drop(input);
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("git credential fill ended with {}", output.status);
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The workspace token, from its one file.
    ///
    /// # Errors
    /// When the workspace is not signed in.
    pub fn token(&self) -> Result<String> {
        let file = self.home().join(".config/forgepass/token");
        Ok(std::fs::read_to_string(file)?.trim().to_owned())
    }

    /// The random id of this machine, which the token is bound to.
    ///
    /// # Errors
    /// When no workspace of this user ever signed in.
    pub fn machine(&self) -> Result<String> {
        let user = rustix::process::getuid().as_raw();
        let file = format!("/var/tmp/forgepass-{user}/machine");
        Ok(std::fs::read_to_string(file)?.trim().to_owned())
    }

    /// Ends the agent of this workspace.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn stop_agent(&self) -> Result<()> {
        self.run("forgepass", &["agent", "--stop"]).map(drop)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // An agent that was never started cannot be stopped, which is fine.
        drop(self.stop_agent());
    }
}

/// A sign-in that nobody has approved yet.
pub struct Asking {
    /// Where a person approves it.
    pub address: String,
    login: Child,
}

impl Asking {
    /// Waits until the approved sign-in has ended well, so that the workspace is ready.
    ///
    /// # Errors
    /// When it ended with another status than 0, or does not end.
    pub fn finish(mut self) -> Result<()> {
        let mut status = None;
        wait_until(|| {
            status = self.login.try_wait()?;
            Ok(status.is_some())
        })
        .context("forgepass login goes on waiting")?;
        match status {
            Some(status) if status.success() => Ok(()),
            _ => bail!("forgepass login ended with {status:?}"),
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        // Nothing is left to tell: the sign-in ends either way.
        drop(self.login.kill());
        drop(self.login.wait());
    }
}

/// The address that `forgepass login` prints.
fn address(login: &mut Child) -> Result<String> {
    let output = login.stdout.take().context("the sign-in has no output")?;
    let address = |line: &str| {
        let word = line
            .split_whitespace()
            .find(|word| word.contains("/device?"))?;
        Some(word.to_owned())
    };
    let (address, rest) = line_with(output, address)?;
    // Whatever it prints later must have somewhere to go.
    std::thread::spawn(move || std::io::copy(&mut { rest }, &mut std::io::sink()));
    Ok(address)
}

/// Opens the address that `forgepass login` prints and says yes.
fn approve(login: &mut Child, browser: &mut Browser) -> Result<()> {
    let page = browser.open(&address(login)?)?;
    let form = page.form("/device")?;
    let answer = browser.submit(&form, &[("decision", "approve")])?;
    if answer.status != 200 {
        bail!("approval answered {}:\n{}", answer.status, answer.text());
    }
    Ok(())
}

fn finish(login: Child) -> Result<()> {
    let output = login.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "forgepass login ended with {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
