//! What a site manager does: providers, users, settings, the audit.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One kind of provider, with its guide.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Kind {
    /// The id in URLs and configuration.
    pub id: String,
    /// The name shown to people.
    pub name: String,
    /// `oauth2`, `oauth1` or `none`.
    pub auth: String,
    /// Key algorithms it accepts; the first is what it demands where there is one only.
    pub algorithms: Vec<String>,
    /// The steps at the provider's side and ours.
    pub guide: Vec<GuideStep>,
}

/// One step of a guide.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GuideStep {
    /// What to do, one sentence or two.
    pub text: String,
    /// Values to copy: field name at the provider and exact value.
    pub values: Vec<GuideValue>,
}

/// A value to copy into the provider's form.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GuideValue {
    /// The field's label at the provider.
    pub field: String,
    /// The exact value.
    pub value: String,
}

/// `POST /api/v1/provider-drafts`: prepares what a kind needs before it can be saved.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewProviderDraft {
    /// The kind's id.
    pub kind: String,
}

/// A prepared provider: for `oauth1` kinds its RSA pair, kept until saved or a day old.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProviderDraft {
    /// `drf_…`, to give back in [`ProviderInput::draft`].
    pub id: String,
    /// The kind's id.
    pub kind: String,
    /// The public key to paste at the provider (X.509 SubjectPublicKeyInfo PEM), for `oauth1` kinds.
    pub public_key: Option<String>,
}

/// `POST /api/v1/providers` and `PUT /api/v1/providers/{id}`. On PUT, an absent `client_secret` keeps the stored one.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct ProviderInput {
    /// The kind's id; on PUT only from one Bitbucket Server kind to the other.
    pub kind: String,
    /// Unique name shown to developers.
    pub name: String,
    /// Base URL, with its sub-path, without a trailing slash.
    pub url: String,
    /// Client id, application id or consumer key.
    pub client_id: String,
    /// Client secret; write-only.
    pub client_secret: Option<String>,
    /// Consumer name of an OAuth 1.0a link.
    pub consumer_name: Option<String>,
    /// The draft whose RSA pair is used, for `oauth1` kinds on POST.
    pub draft: Option<String>,
    /// Shown to developers.
    pub description: Option<String>,
    /// API base; none: by kind.
    pub api_url: Option<String>,
    /// Git over HTTPS base; none: the URL.
    pub git_url: Option<String>,
    /// User of SSH addresses; none: `git`.
    pub ssh_user: Option<String>,
    /// `host` or `host:port`; none: by kind.
    pub ssh_addresses: Option<Vec<String>>,
    /// Host keys to pin, each `algorithm base64` or a known_hosts line; none: those known for the kind and host.
    pub host_keys: Option<Vec<String>>,
    /// PEM certificates to trust for this provider.
    pub ca_pem: Option<String>,
    /// Loopback and private addresses are allowed.
    pub internal: bool,
    /// Give Git the same token that manages keys (design: narrowing off).
    pub narrowing_off: bool,
    /// Offered to developers or not; absent means enabled.
    pub disabled: bool,
    /// Accept what a change of address or client id does to existing links.
    pub confirm: bool,
}

impl std::fmt::Debug for ProviderInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderInput")
            .field("kind", &self.kind)
            .field("name", &self.name)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// One provider, without its secrets.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Provider {
    /// `prv_…`.
    pub id: String,
    /// The kind's id.
    pub kind: String,
    /// Unique name.
    pub name: String,
    /// Base URL.
    pub url: String,
    /// Client id, application id or consumer key.
    pub client_id: String,
    /// Whether a client secret is stored.
    pub has_client_secret: bool,
    /// Consumer name of an OAuth 1.0a link.
    pub consumer_name: Option<String>,
    /// Public half of the provider's RSA pair, PEM, for `oauth1` kinds.
    pub public_key: Option<String>,
    /// Shown to developers.
    pub description: Option<String>,
    /// API base in force.
    pub api_url: String,
    /// Git over HTTPS base in force; none where the kind has no HTTPS credential.
    pub git_url: Option<String>,
    /// User of SSH addresses.
    pub ssh_user: String,
    /// SSH addresses in force.
    pub ssh_addresses: Vec<String>,
    /// Pinned host keys, each `algorithm base64`.
    pub host_keys: Vec<String>,
    /// PEM certificates trusted for it.
    pub ca_pem: Option<String>,
    /// Loopback and private addresses are allowed.
    pub internal: bool,
    /// Narrowing is off.
    pub narrowing_off: bool,
    /// Not offered.
    pub disabled: bool,
    /// Declared in the configuration file, hence changed there alone.
    #[serde(default)]
    pub declared: bool,
    /// Links that exist.
    pub links: i64,
    /// What is wrong with its configuration, as its answers showed.
    pub alarm: Option<String>,
    /// When a request to it last succeeded.
    pub last_success_at: Option<i64>,
    /// When it was registered.
    pub created_at: i64,
}

/// `DELETE /api/v1/providers/{id}`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct DeleteProvider {
    /// Unlink every link first.
    pub force: bool,
}

/// `POST /api/v1/providers/{id}/test` and `POST /api/v1/providers/test`: what a test connection found.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProviderTest {
    /// Every check in order.
    pub checks: Vec<ProviderCheck>,
    /// SSH host keys read at its addresses, to confirm by fingerprint.
    pub host_keys: Vec<ScannedHostKey>,
}

/// One check of a test connection.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProviderCheck {
    /// What was checked.
    pub name: String,
    /// Whether it is well.
    pub ok: bool,
    /// What was seen, and what to do where it is not well.
    pub detail: String,
}

/// A host key as read from the network, not yet trusted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ScannedHostKey {
    /// The address it was read at.
    pub address: String,
    /// `algorithm base64`.
    pub key: String,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// Whether it is pinned already.
    pub pinned: bool,
}

/// One user, as the site manager sees them.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// `usr_…`.
    pub id: String,
    /// Sign-in name.
    pub name: String,
    /// E-mail address, where given.
    pub email: Option<String>,
    /// `member`, `auditor` or `site-manager`.
    pub role: String,
    /// When they were added.
    pub created_at: i64,
    /// When they were suspended.
    pub suspended_at: Option<i64>,
    /// Whether they have set a password.
    pub active: bool,
}

/// `POST /api/v1/users`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewUser {
    /// Sign-in name: `a–z 0–9 . _ -`, at most 64.
    pub name: String,
    /// E-mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// `member`, `auditor` or `site-manager`.
    pub role: String,
}

/// A new or re-invited user with their one-time link, shown this once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Invitation {
    /// The user.
    pub user: User,
    /// The page where they set their password.
    pub url: String,
    /// When the link dies, if not used.
    pub expires_at: i64,
}

/// `PATCH /api/v1/users/{id}`: absent fields stay.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct UserChange {
    /// A new role.
    pub role: Option<String>,
    /// Suspend or restore.
    pub suspended: Option<bool>,
}

/// `GET` and `PUT /api/v1/settings/ssh`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SshSettings {
    /// Algorithm of new keys: `ed25519`, `ecdsa-p256` or `rsa-4096`.
    pub algorithm: String,
}

/// One line of the audit log.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// `evt_…`; sorts by time.
    pub id: String,
    /// When.
    pub at: i64,
    /// Who, by name; none for the system itself.
    pub user: Option<String>,
    /// Through which workspace.
    pub workspace: Option<String>,
    /// At which provider.
    pub provider: Option<String>,
    /// What was done, dotted: `link.begin`, `credential.give`, `sign.refuse`, …
    pub action: String,
    /// How it ended and why, in words. Never a secret.
    pub detail: String,
    /// How many times, for batched events.
    pub count: i64,
}

/// `GET /api/v1/events?user=&provider=&workspace=&action=&from=&until=&before=&limit=`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Events {
    /// Newest first.
    pub events: Vec<Event>,
    /// Give as `before` for the next page.
    pub next: Option<String>,
}

/// `POST /api/v1/providers/{id}/preview`: what a change would do to what exists.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProviderPreview {
    /// One sentence each.
    pub text: Vec<String>,
    /// Whether the change must say [`ProviderInput::confirm`].
    pub needs_confirm: bool,
}
