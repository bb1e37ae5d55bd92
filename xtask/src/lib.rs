//! The developer commands as a library, so that tests can use the same rooms.

pub mod bench;
pub mod browser;
pub mod chromium;
pub mod demo;
pub mod dist;
pub mod gallery;
pub mod install;
pub mod postgres;
pub mod screenshots;
pub mod shell;
pub mod test;
pub mod workspace;
pub mod world;
