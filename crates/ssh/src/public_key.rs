//! Public keys as people and files write them: one line of `id_ed25519.pub` or of `known_hosts`.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::wire::{Reader, WireError};

/// One public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The type, such as `ssh-ed25519`; the blob's first field says the same.
    pub algorithm: String,
    /// The key as SSH sends it.
    pub blob: Vec<u8>,
    /// What stands after the key in its line; may be empty.
    pub comment: String,
}

/// Why a line is not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// The line has no key type followed by its base64.
    #[error("not a public key line; paste one such as `ssh-ed25519 AAAA…`")]
    Shape,
    /// A marker such as `@revoked` changes what the line means.
    #[error("lines with a marker such as `@revoked` are not taken; paste the plain host key")]
    Marker,
    /// The base64 decodes, but not to a key.
    #[error("the key is damaged ({0}); copy the whole line again")]
    Blob(#[from] WireError),
}

impl PublicKey {
    /// Reads a line of a `.pub` file, or of `known_hosts`, whose host names are dropped.
    ///
    /// # Errors
    /// [`PublicKeyError`] when the line is no key, or its type and its blob disagree.
    pub fn parse(line: &str) -> Result<Self, PublicKeyError> {
        let line = line.trim();
        if line.starts_with('@') {
            return Err(PublicKeyError::Marker);
        }
        if line.contains(|c: char| c.is_control() && c != '\t') {
            return Err(PublicKeyError::Shape);
        }
        let fields = Fields::of(line).ok_or(PublicKeyError::Shape)?;
        // A host name may look like a key type, but no blob does: it decides which field is which.
        match fields.decode()? {
            Some(key) => Ok(key),
            None => Fields::of(fields.after_first)
                .ok_or(PublicKeyError::Shape)?
                .decode()?
                .ok_or(PublicKeyError::Shape),
        }
    }

    /// Reads a key as SSH sends it.
    ///
    /// # Errors
    /// [`WireError`] when the blob does not hold the fields of its own type.
    pub fn from_blob(blob: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(blob);
        let algorithm = reader.text()?.to_owned();
        if !is_name(&algorithm) {
            return Err(WireError::Unexpected("name of a key type"));
        }
        check_fields(&algorithm, reader)?;
        Ok(Self {
            algorithm,
            blob: blob.to_vec(),
            comment: String::new(),
        })
    }

    /// The line as in a `.pub` file, without a line end.
    pub fn to_line(&self) -> String {
        let key = format!("{} {}", self.algorithm, STANDARD.encode(&self.blob));
        let comment: String = self.comment.chars().filter(|c| !c.is_control()).collect();
        if comment.is_empty() {
            key
        } else {
            format!("{key} {comment}")
        }
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        Self::parse(line)
    }
}

/// A line of `known_hosts` that ties `key` to a host key alias, without a line end.
///
/// Characters of `alias` that mean something in that file (a comma, a star, a space, …) are left
/// out: such an alias matches nothing, instead of other hosts.
pub fn known_hosts_line(alias: &str, key: &PublicKey) -> String {
    let alias: String = alias
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(*c))
        .collect();
    format!("{alias} {} {}", key.algorithm, STANDARD.encode(&key.blob))
}

/// A line taken apart as `first second rest…`.
struct Fields<'a> {
    first: &'a str,
    second: &'a str,
    after_first: &'a str,
    after_second: &'a str,
}

impl<'a> Fields<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let (first, after_first) = line.split_once([' ', '\t'])?;
        let after_first = after_first.trim_start();
        let (second, after_second) = after_first
            .split_once([' ', '\t'])
            .unwrap_or((after_first, ""));
        Some(Self {
            first,
            second,
            after_first,
            after_second: after_second.trim(),
        })
    }

    /// The key, if the second field is the blob of the type in the first.
    fn decode(&self) -> Result<Option<PublicKey>, WireError> {
        let Ok(blob) = STANDARD.decode(self.second) else {
            return Ok(None);
        };
        if Reader::new(&blob).text() != Ok(self.first) {
            return Ok(None);
        }
        Ok(Some(PublicKey {
            comment: self.after_second.to_owned(),
            ..PublicKey::from_blob(&blob)?
        }))
    }
}

/// Whether a key type has a name that stays one field of a line: at most 64 printable characters
/// without a comma (RFC 4251 section 6), and no marker in front.
fn is_name(algorithm: &str) -> bool {
    (1..=64).contains(&algorithm.len())
        && algorithm
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b',')
        && !algorithm.starts_with('@')
}

/// Checks that the fields after the type are there, and no more; of a type not known here, that
/// there is something (security keys and certificates, which nothing here uses).
fn check_fields(algorithm: &str, mut fields: Reader<'_>) -> Result<(), WireError> {
    let refuse = |what| Err(WireError::Unexpected(what));
    match algorithm {
        "ssh-ed25519" => {
            if fields.string()?.len() != 32 {
                return refuse("length of an Ed25519 key");
            }
        }
        "ssh-rsa" => {
            let (exponent, modulus) = (fields.string()?, fields.string()?);
            if exponent.is_empty() || modulus.is_empty() {
                return refuse("empty number in an RSA key");
            }
        }
        "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521" => {
            let curve = fields.text()?;
            if algorithm.strip_prefix("ecdsa-sha2-") != Some(curve) {
                return refuse("curve in an ECDSA key");
            }
            let length = match curve {
                "nistp256" => 65,
                "nistp384" => 97,
                _ => 133,
            };
            let point = fields.string()?;
            if point.len() != length || point.first() != Some(&4) {
                return refuse("point in an ECDSA key");
            }
        }
        _ => {
            if fields.rest().is_empty() {
                return refuse("key without a body");
            }
        }
    }
    fields.finish()
}
