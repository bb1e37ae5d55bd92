//! How long everything lives, in seconds, in one list.

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The first-run set-up link.
pub const SETUP_LINK: i64 = HOUR;
/// An invitation, or a link for a forgotten password.
pub const INVITATION: i64 = 72 * HOUR;
/// A browser session that nobody uses.
pub const SESSION_IDLE: i64 = 7 * DAY;
/// A browser session, whatever happens.
pub const SESSION: i64 = 30 * DAY;
/// The longest API token.
pub const API_TOKEN: i64 = 365 * DAY;
/// A workspace token that nobody uses.
pub const WORKSPACE_IDLE: i64 = 30 * DAY;
/// A workspace token, whatever happens, where the configuration says nothing else.
pub const WORKSPACE: i64 = 180 * DAY;
/// A device code and its user code.
pub const DEVICE_CODE: i64 = 15 * MINUTE;
/// Least time between two polls of a device code, and what each `slow_down` adds (RFC 8628 section 3.5).
pub const DEVICE_INTERVAL: i64 = 5;
/// An OAuth attempt.
pub const ATTEMPT: i64 = 10 * MINUTE;
/// A provider draft.
pub const DRAFT: i64 = DAY;
/// How stale a `last seen` time may be before it is written again: one write a minute is enough to show.
pub const SEEN: i64 = MINUTE;
/// The window in which failed sign-ins of one name from one address are counted.
pub const THROTTLE: i64 = 15 * MINUTE;
