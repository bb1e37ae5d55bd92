//! The log of requests: what came, how it was answered and why it was refused; never a token.

use serde::{Deserialize, Serialize};

/// One request to a stand-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The server that took it: `web`, `api` or `ssh`.
    pub door: String,
    /// HTTP method; over SSH `publickey` for a sign-in, else the command.
    pub method: String,
    /// Path without query; for an SSH sign-in the algorithm and fingerprint of the key.
    pub path: String,
    /// HTTP status; over SSH 0 for success, else the exit status.
    pub status: u16,
    /// Login of the account that was recognised.
    pub account: Option<String>,
    /// Why the stand-in said no.
    pub reason: Option<String>,
}

/// Left in a response's extensions by a handler: the account it recognised.
#[derive(Clone)]
pub(crate) struct Recognised(pub(crate) String);

/// Left in a response's extensions by a handler: why it said no.
#[derive(Clone)]
pub(crate) struct Refused(pub(crate) String);
