//! A throw-away PostgreSQL cluster from the installed programs, gone when dropped.

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::shell;

/// A running cluster on loopback.
#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    folder: TempDir,
    /// `postgres://postgres@127.0.0.1:PORT/postgres`; whoever reaches loopback may enter.
    pub url: String,
}

impl Cluster {
    /// Makes and starts a cluster with the programs in `programs`.
    ///
    /// PostgreSQL refuses to run as root, so root starts it as the user `postgres`.
    ///
    /// # Errors
    /// When `initdb` or `pg_ctl` fails.
    pub fn start(programs: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("forgepass-pg-").tempdir()?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        if rustix::process::getuid().is_root() {
            let id = shell::read(Command::new("id").args(["--user", "postgres"]))?;
            chown(
                folder.path(),
                Some(id.trim().parse().context("the id of user postgres")?),
                None,
            )?;
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        let cluster = Self {
            programs: programs.to_owned(),
            folder,
            url,
        };
        cluster.initialise()?;
        cluster.listen(port)?;
        Ok(cluster)
    }

    fn initialise(&self) -> Result<()> {
        let mut initdb = self.program("initdb");
        initdb.args([
            "--no-sync",
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
        ]);
        shell::read(initdb.arg("--pgdata").arg(self.data())).map(drop)
    }

    fn listen(&self, port: u16) -> Result<()> {
        // Durability is of no use to a cluster that dies with its tests.
        let options = format!(
            "-p {port} -k {} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=300",
            self.folder.path().display()
        );
        let mut start = self.program("pg_ctl");
        start
            .arg("--pgdata")
            .arg(self.data())
            .arg("--options")
            .arg(options);
        start
            .arg("--log")
            .arg(self.folder.path().join("log"))
            .args(["--wait", "start"]);
        // Its own output would keep our pipe open for as long as the server lives.
        shell::run(start.stdout(std::process::Stdio::null()))
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = if rustix::process::getuid().is_root() {
            let mut runuser = Command::new("runuser");
            runuser.args(["-u", "postgres", "--"]).arg(program);
            runuser
        } else {
            Command::new(program)
        };
        command.current_dir("/");
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = self.program("pg_ctl");
        stop.arg("--pgdata")
            .arg(self.data())
            .args(["--mode=immediate", "stop"]);
        if let Err(error) = shell::read(&mut stop) {
            eprintln!("the test cluster goes on running: {error}");
        }
    }
}
