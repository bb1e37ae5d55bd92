//! Everything one stand-in remembers: accounts, applications, tokens, keys, repositories, faults.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::{
    faults::Armed,
    keys::Key,
    log::Entry,
    oauth1::RequestToken,
    oauth2::{Code, Pending},
    shape::{Knobs, Shape, Software},
    world,
};

/// One running site; shared by its web, API and SSH servers.
pub(crate) struct Site {
    pub(crate) shape: Shape,
    /// Base URL without a trailing slash, sub-path included.
    pub(crate) url: String,
    /// Base of the REST API without a trailing slash.
    pub(crate) api_url: String,
    /// Host and port of the SSH server.
    pub(crate) ssh_address: String,
    /// OpenSSH line of the SSH host key.
    pub(crate) ssh_host_key: String,
    /// File with the PEM of the certificate authority.
    pub(crate) ca_file: PathBuf,
    /// Folder of the bare repositories.
    pub(crate) repositories: PathBuf,
    state: Mutex<State>,
}

/// Where a site can be reached; made when its ports are known.
pub(crate) struct Addresses {
    pub(crate) url: String,
    pub(crate) api_url: String,
    pub(crate) ssh_address: String,
    pub(crate) ssh_host_key: String,
}

impl Site {
    pub(crate) fn new(shape: Shape, at: Addresses, folder: &std::path::Path) -> Self {
        Self {
            shape,
            url: at.url,
            api_url: at.api_url,
            ssh_address: at.ssh_address,
            ssh_host_key: at.ssh_host_key,
            ca_file: folder.join("ca.pem"),
            repositories: folder.join("repositories"),
            state: Mutex::new(State::new(shape)),
        }
    }

    /// The state; a panic elsewhere does not take the site down.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct State {
    shape: Shape,
    pub(crate) accounts: Vec<Account>,
    pub(crate) apps: Vec<App>,
    pub(crate) pending: Vec<Pending>,
    pub(crate) codes: Vec<Code>,
    pub(crate) tokens: Vec<Token>,
    pub(crate) request_tokens: Vec<RequestToken>,
    /// Consumer key, timestamp and nonce of every signed request seen.
    pub(crate) nonces: HashSet<(String, String, String)>,
    pub(crate) keys: Vec<Key>,
    pub(crate) repositories: Vec<Repository>,
    pub(crate) organisations: Vec<Organisation>,
    pub(crate) knobs: Knobs,
    pub(crate) faults: Vec<Armed>,
    pub(crate) log: Vec<Entry>,
    /// Refresh tokens that were redeemed.
    pub(crate) refreshes: u64,
    /// Seconds that the site's clock runs ahead of the machine's.
    pub(crate) clock_offset_s: i64,
    /// Every secret that was ever given out, ended ones too.
    pub(crate) issued: Vec<String>,
    last_id: u64,
}

/// A person at the site.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Account {
    /// Permanent number.
    pub id: u64,
    /// Name for signing in; also the owner part of the person's repositories.
    pub login: String,
    /// Name for people.
    pub name: String,
    /// Addresses, the primary one first.
    pub emails: Vec<EmailAddress>,
    /// Whether the site refuses everything this account does.
    pub suspended: bool,
    /// What Git may send as a password besides tokens, on sites without OAuth.
    #[serde(skip)]
    pub(crate) password: Option<String>,
}

/// An address of an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EmailAddress {
    /// The address.
    pub address: String,
    /// Whether its owner confirmed it.
    pub verified: bool,
}

impl Account {
    /// The primary address.
    pub(crate) fn email(&self) -> &str {
        self.emails
            .first()
            .map_or("", |email| email.address.as_str())
    }
}

/// An application registered at the site.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) name: String,
    pub(crate) redirect_uri: String,
    /// Scopes ticked at registration, or permissions of a GitHub App.
    pub(crate) scopes: Vec<String>,
    pub(crate) style: AppStyle,
    pub(crate) suspended: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AppStyle {
    OAuth2,
    /// Expiring tokens whose rights are the app's permissions, whatever scopes are asked.
    GitHubApp,
    /// SubjectPublicKeyInfo (DER) of the consumer.
    OAuth1 {
        public_key: Vec<u8>,
    },
}

/// A token that the site gave out.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) id: u64,
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
    pub(crate) refresh_expires_at: Option<i64>,
    /// The application it was issued to; for minted tokens the one that asked.
    pub(crate) client_id: Option<String>,
    pub(crate) account: u64,
    pub(crate) scopes: Vec<String>,
    pub(crate) issued_at: i64,
    pub(crate) expires_at: Option<i64>,
    pub(crate) revoked: bool,
    pub(crate) sort: TokenSort,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum TokenSort {
    OAuth2,
    OAuth1 {
        session_handle: String,
        renewable_until: i64,
    },
    /// An HTTP access token with its name.
    Minted {
        name: String,
    },
}

/// Whether a token still opens doors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Alive,
    Expired,
    Revoked,
}

impl Token {
    pub(crate) fn standing(&self, now: i64) -> Standing {
        if self.revoked {
            Standing::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            Standing::Expired
        } else {
            Standing::Alive
        }
    }

    pub(crate) fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|granted| granted == scope)
    }
}

/// A bare repository.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    pub(crate) owner: String,
    pub(crate) name: String,
    /// Folder below [`Site::repositories`].
    pub(crate) folder: String,
    pub(crate) public: bool,
    /// Logins that may read and write; `None` means every account of the site.
    pub(crate) members: Option<Vec<String>>,
}

/// What an organisation demands of those who touch its repositories.
#[derive(Clone, Debug, Default)]
pub(crate) struct Organisation {
    pub(crate) name: String,
    /// Applications whose tokens it refuses.
    pub(crate) forbidden_apps: Vec<String>,
    /// Only tokens and keys authorised for its single sign-on get in.
    pub(crate) saml: bool,
    /// Key fingerprints and token ids that were authorised.
    pub(crate) authorised: Vec<String>,
}

impl State {
    fn new(shape: Shape) -> Self {
        Self {
            shape,
            accounts: Vec::new(),
            apps: Vec::new(),
            pending: Vec::new(),
            codes: Vec::new(),
            tokens: Vec::new(),
            request_tokens: Vec::new(),
            nonces: HashSet::new(),
            keys: Vec::new(),
            repositories: Vec::new(),
            organisations: Vec::new(),
            knobs: Knobs::default(),
            faults: Vec::new(),
            log: Vec::new(),
            refreshes: 0,
            clock_offset_s: 0,
            issued: Vec::new(),
            last_id: 1000,
        }
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    pub(crate) fn software(&self) -> Software {
        self.shape.software()
    }

    /// Unix seconds by the site's clock.
    pub(crate) fn now(&self) -> i64 {
        world::now() + self.clock_offset_s
    }

    /// The next number for accounts, keys, tokens and repositories.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(crate) fn account(&self, id: u64) -> Option<&Account> {
        self.accounts.iter().find(|account| account.id == id)
    }

    pub(crate) fn account_by_login(&self, login: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.login == login)
    }

    pub(crate) fn app(&self, client_id: &str) -> Option<&App> {
        self.apps.iter().find(|app| app.client_id == client_id)
    }

    /// The application with these credentials.
    pub(crate) fn app_with_secret(&self, client_id: &str, secret: &str) -> Option<&App> {
        self.app(client_id)
            .filter(|app| app.client_secret == secret)
    }

    pub(crate) fn token(&self, access: &str) -> Option<&Token> {
        self.tokens.iter().find(|token| token.access == access)
    }

    /// Remembers what must not turn up anywhere.
    pub(crate) fn note_issued<'a>(&mut self, secrets: impl IntoIterator<Item = &'a String>) {
        self.issued.extend(secrets.into_iter().cloned());
    }

    /// Ends a token, and its keys where the site is set to do so.
    pub(crate) fn end_token(&mut self, id: u64) {
        for token in self.tokens.iter_mut().filter(|token| token.id == id) {
            token.revoked = true;
            token.refresh = None;
        }
        if self.knobs.keys_die_with_token {
            self.keys.retain(|key| key.made_by_token != Some(id));
        }
    }

    /// The repository at `owner/name`; both are compared without regard to case.
    pub(crate) fn repository(&self, owner: &str, name: &str) -> Option<&Repository> {
        self.repositories.iter().find(|repository| {
            repository.owner.eq_ignore_ascii_case(owner)
                && repository.name.eq_ignore_ascii_case(name)
        })
    }

    pub(crate) fn organisation(&self, name: &str) -> Option<&Organisation> {
        self.organisations
            .iter()
            .find(|known| known.name.eq_ignore_ascii_case(name))
    }

    /// The organisation of this name, made when it is new.
    pub(crate) fn organisation_mut(&mut self, name: &str) -> &mut Organisation {
        let place = self
            .organisations
            .iter()
            .position(|known| known.name == name);
        let place = place.unwrap_or_else(|| {
            self.organisations.push(Organisation {
                name: name.to_owned(),
                ..Default::default()
            });
            self.organisations.len() - 1
        });
        &mut self.organisations[place]
    }
}
