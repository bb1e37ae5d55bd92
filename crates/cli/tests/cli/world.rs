//! One developer's machine: a home, a runtime folder and an environment of its own, all thrown away.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::server::{Server, TOKEN, provider, setup};

/// The machine.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) server: Server,
    signer: Option<Child>,
}

/// Every Git on this machine that the tests run with.
pub(crate) fn gits() -> Vec<PathBuf> {
    let places = ["/usr/local/bin/git", "/usr/bin/git"].map(PathBuf::from);
    let mut found: Vec<PathBuf> = places.into_iter().filter(|git| git.exists()).collect();
    found.dedup_by_key(|git| git.canonicalize().unwrap());
    assert!(!found.is_empty(), "git is installed");
    found
}

impl World {
    /// A machine that is not signed in.
    pub(crate) fn new() -> Self {
        // Short, because the path of a socket must be.
        let folder = tempfile::Builder::new()
            .prefix("fp")
            .tempdir_in("/tmp")
            .unwrap();
        for name in ["home", "run", "tmp", "bin"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::set_permissions(folder.path().join("run"), fs::Permissions::from_mode(0o700)).unwrap();
        Self {
            folder,
            server: Server::start(),
            signer: None,
        }
    }

    /// A machine that is signed in, of a user with a link at `https://git.example.com`.
    pub(crate) fn signed_in() -> Self {
        let world = Self::new();
        world.server.state().setup = setup(vec![provider("https://git.example.com")]);
        world.sign_in();
        world
    }

    pub(crate) fn sign_in(&self) {
        let settings = self.home().join(".config/forgepass");
        fs::create_dir_all(&settings).unwrap();
        fs::write(
            settings.join("config.json"),
            format!("{{\"url\":\"{}\"}}", self.server.url),
        )
        .unwrap();
        fs::write(settings.join("token"), TOKEN).unwrap();
        fs::set_permissions(settings.join("token"), fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(crate) fn files(&self) -> PathBuf {
        self.home().join(".local/share/forgepass")
    }

    pub(crate) fn runtime(&self) -> PathBuf {
        self.folder.path().join("run/forgepass")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program in this machine's environment and nobody else's.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.home())
            .env("XDG_RUNTIME_DIR", self.folder.path().join("run"))
            .env("TMPDIR", self.folder.path().join("tmp"))
            .env(
                "PATH",
                format!(
                    "{}:/usr/local/bin:/usr/bin:/bin",
                    self.path("bin").display()
                ),
            )
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            .current_dir(self.home())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn forgepass(&self, args: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_forgepass"));
        command.args(args);
        command
    }

    pub(crate) fn git(&self, git: &Path, args: &[&str]) -> Command {
        let mut command = self.command(git);
        command.args(args);
        command
    }

    /// Runs `forgepass credential OPERATION`.
    pub(crate) fn helper(&self, operation: &str, input: &str) -> Output {
        feed(&mut self.forgepass(&["credential", operation]), input)
    }

    /// Git's credential helper for `https://git.example.com`, as git 2.46 and later asks.
    pub(crate) fn get(&self) -> Output {
        self.helper(
            "get",
            "capability[]=state\nprotocol=https\nhost=git.example.com\n\n",
        )
    }

    /// An OpenSSH agent with a fresh key of `kind`, by which the stand-in server signs; returns the public line.
    pub(crate) fn make_key(&mut self, kind: &str) -> String {
        let socket = self.path("signer.sock");
        if self.signer.is_none() {
            let mut agent = self.command("ssh-agent");
            agent
                .args(["-D", "-a"])
                .arg(&socket)
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            self.signer = Some(agent.spawn().unwrap());
            until("the signer listens", || {
                UnixStream::connect(&socket).is_ok()
            });
            self.server.state().signer = Some(socket.clone());
        }
        let file = self.path(&format!("private-{kind}"));
        let made = self
            .command("ssh-keygen")
            .args(["-q", "-N", "", "-C", "", "-t", kind, "-f"])
            .arg(&file)
            .output();
        assert_success(&made.unwrap());
        let added = self
            .command("ssh-add")
            .arg(&file)
            .env("SSH_AUTH_SOCK", &socket)
            .output()
            .unwrap();
        assert_success(&added);
        fs::remove_file(&file).unwrap();
        fs::read_to_string(file.with_extension("pub"))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// Gives the link of the first provider these keys.
    pub(crate) fn set_keys(&self, keys: &[&str]) {
        let mut state = self.server.state();
        state.setup.version.push('k');
        state.setup.providers[0].links[0].keys = keys.iter().map(|&key| key.to_owned()).collect();
    }

    pub(crate) fn agent_socket(&self) -> PathBuf {
        self.runtime().join("agent.sock")
    }

    /// Starts the agent by asking it something.
    pub(crate) fn start_agent(&self) {
        assert_success(&self.helper("get", "protocol=https\nhost=elsewhere.example.com\n\n"));
        assert!(self.agent_socket().exists());
    }

    /// The agent's process.
    pub(crate) fn agent_process(&self) -> u64 {
        let out = self.forgepass(&["status", "--json"]).output().unwrap();
        assert_success(&out);
        let status: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        status["agent"]["process"].as_u64().expect("an agent runs")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.forgepass(&["agent", "--stop"]).output();
        if let Some(mut signer) = self.signer.take() {
            let _ = signer.kill();
            let _ = signer.wait();
        }
    }
}

/// Runs a command with this on its standard input.
pub(crate) fn feed(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that stops reading early is what some tests are about.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

pub(crate) fn stdout(out: &Output) -> String {
    String::from_utf8(out.stdout.clone()).unwrap()
}

pub(crate) fn stderr(out: &Output) -> String {
    String::from_utf8(out.stderr.clone()).unwrap()
}

#[track_caller]
pub(crate) fn assert_success(out: &Output) {
    assert!(
        out.status.success(),
        "{:?}\n{}\n{}",
        out.status,
        stdout(out),
        stderr(out)
    );
}

/// Waits until something is so; a test that waits in vain fails.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "waited in vain until {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
