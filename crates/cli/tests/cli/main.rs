//! The command line as a black box: the real program, real Git, real OpenSSH, and a stand-in server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod agent;
mod credential;
mod doctor;
mod everyday;
mod lfs;
mod network;
mod scenarios;
mod second_clients;
mod server;
mod setup;
mod sign_in;
mod signing;
mod world;
