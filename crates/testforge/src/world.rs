//! Time and chance of the stand-ins: the only file that asks the machine for either.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// Unix seconds by the machine's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "a stand-in shares no clock with what it tests"
)]
pub(crate) fn now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX))
}

/// `bytes` random bytes.
#[expect(
    clippy::disallowed_methods,
    reason = "a stand-in shares no code with what it tests"
)]
#[expect(clippy::expect_used, reason = "without randomness nothing can go on")]
pub(crate) fn random_bytes(bytes: usize) -> Vec<u8> {
    let mut buffer = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut buffer).expect("the system gives random bytes");
    buffer
}

/// `bytes` random bytes as base64url text.
pub(crate) fn random_text(bytes: usize) -> String {
    URL_SAFE_NO_PAD.encode(random_bytes(bytes))
}

/// `bytes` random bytes as lower-case hex.
pub(crate) fn random_hex(bytes: usize) -> String {
    random_bytes(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// `length` random letters and digits.
pub(crate) fn random_letters(length: usize) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    random_bytes(length)
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect()
}

/// The S256 challenge of a PKCE verifier (RFC 7636 section 4.2).
pub(crate) fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

/// Unix seconds as `2026-01-31T12:00:00Z`.
pub(crate) fn iso(time: i64) -> String {
    jiff::Timestamp::from_second(time).map_or_else(|_| String::new(), |at| at.to_string())
}

/// Unix seconds of `2026-01-31` (its midnight, UTC) or of an ISO 8601 time with an offset.
pub(crate) fn parse_iso(text: &str) -> Option<i64> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.as_second());
    }
    let date = text.parse::<jiff::civil::Date>().ok()?;
    Some(
        date.to_zoned(jiff::tz::TimeZone::UTC)
            .ok()?
            .timestamp()
            .as_second(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s256_gives_the_example_of_rfc_7636() {
        let challenge = s256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn reads_dates_and_times() {
        assert_eq!(parse_iso("2026-01-02"), Some(1_767_312_000));
        assert_eq!(parse_iso(&iso(1_767_312_001)), Some(1_767_312_001));
        assert_eq!(parse_iso("tomorrow"), None);
    }
}
