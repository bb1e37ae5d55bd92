//! What a kind of forge must tell about itself, and the words used to tell it.

use std::str::FromStr;

use secrecy::SecretString;
use url::Url;

use crate::{
    Account, Call, Client, Minted, MintedId, OAuth1, OAuth2, Probe, RemoteKey, Tokens, call::under,
};

/// One forge software, such as GitLab; a [`Site`] is one installation of it.
pub trait Kind: Sync {
    /// The name used in config files, URLs and the database. Never changes.
    fn id(&self) -> &'static str;

    /// The name shown to people.
    fn name(&self) -> &'static str;

    /// The name of the software alone, where several kinds are ways to register at it.
    fn software(&self) -> &'static str {
        self.name()
    }

    /// Which versions of the software this way to register suits, where there is a sibling.
    fn versions(&self) -> Option<&'static str> {
        None
    }

    /// The address of the installation that most people mean, where there is one.
    fn usual_url(&self) -> Option<&'static str> {
        None
    }

    /// How our application proves itself there.
    fn auth(&self) -> AuthStyle;

    /// What the site manager does at the provider, step by step, with the values to copy.
    fn guide(&self, ours: &Ours) -> Vec<GuideStep>;

    /// What follows from the provider's URL alone.
    ///
    /// # Errors
    /// Why this URL cannot be this kind and what to do instead, as one sentence.
    fn defaults(&self, url: &Url) -> Result<Defaults, String>;

    /// The key algorithms it accepts, as `secrets::Algorithm` names them; where there is one only,
    /// that one is demanded whatever the site setting says.
    fn algorithms(&self) -> &'static [&'static str];

    /// How a person pastes the public key by hand, one step each.
    fn paste_steps(&self) -> &'static [&'static str];

    /// The page where a person pastes, authorises or deletes a key.
    fn key_page(&self, _site: &Site) -> Option<Url> {
        None
    }

    /// How to run the OAuth 2.0 dance with it.
    fn oauth2(&self, _site: &Site) -> Option<OAuth2> {
        None
    }

    /// How to run the OAuth 1.0a dance with it.
    fn oauth1(&self, _site: &Site) -> Option<OAuth1> {
        None
    }

    /// The scopes to ask for; `None` is a provider with narrowing off, which asks for all at once.
    fn scopes(&self, _purpose: Option<Purpose>) -> &'static [&'static str] {
        &[]
    }

    /// How a token that Git may get is kept from adding SSH keys to the account.
    fn narrowing(&self) -> Narrowing {
        Narrowing::Impossible("this kind of provider has no tokens")
    }

    /// What a person sees when our application there lacks something that a consent asks for, where
    /// that differs from an error that comes back to us.
    fn consent_hint(&self) -> Option<&'static str> {
        None
    }

    /// Whether a token with these scopes could add SSH keys; a Git grant that can is refused.
    fn holds_key_rights(&self, _granted: &[String]) -> bool {
        false
    }

    /// Asks whose token this is.
    fn whoami(&self, _site: &Site) -> Option<Call<Account>> {
        None
    }

    /// The user name Git must send along with a token over HTTPS; `login` is the account's.
    fn git_username(&self, login: &str) -> String {
        login.to_owned()
    }

    /// The segment between the address and the owner in URLs over HTTPS that SSH does not have.
    fn https_segment(&self) -> Option<&'static str> {
        None
    }

    /// Which uploads one key gets; empty where keys are pasted by hand.
    fn usages(&self) -> &'static [Usage] {
        &[]
    }

    /// As what a retired key stays at the provider so that its old signatures stay verified.
    fn retired_usage(&self) -> Option<Usage> {
        None
    }

    /// The other kind that is the same software registered another way: a provider may be moved to
    /// it, and keeps its accounts and keys.
    fn sibling(&self) -> Option<&'static str> {
        None
    }

    /// Lists the account's own keys that serve `usage`; GitLab has one list and answers with it all.
    fn list_keys(&self, _site: &Site, _usage: Usage) -> Option<Call<Vec<RemoteKey>>> {
        None
    }

    /// Adds a public key, `line` being its whole OpenSSH line with a comment.
    fn add_key(
        &self,
        _site: &Site,
        _title: &str,
        _line: &str,
        _usage: Usage,
    ) -> Option<Call<RemoteKey>> {
        None
    }

    /// Deletes the key with this id; a key that is gone already is a success.
    /// There is no call for an id that is empty or not alphanumeric: at some forges the URL without
    /// the id deletes every key of the account.
    fn delete_key(&self, _site: &Site, _id: &str, _usage: Usage) -> Option<Call<()>> {
        None
    }

    /// Ends one token of ours (access or refresh); a token that is gone already is a success.
    fn revoke(&self, _site: &Site, _client: &Client, _token: &SecretString) -> Option<Call<()>> {
        None
    }

    /// Puts a new access token of the same scopes in place of `token`, which ends, without asking the
    /// person.
    fn reset(&self, _site: &Site, _client: &Client, _token: &SecretString) -> Option<Call<Tokens>> {
        None
    }

    /// Makes a token for Git alone that lives `days` days.
    fn mint(
        &self,
        _site: &Site,
        _account: &Account,
        _name: &str,
        _days: u32,
    ) -> Option<Call<Minted>> {
        None
    }

    /// Lists the minted tokens of the account, without their secrets.
    fn list_minted(&self, _site: &Site, _account: &Account) -> Option<Call<Vec<MintedId>>> {
        None
    }

    /// Deletes a minted token; one that is gone already is a success. An empty id gives no call.
    fn delete_minted(&self, _site: &Site, _account: &Account, _id: &str) -> Option<Call<()>> {
        None
    }

    /// Asks, without any authentication, whether this software answers at this site.
    fn probe(&self, _site: &Site) -> Option<Call<Probe>> {
        None
    }
}

/// One installation of a forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The base URL with any context path, such as `https://code.example.com/gitlab`.
    pub url: Url,
    /// Where its API starts, such as `https://api.github.com`.
    pub api: Url,
    /// Where Git over HTTPS starts; none where the kind has no HTTPS credential.
    pub git: Option<Url>,
}

/// What follows from a provider's URL, each replaceable by the site manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// Where its API starts.
    pub api: Url,
    /// Where Git over HTTPS starts; none where the kind has no HTTPS credential.
    pub git: Option<Url>,
    /// The user of its SSH addresses, nearly always `git`.
    pub ssh_user: String,
    /// `host` or `host:port`, the first being the usual one.
    pub ssh_addresses: Vec<String>,
    /// The host keys we know, each `algorithm base64`; empty: read them and have them confirmed.
    pub host_keys: Vec<String>,
}

/// What the guide fills in for the site manager to copy.
#[derive(Debug, Clone)]
pub struct Ours {
    /// The name of our application.
    pub name: String,
    /// Our own address.
    pub homepage: Url,
    /// Our exact callback URL.
    pub callback: Url,
    /// The consumer key of an OAuth 1.0a application link.
    pub consumer_key: String,
    /// The public key of an OAuth 1.0a application link (X.509 SubjectPublicKeyInfo PEM), once made.
    pub public_key: Option<String>,
    /// The provider's base URL, once it has been entered.
    pub url: Option<Url>,
}

/// One step of a guide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuideStep {
    /// What to do, in one or two sentences.
    pub text: String,
    /// What to enter: the field's name at the provider and its value, in the order of its form.
    pub values: Vec<(String, String)>,
}

impl GuideStep {
    /// A step with nothing to enter.
    pub(crate) fn say(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            values: Vec::new(),
        }
    }

    /// The same step with one more field to fill in.
    pub(crate) fn with(mut self, field: &str, value: impl Into<String>) -> Self {
        self.values.push((field.to_owned(), value.into()));
        self
    }
}

impl Ours {
    /// A page below the provider's URL for the guide, or a placeholder while that is not entered.
    pub(crate) fn page(&self, path: &str) -> String {
        match &self.url {
            Some(url) => under(url, path).to_string(),
            None => format!("https://<provider>/{path}"),
        }
    }
}

/// How our application proves itself at a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthStyle {
    /// OAuth 2.0 with a client id and secret.
    OAuth2,
    /// OAuth 1.0a with a consumer key and RSA-SHA1 signatures.
    OAuth1,
    /// Not at all: keys are pasted by hand.
    None,
}

impl AuthStyle {
    /// The word for the wire: `oauth2`, `oauth1` or `none`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OAuth2 => "oauth2",
            Self::OAuth1 => "oauth1",
            Self::None => "none",
        }
    }
}

/// What a grant is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Reading the account and managing its keys; never leaves the broker.
    Manage,
    /// What Git in a workspace may get.
    Git,
}

impl Purpose {
    /// The word for the database and the wire: `manage` or `git`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manage => "manage",
            Self::Git => "git",
        }
    }
}

/// How the Git grant of a link is kept apart from the one that manages keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Narrowing {
    /// By a second consent with other scopes.
    SecondConsent,
    /// By a token made through the API.
    Mint,
    /// Not at all, and why.
    Impossible(&'static str),
}

/// What an uploaded key serves for at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Usage {
    /// Git over SSH.
    Auth,
    /// Verifying signed commits.
    Signing,
    /// Both, in one entry.
    AuthAndSigning,
}

impl Usage {
    /// The word for the database and the wire: `auth`, `signing` or `auth-and-signing`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Signing => "signing",
            Self::AuthAndSigning => "auth-and-signing",
        }
    }
}

/// A word that names no [`Purpose`] or [`Usage`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown word {0:?}")]
pub struct UnknownWord(pub String);

impl FromStr for Purpose {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        [Self::Manage, Self::Git]
            .into_iter()
            .find(|purpose| purpose.as_str() == word)
            .ok_or_else(|| UnknownWord(word.to_owned()))
    }
}

impl FromStr for Usage {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        [Self::Auth, Self::Signing, Self::AuthAndSigning]
            .into_iter()
            .find(|usage| usage.as_str() == word)
            .ok_or_else(|| UnknownWord(word.to_owned()))
    }
}
