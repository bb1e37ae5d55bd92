//! Requests to the Forgepass server: the only outgoing ones of the command line.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api::{Problem, code};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::{Method, Request, StatusCode};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};

use crate::failure::{Failure, Result};
use crate::machine;
use crate::places::Places;
use crate::settings::{self, Settings, Target};

/// No answer of the server is larger.
const MAX_BODY: u64 = 4 * 1024 * 1024;
/// To connect; a server that is away must not hold up Git for long.
const CONNECT: Duration = Duration::from_secs(5);
/// For the whole of a request: the server itself waits for a provider at times.
const WHOLE: Duration = Duration::from_secs(30);
/// The header with the machine's id.
const MACHINE: &str = "forgepass-machine";

/// One server, as one bearer of a token sees it.
pub(crate) struct Server {
    agent: ureq::Agent,
    url: String,
    token: Option<SecretString>,
    machine: String,
}

/// Why a request brought nothing.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The server is not there, or something before it answers in its place. Trying again may help.
    Away(String),
    /// The server says no.
    Problem(Box<Problem>),
    /// What came is no answer of a Forgepass server.
    Broken(String),
}

/// What a request brought.
enum Reply<T> {
    Body(T),
    NotModified,
}

impl Server {
    /// Prepares requests to `target`; connects to nothing yet.
    ///
    /// # Errors
    /// The CA file cannot be used.
    pub(crate) fn new(
        target: &Target,
        token: Option<SecretString>,
        machine: String,
    ) -> Result<Self> {
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(
                rustls::crypto::aws_lc_rs::default_provider(),
            ))
            .root_certs(match &target.ca {
                Some(path) => roots(path)?,
                None => RootCerts::PlatformVerifier,
            })
            .build();
        #[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
        crate::names::keep_to_the_built_in();
        let agent = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            // The token goes to this server and nowhere else.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(WHOLE))
            .user_agent(format!("forgepass/{}", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Self {
            agent,
            url: target.url.clone(),
            token,
            machine,
        })
    }

    /// The server by settings and token, as this workspace.
    ///
    /// # Errors
    /// Not signed in, or the files cannot be used.
    pub(crate) fn of_workspace(places: &Places) -> Result<Self> {
        let not_signed_in = || {
            Failure::user(
                "this machine is not signed in to Forgepass",
                "run `forgepass login ADDRESS`",
            )
        };
        let target = Settings::load(places)?
            .target()?
            .ok_or_else(not_signed_in)?;
        let token = settings::token(places)?.ok_or_else(not_signed_in)?;
        Self::new(&target, Some(token), machine::id()?)
    }

    /// Whether two are the same server and bearer.
    pub(crate) fn is_same_sign_in(&self, other: &Self) -> bool {
        let token = |server: &Self| {
            server
                .token
                .as_ref()
                .map(|token| token.expose_secret().to_owned())
        };
        self.url == other.url && token(self) == token(other)
    }

    /// The server's address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// `GET path`.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        self.call(Method::GET, path, None::<&()>)
    }

    /// `POST path` with a JSON body.
    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, CallError> {
        self.call(Method::POST, path, Some(body))
    }

    /// `DELETE path`.
    pub(crate) fn delete(
        &self,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<(), CallError> {
        self.call::<serde::de::IgnoredAny>(Method::DELETE, path, body)
            .map(|_| ())
    }

    /// The set-up data, if it is not the version that is known.
    pub(crate) fn setup(&self, known: Option<&str>) -> Result<Option<api::Setup>, CallError> {
        let mut request = Request::get(format!("{}/api/v1/workspace/setup", self.url));
        if let Some(version) = known {
            request = request.header("if-none-match", format!("\"{version}\""));
        }
        match self.twice(request, Vec::new())? {
            Reply::Body(setup) => Ok(Some(setup)),
            Reply::NotModified => Ok(None),
        }
    }

    fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, CallError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        let mut bytes = Vec::new();
        if let Some(body) = body {
            request = request.header("content-type", "application/json");
            bytes =
                serde_json::to_vec(body).map_err(|error| CallError::Broken(error.to_string()))?;
        }
        match self.twice(request, bytes)? {
            Reply::Body(body) => Ok(body),
            Reply::NotModified => Err(CallError::Broken(
                "304 to a request without a condition".to_owned(),
            )),
        }
    }

    /// Sends a request, and once more where the connection broke: a kept connection is closed by a server
    /// that restarted. Every request of ours may be repeated.
    fn twice<T: DeserializeOwned>(
        &self,
        request: ureq::http::request::Builder,
        body: Vec<u8>,
    ) -> Result<Reply<T>, CallError> {
        let mut request = request
            .header(MACHINE, &self.machine)
            .header("accept", "application/json");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {}", token.expose_secret()));
        }
        let request = request
            .body(body)
            .map_err(|error| CallError::Broken(error.to_string()))?;
        let first = match self.send(request.clone()) {
            Err(ureq::Error::Io(error)) if broken(&error) => self.send(request),
            other => other,
        };
        let (status, body) = first.map_err(|error| away(&self.url, &error))?;
        read_reply(&self.url, status, &body)
    }

    fn send(&self, request: Request<Vec<u8>>) -> Result<(StatusCode, Vec<u8>), ureq::Error> {
        let (parts, body) = request.into_parts();
        let mut answer = if body.is_empty() {
            self.agent.run(Request::from_parts(parts, ()))?
        } else {
            self.agent.run(Request::from_parts(parts, body))?
        };
        let bytes = answer
            .body_mut()
            .with_config()
            .limit(MAX_BODY)
            .read_to_vec()?;
        Ok((answer.status(), bytes))
    }
}

fn broken(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
    )
}

fn away(url: &str, error: &ureq::Error) -> CallError {
    let text = format!("{url}: {error}");
    match error {
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => CallError::Broken(text),
        // rustls reports a certificate that is not trusted through the stream.
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            CallError::Broken(text)
        }
        _ => CallError::Away(text),
    }
}

fn read_reply<T: DeserializeOwned>(
    url: &str,
    status: StatusCode,
    body: &[u8],
) -> Result<Reply<T>, CallError> {
    if status == StatusCode::NOT_MODIFIED {
        return Ok(Reply::NotModified);
    }
    if status.is_success() {
        // 204 and other answers without a body read as null.
        let body = if body.is_empty() { b"null" } else { body };
        return serde_json::from_slice(body)
            .map(Reply::Body)
            .map_err(|error| {
                CallError::Broken(format!("{url} answered what is not understood: {error}"))
            });
    }
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => Err(CallError::Problem(Box::new(problem))),
        Err(_) if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Err(CallError::Away(format!("{url} answered {status}")))
        }
        Err(_) => Err(CallError::Broken(format!(
            "{url} answered {status}, not as a Forgepass server does"
        ))),
    }
}

fn roots(path: &Path) -> Result<RootCerts> {
    let pem = fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
    let certificates: Vec<Certificate<'static>> = ureq::tls::parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(Failure::user(
            format!("{} holds no certificate", path.display()),
            "give a PEM file: it begins with -----BEGIN CERTIFICATE-----",
        ));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

impl CallError {
    /// Whether the same request may succeed later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Away(_) => true,
            Self::Problem(problem) => problem.code == code::TRANSIENT,
            Self::Broken(_) => false,
        }
    }

    /// The problem's code; empty where the server gave none.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Problem(problem) => &problem.code,
            _ => "",
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Away(what) => Self::ours(
                format!("the Forgepass server cannot be reached: {what}"),
                "check the network, or try again in a minute",
            ),
            CallError::Broken(what) => Self::user(
                what,
                "check the address of the server and, with a private CA, `forgepass login --ca FILE`",
            ),
            CallError::Problem(problem) => from_problem(*problem),
        }
    }
}

fn from_problem(problem: Problem) -> Failure {
    let fallback = match problem.code.as_str() {
        code::UNAUTHENTICATED | code::OTHER_MACHINE => {
            "sign in again with `forgepass login`".to_owned()
        }
        code::TRANSIENT => "try again in a minute".to_owned(),
        _ => match (&problem.help_url, &problem.support_id) {
            (Some(page), _) => format!("open {page}"),
            (None, Some(id)) => format!("tell your site manager the support id {id}"),
            (None, None) => "ask your site manager".to_owned(),
        },
    };
    let hint = problem.hint.unwrap_or(fallback);
    if problem.code == code::INTERNAL || problem.code == code::TRANSIENT {
        Failure::ours(problem.detail, hint)
    } else {
        Failure::user(problem.detail, hint)
    }
}
