//! Passwords, hashed by Argon2id with the OWASP parameters (19 MiB, two passes, one lane).
//!
//! Both functions take tens of milliseconds: call them off the async threads.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use secrecy::{ExposeSecret, SecretString};

/// The longest password in bytes; a longer one is more likely an attack than a phrase.
const MAX_PASSWORD: usize = 1024;

/// Why a password cannot be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It is empty.
    #[error("the password is empty; choose one")]
    Empty,
    /// It is longer than 1024 bytes.
    #[error("the password is longer than 1024 bytes; choose a shorter one")]
    TooLong,
    /// Argon2 did not work, for want of memory or randomness.
    #[error("the password could not be hashed; check the memory of this machine")]
    Hashing,
}

/// Hashes a password for storage, as a PHC string with its own salt and parameters.
///
/// # Errors
/// [`PasswordError`]; how long or strange a password must be is not decided here.
pub fn hash_password(password: &SecretString) -> Result<String, PasswordError> {
    let password = password.expose_secret().as_bytes();
    match password.len() {
        0 => Err(PasswordError::Empty),
        1..=MAX_PASSWORD => {
            let phc: PasswordHash = Argon2::default()
                .hash_password(password)
                .map_err(|_| PasswordError::Hashing)?;
            Ok(phc.to_string())
        }
        _ => Err(PasswordError::TooLong),
    }
}

/// Whether a password is the one that was hashed to `phc`; false also for a `phc` that is none of
/// ours. The parameters are those in `phc`, so older hashes stay good when the defaults rise.
pub fn verify_password(password: &SecretString, phc: &str) -> bool {
    let password = password.expose_secret().as_bytes();
    phc.starts_with("$argon2id$")
        && password.len() <= MAX_PASSWORD
        && PasswordHash::new(phc)
            .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
}
