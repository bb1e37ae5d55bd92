//! SSH wire formats, read and written without any cryptography: agent messages, what a signature
//! request says, and public key lines.
//!
//! Everything here parses bytes that a stranger may have sent. No function panics, none allocates
//! more than its input holds, and nothing is left over unread: a message with trailing bytes is
//! refused.

pub mod agent;
pub mod public_key;
pub mod signed;
pub mod wire;
