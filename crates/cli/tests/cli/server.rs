//! A stand-in for the Forgepass server: HTTP by hand, answers as the test says.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use api::{
    Credential, CredentialRequest, DeviceRequest, Problem, Report, Setup, SetupLink, SetupProvider,
    SignRequest, Use, code,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The one workspace token that the stand-in takes.
pub(crate) const TOKEN: &str = "fpw_0123456789abcdef";
/// The one API token that the stand-in takes.
pub(crate) const API_TOKEN: &str = "fpa_0123456789abcdef";

/// What the stand-in answers, and what it was asked.
pub(crate) struct State {
    pub(crate) setup: Setup,
    /// Answers to credential requests; the last one stays.
    pub(crate) credentials: VecDeque<Result<Credential, Problem>>,
    /// An OpenSSH agent that holds the private keys.
    pub(crate) signer: Option<PathBuf>,
    /// Why no signature is made.
    pub(crate) sign_problem: Option<Problem>,
    /// How many connections are dropped without an answer.
    pub(crate) away: usize,
    /// Answers to device polls before the token.
    pub(crate) polls: VecDeque<&'static str>,
    pub(crate) asked: Vec<CredentialRequest>,
    pub(crate) signs: Vec<SignRequest>,
    pub(crate) uses: Vec<Use>,
    pub(crate) devices: Vec<DeviceRequest>,
    pub(crate) requests: Vec<String>,
    /// Sends everybody there.
    pub(crate) redirect: Option<String>,
    /// What the user has, as the API token of [`API_TOKEN`] sees it.
    pub(crate) links: Value,
    pub(crate) keys: Value,
    /// How the user stands at the one provider, as the workspace sees it.
    pub(crate) standing: Value,
    /// The server's clock less this machine's, seconds.
    pub(crate) clock_ahead_s: i64,
    /// The oldest command line that the server works with.
    pub(crate) minimum_cli: &'static str,
    /// Bodies of requests by the user.
    pub(crate) bodies: Vec<Value>,
}

/// A running stand-in.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            setup: setup(vec![]),
            credentials: VecDeque::new(),
            signer: None,
            sign_problem: None,
            away: 0,
            polls: VecDeque::new(),
            asked: vec![],
            signs: vec![],
            uses: vec![],
            devices: vec![],
            requests: vec![],
            redirect: None,
            links: json!([]),
            keys: json!([]),
            standing: json!({
                "provider": "GitLab", "login": "ann", "state": "linked", "next_step": null,
                "key_state": "present",
            }),
            clock_ahead_s: 0,
            minimum_cli: "0.1.0",
            bodies: vec![],
        }));
        let server = Self { url, state };
        let doorman = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let server = doorman.clone();
                std::thread::spawn(move || server.serve(stream.unwrap()));
            }
        });
        server
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Drops so many connections without an answer, from now on.
    pub(crate) fn go_away_for(&self, requests: usize) {
        self.state().away = requests;
    }

    /// How often a path was asked for.
    pub(crate) fn count(&self, request: &str) -> usize {
        self.state()
            .requests
            .iter()
            .filter(|one| *one == request)
            .count()
    }

    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        while let Some(request) = Request::read(&mut reader) {
            {
                let mut state = self.state();
                if state.away > 0 {
                    state.away -= 1;
                    return;
                }
            }
            let redirect = self.state().redirect.clone();
            if let Some(to) = redirect {
                let head = format!(
                    "HTTP/1.1 307 X\r\nlocation: {to}{}\r\ncontent-length: 0\r\n\r\n",
                    request.path
                );
                stream.write_all(head.as_bytes()).unwrap();
                continue;
            }
            let (status, body) = self.answer(&request);
            let text = body.map(|body| body.to_string()).unwrap_or_default();
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n",
                text.len()
            );
            if stream
                .write_all(format!("{head}{text}").as_bytes())
                .is_err()
            {
                return;
            }
        }
    }

    fn answer(&self, request: &Request) -> (u16, Option<Value>) {
        let mut state = self.state();
        state
            .requests
            .push(format!("{} {}", request.method, request.path));
        if request.token.as_deref() == Some(API_TOKEN) {
            return as_user(&mut state, request);
        }
        let open = ["/api/v1/meta", "/api/v1/device", "/api/v1/device/token"];
        if !open.contains(&request.path.as_str()) && request.token.as_deref() != Some(TOKEN) {
            return refuse(&problem(
                401,
                code::UNAUTHENTICATED,
                "the workspace token is not known",
            ));
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/api/v1/meta") => (
                200,
                Some(json!({
                    "product": "forgepass", "version": "0.1.0", "minimum_cli": state.minimum_cli,
                    "public_url": "https://forgepass.example.com", "now": now() + state.clock_ahead_s,
                })),
            ),
            ("GET", "/api/v1/workspace/setup") => {
                if request.known.as_deref() == Some(&format!("\"{}\"", state.setup.version)) {
                    return (304, None);
                }
                (200, Some(json!(state.setup)))
            }
            ("GET", "/api/v1/workspace") => (
                200,
                Some(json!({
                    "workspace": workspace(), "user": "ann",
                    "links": [state.standing],
                })),
            ),
            ("DELETE", "/api/v1/workspace") => (204, None),
            ("POST", "/api/v1/credential") => {
                state
                    .asked
                    .push(serde_json::from_slice(&request.body).unwrap());
                let answer = match state.credentials.len() {
                    0 => Err(problem(
                        404,
                        code::NOT_LINKED,
                        "no account at GitLab is linked",
                    )),
                    1 => state.credentials[0].clone(),
                    _ => state.credentials.pop_front().unwrap(),
                };
                match answer {
                    Ok(credential) => (200, Some(json!(credential))),
                    Err(problem) => refuse(&problem),
                }
            }
            ("POST", "/api/v1/report") => {
                let report: Report = serde_json::from_slice(&request.body).unwrap();
                state.uses.extend(report.uses);
                (204, None)
            }
            ("POST", "/api/v1/sign") => sign(&mut state, &request.body),
            ("POST", "/api/v1/device") => {
                state
                    .devices
                    .push(serde_json::from_slice(&request.body).unwrap());
                (
                    200,
                    Some(json!({
                        "device_code": "dev", "user_code": "ABCD-EFGH", "expires_in": 600, "interval": 1,
                        "verification_uri": "https://forgepass.example.com/device",
                        "verification_uri_complete": "https://forgepass.example.com/device?code=ABCD-EFGH",
                    })),
                )
            }
            ("POST", "/api/v1/device/token") => match state.polls.pop_front() {
                Some(code) => refuse(&problem(400, code, "not yet")),
                None => (
                    200,
                    Some(json!({ "token": TOKEN, "workspace": workspace() })),
                ),
            },
            _ => refuse(&problem(404, code::NOT_FOUND, "no such thing")),
        }
    }
}

/// What the user may do, unlike a workspace.
fn as_user(state: &mut State, request: &Request) -> (u16, Option<Value>) {
    if !request.body.is_empty() {
        state
            .bodies
            .push(serde_json::from_slice(&request.body).unwrap());
    }
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/api/v1/links") => (200, Some(state.links.clone())),
        ("GET", "/api/v1/keys") => (200, Some(state.keys.clone())),
        ("POST", "/api/v1/links") => (
            200,
            Some(json!({ "url": "https://forgepass.example.com/link/prv_1" })),
        ),
        ("DELETE", "/api/v1/links/lnk_2") => (204, None),
        ("POST", "/api/v1/keys/key_2/regenerate") => (200, Some(state.keys[0].clone())),
        _ => refuse(&problem(404, code::NOT_FOUND, "no such thing")),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the stand-in tells the time as the server does"
)]
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs().try_into().unwrap()
}

fn workspace() -> Value {
    json!({
        "id": "wsp_1", "name": "box", "address": "127.0.0.1", "created_at": 1, "last_seen_at": null,
        "last_used_at": null, "expires_at": 4_000_000_000_i64, "unbound_allowed": false, "other_machine_at": null,
    })
}

fn refuse(problem: &Problem) -> (u16, Option<Value>) {
    (problem.status, Some(json!(problem)))
}

pub(crate) fn problem(status: u16, code: &str, detail: &str) -> Problem {
    Problem {
        type_uri: "about:blank".to_owned(),
        title: String::new(),
        status,
        detail: detail.to_owned(),
        code: code.to_owned(),
        hint: None,
        help_url: Some("https://forgepass.example.com/preferences/linked-accounts".to_owned()),
        retry_after_s: None,
        support_id: None,
    }
}

pub(crate) fn credential(password: &str) -> Credential {
    Credential {
        username: "ann".to_owned(),
        password: password.to_owned(),
        expires_at: Some(4_000_000_000),
        state: format!("state-of-{password}"),
        link: "lnk_1".to_owned(),
        provider: "GitLab".to_owned(),
    }
}

pub(crate) fn setup(providers: Vec<SetupProvider>) -> Setup {
    Setup {
        version: "1".to_owned(),
        user_name: "Ann Example".to_owned(),
        user_email: Some("ann@example.com".to_owned()),
        providers,
        allowed_signers: String::new(),
    }
}

/// A linked provider at `git_url`.
pub(crate) fn provider(git_url: &str) -> SetupProvider {
    SetupProvider {
        id: "prv_1".to_owned(),
        name: "GitLab".to_owned(),
        git_url: Some(git_url.to_owned()),
        https_segment: None,
        ca_pem: None,
        ssh_user: "git".to_owned(),
        ssh_addresses: vec!["git.example.com".to_owned()],
        host_keys: vec![],
        links: vec![SetupLink {
            id: Some("lnk_1".to_owned()),
            login: Some("ann".to_owned()),
            name: Some("Ann Example".to_owned()),
            email: Some("ann@users.example.com".to_owned()),
            rules: vec![],
            keys: vec![],
            dead: None,
        }],
    }
}

/// Has the test's own OpenSSH agent sign, which holds the private halves.
fn sign(state: &mut State, body: &[u8]) -> (u16, Option<Value>) {
    use ssh::agent::{Request, Response, read_frame, write_frame};
    let ask: SignRequest = serde_json::from_slice(body).unwrap();
    let request = Request::Sign {
        key: STANDARD.decode(&ask.key).unwrap(),
        data: STANDARD.decode(&ask.data).unwrap(),
        flags: ask.flags,
    };
    state.signs.push(ask);
    if let Some(problem) = &state.sign_problem {
        return refuse(problem);
    }
    let mut signer = UnixStream::connect(state.signer.as_ref().unwrap()).unwrap();
    write_frame(&mut signer, &request.encode()).unwrap();
    match Response::decode(&read_frame(&mut signer).unwrap().unwrap()).unwrap() {
        Response::Signature(signature) => (
            200,
            Some(json!({ "signature": STANDARD.encode(signature) })),
        ),
        other => panic!("the signer answered {other:?}"),
    }
}

struct Request {
    method: String,
    path: String,
    token: Option<String>,
    known: Option<String>,
    body: Vec<u8>,
}

impl Request {
    fn read(reader: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        let (mut token, mut known, mut length) = (None, None, 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "authorization" => token = value.strip_prefix("Bearer ").map(str::to_owned),
                "if-none-match" => known = Some(value.to_owned()),
                "content-length" => length = value.parse().unwrap(),
                "forgepass-machine" => assert_eq!(value.len(), 32, "a machine id"),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        Some(Self {
            method,
            path,
            token,
            known,
            body,
        })
    }
}
