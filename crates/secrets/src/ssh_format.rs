//! Turns AWS-LC's private keys into the fields of OpenSSH's format, and back.
//!
//! Every function answers `None` for a key that does not fit; there is nothing more to say about it.

use aws_lc_rs::encoding::{AsBigEndian, AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{self, KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use pkcs1::der::Decode;
use pkcs8::PrivateKeyInfo;
use ssh_key::private::{
    EcdsaKeypair, EcdsaPrivateKey, Ed25519Keypair, Ed25519PrivateKey, KeypairData, RsaKeypair,
    RsaPrivateKey,
};
use ssh_key::public::{Ed25519PublicKey, RsaPublicKey};
use ssh_key::{EcdsaCurve, Mpint};
use zeroize::Zeroizing;

use crate::ssh_keys::Signer;

/// The OpenSSH fields of a private key.
pub(crate) fn to_openssh(signer: &Signer) -> Option<KeypairData> {
    match signer {
        Signer::Ed25519(pair) => from_ed25519(pair),
        Signer::EcdsaP256(pair) => from_ecdsa(pair),
        Signer::Rsa(pair) => from_rsa(pair),
    }
}

/// A private key from its OpenSSH fields.
pub(crate) fn from_openssh(fields: &KeypairData) -> Option<Signer> {
    match fields {
        KeypairData::Ed25519(pair) => {
            let seed = Zeroizing::new(pair.private.to_bytes());
            Ed25519KeyPair::from_seed_and_public_key(&*seed, &pair.public.0)
                .ok()
                .map(Signer::Ed25519)
        }
        KeypairData::Ecdsa(pair) if pair.curve() == EcdsaCurve::NistP256 => {
            EcdsaKeyPair::from_private_key_and_public_key(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                pair.private_key_bytes(),
                pair.public_key_bytes(),
            )
            .ok()
            .map(Signer::EcdsaP256)
        }
        KeypairData::Rsa(pair) => to_rsa(pair).map(Signer::Rsa),
        _ => None,
    }
}

fn from_ed25519(pair: &Ed25519KeyPair) -> Option<KeypairData> {
    let seed = pair.seed().ok()?;
    let seed = seed.as_be_bytes().ok()?;
    let seed: Zeroizing<[u8; 32]> = Zeroizing::new(seed.as_ref().try_into().ok()?);
    Some(KeypairData::Ed25519(Ed25519Keypair {
        public: Ed25519PublicKey(pair.public_key().as_ref().try_into().ok()?),
        private: Ed25519PrivateKey::from_bytes(&seed),
    }))
}

fn from_ecdsa(pair: &EcdsaKeyPair) -> Option<KeypairData> {
    let scalar = pair.private_key().as_be_bytes().ok()?;
    let scalar = scalar.as_ref();
    // One scalar in 256 begins with a zero byte; the format wants all 32, so it is padded.
    let mut padded = Zeroizing::new([0; 32]);
    let start = padded.len().checked_sub(scalar.len())?;
    padded[start..].copy_from_slice(scalar);
    Some(KeypairData::Ecdsa(EcdsaKeypair::NistP256 {
        public: sec1::EncodedPoint::from_bytes(pair.public_key().as_ref()).ok()?,
        private: EcdsaPrivateKey::from(*padded),
    }))
}

fn from_rsa(pair: &rsa::KeyPair) -> Option<KeypairData> {
    let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(pair).ok()?;
    let info = PrivateKeyInfo::try_from(pkcs8.as_ref()).ok()?;
    let fields = pkcs1::RsaPrivateKey::from_der(info.private_key).ok()?;
    let number = |field: pkcs1::UintRef<'_>| Mpint::from_positive_bytes(field.as_bytes());
    let public = RsaPublicKey::new(number(fields.public_exponent), number(fields.modulus)).ok()?;
    let private = RsaPrivateKey::new(
        number(fields.private_exponent),
        number(fields.coefficient),
        number(fields.prime1),
        number(fields.prime2),
    )
    .ok()?;
    Some(KeypairData::Rsa(RsaKeypair::new(public, private).ok()?))
}

/// OpenSSH leaves out the exponents of the Chinese remainder theorem, so they are computed again;
/// AWS-LC then checks that all the numbers belong together.
fn to_rsa(pair: &RsaKeypair) -> Option<rsa::KeyPair> {
    let (public, private) = (pair.public(), pair.private());
    let d = private.d().as_positive_bytes()?;
    let p = private.p().as_positive_bytes()?;
    let q = private.q().as_positive_bytes()?;
    let (d_p, d_q) = (modulo_one_less(d, p)?, modulo_one_less(d, q)?);
    let components = KeyPairComponents {
        public_key: PublicKeyComponents {
            n: public.n().as_positive_bytes()?,
            e: public.e().as_positive_bytes()?,
        },
        d,
        p,
        q,
        dP: &*d_p,
        dQ: &*d_q,
        qInv: private.iqmp().as_positive_bytes()?,
    };
    rsa::KeyPair::from_components(&components).ok()
}

/// `value mod (prime - 1)`, all big-endian; `None` unless `prime` is odd and at most 8192 bits.
///
/// Shifts in one bit after the other and subtracts when it can. Which of both happened does not show
/// in the time it takes, since the bits are secret.
fn modulo_one_less(value: &[u8], prime: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if prime.last().is_none_or(|last| last & 1 == 0) || prime.len() > 1024 {
        return None;
    }
    let mut modulus = Zeroizing::new(limbs(prime));
    modulus[0] &= !1;
    let mut remainder = Zeroizing::new(vec![0u32; modulus.len()]);
    let mut reduced = Zeroizing::new(vec![0u32; modulus.len()]);
    for byte in value {
        for place in (0..8).rev() {
            shift_in(&mut remainder, u32::from(byte >> place) & 1);
            let borrow = subtract(&remainder, &modulus, &mut reduced);
            let keep = 0u32.wrapping_sub(borrow);
            for (limb, reduced) in remainder.iter_mut().zip(reduced.iter()) {
                *limb = (*limb & keep) | (*reduced & !keep);
            }
        }
    }
    let bytes = remainder.iter().rev().flat_map(|limb| limb.to_be_bytes());
    Some(Zeroizing::new(bytes.collect()))
}

/// The number as 32-bit limbs, the least significant first, with one spare limb on top.
fn limbs(number: &[u8]) -> Vec<u32> {
    let mut limbs = Vec::with_capacity(number.len() / 4 + 2);
    limbs.extend(number.rchunks(4).map(|chunk| {
        chunk
            .iter()
            .fold(0, |limb, byte| limb << 8 | u32::from(*byte))
    }));
    limbs.push(0);
    limbs
}

/// `number = 2 * number + bit`.
fn shift_in(number: &mut [u32], bit: u32) {
    let mut carry = bit;
    for limb in number {
        (*limb, carry) = (*limb << 1 | carry, *limb >> 31);
    }
}

/// `difference = left - right`; answers 1 when `right` is the larger, else 0.
fn subtract(left: &[u32], right: &[u32], difference: &mut [u32]) -> u32 {
    let mut borrow = 0;
    for ((left, right), difference) in left.iter().zip(right).zip(difference) {
        let wide = u64::from(*left)
            .wrapping_sub(u64::from(*right))
            .wrapping_sub(borrow);
        *difference = wide as u32;
        borrow = wide >> 63;
    }
    borrow as u32
}
