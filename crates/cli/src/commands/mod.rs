//! The commands that a person types.

pub(crate) mod account;
pub(crate) mod config;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod rule;
pub(crate) mod status;
