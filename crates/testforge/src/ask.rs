//! A request as the handlers see it: whole, with its parameters and credentials parsed.

use axum::{
    body::Bytes,
    extract::{FromRequest, OriginalUri, Request},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

/// Largest body of anything but Git.
const MAX_BODY: usize = 1024 * 1024;

/// Names and values in the order they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(pub(crate) Vec<(String, String)>);

impl Params {
    pub(crate) fn parse(text: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(text).into_owned().collect())
    }

    /// The first value of this name, unless it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// The value of this name, or nothing at all.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// All values of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The value of this name as a number.
    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        self.get(name)?.parse().ok()
    }
}

/// One request.
pub(crate) struct Ask {
    pub(crate) method: Method,
    /// Path from the root of the host, sub-path included, as it was sent.
    pub(crate) full_path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Params,
    pub(crate) body: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for Ask {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let uri = parts
            .extensions
            .get::<OriginalUri>()
            .map_or(&parts.uri, |original| &original.0);
        let body = axum::body::to_bytes(body, MAX_BODY)
            .await
            .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE.into_response())?;
        Ok(Self {
            full_path: uri.path().to_owned(),
            query: Params::parse(uri.query().unwrap_or_default().as_bytes()),
            method: parts.method,
            headers: parts.headers,
            body,
        })
    }
}

impl Ask {
    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    pub(crate) fn is_form(&self) -> bool {
        self.header(header::CONTENT_TYPE)
            .starts_with("application/x-www-form-urlencoded")
    }

    pub(crate) fn is_json(&self) -> bool {
        self.header(header::CONTENT_TYPE)
            .starts_with("application/json")
    }

    pub(crate) fn accepts_json(&self) -> bool {
        self.header(header::ACCEPT).contains("json")
    }

    /// The body as JSON, if it is JSON.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The body's parameters: of a form, or the texts and numbers of a JSON object.
    pub(crate) fn form(&self) -> Params {
        if !self.is_json() {
            return if self.is_form() {
                Params::parse(&self.body)
            } else {
                Params::default()
            };
        }
        let Some(Value::Object(members)) = self.json() else {
            return Params::default();
        };
        Params(
            members
                .into_iter()
                .map(|(name, value)| match value {
                    Value::String(text) => (name, text),
                    other => (name, other.to_string()),
                })
                .filter(|(_, value)| value != "null")
                .collect(),
        )
    }

    pub(crate) fn authorization(&self) -> Authorization {
        Authorization::parse(self.header(header::AUTHORIZATION))
    }
}

/// What an `Authorization` header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Authorization {
    Missing,
    Bearer(String),
    Basic {
        username: String,
        password: String,
    },
    /// The parameters of an OAuth 1.0a header, as sent.
    OAuth1(String),
    Unreadable,
}

impl Authorization {
    pub(crate) fn parse(header: &str) -> Self {
        if header.is_empty() {
            return Self::Missing;
        }
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        let rest = rest.trim();
        match scheme.to_ascii_lowercase().as_str() {
            // GitHub and Gitea take `token` too.
            "bearer" | "token" if !rest.is_empty() => Self::Bearer(rest.to_owned()),
            "basic" => Self::parse_basic(rest).unwrap_or(Self::Unreadable),
            "oauth" => Self::OAuth1(rest.to_owned()),
            _ => Self::Unreadable,
        }
    }

    fn parse_basic(encoded: &str) -> Option<Self> {
        let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        let (username, password) = text.split_once(':')?;
        Some(Self::Basic {
            username: username.to_owned(),
            password: password.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_scheme() {
        assert_eq!(Authorization::parse(""), Authorization::Missing);
        assert_eq!(
            Authorization::parse("bearer abc"),
            Authorization::Bearer("abc".to_owned())
        );
        let basic = Authorization::Basic {
            username: "ann".to_owned(),
            password: "a:b".to_owned(),
        };
        assert_eq!(Authorization::parse("Basic YW5uOmE6Yg=="), basic);
        assert_eq!(Authorization::parse("Basic !"), Authorization::Unreadable);
        assert_eq!(
            Authorization::parse("OAuth a=\"b\""),
            Authorization::OAuth1("a=\"b\"".into())
        );
    }
}
