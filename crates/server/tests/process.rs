//! The real program: what it prints, what it makes, what it refuses, and how it stops.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use tempfile::TempDir;

/// The program with an environment of its own.
fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forgepass-server"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("FORGEPASS__SERVER__DATA_DIR", folder.join("data"))
        .env("FORGEPASS__SERVER__LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null());
    command
}

fn ran(folder: &Path, arguments: &[&str]) -> Output {
    program(folder, arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A program that serves with nobody in its database yet, until it goes out of scope.
struct Serving {
    child: Child,
    address: String,
    setup: String,
}

impl Serving {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let Some(Ok(first)) = lines.next() else {
            let mut log = String::new();
            child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut log)
                .unwrap();
            panic!("it did not start: {log}");
        };
        let address = first.rsplit_once(' ').unwrap().1.to_owned();
        let second = lines.next().unwrap().unwrap();
        let setup = second.rsplit_once(' ').unwrap().1.to_owned();
        Self {
            child,
            address,
            setup,
        }
    }

    /// Asks it to stop as a service manager does; gives its log.
    fn stop(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        let mut log = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        assert!(self.child.wait().unwrap().success(), "{log}");
        log
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "the tests' own client")]
fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn starts_without_configuration_and_stops_when_asked() {
    let folder = folder();
    let serving = Serving::start(program(folder.path(), &[]));
    let key = folder.path().join("data/forgepass.key");
    assert_eq!(
        std::fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let client = client().build().unwrap();
    let healthy = client
        .get(format!("{}/healthz", serving.address))
        .send()
        .await
        .unwrap();
    assert_eq!(healthy.text().await.unwrap(), "ok\n");

    let setup = serving.setup.clone();
    let page = client.get(&setup).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let token = setup.split_once("token=").unwrap().1.to_owned();
    let callback = format!(
        "{}/oauth/callback?code=hunter2&state=hunter2",
        serving.address
    );
    client.get(callback).send().await.unwrap();
    let log = serving.stop();
    assert!(
        log.contains("made a key file") && log.contains("http.path=\"/setup\""),
        "{log}"
    );
    assert!(!log.contains(&token) && !log.contains("hunter2"), "{log}");
}

#[tokio::test]
async fn serves_https_with_its_own_certificate() {
    let folder = folder();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.path().join("tls.crt"), made.cert.pem()).unwrap();
    std::fs::write(
        folder.path().join("tls.key"),
        made.signing_key.serialize_pem(),
    )
    .unwrap();
    let mut command = program(folder.path(), &[]);
    command.env("FORGEPASS__SERVER__TLS_CERT", folder.path().join("tls.crt"));
    command.env("FORGEPASS__SERVER__TLS_KEY", folder.path().join("tls.key"));
    let serving = Serving::start(command);
    assert!(
        serving.address.starts_with("https://localhost:"),
        "{}",
        serving.address
    );
    let trusted = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let client = client().tls_certs_only([trusted]).build().unwrap();
    let answer = client
        .get(format!("{}/login", serving.address))
        .send()
        .await
        .unwrap();
    assert_eq!(
        answer.headers()["strict-transport-security"],
        "max-age=31536000"
    );
}

#[test]
fn users_and_tokens_are_made_without_the_console() {
    let folder = folder();
    let run = |arguments: &[&str]| ran(folder.path(), arguments);
    let added = run(&["user", "add", "ann", "--role", "site-manager"]);
    assert!(
        text(&added.stdout).contains("/invitation?token=fpi_"),
        "{added:?}"
    );
    let token = run(&["user", "token", "ann", "--name", "demo", "--ttl", "1d"]);
    let printed = text(&token.stdout);
    assert!(
        printed.starts_with("fpa_") && printed.lines().count() == 1,
        "{printed}"
    );
    assert!(!text(&token.stderr).contains("fpa_"));
    assert!(text(&run(&["user", "list"]).stdout).contains("ann\tsite-manager\tinvited\t\n"));
    assert!(text(&run(&["user", "invite", "ann"]).stdout).contains("/invitation?token=fpi_"));

    let last = run(&["user", "role", "ann", "member"]);
    assert_eq!(last.status.code(), Some(1));
    assert!(text(&last.stderr).contains("hint: make another user a site manager first"));
    run(&["user", "add", "bob"]);
    assert!(
        run(&["user", "role", "bob", "site-manager"])
            .status
            .success()
    );
    assert!(run(&["user", "role", "ann", "member"]).status.success());
    let unknown = run(&["user", "token", "eve", "--name", "x", "--ttl", "1d"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(text(&unknown.stdout), "");
}

#[test]
fn refuses_to_start_with_a_misspelt_setting() {
    let folder = folder();
    let mut command = program(folder.path(), &[]);
    let refused = command
        .env("FORGEPASS__SERVER__LISTN", "x")
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("FORGEPASS__SERVER__LISTN: no such setting"));
    let missing = ran(folder.path(), &["--config", "missing.toml"]);
    assert!(text(&missing.stderr).contains("missing.toml"));
    assert!(!folder.path().join("data").exists(), "nothing was made");
}

#[test]
fn checks_what_it_is_configured_with() {
    let folder = folder();
    let fine = ran(folder.path(), &["check"]);
    assert!(fine.status.success(), "{fine:?}");
    assert!(text(&fine.stdout).contains("ok    configuration"));
    std::fs::write(
        folder.path().join("forgepass.toml"),
        "[[provider]]\nkind = \"no-such-kind\"\nname = \"X\"\nurl = \"https://x.example.com\"\n",
    )
    .unwrap();
    let wrong = ran(folder.path(), &["check"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stderr).contains("no-such-kind"), "{wrong:?}");
}

#[test]
fn a_key_file_is_never_written_over() {
    let folder = folder();
    let run = || ran(folder.path(), &["secrets", "new-key-file", "key"]);
    assert!(run().status.success());
    let first = std::fs::read(folder.path().join("key")).unwrap();
    assert_eq!(run().status.code(), Some(1));
    assert_eq!(std::fs::read(folder.path().join("key")).unwrap(), first);
    let mode = std::fs::metadata(folder.path().join("key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_second_start_does_not_make_a_second_set_up() {
    let folder = folder();
    ran(
        folder.path(),
        &["user", "add", "ann", "--role", "site-manager"],
    );
    let mut command = program(folder.path(), &[]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        lines
            .next()
            .unwrap()
            .unwrap()
            .starts_with("Forgepass listens on 127.0.0.1:")
    );
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        lines.next().is_none(),
        "a site manager exists: there is no set-up link"
    );
}
