//! Seals secrets for storage: AES-256-GCM under a key that each box derives from the key ring.
//!
//! A box is bound to its place (table, column, row, owner, origins), so whoever can write to the
//! database still cannot move a token to another user, or a client secret to another address.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::random::random;

const VERSION: &str = "v1";
/// Separates these keys from any that something else might derive from the same key ring.
const PURPOSE: &[u8] = b"forgepass seal v1";
const KEY_BYTES: usize = 32;
const SALT_BYTES: usize = 32;

/// A sealed secret as printable text: `v1.<key id>.<salt>.<box>`, the last two in base64url.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(String);

impl Sealed {
    /// Takes what [`Sealed::as_str`] gave; whether it opens shows when it is opened.
    pub fn from_text(text: String) -> Self {
        Self(text)
    }

    /// The text to store.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn key_id(&self) -> Option<&str> {
        self.0.split('.').nth(1)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(..)")
    }
}

/// Where a sealed secret lies and where it may be sent. A box opens only at the place it was sealed
/// for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The table, such as `grants`.
    pub table: &'a str,
    /// The column, such as `refresh`.
    pub column: &'a str,
    /// The id of the row.
    pub row: &'a str,
    /// The id of the user whose secret it is; empty for the site's own.
    pub owner: &'a str,
    /// The origins it may be sent to, in a fixed order; empty where that means nothing.
    pub origins: &'a [String],
}

impl Place<'_> {
    /// The associated data: version, key id and all fields, each after its length, so that no two
    /// places give the same bytes.
    fn associated_data(&self, key_id: &str) -> Vec<u8> {
        let fixed = [
            VERSION,
            key_id,
            self.table,
            self.column,
            self.row,
            self.owner,
        ];
        let mut data = Vec::new();
        for field in fixed
            .into_iter()
            .chain(self.origins.iter().map(String::as_str))
        {
            data.extend((field.len() as u64).to_be_bytes());
            data.extend(field.as_bytes());
        }
        data
    }
}

/// Why a sealed secret does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is no text that [`Keyring::seal`] made.
    #[error("the sealed secret is damaged; restore it from a backup or enter it again")]
    Malformed,
    /// The key ring lacks its key.
    #[error("the key ring has no key {0}; add that key's line to the key file again")]
    UnknownKey(String),
    /// It was altered, or sealed for another place.
    #[error("the sealed secret does not belong here; link the account or enter the secret again")]
    Refused,
}

/// Why a text is not a key ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// It has no key.
    #[error("the key file has no key; restore it from a backup")]
    Empty,
    /// A line is not `<id> <base64 of 32 bytes>`.
    #[error("line {0} of the key file is not a key; write `<id> <base64 of 32 bytes>`")]
    Line(usize),
    /// Two lines have the same id.
    #[error("line {0} of the key file repeats an id; give each key its own")]
    Duplicate(usize),
}

/// The keys that seal, the current one first.
pub struct Keyring {
    current: Key,
    older: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: String,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

impl Keyring {
    /// A new ring with one random key.
    pub fn generate() -> Self {
        Self {
            current: Key::generate(),
            older: Vec::new(),
        }
    }

    /// Reads a ring: one key a line, `<id> <base64 of 32 bytes>`, the current one first. Blank lines
    /// and lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// [`KeyringError`], which names lines but never shows one.
    pub fn from_text(text: &SecretString) -> Result<Self, KeyringError> {
        let mut keys: Vec<Key> = Vec::new();
        for (number, line) in (1..).zip(text.expose_secret().lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = Key::from_line(line).ok_or(KeyringError::Line(number))?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(KeyringError::Duplicate(number));
            }
            keys.push(key);
        }
        let mut keys = keys.into_iter();
        let current = keys.next().ok_or(KeyringError::Empty)?;
        Ok(Self {
            current,
            older: keys.collect(),
        })
    }

    /// Writes the ring as [`Keyring::from_text`] reads it.
    pub fn to_text(&self) -> SecretString {
        let mut text = Zeroizing::new(String::new());
        for key in self.keys() {
            let bytes = Zeroizing::new(STANDARD.encode(key.bytes.as_slice()));
            text.extend([&key.id, " ", &bytes, "\n"]);
        }
        text.as_str().into()
    }

    /// A ring with a new current key that still opens what this one opens.
    pub fn rotated(&self) -> Self {
        Self {
            current: Key::generate(),
            older: self.keys().cloned().collect(),
        }
    }

    /// Seals a secret for one place, under the current key.
    #[expect(
        clippy::expect_used,
        reason = "only 64 GiB of plaintext would be too long"
    )]
    pub fn seal(&self, place: &Place<'_>, plain: &SecretString) -> Sealed {
        let salt: [u8; SALT_BYTES] = random();
        let id = &self.current.id;
        let plain = plain.expose_secret().as_bytes();
        // With room for the tag: a vector that grew would leave the plaintext behind.
        let mut sealed = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(plain);
        self.current
            .box_key(&salt)
            .seal_in_place_append_tag(
                only_nonce(),
                Aad::from(place.associated_data(id)),
                &mut sealed,
            )
            .expect("the plaintext is shorter than the cipher's limit");
        let salt = URL_SAFE_NO_PAD.encode(salt);
        let sealed = URL_SAFE_NO_PAD.encode(sealed);
        Sealed(format!("{VERSION}.{id}.{salt}.{sealed}"))
    }

    /// Opens a secret that was sealed for this very place, under any key of the ring.
    ///
    /// # Errors
    /// [`OpenError`]: damaged, from a key that is not here, or not from this place.
    pub fn open(&self, place: &Place<'_>, sealed: &Sealed) -> Result<SecretString, OpenError> {
        let mut parts = sealed.as_str().split('.');
        let (Some(VERSION), Some(id), Some(salt), Some(sealed), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return Err(OpenError::Malformed);
        };
        let decode = |part| {
            URL_SAFE_NO_PAD
                .decode(part)
                .map_err(|_| OpenError::Malformed)
        };
        let salt = decode(salt)?.try_into().map_err(|_| OpenError::Malformed)?;
        let mut opened = Zeroizing::new(decode(sealed)?);
        let key = self
            .keys()
            .find(|key| key.id == id)
            .ok_or_else(|| OpenError::UnknownKey(id.to_owned()))?;
        let plain = key
            .box_key(&salt)
            .open_in_place(
                only_nonce(),
                Aad::from(place.associated_data(id)),
                &mut opened,
            )
            .map_err(|_| OpenError::Refused)?;
        let plain = std::str::from_utf8(plain).map_err(|_| OpenError::Malformed)?;
        Ok(plain.into())
    }

    /// Whether a secret is sealed under the current key; if not, it is to be sealed again.
    pub fn is_current(&self, sealed: &Sealed) -> bool {
        sealed.key_id() == Some(self.current.id.as_str())
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.older)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.keys().map(|key| key.id.as_str());
        f.write_str("Keyring")?;
        f.debug_list().entries(ids).finish()
    }
}

impl Key {
    fn generate() -> Self {
        let id: [u8; 5] = random();
        Self {
            id: format!("k{}", id.map(|byte| format!("{byte:02x}")).concat()),
            bytes: Zeroizing::new(random()),
        }
    }

    fn from_line(line: &str) -> Option<Self> {
        let (id, bytes) = line.split_once([' ', '\t'])?;
        let printable = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !id.chars().all(printable) {
            return None;
        }
        let bytes = Zeroizing::new(STANDARD.decode(bytes.trim_start()).ok()?);
        let bytes: [u8; KEY_BYTES] = bytes.as_slice().try_into().ok()?;
        Some(Self {
            id: id.to_owned(),
            bytes: Zeroizing::new(bytes),
        })
    }

    /// The key of one box, from this key and the box's own salt.
    #[expect(
        clippy::expect_used,
        reason = "32 bytes suit both HKDF-SHA256 and AES-256"
    )]
    fn box_key(&self, salt: &[u8; SALT_BYTES]) -> LessSafeKey {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
            .extract(&*self.bytes)
            .expand(&[PURPOSE], hkdf::HKDF_SHA256)
            .and_then(|key| key.fill(&mut *bytes))
            .expect("HKDF-SHA256 gives 32 bytes");
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*bytes).expect("a key of 32 bytes"))
    }
}

/// The nonce of every box: its key is derived from a salt of 256 random bits and encrypts this one
/// message, so no nonce is used twice with a key.
fn only_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; aws_lc_rs::aead::NONCE_LEN])
}
