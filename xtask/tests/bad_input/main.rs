//! Bad input through the public doors: every one ends in a clear refusal, and nothing that worked is lost.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

mod credential;
mod link;
mod outage;
mod provider;
mod sign;
mod workspace;
