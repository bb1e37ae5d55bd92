//! Reads what Git asks of a credential helper and writes the answer. Pure.
//!
//! The parser is strict, because what it lets through decides which host gets a token: a carriage return,
//! a NUL or a line that is longer than Git's own limit is refused, not repaired (CVE-2020-5260,
//! CVE-2024-50338).

use std::fmt;
use std::io::Read;

/// The longest line in bytes, without its line end (git-credential(1), "Input/Output Format").
pub const MAX_LINE: usize = 65_535;
/// The longest request in bytes. Git sends a handful of short lines; nobody needs more.
pub const MAX_REQUEST: usize = 1024 * 1024;
/// What makes a `state[]` value ours: every helper of the chain sees those of all.
const STATE_PREFIX: &str = "forgepass:";

/// What Git asks for, as far as it concerns us.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// `https`, `http`, `cert`, …
    pub protocol: Option<String>,
    /// Host and optional port.
    pub host: Option<String>,
    /// The repository's path, where `credential.useHttpPath` is set.
    pub path: Option<String>,
    /// The user name in the URL.
    pub username: Option<String>,
    /// The password that was used, on `store` and `erase`.
    pub password: Option<String>,
    /// Whether Git understands `state[]` and `continue` (git 2.46 and later).
    pub knows_state: bool,
    /// Our own `state[]` values, oldest first, without their prefix.
    pub states: Vec<String>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("protocol", &self.protocol)
            .field("host", &self.host)
            .field("path", &self.path)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Why a request is not answered. None of its values is repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// The whole request is over [`MAX_REQUEST`].
    TooLong,
    /// A line is over [`MAX_LINE`].
    LongLine,
    /// A line without `=`, or with nothing before it.
    NoKey,
    /// A carriage return, a NUL or another control character.
    Control,
    /// Not UTF-8.
    Encoding,
    /// No `protocol`.
    NoProtocol,
    /// No `host`.
    NoHost,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the credential request is longer than 1 MiB",
            Self::LongLine => "a line of the credential request is longer than 65535 bytes",
            Self::NoKey => "a line of the credential request is not `key=value`",
            Self::Control => "a line of the credential request holds a control character",
            Self::Encoding => "the credential request is not UTF-8",
            Self::NoProtocol => "the credential request names no protocol",
            Self::NoHost => "the credential request names no host",
        })
    }
}

impl std::error::Error for Malformed {}

/// Reads a request to its end.
///
/// # Errors
/// What the reader answers; [`Malformed::TooLong`] as `InvalidData`.
pub fn read(reader: impl Read) -> std::io::Result<Vec<u8>> {
    let mut input = Vec::new();
    let limit = MAX_REQUEST as u64 + 1;
    reader.take(limit).read_to_end(&mut input)?;
    if input.len() > MAX_REQUEST {
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            Malformed::TooLong,
        ));
    }
    Ok(input)
}

impl Request {
    /// Parses a request: lines of `key=value` up to an empty line or the end. Unknown keys are ignored, a
    /// repeated key counts the last time, a repeated `key[]` adds up and an empty one starts over.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn parse(input: &[u8]) -> Result<Self, Malformed> {
        let mut request = Self::default();
        for line in input.split(|byte| *byte == b'\n') {
            if line.is_empty() {
                break;
            }
            let (key, value) = split(line)?;
            request.set(key, value);
        }
        match (&request.protocol, &request.host) {
            (None, _) => Err(Malformed::NoProtocol),
            // `cert` has a path and no host; it is not ours, and not an error.
            (Some(protocol), None) if protocol == "https" || protocol == "http" => {
                Err(Malformed::NoHost)
            }
            _ => Ok(request),
        }
    }

    fn set(&mut self, key: &str, value: &str) {
        let text = || (!value.is_empty()).then(|| value.to_owned());
        match key {
            "protocol" => self.protocol = text(),
            "host" => self.host = text(),
            "path" => self.path = text(),
            "username" => self.username = text(),
            "password" => self.password = text(),
            "capability[]" if value == "state" => self.knows_state = true,
            "capability[]" if value.is_empty() => self.knows_state = false,
            "state[]" if value.is_empty() => self.states.clear(),
            "state[]" => self
                .states
                .extend(value.strip_prefix(STATE_PREFIX).map(str::to_owned)),
            _ => {}
        }
    }
}

fn split(line: &[u8]) -> Result<(&str, &str), Malformed> {
    if line.len() > MAX_LINE {
        return Err(Malformed::LongLine);
    }
    let line = str::from_utf8(line).map_err(|_| Malformed::Encoding)?;
    if line.chars().any(char::is_control) {
        return Err(Malformed::Control);
    }
    match line.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key, value)),
        _ => Err(Malformed::NoKey),
    }
}

/// A credential for Git.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
    /// When it ends, unix seconds, where that is known.
    pub expires_at: Option<i64>,
    /// The id of the token, for `state[]`.
    pub state: String,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// The lines for Git; none if a value holds what would begin another line.
    ///
    /// `continue=1` asks Git to come back, should the provider refuse the token. It is said once: on every
    /// answer it would loop for ever. `authtype` is never said: git before 2.54 then fails pushes over
    /// `http.postBuffer`.
    pub fn lines(&self, request: &Request) -> Option<String> {
        use fmt::Write;
        let values = [&self.username, &self.password, &self.state];
        if values
            .iter()
            .any(|value| value.is_empty() || value.chars().any(char::is_control))
        {
            return None;
        }
        let mut lines = String::new();
        if request.knows_state {
            lines.push_str("capability[]=state\n");
        }
        let _ = write!(
            lines,
            "username={}\npassword={}\n",
            self.username, self.password
        );
        if let Some(at) = self.expires_at {
            let _ = writeln!(lines, "password_expiry_utc={at}");
        }
        if request.knows_state {
            let _ = writeln!(lines, "state[]={STATE_PREFIX}{}", self.state);
            if request.states.is_empty() {
                lines.push_str("continue=1\n");
            }
        }
        Some(lines)
    }
}

/// The answer that ends Git's search: a link exists, but no token can be given.
pub const QUIT: &str = "quit=1\n";
/// The answer to `git credential capability`.
pub const CAPABILITIES: &str = "version 0\ncapability state\n";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Request, Malformed> {
        Request::parse(text.as_bytes())
    }

    fn answer() -> Answer {
        Answer {
            username: "oauth2".to_owned(),
            password: "secret".to_owned(),
            expires_at: Some(1_800_000_000),
            state: "s1".to_owned(),
        }
    }

    #[test]
    fn reads_what_git_sends() {
        let request = parse(
            "capability[]=authtype\ncapability[]=state\nprotocol=https\nhost=git.example.com:8443\n\
             path=a/b.git\nusername=ann\nwwwauth[]=Basic realm=\"a=b\"\nstate[]=other:1\nstate[]=forgepass:s1\n\n",
        )
        .unwrap();
        assert_eq!(request.host.as_deref(), Some("git.example.com:8443"));
        assert_eq!(request.path.as_deref(), Some("a/b.git"));
        assert_eq!(request.username.as_deref(), Some("ann"));
        assert!(request.knows_state);
        assert_eq!(request.states, ["s1"]);
    }

    #[test]
    fn refuses_what_could_name_another_host() {
        let long = format!("protocol=https\nhost={}\n", "a".repeat(MAX_LINE));
        for (bad, why) in [
            ("protocol=https\nhost=a\rb\n", Malformed::Control),
            ("protocol=https\nhost=a\r\n", Malformed::Control),
            ("protocol=https\nhost=a\0b\n", Malformed::Control),
            ("protocol=https\nhost=a\u{85}b\n", Malformed::Control),
            ("host=a\n", Malformed::NoProtocol),
            ("protocol=https\n", Malformed::NoHost),
            ("protocol=https\nhost=\n", Malformed::NoHost),
            ("protocol=https\nhost\n", Malformed::NoKey),
            ("=x\n", Malformed::NoKey),
            (long.as_str(), Malformed::LongLine),
            ("", Malformed::NoProtocol),
        ] {
            assert_eq!(parse(bad), Err(why), "{bad:.40?}");
        }
        assert_eq!(
            Request::parse(b"protocol=https\nhost=\xff\n"),
            Err(Malformed::Encoding)
        );
    }

    #[test]
    fn takes_the_longest_line_that_git_may_send() {
        let value = "a".repeat(MAX_LINE - "path=".len());
        assert!(parse(&format!("protocol=https\nhost=a\npath={value}\n")).is_ok());
    }

    #[test]
    fn a_second_host_line_counts_and_lines_after_an_empty_one_do_not() {
        let request = parse("protocol=https\nhost=a\nhost=b\n\nhost=c\n").unwrap();
        assert_eq!(request.host.as_deref(), Some("b"));
    }

    #[test]
    fn asks_git_to_come_back_once() {
        let first = parse("capability[]=state\nprotocol=https\nhost=a\n").unwrap();
        assert_eq!(
            answer().lines(&first).unwrap(),
            "capability[]=state\nusername=oauth2\npassword=secret\npassword_expiry_utc=1800000000\n\
             state[]=forgepass:s1\ncontinue=1\n"
        );
        let again =
            parse("capability[]=state\nprotocol=https\nhost=a\nstate[]=forgepass:s0\n").unwrap();
        assert!(!answer().lines(&again).unwrap().contains("continue"));
    }

    #[test]
    fn says_nothing_of_states_to_a_git_that_does_not_know_them() {
        let request = parse("protocol=https\nhost=a\n").unwrap();
        let lines = answer().lines(&request).unwrap();
        assert_eq!(
            lines,
            "username=oauth2\npassword=secret\npassword_expiry_utc=1800000000\n"
        );
    }

    #[test]
    fn gives_nothing_that_would_begin_another_line() {
        let request = parse("protocol=https\nhost=a\n").unwrap();
        let bad = Answer {
            password: "a\nquit=1".to_owned(),
            ..answer()
        };
        assert_eq!(bad.lines(&request), None);
    }

    #[test]
    fn never_shows_a_password_in_debug() {
        let request = parse("protocol=https\nhost=a\npassword=hunter2\n").unwrap();
        assert!(!format!("{request:?} {:?}", answer()).contains("hunter2"));
        assert!(!format!("{:?}", answer()).contains("secret"));
    }

    proptest! {
        #[test]
        fn never_panics_and_never_lets_a_control_character_through(input in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(request) = Request::parse(&input) {
                for value in [&request.protocol, &request.host, &request.path, &request.username].into_iter().flatten() {
                    prop_assert!(!value.is_empty() && !value.chars().any(char::is_control));
                }
            }
        }

        #[test]
        fn reads_back_every_plain_value(host in "[ -~]{1,80}", path in "[ -~]{1,80}", state in "[!-~]{1,40}") {
            let text = format!("protocol=https\nhost={host}\npath={path}\nstate[]=forgepass:{state}\n");
            let request = parse(&text).unwrap();
            prop_assert_eq!(request.host, Some(host));
            prop_assert_eq!(request.path, Some(path));
            prop_assert_eq!(request.states, vec![state]);
        }
    }
}
