//! One HTTP exchange as a value: what to send and how to read the reply.

use std::fmt;

use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::Refusal;

/// Reads a reply.
type Read<T> = Box<dyn FnOnce(Reply) -> Result<Step<T>, Refusal> + Send>;

/// A request to a forge, and the function that reads its reply.
pub struct Call<T> {
    /// Method.
    pub method: Method,
    /// Whole URL with its query.
    pub url: Url,
    /// How the sender authenticates it.
    pub auth: Auth,
    /// Headers besides authentication, content type and user agent, which the sender sets.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Body,
    read: Read<T>,
}

/// What a reply leads to.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, moved twice, never in a collection"
)]
pub enum Step<T> {
    /// The answer.
    Done(T),
    /// Another call to send, such as the next page; the sender stops after 100.
    Then(Call<T>),
}

/// How the sender must authenticate a request.
pub enum Auth {
    /// With the link's access token: as Bearer, or as the token of a signature where the kind
    /// speaks OAuth 1.0a.
    Token,
    /// As our own OAuth client.
    Basic(String, SecretString),
    /// With an OAuth 1.0a signature of our consumer key that covers these parameters.
    Signed {
        /// The request token, once there is one.
        token: Option<SecretString>,
        /// Further `oauth_…` parameters.
        extra: Vec<(&'static str, String)>,
    },
    /// Not at all, or by fields in the body.
    None,
}

/// The body of a request.
pub enum Body {
    /// Nothing.
    Empty,
    /// JSON.
    Json(Value),
    /// `application/x-www-form-urlencoded` fields.
    Form(Vec<(&'static str, SecretString)>),
}

/// What came back.
#[derive(Clone)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, capped by the sender.
    pub body: Vec<u8>,
}

impl<T> Call<T> {
    /// A call with the link's token and no body.
    pub(crate) fn new<F>(method: Method, url: Url, read: F) -> Self
    where
        F: FnOnce(Reply) -> Result<Step<T>, Refusal> + Send + 'static,
    {
        let accept = ("accept", "application/json".to_owned());
        Self {
            method,
            url,
            auth: Auth::Token,
            headers: vec![accept],
            body: Body::Empty,
            read: Box::new(read),
        }
    }

    /// The same call authenticated another way.
    pub(crate) fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// The same call with this body.
    pub(crate) fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// The same call with this header instead of any earlier one of its name.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(had, _)| *had != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Reads the reply to this call.
    ///
    /// # Errors
    /// Why the reply is not an answer.
    pub fn read(self, reply: Reply) -> Result<Step<T>, Refusal> {
        (self.read)(reply)
    }
}

impl Reply {
    /// A header as text; nothing if absent or not text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// This reply if it is a success and no web page, else what `refuse` makes of it. A web page
    /// proves nothing about a token, whatever its status: proxies and maintenance modes send them.
    pub(crate) fn accepted(self, refuse: impl FnOnce(&Self) -> Refusal) -> Result<Self, Refusal> {
        match (self.is_page(), self.status.is_success()) {
            (true, true) => Err(Refusal::Shape("a web page instead of data".into())),
            (true, false) => Err(Refusal::Status(self.status)),
            (false, true) => Ok(self),
            (false, false) => Err(refuse(&self)),
        }
    }

    /// The body as `T`, whatever the status. The error names the place and never the content,
    /// which may be a token.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Refusal::Shape(format!("unexpected JSON at line {line} column {column}"))
        })
    }

    /// The body as loose JSON, `Null` if it is none.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether this is a web page, as proxies, sign-in walls and maintenance modes answer.
    pub(crate) fn is_page(&self) -> bool {
        let html = self
            .header("content-type")
            .is_some_and(|kind| kind.contains("html"));
        html || self.body.trim_ascii_start().starts_with(b"<")
    }

    /// Seconds until we may ask again, from `Retry-After` (RFC 9110 section 10.2.3) or from the
    /// unix time in the header `reset`, both measured by the server's own clock.
    pub(crate) fn wait_s(&self, reset: &str) -> Option<i64> {
        let now = self.header("date").and_then(http_date);
        if let Some(after) = self.header("retry-after") {
            let at = || http_date(after).zip(now).map(|(at, now)| at - now);
            return after
                .trim()
                .parse()
                .ok()
                .or_else(at)
                .map(|wait: i64| wait.max(0));
        }
        let reset: i64 = self.header(reset)?.trim().parse().ok()?;
        Some((reset - now?).max(0))
    }
}

/// An HTTP date such as `Sun, 06 Nov 1994 08:49:37 GMT` as unix seconds.
fn http_date(text: &str) -> Option<i64> {
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    parser.parse_timestamp(text).ok().map(Timestamp::as_second)
}

/// `path` under the base URL `at`, which may itself have a path. Never resolves against the root,
/// which would lose that path.
pub(crate) fn under(at: &Url, path: &str) -> Url {
    let mut url = at.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.set_path(&format!("{}/{path}", at.path().trim_end_matches('/')));
    url
}

/// `at` with one more path segment, whatever characters `name` has.
pub(crate) fn child(at: &Url, name: &str) -> Url {
    let mut url = at.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push(name);
    }
    url
}

/// Success of a deletion: what is gone already is deleted.
pub(crate) fn gone(reply: Result<Reply, Refusal>) -> Result<Step<()>, Refusal> {
    match reply {
        Ok(_) | Err(Refusal::NotFound) => Ok(Step::Done(())),
        Err(refusal) => Err(refusal),
    }
}

/// One path segment, or nothing if `id` is not what forges use as ids. An empty or clever id could
/// make a URL that means something else, such as all keys.
pub(crate) fn id_segment(id: &str) -> Option<&str> {
    let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then_some(id)
}

/// The base64 field of an OpenSSH public key line.
pub(crate) fn key_blob(line: &str) -> String {
    line.split_whitespace()
        .nth(1)
        .unwrap_or_default()
        .to_owned()
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("method", &self.method)
            .field("url", &self.url.as_str())
            .field("auth", &self.auth)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token => f.write_str("Token"),
            Self::Basic(name, _) => f.debug_tuple("Basic").field(name).finish_non_exhaustive(),
            Self::Signed { .. } => f.write_str("Signed(..)"),
            Self::None => f.write_str("None"),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Json(_) => f.write_str("Json(..)"),
            Self::Form(fields) => {
                let names = fields.iter().map(|(name, _)| name);
                f.write_str("Form")?;
                f.debug_list().entries(names).finish()
            }
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
