//! The JSON that the server and its clients exchange under `/api/v1`. Types only.
//!
//! Times are unix seconds (`…_at`), durations seconds (`…_s`), binary values standard base64.
//! A field that a reader does not know is ignored, so that either side may be one minor release ahead.

mod account;
mod manage;
mod problem;
mod workspace;

pub use account::*;
pub use manage::*;
pub use problem::*;
pub use workspace::*;
