//! The OAuth 2.0 authorization-code dance (RFC 6749), written once for every kind.

use std::collections::BTreeSet;

use http::Method;
use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use crate::{Auth, Body, Call, Client, Refusal, Reply, Step, Tokens, refusal::said};

/// What differs between kinds in the authorization-code flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth2 {
    /// Where the browser goes.
    pub authorize: Url,
    /// Where codes and refresh tokens are traded.
    pub token: Url,
    /// Whether it understands PKCE S256 (RFC 7636); we always send it where it does.
    pub pkce: bool,
    /// Whether a refresh must repeat the redirect URI.
    pub refresh_with_redirect: bool,
    /// Whether a refresh ends the access token given out before.
    pub refresh_kills_access: bool,
}

impl OAuth2 {
    /// The page to send the browser to. `challenge` is PKCE's, left out where the kind has none.
    pub fn authorize_url(
        &self,
        client: &Client,
        state: &str,
        challenge: &str,
        scopes: &[&str],
    ) -> Url {
        let mut url = self.authorize.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &client.id)
            .append_pair("redirect_uri", client.callback.as_str())
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", state);
        if self.pkce {
            url.query_pairs_mut()
                .append_pair("code_challenge", challenge)
                .append_pair("code_challenge_method", "S256");
        }
        url
    }

    /// Trades the code that came back for tokens.
    pub fn exchange(
        &self,
        client: &Client,
        code: &SecretString,
        verifier: &SecretString,
    ) -> Call<Tokens> {
        let mut fields = vec![
            ("grant_type", "authorization_code".into()),
            ("code", code.clone()),
            ("redirect_uri", client.callback.as_str().into()),
        ];
        if self.pkce {
            fields.push(("code_verifier", verifier.clone()));
        }
        self.grant(client, fields)
    }

    /// Trades a refresh token for new tokens.
    pub fn refresh(&self, client: &Client, refresh: &SecretString) -> Call<Tokens> {
        let mut fields = vec![
            ("grant_type", "refresh_token".into()),
            ("refresh_token", refresh.clone()),
        ];
        if self.refresh_with_redirect {
            fields.push(("redirect_uri", client.callback.as_str().into()));
        }
        self.grant(client, fields)
    }

    /// Every kind we know takes the client's credentials in the body, and GitHub only there.
    fn grant(
        &self,
        client: &Client,
        mut fields: Vec<(&'static str, SecretString)>,
    ) -> Call<Tokens> {
        fields.push(("client_id", client.id.as_str().into()));
        fields.push(("client_secret", client.secret.clone()));
        Call::new(Method::POST, self.token.clone(), |reply| {
            read_tokens(&reply).map(Step::Done)
        })
        .auth(Auth::None)
        .body(Body::Form(fields))
    }
}

/// Ends one token at a revocation endpoint (RFC 7009), where an unknown token is a success too.
pub(crate) fn revoke(url: Url, client: &Client, token: &SecretString) -> Call<()> {
    let fields = vec![
        ("token", token.clone()),
        ("client_id", client.id.as_str().into()),
        ("client_secret", client.secret.clone()),
    ];
    let read = |reply: Reply| match oauth_error(&reply) {
        Some(refusal) => Err(refusal),
        None => reply.accepted(bare).map(|_| Step::Done(())),
    };
    Call::new(Method::POST, url, read)
        .auth(Auth::None)
        .body(Body::Form(fields))
}

/// Reads a token endpoint's reply: the body before the status, because GitHub refuses with 200.
fn read_tokens(reply: &Reply) -> Result<Tokens, Refusal> {
    if let Some(refusal) = oauth_error(reply) {
        return Err(refusal);
    }
    if reply.is_page() {
        return Err(Refusal::Shape("a web page instead of tokens".into()));
    }
    if !reply.status.is_success() {
        return Err(bare(reply));
    }
    let body = reply.value();
    let text = |name: &str| {
        body.get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let access = text("access_token").ok_or_else(|| Refusal::Shape("no access token".into()))?;
    Ok(Tokens {
        access: access.into(),
        refresh: text("refresh_token").map(Into::into),
        expires_in_s: seconds(body.get("expires_in")),
        scopes: scopes(body.get("scope").or_else(|| body.get("scopes"))),
        token_secret: None,
        session_handle: None,
    })
}

/// The `error` of RFC 6749 section 5.2, if the body holds one.
fn oauth_error(reply: &Reply) -> Option<Refusal> {
    let body = reply.value();
    let error = body
        .get("error")?
        .as_str()
        .filter(|error| !error.is_empty())?;
    let description = body
        .get("error_description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    Some(Refusal::OAuth {
        error: said(error),
        description: said(description),
        status: reply.status,
    })
}

/// A refusal that says no more than its status.
fn bare(reply: &Reply) -> Refusal {
    if reply.status.as_u16() == 429 {
        return Refusal::RateLimited {
            retry_after_s: reply.wait_s("ratelimit-reset"),
        };
    }
    Refusal::Status(reply.status)
}

/// Seconds as a number or as text; nothing else is believed.
fn seconds(value: Option<&Value>) -> Option<i64> {
    let value = value?;
    value
        .as_i64()
        .or_else(|| value.as_str()?.parse().ok())
        .filter(|seconds| *seconds > 0)
}

/// Scopes as one text, separated by spaces (RFC 6749) or commas (GitHub), or as a list.
fn scopes(value: Option<&Value>) -> Option<Vec<String>> {
    match value? {
        Value::String(text) => Some(split_scopes(text)),
        Value::Array(list) => Some(
            list.iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        ),
        _ => None,
    }
}

/// The scopes of a text, sorted, each once.
pub(crate) fn split_scopes(text: &str) -> Vec<String> {
    let words = text.split(|c: char| c == ',' || c.is_whitespace());
    let set: BTreeSet<&str> = words.filter(|word| !word.is_empty()).collect();
    set.into_iter().map(str::to_owned).collect()
}
