//! What a user does for themself: links, keys, workspaces, sessions, API tokens.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /api/v1/me`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// `usr_…`.
    pub id: String,
    /// Sign-in name.
    pub name: String,
    /// E-mail address, where given.
    pub email: Option<String>,
    /// `member`, `auditor` or `site-manager`.
    pub role: String,
}

/// One link of the user.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Link {
    /// `lnk_…`.
    pub id: String,
    /// The provider's id, `prv_…`.
    pub provider_id: String,
    /// The provider's name.
    pub provider: String,
    /// The account's permanent id at the provider.
    pub account_id: String,
    /// The account's login.
    pub login: String,
    /// `linked`, `unfinished` (the Git consent is missing: SSH works) or `dead`.
    pub state: String,
    /// Why, where it is not `linked`.
    pub reason: Option<String>,
    /// Scopes granted, by purpose.
    pub grants: Vec<Grant>,
    /// When it was made.
    pub created_at: i64,
    /// When it last gave a credential or signature.
    pub last_used_at: Option<i64>,
    /// The key at the provider.
    pub keys: Vec<Key>,
}

/// One grant of a link, without its tokens.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Grant {
    /// `manage` or `git`.
    pub purpose: String,
    /// Scopes the provider says it granted.
    pub scopes: Vec<String>,
    /// When the access token ends, where that is known.
    pub expires_at: Option<i64>,
}

/// `POST /api/v1/links`: begins a link. The consent happens in the browser session that opens `url`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BeginLink {
    /// The provider's id or name.
    pub provider: String,
}

/// Where to go on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OpenPage {
    /// An address of the console to open in a browser.
    pub url: String,
}

/// `DELETE /api/v1/links/{id}`: how to unlink.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Unlink {
    /// Remove signing keys at the provider too; old signatures then show as unverified there.
    #[serde(default)]
    pub remove_signing_keys: bool,
}

/// One rule of the user: which link answers where.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Rule {
    /// `rul_…`.
    pub id: String,
    /// The address of Git over HTTPS, then the path it is for; `*` and `?` are wildcards inside a segment.
    pub pattern: String,
    /// The link that answers, `lnk_…`.
    pub link: String,
    /// The login of the link's account.
    pub login: String,
    /// The provider's name.
    pub provider: String,
    /// When it was made.
    pub created_at: i64,
}

/// `POST /api/v1/rules`: lets a link answer for a pattern.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewRule {
    /// `HOST` (its default), `HOST/OWNER` or `HOST/PATH`; the most specific rule wins.
    pub pattern: String,
    /// The link's id, `lnk_…`.
    pub link: String,
}

/// One SSH key of the user: its public half.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// `key_…`.
    pub id: String,
    /// The provider's id.
    pub provider_id: String,
    /// The provider's name.
    pub provider: String,
    /// The link it belongs to; none where the kind has no OAuth.
    pub link: Option<String>,
    /// `ed25519`, `ecdsa-p256`, `rsa-3072` or `rsa-4096`.
    pub algorithm: String,
    /// The OpenSSH line to paste.
    pub public_key: String,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// When it was made.
    pub created_at: i64,
    /// When a newer key replaced it; it works until the newer one has been used.
    pub retired_at: Option<i64>,
    /// `present`, `pending`, `needs-authorization`, `refused`, `expiring`, `unknown` or `by-hand`.
    pub state: String,
    /// Why, and what to do next, where there is something to do.
    pub reason: Option<String>,
    /// The page at the provider where the key is pasted or authorised.
    pub page: Option<String>,
}

/// `POST /api/v1/tokens`: a new API token.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewApiToken {
    /// What it is for.
    pub name: String,
    /// Life, seconds; at most a year.
    pub ttl_s: i64,
}

/// An API token, shown this once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ApiTokenSecret {
    /// The bearer token, `fpa_…`.
    pub token: String,
    /// What is known of it later.
    pub info: ApiToken,
}

/// What is known of an API token.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ApiToken {
    /// `tok_…`.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// When it was made.
    pub created_at: i64,
    /// When it ends.
    pub expires_at: i64,
    /// When it was last used.
    pub last_used_at: Option<i64>,
}

/// `POST /api/v1/workspaces`: a workspace without the device dance, for CI and images.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewWorkspace {
    /// Its name.
    pub name: String,
    /// Life of its token, seconds; the site's limit where none is given.
    #[serde(default)]
    pub ttl_s: Option<i64>,
    /// Let SSH clients that do not bind their session sign in.
    #[serde(default)]
    pub unbound_allowed: bool,
}

/// One browser session of the user.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// `ses_…`.
    pub id: String,
    /// Address it was begun from.
    pub address: String,
    /// The browser's own words.
    pub agent: String,
    /// When it was begun.
    pub created_at: i64,
    /// When it was last seen.
    pub last_seen_at: i64,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// A device sign-in that waits for a decision, as `GET /api/v1/device/{user_code}` shows it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PendingDevice {
    /// What it calls itself.
    pub name: String,
    /// Where its request came from.
    pub address: String,
    /// When it asked.
    pub created_at: i64,
    /// Whether its ssh is too old to bind sessions, so that allowing unbound ones should be offered.
    pub old_ssh: bool,
}

/// `POST /api/v1/device/{user_code}`: the decision.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeviceDecision {
    /// Yes or no.
    pub approve: bool,
    /// Allow unbound SSH sign-in for this workspace.
    #[serde(default)]
    pub unbound_allowed: bool,
}
