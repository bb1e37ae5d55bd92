//! SSH keys of accounts: parsing, policies, duplicates.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use russh::keys::ssh_key::{HashAlg, PublicKey, public::KeyData};
use serde::{Deserialize, Serialize};

use crate::{
    shape::Software,
    state::{Account, Site, State},
};

/// What a key is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Usage {
    /// Signing in over SSH.
    Auth,
    /// Verifying signatures.
    Signing,
    /// Both.
    AuthAndSigning,
}

impl Usage {
    pub(crate) fn signs_in(self) -> bool {
        self != Self::Signing
    }
}

/// A key on an account.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) id: u64,
    pub(crate) account: u64,
    pub(crate) title: String,
    pub(crate) parsed: Parsed,
    pub(crate) usage: Usage,
    pub(crate) created_at: i64,
    pub(crate) expires_at: Option<i64>,
    /// The application that added it.
    pub(crate) made_by_app: Option<String>,
    /// The token by which it was added.
    pub(crate) made_by_token: Option<u64>,
}

/// A public key as the test sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// Number at the site.
    pub id: u64,
    /// Login of its owner.
    pub login: String,
    /// Title or label.
    pub title: String,
    /// Type and base64, without comment.
    pub line: String,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// What it is good for.
    pub usage: Usage,
    /// Unix seconds.
    pub expires_at: Option<i64>,
}

/// A parsed public key line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// For example `ssh-ed25519`.
    pub(crate) algorithm: String,
    /// The second field of the line.
    pub(crate) base64: String,
    pub(crate) comment: String,
    pub(crate) fingerprint: String,
    /// Length in bits.
    pub(crate) bits: usize,
}

/// Why a key is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyProblem {
    /// No public key line.
    Unreadable,
    /// Its type is not allowed here.
    Forbidden(String),
    /// Too few bits; the least that is allowed.
    Weak(usize),
    /// On some account of this site already.
    Taken,
}

impl KeyProblem {
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Unreadable => "no public key line".to_owned(),
            Self::Forbidden(algorithm) => format!("keys of type {algorithm} are forbidden"),
            Self::Weak(least) => format!("the key has fewer than {least} bits"),
            Self::Taken => "the key is on an account already".to_owned(),
        }
    }
}

impl Parsed {
    /// Type and base64.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.algorithm, self.base64)
    }

    /// Reads an OpenSSH public key line.
    pub(crate) fn read(line: &str) -> Result<Self, KeyProblem> {
        let line = line.trim();
        if line.contains(['\n', '\r']) {
            return Err(KeyProblem::Unreadable);
        }
        let key = PublicKey::from_openssh(line).map_err(|_| KeyProblem::Unreadable)?;
        Self::of(&key)
    }

    /// Describes a key that was read already.
    pub(crate) fn of(key: &PublicKey) -> Result<Self, KeyProblem> {
        let blob = key.to_bytes().map_err(|_| KeyProblem::Unreadable)?;
        // A key's own name, never that of a signature such as rsa-sha2-512.
        let algorithm = match key.key_data() {
            KeyData::Rsa(_) => "ssh-rsa".to_owned(),
            _ => key.algorithm().as_str().to_owned(),
        };
        Ok(Self {
            algorithm,
            base64: STANDARD.encode(blob),
            comment: key.comment().to_string(),
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
            bits: bits(key.key_data()),
        })
    }
}

fn bits(key: &KeyData) -> usize {
    match key {
        KeyData::Rsa(rsa) => {
            let modulus = rsa.n().as_positive_bytes().unwrap_or_default();
            let zeros = modulus
                .first()
                .map_or(0, |byte| byte.leading_zeros() as usize);
            (modulus.len() * 8).saturating_sub(zeros)
        }
        KeyData::Ecdsa(ecdsa) => match ecdsa.curve().as_str() {
            "nistp384" => 384,
            "nistp521" => 521,
            _ => 256,
        },
        _ => 256,
    }
}

/// A key that is about to be added.
pub(crate) struct NewKey {
    pub(crate) title: String,
    pub(crate) line: String,
    pub(crate) usage: Usage,
    pub(crate) expires_at: Option<i64>,
    pub(crate) made_by_app: Option<String>,
    pub(crate) made_by_token: Option<u64>,
}

impl State {
    /// Adds a key to an account after the checks of the site.
    pub(crate) fn add_key(&mut self, account: u64, new: NewKey) -> Result<Key, KeyProblem> {
        let parsed = self.check_key(&new.line)?;
        if self
            .keys
            .iter()
            .any(|key| key.parsed.base64 == parsed.base64 && self.same_list(key.usage, new.usage))
        {
            return Err(KeyProblem::Taken);
        }
        let key = Key {
            id: self.next_id(),
            account,
            title: new.title,
            parsed,
            usage: new.usage,
            created_at: self.now(),
            expires_at: new.expires_at,
            made_by_app: new.made_by_app,
            made_by_token: new.made_by_token,
        };
        self.keys.push(key.clone());
        Ok(key)
    }

    /// GitHub keeps two lists, in each of which a key may stand once; all others keep one.
    fn same_list(&self, one: Usage, other: Usage) -> bool {
        self.software() != Software::GitHub || one == other
    }

    fn check_key(&self, line: &str) -> Result<Parsed, KeyProblem> {
        let parsed = Parsed::read(line)?;
        let rsa_only = self.software() == Software::Azure;
        if parsed.algorithm == "ssh-dss"
            || rsa_only && parsed.algorithm != "ssh-rsa"
            || self.knobs.forbidden_key_types.contains(&parsed.algorithm)
        {
            return Err(KeyProblem::Forbidden(parsed.algorithm));
        }
        if parsed.algorithm == "ssh-rsa" && parsed.bits < 2048 {
            return Err(KeyProblem::Weak(2048));
        }
        Ok(parsed)
    }

    /// The account that a public key signs in to, and the key.
    pub(crate) fn key_owner(&self, base64: &str) -> Option<(&Account, &Key)> {
        let now = self.now();
        let key = self.keys.iter().find(|key| {
            key.parsed.base64 == base64
                && key.usage.signs_in()
                && key.expires_at.is_none_or(|end| end > now)
        })?;
        Some((self.account(key.account)?, key))
    }

    /// The keys of an account in the order they were added.
    pub(crate) fn keys_of(&self, account: u64) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| key.account == account)
    }

    /// Deletes a key of this account; false when it has none of this number.
    pub(crate) fn delete_key(&mut self, account: u64, id: u64) -> bool {
        let before = self.keys.len();
        self.keys
            .retain(|key| !(key.account == account && key.id == id));
        self.keys.len() < before
    }
}

/// One page of a list.
pub(crate) struct Page<'a, T> {
    pub(crate) items: Vec<&'a T>,
    pub(crate) number: usize,
    pub(crate) per_page: usize,
    pub(crate) total: usize,
}

impl<'a, T> Page<'a, T> {
    /// Page `number` (from 1) of `items`; `per_page` is bounded by the site's own limit.
    pub(crate) fn cut(site: &Site, state: &State, items: Vec<&'a T>, ask: (usize, usize)) -> Self {
        let (number, per_page) = ask;
        let usual_limit = if site.shape.software() == Software::Bitbucket {
            1000
        } else {
            100
        };
        let limit = state.knobs.page_size.unwrap_or(usual_limit);
        let per_page = per_page.clamp(1, limit.max(1));
        let total = items.len();
        let items = items
            .into_iter()
            .skip((number.max(1) - 1) * per_page)
            .take(per_page)
            .collect();
        Self {
            items,
            number: number.max(1),
            per_page,
            total,
        }
    }

    pub(crate) fn pages(&self) -> usize {
        self.total.div_ceil(self.per_page).max(1)
    }

    /// The `Link` header of this page, or nothing when there is no other page.
    pub(crate) fn link(&self, url: &str) -> Option<String> {
        let at = |page: usize, name: &str| {
            format!(
                "<{url}?page={page}&per_page={}>; rel=\"{name}\"",
                self.per_page
            )
        };
        let mut links = Vec::new();
        if self.number > 1 {
            links.push(at(self.number - 1, "prev"));
            links.push(at(1, "first"));
        }
        if self.number < self.pages() {
            links.push(at(self.number + 1, "next"));
            links.push(at(self.pages(), "last"));
        }
        (!links.is_empty()).then(|| links.join(", "))
    }
}
