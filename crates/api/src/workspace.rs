//! What a workspace asks: sign-in by device code, credentials, signatures, its own set-up and status.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /api/v1/meta`, without authentication.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Meta {
    /// Always `forgepass`.
    pub product: String,
    /// The server's version, `major.minor.patch`.
    pub version: String,
    /// The oldest command line the server works with.
    pub minimum_cli: String,
    /// The console's address without a trailing slash.
    pub public_url: String,
    /// The server's clock, unix seconds.
    pub now: i64,
}

/// `POST /api/v1/device`, without authentication (RFC 8628 section 3.1).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeviceRequest {
    /// What the workspace calls itself, shown to the person who approves.
    pub name: String,
    /// A random id of the machine, kept outside HOME; later requests must carry the same.
    pub machine: String,
    /// What `ssh -V` printed, such as `OpenSSH_9.2p1`; old ones cannot bind sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_version: Option<String>,
}

/// The answer to [`DeviceRequest`] (RFC 8628 section 3.2).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeviceCode {
    /// The secret that the workspace polls with.
    pub device_code: String,
    /// What the person types or compares, `XXXX-XXXX`.
    pub user_code: String,
    /// The page where the code is typed.
    pub verification_uri: String,
    /// The same page with the code filled in.
    pub verification_uri_complete: String,
    /// Life of both codes, seconds.
    pub expires_in: i64,
    /// Least time between two polls, seconds.
    pub interval: i64,
}

/// `POST /api/v1/device/token`, without authentication (RFC 8628 section 3.4).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DevicePoll {
    /// From [`DeviceCode`].
    pub device_code: String,
    /// The machine id sent with [`DeviceRequest`].
    pub machine: String,
}

/// A new workspace and its token, shown this once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WorkspaceToken {
    /// The bearer token, `fpw_…`.
    pub token: String,
    /// The workspace it stands for.
    pub workspace: Workspace,
}

/// One workspace.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Workspace {
    /// `wsp_…`.
    pub id: String,
    /// Its name, as it gave it.
    pub name: String,
    /// The address its sign-in came from.
    pub address: String,
    /// When it signed in.
    pub created_at: i64,
    /// When it was last heard of.
    pub last_seen_at: Option<i64>,
    /// When it last received a credential or a signature.
    pub last_used_at: Option<i64>,
    /// When its token ends, whatever happens.
    pub expires_at: i64,
    /// Whether an SSH client that does not bind its session may sign in with its keys.
    pub unbound_allowed: bool,
    /// When a second machine came with its token, if one did.
    pub other_machine_at: Option<i64>,
}

/// `POST /api/v1/credential`: what Git asks for (gitcredentials(7)).
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct CredentialRequest {
    /// `https`; anything else is not ours.
    pub protocol: String,
    /// Host and optional port, as Git gave it.
    pub host: String,
    /// The repository's path, where Git tells it (`credential.useHttpPath`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The user name in the URL: a hint between several links, never a reason to refuse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Least remaining life that the caller needs, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_ttl_s: Option<i64>,
    /// The id of the token that Git holds and that was refused: [`Credential::state`] of an earlier answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// What Git receives.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Credential {
    /// User name for HTTP Basic.
    pub username: String,
    /// Password for HTTP Basic: the provider's token.
    pub password: String,
    /// When the password ends, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// The id of this token, for `state[]` and reports. Not secret.
    pub state: String,
    /// The link that answered, `lnk_…`.
    pub link: String,
    /// The provider's name.
    pub provider: String,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential")
            .field("state", &self.state)
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// `POST /api/v1/report`: how handed-out credentials fared, in batches.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// What happened, oldest first; at most 1,000.
    pub uses: Vec<Use>,
}

/// One use of a credential.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Use {
    /// What became of it.
    pub outcome: UseOutcome,
    /// [`Credential::state`].
    pub state: String,
    /// How many times.
    pub count: i64,
    /// When last.
    pub at: i64,
}

/// What Git said of a credential, or that a cached one was given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UseOutcome {
    /// Git's `store`: the provider accepted it.
    Accepted,
    /// Git's `erase`: the provider refused it.
    Refused,
    /// The agent gave it again from memory.
    CacheHit,
}

/// `POST /api/v1/sign`: a SIGN request of the agent protocol with what the agent knows of the session.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SignRequest {
    /// The public key's blob, base64.
    pub key: String,
    /// The bytes to sign, base64.
    pub data: String,
    /// Agent flags: 2 is rsa-sha2-256, 4 is rsa-sha2-512.
    pub flags: u32,
    /// The `session-bind@openssh.com` messages of this connection, oldest first.
    #[serde(default)]
    pub bindings: Vec<SessionBinding>,
}

/// One `session-bind@openssh.com` message (PROTOCOL.agent section 1).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionBinding {
    /// The server's host key blob, base64.
    pub host_key: String,
    /// The session id, base64.
    pub session_id: String,
    /// The server's signature over the session id, base64.
    pub signature: String,
    /// Whether the session forwards the agent.
    pub forwarding: bool,
}

/// The answer to [`SignRequest`].
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Signature {
    /// The SSH signature blob, base64.
    pub signature: String,
}

/// `GET /api/v1/workspace/setup`: all that a workspace needs to configure Git and SSH. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Setup {
    /// Changes whenever anything below does.
    pub version: String,
    /// For `user.name`, where Git has none.
    pub user_name: String,
    /// For `user.email`, where Git has none.
    pub user_email: Option<String>,
    /// Every enabled provider, linked or not.
    pub providers: Vec<SetupProvider>,
    /// The `allowed_signers` file (ssh-keygen(1)), for `gpg.ssh.allowedSignersFile`.
    pub allowed_signers: String,
}

/// One provider as a workspace sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SetupProvider {
    /// `prv_…`.
    pub id: String,
    /// Its name, for messages.
    pub name: String,
    /// Where Git over HTTPS starts, such as `https://git.example.com/gitlab`; none where the kind has no HTTPS credential.
    pub git_url: Option<String>,
    /// What URLs over HTTPS have between `git_url` and the owner, and URLs over SSH have not.
    #[serde(default)]
    pub https_segment: Option<String>,
    /// PEM certificates to trust for `git_url`, besides the system's.
    pub ca_pem: Option<String>,
    /// The user of SSH addresses, usually `git`.
    pub ssh_user: String,
    /// `host` or `host:port` of each SSH address; the port is 22 where none is given.
    pub ssh_addresses: Vec<String>,
    /// Pinned host keys, each `algorithm base64`, without a host name.
    pub host_keys: Vec<String>,
    /// This user's links (or, where the kind has no OAuth, this user's key alone), the default first.
    pub links: Vec<SetupLink>,
}

/// One link as its workspace sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SetupLink {
    /// `lnk_…`; none where the kind has no OAuth.
    pub id: Option<String>,
    /// The account's login, where there is one.
    pub login: Option<String>,
    /// For `user.name`.
    pub name: Option<String>,
    /// For `user.email`; the provider's no-reply address where the account hides its own.
    pub email: Option<String>,
    /// The paths of its rules behind the provider's address; the empty one is for every repository.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Live public keys, OpenSSH lines, newest first.
    pub keys: Vec<String>,
    /// Why it cannot be used, where it cannot.
    pub dead: Option<String>,
}

/// `GET /api/v1/workspace`: the workspace's own status.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WorkspaceStatus {
    /// The workspace.
    pub workspace: Workspace,
    /// The user's name here.
    pub user: String,
    /// State of each provider for this user.
    pub links: Vec<LinkStatus>,
}

/// How one provider stands for a user.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LinkStatus {
    /// The provider's name.
    pub provider: String,
    /// The account's login, where linked.
    pub login: Option<String>,
    /// `linked`, `not-linked`, `unfinished`, `dead` or `key-only`.
    pub state: String,
    /// What to do next, where there is something to do.
    pub next_step: Option<String>,
    /// State of the key at the provider: `present`, `pending`, …; none where there is no key.
    pub key_state: Option<String>,
}
