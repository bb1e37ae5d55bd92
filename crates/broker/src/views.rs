//! What a user sees of their own links, grants and keys: plain values without secrets.

/// One link. Times are unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkView {
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
    /// Whether it works.
    pub state: LinkState,
    /// Why, where it is not [`LinkState::Linked`], or what is special about it.
    pub reason: Option<String>,
    /// What was granted, by purpose.
    pub grants: Vec<GrantView>,
    /// When it was made.
    pub created_at: i64,
    /// When it last gave a credential or signature.
    pub last_used_at: Option<i64>,
    /// Its keys, newest first.
    pub keys: Vec<KeyView>,
}

/// Whether a link works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// For HTTPS (where the kind has it) and SSH.
    Linked,
    /// The consent for Git is missing: SSH works.
    Unfinished,
    /// Its tokens are dead: link again. Keys at the provider may still work.
    Dead,
}

impl LinkState {
    /// The word for the wire: `linked`, `unfinished` or `dead`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linked => "linked",
            Self::Unfinished => "unfinished",
            Self::Dead => "dead",
        }
    }
}

/// One grant of a link, without its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantView {
    /// `manage` or `git`.
    pub purpose: String,
    /// Scopes the provider says it granted.
    pub scopes: Vec<String>,
    /// When the access token ends, unix seconds, where that is known.
    pub expires_at: Option<i64>,
}

/// One SSH key: its public half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyView {
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
    /// When it was made, unix seconds.
    pub created_at: i64,
    /// When a newer key replaced it, unix seconds; it works until the newer one has been used.
    pub retired_at: Option<i64>,
    /// `present`, `pending`, `needs-authorization`, `refused`, `expiring`, `unknown` or `by-hand`.
    pub state: String,
    /// Why, and what to do next, where there is something to do.
    pub reason: Option<String>,
    /// The page at the provider where the key is pasted or authorised.
    pub page: Option<String>,
}

/// One rule: which link answers where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleView {
    /// `rul_…`.
    pub id: String,
    /// The address of Git over HTTPS, then the path it is for; `*` and `?` are wildcards.
    pub pattern: String,
    /// The link that answers, `lnk_…`.
    pub link: String,
    /// The login of the link's account.
    pub login: String,
    /// The provider's name.
    pub provider: String,
    /// When it was made, unix seconds.
    pub created_at: i64,
}

/// A provider that a user may link, with the links they have there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedProvider {
    /// `prv_…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What kind it is, for people.
    pub kind: String,
    /// The site manager's words about it.
    pub description: Option<String>,
    /// Its base URL.
    pub url: String,
    /// Whether an account can be linked; else a key is pasted by hand.
    pub linkable: bool,
    /// Whether links already made still work but new ones are not offered.
    pub disabled: bool,
    /// What is wrong with its configuration, as its answers showed.
    pub alarm: Option<String>,
    /// How a key is pasted by hand, one step each.
    pub paste_steps: Vec<&'static str>,
    /// Its address in rules; none where no rule can name it.
    pub rule_host: Option<String>,
    /// This user's links there, the default first.
    pub links: Vec<LinkView>,
}

/// All that a workspace needs to configure Git and SSH. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SetupView {
    /// Changes whenever anything below does.
    pub version: String,
    /// For `user.name`, where Git has none.
    pub user_name: String,
    /// For `user.email`, where Git has none.
    pub user_email: Option<String>,
    /// Every enabled provider, linked or not.
    pub providers: Vec<SetupProvider>,
    /// The `allowed_signers` file (ssh-keygen(1)).
    pub allowed_signers: String,
}

/// One provider as a workspace sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SetupProvider {
    /// `prv_…`.
    pub id: String,
    /// Its name, for messages.
    pub name: String,
    /// Where Git over HTTPS starts; none where the kind has no HTTPS credential.
    pub git_url: Option<String>,
    /// What URLs over HTTPS have between `git_url` and the owner, and URLs over SSH have not.
    pub https_segment: Option<String>,
    /// PEM certificates to trust for `git_url`, besides the system's.
    pub ca_pem: Option<String>,
    /// The user of SSH addresses.
    pub ssh_user: String,
    /// `host` or `host:port` of each SSH address.
    pub ssh_addresses: Vec<String>,
    /// Pinned host keys, each `algorithm base64`.
    pub host_keys: Vec<String>,
    /// This user's links, the default first, or where the kind has no OAuth this user's key alone.
    pub links: Vec<SetupLink>,
}

/// One link as its workspace sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    pub rules: Vec<String>,
    /// Live public keys, OpenSSH lines, newest first.
    pub keys: Vec<String>,
    /// Why it cannot be used, where it cannot.
    pub dead: Option<String>,
}

/// How one provider stands for a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStatus {
    /// The provider's name.
    pub provider: String,
    /// The account's login, where linked.
    pub login: Option<String>,
    /// `linked`, `not-linked`, `unfinished`, `dead` or `key-only`.
    pub state: String,
    /// What to do next, where there is something to do.
    pub next_step: Option<String>,
    /// State of the key at the provider; none where there is no key.
    pub key_state: Option<String>,
}
