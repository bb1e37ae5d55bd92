//! The messages of the SSH agent protocol (RFC 9987) that an agent which only lists and signs needs,
//! with OpenSSH's `session-bind@openssh.com` extension (its `PROTOCOL.agent`).

use std::io::{self, Read, Write};

use crate::wire::{Reader, WireError, Writer};

/// The longest message in bytes, without its length prefix: OpenSSH's `AGENT_MAX_LEN`.
pub const MAX_FRAME: usize = 256 * 1024;

/// The longest session identifier in bytes that OpenSSH's agent takes (`AGENT_MAX_SID_LEN`).
pub(crate) const MAX_SESSION_ID: usize = 128;

/// The extension by which a client names the server it talks to.
pub const SESSION_BIND: &str = "session-bind@openssh.com";
/// The extension that asks which extensions there are (RFC 9987 section 3.8.1).
pub const QUERY: &str = "query";

// Message numbers, RFC 9987 section 6.1.
const FAILURE: u8 = 5;
const SUCCESS: u8 = 6;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
const EXTENSION: u8 = 27;
const EXTENSION_FAILURE: u8 = 28;
const EXTENSION_RESPONSE: u8 = 29;

/// What a client asks of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Which keys are there?
    List,
    /// Sign `data` with a key.
    Sign {
        /// The public key blob.
        key: Vec<u8>,
        /// The bytes to sign; [`crate::signed::parse`] tells what they mean.
        data: Vec<u8>,
        /// 2 asks an RSA key for SHA-256, 4 for SHA-512.
        flags: u32,
    },
    /// This connection now serves that session.
    Bind(Binding),
    /// Which extensions are there?
    Query,
    /// An extension that is not known here; its body is not kept.
    UnknownExtension(String),
    /// Another message by its number (add, remove, lock, …); its body is not kept.
    Other(u8),
}

/// The server that a client talks to, as `session-bind@openssh.com` tells it.
///
/// Nothing in it is checked here: the signature is the server's over `session_id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The server's public host key blob.
    pub host_key: Vec<u8>,
    /// The session identifier: the hash of the first key exchange, 1 to 128 bytes.
    pub session_id: Vec<u8>,
    /// The host key's signature over the session identifier, as an SSH signature blob.
    pub signature: Vec<u8>,
    /// Whether the agent is being forwarded to that server, rather than used to sign in there.
    pub forwarding: bool,
}

/// What the agent answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// The keys there are.
    Identities(Vec<Identity>),
    /// A signature, as an SSH signature blob.
    Signature(Vec<u8>),
    /// Done.
    Success,
    /// Not done, or not understood.
    Failure,
    /// The extension is known, but it did not work (RFC 9987 section 3.8).
    ExtensionFailure,
    /// The names of the extensions there are.
    Extensions(Vec<String>),
}

/// One key of the agent's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The public key blob.
    pub key: Vec<u8>,
    /// What a person is shown beside it.
    pub comment: String,
}

impl Request {
    /// Reads a request from a frame without its length prefix.
    ///
    /// # Errors
    /// [`WireError`] when a message known here is malformed; the answer to it is
    /// [`Response::Failure`].
    pub fn decode(frame: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(frame);
        let request = match reader.u8()? {
            REQUEST_IDENTITIES => Self::List,
            SIGN_REQUEST => Self::Sign {
                key: reader.string()?.to_vec(),
                data: reader.string()?.to_vec(),
                flags: reader.u32()?,
            },
            EXTENSION => match reader.text()? {
                QUERY => Self::Query,
                SESSION_BIND => Self::Bind(Binding::decode(&mut reader)?),
                name => {
                    reader.rest();
                    Self::UnknownExtension(name.to_owned())
                }
            },
            number => {
                reader.rest();
                Self::Other(number)
            }
        };
        reader.finish()?;
        Ok(request)
    }

    /// Writes the request as a frame without its length prefix.
    pub fn encode(&self) -> Vec<u8> {
        let writer = Writer::new();
        match self {
            Self::List => writer.u8(REQUEST_IDENTITIES),
            Self::Sign { key, data, flags } => {
                writer.u8(SIGN_REQUEST).string(key).string(data).u32(*flags)
            }
            Self::Bind(binding) => binding.encode(writer.u8(EXTENSION).string(SESSION_BIND)),
            Self::Query => writer.u8(EXTENSION).string(QUERY),
            Self::UnknownExtension(name) => writer.u8(EXTENSION).string(name),
            Self::Other(number) => writer.u8(*number),
        }
        .into_vec()
    }
}

impl Binding {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            host_key: reader.string()?.to_vec(),
            session_id: read_session_id(reader)?.to_vec(),
            signature: reader.string()?.to_vec(),
            forwarding: reader.bool()?,
        })
    }

    fn encode(&self, writer: Writer) -> Writer {
        writer
            .string(&self.host_key)
            .string(&self.session_id)
            .string(&self.signature)
            .bool(self.forwarding)
    }
}

impl Response {
    /// Reads an answer from a frame without its length prefix.
    ///
    /// # Errors
    /// [`WireError`] when the frame is malformed or no answer known here.
    pub fn decode(frame: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(frame);
        let response = match reader.u8()? {
            FAILURE => Self::Failure,
            SUCCESS => Self::Success,
            IDENTITIES_ANSWER => Self::Identities(read_identities(&mut reader)?),
            SIGN_RESPONSE => Self::Signature(reader.string()?.to_vec()),
            EXTENSION_FAILURE => Self::ExtensionFailure,
            EXTENSION_RESPONSE => Self::Extensions(read_extensions(&mut reader)?),
            _ => return Err(WireError::Unexpected("message number in an answer")),
        };
        reader.finish()?;
        Ok(response)
    }

    /// Writes the answer as a frame without its length prefix.
    pub fn encode(&self) -> Vec<u8> {
        let writer = Writer::new();
        match self {
            Self::Identities(identities) => identities.iter().fold(
                writer
                    .u8(IDENTITIES_ANSWER)
                    .u32(u32::try_from(identities.len()).unwrap_or(u32::MAX)),
                |writer, identity| writer.string(&identity.key).string(&identity.comment),
            ),
            Self::Signature(signature) => writer.u8(SIGN_RESPONSE).string(signature),
            Self::Success => writer.u8(SUCCESS),
            Self::Failure => writer.u8(FAILURE),
            Self::ExtensionFailure => writer.u8(EXTENSION_FAILURE),
            Self::Extensions(names) => names.iter().fold(
                writer.u8(EXTENSION_RESPONSE).string(QUERY),
                |writer, name| writer.string(name),
            ),
        }
        .into_vec()
    }
}

/// Reads a session identifier of 1 to 128 bytes.
pub(crate) fn read_session_id<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], WireError> {
    let session_id = reader.string()?;
    if session_id.is_empty() || session_id.len() > MAX_SESSION_ID {
        return Err(WireError::Unexpected("length of a session identifier"));
    }
    Ok(session_id)
}

fn read_identities(reader: &mut Reader<'_>) -> Result<Vec<Identity>, WireError> {
    let count = reader.u32()?;
    // The count is the sender's claim, so nothing is reserved for it: each identity takes at least
    // eight bytes of the frame, and the loop ends where the frame does.
    let mut identities = Vec::new();
    for _ in 0..count {
        identities.push(Identity {
            key: reader.string()?.to_vec(),
            comment: reader.text()?.to_owned(),
        });
    }
    Ok(identities)
}

fn read_extensions(reader: &mut Reader<'_>) -> Result<Vec<String>, WireError> {
    if reader.text()? != QUERY {
        return Err(WireError::Unexpected("name in an extension's answer"));
    }
    let mut names = Vec::new();
    while !reader.is_empty() {
        names.push(reader.text()?.to_owned());
    }
    Ok(names)
}

/// Reads one frame and strips its length prefix; `None` when the other side closed between frames.
///
/// # Errors
/// `InvalidData` for an empty frame or one over [`MAX_FRAME`], `UnexpectedEof` when the other side
/// closed within a frame, and whatever `reader` answers. After any of them the place in the stream
/// is lost, so the connection must be closed.
pub fn read_frame(reader: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut prefix = Vec::with_capacity(4);
    reader.by_ref().take(4).read_to_end(&mut prefix)?;
    let prefix = match <[u8; 4]>::try_from(prefix.as_slice()) {
        Ok(prefix) => prefix,
        Err(_) if prefix.is_empty() => return Ok(None),
        Err(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
    };
    let length = u32::from_be_bytes(prefix);
    if length == 0 || length as usize > MAX_FRAME {
        return Err(frame_length_refused());
    }
    // The buffer grows with what arrives, so a client that claims much and sends little costs little.
    let mut frame = Vec::new();
    reader
        .by_ref()
        .take(u64::from(length))
        .read_to_end(&mut frame)?;
    if frame.len() < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(frame))
}

/// Writes one frame with its length prefix, and flushes.
///
/// # Errors
/// `InvalidData` for an empty frame or one over [`MAX_FRAME`], and whatever `writer` answers.
pub fn write_frame(writer: &mut impl Write, frame: &[u8]) -> io::Result<()> {
    if frame.is_empty() || frame.len() > MAX_FRAME {
        return Err(frame_length_refused());
    }
    // One write, so that a small answer is one packet.
    writer.write_all(&Writer::new().string(frame).into_vec())?;
    writer.flush()
}

fn frame_length_refused() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "an agent message must have 1 to 262144 bytes",
    )
}
