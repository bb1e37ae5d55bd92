//! Real Git over HTTPS and SSH against a stand-in forge, with the stand-in server handing out what the
//! forge takes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use api::code;
use testforge::{Forge, RepositoryUrls, Shape};
use tokio::runtime::Runtime;

use crate::server::{credential, problem, provider, setup};
use crate::world::{World, assert_success, gits, stderr, stdout};

/// A machine, a forge with one account `ann`, and her private repository there.
pub(crate) struct Net {
    pub(crate) world: World,
    pub(crate) forge: Forge,
    pub(crate) urls: RepositoryUrls,
    pub(crate) runtime: Runtime,
}

impl Net {
    pub(crate) fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let forge = runtime.block_on(testforge::start(Shape::OtherGit)).unwrap();
        forge.add_account("ann");
        forge.set_password("ann", "good").unwrap();
        let urls = forge.create_repository("ann", "a").unwrap();
        let mut world = World::new();
        let key = world.make_key("ed25519");
        forge.accept_key_by_hand("ann", &key).unwrap();
        let mut ours = provider(forge.url());
        ours.ca_pem = Some(forge.ca_pem());
        ours.ssh_addresses = vec![forge.ssh_address().to_owned()];
        ours.host_keys = vec![forge.ssh_host_key().to_owned()];
        ours.links[0].keys = vec![key];
        world.server.state().setup = setup(vec![ours]);
        world
            .server
            .state()
            .credentials
            .push_back(Ok(credential("good")));
        world.sign_in();
        assert_success(&world.forgepass(&["setup"]).output().unwrap());
        Self {
            world,
            forge,
            urls,
            runtime,
        }
    }

    pub(crate) fn git(&self, git: &Path, args: &[&str]) -> Output {
        self.world.git(git, args).output().unwrap()
    }

    pub(crate) fn clone(&self, git: &Path, url: &str, name: &str) -> Output {
        let target = self.world.path(name);
        self.git(git, &["clone", "-q", url, target.to_str().unwrap()])
    }

    /// Commits a file of this many bytes that do not compress.
    fn commit(&self, git: &Path, name: &str, bytes: usize) {
        let folder = self.world.path(name);
        let mut seed = 88_172_645_463_325_252_u64;
        let noise: Vec<u8> = (0..bytes)
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed.to_le_bytes()[0]
            })
            .collect();
        fs::write(folder.join("noise"), noise).unwrap();
        let folder = folder.to_str().unwrap();
        assert_success(&self.git(git, &["-C", folder, "add", "."]));
        assert_success(&self.git(git, &["-C", folder, "commit", "-q", "-m", "noise"]));
    }
}

fn knows_states(git: &Path) -> bool {
    let out = Command::new(git)
        .args(["credential", "capability"])
        .output()
        .unwrap();
    stdout(&out).contains("capability state")
}

#[test]
fn clones_and_pushes_over_https_and_ssh() {
    let net = Net::new();
    for git in gits() {
        for url in [&net.urls.https, &net.urls.ssh] {
            let name = format!("clone-{}", url.len() + git.as_os_str().len() * 1000);
            assert_success(&net.clone(&git, url, &name));
            net.commit(&git, &name, 100 + name.len());
            let folder = net.world.path(&name);
            let pushed = net.git(
                &git,
                &[
                    "-C",
                    folder.to_str().unwrap(),
                    "push",
                    "-q",
                    "--force",
                    "origin",
                    "HEAD:refs/heads/x",
                ],
            );
            assert_success(&pushed);
        }
    }
}

#[test]
fn a_token_killed_before_its_use_fails_no_fetch() {
    let Some(git) = gits().into_iter().find(|git| knows_states(git)) else {
        return;
    };
    let net = Net::new();
    net.world.server.state().credentials =
        [Ok(credential("killed")), Ok(credential("good"))].into();
    assert_success(&net.clone(&git, &net.urls.https, "clone"));
    let state = net.world.server.state();
    assert_eq!(state.asked.len(), 2);
    assert_eq!(state.asked[1].state.as_deref(), Some("state-of-killed"));
}

#[test]
fn a_token_killed_before_the_body_fails_no_push_of_three_megabytes() {
    let Some(git) = gits().into_iter().find(|git| knows_states(git)) else {
        return;
    };
    let net = Net::new();
    assert_success(&net.clone(&git, &net.urls.https, "clone"));
    net.commit(&git, "clone", 3 * 1024 * 1024);
    // The hook runs after Git has listed the branches and before it sends the body: the old token dies there.
    let hook = net.world.path("clone/.git/hooks/pre-push");
    let marker = net.world.path("pre-push-ran");
    fs::write(
        &hook,
        format!(
            "#!/bin/sh\ntouch '{}'\nwhile [ -e '{}' ]; do sleep 0.02; done\n",
            marker.display(),
            marker.display()
        ),
    )
    .unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    net.world.server.state().asked.clear();
    std::thread::scope(|scope| {
        let folder = net.world.path("clone");
        // HTTP/1.1, because curl 7.88 fails where an HTTP/2 server refuses a request before it has
        // read the body, whatever the credential.
        let mut push = net.world.git(
            &git,
            &[
                "-C",
                folder.to_str().unwrap(),
                "-c",
                "http.version=HTTP/1.1",
            ],
        );
        push.args(["push", "-q", "origin", "HEAD:refs/heads/big"]);
        let push = scope.spawn(move || push.output().unwrap());
        crate::world::until("git has listed the branches", || marker.exists());
        net.forge.set_password("ann", "better").unwrap();
        net.world.server.state().credentials = [Ok(credential("better"))].into();
        fs::remove_file(&marker).unwrap();
        assert_success(&push.join().unwrap());
    });
    let asked = net.world.server.state().asked.len();
    assert!(asked <= 3, "{asked} requests");
}

#[test]
fn a_token_that_stays_refused_ends_in_an_error_after_three_helper_calls_at_most() {
    for git in gits() {
        let net = Net::new();
        net.world.server.state().credentials = [Ok(credential("bad"))].into();
        let log = net.world.path("calls");
        let target = net.world.path("clone");
        let mut clone = net.world.git(
            &git,
            &["clone", "-q", &net.urls.https, target.to_str().unwrap()],
        );
        let out = clone.env("GIT_TRACE", &log).output().unwrap();
        assert!(!out.status.success());
        let trace = fs::read_to_string(&log).unwrap();
        let calls = trace
            .lines()
            .filter(|line| line.contains("run_command: ") && line.contains("credential get"))
            .count();
        assert!((1..=3).contains(&calls), "{calls} calls\n{trace}");
    }
}

#[test]
fn the_users_own_ssh_configuration_does_not_get_in_the_way() {
    let git = &gits()[0];
    for own in [
        "IdentitiesOnly yes\nIdentityFile ~/.ssh/id_ed25519\n",
        "ControlMaster auto\nControlPath ~/.ssh/cm-%C\nControlPersist 30\n",
        "ForwardAgent yes\n",
        "HostKeyAlias elsewhere\n",
        "UserKnownHostsFile /dev/null\nStrictHostKeyChecking no\nGlobalKnownHostsFile /dev/null\n",
        "IdentityAgent none\nKnownHostsCommand /bin/false\n",
    ] {
        let net = Net::new();
        let ssh = net.world.home().join(".ssh");
        fs::create_dir(&ssh).unwrap();
        fs::set_permissions(&ssh, fs::Permissions::from_mode(0o700)).unwrap();
        let mut keygen = net.world.command("ssh-keygen");
        assert_success(
            &keygen
                .args(["-q", "-N", "", "-t", "ed25519", "-f"])
                .arg(ssh.join("id_ed25519"))
                .output()
                .unwrap(),
        );
        // OpenSSH takes the home folder from the user database, not from HOME: hand the file over by name.
        let config = net.world.path("ssh_config");
        let text = own.replace("~/.ssh", ssh.to_str().unwrap());
        fs::write(&config, format!("Host *\n{text}")).unwrap();
        let wrapper = net.world.path("bin/ssh");
        fs::write(
            &wrapper,
            format!(
                "#!/bin/sh\nexec /usr/bin/ssh -F '{}' \"$@\"\n",
                config.display()
            ),
        )
        .unwrap();
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        assert_success(&net.clone(git, &net.urls.ssh, "clone"));
        let bindings = net.world.server.state().signs[0].bindings.len();
        assert_eq!(bindings, 1, "the session was bound: {own}");
    }
}

#[test]
fn a_changed_host_key_is_told_and_nothing_is_signed() {
    let net = Net::new();
    let other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBk6fEyN3ZVDyfuyBTaJkVS8xOeL2aJ8MZXaiIkjIrDH";
    let mut state = net.world.server.state();
    state.setup.version.push('h');
    state.setup.providers[0].host_keys = vec![other.to_owned()];
    drop(state);
    assert_success(&net.world.forgepass(&["status"]).output().unwrap());
    let out = net.clone(&gits()[0], &net.urls.ssh, "clone");
    assert!(!out.status.success());
    let text = stderr(&out);
    assert!(text.contains("HOST IDENTIFICATION HAS CHANGED"), "{text}");
    assert!(text.contains("the site manager has pinned"), "{text}");
    assert!(net.world.server.state().signs.is_empty());
}

#[test]
fn a_provider_without_pinned_host_keys_is_not_trusted() {
    let net = Net::new();
    let mut state = net.world.server.state();
    state.setup.version.push('h');
    state.setup.providers[0].host_keys.clear();
    drop(state);
    assert_success(&net.world.forgepass(&["status"]).output().unwrap());
    let out = net.clone(&gits()[0], &net.urls.ssh, "clone");
    assert!(!out.status.success());
    assert!(
        stderr(&out).contains("no host key of GitLab is pinned"),
        "{}",
        stderr(&out)
    );
}

#[test]
fn says_why_the_server_refused_to_sign() {
    let net = Net::new();
    net.world.server.state().sign_problem = Some(problem(
        403,
        code::SIGN_REFUSED,
        "the session is for another user name",
    ));
    let out = net.clone(&gits()[0], &net.urls.ssh, "clone");
    assert!(!out.status.success());
    let text = stderr(&out);
    let denied = text.find("Permission denied").unwrap();
    assert!(
        text.find("the session is for another user name").unwrap() > denied,
        "{text}"
    );
}

#[test]
fn says_that_it_waits_for_a_server_that_restarts() {
    let net = Net::new();
    net.world.server.state().sign_problem =
        Some(problem(503, code::TRANSIENT, "the database is away"));
    std::thread::scope(|scope| {
        let cloning = scope.spawn(|| net.clone(&gits()[0], &net.urls.ssh, "clone"));
        crate::world::until("it has asked twice", || {
            net.world.server.state().signs.len() >= 2
        });
        net.world.server.state().sign_problem = None;
        let out = cloning.join().unwrap();
        assert_success(&out);
        assert!(
            stderr(&out).contains("trying for 30 seconds"),
            "{}",
            stderr(&out)
        );
    });
}

#[test]
fn a_dead_link_without_a_key_is_told_instead_of_a_denied_permission() {
    let net = Net::new();
    let mut state = net.world.server.state();
    state.setup.version.push('d');
    state.setup.providers[0].links[0].keys.clear();
    state.setup.providers[0].links[0].dead = Some("ann withdrew the consent".to_owned());
    drop(state);
    assert_success(&net.world.forgepass(&["status"]).output().unwrap());
    let out = net.clone(&gits()[0], &net.urls.ssh, "clone");
    let text = stderr(&out);
    assert!(
        text.contains("the link to GitLab is dead: ann withdrew the consent"),
        "{text}"
    );
}

/// A stand-in for ssh that writes down how it was called.
fn record_ssh(world: &World, version: &str) {
    let log = world.path("ssh-args");
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = -V ]; then echo '{version}' >&2; exit 0; fi\nprintf '%s\\n' \"$@\" > '{}'\nexit 255\n",
        log.display()
    );
    let program = world.path("bin/ssh");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
}

fn recorded(world: &World) -> Vec<String> {
    fs::read_to_string(world.path("ssh-args"))
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn adds_nothing_for_hosts_that_are_not_ours_or_where_ssh_does_not_connect() {
    let net = Net::new();
    record_ssh(&net.world, "OpenSSH_9.2p1");
    let host = net
        .forge
        .ssh_address()
        .split(':')
        .next()
        .unwrap()
        .to_owned();
    for args in [
        vec!["git@elsewhere.example.com", "git-upload-pack 'a'"],
        vec!["-G", &host],
        vec!["-p", "1", &host],
    ] {
        let status = net
            .world
            .command(net.world.files().join("ssh"))
            .args(&args)
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(255));
        assert_eq!(recorded(&net.world), args);
    }
}

#[test]
fn tells_an_older_ssh_nothing_it_does_not_know() {
    for (version, knows) in [
        ("OpenSSH_8.4p1 Debian", false),
        ("OpenSSH_9.2p1 Debian", true),
    ] {
        let net = Net::new();
        record_ssh(&net.world, version);
        let (host, port) = net.forge.ssh_address().split_once(':').unwrap();
        let args = ["-p", port, &format!("git@{host}"), "git-upload-pack 'a'"];
        net.world
            .command(net.world.files().join("ssh"))
            .args(args)
            .output()
            .unwrap();
        let words = recorded(&net.world);
        assert_eq!(
            words.iter().any(|word| word == "KnownHostsCommand=none"),
            knows,
            "{version}: {words:?}"
        );
        assert!(
            words.iter().any(|word| word == "HostKeyAlias=fp-prv_1"),
            "{words:?}"
        );
    }
}

#[test]
fn runs_the_users_own_ssh_command_for_other_hosts() {
    let world = World::signed_in();
    let own = world.path("bin/own-ssh");
    fs::write(
        &own,
        format!(
            "#!/bin/sh\nprintf '%s\\n' \"$@\" > '{}'\n",
            world.path("ssh-args").display()
        ),
    )
    .unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(
        world.home().join(".gitconfig"),
        format!("[core]\n\tsshCommand = {} -v\n", own.display()),
    )
    .unwrap();
    assert_success(&world.forgepass(&["setup"]).output().unwrap());
    let status = world
        .command(world.files().join("ssh"))
        .arg("git@elsewhere.example.com")
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(recorded(&world), ["-v", "git@elsewhere.example.com"]);
}

#[test]
fn works_where_an_editor_has_its_own_askpass() {
    let net = Net::new();
    let askpass = net.world.path("bin/editor-askpass");
    let marker = net.world.path("askpass-ran");
    fs::write(
        &askpass,
        format!("#!/bin/sh\ntouch '{}'\necho wrong\n", marker.display()),
    )
    .unwrap();
    fs::set_permissions(&askpass, fs::Permissions::from_mode(0o755)).unwrap();
    for (number, url) in [&net.urls.https, &net.urls.ssh].into_iter().enumerate() {
        let target = net.world.path(&format!("clone-{number}"));
        let mut clone = net
            .world
            .git(&gits()[0], &["clone", "-q", url, target.to_str().unwrap()]);
        clone
            .env("GIT_ASKPASS", &askpass)
            .env("SSH_ASKPASS", &askpass)
            .env("SSH_ASKPASS_REQUIRE", "force");
        clone
            .env("VSCODE_GIT_ASKPASS_NODE", "/usr/bin/node")
            .env("VSCODE_GIT_ASKPASS_MAIN", "/askpass-main.js");
        clone
            .env("VSCODE_GIT_IPC_HANDLE", "/tmp/vscode-git.sock")
            .env("VSCODE_GIT_COMMAND", "clone");
        assert_success(&clone.output().unwrap());
    }
    assert!(!marker.exists(), "the editor was not asked");
}

#[test]
fn no_secret_reaches_a_file_of_the_workspace() {
    let net = Net::new();
    let canary = "canary-4711";
    net.forge.set_password("ann", canary).unwrap();
    net.world.server.state().credentials = [Ok(credential(canary))].into();
    let git = &gits()[0];
    assert_success(&net.clone(git, &net.urls.https, "clone"));
    assert_success(&net.clone(git, &net.urls.ssh, "clone-ssh"));
    let places = [
        net.world.home(),
        net.world.path("run"),
        net.world.path("clone"),
        net.world.path("tmp"),
    ];
    let mut search = net.world.command("grep");
    let out = search
        .args(["-rlE", "canary-4711|fpw_|PRIVATE KEY"])
        .args(places)
        .output()
        .unwrap();
    let token = net.world.home().join(".config/forgepass/token");
    assert_eq!(stdout(&out), format!("{}\n", token.display()));
}
