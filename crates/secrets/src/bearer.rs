//! Bearer tokens: shown once, stored as a hash.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};

use crate::random::random_text;

/// The SHA-256 of a bearer token in hex: what is stored and looked up instead of it.
///
/// A plain hash is enough, since the token has 256 bits that nobody chose.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TokenHash(String);

impl TokenHash {
    /// 64 lower-case hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// A fresh bearer token with its hash.
#[derive(Debug)]
pub struct Bearer {
    /// What the bearer gets, once.
    pub plain: SecretString,
    /// What we keep.
    pub hash: TokenHash,
}

/// A fresh bearer token such as `fpw_…`: `prefix`, an underscore unless it ends in one, then 32
/// random bytes as base64url. The prefix lets secret scanners find it.
pub fn new_bearer(prefix: &str) -> Bearer {
    let prefix = prefix.trim_end_matches('_');
    let plain = format!("{prefix}_{}", random_text(32).expose_secret()).into();
    let hash = hash_bearer(&plain);
    Bearer { plain, hash }
}

/// The hash under which a bearer token is stored.
pub fn hash_bearer(plain: &SecretString) -> TokenHash {
    TokenHash(sha256_hex(plain.expose_secret().as_bytes()))
}

/// The SHA-256 of `bytes` as 64 lower-case hex digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    digest(&SHA256, bytes)
        .as_ref()
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}
