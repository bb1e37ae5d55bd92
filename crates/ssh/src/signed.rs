//! What the bytes of a signature request mean: a sign-in to a server, or a signature over a file.
//!
//! A sign-in is the request of RFC 4252 section 7, or OpenSSH's `publickey-hostbound-v00@openssh.com`,
//! which adds the server's host key. A signature over a file (a Git commit, say) is the blob of
//! OpenSSH's `PROTOCOL.sshsig`. Nothing else is worth signing.

use crate::agent::read_session_id;
use crate::wire::{Reader, WireError};

const SSHSIG_MAGIC: &[u8] = b"SSHSIG";
const USERAUTH_REQUEST: u8 = 50;
const SERVICE: &str = "ssh-connection";
const PUBLICKEY: &str = "publickey";
const PUBLICKEY_HOSTBOUND: &str = "publickey-hostbound-v00@openssh.com";

/// What somebody asks to have signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// A sign-in to a server.
    UserAuth(UserAuth),
    /// A signature over a message, such as a commit.
    SshSig(SshSig),
}

/// A public key sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAuth {
    /// The session this sign-in belongs to; must equal the bound one.
    pub session_id: Vec<u8>,
    /// The name to sign in as, for a forge mostly `git`.
    pub user: String,
    /// The signature algorithm, such as `rsa-sha2-512`; it fits the type of `key`.
    pub algorithm: String,
    /// The public key blob that signs in.
    pub key: Vec<u8>,
    /// The server's host key blob, when the client bound the request to it.
    pub server_host_key: Option<Vec<u8>>,
}

/// A signature over a message; the message itself is present as a hash alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshSig {
    /// What the signature is for: `git` for commits and tags.
    pub namespace: String,
    /// `sha256` or `sha512`.
    pub hash_algorithm: String,
}

/// Tells what `data`, the bytes of a signature request, mean.
///
/// # Errors
/// [`WireError`] when they are neither a public key sign-in nor an SSHSIG blob; such bytes must not
/// be signed.
pub fn parse(data: &[u8]) -> Result<Signed, WireError> {
    // As the length of a session identifier the magic would mean 1.4 GB, so no message is both.
    match data.strip_prefix(SSHSIG_MAGIC) {
        Some(rest) => parse_sshsig(rest).map(Signed::SshSig),
        None => parse_userauth(data).map(Signed::UserAuth),
    }
}

fn parse_userauth(data: &[u8]) -> Result<UserAuth, WireError> {
    let mut reader = Reader::new(data);
    let session_id = read_session_id(&mut reader)?.to_vec();
    expect(reader.u8()? == USERAUTH_REQUEST, "message number")?;
    let user = reader.text()?.to_owned();
    expect(reader.text()? == SERVICE, "service of a sign-in")?;
    let method = reader.text()?;
    expect(reader.bool()?, "sign-in without a signature")?;
    let algorithm = reader.text()?.to_owned();
    let key = reader.string()?.to_vec();
    let server_host_key = match method {
        PUBLICKEY => None,
        PUBLICKEY_HOSTBOUND => Some(reader.string()?.to_vec()),
        _ => return Err(WireError::Unexpected("method of a sign-in")),
    };
    reader.finish()?;
    expect(
        key_type(&algorithm) == Reader::new(&key).text()?,
        "signature algorithm for this type of key",
    )?;
    Ok(UserAuth {
        session_id,
        user,
        algorithm,
        key,
        server_host_key,
    })
}

fn parse_sshsig(rest: &[u8]) -> Result<SshSig, WireError> {
    let mut reader = Reader::new(rest);
    let namespace = reader.text()?.to_owned();
    expect(!namespace.is_empty(), "empty namespace")?;
    // A verifier ignores this field; a signer signs only what it understands.
    expect(reader.string()?.is_empty(), "reserved field")?;
    let hash_algorithm = reader.text()?.to_owned();
    let hash = reader.string()?;
    reader.finish()?;
    let length = match hash_algorithm.as_str() {
        "sha256" => 32,
        "sha512" => 64,
        _ => return Err(WireError::Unexpected("hash algorithm")),
    };
    expect(hash.len() == length, "length of a hash")?;
    Ok(SshSig {
        namespace,
        hash_algorithm,
    })
}

/// The type that a key must have for a signature algorithm: the RSA ones differ (RFC 8332).
fn key_type(algorithm: &str) -> &str {
    match algorithm {
        "rsa-sha2-256" | "rsa-sha2-512" => "ssh-rsa",
        "rsa-sha2-256-cert-v01@openssh.com" | "rsa-sha2-512-cert-v01@openssh.com" => {
            "ssh-rsa-cert-v01@openssh.com"
        }
        other => other,
    }
}

fn expect(holds: bool, otherwise: &'static str) -> Result<(), WireError> {
    if holds {
        Ok(())
    } else {
        Err(WireError::Unexpected(otherwise))
    }
}
