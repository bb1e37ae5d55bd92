//! OAuth 1.0a (RFC 5849) with RSA-SHA1: the dance, the text to sign and the header to send.
//! The signature itself is made by whoever holds the key.

use http::{Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use url::{Url, form_urlencoded};

use crate::{Auth, Call, Refusal, Reply, Step, Tokens, refusal::said};

/// Everything but the unreserved characters (RFC 5849 section 3.6).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The endpoints of the three-legged dance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth1 {
    /// Where a request token is asked for.
    pub request_token: Url,
    /// Where the browser goes.
    pub authorize: Url,
    /// Where the request token is traded for an access token.
    pub access_token: Url,
}

impl OAuth1 {
    /// Asks for a request token. OAuth 1.0a has no `state`, so `callback` carries ours as a query.
    pub fn request_token(&self, callback: &Url) -> Call<Tokens> {
        let extra = vec![("oauth_callback", callback.to_string())];
        self.consumer_call(&self.request_token, None, extra)
    }

    /// The page to send the browser to.
    pub fn authorize_url(&self, request_token: &str) -> Url {
        let mut url = self.authorize.clone();
        url.query_pairs_mut()
            .append_pair("oauth_token", request_token);
        url
    }

    /// Trades the request token and the verifier that came back for an access token.
    pub fn access_token(&self, request: &SecretString, verifier: &SecretString) -> Call<Tokens> {
        let extra = vec![("oauth_verifier", verifier.expose_secret().to_owned())];
        self.consumer_call(&self.access_token, Some(request.clone()), extra)
    }

    fn consumer_call(
        &self,
        url: &Url,
        token: Option<SecretString>,
        extra: Vec<(&'static str, String)>,
    ) -> Call<Tokens> {
        Call::new(Method::POST, url.clone(), |reply| {
            read_tokens(&reply).map(Step::Done)
        })
        .auth(Auth::Signed { token, extra })
        .header("accept", "*/*")
    }
}

/// The `oauth_…` parameters of one signed request, in no particular order.
///
/// `nonce` must be unique for its `timestamp` (unix seconds); at least 16 random characters.
pub fn parameters(
    consumer_key: &str,
    nonce: &str,
    timestamp: i64,
    token: Option<&SecretString>,
    extra: &[(&'static str, String)],
) -> Vec<(String, String)> {
    let timestamp = timestamp.to_string();
    let mut params: Vec<(&str, &str)> = vec![
        ("oauth_consumer_key", consumer_key),
        ("oauth_nonce", nonce),
        ("oauth_signature_method", "RSA-SHA1"),
        ("oauth_timestamp", &timestamp),
        ("oauth_version", "1.0"),
    ];
    if let Some(token) = token {
        params.push(("oauth_token", token.expose_secret()));
    }
    params.extend(extra.iter().map(|(name, value)| (*name, value.as_str())));
    params
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The text to sign (RFC 5849 section 3.4.1). `params` are the `oauth_…` parameters and, if the
/// body is a form, its fields; the query is taken from `url`. A JSON body is not covered.
pub fn base_string(method: &Method, url: &Url, params: &[(String, String)]) -> String {
    let query = url
        .query_pairs()
        .map(|(name, value)| (encode(&name), encode(&value)));
    let given = params
        .iter()
        .map(|(name, value)| (encode(name), encode(value)));
    let mut pairs: Vec<(String, String)> = query.chain(given).collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    // `Url` has already put scheme and host in lower case and dropped the default port.
    let mut base = url.clone();
    base.set_query(None);
    base.set_fragment(None);
    format!(
        "{method}&{}&{}",
        encode(base.as_str()),
        encode(&pairs.join("&"))
    )
}

/// The value of the `Authorization` header. `params` are those of [`parameters`]; `signature` is
/// base64 of RSASSA-PKCS1-v1_5 with SHA-1 over the base string.
pub fn header(params: &[(String, String)], signature: &str) -> String {
    let mut pairs: Vec<(&str, &str)> = params
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    pairs.push(("oauth_signature", signature));
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{}=\"{}\"", encode(name), encode(value)))
        .collect();
    format!("OAuth {}", pairs.join(", "))
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Reads the form-encoded reply of both token endpoints, whatever content type it claims.
fn read_tokens(reply: &Reply) -> Result<Tokens, Refusal> {
    if let Some(refusal) = problem(reply) {
        return Err(refusal);
    }
    if reply.is_page() {
        return Err(Refusal::Shape("a web page instead of tokens".into()));
    }
    if !reply.status.is_success() {
        return Err(Refusal::Status(reply.status));
    }
    let field = |name: &str| form_field(&reply.body, name);
    let unconfirmed = field("oauth_callback_confirmed").is_some_and(|told| told != "true");
    if unconfirmed {
        return Err(Refusal::Shape("the callback was not confirmed".into()));
    }
    let access = field("oauth_token").ok_or_else(|| Refusal::Shape("no token".into()))?;
    Ok(Tokens {
        access: access.into(),
        refresh: None,
        expires_in_s: field("oauth_expires_in").and_then(|text| text.parse().ok()),
        scopes: None,
        token_secret: field("oauth_token_secret").map(Into::into),
        session_handle: field("oauth_session_handle").map(Into::into),
    })
}

/// The `oauth_problem` of a reply, in its body or its `WWW-Authenticate` header
/// (<http://wiki.oauth.net/w/page/12238543/ProblemReporting>).
pub(crate) fn problem(reply: &Reply) -> Option<Refusal> {
    if reply.status.is_success() && !reply.body.starts_with(b"oauth_problem=") {
        return None;
    }
    let body = form_field(&reply.body, "oauth_problem");
    let advice = form_field(&reply.body, "oauth_problem_advice").unwrap_or_default();
    let error = body.or_else(|| reply.header("www-authenticate").and_then(header_problem))?;
    let status = if reply.status.is_success() {
        StatusCode::UNAUTHORIZED
    } else {
        reply.status
    };
    Some(Refusal::OAuth {
        error: said(&error),
        description: said(&advice),
        status,
    })
}

/// `oauth_problem="…"` in a `WWW-Authenticate: OAuth …` header.
fn header_problem(header: &str) -> Option<String> {
    let rest = header.split("oauth_problem=").nth(1)?;
    let code = rest.trim_start_matches('"').split(['"', ',', '&']).next()?;
    (!code.is_empty()).then(|| code.to_owned())
}

/// A field of a form-encoded body; empty counts as absent.
fn form_field(body: &[u8], name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(body.trim_ascii());
    let (_, value) = pairs.find(|(key, _)| key == name)?;
    (!value.is_empty()).then(|| value.into_owned())
}
