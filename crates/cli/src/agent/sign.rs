//! One connection of the SSH agent protocol: lists the keys that fit, and relays signatures to the server.
//!
//! The agent decides nothing about a signature: it is in the hands of whoever owns this machine. The
//! server gets the request with all that the connection said of its session, and decides.

use std::time::{Duration, Instant};

use api::{SessionBinding, SignRequest, Signature};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ssh::agent::{Binding, QUERY, Request, Response, SESSION_BIND};

use super::core::Core;
use super::keys;
use crate::control::{Notice, NoticeKind};
use crate::failure::Failure;

/// OpenSSH's own limit (`AGENT_MAX_SESSION_IDS`).
const MAX_BINDINGS: usize = 16;
/// How long a server that restarts may delay a signature.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries at first; doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// What one connection has said so far.
pub(super) struct Conversation<'a> {
    core: &'a Core,
    process: i32,
    bindings: Vec<Binding>,
    announced: bool,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(core: &'a Core, process: i32) -> Self {
        Self {
            core,
            process,
            bindings: Vec::new(),
            announced: false,
        }
    }

    /// Answers one message. Adding, removing and locking keys is refused: the keys are not here.
    pub(super) fn answer(&mut self, request: Request) -> Response {
        match request {
            Request::List => self.list(),
            Request::Sign { key, data, flags } => self.sign(&key, &data, flags),
            Request::Bind(binding) => self.bind(binding),
            Request::Query => Response::Extensions(vec![QUERY.to_owned(), SESSION_BIND.to_owned()]),
            Request::UnknownExtension(_) | Request::Other(_) => Response::Failure,
        }
    }

    fn bind(&mut self, binding: Binding) -> Response {
        self.announce();
        if self.bindings.len() >= MAX_BINDINGS {
            return Response::Failure;
        }
        self.bindings.push(binding);
        Response::Success
    }

    fn list(&mut self) -> Response {
        self.announce();
        let setup = self
            .core
            .setup_with(|setup| !keys::visible(setup, &self.bindings).is_empty());
        Response::Identities(
            setup
                .map(|setup| keys::visible(&setup, &self.bindings))
                .unwrap_or_default(),
        )
    }

    /// Tells watchers once that this client has come: ssh got past the server's host key.
    fn announce(&mut self) {
        if !self.announced {
            self.announced = true;
            self.tell(NoticeKind::Seen, "", "");
        }
    }

    fn sign(&mut self, key: &[u8], data: &[u8], flags: u32) -> Response {
        let owns = |setup: &api::Setup| keys::owns(setup, key);
        if !self.core.setup_with(owns).is_some_and(|setup| owns(&setup)) {
            self.tell(
                NoticeKind::Refused,
                "the key is none of this user's keys",
                "see `forgepass status` for those there are",
            );
            return Response::Failure;
        }
        let request = SignRequest {
            key: STANDARD.encode(key),
            data: STANDARD.encode(data),
            flags,
            bindings: self.bindings.iter().map(wire_binding).collect(),
        };
        match self.relay(&request) {
            Ok(signature) => Response::Signature(signature),
            Err(failure) => {
                self.tell(NoticeKind::Refused, failure.what(), failure.hint());
                Response::Failure
            }
        }
    }

    /// Asks the server; while it is away, again and again for half a minute.
    fn relay(&self, request: &SignRequest) -> Result<Vec<u8>, Failure> {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let server = self.core.server()?;
            let error = match server.post::<Signature>("/api/v1/sign", request) {
                Ok(answer) => {
                    return STANDARD.decode(answer.signature).map_err(|_| {
                        Failure::ours("the server's signature is not base64", "report this")
                    });
                }
                Err(error) => error,
            };
            if !error.is_transient() || begun.elapsed() + pause > PATIENCE {
                return Err(error.into());
            }
            if pause == FIRST_PAUSE {
                let what = "the Forgepass server does not answer; trying for 30 seconds";
                self.tell(NoticeKind::Waiting, what, "");
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    fn tell(&self, kind: NoticeKind, what: &str, hint: &str) {
        self.core.notices.tell(&Notice {
            process: self.process,
            kind,
            what: what.to_owned(),
            hint: hint.to_owned(),
        });
    }
}

fn wire_binding(binding: &Binding) -> SessionBinding {
    SessionBinding {
        host_key: STANDARD.encode(&binding.host_key),
        session_id: STANDARD.encode(&binding.session_id),
        signature: STANDARD.encode(&binding.signature),
        forwarding: binding.forwarding,
    }
}
