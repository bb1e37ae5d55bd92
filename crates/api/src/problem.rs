//! The one shape of every error answer (RFC 9457, `application/problem+json`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An error answer. Programs act on `code`, people read `detail` and `hint`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `about:blank`: the code says all that a URI would.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// The status in words, such as `Not Found`.
    pub title: String,
    /// The HTTP status again, for readers that only see the body.
    pub status: u16,
    /// What happened, one sentence without a full stop.
    pub detail: String,
    /// One of the constants in [`code`].
    pub code: String,
    /// What to do next, where there is something to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// A page of the console that helps, absolute, such as the one that links the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help_url: Option<String>,
    /// Seconds after which the same request may succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<i64>,
    /// The id under which the server's log tells more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub support_id: Option<String>,
}

/// Every value of [`Problem::code`]. Adding one is compatible, changing one is not.
pub mod code {
    /// The host belongs to no provider: Git asks its next helper.
    pub const NOT_OURS: &str = "not-ours";
    /// The host is a provider's, but this user has no link there.
    pub const NOT_LINKED: &str = "not-linked";
    /// The provider has no HTTPS credential to give (SSH works).
    pub const NO_CREDENTIAL: &str = "no-credential";
    /// The link exists and its tokens are dead: link again.
    pub const LINK_DEAD: &str = "link-dead";
    /// Several links answer equally well: make a rule.
    pub const TIE: &str = "tie";
    /// The provider or our own database is away: try again.
    pub const TRANSIENT: &str = "transient";
    /// The provider's configuration is wrong: a site manager must act.
    pub const PROVIDER_FAULT: &str = "provider-fault";
    /// The bearer token or session is missing, unknown, expired or revoked.
    pub const UNAUTHENTICATED: &str = "unauthenticated";
    /// A workspace token was used from a second machine.
    pub const OTHER_MACHINE: &str = "other-machine";
    /// Signed in, but not allowed to do this.
    pub const FORBIDDEN: &str = "forbidden";
    /// The signature request breaks the policy; `detail` says which part.
    pub const SIGN_REFUSED: &str = "sign-refused";
    /// No such thing, or not yours.
    pub const NOT_FOUND: &str = "not-found";
    /// The request is malformed; `detail` names the field.
    pub const INVALID: &str = "invalid";
    /// The request contradicts what is there (duplicate name, links exist).
    pub const CONFLICT: &str = "conflict";
    /// The device code has not been decided on yet (RFC 8628 section 3.5).
    pub const AUTHORIZATION_PENDING: &str = "authorization_pending";
    /// Polled too fast (RFC 8628 section 3.5): add five seconds to the interval.
    pub const SLOW_DOWN: &str = "slow_down";
    /// The device code is too old (RFC 8628 section 3.5).
    pub const EXPIRED_TOKEN: &str = "expired_token";
    /// The person said no (RFC 8628 section 3.5).
    pub const ACCESS_DENIED: &str = "access_denied";
    /// A fault of ours; the support id stands in the log.
    pub const INTERNAL: &str = "internal";
}
