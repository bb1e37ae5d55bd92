//! A whole installation in one scratch folder: the real server, its site manager and a developer.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::Browser;
use crate::shell;

/// How long anything may take to come true before we call it broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `forgepass-server` with its files.
pub struct World {
    /// Everything lives below this folder, whose path is short because of socket names.
    pub scratch: TempDir,
    /// Where the built programs are.
    pub programs: PathBuf,
    /// The console's address without a trailing slash.
    pub url: String,
    /// The site manager's API.
    pub manage: Api,
    server: Option<Child>,
    port: u16,
    database: Option<String>,
}

/// The JSON API as one caller sees it.
#[derive(Clone)]
pub struct Api {
    agent: ureq::Agent,
    url: String,
    token: String,
    machine: Option<String>,
}

/// Which build of the programs to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// Quick to build.
    Debug,
    /// What people install; the one to measure.
    Release,
}

/// Builds the programs and returns their folder.
///
/// # Errors
/// When they do not compile.
pub fn build(build: Build) -> Result<PathBuf> {
    let mut cargo = Command::new(shell::variable("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(shell::root()).args([
        "build",
        "--quiet",
        "--package=server",
        "--package=cli",
    ]);
    if build == Build::Release {
        cargo.arg("--release");
    }
    shell::run(&mut cargo)?;
    Ok(shell::target().join(if build == Build::Release {
        "release"
    } else {
        "debug"
    }))
}

impl World {
    /// Starts a server on the embedded database with one site manager, `root`.
    ///
    /// # Errors
    /// When the server does not start.
    pub fn start(programs: &Path) -> Result<Self> {
        Self::start_with(programs, None)
    }

    /// Starts a server on `database` (a PostgreSQL URL), or on the embedded one.
    ///
    /// # Errors
    /// When the server does not start.
    pub fn start_with(programs: &Path, database: Option<String>) -> Result<Self> {
        let mut world = Self::start_unset(programs, database)?;
        world.server_command(&["user", "add", "root", "--role", "site-manager"])?;
        let token =
            world.server_command(&["user", "token", "root", "--name", "xtask", "--ttl", "1d"])?;
        world.manage = Api::new(&world.url, token.trim());
        Ok(world)
    }

    /// Starts a server that nobody has set up.
    ///
    /// # Errors
    /// When the server does not start.
    pub fn start_unset(programs: &Path, database: Option<String>) -> Result<Self> {
        let scratch = tempfile::Builder::new().prefix("fp-").tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let url = format!("http://localhost:{port}");
        let manage = Api::new(&url, "");
        let programs = programs.to_owned();
        let mut world = Self {
            scratch,
            programs,
            url,
            manage,
            server: None,
            port,
            database,
        };
        world.start_server()?;
        Ok(world)
    }

    /// Starts the server again after [`World::stop_server`].
    ///
    /// # Errors
    /// When it does not answer.
    pub fn start_server(&mut self) -> Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())?;
        let mut command = self.server_program();
        command
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.server = Some(command.spawn().context("cannot start forgepass-server")?);
        let answered = wait_until(|| Ok(self.manage.get("/api/v1/meta").is_ok()));
        answered.with_context(|| {
            format!(
                "the server does not answer:\n{}",
                self.log().unwrap_or_default()
            )
        })
    }

    /// Ends the server as a service manager would.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn stop_server(&mut self) -> Result<()> {
        let Some(mut server) = self.server.take() else {
            return Ok(());
        };
        let id = i32::try_from(server.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        }
        server.wait()?;
        Ok(())
    }

    /// The server's process id, while it runs.
    pub fn server_id(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// Runs one command of `forgepass-server` beside the running server.
    ///
    /// # Errors
    /// When it fails; the error holds what it said.
    pub fn server_command(&self, arguments: &[&str]) -> Result<String> {
        shell::read(self.server_program().args(arguments))
    }

    fn server_program(&self) -> Command {
        let mut command = Command::new(self.programs.join("forgepass-server"));
        command
            .env_clear()
            .env("PATH", shell::variable("PATH").unwrap_or_default())
            .env(
                "FORGEPASS__SERVER__LISTEN",
                format!("127.0.0.1:{}", self.port),
            )
            .env("FORGEPASS__SERVER__PUBLIC_URL", &self.url)
            .env("FORGEPASS__SERVER__DATA_DIR", self.data_folder())
            .current_dir(self.scratch.path());
        if let Some(database) = &self.database {
            let key = self.scratch.path().join("server.key");
            command.env("FORGEPASS__SERVER__DATABASE_URL", database);
            command.env("FORGEPASS__SERVER__KEY_FILE", key);
        }
        command
    }

    /// The folder of database and key file.
    pub fn data_folder(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    /// The one-time link to set the server up, which it printed.
    ///
    /// # Errors
    /// When it printed none.
    pub fn setup_link(&self) -> Result<String> {
        let log = self.log()?;
        let link = log.split_whitespace().find(|word| word.contains("/setup?"));
        Ok(link.context("the server prints no set-up link")?.to_owned())
    }

    /// Everything the server printed.
    pub fn log_file(&self) -> PathBuf {
        self.scratch.path().join("server.log")
    }

    /// The server's log as text.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.log_file())?)
    }

    /// Adds a developer, follows their invitation and signs their browser in.
    ///
    /// # Errors
    /// When a step is refused.
    pub fn add_developer(&self, name: &str, browser: &mut Browser) -> Result<()> {
        let email = format!("{name}@example.com");
        let user = json!({ "name": name, "email": email, "role": "member" });
        let invitation = self.manage.post("/api/v1/users", &user)?;
        self.follow_invitation(name, text(&invitation, "url")?, browser)
    }

    /// Sets the password of `name` by their one-time link, which signs their browser in.
    ///
    /// # Errors
    /// When a step is refused.
    pub fn follow_invitation(&self, name: &str, url: &str, browser: &mut Browser) -> Result<()> {
        let page = browser.open(url)?;
        let password = format!("{name}: a long enough pass phrase");
        let form = page.form("/invitation")?;
        let home = browser.submit(&form, &[("password", &password), ("confirm", &password)])?;
        if home.status != 200 || home.url.path() != "/" {
            bail!(
                "the invitation of {name} leads to {}:\n{}",
                home.url.path(),
                home.text()
            );
        }
        Ok(())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // Nothing is left to tell: the process ends either way.
            drop(server.kill());
            drop(server.wait());
        }
    }
}

impl Api {
    /// The API at `url` with a bearer token, or without one where `token` is empty.
    pub fn new(url: &str, token: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build();
        Self {
            agent: config.new_agent(),
            url: url.to_owned(),
            token: token.to_owned(),
            machine: None,
        }
    }

    /// The same from a machine of this id, as a workspace says it.
    #[must_use]
    pub fn on_machine(mut self, id: &str) -> Self {
        self.machine = Some(id.to_owned());
        self
    }

    /// `GET path`.
    ///
    /// # Errors
    /// When the answer is no success; the error holds the problem document.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.ask("GET", path, None)
    }

    /// `POST path` with a JSON body.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.ask("POST", path, Some(body))
    }

    /// Any request; an empty answer is `null`.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let (status, answer) = self.try_ask(method, path, body)?;
        if !(200..300).contains(&status) {
            bail!("{method} {path} answered {status}: {answer}");
        }
        Ok(answer)
    }

    /// Any request: its status and its answer, whatever it is.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn try_ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("content-type", "application/json");
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        if let Some(machine) = &self.machine {
            request = request.header("forgepass-machine", machine);
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut response = self.agent.run(request.body(body)?)?;
        let answer = response.body_mut().read_to_string()?;
        Ok((
            response.status().as_u16(),
            serde_json::from_str(&answer).unwrap_or(Value::Null),
        ))
    }
}

/// A text field of a JSON answer.
///
/// # Errors
/// When it is not there.
pub fn text<'a>(answer: &'a Value, field: &str) -> Result<&'a str> {
    answer[field]
        .as_str()
        .with_context(|| format!("no text {field} in {answer}"))
}

/// Asks `done` again and again until it says yes.
///
/// # Errors
/// When it has not after a minute, or says why it never will.
pub fn wait_until(mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !done()? {
        if begun.elapsed() > PATIENCE {
            bail!("nothing after {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// The first line of `reader` that `wanted` accepts.
///
/// # Errors
/// When the stream ends before.
pub fn line_with<T>(
    reader: impl std::io::Read,
    mut wanted: impl FnMut(&str) -> Option<T>,
) -> Result<(T, impl BufRead)> {
    let mut reader = BufReader::new(reader);
    let mut said = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            bail!("it ended after saying:\n{said}");
        }
        if let Some(found) = wanted(&line) {
            return Ok((found, reader));
        }
        said.push_str(&line);
    }
}
