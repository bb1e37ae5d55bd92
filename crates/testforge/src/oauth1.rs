//! OAuth 1.0a (RFC 5849) as Bitbucket Server speaks it: RSA-SHA1 signatures, checked strictly.

use std::sync::Arc;

use aws_lc_rs::signature::{RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use axum::{
    Router,
    extract::State as Shared,
    http::{StatusCode, header},
    response::Response,
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::{
    ask::{Ask, Authorization, Params},
    consent,
    oauth2::{Dance, Pending},
    reply::{self, Remark as _, escape},
    state::{App, AppStyle, Site, Standing, State, Token, TokenSort},
    world,
};

/// Everything but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// Seconds that a timestamp may be off.
const WINDOW_S: i64 = 300;
const REQUEST_TOKEN_S: i64 = 600;
/// Five years, and thirty days more for renewal.
const ACCESS_S: i64 = 157_680_000;
const AUTHORIZATION_S: i64 = 160_272_000;

/// A request token under way.
pub(crate) struct RequestToken {
    token: String,
    client_id: String,
    callback: String,
    expires_at: i64,
    decision: Decision,
}

enum Decision {
    Open,
    Denied,
    Approved { account: u64, verifier: String },
}

/// A request that the site does not accept: the value of `oauth_problem`, and why for the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem(pub(crate) &'static str, pub(crate) String);

impl Problem {
    /// The answer: the problem as body and header.
    pub(crate) fn answer(&self, site: &Site) -> Response {
        let status = match self.0 {
            "parameter_absent" | "parameter_rejected" | "version_rejected" => {
                StatusCode::BAD_REQUEST
            }
            _ => StatusCode::UNAUTHORIZED,
        };
        let challenge = format!("OAuth realm=\"{}\", oauth_problem=\"{}\"", site.url, self.0);
        reply::form(status, &[("oauth_problem", self.0)])
            .with("www-authenticate", &challenge)
            .because(format!("{}: {}", self.0, self.1))
    }
}

/// The three steps below `/plugins/servlet/oauth`.
pub(crate) fn web() -> Router<Arc<Site>> {
    Router::new()
        .route("/plugins/servlet/oauth/request-token", post(request_token))
        .route(
            "/plugins/servlet/oauth/authorize",
            get(authorize).post(consent::press),
        )
        .route("/plugins/servlet/oauth/access-token", post(access_token))
}

/// A request whose signature is right.
pub(crate) struct Signed {
    app: App,
    params: Params,
}

impl Signed {
    /// Checks everything about a signed request but its token.
    pub(crate) fn check(state: &mut State, site: &Site, ask: &Ask) -> Result<Self, Problem> {
        let sent = match ask.authorization() {
            Authorization::OAuth1(header) => parse_header(&header)?,
            _ => Params::default(),
        };
        let mut all = sent.0.clone();
        all.extend(ask.query.0.iter().cloned());
        if ask.is_form() {
            all.extend(ask.form().0);
        }
        let params = Params(all);
        check_shape(&params)?;
        let key = params.text("oauth_consumer_key").to_owned();
        let app = state.app(&key).cloned();
        let app = app.ok_or_else(|| Problem("consumer_key_unknown", key.clone()))?;
        if params.text("oauth_signature_method") != "RSA-SHA1" {
            let method = params.text("oauth_signature_method").to_owned();
            return Err(Problem("signature_method_rejected", method));
        }
        let stamp = params.text("oauth_timestamp").to_owned();
        let off = stamp
            .parse::<i64>()
            .map_or(i64::MAX, |sent| (sent - state.now()).abs());
        if off > WINDOW_S {
            return Err(Problem("timestamp_refused", format!("{off} seconds off")));
        }
        verify(
            &app,
            &base_string(site, ask, &params),
            params.text("oauth_signature"),
        )?;
        let nonce = params.text("oauth_nonce").to_owned();
        if !state.nonces.insert((key, stamp, nonce)) {
            return Err(Problem("nonce_used", "this nonce came before".to_owned()));
        }
        Ok(Self { app, params })
    }

    /// The live access token of a signed API call.
    pub(crate) fn token<'a>(&self, state: &'a State) -> Result<&'a Token, Problem> {
        let token = state.tokens.iter().find(|token| {
            token.access == self.params.text("oauth_token")
                && token.client_id.as_ref() == Some(&self.app.client_id)
                && matches!(token.sort, TokenSort::OAuth1 { .. })
        });
        let token = token.ok_or_else(|| rejected("no such access token"))?;
        match token.standing(state.now()) {
            Standing::Alive => Ok(token),
            Standing::Expired => Err(Problem("token_expired", "it expired".to_owned())),
            Standing::Revoked => Err(rejected("the token is revoked")),
        }
    }
}

fn rejected(reason: &str) -> Problem {
    Problem("token_rejected", reason.to_owned())
}

fn parse_header(header: &str) -> Result<Params, Problem> {
    let mut pairs = Vec::new();
    for part in header.split(',') {
        let parsed = part.trim().split_once('=').and_then(|(name, value)| {
            let value = value.strip_prefix('"')?.strip_suffix('"')?;
            let name = percent_decode_str(name).decode_utf8().ok()?;
            Some((
                name.into_owned(),
                percent_decode_str(value).decode_utf8().ok()?.into_owned(),
            ))
        });
        let unreadable = || Problem("parameter_rejected", "unreadable header".to_owned());
        pairs.push(parsed.ok_or_else(unreadable)?);
    }
    pairs.retain(|(name, _)| name != "realm");
    Ok(Params(pairs))
}

fn check_shape(params: &Params) -> Result<(), Problem> {
    let needed = [
        "oauth_consumer_key",
        "oauth_signature_method",
        "oauth_signature",
        "oauth_timestamp",
        "oauth_nonce",
    ];
    for name in needed {
        if params.get(name).is_none() {
            return Err(Problem("parameter_absent", name.to_owned()));
        }
        // RFC 5849 section 3.1: each parameter once.
        if params.all(name).count() > 1 {
            return Err(Problem("parameter_rejected", format!("{name} came twice")));
        }
    }
    match params.get("oauth_version") {
        None | Some("1.0") => Ok(()),
        Some(other) => Err(Problem("version_rejected", other.to_owned())),
    }
}

/// The signature base string (RFC 5849 section 3.4.1) of what arrived.
fn base_string(site: &Site, ask: &Ask, params: &Params) -> String {
    let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    let mut pairs: Vec<(String, String)> = params
        .0
        .iter()
        .filter(|(name, _)| name != "oauth_signature")
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    // The outside address as configured, not what the client claims in `Host`.
    let root = site
        .url
        .strip_suffix(site.shape.sub_path())
        .unwrap_or(&site.url);
    let uri = format!("{root}{}", ask.full_path);
    format!(
        "{}&{}&{}",
        ask.method,
        encode(&uri),
        encode(&pairs.join("&"))
    )
}

fn verify(app: &App, base_string: &str, signature: &str) -> Result<(), Problem> {
    let invalid = |reason: &str| Problem("signature_invalid", reason.to_owned());
    let AppStyle::OAuth1 { public_key } = &app.style else {
        return Err(Problem(
            "consumer_key_unknown",
            "an OAuth 2.0 application".to_owned(),
        ));
    };
    let signature = STANDARD
        .decode(signature)
        .map_err(|_| invalid("not base64"))?;
    UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, public_key)
        .verify(base_string.as_bytes(), &signature)
        .map_err(|_| invalid(&format!("it does not fit {base_string}")))
}

/// The DER inside a SubjectPublicKeyInfo PEM; the armour may be left out.
pub(crate) fn read_public_key(pem: &str) -> anyhow::Result<Vec<u8>> {
    let body: String = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .flat_map(|line| line.trim().chars())
        .collect();
    let der = STANDARD.decode(body)?;
    let pkcs1 = pem.contains("RSA PUBLIC KEY");
    anyhow::ensure!(
        !pkcs1,
        "the public key must be a SubjectPublicKeyInfo, not PKCS#1"
    );
    Ok(der)
}

async fn request_token(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Response {
    let mut state = site.lock();
    let signed = match Signed::check(&mut state, &site, &ask) {
        Ok(signed) => signed,
        Err(problem) => return problem.answer(&site),
    };
    let Some(callback) = signed.params.get("oauth_callback") else {
        return Problem("parameter_absent", "oauth_callback".to_owned()).answer(&site);
    };
    let token = world::random_text(16);
    let made = RequestToken {
        token: token.clone(),
        client_id: signed.app.client_id.clone(),
        callback: callback.to_owned(),
        expires_at: state.now() + REQUEST_TOKEN_S,
        decision: Decision::Open,
    };
    state.request_tokens.push(made);
    let secret = world::random_text(16);
    state.note_issued([&token, &secret]);
    let pairs = [
        ("oauth_token", token.as_str()),
        ("oauth_token_secret", &secret),
        ("oauth_callback_confirmed", "true"),
    ];
    plain(reply::form(StatusCode::OK, &pairs))
}

async fn authorize(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Response {
    let mut state = site.lock();
    let now = state.now();
    let wanted = ask.query.text("oauth_token").to_owned();
    let open = state.request_tokens.iter().find(|known| {
        known.token == wanted && known.expires_at > now && matches!(known.decision, Decision::Open)
    });
    let app = open.and_then(|known| state.app(&known.client_id)).cloned();
    let Some(app) = app else {
        return consent::sorry(StatusCode::UNAUTHORIZED, "The request token is not valid.");
    };
    let pending = Pending {
        id: String::new(),
        app_name: app.name,
        scopes: vec!["read and write everything you can".to_owned()],
        login_hint: None,
        dance: Dance::OAuth1 {
            request_token: wanted,
        },
    };
    consent::show(&site, &mut state, &ask, pending)
}

/// The person allowed it: back with a verifier.
pub(crate) fn approve(state: &mut State, token: &str, account: u64) -> Response {
    let verifier = world::random_letters(10);
    decide(
        state,
        token,
        Decision::Approved {
            account,
            verifier: verifier.clone(),
        },
        &verifier,
    )
}

/// The person refused: back with the verifier `denied`.
pub(crate) fn deny(state: &mut State, token: &str) -> Response {
    decide(state, token, Decision::Denied, "denied")
}

fn decide(state: &mut State, token: &str, decision: Decision, verifier: &str) -> Response {
    let Some(known) = state
        .request_tokens
        .iter_mut()
        .find(|known| known.token == token)
    else {
        return consent::sorry(StatusCode::UNAUTHORIZED, "The request token is not valid.");
    };
    known.decision = decision;
    if known.callback == "oob" {
        let body = format!("<p>Your code is <code>{}</code></p>", escape(verifier));
        return reply::page(StatusCode::OK, "Access allowed", &body);
    }
    reply::redirect(
        &known.callback,
        &[("oauth_token", token), ("oauth_verifier", verifier)],
    )
}

async fn access_token(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Response {
    let mut state = site.lock();
    let signed = match Signed::check(&mut state, &site, &ask) {
        Ok(signed) => signed,
        Err(problem) => return problem.answer(&site),
    };
    let account = match signed.params.get("oauth_session_handle") {
        Some(handle) => renew(&mut state, &signed, handle),
        None => redeem(&mut state, &signed),
    };
    match account {
        Ok(account) => issue(&mut state, &signed.app, account),
        Err(problem) => problem.answer(&site),
    }
}

/// Trades an allowed request token; whatever comes of it, the token is spent.
fn redeem(state: &mut State, signed: &Signed) -> Result<u64, Problem> {
    let wanted = signed.params.text("oauth_token");
    let place = state
        .request_tokens
        .iter()
        .position(|known| known.token == wanted);
    let place = place.ok_or_else(|| rejected("unknown or exchanged request token"))?;
    if let Decision::Open = state.request_tokens[place].decision {
        return Err(Problem(
            "permission_unknown",
            "nobody has decided yet".to_owned(),
        ));
    }
    let known = state.request_tokens.swap_remove(place);
    if known.client_id != signed.app.client_id || known.expires_at <= state.now() {
        return Err(rejected("another consumer's or expired request token"));
    }
    match known.decision {
        Decision::Approved { account, verifier }
            if signed.params.get("oauth_verifier") == Some(&verifier) =>
        {
            Ok(account)
        }
        Decision::Denied => Err(Problem("permission_denied", "the person denied".to_owned())),
        _ => Err(rejected("wrong verifier")),
    }
}

/// Renews an access token by its session handle; the old one ends.
fn renew(state: &mut State, signed: &Signed, handle: &str) -> Result<u64, Problem> {
    let now = state.now();
    let wanted = signed.params.text("oauth_token");
    let old = state.tokens.iter_mut().find(|token| {
        let TokenSort::OAuth1 {
            session_handle,
            renewable_until,
        } = &token.sort
        else {
            return false;
        };
        token.access == wanted
            && session_handle == handle
            && *renewable_until > now
            && !token.revoked
    });
    let old = old.ok_or_else(|| rejected("no session of this handle"))?;
    old.revoked = true;
    let account = old.account;
    state.refreshes += 1;
    Ok(account)
}

fn issue(state: &mut State, app: &App, account: u64) -> Response {
    let now = state.now();
    let life = state.knobs.access_token_s.unwrap_or(ACCESS_S);
    let (access, session_handle) = (world::random_text(16), world::random_text(16));
    let token = Token {
        id: state.next_id(),
        access: access.clone(),
        refresh: None,
        refresh_expires_at: None,
        client_id: Some(app.client_id.clone()),
        account,
        scopes: Vec::new(),
        issued_at: now,
        expires_at: Some(now + life),
        revoked: false,
        sort: TokenSort::OAuth1 {
            session_handle: session_handle.clone(),
            renewable_until: now + AUTHORIZATION_S,
        },
    };
    state.tokens.push(token);
    let (secret, life) = (world::random_text(16), life.to_string());
    state.note_issued([&access, &session_handle, &secret]);
    let pairs = [
        ("oauth_token", access.as_str()),
        ("oauth_token_secret", &secret),
        ("oauth_expires_in", &life),
        ("oauth_session_handle", &session_handle),
        (
            "oauth_authorization_expires_in",
            &AUTHORIZATION_S.to_string(),
        ),
    ];
    let login = state
        .account(account)
        .map_or("", |account| account.login.as_str());
    plain(reply::form(StatusCode::OK, &pairs)).by(login)
}

/// Bitbucket labels its form-encoded answers as plain text.
fn plain(mut response: Response) -> Response {
    let plain = header::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
