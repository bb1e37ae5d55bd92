//! Hosts that are not ours, and providers where nothing is linked: Git and ssh behave as if we were not there.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use std::path::PathBuf;
use std::process::Output;

use common::{assert_success, clone, commit_and_push, fill, forge, gits, script, stderr, stdout};
use testforge::{Forge, RepositoryUrls, Shape};
use xtask::demo::{DEVELOPER, Demo};
use xtask::workspace::Workspace;

/// A Git host that the server has never heard of, with a private repository.
fn stranger(demo: &Demo) -> (Forge, RepositoryUrls) {
    let forge = demo
        .runtime
        .block_on(testforge::start(Shape::OtherGit))
        .unwrap();
    forge.add_account(DEVELOPER);
    forge.set_password(DEVELOPER, "by-hand").unwrap();
    let urls = forge.create_repository(DEVELOPER, "private").unwrap();
    (forge, urls)
}

/// A workspace in which Forgepass was never set up.
fn bare(demo: &Demo) -> Workspace {
    let workspace = Workspace::new(&demo.world, "bare").unwrap();
    for (key, value) in [("user.name", DEVELOPER), ("user.email", "ann@example.com")] {
        let arguments = ["config", "--global", key, value];
        workspace.run("git", &arguments).unwrap();
    }
    workspace
}

fn trust(workspace: &mut Workspace, forge: &Forge) {
    let file = forge.ca_file().to_str().unwrap().to_owned();
    workspace
        .variables
        .push(("GIT_SSL_CAINFO".to_owned(), file));
}

/// A credential helper of somebody else that knows one password; it notes what it was asked.
fn other_helper(workspace: &Workspace) -> PathBuf {
    let asked = workspace.folder.join("asked");
    let helper = workspace.folder.join("bin/helper");
    let answer = format!(
        "echo $1 >> {0}\ncat >> {0}\n[ $1 = get ] && echo username={DEVELOPER} && echo password=by-hand\nexit 0",
        asked.display()
    );
    script(&helper, &answer);
    let helper = helper.to_str().unwrap();
    workspace
        .run("git", &["config", "--global", "credential.helper", helper])
        .unwrap();
    asked
}

/// What a person sees of a command, without what differs between two workspaces anyway.
fn seen(output: &Output) -> (Option<i32>, String, String) {
    (output.status.code(), stdout(output), stderr(output))
}

#[test]
fn git_over_https_says_what_it_says_without_us() {
    let mut demo = common::unlinked(&["GitHub.com"]);
    let (host, urls) = stranger(&demo);
    let mut bare = bare(&demo);
    trust(&mut bare, &host);
    trust(&mut demo.workspace, &host);
    let registered = forge(&demo)
        .create_repository(DEVELOPER, "private")
        .unwrap();
    for git in gits() {
        bare.git = Some(git.clone());
        demo.workspace.git = Some(git);
        // Another host, and a provider of ours where this user has linked nothing.
        for url in [&urls.https, &registered.https] {
            assert_eq!(seen(&fill(&demo.workspace, url)), seen(&fill(&bare, url)));
            let ours = clone(&demo.workspace, url, "private");
            assert!(!ours.status.success());
            assert_eq!(seen(&ours), seen(&clone(&bare, url, "private")));
        }
    }
}

#[test]
fn public_repositories_of_an_unlinked_provider_are_cloned_anonymously() {
    let mut demo = common::unlinked(&["GitHub.com", "GitLab below /gitlab"]);
    for (number, git) in gits().into_iter().enumerate() {
        demo.workspace.git = Some(git);
        for provider in &demo.providers {
            let urls = provider
                .forge
                .create_public_repository("acme", &format!("app-{number}"));
            let name = format!("{}-{number}", provider.id);
            let cloned = clone(&demo.workspace, &urls.unwrap().https, &name);
            assert_success(&cloned);
            assert_eq!(stderr(&cloned), "");
        }
    }
}

#[test]
fn another_helper_is_asked_where_we_know_nothing_and_never_where_we_do() {
    let mut demo = common::unlinked(&["GitHub.com"]);
    let (host, urls) = stranger(&demo);
    trust(&mut demo.workspace, &host);
    let registered = forge(&demo)
        .create_repository(DEVELOPER, "private")
        .unwrap();
    let asked = other_helper(&demo.workspace);
    demo.workspace
        .run("forgepass", &["setup", "--sign"])
        .unwrap();
    for (number, git) in gits().into_iter().enumerate() {
        demo.workspace.git = Some(git);
        let name = format!("private-{number}");
        assert_success(&clone(&demo.workspace, &urls.https, &name));
        assert_success(&commit_and_push(&demo.workspace, &name, &name));
        assert!(
            std::fs::read_to_string(&asked)
                .unwrap()
                .contains("password=by-hand")
        );
        std::fs::remove_file(&asked).unwrap();
        // Nothing is linked there yet, so the other helper may know.
        let filled = stdout(&fill(&demo.workspace, &registered.https));
        assert!(filled.contains("password=by-hand"), "{filled}");
    }
    common::link_first(&mut demo);
    std::fs::remove_file(&asked).unwrap();
    // The agent would hear of the link within a minute; this tells it at once.
    demo.workspace
        .run("forgepass", &["setup", "--sign"])
        .unwrap();
    for (number, git) in gits().into_iter().enumerate() {
        demo.workspace.git = Some(git);
        assert_success(&clone(
            &demo.workspace,
            &registered.https,
            &format!("linked-{number}"),
        ));
    }
    let told = std::fs::read_to_string(&asked).unwrap_or_default();
    assert_eq!(told, "", "another helper saw what is ours");
}

/// The person's own ssh: a key of theirs, host keys they trust, and a note of how it was called.
struct OwnSsh {
    called: PathBuf,
}

impl OwnSsh {
    fn new(workspace: &mut Workspace, forges: &[&Forge]) -> Self {
        let folder = workspace.home().join(".ssh");
        std::fs::create_dir_all(&folder).unwrap();
        let key = folder.join("id_ed25519");
        let key = key.to_str().unwrap();
        workspace
            .run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", key])
            .unwrap();
        let public = std::fs::read_to_string(folder.join("id_ed25519.pub")).unwrap();
        let mut known_hosts = String::new();
        for forge in forges {
            forge.accept_key_by_hand(DEVELOPER, public.trim()).unwrap();
            let (host, port) = forge.ssh_address().rsplit_once(':').unwrap();
            known_hosts.push_str(&format!("[{host}]:{port} {}\n", forge.ssh_host_key()));
        }
        std::fs::write(folder.join("known_hosts"), known_hosts).unwrap();
        // OpenSSH takes the home folder from the user database, not from HOME, so its files are named to it.
        let config = format!(
            "Host *\nIdentityFile {key}\nUserKnownHostsFile {}\nStrictHostKeyChecking yes\n",
            folder.join("known_hosts").display()
        );
        std::fs::write(folder.join("config"), config).unwrap();
        let (bin, called) = (
            workspace.folder.join("own"),
            workspace.folder.join("called"),
        );
        let ssh = xtask::shell::find("ssh").unwrap();
        let run = format!(
            "echo \"$@\" >> {}\nexec {} -F {} \"$@\"",
            called.display(),
            ssh.display(),
            folder.join("config").display()
        );
        script(&bin.join("ssh"), &run);
        let path = format!(
            "{}:{}",
            bin.display(),
            xtask::shell::variable("PATH").unwrap()
        );
        workspace.variables.push(("PATH".to_owned(), path));
        Self { called }
    }

    /// How ssh was called since the last time.
    fn calls(&self) -> String {
        let calls = std::fs::read_to_string(&self.called).unwrap_or_default();
        drop(std::fs::remove_file(&self.called));
        calls
    }
}

#[test]
fn an_own_key_works_at_other_hosts_and_unlinked_providers_as_without_us() {
    let mut demo = common::unlinked(&["GitHub.com"]);
    let (host, urls) = stranger(&demo);
    let registered = forge(&demo)
        .create_repository(DEVELOPER, "private")
        .unwrap();
    let mut bare = bare(&demo);
    let plain = OwnSsh::new(&mut bare, &[&host, forge(&demo)]);
    let registered_forge = &demo.providers[0].forge;
    let ours = OwnSsh::new(&mut demo.workspace, &[&host, registered_forge]);
    for (number, git) in gits().into_iter().enumerate() {
        bare.git = Some(git.clone());
        demo.workspace.git = Some(git);
        for (at, url) in [&urls.ssh, &registered.ssh].into_iter().enumerate() {
            let name = format!("own-{number}-{at}");
            for (whose, workspace) in [("bare", &bare), ("ours", &demo.workspace)] {
                assert_success(&clone(workspace, url, &name));
                assert_success(&commit_and_push(
                    workspace,
                    &name,
                    &format!("{name}-{whose}"),
                ));
            }
            assert_eq!(ours.calls(), plain.calls(), "ssh is called as without us");
        }
    }
}

#[test]
fn our_keys_are_not_shown_to_other_hosts() {
    let mut demo = common::linked("GitHub.com");
    let (host, urls) = stranger(&demo);
    let own = OwnSsh::new(&mut demo.workspace, &[&host]);
    assert_success(&clone(&demo.workspace, &urls.ssh, "private"));
    let called = own.calls();
    assert!(!called.contains("IdentityAgent"), "{called}");
    let offered = host.log().into_iter().filter(|entry| entry.door == "ssh");
    let keys: Vec<String> = offered
        .filter(|entry| entry.method == "publickey")
        .map(|entry| entry.path)
        .collect();
    let ours: Vec<String> = forge(&demo)
        .keys()
        .into_iter()
        .map(|key| key.fingerprint)
        .collect();
    assert!(!keys.is_empty() && !ours.is_empty());
    for fingerprint in ours {
        assert!(
            !keys.iter().any(|key| key.contains(&fingerprint)),
            "{keys:?}"
        );
    }
}

#[test]
fn a_person_at_a_terminal_reads_one_hint_and_git_goes_on() {
    let demo = common::unlinked(&["GitHub.com"]);
    let (_, host) = forge(&demo).url().split_once("://").unwrap();
    let ask = |host: &str| {
        let request = demo.workspace.folder.join("request");
        std::fs::write(&request, format!("protocol=https\nhost={host}\n\n")).unwrap();
        let helper = format!("forgepass credential get < {}", request.display());
        let arguments = ["--quiet", "--return", "--command", &helper, "/dev/null"];
        demo.workspace.run("script", &arguments).unwrap()
    };
    let said = ask(host);
    assert_eq!(said.lines().count(), 1, "{said}");
    common::assert_says(&said, &["hint:", "GitHub.com", "link"]);
    assert_eq!(ask("elsewhere.example.com"), "");
}
