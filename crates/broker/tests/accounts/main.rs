//! Links and everything they are for, against stand-in forges: consents, tokens, credentials, keys, signatures.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod consent;
mod credential;
mod diagnose;
mod freshness;
mod link;
mod refresh;
mod setup;
mod sign;
#[path = "../stage/mod.rs"]
mod stage;
mod unlink;
mod uploads;
