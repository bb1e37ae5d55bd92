//! The web console, the HTTP API and the configuration of `forgepass-server`: the only incoming requests.

pub mod config;
