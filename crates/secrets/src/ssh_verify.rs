//! Checks SSH signatures: those of host keys over a session, and those of users' keys.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use ssh_encoding::Decode;
use ssh_key::public::{EcdsaPublicKey, KeyData, RsaPublicKey};
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, Mpint, PublicKey, Signature};

/// Whether `signature_blob` (algorithm and signature, each a string) is a signature of the key in
/// `public_blob` over `data`.
///
/// Known are Ed25519, ECDSA on P-256, P-384 and P-521, and RSA of 2048 to 8192 bits with SHA-256 or
/// SHA-512. Everything else is no: the SHA-1 of `ssh-rsa`, certificates, security keys, bytes too
/// many or too few.
pub fn verify_ssh(public_blob: &[u8], data: &[u8], signature_blob: &[u8]) -> bool {
    verify(public_blob, data, signature_blob).is_some()
}

fn verify(public_blob: &[u8], data: &[u8], mut signature_blob: &[u8]) -> Option<()> {
    let key = PublicKey::from_bytes(public_blob).ok()?;
    let signature = Signature::decode(&mut signature_blob).ok()?;
    if !signature_blob.is_empty() {
        return None;
    }
    match (key.key_data(), signature.algorithm()) {
        (KeyData::Ed25519(key), Algorithm::Ed25519) => UnparsedPublicKey::new(&ED25519, &key.0)
            .verify(data, signature.as_bytes())
            .ok(),
        (KeyData::Ecdsa(key), Algorithm::Ecdsa { curve }) if key.curve() == curve => {
            verify_ecdsa(key, data, signature.as_bytes())
        }
        (KeyData::Rsa(key), Algorithm::Rsa { hash: Some(hash) }) => {
            verify_rsa(key, data, hash, signature.as_bytes())
        }
        _ => None,
    }
}

fn verify_ecdsa(key: &EcdsaPublicKey, data: &[u8], mut signature: &[u8]) -> Option<()> {
    let (algorithm, length) = match key.curve() {
        EcdsaCurve::NistP256 => (&ECDSA_P256_SHA256_FIXED, 32),
        EcdsaCurve::NistP384 => (&ECDSA_P384_SHA384_FIXED, 48),
        EcdsaCurve::NistP521 => (&ECDSA_P521_SHA512_FIXED, 66),
    };
    let mut fixed = Vec::with_capacity(2 * length);
    for end in [length, 2 * length] {
        let number = Mpint::decode(&mut signature).ok()?;
        let number = number.as_positive_bytes()?;
        // `Signature` holds two numbers of at most `length` bytes each, and nothing else.
        fixed.resize(end.checked_sub(number.len())?, 0);
        fixed.extend_from_slice(number);
    }
    UnparsedPublicKey::new(algorithm, key.as_sec1_bytes())
        .verify(data, &fixed)
        .ok()
}

fn verify_rsa(key: &RsaPublicKey, data: &[u8], hash: HashAlg, signature: &[u8]) -> Option<()> {
    let algorithm = match hash {
        HashAlg::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
        HashAlg::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
        _ => return None,
    };
    let components = RsaPublicKeyComponents {
        n: key.n().as_positive_bytes()?,
        e: key.e().as_positive_bytes()?,
    };
    components.verify(algorithm, data, signature).ok()
}
