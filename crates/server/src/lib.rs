//! The web console, the HTTP API and the configuration of `forgepass-server`: the only incoming requests.

pub mod api;
pub mod app;
pub mod assets;
pub mod auth;
pub mod commands;
pub mod config;
pub mod logs;
pub mod pages;
pub mod problem;
pub mod security;
pub mod serve;
pub mod start;
