//! What the short-lived commands ask the agent over its control socket: one frame of JSON each way.
//!
//! The warm path of Git's credential helper is this module and nothing else: connect, ask, print.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};
use crate::places::{Places, me};
use crate::settings;

/// The longest frame in bytes; set-up data is a few kilobytes.
const MAX_FRAME: u32 = 4 * 1024 * 1024;
/// How long an agent may take to listen after it was started.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// A question to the agent.
#[derive(Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub(crate) enum Ask {
    /// A credential.
    Get(Get),
    /// How a credential fared, by Git's word.
    Fared(Fared),
    /// How to reach this SSH server.
    Ssh {
        /// As ssh was given it.
        host: String,
        /// 22 unless ssh was told otherwise.
        port: u16,
        /// The repository, where ssh is to run a command of Git's.
        #[serde(default)]
        path: Option<String>,
        /// The stock ssh, whose version decides on an option.
        ssh: PathBuf,
    },
    /// Whether a public key is one of ours.
    Owns {
        /// The blob, base64.
        key: String,
    },
    /// The key to sign with in a repository with these remotes.
    SigningKey {
        /// URLs, the most important first.
        remotes: Vec<String>,
    },
    /// All that the server tells of the set-up, fetched now; writes the files that Git includes.
    Refresh,
    /// Messages for the person at the terminal, one frame each, until the asker closes its side.
    Watch,
    /// How the agent is.
    Status,
    /// The sign-in has changed: forget everything.
    Forget,
    /// End.
    Stop,
}

/// What Git wants a credential for.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Get {
    /// Host and optional port, as Git gave it. The protocol is https.
    pub(crate) host: String,
    /// The repository's path, where Git tells it.
    pub(crate) path: Option<String>,
    /// The user name in the URL.
    pub(crate) username: Option<String>,
    /// The token that Git holds and that was refused.
    pub(crate) state: Option<String>,
    /// Least remaining life that is asked for, seconds.
    pub(crate) min_ttl_s: i64,
}

/// Git's `store` or `erase`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Fared {
    /// Whether the provider took it.
    pub(crate) accepted: bool,
    /// Our `state[]` values; empty from an older Git.
    pub(crate) states: Vec<String>,
    /// The password, by which an older Git's message is matched.
    pub(crate) password: Option<String>,
}

/// The agent's answer.
#[derive(Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// To [`Ask::Get`].
    Credential(Given),
    /// To [`Ask::Get`] and [`Ask::Ssh`]: say nothing and let others answer.
    NotOurs,
    /// To [`Ask::Get`]: the host is a provider's, but nothing is linked there.
    NotLinked {
        /// For a person: what to do.
        hint: String,
        /// A page that helps.
        page: Option<String>,
    },
    /// Something is ours and cannot be done.
    Refused {
        /// One sentence.
        what: String,
        /// The next step.
        hint: String,
    },
    /// To [`Ask::Ssh`].
    Ssh(Box<SshPlan>),
    /// To [`Ask::SigningKey`]: an OpenSSH line.
    Key {
        /// The line.
        line: String,
    },
    /// To [`Ask::Refresh`].
    Setup(Box<api::Setup>),
    /// To [`Ask::Watch`], many times.
    Notice(Notice),
    /// To [`Ask::Status`].
    Status(AgentStatus),
    /// To everything else.
    Done,
}

/// A credential on its way to Git.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Given {
    /// For HTTP Basic.
    pub(crate) username: String,
    /// For HTTP Basic.
    pub(crate) password: String,
    /// Unix seconds.
    pub(crate) expires_at: Option<i64>,
    /// The token's id.
    pub(crate) state: String,
}

/// How to reach an SSH server of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SshPlan {
    /// The provider's name.
    pub(crate) provider: String,
    /// Under which name its host keys are pinned.
    pub(crate) alias: String,
    /// Public halves of the keys to offer, the first first.
    pub(crate) identity_files: Vec<PathBuf>,
    /// The file of pinned host keys.
    pub(crate) known_hosts: PathBuf,
    /// The agent's socket.
    pub(crate) agent: PathBuf,
    /// Whether this ssh knows `KnownHostsCommand` (OpenSSH 8.5).
    pub(crate) knows_known_hosts_command: bool,
    /// Whether any host key is pinned.
    pub(crate) pinned: bool,
    /// Links here that cannot be used, and why.
    pub(crate) dead: Vec<String>,
}

/// Something a person should know while ssh or ssh-keygen waits for the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notice {
    /// The process that asked the agent, as this system sees it.
    pub(crate) process: i32,
    /// What it is about.
    pub(crate) kind: NoticeKind,
    /// One sentence.
    pub(crate) what: String,
    /// The next step; may be empty.
    pub(crate) hint: String,
}

/// When to show a [`Notice`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NoticeKind {
    /// The client has come; nothing to show.
    Seen,
    /// At once: it takes longer.
    Waiting,
    /// After the program's own message: why it was refused.
    Refused,
}

/// How the agent is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AgentStatus {
    /// Its version.
    pub(crate) version: String,
    /// Its process.
    pub(crate) process: u32,
    /// The socket for `SSH_AUTH_SOCK`.
    pub(crate) socket: PathBuf,
    /// Credentials in memory.
    pub(crate) cached: usize,
    /// The last refused signatures, newest first.
    pub(crate) refusals: Vec<Notice>,
}

/// Reads one frame; none when the other side closed between frames.
pub(crate) fn read_frame<T: DeserializeOwned>(stream: &mut impl Read) -> io::Result<Option<T>> {
    let mut prefix = [0; 4];
    match stream.read(&mut prefix)? {
        0 => return Ok(None),
        4 => {}
        got => stream.read_exact(&mut prefix[got..])?,
    }
    let length = u32::from_be_bytes(prefix);
    if length > MAX_FRAME {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the frame is too long",
        ));
    }
    // Room for any credential at once; a long frame grows with what arrives.
    let mut frame = Vec::with_capacity(length.min(4096) as usize + 1);
    stream
        .by_ref()
        .take(u64::from(length))
        .read_to_end(&mut frame)?;
    serde_json::from_slice(&frame)
        .map(Some)
        .map_err(io::Error::from)
}

/// Writes one frame.
pub(crate) fn write_frame<T: Serialize>(stream: &mut impl Write, value: &T) -> io::Result<()> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, value)?;
    let length = u32::try_from(frame.len() - 4).unwrap_or(u32::MAX);
    if length > MAX_FRAME {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the frame is too long",
        ));
    }
    frame[..4].copy_from_slice(&length.to_be_bytes());
    stream.write_all(&frame)
}

/// Whether the other end of a socket is this very user.
pub(crate) fn is_me(stream: &UnixStream) -> bool {
    rustix::net::sockopt::socket_peercred(stream).is_ok_and(|peer| peer.uid.as_raw() == me())
}

/// The process at the other end of a socket; 0 where it cannot be seen.
pub(crate) fn process_of(stream: &UnixStream) -> i32 {
    rustix::net::sockopt::socket_peercred(stream).map_or(0, |peer| peer.pid.as_raw_nonzero().get())
}

/// Connects to a running agent.
///
/// # Errors
/// None runs, or what stands there is not this user's.
pub(crate) fn connect(places: &Places) -> io::Result<UnixStream> {
    places.check_runtime()?;
    let stream = UnixStream::connect(places.control_socket())?;
    if is_me(&stream) {
        Ok(stream)
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// Asks the running agent; starts none.
pub(crate) fn ask_running(places: &Places, question: &Ask) -> io::Result<Answer> {
    let mut stream = connect(places)?;
    exchange(&mut stream, question)
}

fn exchange(stream: &mut UnixStream, question: &Ask) -> io::Result<Answer> {
    write_frame(stream, question)?;
    read_frame(stream)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Asks the agent and starts it where none runs.
///
/// `None`: this machine is not signed in, so there is nothing to ask.
///
/// # Errors
/// The agent does not come up or goes away.
pub(crate) fn ask(places: &Places, question: &Ask) -> Result<Option<Answer>> {
    // An agent that ends while we ask closes the socket without an answer: ask its successor.
    for _ in 0..2 {
        if let Ok(answer) = ask_running(places, question) {
            return Ok(Some(answer));
        }
        if !signed_in(places)? {
            return Ok(None);
        }
        start(places)?;
    }
    ask_running(places, question).map(Some).map_err(|error| {
        Failure::ours(
            format!("the agent does not answer: {error}"),
            "run `forgepass agent --foreground` to see why",
        )
    })
}

/// Whether there is a server to talk to and a token to show it.
pub(crate) fn signed_in(places: &Places) -> Result<bool> {
    // The token first: on a machine that never signed in this is one look at a missing file.
    if !settings::token_file(places).exists() {
        return Ok(false);
    }
    Ok(settings::Settings::load(places)?.target()?.is_some())
}

/// Starts an agent and waits until one listens, be it this one or another.
///
/// # Errors
/// None listens in time.
pub(crate) fn start(places: &Places) -> Result<()> {
    places.make_runtime()?;
    let program = crate::program()?;
    let mut child = std::process::Command::new(&program)
        .args(["agent", "--detached"])
        .current_dir("/")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .map_err(|error| Failure::file("run", &program, &error))?;
    let begun = Instant::now();
    while begun.elapsed() < START_PATIENCE {
        if connect(places).is_ok() {
            return Ok(());
        }
        let gone = matches!(child.try_wait(), Ok(Some(status)) if !status.success());
        if gone {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Err(Failure::ours(
        "the agent does not start",
        "run `forgepass agent --foreground` to see why",
    ))
}
