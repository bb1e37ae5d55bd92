//! The RSA key of an OAuth 1.0a application link: we sign requests with it, and the other side holds
//! its public half.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use pkcs8::{Document, LineEnding, PrivateKeyInfo, SecretDocument};
use secrecy::{ExposeSecret, SecretString};

use crate::KeyError;
use crate::rsa_sha1::RsaSha1Key;

/// The RSA key pair of an application link.
pub struct ConsumerKey {
    signer: RsaSha1Key,
    pem: SecretString,
    public_pem: String,
}

impl ConsumerKey {
    /// Makes a key pair of 3072 bits. Takes up to a second: call it off the async threads.
    ///
    /// # Errors
    /// [`KeyError::Generation`].
    pub fn generate() -> Result<Self, KeyError> {
        let pair = rsa::KeyPair::generate(KeySize::Rsa3072).map_err(|_| KeyError::Generation)?;
        let pem = private_pem(&pair).ok_or(KeyError::Generation)?;
        Self::from_pem(&pem)
    }

    /// Reads an unencrypted RSA private key of 2048 to 8192 bits: PKCS#8 in PEM.
    ///
    /// # Errors
    /// [`KeyError::Malformed`].
    pub fn from_pem(pem: &SecretString) -> Result<Self, KeyError> {
        Self::read(pem).ok_or(KeyError::Malformed)
    }

    fn read(pem: &SecretString) -> Option<Self> {
        let (_, document) = SecretDocument::from_pem(pem.expose_secret()).ok()?;
        // The safe interface checks the size and knows the public half; the other one signs.
        let pair = rsa::KeyPair::from_pkcs8(document.as_bytes()).ok()?;
        let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).ok()?;
        let info = PrivateKeyInfo::try_from(document.as_bytes()).ok()?;
        let public_pem = Document::try_from(public.as_ref())
            .and_then(|document| document.to_pem("PUBLIC KEY", LineEnding::LF))
            .ok()?;
        Some(Self {
            signer: RsaSha1Key::from_pkcs1(info.private_key)?,
            pem: pem.clone(),
            public_pem,
        })
    }

    /// The private key as PKCS#8 in PEM, unencrypted: seal it.
    pub fn to_pem(&self) -> SecretString {
        self.pem.clone()
    }

    /// The public key as PEM (SubjectPublicKeyInfo), which an administrator pastes at the other side.
    pub fn public_pem(&self) -> String {
        self.public_pem.clone()
    }

    /// Signs as OAuth's `RSA-SHA1` (RFC 5849 section 3.4.3): PKCS#1 v1.5 over the SHA-1 of
    /// `message`, as long as the key.
    ///
    /// # Errors
    /// [`KeyError::Signing`].
    pub fn sign_sha1(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.signer.sign(message).ok_or(KeyError::Signing)
    }
}

fn private_pem(pair: &rsa::KeyPair) -> Option<SecretString> {
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(pair).ok()?;
    let pem = SecretDocument::try_from(der.as_ref())
        .and_then(|document| document.to_pem("PRIVATE KEY", LineEnding::LF))
        .ok()?;
    Some(pem.as_str().into())
}

impl fmt::Debug for ConsumerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConsumerKey(..)")
    }
}
