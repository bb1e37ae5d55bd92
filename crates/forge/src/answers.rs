//! What forges tell us, in words that are the same for every kind.

use std::fmt;

use secrecy::SecretString;
use url::Url;

/// A person's account on a forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The forge's own permanent id: logins can be renamed and reused, this cannot.
    pub id: String,
    /// The name in its URLs.
    pub login: String,
    /// The name shown to people.
    pub name: Option<String>,
    /// Its e-mail addresses that the token may see.
    pub emails: Vec<Email>,
    /// The address the forge offers for commits that shall not show a real one.
    pub noreply: Option<String>,
    /// The token's scopes, where the reply's headers tell.
    pub granted: Option<Vec<String>>,
}

/// An e-mail address of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// The address.
    pub address: String,
    /// Whether the forge made sure that it is this person's.
    pub verified: bool,
    /// Whether the account uses it first.
    pub primary: bool,
}

/// A public key as the forge lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteKey {
    /// The forge's id of this entry.
    pub id: String,
    /// The key itself: the base64 field of its OpenSSH line.
    pub blob: String,
    /// The title or label it is listed under.
    pub title: String,
    /// When the forge will stop accepting it, unix seconds.
    pub expires_at: Option<i64>,
    /// What it serves for there.
    pub usage: crate::Usage,
}

/// Our registration with one provider.
#[derive(Debug, Clone)]
pub struct Client {
    /// Client id.
    pub id: String,
    /// Client secret.
    pub secret: SecretString,
    /// The callback URL exactly as registered.
    pub callback: Url,
}

/// What a provider grants.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Access token; the request token in the first step of OAuth 1.0a.
    pub access: SecretString,
    /// Refresh token; none in a reply to a refresh means that the old one stays.
    pub refresh: Option<SecretString>,
    /// Seconds the access token lives; none is unknown, not zero.
    pub expires_in_s: Option<i64>,
    /// Scopes granted, where told.
    pub scopes: Option<Vec<String>>,
    /// Token secret of OAuth 1.0a, which RSA-SHA1 does not use but a change of method would.
    pub token_secret: Option<SecretString>,
    /// Session handle of OAuth 1.0a.
    pub session_handle: Option<SecretString>,
}

/// A token made through the API.
#[derive(Debug, Clone)]
pub struct Minted {
    /// The forge's id of it.
    pub id: String,
    /// The token; no later reply shows it again.
    pub token: SecretString,
    /// When it ends, unix seconds.
    pub expires_at: Option<i64>,
}

/// A minted token in the forge's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MintedId {
    /// The forge's id of it.
    pub id: String,
    /// The name it was given.
    pub name: String,
}

/// What answers at a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The software, as people call it.
    pub product: String,
    /// Its version, where it tells strangers.
    pub version: Option<String>,
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.product)?;
        self.version
            .as_ref()
            .map_or(Ok(()), |version| write!(f, " {version}"))
    }
}
