//! The room of the end-to-end tests: an installation with a linked developer, and what a person does in it.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test file uses its part, and a test may fail loudly"
)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use testforge::Forge;
use xtask::browser::{Browser, Page};
use xtask::demo::{DEVELOPER, Demo, PROVIDERS, Row, link};
use xtask::shell;
use xtask::workspace::Workspace;
use xtask::world::{Api, Build, World, text};

pub(crate) mod processes;
pub(crate) mod scan;

/// The demo's row of this title.
#[track_caller]
pub(crate) fn row(title: &str) -> Row {
    *PROVIDERS.iter().find(|row| row.title == title).unwrap()
}

/// An installation with these rows of the demo; the developer is signed in and has linked nothing.
#[track_caller]
pub(crate) fn unlinked(titles: &[&str]) -> Demo {
    let rows: Vec<Row> = titles.iter().map(|title| row(title)).collect();
    Demo::start(Build::Debug, &rows).unwrap()
}

/// The same with one row, linked.
#[track_caller]
pub(crate) fn linked(title: &str) -> Demo {
    let mut demo = unlinked(&[title]);
    link_first(&mut demo);
    demo
}

/// Links the developer's account at the first provider.
#[track_caller]
pub(crate) fn link_first(demo: &mut Demo) -> Page {
    link(&demo.providers[0], &mut demo.browser, &demo.world).unwrap()
}

/// The first stand-in.
pub(crate) fn forge(demo: &Demo) -> &Forge {
    &demo.providers[0].forge
}

/// The page of a console path, in the developer's browser.
#[track_caller]
pub(crate) fn open(demo: &mut Demo, path: &str) -> Page {
    let url = format!("{}{path}", demo.world.url);
    demo.browser.open(&url).unwrap()
}

/// Presses *Link your account* at the first provider: its consent page, or whatever came instead.
#[track_caller]
pub(crate) fn begin(demo: &mut Demo) -> Page {
    let page = open(demo, "/preferences/linked-accounts");
    let form = page
        .form(&format!("/link/{}", demo.providers[0].id))
        .unwrap();
    demo.browser.submit(&form, &[]).unwrap()
}

/// Presses a button of the provider's consent page as `account`: `approve` or `deny`.
#[track_caller]
pub(crate) fn decide(demo: &mut Demo, consent: &Page, account: &str, decision: &str) -> Page {
    let form = consent.form("").unwrap();
    let answer = [("account", account), ("decision", decision)];
    demo.browser.submit(&form, &answer).unwrap()
}

/// Approves at the provider as the developer until the browser is back at the console.
#[track_caller]
pub(crate) fn approve_all(demo: &mut Demo, page: Page) -> Page {
    let mut page = page;
    for _ in 0..3 {
        if page.url.as_str().starts_with(&demo.world.url) {
            return page;
        }
        page = decide(demo, &page, DEVELOPER, "approve");
    }
    panic!("the provider asks again and again: {}", page.text());
}

/// The address to which the provider would send the browser back, without going there.
#[track_caller]
pub(crate) fn callback_of(demo: &Demo, consent: &Page) -> String {
    let approved = forge(demo).approve(consent.url.as_str(), DEVELOPER);
    demo.runtime.block_on(approved).unwrap()
}

/// A browser of its own in which `name`, a developer who has set a password, signs in.
#[track_caller]
pub(crate) fn another_browser(demo: &Demo, name: &str) -> Browser {
    let mut browser = Browser::new(&forge(demo).ca_pem()).unwrap();
    let page = browser.open(&format!("{}/login", demo.world.url)).unwrap();
    let form = page.form("/login").unwrap();
    let password = format!("{name}: a long enough pass phrase");
    let home = browser.submit(&form, &[("name", name), ("password", &password)]);
    assert_eq!(home.unwrap().status, 200);
    browser
}

/// The API as the developer calls it.
#[track_caller]
pub(crate) fn account(world: &World) -> Api {
    let token =
        world.server_command(&["user", "token", DEVELOPER, "--name", "test", "--ttl", "1d"]);
    Api::new(&world.url, token.unwrap().trim())
}

/// The developer's links.
#[track_caller]
pub(crate) fn links(world: &World) -> Vec<Value> {
    let links = account(world).get("/api/v1/links").unwrap();
    links.as_array().unwrap().clone()
}

/// Changes rows of the embedded database beside the running server, as time or an accident would.
#[track_caller]
pub(crate) fn sql(world: &World, statement: &str) {
    let code = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], timeout=30)\n\
                c.execute(sys.argv[2])\nc.commit()";
    let python = shell::variable("FORGEPASS_TEST_PYTHON");
    let mut python = Command::new(python.unwrap_or_else(|| "python3".into()));
    let database = world.data_folder().join("forgepass.db");
    python.args(["-c", code]).arg(database).arg(statement);
    shell::read(&mut python).unwrap();
}

/// The audit's details of one action, newest first.
#[track_caller]
pub(crate) fn audit(world: &World, action: &str) -> Vec<String> {
    let path = format!("/api/v1/events?action={action}&limit=200");
    let events = world.manage.get(&path).unwrap();
    let events = events["events"].as_array().unwrap();
    let details = events
        .iter()
        .map(|event| text(event, "detail").unwrap().to_owned());
    details.collect()
}

/// The provider as the site manager's form would send it back, without its secret.
#[track_caller]
pub(crate) fn provider_input(world: &World, id: &str) -> Value {
    let mut input = world
        .manage
        .get(&format!("/api/v1/providers/{id}"))
        .unwrap();
    let fields = input.as_object_mut().unwrap();
    for told_only in [
        "id",
        "has_client_secret",
        "public_key",
        "links",
        "alarm",
        "last_success_at",
        "created_at",
    ] {
        fields.remove(told_only);
    }
    input
}

/// `PUT` of a provider with some fields changed: the status and the answer.
#[track_caller]
pub(crate) fn change_provider(world: &World, id: &str, changes: &Value) -> (u16, Value) {
    let mut input = provider_input(world, id);
    for (name, value) in changes.as_object().unwrap() {
        input[name] = value.clone();
    }
    let path = format!("/api/v1/providers/{id}");
    world.manage.try_ask("PUT", &path, Some(&input)).unwrap()
}

/// What the site manager reads about a provider's health.
#[track_caller]
pub(crate) fn alarm(world: &World, id: &str) -> Option<String> {
    let provider = world
        .manage
        .get(&format!("/api/v1/providers/{id}"))
        .unwrap();
    provider["alarm"].as_str().map(str::to_owned)
}

/// Folders of the Gits of this machine, each with a `git` of its own.
pub(crate) fn gits() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    let own = shell::find("git").and_then(|git| Some(git.parent()?.to_owned()));
    let usual = ["/usr/local/bin", "/usr/bin"].map(PathBuf::from);
    for folder in own.into_iter().chain(usual) {
        let Ok(git) = folder.join("git").canonicalize() else {
            continue;
        };
        let is_new = |known: &PathBuf| known.join("git").canonicalize().is_ok_and(|is| is != git);
        if found.iter().all(is_new) {
            found.push(folder);
        }
    }
    assert!(!found.is_empty(), "git is installed");
    found
}

/// `git clone` into a folder of HOME.
#[track_caller]
pub(crate) fn clone(workspace: &Workspace, url: &str, name: &str) -> Output {
    let arguments = ["clone", "--quiet", url, name];
    workspace
        .try_run_in(&workspace.home(), "git", &arguments)
        .unwrap()
}

/// Commits a new file in a clone and pushes it.
#[track_caller]
pub(crate) fn commit_and_push(workspace: &Workspace, name: &str, file: &str) -> Output {
    let folder = workspace.home().join(name);
    std::fs::write(folder.join(file), file).unwrap();
    workspace.run_in(&folder, "git", &["add", "--all"]).unwrap();
    let commit = ["commit", "--quiet", "--no-gpg-sign", "--message", file];
    workspace.run_in(&folder, "git", &commit).unwrap();
    let push = ["push", "--quiet", "origin", "HEAD"];
    workspace.try_run_in(&folder, "git", &push).unwrap()
}

/// Runs a command with this on its standard input.
#[track_caller]
pub(crate) fn feed(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that stops reading early is what some tests are about.
    drop(child.stdin.take().unwrap().write_all(input));
    child.wait_with_output().unwrap()
}

/// `git credential fill` for a URL.
#[track_caller]
pub(crate) fn fill(workspace: &Workspace, url: &str) -> Output {
    let mut git = workspace.command("git");
    feed(
        git.args(["credential", "fill"]),
        format!("url={url}\n\n").as_bytes(),
    )
}

/// Standard output as text.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Standard error as text.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The command must have succeeded.
#[track_caller]
pub(crate) fn assert_success(output: &Output) {
    let (out, err) = (stdout(output), stderr(output));
    assert!(output.status.success(), "{}\n{out}{err}", output.status);
}

/// The text must hold every one of `parts`.
#[track_caller]
pub(crate) fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "`{part}` is missing in:\n{said}");
    }
}

/// Writes a program of a few lines of shell.
#[track_caller]
pub(crate) fn script(file: &Path, lines: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, format!("#!/bin/sh\n{lines}\n")).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The JSON body of a new user.
pub(crate) fn new_user(name: &str) -> Value {
    json!({ "name": name, "email": format!("{name}@example.com"), "role": "member" })
}
