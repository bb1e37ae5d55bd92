//! What every answer tells the browser not to do, and the refusal of requests that other sites forge.

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use broker::{Refused, RefusedKind};
use tower_http::csrf::{CsrfLayer, ProtectionError};
use url::Url;

use crate::{app::App, problem::Failure};

/// Scripts, styles, pictures and calls come from here alone, and forms lead nowhere else: a page of ours stands
/// between the form that begins a link and the provider.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The middleware that adds the headers to every answer.
pub async fn headers(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "same-origin");
    set(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    set(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    set(
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    );
    if app.is_https() {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Refuses writes that come from another site, by `Sec-Fetch-Site` and `Origin`.
///
/// # Errors
/// Where the public URL has no origin, which the configuration has ruled out.
pub fn cross_site(
    public_url: &Url,
) -> anyhow::Result<CsrfLayer<impl Fn(ProtectionError) -> Response + Clone + Send + Sync + use<>>> {
    let layer = CsrfLayer::new().add_trusted_origin(public_url.origin().ascii_serialization())?;
    Ok(layer.with_rejection_response(|_: ProtectionError| {
        Failure::from(
            Refused::new(RefusedKind::Forbidden, "this request came from another site")
                .hint("open the page here and try again; a proxy in front must pass Host and Origin on unchanged"),
        )
        .into_response()
    }))
}

/// Takes the two headers off API calls with a bearer token, which [`cross_site`] then lets pass.
///
/// No browser adds such a token by itself, so nothing can be forged with it; and the extractors never
/// fall back to the cookie once a token is there.
pub async fn exempt_bearer_calls(mut request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    if is_api && request.headers().contains_key(header::AUTHORIZATION) {
        request.headers_mut().remove(header::ORIGIN);
        request.headers_mut().remove("sec-fetch-site");
    }
    next.run(request).await
}
