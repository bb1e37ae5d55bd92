//! Git's credential helper protocol (gitcredentials(7), git-credential(1)).

pub(crate) mod askpass;
pub(crate) mod helper;
pub mod protocol;
pub(crate) mod wait;
