//! The one error of every use case: what happened, in which of the ways that callers act on, and what to do next.

use std::fmt;

use store::StoreError;

/// How a use case was refused. Callers act on it; people read [`Refused::detail`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedKind {
    /// The host belongs to no provider: Git asks its next helper.
    NotOurs,
    /// The host is a provider's, but this user has no link there.
    NotLinked,
    /// The provider has no HTTPS credential to give (SSH works).
    NoCredential,
    /// The link exists and its tokens are dead: link again.
    LinkDead,
    /// Several links answer equally well: make a rule.
    Tie,
    /// The provider or our own database is away: try again.
    Transient,
    /// The provider's configuration is wrong: a site manager must act.
    ProviderFault,
    /// The bearer token or session is missing, unknown, expired or revoked.
    Unauthenticated,
    /// A workspace token was used from a second machine.
    OtherMachine,
    /// Signed in, but not allowed to do this.
    Forbidden,
    /// The signature request breaks the policy.
    SignRefused,
    /// No such thing, or not yours.
    NotFound,
    /// The request is malformed.
    Invalid,
    /// The request contradicts what is there (duplicate name, links exist).
    Conflict,
    /// The device code has not been decided on yet (RFC 8628 section 3.5).
    AuthorizationPending,
    /// Polled too fast (RFC 8628 section 3.5).
    SlowDown,
    /// The device code is too old (RFC 8628 section 3.5).
    ExpiredToken,
    /// The person said no (RFC 8628 section 3.5).
    AccessDenied,
    /// A fault of ours.
    Internal,
}

impl RefusedKind {
    /// The code that stands in the HTTP API's answers.
    pub fn as_code(self) -> &'static str {
        match self {
            Self::NotOurs => "not-ours",
            Self::NotLinked => "not-linked",
            Self::NoCredential => "no-credential",
            Self::LinkDead => "link-dead",
            Self::Tie => "tie",
            Self::Transient => "transient",
            Self::ProviderFault => "provider-fault",
            Self::Unauthenticated => "unauthenticated",
            Self::OtherMachine => "other-machine",
            Self::Forbidden => "forbidden",
            Self::SignRefused => "sign-refused",
            Self::NotFound => "not-found",
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::ExpiredToken => "expired_token",
            Self::AccessDenied => "access_denied",
            Self::Internal => "internal",
        }
    }
}

/// Why a use case did not happen. Nothing in it is secret.
#[derive(Debug, Clone)]
pub struct Refused {
    /// What callers act on.
    pub kind: RefusedKind,
    /// What happened, one sentence without a full stop.
    pub detail: String,
    /// What to do next, where there is something to do.
    pub hint: Option<String>,
    /// A page of the console that helps, as a path such as `/preferences/linked-accounts`.
    pub help_path: Option<String>,
    /// Seconds after which the same request may succeed.
    pub retry_after_s: Option<i64>,
    /// What went wrong inside, for the log alone: people must not need it.
    pub cause: Option<String>,
}

/// What every use case returns.
pub type Result<T, E = Refused> = std::result::Result<T, E>;

impl Refused {
    /// A refusal of `kind`; `detail` is one sentence, lower case, without a full stop.
    pub fn new(kind: RefusedKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            hint: None,
            help_path: None,
            retry_after_s: None,
            cause: None,
        }
    }

    /// A malformed request.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(RefusedKind::Invalid, detail)
    }

    /// No such thing, or not yours: the answer is the same for both.
    pub fn not_found(what: &str) -> Self {
        Self::new(RefusedKind::NotFound, format!("there is no such {what}"))
    }

    /// A request that contradicts what is there.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(RefusedKind::Conflict, detail)
    }

    /// A fault of ours; `cause` goes to the log and nowhere else.
    pub fn internal(cause: impl fmt::Display) -> Self {
        let mut refused = Self::new(
            RefusedKind::Internal,
            "something went wrong inside the server",
        );
        refused.cause = Some(cause.to_string());
        refused
    }

    /// Adds the next step.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the console's page that helps, as a path.
    pub fn help(mut self, path: impl Into<String>) -> Self {
        self.help_path = Some(path.into());
        self
    }

    /// Adds when to try again, seconds.
    pub fn retry_after(mut self, seconds: Option<i64>) -> Self {
        self.retry_after_s = seconds;
        self
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Refused {}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                let mut refused = Self::new(RefusedKind::Transient, "the database does not answer")
                    .hint("try again in a moment");
                refused.cause = Some(error.to_string());
                refused
            }
            StoreError::Dangling => Self::conflict("something it belongs to is gone"),
            other => Self::internal(other),
        }
    }
}
