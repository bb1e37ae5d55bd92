//! OAuth 1.0a requests signed with the provider's RSA key (RFC 5849 section 3.4.3).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use forge::{Body, oauth1};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use secrets::{ConsumerKey, random_text};
use url::Url;

use super::SendError;
use crate::ProviderContext;

/// What is signed.
pub(super) struct Request<'a> {
    pub(super) method: &'a Method,
    pub(super) url: &'a Url,
    pub(super) body: &'a Body,
    pub(super) token: Option<&'a SecretString>,
    /// More protocol parameters: `oauth_callback`, `oauth_verifier`.
    pub(super) extra: &'a [(&'static str, String)],
    /// Unix seconds.
    pub(super) now: i64,
}

/// The value of the `Authorization` header, with a nonce of its own.
///
/// # Errors
/// `Misconfigured` where the provider has no usable key.
pub(super) fn authorization(
    provider: &ProviderContext,
    request: &Request<'_>,
) -> Result<String, SendError> {
    let pem = provider.signing_key.as_ref().ok_or_else(no_key)?;
    let key = ConsumerKey::from_pem(pem).map_err(|_| no_key())?;
    let nonce = random_text(16);
    let consumer = &provider.client.id;
    let params = oauth1::parameters(
        consumer,
        nonce.expose_secret(),
        request.now,
        request.token,
        request.extra,
    );
    let mut covered = params.clone();
    if let Body::Form(fields) = request.body {
        let fields = fields.iter();
        covered.extend(
            fields.map(|(name, value)| ((*name).to_owned(), value.expose_secret().to_owned())),
        );
    }
    let base = oauth1::base_string(request.method, request.url, &covered);
    let signature = key.sign_sha1(base.as_bytes()).map_err(|_| no_key())?;
    Ok(oauth1::header(&params, &STANDARD.encode(signature)))
}

fn no_key() -> SendError {
    SendError::Misconfigured("it has no usable RSA key to sign with".to_owned())
}
