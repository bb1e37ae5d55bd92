//! The data types of RFC 4251 section 5: bytes, 32-bit numbers, booleans and strings.

/// Why bytes are not the message they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A field reaches past the end of the message.
    #[error("the message ends inside a field")]
    Truncated,
    /// Bytes follow the last field.
    #[error("bytes follow the last field of the message")]
    Trailing,
    /// A field that must be text is not UTF-8.
    #[error("a text field is not UTF-8")]
    NotUtf8,
    /// A field is well formed, but holds what this message must not hold.
    #[error("unexpected {0}")]
    Unexpected(&'static str),
}

/// Reads fields from the front of a message, borrowing from it.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `message`.
    pub fn new(message: &'a [u8]) -> Self {
        Self { left: message }
    }

    /// One byte.
    ///
    /// # Errors
    /// [`WireError::Truncated`] at the end of the message.
    pub fn u8(&mut self) -> Result<u8, WireError> {
        let (first, left) = self.left.split_first().ok_or(WireError::Truncated)?;
        self.left = left;
        Ok(*first)
    }

    /// Four bytes, the most significant first.
    ///
    /// # Errors
    /// [`WireError::Truncated`] when fewer than four bytes are left.
    pub fn u32(&mut self) -> Result<u32, WireError> {
        let (bytes, left) = self.left.split_first_chunk().ok_or(WireError::Truncated)?;
        self.left = left;
        Ok(u32::from_be_bytes(*bytes))
    }

    /// One byte; every value but zero is true, as RFC 4251 section 5 demands.
    ///
    /// # Errors
    /// [`WireError::Truncated`] at the end of the message.
    pub fn bool(&mut self) -> Result<bool, WireError> {
        Ok(self.u8()? != 0)
    }

    /// A 32-bit length and that many bytes.
    ///
    /// # Errors
    /// [`WireError::Truncated`] when the length reaches past the end of the message.
    pub fn string(&mut self) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(self.u32()?).map_err(|_| WireError::Truncated)?;
        let (bytes, left) = self
            .left
            .split_at_checked(length)
            .ok_or(WireError::Truncated)?;
        self.left = left;
        Ok(bytes)
    }

    /// A string that must be UTF-8.
    ///
    /// # Errors
    /// As [`Reader::string`], and [`WireError::NotUtf8`].
    pub fn text(&mut self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.string()?).map_err(|_| WireError::NotUtf8)
    }

    /// Everything that is left; the reader stands at the end afterwards.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.left)
    }

    /// Whether every byte has been read.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Ends the message.
    ///
    /// # Errors
    /// [`WireError::Trailing`] when bytes are left.
    pub fn finish(self) -> Result<(), WireError> {
        if self.left.is_empty() {
            Ok(())
        } else {
            Err(WireError::Trailing)
        }
    }
}

/// Writes fields to the end of a message.
#[derive(Debug, Clone, Default)]
pub struct Writer {
    message: Vec<u8>,
}

impl Writer {
    /// Starts an empty message.
    pub fn new() -> Self {
        Self::default()
    }

    /// One byte.
    pub fn u8(mut self, value: u8) -> Self {
        self.message.push(value);
        self
    }

    /// Four bytes, the most significant first.
    pub fn u32(mut self, value: u32) -> Self {
        self.message.extend(value.to_be_bytes());
        self
    }

    /// One byte, 1 or 0.
    pub fn bool(self, value: bool) -> Self {
        self.u8(u8::from(value))
    }

    /// A 32-bit length and the bytes.
    ///
    /// Bytes past the 4 GiB that the length can tell are left out; a frame of 256 KiB is the most
    /// that is ever sent.
    pub fn string(self, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.u32(length).raw(&value[..length as usize])
    }

    /// The bytes as they are, without a length.
    pub fn raw(mut self, value: &[u8]) -> Self {
        self.message.extend_from_slice(value);
        self
    }

    /// The finished message.
    pub fn into_vec(self) -> Vec<u8> {
        self.message
    }
}
