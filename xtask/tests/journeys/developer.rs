//! A developer's journey: from the invitation over linked accounts and a working Git to signing out.

use testforge::{Forge, Usage};
use tokio::runtime::Runtime;
use xtask::browser::Browser;
use xtask::chromium::Chromium;
use xtask::demo::{PROVIDERS, Provider};
use xtask::workspace::Workspace;
use xtask::world::{self, Api, Build, World, text, wait_until};

use crate::PASSWORD;
use crate::control::{button, field, fold, link, menu};
use crate::keyboard;
use crate::person::{Hand, Person};

/// A developer with a workspace, before a server with three providers.
struct Scene<'a> {
    /// First, so that its agent ends while the server still runs.
    workspace: Workspace,
    ann: Person<'a>,
    github: Provider,
    gitlab: Provider,
    azure: Provider,
    world: World,
    _runtime: Runtime,
}

/// Walks all of it.
pub(crate) fn journey(hand: Hand) {
    let chromium = Chromium::start().unwrap();
    let scene = Scene::new(&chromium, hand);
    accept_the_invitation(&scene);
    skip_the_navigation(&scene);
    link_github(&scene);
    link_gitlab(&scene);
    regenerate_the_key(&scene);
    paste_a_key_by_hand(&scene);
    sign_a_workspace_in(&scene);
    work_in_it(&scene);
    link_again(&scene);
    deny(&scene);
    unlink(&scene);
    make_and_revoke_an_api_token(&scene);
    make_and_revoke_a_workspace_token(&scene);
    end_another_session(&scene);
    sign_out_and_come_back(&scene);
}

impl<'a> Scene<'a> {
    fn new(chromium: &'a Chromium, hand: Hand) -> Self {
        let programs = world::build(Build::Debug).unwrap();
        let runtime = Runtime::new().unwrap();
        let world = World::start(&programs).unwrap();
        let provider = |title: &str| {
            let row = PROVIDERS.iter().find(|row| row.title == title).unwrap();
            Provider::register(row, &world, &runtime).unwrap()
        };
        Self {
            workspace: Workspace::new(&world, "w").unwrap(),
            ann: Person::new(chromium, hand),
            github: provider("GitHub.com"),
            gitlab: provider("GitLab"),
            azure: provider("Azure Repos"),
            world,
            _runtime: runtime,
        }
    }

    fn page(&self, path: &str) -> String {
        format!("{}{path}", self.world.url)
    }
}

fn accept_the_invitation(scene: &Scene<'_>) {
    let ann = &scene.ann;
    let user = serde_json::json!({ "name": "ann", "role": "member" });
    let invitation = scene.world.manage.post("/api/v1/users", &user).unwrap();
    ann.open(text(&invitation, "url").unwrap());
    ann.sees(&["Choose a password", "Your name here is ann"]);
    ann.fill(field("Password"), PASSWORD);
    ann.follow(button("Save and sign in"));
    ann.sees(&[
        "Hello ann",
        "Link your first account",
        "No account is linked yet",
    ]);
}

/// The first thing that Tab comes to leads past the navigation, to the page's own first control.
fn skip_the_navigation(scene: &Scene<'_>) {
    let ann = &scene.ann;
    if ann.hand == Hand::Keyboard {
        ann.press(link("Skip to content"));
        ann.window.press(keyboard::TAB).unwrap();
        assert!(ann.window.has("main a.first:focus").unwrap());
    }
    ann.follow(link("Link an account"));
}

fn link_github(scene: &Scene<'_>) {
    let ann = &scene.ann;
    ann.follow(button("Link your account at GitHub.com"));
    consent(ann, "admin:public_key");
    ann.sees(&["repo", "workflow"]);
    ann.misses("admin:public_key");
    consent(ann, "workflow");
    ann.sees(&["Linked ann at GitHub.com."]);
    placed(scene, &scene.github);
    ann.sees_in("GitHub.com", &["ann", "Linked"]);
    ann.sees_in("GitHub.com", &["For keys", "admin:public_key"]);
    ann.sees_in("GitHub.com", &["For Git", "workflow"]);
}

fn link_gitlab(scene: &Scene<'_>) {
    let ann = &scene.ann;
    ann.follow(button("Link your account at GitLab"));
    consent_to_gitlab(ann);
    placed(scene, &scene.gitlab);
    ann.sees_in("GitLab", &["ann", "Linked", "api", "write_repository"]);
}

/// Agrees once more for Git alone.
fn consent_to_gitlab(ann: &Person<'_>) {
    consent(ann, "api");
    consent(ann, "write_repository");
    ann.sees(&["Linked ann at GitLab."]);
}

/// Reads what the provider asks, and agrees.
fn consent(ann: &Person<'_>, scope: &str) {
    ann.sees(&["wants to act for you", scope]);
    ann.follow(button("Approve"));
}

/// Waits until the key is at the provider, and says so.
fn placed(scene: &Scene<'_>, provider: &Provider) {
    let (ann, forge) = (&scene.ann, &provider.forge);
    wait_until(|| Ok(!forge.keys().is_empty())).unwrap();
    ann.reloads_until(provider.row.name, is_placed);
    ann.sees_in(provider.row.name, &[&forge.keys()[0].fingerprint]);
}

fn is_placed(shown: &str) -> bool {
    shown.contains("At the provider")
}

fn regenerate_the_key(scene: &Scene<'_>) {
    let (ann, forge) = (&scene.ann, &scene.gitlab.forge);
    ann.follow(menu("SSH keys"));
    ann.sees_in("GitLab", &["ann", "Ed25519", "At the provider"]);
    let old = ann.copy(button("Copy").within("GitLab"));
    assert!(is_at(forge, &old));
    ann.follow(link("Regenerate the key for GitLab"));
    ann.sees(&["Regenerate the key for GitLab?", "is taken away there"]);
    ann.follow(link("Keep the old one"));
    ann.follow(link("Regenerate the key for GitLab"));
    ann.follow(button("Regenerate"));
    wait_until(|| Ok(!is_at(forge, &old))).unwrap();
    ann.reloads_until("GitLab", |shown| is_placed(shown) && !shown.contains(&old));
    let new = ann.copy(button("Copy").within("GitLab"));
    assert_ne!(new, old);
    assert!(is_at(forge, &new));
}

/// Whether this public key opens the forge; it keeps no comments, and an old key may stay to verify commits.
fn is_at(forge: &Forge, public_key: &str) -> bool {
    let keys = forge.keys().into_iter();
    let mut keys = keys.filter(|key| key.usage != Usage::Signing);
    keys.any(|key| public_key.starts_with(&key.line))
}

fn paste_a_key_by_hand(scene: &Scene<'_>) {
    let (ann, forge) = (&scene.ann, &scene.azure.forge);
    ann.follow(menu("Linked accounts"));
    ann.follow(link("Paste your key there").within("Azure Repos"));
    ann.sees_in(
        "Azure Repos",
        &["RSA 3072", "Paste by hand", "Open User settings"],
    );
    let page = ann.leads_to(link("Open the page at Azure Repos"));
    assert_eq!(page, format!("{}/_usersSettings/keys", forge.url()));
    let line = ann.copy(button("Copy").within("Azure Repos"));
    forge.accept_key_by_hand("ann", &line).unwrap();
}

fn sign_a_workspace_in(scene: &Scene<'_>) {
    let (ann, workspace) = (&scene.ann, &scene.workspace);
    ann.follow(menu("Home"));
    ann.sees(&[
        "Sign a workspace in",
        &format!("forgepass login {}", scene.world.url),
    ]);
    let asking = workspace.ask_to_sign_in(&scene.world, "laptop").unwrap();
    let (_, code) = asking.address.split_once("code=").unwrap();
    ann.open(&asking.address);
    ann.sees(&["Approve a workspace", code, "laptop"]);
    ann.follow(button("Approve"));
    ann.sees(&["Approved."]);
    asking.finish().unwrap();
    if ann.hand == Hand::WithoutScript {
        ann.follow(menu("Workspaces"));
    }
    // The script looks again by itself.
    ann.sees(&["laptop", "no credential yet"]);
}

fn work_in_it(scene: &Scene<'_>) {
    let (ann, workspace) = (&scene.ann, &scene.workspace);
    let https = scene
        .github
        .forge
        .create_repository("ann", "app")
        .unwrap()
        .https;
    let seen = workspace.run("git", &["ls-remote", &https]).unwrap();
    assert!(seen.contains("HEAD"), "{seen}");
    workspace
        .run("git", &["clone", "--quiet", &https, "app"])
        .unwrap();
    let ssh = scene
        .azure
        .forge
        .create_repository("ann", "app")
        .unwrap()
        .ssh;
    workspace.run("git", &["ls-remote", &ssh]).unwrap();
    ann.follow(menu("Home"));
    ann.sees(&["All is set", "laptop"]);
    // The first signature shows that the key was pasted.
    ann.follow(menu("SSH keys"));
    ann.sees_in("Azure Repos", &["At the provider"]);
}

fn link_again(scene: &Scene<'_>) {
    let ann = &scene.ann;
    ann.follow(menu("Linked accounts"));
    ann.follow(button("Link again: ann").within("GitLab"));
    consent_to_gitlab(ann);
    ann.reloads_until("GitLab", is_placed);
}

fn deny(scene: &Scene<'_>) {
    let ann = &scene.ann;
    ann.follow(button("Link again: ann").within("GitLab"));
    ann.sees(&["wants to act for you"]);
    ann.follow(button("Deny"));
    ann.sees(&[
        "The consent at GitLab was not given.",
        "nothing was changed",
    ]);
    ann.follow(link("Go to linked accounts"));
    ann.sees_in("GitLab", &["ann", "Linked"]);
}

fn unlink(scene: &Scene<'_>) {
    let (ann, forge) = (&scene.ann, &scene.gitlab.forge);
    ann.follow(link("Unlink ann").within("GitLab"));
    ann.sees(&[
        "Unlink ann at GitLab?",
        "Git stops working with this account",
    ]);
    ann.follow(link("Keep it"));
    assert!(!forge.keys().is_empty());
    ann.follow(link("Unlink ann").within("GitLab"));
    ann.tick(field("Remove signing keys too"));
    ann.follow(button("Unlink"));
    ann.sees(&["Unlinked."]);
    ann.sees_in("GitLab", &["Not linked."]);
    wait_until(|| Ok(forge.keys().is_empty())).unwrap();
    wait_until(|| Ok(forge.tokens().iter().all(|token| !token.alive))).unwrap();
}

fn make_and_revoke_an_api_token(scene: &Scene<'_>) {
    let ann = &scene.ann;
    ann.follow(menu("Sign-in"));
    ann.fill(field("What it is for"), "figures");
    ann.fill(field("Ends after (days)"), "7");
    ann.follow(button("Make an API token"));
    ann.sees(&["API token figures", "it is shown this once"]);
    let token = ann.copy(button("Copy"));
    let api = Api::new(&scene.world.url, &token);
    assert_eq!(
        text(&api.get("/api/v1/me").unwrap(), "name").unwrap(),
        "ann"
    );
    ann.follow(menu("Sign-in"));
    ann.misses(&token);
    ann.confirm(button("Revoke figures"), "Revoke the API token figures?");
    ann.sees(&["The API token is revoked.", "No API token."]);
    let (status, _) = api.try_ask("GET", "/api/v1/me", None).unwrap();
    assert_eq!(status, 401);
}

fn make_and_revoke_a_workspace_token(scene: &Scene<'_>) {
    let ann = &scene.ann;
    ann.follow(menu("Workspaces"));
    ann.press(fold("Make a token for CI or an image"));
    ann.fill(field("Name"), "image");
    ann.follow(button("Make the token"));
    ann.sees(&["Token of image", "it is shown this once"]);
    let token = ann.copy(button("Copy"));
    let api = Api::new(&scene.world.url, &token);
    api.get("/api/v1/workspace").unwrap();
    ann.follow(menu("Workspaces"));
    ann.misses(&token);
    ann.confirm(
        button("Revoke image"),
        "Revoke image? Git stops working there",
    );
    ann.sees(&["laptop"]);
    ann.misses("Revoke image");
    let (status, _) = api.try_ask("GET", "/api/v1/workspace", None).unwrap();
    assert_eq!(status, 401);
}

fn end_another_session(scene: &Scene<'_>) {
    let ann = &scene.ann;
    let mut other = Browser::new(&scene.github.forge.ca_pem()).unwrap();
    let page = other.open(&scene.page("/login")).unwrap();
    let fields = [("name", "ann"), ("password", PASSWORD)];
    let home = other
        .submit(&page.form("/login").unwrap(), &fields)
        .unwrap();
    assert_eq!(home.url.path(), "/");
    ann.follow(menu("Sign-in"));
    ann.sees(&["This browser"]);
    ann.follow(button("End the session from 127.0.0.1"));
    ann.sees(&["The session is ended.", "This browser"]);
    let page = other.open(&scene.page("/")).unwrap();
    assert_eq!(page.url.path(), "/login");
}

fn sign_out_and_come_back(scene: &Scene<'_>) {
    let ann = &scene.ann;
    ann.follow(button("Sign out"));
    assert_eq!(ann.path(), "/login");
    ann.open(&scene.page("/preferences/ssh-keys"));
    assert_eq!(ann.path(), "/login");
    ann.sees(&["Your session has ended"]);
    ann.fill(field("Name"), "ann");
    ann.fill(field("Password"), PASSWORD);
    ann.follow(button("Sign in"));
    assert_eq!(ann.path(), "/preferences/ssh-keys");
    ann.sees(&["SSH keys", "GitHub.com"]);
}
