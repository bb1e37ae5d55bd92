//! Why a forge's reply is not the answer we wanted, and whose fault a refused refresh is.

use http::StatusCode;
use url::Url;

/// The longest text of a forge that we pass on, in characters.
const MAX_SAID: usize = 300;

/// Why a forge's reply is not the answer we wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The token is unknown, revoked or expired.
    #[error("the provider no longer accepts this token")]
    TokenRejected,
    /// The token lacks this scope.
    #[error("the token lacks the scope {0}")]
    MissingScope(String),
    /// An organisation wants the person to authorise the token or key in the browser first.
    #[error("the provider wants this authorised in the browser first: {message}")]
    NeedsAuthorization {
        /// What the forge said.
        message: String,
        /// Where to do it.
        page: Option<Url>,
    },
    /// The account, or our application for it, is shut out by a person's decision.
    #[error("the provider blocks this: {0}")]
    Blocked(String),
    /// Too many requests; never a revocation.
    #[error("the provider asks us to slow down")]
    RateLimited {
        /// Seconds to wait, where told.
        retry_after_s: Option<i64>,
    },
    /// The key is there already, on this account or on another.
    #[error("the key is registered at the provider already")]
    DuplicateKey,
    /// The forge does not take this key, and why.
    #[error("the provider does not take this key: {0}")]
    KeyRefused(String),
    /// There is no such thing.
    #[error("the provider has no such thing")]
    NotFound,
    /// A refused OAuth step; for OAuth 1.0a `error` is the `oauth_problem`.
    #[error("the provider refused the authorisation: {error}: {description}")]
    OAuth {
        /// The machine-readable code.
        error: String,
        /// What the forge said about it, possibly nothing.
        description: String,
        /// Status of the reply, 200 at GitHub.
        status: StatusCode,
    },
    /// Another status that says nothing more.
    #[error("the provider answered {0}")]
    Status(StatusCode),
    /// The reply is not what this software answers.
    #[error("the provider's reply does not have the expected shape: {0}")]
    Shape(String),
}

/// Whose fault a refused refresh is, which decides what happens to the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The user's: link again.
    User,
    /// The site manager's, such as a wrong client secret: keep everyone's tokens and raise an alarm.
    Admin,
    /// Nobody's: keep the tokens and try again later.
    Transient,
    /// A bare 400 or 401: a user fault once it repeats over 10 minutes.
    Suspect,
}

/// Refused refreshes that only a new link mends: OAuth 2.0 and GitHub's own, then OAuth 1.0a's
/// (<http://wiki.oauth.net/w/page/12238543/ProblemReporting>).
const USER_FAULTS: &[&str] = &[
    "bad_refresh_token",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "token_rejected",
    "token_expired",
    "token_revoked",
    "token_used",
    "permission_denied",
    "permission_unknown",
    "user_refused",
    "additional_authorization_required",
    "parameter_absent",
    "parameter_rejected",
    "version_rejected",
];

/// Refusals that only the site manager can mend, at the provider or in our settings.
const ADMIN_FAULTS: &[&str] = &[
    "incorrect_client_credentials",
    "invalid_client",
    "redirect_uri_mismatch",
    "application_suspended",
    "consumer_key_unknown",
    "consumer_key_rejected",
    "consumer_key_refused",
    "signature_invalid",
    "signature_method_rejected",
    "timestamp_refused",
];

impl Refusal {
    /// Whose fault it is when a refresh is refused like this.
    ///
    /// Only a parsable OAuth error is a user's fault at once. A 403 is never a dead token, and an
    /// overloaded or broken server proves nothing about the tokens whatever its body says.
    pub fn refresh_fault(&self) -> Fault {
        match self {
            Self::OAuth {
                error,
                description,
                status,
            } => oauth_fault(error, description, *status),
            Self::TokenRejected => Fault::Suspect,
            Self::Status(status) if is_bare(*status) => Fault::Suspect,
            _ => Fault::Transient,
        }
    }
}

fn oauth_fault(error: &str, description: &str, status: StatusCode) -> Fault {
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Fault::Transient;
    }
    let wrong_secret = error == "unauthorized_client" && blames_client(description, status);
    if wrong_secret || ADMIN_FAULTS.contains(&error) {
        return Fault::Admin;
    }
    if status == StatusCode::FORBIDDEN {
        return Fault::Transient;
    }
    if USER_FAULTS.contains(&error) {
        return Fault::User;
    }
    if is_bare(status) && error != "nonce_used" {
        Fault::Suspect
    } else {
        Fault::Transient
    }
}

/// Whether `unauthorized_client` speaks of our registration and not of the user's token: some
/// forges say it for a wrong secret, others for a used or foreign refresh token.
fn blames_client(description: &str, status: StatusCode) -> bool {
    let description = description.to_ascii_lowercase();
    status == StatusCode::UNAUTHORIZED
        || status == StatusCode::FORBIDDEN
        || [
            "secret",
            "credential",
            "client authentication",
            "using this method",
        ]
        .iter()
        .any(|hint| description.contains(hint))
}

fn is_bare(status: StatusCode) -> bool {
    status == StatusCode::BAD_REQUEST || status == StatusCode::UNAUTHORIZED
}

/// A forge's own words made fit for a page and a log line: no control characters, not endless.
pub(crate) fn said(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let line = words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    line.chars().take(MAX_SAID).collect()
}
