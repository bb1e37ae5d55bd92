//! The one owner of chance: ids, random texts, codes that people type, PKCE verifiers.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use zeroize::{Zeroize, Zeroizing};

/// Crockford's base32 in lower case: no i, l, o, u, so an id can be read aloud.
const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Letters that a person can neither mistake for one another nor form words of (RFC 8628
/// section 6.1).
const CODE: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// A fresh id, such as `lnk_01j9…`: `prefix`, an underscore unless it ends in one, then 26
/// lower-case base32 characters of which the first 48 bits are the time in milliseconds and 80 bits
/// are random.
///
/// Rows made one after another so lie side by side in an index; nothing may rely on more than that.
pub fn random_id(prefix: &str) -> String {
    let number = u128::from(unix_milliseconds()) << 80 | (u128::from_be_bytes(random()) >> 48);
    let mut id = String::with_capacity(prefix.len() + 27);
    id.push_str(prefix.trim_end_matches('_'));
    id.push('_');
    id.extend(
        (0..26)
            .rev()
            .map(|place| char::from(BASE32[(number >> (5 * place)) as usize % 32])),
    );
    id
}

/// `bytes` random bytes as base64url without padding.
pub fn random_text(bytes: usize) -> SecretString {
    let mut random = Zeroizing::new(vec![0; bytes]);
    fill(&mut random);
    URL_SAFE_NO_PAD.encode(&*random).into()
}

/// A code that a person types, `XXXX-XXXX`, of 34 bits; whoever takes it must limit the tries.
pub fn random_code() -> String {
    let mut code = String::with_capacity(9);
    while code.len() < 9 {
        if code.len() == 4 {
            code.push('-');
        }
        let [byte] = random::<1>();
        // 240 is the largest multiple of 20 in a byte: beyond it some letters would come up more.
        if byte < 240 {
            code.push(char::from(CODE[usize::from(byte) % CODE.len()]));
        }
    }
    code
}

/// A PKCE pair (RFC 7636) of the method S256.
#[derive(Debug)]
pub struct Pkce {
    /// Sent with the code, later; 43 characters.
    pub verifier: SecretString,
    /// Sent with the browser, first.
    pub challenge: String,
}

/// A fresh PKCE pair.
pub fn pkce() -> Pkce {
    let verifier = random_text(32);
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.expose_secret().as_bytes()));
    Pkce {
        verifier,
        challenge,
    }
}

/// `N` random bytes.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

#[expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "the owner of randomness; without any, nothing here may go on"
)]
fn fill(bytes: &mut [u8]) {
    bytes.zeroize();
    aws_lc_rs::rand::fill(bytes).expect("the system has randomness");
}

#[expect(
    clippy::disallowed_methods,
    reason = "the time in an id only sorts it; no decision is taken by it"
)]
fn unix_milliseconds() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    // 48 bits last until the year 10889.
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX) & ((1 << 48) - 1)
}
