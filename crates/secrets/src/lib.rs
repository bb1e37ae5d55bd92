//! Seals secrets, hashes bearer tokens and passwords, makes and uses SSH keys. Pure: no files, no
//! network.
//!
//! Plaintext is a [`SecretString`]; ciphertext is a [`Sealed`]; they meet here alone. All
//! cryptography is AWS-LC's, but for Argon2id, which it lacks.

mod bearer;
mod consumer_key;
mod password;
mod random;
mod rsa_sha1;
mod seal;
mod ssh_format;
mod ssh_keys;
mod ssh_verify;

pub use bearer::{Bearer, TokenHash, hash_bearer, new_bearer, sha256_hex};
pub use consumer_key::ConsumerKey;
pub use password::{PasswordError, hash_password, verify_password};
pub use random::{Pkce, pkce, random_code, random_id, random_text};
pub use seal::{Keyring, KeyringError, OpenError, Place, Sealed};
pub use secrecy::{ExposeSecret, SecretString};
pub use ssh_keys::{Algorithm, KeyError, KeyPair, fingerprint};
pub use ssh_verify::verify_ssh;
