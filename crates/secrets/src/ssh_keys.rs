//! SSH key pairs: made, kept in OpenSSH's format, and used to sign.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA512, RsaEncoding,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use ssh_encoding::Encode;
use ssh_key::{EcdsaCurve, HashAlg, LineEnding, Mpint, PrivateKey, Signature};

use crate::ssh_format;

/// The sign flag that asks an RSA key for SHA-256 (RFC 9987 section 6.4).
const FLAG_RSA_SHA2_256: u32 = 2;
/// The sign flag that asks an RSA key for SHA-512.
const FLAG_RSA_SHA2_512: u32 = 4;

/// The kinds of key that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Ed25519.
    Ed25519,
    /// ECDSA on NIST P-256.
    EcdsaP256,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits.
    Rsa4096,
}

impl Algorithm {
    /// All of them, the preferred first.
    pub const ALL: [Self; 4] = [Self::Ed25519, Self::EcdsaP256, Self::Rsa3072, Self::Rsa4096];

    /// The name in settings and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-p256",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
        }
    }

    /// The name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Ed25519 => "Ed25519",
            Self::EcdsaP256 => "ECDSA P-256",
            Self::Rsa3072 => "RSA 3072",
            Self::Rsa4096 => "RSA 4096",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = KeyError;

    fn from_str(name: &str) -> Result<Self, KeyError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
            .ok_or(KeyError::UnknownAlgorithm)
    }
}

/// Why a key cannot be made, read or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No algorithm has that name.
    #[error("unknown key algorithm; use ed25519, ecdsa-p256, rsa-3072 or rsa-4096")]
    UnknownAlgorithm,
    /// AWS-LC did not make a key.
    #[error("no key could be generated; try again")]
    Generation,
    /// The text is no private key that can be used.
    #[error("not an unencrypted private key of a type in use here; make a new key")]
    Malformed,
    /// An RSA key was asked for a SHA-1 signature.
    #[error("an RSA signature with SHA-1 was asked for; use a client that knows rsa-sha2-256")]
    Sha1,
    /// A sign flag that is not known.
    #[error("a signature option is not known; use a client that asks without it")]
    UnknownFlags,
    /// AWS-LC did not sign.
    #[error("the key did not sign; make a new key")]
    Signing,
}

/// An SSH key pair. The private half shows in [`KeyPair::to_openssh`] alone.
pub struct KeyPair {
    signer: Signer,
    public_blob: Vec<u8>,
    openssh: SecretString,
}

/// The private halves as AWS-LC holds them.
pub(crate) enum Signer {
    Ed25519(Ed25519KeyPair),
    EcdsaP256(EcdsaKeyPair),
    Rsa(rsa::KeyPair),
}

impl KeyPair {
    /// Makes a key pair. RSA takes up to seconds: call it off the async threads.
    ///
    /// # Errors
    /// [`KeyError::Generation`].
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let rsa = |size| rsa::KeyPair::generate(size).map(Signer::Rsa);
        let signer = match algorithm {
            Algorithm::Ed25519 => Ed25519KeyPair::generate().map(Signer::Ed25519),
            Algorithm::EcdsaP256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Signer::EcdsaP256)
            }
            Algorithm::Rsa3072 => rsa(KeySize::Rsa3072),
            Algorithm::Rsa4096 => rsa(KeySize::Rsa4096),
        }
        .map_err(|_| KeyError::Generation)?;
        let private = ssh_format::to_openssh(&signer)
            .and_then(|data| PrivateKey::new(data, "").ok())
            .ok_or(KeyError::Generation)?;
        let text = private
            .to_openssh(LineEnding::LF)
            .map_err(|_| KeyError::Generation)?;
        Self::new(signer, &private, text.as_str().into())
    }

    /// Reads an unencrypted private key in OpenSSH's format: Ed25519, ECDSA P-256 or RSA of 2048 to
    /// 8192 bits.
    ///
    /// # Errors
    /// [`KeyError::Malformed`], also when the private half does not belong to the public one.
    pub fn from_openssh(text: &SecretString) -> Result<Self, KeyError> {
        let private =
            PrivateKey::from_openssh(text.expose_secret()).map_err(|_| KeyError::Malformed)?;
        let signer = ssh_format::from_openssh(private.key_data()).ok_or(KeyError::Malformed)?;
        Self::new(signer, &private, text.clone())
    }

    fn new(signer: Signer, private: &PrivateKey, openssh: SecretString) -> Result<Self, KeyError> {
        let public_blob = private
            .public_key()
            .to_bytes()
            .map_err(|_| KeyError::Malformed)?;
        Ok(Self {
            signer,
            public_blob,
            openssh,
        })
    }

    /// The private key in OpenSSH's format, unencrypted: seal it.
    pub fn to_openssh(&self) -> SecretString {
        self.openssh.clone()
    }

    /// The public key as one line of `authorized_keys`, without a line end.
    ///
    /// Control characters of `comment` are left out, so it cannot begin a second line.
    pub fn public_line(&self, comment: &str) -> String {
        let comment: String = comment.chars().filter(|c| !c.is_control()).collect();
        let line = format!(
            "{} {} {comment}",
            self.signer.key_type(),
            STANDARD.encode(&self.public_blob)
        );
        line.trim_end().to_owned()
    }

    /// The public key as SSH sends it.
    pub fn public_blob(&self) -> Vec<u8> {
        self.public_blob.clone()
    }

    /// The fingerprint as `ssh-keygen -l` shows it, `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.public_blob)
    }

    /// Signs `data` as an SSH agent does; `flags` are those of its sign request (2 asks an RSA key
    /// for SHA-256, 4 for SHA-512; with both, 2 counts, as in OpenSSH). The answer is an SSH
    /// signature blob: the algorithm as a string, then the signature as a string.
    ///
    /// # Errors
    /// [`KeyError::Sha1`] for an RSA key without either flag, [`KeyError::UnknownFlags`] for other
    /// flags (RFC 9987 section 3.6), [`KeyError::Signing`].
    pub fn sign(&self, data: &[u8], flags: u32) -> Result<Vec<u8>, KeyError> {
        if flags & !(FLAG_RSA_SHA2_256 | FLAG_RSA_SHA2_512) != 0 {
            return Err(KeyError::UnknownFlags);
        }
        let (algorithm, signature) = match &self.signer {
            Signer::Ed25519(pair) => (
                ssh_key::Algorithm::Ed25519,
                pair.sign(data).as_ref().to_vec(),
            ),
            Signer::EcdsaP256(pair) => (
                ssh_key::Algorithm::Ecdsa {
                    curve: EcdsaCurve::NistP256,
                },
                sign_ecdsa(pair, data)?,
            ),
            Signer::Rsa(pair) => sign_rsa(pair, data, flags)?,
        };
        Signature::new(algorithm, signature)
            .and_then(|signature| Ok(signature.encode_vec()?))
            .map_err(|_| KeyError::Signing)
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({})", self.fingerprint())
    }
}

impl Signer {
    fn key_type(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "ssh-ed25519",
            Self::EcdsaP256(_) => "ecdsa-sha2-nistp256",
            Self::Rsa(_) => "ssh-rsa",
        }
    }
}

/// The fingerprint of a public key blob as `ssh-keygen -l` shows it, `SHA256:…`.
pub fn fingerprint(public_blob: &[u8]) -> String {
    let hash = digest(&SHA256, public_blob);
    format!("SHA256:{}", STANDARD_NO_PAD.encode(hash))
}

/// An ECDSA signature as RFC 5656 section 3.1.2 wants it: two multiple precision integers.
fn sign_ecdsa(pair: &EcdsaKeyPair, data: &[u8]) -> Result<Vec<u8>, KeyError> {
    let fixed = pair
        .sign(&SystemRandom::new(), data)
        .map_err(|_| KeyError::Signing)?;
    let (r, s) = fixed.as_ref().split_at(fixed.as_ref().len() / 2);
    let mut signature = Vec::new();
    for number in [r, s] {
        Mpint::from_positive_bytes(number)
            .encode(&mut signature)
            .map_err(|_| KeyError::Signing)?;
    }
    Ok(signature)
}

/// An RSA signature of RFC 8332. Without a flag the older `ssh-rsa` is meant, whose SHA-1 is broken;
/// OpenSSH has asked for it only of servers before 7.2.
fn sign_rsa(
    pair: &rsa::KeyPair,
    data: &[u8],
    flags: u32,
) -> Result<(ssh_key::Algorithm, Vec<u8>), KeyError> {
    let (hash, padding): (_, &'static dyn RsaEncoding) = if flags & FLAG_RSA_SHA2_256 != 0 {
        (HashAlg::Sha256, &RSA_PKCS1_SHA256)
    } else if flags & FLAG_RSA_SHA2_512 != 0 {
        (HashAlg::Sha512, &RSA_PKCS1_SHA512)
    } else {
        return Err(KeyError::Sha1);
    };
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(padding, &SystemRandom::new(), data, &mut signature)
        .map_err(|_| KeyError::Signing)?;
    let algorithm = ssh_key::Algorithm::Rsa { hash: Some(hash) };
    Ok((algorithm, signature))
}
