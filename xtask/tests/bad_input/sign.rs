//! Signatures through the real agent socket: the server signs sign-ins over sessions that a pinned host key has
//! bound, and Git's commits, and refuses and records everything else.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use ssh::agent::{Binding, Request, Response, read_frame, write_frame};
use ssh::public_key::PublicKey;
use ssh::wire::Writer;
use xtask::demo::{DEVELOPER, Demo};
use xtask::workspace::Workspace;
use xtask::world::{text, wait_until};

use crate::common::{
    account, assert_says, assert_success, audit, change_provider, clone, forge, linked, stderr,
};

/// One connection to an SSH agent.
struct Agent(UnixStream);

impl Agent {
    fn connect(socket: &PathBuf) -> Self {
        Self(UnixStream::connect(socket).unwrap())
    }

    fn ask(&mut self, request: &Request) -> Response {
        write_frame(&mut self.0, &request.encode()).unwrap();
        Response::decode(&read_frame(&mut self.0).unwrap().unwrap()).unwrap()
    }

    fn sign(&mut self, key: &[u8], data: Vec<u8>) -> Response {
        let key = key.to_vec();
        self.ask(&Request::Sign {
            key,
            data,
            flags: 0,
        })
    }
}

/// An SSH server's host key, in an agent of OpenSSH, which signs sessions as the server would.
struct HostKey {
    line: String,
    socket: PathBuf,
    process: Child,
}

impl HostKey {
    fn make(workspace: &Workspace, name: &str) -> Self {
        let file = workspace.folder.join(name);
        let path = file.to_str().unwrap();
        workspace
            .run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", path])
            .unwrap();
        let socket = workspace.folder.join(format!("{name}.sock"));
        let mut agent = Command::new("ssh-agent");
        agent
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = agent.spawn().unwrap();
        wait_until(|| Ok(socket.exists())).unwrap();
        let mut add = Command::new("ssh-add");
        let added = add
            .arg(&file)
            .env("SSH_AUTH_SOCK", &socket)
            .output()
            .unwrap();
        assert_success(&added);
        let line = std::fs::read_to_string(file.with_extension("pub")).unwrap();
        Self {
            line: line.trim().to_owned(),
            socket,
            process,
        }
    }

    fn blob(&self) -> Vec<u8> {
        PublicKey::parse(&self.line).unwrap().blob
    }

    /// The session as this server signs it at the end of the key exchange.
    fn bind(&self, session_id: &[u8]) -> Binding {
        let signed = Agent::connect(&self.socket).sign(&self.blob(), session_id.to_vec());
        let Response::Signature(signature) = signed else {
            panic!("the host key does not sign");
        };
        let session_id = session_id.to_vec();
        Binding {
            host_key: self.blob(),
            session_id,
            signature,
            forwarding: false,
        }
    }
}

impl Drop for HostKey {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

const SESSION: &[u8] = b"0123456789abcdef0123456789abcdef";

/// What ssh asks to have signed (RFC 4252 section 7).
fn sign_in(session_id: &[u8], user: &str, key: &[u8]) -> Vec<u8> {
    let request = Writer::new().string(session_id).u8(50).string(user);
    let request = request
        .string("ssh-connection")
        .string("publickey")
        .bool(true);
    request.string("ssh-ed25519").string(key).into_vec()
}

/// What `ssh-keygen -Y sign` asks to have signed (PROTOCOL.sshsig).
fn commit(namespace: &str) -> Vec<u8> {
    let request = Writer::new().raw(b"SSHSIG").string(namespace).string("");
    request.string("sha512").string([7; 64]).into_vec()
}

/// A linked workspace whose provider has a second host key pinned, that of `host`.
struct Stage {
    demo: Demo,
    key: Vec<u8>,
    host: HostKey,
}

impl Stage {
    fn new() -> Self {
        let demo = linked("GitHub.com");
        let host = HostKey::make(&demo.workspace, "host");
        let pinned = json!([forge(&demo).ssh_host_key(), host.line]);
        let (status, answer) = change_provider(
            &demo.world,
            &demo.providers[0].id,
            &json!({ "host_keys": pinned }),
        );
        assert_eq!(status, 200, "{answer}");
        // Starts the agent and lets it learn the new host key.
        demo.workspace
            .run("forgepass", &["setup", "--sign"])
            .unwrap();
        let keys = account(&demo.world).get("/api/v1/keys").unwrap();
        let key = PublicKey::parse(text(&keys[0], "public_key").unwrap())
            .unwrap()
            .blob;
        Self { demo, key, host }
    }

    fn agent(&self) -> Agent {
        Agent::connect(&self.demo.workspace.folder.join("run/forgepass/agent.sock"))
    }

    /// Asks over a connection of its own that says these things of its session first.
    fn ask(&self, bindings: &[Binding], data: Vec<u8>) -> Response {
        let mut agent = self.agent();
        for binding in bindings {
            assert_eq!(
                agent.ask(&Request::Bind(binding.clone())),
                Response::Success
            );
        }
        agent.sign(&self.key, data)
    }

    #[track_caller]
    fn assert_refused(&self, bindings: &[Binding], data: Vec<u8>, why: &str) {
        let before = audit(&self.demo.world, "sign.refuse").len();
        assert_eq!(self.ask(bindings, data), Response::Failure);
        let refusals = audit(&self.demo.world, "sign.refuse");
        assert_eq!(refusals.len(), before + 1, "{refusals:?}");
        assert_says(&refusals[0], &[why]);
    }

    #[track_caller]
    fn assert_signed(&self, bindings: &[Binding], data: Vec<u8>) {
        let answer = self.ask(bindings, data);
        let why = audit(&self.demo.world, "sign.refuse");
        assert!(
            matches!(answer, Response::Signature(_)),
            "{answer:?} {why:?}"
        );
    }

    /// Lets the workspace sign in with clients that do not bind their sessions, as a person may on approval.
    fn with_unbound_allowed() -> Self {
        let mut stage = Self::new();
        let ask = json!({ "name": "old", "unbound_allowed": true });
        let made: Value = account(&stage.demo.world)
            .post("/api/v1/workspaces", &ask)
            .unwrap();
        let file = stage.demo.workspace.folder.join("token");
        std::fs::write(&file, text(&made, "token").unwrap()).unwrap();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let token = (
            "FORGEPASS_TOKEN_FILE".to_owned(),
            file.to_str().unwrap().to_owned(),
        );
        let url = ("FORGEPASS_URL".to_owned(), stage.demo.world.url.clone());
        stage.demo.workspace.variables.extend([token, url]);
        stage.demo.workspace.run("forgepass", &["status"]).unwrap();
        stage
    }
}

#[test]
fn signs_sign_ins_over_bound_sessions_and_commits_and_nothing_else() {
    let stage = Stage::new();
    let bound = stage.host.bind(SESSION);
    let good = || sign_in(SESSION, "git", &stage.key);
    stage.assert_signed(std::slice::from_ref(&bound), good());
    stage.assert_signed(&[], commit("git"));
    stage.assert_signed(std::slice::from_ref(&bound), commit("git"));

    let one = std::slice::from_ref(&bound);
    stage.assert_refused(
        one,
        b"anything else".to_vec(),
        "neither an SSH sign-in nor a Git signature",
    );
    stage.assert_refused(
        one,
        Vec::new(),
        "neither an SSH sign-in nor a Git signature",
    );
    let longer = [good(), b"x".to_vec()].concat();
    stage.assert_refused(one, longer, "neither an SSH sign-in nor a Git signature");
    stage.assert_refused(&[], commit("file"), "signatures are made for Git only");
    stage.assert_refused(one, sign_in(SESSION, "root", &stage.key), "not `root`");
    stage.assert_refused(
        one,
        sign_in(SESSION, "git", &stage.host.blob()),
        "another key",
    );
    let foreign = sign_in(&[9; 32], "git", &stage.key);
    stage.assert_refused(one, foreign, "another session");
    stage.assert_refused(&[], good(), "did not bind its session");

    let forwarded = Binding {
        forwarding: true,
        ..bound.clone()
    };
    stage.assert_refused(
        std::slice::from_ref(&forwarded),
        good(),
        "forwards the agent",
    );
    stage.assert_refused(&[forwarded, bound.clone()], good(), "forwards the agent");
    let unknown = HostKey::make(&stage.demo.workspace, "unknown");
    stage.assert_refused(
        &[unknown.bind(SESSION)],
        good(),
        "host key is none of the provider's pinned",
    );
    let other_session = stage.host.bind(&[9; 32]);
    let forged = Binding {
        signature: other_session.signature,
        ..bound.clone()
    };
    stage.assert_refused(&[forged], good(), "did not sign the session");

    // A key that is nobody's never reaches the server, and does not work either.
    let stray = stage
        .agent()
        .sign(&unknown.blob(), sign_in(SESSION, "git", &unknown.blob()));
    assert_eq!(stray, Response::Failure);
    // After all that, the real thing still works.
    let urls = forge(&stage.demo)
        .create_repository(DEVELOPER, "app")
        .unwrap();
    assert_success(&clone(&stage.demo.workspace, &urls.ssh, "app"));
}

#[test]
fn an_unbound_sign_in_is_signed_where_a_person_allowed_it_and_recorded_as_such() {
    let stage = Stage::with_unbound_allowed();
    let folder = stage.demo.workspace.folder.join("run/forgepass");
    let folders = std::fs::read_dir(folder).unwrap().flatten();
    let socket = folders
        .map(|entry| entry.path().join("agent.sock"))
        .find(|socket| socket.exists());
    let mut agent = Agent::connect(&socket.unwrap());
    let signed = agent.sign(&stage.key, sign_in(SESSION, "git", &stage.key));
    assert!(matches!(signed, Response::Signature(_)), "{signed:?}");
    assert_says(
        &audit(&stage.demo.world, "sign.give")[0],
        &["an unbound sign-in"],
    );
    let root = agent.sign(&stage.key, sign_in(SESSION, "root", &stage.key));
    assert_eq!(root, Response::Failure);
}

#[test]
fn the_ssh_wrapper_says_why_after_sshs_own_words() {
    let stage = Stage::new();
    let demo = &stage.demo;
    let urls = forge(demo).create_repository(DEVELOPER, "app").unwrap();
    let url = urls.ssh.replace("git@", "root@");
    let refused = clone(&demo.workspace, &url, "app");
    assert!(!refused.status.success());
    let said = stderr(&refused);
    let (_, after) = said.split_once("Permission denied").unwrap();
    assert_says(after, &["SSH user is `git`, not `root`"]);
    assert_says(&audit(&demo.world, "sign.refuse")[0], &["not `root`"]);

    // The site manager takes a host key back: whoever still trusts it gets no signature.
    assert_success(&clone(&demo.workspace, &urls.ssh, "before"));
    let path = &demo.providers[0].id;
    let (status, answer) = change_provider(
        &demo.world,
        path,
        &json!({ "host_keys": [stage.host.line] }),
    );
    assert_eq!(status, 200, "{answer}");
    let refused = clone(&demo.workspace, &urls.ssh, "after");
    assert!(!refused.status.success());
    let said = stderr(&refused);
    let by_server = said.contains("host key is none of the provider's pinned");
    let by_ssh = said.contains("HOST IDENTIFICATION HAS CHANGED")
        || said.contains("Host key verification failed");
    assert!(by_server || by_ssh, "{said}");
    assert!(said.to_lowercase().contains("forgepass"), "{said}");
}
