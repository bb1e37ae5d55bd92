//! The one door for outgoing requests: time-outs, a size cap, no redirects, and a guard on addresses.

mod guard;
mod signed;
#[cfg(test)]
mod tests;
mod tls;

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use forge::{Auth, AuthStyle, Body, Call, Fault, Refusal, Reply, Step};
use reqwest::{
    Certificate, Proxy, RequestBuilder, Response,
    header::{AUTHORIZATION, HeaderValue, LOCATION},
    redirect,
};
use secrecy::{ExposeSecret, SecretString};
use store::Store;
use url::Url;

use crate::{BrokerConfig, ProviderContext};

pub use guard::{Forbidden, Guard};

/// Longest waits of every request.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(5),
    total: Duration::from_secs(20),
};
/// Largest answer, bytes. The largest real ones are pages of a hundred keys.
const LARGEST_BODY: usize = 1024 * 1024;
/// Most clients kept; there are a few providers, and each edit of a certificate bundle adds one.
const MOST_CLIENTS: usize = 256;
/// Most requests of one call: a hundred pages of a hundred keys is more than any account has.
const MOST_STEPS: usize = 100;

/// Why a call brought no result. Neither addresses with queries nor tokens stand in it.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The provider answered, and its kind read a refusal.
    #[error("{0}")]
    Refused(Refusal),
    /// No answer came: name, connection, time-out, an answer that broke off.
    #[error("{0}")]
    Unreachable(String),
    /// The answer was larger than any real one.
    #[error("its answer is larger than 1 MiB")]
    TooLarge,
    /// The connection could not be trusted.
    #[error("{0}")]
    Tls(String),
    /// The provider sends the request elsewhere, which a call never follows.
    #[error("it redirects to {0}")]
    Redirected(String),
    /// The address is not one that requests may go to.
    #[error("{0}")]
    Forbidden(#[from] Forbidden),
    /// The call would carry a secret to an origin that is not the provider's.
    #[error("{0} is none of the provider's addresses")]
    ForeignOrigin(String),
    /// The provider as configured cannot be asked.
    #[error("{0}")]
    Misconfigured(String),
}

impl SendError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Refused(refusal) => refusal.refresh_fault(),
            Self::Unreachable(_) | Self::TooLarge => Fault::Transient,
            Self::Tls(_)
            | Self::Redirected(_)
            | Self::Forbidden(_)
            | Self::ForeignOrigin(_)
            | Self::Misconfigured(_) => Fault::Admin,
        }
    }
}

/// The door. It keeps one client per set of certificates and per answer to "internal?".
pub struct Door {
    store: Store,
    user_agent: String,
    proxy: Option<Url>,
    patience: Patience,
    clients: Mutex<HashMap<ClientKey, reqwest::Client>>,
}

/// How long to wait.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// For a connection.
    connect: Duration,
    /// For a whole answer.
    total: Duration,
}

#[derive(PartialEq, Eq, Hash, Clone)]
struct ClientKey {
    ca_pem: Option<String>,
    guard: Guard,
}

impl Door {
    pub(crate) fn new(store: Store, config: &BrokerConfig) -> Self {
        Self {
            store,
            user_agent: format!("Forgepass/{}", config.version),
            proxy: config.proxy.clone(),
            patience: PATIENCE,
            clients: Mutex::default(),
        }
    }

    /// Sends `call` to `provider`, and whatever calls its answer asks for, up to 100.
    ///
    /// `token` is the access token of the grant the call is made under.
    ///
    /// # Errors
    /// [`SendError`]: the provider's refusal, or why there is no answer to read.
    pub async fn send<T>(
        &self,
        provider: &ProviderContext,
        token: Option<&SecretString>,
        call: Call<T>,
    ) -> Result<T, SendError> {
        let mut call = call;
        for _ in 0..MOST_STEPS {
            match self.step(provider, token, call).await? {
                Step::Done(found) => return Ok(found),
                Step::Then(next) => call = next,
            }
        }
        Err(SendError::Unreachable(
            "it answers with ever more pages".to_owned(),
        ))
    }

    /// Whether anything answers at the provider's base URL, and what it says first.
    ///
    /// # Errors
    /// [`SendError`], but a redirect within the provider's own origin is an answer.
    pub(crate) async fn reach(&self, provider: &ProviderContext) -> Result<String, SendError> {
        let guard = Guard::of(provider.row.internal_at);
        let url = &provider.site.url;
        guard.check_url(url)?;
        let client = self.client(provider.row.ca_pem.as_deref(), guard)?;
        match answer(client.get(url.clone())).await {
            Ok(reply) if reply.status.is_server_error() => Err(SendError::Unreachable(format!(
                "it answers {}",
                reply.status
            ))),
            Ok(reply) => Ok(format!("it answers {}", reply.status)),
            Err(SendError::Redirected(place)) if provider.origins.contains(&place) => {
                Ok("it answers with a page of its own".to_owned())
            }
            Err(SendError::TooLarge) => Ok("it answers with a large page".to_owned()),
            Err(error) => Err(error),
        }
    }

    async fn step<T>(
        &self,
        provider: &ProviderContext,
        token: Option<&SecretString>,
        call: Call<T>,
    ) -> Result<Step<T>, SendError> {
        let guard = Guard::of(provider.row.internal_at);
        guard.check_url(&call.url)?;
        refuse_foreign(provider, &call.url)?;
        let client = self.client(provider.row.ca_pem.as_deref(), guard)?;
        let request = client.request(call.method.clone(), call.url.clone());
        // The database's time is free of charge most of the time, and only signatures need it.
        let now = self.store.now().await.map_err(|_| no_time())?;
        let request = authorize(request, provider, token, (&call, now))?;
        let request = call.headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, value)
        });
        let reply = answer(with_body(request, &call.body)).await?;
        call.read(reply).map_err(SendError::Refused)
    }

    /// The client for these certificates and this guard, made once.
    fn client(&self, ca_pem: Option<&str>, guard: Guard) -> Result<reqwest::Client, SendError> {
        let key = ClientKey {
            ca_pem: ca_pem.map(str::to_owned),
            guard,
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        if clients.len() >= MOST_CLIENTS {
            clients.clear();
        }
        let client = self.build(ca_pem, guard)?;
        clients.insert(key, client.clone());
        Ok(client)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one door")]
    fn build(&self, ca_pem: Option<&str>, guard: Guard) -> Result<reqwest::Client, SendError> {
        let proxy_host = self.proxy.as_ref().and_then(Url::host_str);
        let mut builder = reqwest::Client::builder()
            .user_agent(&self.user_agent)
            .connect_timeout(self.patience.connect)
            .timeout(self.patience.total)
            .redirect(redirect::Policy::none())
            .referer(false)
            // The environment is the configuration's to read, not the library's.
            .no_proxy()
            .dns_resolver(guard.resolver(proxy_host));
        if let (Some(proxy), Guard::Public) = (&self.proxy, guard) {
            builder = builder.proxy(Proxy::all(proxy.clone()).map_err(misconfigured)?);
        }
        if let Some(pem) = ca_pem {
            let certificates =
                Certificate::from_pem_bundle(pem.as_bytes()).map_err(misconfigured)?;
            builder = builder.tls_certs_merge(certificates);
        }
        builder.build().map_err(misconfigured)
    }
}

fn authorize<T>(
    request: RequestBuilder,
    provider: &ProviderContext,
    token: Option<&SecretString>,
    (call, now): (&Call<T>, i64),
) -> Result<RequestBuilder, SendError> {
    let (method, url, body) = (&call.method, &call.url, &call.body);
    let signed = |token, extra| {
        let asked = signed::Request {
            method,
            url,
            body,
            token,
            extra,
            now,
        };
        let mut header = HeaderValue::from_str(&signed::authorization(provider, &asked)?)
            .map_err(|_| SendError::Misconfigured("its consumer key is odd".to_owned()))?;
        header.set_sensitive(true);
        Ok::<_, SendError>(header)
    };
    Ok(match &call.auth {
        Auth::None => request,
        Auth::Basic(user, password) => request.basic_auth(user, Some(password.expose_secret())),
        Auth::Token => {
            let token = token.ok_or_else(no_token)?;
            match provider.kind.auth() {
                AuthStyle::OAuth1 => request.header(AUTHORIZATION, signed(Some(token), &[])?),
                AuthStyle::OAuth2 | AuthStyle::None => request.bearer_auth(token.expose_secret()),
            }
        }
        Auth::Signed { token, extra } => {
            request.header(AUTHORIZATION, signed(token.as_ref(), extra.as_slice())?)
        }
    })
}

fn no_time() -> SendError {
    SendError::Unreachable("our own database does not tell the time".to_owned())
}

fn misconfigured(error: reqwest::Error) -> SendError {
    SendError::Misconfigured(error.without_url().to_string())
}

fn no_token() -> SendError {
    SendError::Misconfigured("there is no access token for this call".to_owned())
}

/// Secrets go in headers and bodies: none may leave for an origin the provider does not have,
/// such as one that a page's `Link: …; rel="next"` names.
fn refuse_foreign(provider: &ProviderContext, url: &Url) -> Result<(), SendError> {
    let origin = url.origin().ascii_serialization();
    if provider.origins.contains(&origin) {
        return Ok(());
    }
    Err(SendError::ForeignOrigin(origin))
}

fn with_body(request: RequestBuilder, body: &Body) -> RequestBuilder {
    match body {
        Body::Empty => request,
        Body::Json(value) => request.json(value),
        Body::Form(fields) => {
            let fields: Vec<(&str, &str)> = fields
                .iter()
                .map(|(name, value)| (*name, value.expose_secret()))
                .collect();
            request.form(&fields)
        }
    }
}

async fn answer(request: RequestBuilder) -> Result<Reply, SendError> {
    let mut response = request.send().await.map_err(explain)?;
    if let Some(place) = elsewhere(&response) {
        return Err(SendError::Redirected(place));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(explain)? {
        if body.len() + chunk.len() > LARGEST_BODY {
            return Err(SendError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply {
        status: response.status(),
        headers: response.headers().clone(),
        body,
    })
}

/// Where a redirect leads, without path and query, which may hold anything.
fn elsewhere(response: &Response) -> Option<String> {
    if !response.status().is_redirection() {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let target = response.url().join(location).ok()?;
    Some(target.origin().ascii_serialization())
}

/// What went wrong with a request, in words and without its address.
fn explain(error: reqwest::Error) -> SendError {
    if let Some(forbidden) = find::<Forbidden>(&error) {
        return SendError::Forbidden(forbidden.clone());
    }
    if let Some(fault) = find::<rustls::Error>(&error) {
        return SendError::Tls(tls::in_words(fault));
    }
    let words = if error.is_timeout() {
        "it does not answer in time".to_owned()
    } else if error.is_connect() {
        format!("no connection: {}", root_cause(&error))
    } else {
        format!("its answer broke off: {}", root_cause(&error))
    };
    SendError::Unreachable(words)
}

/// The first error of type `E` in the chain, also inside [`std::io::Error`]s, which skip what they hold.
fn find<'a, E: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = inside(error);
    }
    None
}

fn inside<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a (dyn std::error::Error + 'static)> {
    match error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
    {
        Some(held) => Some(held),
        None => error.source(),
    }
}

fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = inside(last) {
        last = next;
    }
    last.to_string()
}
