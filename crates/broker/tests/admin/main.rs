//! What site managers and users do before any account is linked, through the broker's public door.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod audit;
mod change;
mod connection;
mod providers;
mod signin;
mod site;
mod users;
mod workspaces;
