//! A site manager's journey: from the set-up link of a fresh server to the end of a provider.

use std::io::Write as _;
use std::process::{Command, Stdio};

use testforge::{AppSpec, Forge, Usage};
use tokio::runtime::Runtime;
use xtask::browser::Browser;
use xtask::chromium::Chromium;
use xtask::demo::{PROVIDERS, Provider, link_as};
use xtask::world::{self, Build, World, wait_until};

use crate::PASSWORD;
use crate::control::{button, field, fold, link, menu};
use crate::person::{Hand, Person};

/// A site manager before a fresh server, and what stands at the other end.
struct Scene<'a> {
    root: Person<'a>,
    github: Provider,
    gitlab: Provider,
    bitbucket: Provider,
    world: World,
    _runtime: Runtime,
}

/// Walks all of it.
pub(crate) fn journey(hand: Hand) {
    let chromium = Chromium::start().unwrap();
    let mut scene = Scene::new(&chromium, hand);
    set_up(&scene);
    let secret = add_github(&scene);
    add_gitlab(&scene);
    add_bitbucket(&scene);
    rename(&mut scene, &secret);
    choose_ecdsa(&scene);
    let mut ann = invite(&scene);
    suspend_and_restore(&scene, &mut ann);
    read_the_audit(&scene);
    look_over(&scene);
    link_an_account(&scene, &mut ann);
    turn_off(&scene, &mut ann);
    delete(&scene);
    sign_out(&scene);
}

impl<'a> Scene<'a> {
    fn new(chromium: &'a Chromium, hand: Hand) -> Self {
        let programs = world::build(Build::Debug).unwrap();
        let runtime = Runtime::new().unwrap();
        let provider = |title: &str| stand_in(&runtime, title);
        Self {
            root: Person::new(chromium, hand),
            github: provider("GitHub Enterprise"),
            gitlab: provider("GitLab"),
            bitbucket: provider("Bitbucket Server 1.0a"),
            world: World::start_unset(&programs, None).unwrap(),
            _runtime: runtime,
        }
    }

    fn page(&self, path: &str) -> String {
        format!("{}{path}", self.world.url)
    }
}

/// A stand-in that the server has not heard of yet.
fn stand_in(runtime: &Runtime, title: &str) -> Provider {
    let row = *PROVIDERS.iter().find(|row| row.title == title).unwrap();
    let forge = runtime.block_on(testforge::start(row.shape)).unwrap();
    forge.add_account("ann");
    let id = String::new();
    Provider { row, forge, id }
}

fn set_up(scene: &Scene<'_>) {
    let root = &scene.root;
    root.open(&scene.world.setup_link().unwrap());
    root.sees(&["Set up Forgepass"]);
    root.fill(field("Name"), "root");
    root.fill(field("Password"), PASSWORD);
    root.follow(button("Make the account"));
    root.sees(&["No providers yet"]);
    root.follow(menu("Home"));
    root.sees(&["Hello root", "Add the first Git provider"]);
    root.follow(link("Add a provider"));
}

/// Adds GitHub with a slip in the address first; returns its client secret.
fn add_github(scene: &Scene<'_>) -> String {
    let (root, forge) = (&scene.root, &scene.github.forge);
    root.follow(button("GitHub"));
    root.sees(&["Add GitHub", "leave Enable Device Flow unticked"]);
    let callback = root.copy(button("Copy Authorization callback URL"));
    assert_eq!(callback, scene.page("/oauth/callback"));
    let (id, secret) = forge.register_app(AppSpec::new(&callback)).unwrap();

    root.fill(field("Name"), "Octo");
    root.fill(field("URL"), "https://localhost:9");
    root.fill(field("Client id"), &id);
    root.fill(field("Client secret"), &secret);
    enter_addresses(root, forge);
    root.fill(field("CA bundle"), &forge.ca_pem());
    root.follow(button("Test connection"));
    root.sees(&["Not well", "No connection: Connection refused"]);
    assert!(!root.source().contains(&secret));

    // A secret that was entered for one address is sent to no other.
    root.fill(field("URL"), forge.url());
    root.follow(button("Test connection"));
    root.sees(&[
        "entered too long ago or for other addresses",
        "Enter it again",
    ]);
    root.fill(field("Client secret"), &secret);
    pin_the_host_key(root, forge);
    root.follow(button("Save"));
    root.sees(&["Octo is saved. Developers can link their accounts now."]);
    secret
}

/// Tests the connection, compares the fingerprint that it finds, and pins that key.
fn pin_the_host_key(root: &Person<'_>, forge: &Forge) {
    let told = "The provider knows the application";
    let published = fingerprint(forge.ssh_host_key());
    root.follow(button("Test connection"));
    root.sees(&[told, "No host key is pinned"]);
    root.tick(field(&published));
    root.follow(button("Test connection"));
    root.sees(&[told, "A pinned host key answers", "pinned already"]);
    root.misses("Not well");
}

/// Adds GitLab with the certificate authority forgotten first.
fn add_gitlab(scene: &Scene<'_>) {
    let (root, forge) = (&scene.root, &scene.gitlab.forge);
    root.follow(link("Add provider"));
    root.follow(button("GitLab"));
    let callback = root.copy(button("Copy Redirect URI"));
    assert_eq!(callback, scene.page("/oauth/callback"));
    let scopes = root.copy(button("Copy Scopes"));
    let scopes: Vec<&str> = scopes.split(' ').collect();
    let spec = AppSpec::new(&callback).scopes(&scopes);
    let (id, secret) = forge.register_app(spec).unwrap();

    root.fill(field("Name"), "GitLab");
    root.fill(field("URL"), forge.url());
    root.fill(field("Client id"), &id);
    root.fill(field("Client secret"), &secret);
    enter_addresses(root, forge);
    root.fill(field("SSH host keys"), forge.ssh_host_key());
    root.follow(button("Test connection"));
    root.sees(&["Not well", "certificate"]);
    root.fill(field("CA bundle"), &forge.ca_pem());
    root.sees(&["Leave this empty to use it"]);
    root.follow(button("Test connection"));
    root.sees(&["The provider knows the application"]);
    root.misses("Not well");
    root.follow(button("Save"));
    root.sees(&["GitLab is saved"]);
}

/// Adds an application link, which is what suits the version that answers; its public key goes to the other
/// side before anything is saved here.
fn add_bitbucket(scene: &Scene<'_>) {
    let (root, forge) = (&scene.root, &scene.bitbucket.forge);
    root.follow(link("Add provider"));
    root.follow(button("Bitbucket Server and Data Center"));
    root.fill(field("URL"), forge.url());
    root.follow(button("Ask for the version"));
    root.sees(&["mark the provider internal"]);
    root.tick(field("Internal"));
    root.press(fold("Certificates"));
    root.fill(field("CA bundle"), &forge.ca_pem());
    root.follow(button("Ask for the version"));
    root.sees(&["answers there: OAuth 1.0a application link it is."]);
    let key = root.copy(button("Copy Consumer Key"));
    let public_key = root.copy(button("Copy Public Key"));
    assert!(public_key.starts_with("-----BEGIN PUBLIC KEY-----\n"));
    forge
        .register_consumer(&key, "Forgepass", &public_key)
        .unwrap();
    assert_eq!(root.entered(field("Consumer key")), key);

    assert_eq!(root.entered(field("URL")), forge.url());
    assert_eq!(key, "Forgepass");
    root.fill(field("Name"), "Bitbucket");
    root.fill(field("SSH addresses"), forge.ssh_address());
    root.fill(field("SSH host keys"), forge.ssh_host_key());
    root.follow(button("Test connection"));
    root.sees(&["The provider knows the application"]);
    root.misses("Not well");
    root.follow(button("Save"));
    root.sees(&["Bitbucket is saved"]);
}

fn enter_addresses(root: &Person<'_>, forge: &Forge) {
    root.press(fold("Addresses, host keys and certificates"));
    root.fill(field("SSH addresses"), forge.ssh_address());
    root.tick(field("Internal"));
}

fn rename(scene: &mut Scene<'_>, secret: &str) {
    let root = &scene.root;
    let address = root.leads_to(link("Edit Octo"));
    root.follow(link("Edit Octo"));
    assert!(!root.source().contains(secret));
    assert_eq!(root.entered(field("Client secret")), "");
    root.sees(&["One is stored and never shown"]);
    root.fill(field("Name"), "GitHub Enterprise");
    root.follow(button("Save"));
    root.sees(&["GitHub Enterprise is saved."]);
    let (_, id) = address.rsplit_once('/').unwrap();
    scene.github.id = id.to_owned();
}

fn choose_ecdsa(scene: &Scene<'_>) {
    let root = &scene.root;
    root.follow(menu("Security > SSH"));
    assert!(root.has_picked(field("Ed25519")));
    root.pick(field("ECDSA P-256"));
    root.follow(button("Save"));
    root.sees(&["New keys are ECDSA P-256 from now on."]);
    assert!(root.has_picked(field("ECDSA P-256")));
}

/// Invites a developer, who follows the link in a browser of their own.
fn invite(scene: &Scene<'_>) -> Browser {
    let root = &scene.root;
    root.follow(menu("Users"));
    root.press(fold("Add a user"));
    root.fill(field("Name"), "ann");
    root.fill(field("E-mail"), "ann@example.com");
    root.choose(field("Role"), "Member");
    root.follow(button("Add and make a one-time link"));
    let first = root.copy(button("Copy"));
    root.follow(menu("Users"));
    root.misses("/invitation?token=");
    root.sees(&["ann@example.com", "Invited"]);
    root.confirm(
        button("New link for ann"),
        "Make a new one-time link for ann?",
    );
    root.sees(&["One-time link for ann", "it is shown this once"]);
    let second = root.copy(button("Copy"));
    assert_ne!(first, second);

    let mut ann = Browser::new(&scene.github.forge.ca_pem()).unwrap();
    assert_eq!(ann.open(&first).unwrap().status, 404);
    let form = ann.open(&second).unwrap().form("/invitation").unwrap();
    let home = ann.submit(&form, &[("password", PASSWORD)]).unwrap();
    assert!(home.text().contains("Hello ann"), "{}", home.text());
    ann
}

fn suspend_and_restore(scene: &Scene<'_>, ann: &mut Browser) {
    let root = &scene.root;
    root.follow(menu("Users"));
    root.follow(link("Suspend ann"));
    root.sees(&["Signs ann out everywhere"]);
    root.tick(field("Yes, suspend ann"));
    root.follow(button("Suspend ann"));
    root.sees(&["ann is suspended.", "Suspended since"]);
    let page = ann.open(&scene.page("/")).unwrap();
    assert_eq!(page.url.path(), "/login");

    root.follow(button("Restore ann"));
    root.sees(&["ann is restored.", "Active"]);
    let fields = [("name", "ann"), ("password", PASSWORD)];
    let page = ann.submit(&page.form("/login").unwrap(), &fields).unwrap();
    assert_eq!(page.url.path(), "/");
}

fn read_the_audit(scene: &Scene<'_>) {
    let root = &scene.root;
    root.follow(menu("Audit"));
    root.sees(&["provider.add"]);
    root.fill(field("Action"), "user.suspend");
    root.follow(button("Filter"));
    root.sees(&["ann suspended"]);
    root.misses("provider.add");

    let folder = scene.world.scratch.path().join("downloads");
    std::fs::create_dir(&folder).unwrap();
    root.window.download_to(&folder).unwrap();
    root.press(link("CSV"));
    let file = folder.join("audit.csv");
    wait_until(|| Ok(file.is_file())).unwrap();
    let exported = std::fs::read_to_string(file).unwrap();
    assert!(
        exported.contains("user.suspend,ann suspended"),
        "{exported}"
    );
    assert_eq!(exported.lines().count(), 2, "{exported}");
}

fn look_over(scene: &Scene<'_>) {
    let root = &scene.root;
    root.follow(menu("Overview"));
    root.sees(&["3\nproviders", "0\nlinks"]);
    root.sees(&["GitHub Enterprise", "GitLab", "Bitbucket"]);
}

/// Something to lose when the provider goes.
fn link_an_account(scene: &Scene<'_>, ann: &mut Browser) {
    let github = &scene.github;
    link_as("ann", github, ann, &scene.world).unwrap();
    let keys = github.forge.keys();
    let ecdsa = |line: &str| line.starts_with("ecdsa-sha2-nistp256 ");
    assert!(keys.iter().any(|key| ecdsa(&key.line)), "{keys:?}");
    scene.root.follow(menu("Overview"));
    scene.root.sees(&["1\nlink"]);
}

fn turn_off(scene: &Scene<'_>, ann: &mut Browser) {
    let root = &scene.root;
    root.follow(menu("Git OAuth"));
    root.follow(link("Edit GitHub Enterprise"));
    root.sees(&[
        "1 link · 1 key",
        "Git gets nothing for those that are linked",
    ]);
    root.tick(field("Turned off"));
    root.follow(button("Save"));
    root.sees(&[
        "Before this is saved",
        "Git gets nothing for 1 link until it is on again.",
    ]);
    root.tick(field("Yes, change it"));
    root.follow(button("Save"));
    root.sees(&["GitHub Enterprise is saved.", "Off"]);
    let accounts = ann
        .open(&scene.page("/preferences/linked-accounts"))
        .unwrap();
    let id = &scene.github.id;
    assert!(accounts.form(&format!("/link/{id}")).is_err());
    let told = accounts
        .text()
        .contains("A site manager has turned this provider off.");
    assert!(told, "{}", accounts.text());
}

fn delete(scene: &Scene<'_>) {
    let (root, forge) = (&scene.root, &scene.github.forge);
    root.follow(link("Edit GitHub Enterprise"));
    root.follow(link("Delete"));
    root.sees(&[
        "Delete GitHub Enterprise?",
        "1 link of developers ends first",
    ]);
    root.follow(link("Keep it"));
    root.follow(link("Delete"));
    root.tick(field("Unlink all 1 first"));
    root.follow(button("Delete"));
    root.sees(&["The provider is deleted.", "GitLab"]);
    root.misses("GitHub Enterprise");
    let keys = || {
        forge
            .keys()
            .into_iter()
            .filter(|key| key.usage == Usage::Auth)
    };
    wait_until(|| Ok(keys().next().is_none())).unwrap();
    wait_until(|| Ok(forge.tokens().iter().all(|token| !token.alive))).unwrap();
}

fn sign_out(scene: &Scene<'_>) {
    let root = &scene.root;
    root.follow(button("Sign out"));
    assert_eq!(root.path(), "/login");
    root.open(&scene.page("/manage/users"));
    root.sees(&["Your session has ended"]);
}

/// As OpenSSH names a public key.
fn fingerprint(line: &str) -> String {
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-l", "-f", "-"]);
    let mut child = keygen
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{line}").unwrap();
    let said = child.wait_with_output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    said.split(' ').nth(1).unwrap().to_owned()
}
