//! Who asks: extractors that turn cookie, bearer token and connection into the broker's authorities.
//!
//! A handler that takes an authority cannot run without it, so no handler checks roles by itself.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRequestParts, OptionalFromRequestParts, OriginalUri},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use axum_extra::extract::CookieJar;
use broker::{
    AsAuditor, AsSiteManager, AsUser, AsWorkspace, NewSession, Refused, RefusedKind, Visitor,
};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    app::App,
    config::Network,
    pages::Viewer,
    problem::{Failure, ViewerSlot},
};

/// How workspace tokens begin: they are told apart to say why they are refused elsewhere.
const WORKSPACE_PREFIX: &str = "fpw_";

impl FromRequestParts<App> for AsUser {
    type Rejection = Failure;

    /// From an API token under `/api/`, else from the session cookie.
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        // Inside a nested router the request's own URI has lost its first part.
        let whole = parts.extensions.get::<OriginalUri>();
        let path = whole.map_or(parts.uri.path(), |uri| uri.path());
        let is_api = path.starts_with("/api/");
        let user = match is_api
            .then(|| bearer(&parts.headers))
            .transpose()?
            .flatten()
        {
            Some(token) if token.expose_secret().starts_with(WORKSPACE_PREFIX) => {
                return Err(workspace_elsewhere());
            }
            Some(token) => app.broker().api_token(&token).await?,
            None => {
                let jar = CookieJar::from_headers(&parts.headers);
                let cookie = jar.get(app.session_cookie()).ok_or_else(signed_out)?;
                app.broker()
                    .session(&SecretString::from(cookie.value()))
                    .await?
            }
        };
        if let Some(slot) = parts.extensions.get::<ViewerSlot>() {
            slot.fill(Viewer::of(&user.user()));
        }
        Ok(user)
    }
}

impl OptionalFromRequestParts<App> for AsUser {
    type Rejection = Failure;

    /// `None` for whoever is not signed in; other failures stay failures.
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Option<Self>, Failure> {
        match <Self as FromRequestParts<App>>::from_request_parts(parts, app).await {
            Ok(user) => Ok(Some(user)),
            Err(failure) if failure.code == api::code::UNAUTHENTICATED => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

impl FromRequestParts<App> for AsSiteManager {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let user = <AsUser as FromRequestParts<App>>::from_request_parts(parts, app).await?;
        Ok(user.site_manager()?)
    }
}

impl FromRequestParts<App> for AsAuditor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let user = <AsUser as FromRequestParts<App>>::from_request_parts(parts, app).await?;
        Ok(user.auditor()?)
    }
}

impl FromRequestParts<App> for AsWorkspace {
    type Rejection = Failure;

    /// From a workspace token and the machine id that came with its sign-in.
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let token = bearer(&parts.headers)?.ok_or_else(|| {
            Refused::new(
                RefusedKind::Unauthenticated,
                "a workspace token is required",
            )
            .hint("run `forgepass login`")
        })?;
        let machine = parts.headers.get("forgepass-machine");
        let machine = machine.and_then(|value| value.to_str().ok());
        Ok(app.broker().workspace(&token, machine).await?)
    }
}

/// The token of `Authorization: Bearer …`; another scheme is refused rather than overlooked.
fn bearer(headers: &HeaderMap) -> Result<Option<SecretString>, Failure> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        let refused = Refused::new(RefusedKind::Unauthenticated, "no bearer token was given")
            .hint("send it as `Authorization: Bearer TOKEN`");
        return Err(refused.into());
    }
    Ok(Some(SecretString::from(token.trim())))
}

fn signed_out() -> Failure {
    Refused::new(RefusedKind::Unauthenticated, "you are not signed in")
        .hint("sign in on the console, or send an API token as `Authorization: Bearer TOKEN`")
        .into()
}

fn workspace_elsewhere() -> Failure {
    Refused::new(RefusedKind::Forbidden, "a workspace token cannot do this")
        .hint("use the console, or an API token made under Preferences > Sign-in")
        .into()
}

/// Who knocks: shown to people beside sessions and workspaces.
pub struct Knock(pub Visitor);

impl FromRequestParts<App> for Knock {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|info| info.0.ip());
        let address = peer.map(|peer| client(peer, &parts.headers, app.trusted_proxies()));
        let agent = parts
            .headers
            .get(header::USER_AGENT)
            .and_then(|it| it.to_str().ok());
        Ok(Self(Visitor {
            address: address.map_or_else(|| "unknown".to_owned(), |it| it.to_string()),
            agent: agent.unwrap_or_default().to_owned(),
        }))
    }
}

/// The client's address: the last hop that is none of our proxies.
///
/// Only the right end of `X-Forwarded-For` was written by a proxy we trust;
/// whatever stands further left, the client may have sent itself.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_ours = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let hops = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = hops
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let mut client = peer;
    for hop in hops.iter().rev() {
        if !is_ours(client) {
            break;
        }
        let Some(address) = address_of(hop) else {
            break;
        };
        client = address;
    }
    client.to_canonical()
}

/// An address with or without a port; some proxies add it.
fn address_of(hop: &str) -> Option<IpAddr> {
    let bare = hop.trim_start_matches('[').trim_end_matches(']');
    bare.parse()
        .ok()
        .or_else(|| hop.parse::<SocketAddr>().ok().map(|it| it.ip()))
}

/// The answer to a sign-in: the cookie, and the way to `path`.
pub fn signed_in(app: &App, session: &NewSession, path: &str) -> Response {
    let mut response = Redirect::to(path).into_response();
    let lifetime = broker::lifetimes::SESSION;
    set_cookie(
        app,
        &mut response,
        app.session_cookie(),
        session.token.expose_secret(),
        lifetime,
    );
    response
}

/// The answer to a sign-out.
pub fn signed_out_to(app: &App, path: &str) -> Response {
    let mut response = Redirect::to(path).into_response();
    set_cookie(app, &mut response, app.session_cookie(), "", 0);
    response
}

/// Adds a cookie that scripts cannot read and other sites' forms do not send.
///
/// `Lax` and not `Strict`: the provider's redirect to our callback must carry the session.
pub fn set_cookie(app: &App, response: &mut Response, name: &str, value: &str, max_age_s: i64) {
    let secure = if app.is_https() { "; Secure" } else { "" };
    let cookie =
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}");
    // Values are base64url or percent-encoded by our own code, so this always fits a header.
    if let Ok(mut cookie) = HeaderValue::from_str(&cookie) {
        cookie.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn seen(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_str(value).unwrap());
        }
        let trusted: Vec<Network> = trusted.iter().map(|it| it.parse().unwrap()).collect();
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn believes_no_forwarded_address_from_strangers() {
        assert_eq!(seen("192.0.2.9", &["203.0.113.1"], &[]), "192.0.2.9");
        assert_eq!(
            seen("192.0.2.9", &["203.0.113.1"], &["10.0.0.0/8"]),
            "192.0.2.9"
        );
    }

    #[test]
    fn takes_the_last_hop_that_is_no_proxy_of_ours() {
        let proxies = ["10.0.0.0/8"];
        assert_eq!(seen("10.0.0.1", &["203.0.113.1"], &proxies), "203.0.113.1");
        assert_eq!(
            seen(
                "10.0.0.1",
                &["198.51.100.7, 203.0.113.1, 10.0.0.2"],
                &proxies
            ),
            "203.0.113.1"
        );
        assert_eq!(
            seen("10.0.0.1", &["198.51.100.7", "203.0.113.1"], &proxies),
            "203.0.113.1"
        );
        assert_eq!(
            seen("::ffff:10.0.0.1", &["[2001:db8::1]:443"], &proxies),
            "2001:db8::1"
        );
    }

    #[test]
    fn a_malformed_hop_ends_the_walk() {
        assert_eq!(
            seen("10.0.0.1", &["203.0.113.1, nonsense"], &["10.0.0.0/8"]),
            "10.0.0.1"
        );
    }

    #[test]
    fn only_bearer_tokens_are_taken() {
        let mut headers = HeaderMap::new();
        assert!(bearer(&headers).unwrap().is_none());
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Basic abc"));
        assert!(bearer(&headers).is_err());
        headers.insert(
            header::AUTHORIZATION,
            HeaderValue::from_static("bearer abc"),
        );
        assert_eq!(bearer(&headers).unwrap().unwrap().expose_secret(), "abc");
    }
}
