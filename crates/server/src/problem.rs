//! Turns every refusal into an answer: problem+json under `/api/`, a page elsewhere.
//!
//! Handlers return `Result<_, Failure>` and know neither form. [`render`] stands around all routes,
//! sees which answers failed, and words them once. It also words what the framework refuses by
//! itself: unknown paths, wrong methods, malformed bodies.

use std::sync::{Arc, OnceLock};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use broker::{Refused, RefusedKind};
use tower_http::request_id::RequestId;

use crate::{
    app::App,
    pages::{self, Viewer, text::sentence},
};

/// Why a request was not done. The answer's only content until [`render`] words it.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The HTTP status.
    pub status: StatusCode,
    /// One of [`api::code`].
    pub code: &'static str,
    /// What happened, one sentence without a full stop.
    pub detail: Box<str>,
    /// What to do next.
    pub hint: Option<String>,
    /// A path of the console that helps.
    pub help_path: Option<String>,
    /// Seconds after which the same request may succeed.
    pub retry_after_s: Option<i64>,
    /// For the log alone.
    cause: Option<Box<str>>,
}

impl Failure {
    /// A request that is malformed; `detail` names the field.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Refused::invalid(detail).into()
    }

    /// No such page.
    pub fn not_found() -> Self {
        Refused::new(RefusedKind::NotFound, "there is nothing at this address")
            .hint("check the address, or start from the home page")
            .into()
    }

    /// A fault of ours; `cause` goes to the log.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Refused::internal(cause).into()
    }

    /// Whether a form can show it and be sent again: the person's to mend, not ours.
    pub fn is_mendable(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS
            || matches!(
                self.code,
                api::code::INVALID
                    | api::code::CONFLICT
                    | api::code::PROVIDER_FAULT
                    | api::code::TRANSIENT
            )
    }

    /// The same, to be shown with the form, if it can be mended there.
    ///
    /// # Errors
    /// The same, where it is to be an error page.
    pub fn mendable(self) -> Result<Self, Self> {
        if self.is_mendable() {
            Ok(self)
        } else {
            Err(self)
        }
    }

    /// The sentence with a capital and a full stop, for pages.
    pub fn sentence(&self) -> String {
        sentence(&self.detail)
    }

    /// The hint with a capital and a full stop, for pages.
    pub fn next_step(&self) -> Option<String> {
        self.hint.as_deref().map(sentence)
    }

    fn problem(&self, public_url: &str, support_id: Option<String>) -> api::Problem {
        api::Problem {
            type_uri: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.to_string(),
            code: self.code.to_owned(),
            hint: self.hint.clone(),
            help_url: self
                .help_path
                .as_ref()
                .map(|path| format!("{public_url}{path}")),
            retry_after_s: self.retry_after_s,
            support_id,
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        // A throttled sign-in is no reason to ask for a sign-in.
        let throttled =
            refused.kind == RefusedKind::Unauthenticated && refused.retry_after_s.is_some();
        let status = if throttled {
            StatusCode::TOO_MANY_REQUESTS
        } else {
            status_of(refused.kind)
        };
        Self {
            status,
            code: refused.kind.as_code(),
            detail: refused.detail.into_boxed_str(),
            hint: refused.hint,
            help_path: refused.help_path,
            retry_after_s: refused.retry_after_s,
            cause: refused.cause.map(String::into_boxed_str),
        }
    }
}

fn status_of(kind: RefusedKind) -> StatusCode {
    match kind {
        RefusedKind::Invalid
        | RefusedKind::AuthorizationPending
        | RefusedKind::SlowDown
        | RefusedKind::ExpiredToken
        | RefusedKind::AccessDenied => StatusCode::BAD_REQUEST,
        RefusedKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        RefusedKind::Forbidden | RefusedKind::OtherMachine | RefusedKind::SignRefused => {
            StatusCode::FORBIDDEN
        }
        RefusedKind::NotFound
        | RefusedKind::NotOurs
        | RefusedKind::NotLinked
        | RefusedKind::NoCredential => StatusCode::NOT_FOUND,
        RefusedKind::Conflict | RefusedKind::LinkDead | RefusedKind::Tie => StatusCode::CONFLICT,
        RefusedKind::ProviderFault => StatusCode::BAD_GATEWAY,
        RefusedKind::Transient => StatusCode::SERVICE_UNAVAILABLE,
        RefusedKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Who the request turned out to be from, for the frame around a page.
///
/// An extractor fills it; the page and [`render`], which run later, read it.
#[derive(Debug, Clone, Default)]
pub struct ViewerSlot(Arc<OnceLock<Viewer>>);

impl ViewerSlot {
    /// Notes the viewer; the first one stays.
    pub fn fill(&self, viewer: Viewer) {
        let _ = self.0.set(viewer);
    }

    /// The viewer, once known.
    pub fn viewer(&self) -> Option<&Viewer> {
        self.0.get()
    }
}

/// The middleware around all routes that words failures.
pub async fn render(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let slot = ViewerSlot::default();
    request.extensions_mut().insert(slot.clone());
    let asked = Asked::of(&request);
    let response = next.run(request).await;
    let Some(failure) = failure_of(&response) else {
        return response;
    };
    let failure = match failure {
        Found::Ours(failure) => failure,
        Found::Framework(status) => from_framework(status, response).await,
    };
    log(&failure);
    if asked.is_api {
        return json(&failure, &app, asked.support_id);
    }
    if failure.status == StatusCode::UNAUTHORIZED {
        return Redirect::to(&asked.sign_in_path()).into_response();
    }
    with_retry(
        pages::error::page(&app, &slot, &failure, asked.support_id),
        &failure,
    )
}

/// The one callback of every provider.
const CALLBACK: &str = "/oauth/callback";

/// What is needed of a request once it is gone.
struct Asked {
    is_api: bool,
    is_read: bool,
    target: String,
    support_id: Option<String>,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let support_id = request.extensions().get::<RequestId>();
        let support_id = support_id.and_then(|id| id.header_value().to_str().ok());
        let target = request.uri().path_and_query().map(ToString::to_string);
        Self {
            is_api: request.uri().path().starts_with("/api/"),
            is_read: request.method() == Method::GET,
            target: target.unwrap_or_default(),
            support_id: support_id.map(str::to_owned),
        }
    }

    /// After signing in, a page that was only read is shown; a form is not sent again.
    fn sign_in_path(&self) -> String {
        if self.is_read && self.target == "/" {
            return "/login".to_owned();
        }
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        // What a provider sent along is a secret, and bound to the session that is gone.
        if self.is_read && !self.target.starts_with(CALLBACK) {
            query.append_pair("next", &self.target);
        }
        query.append_pair("ended", "1");
        format!("/login?{}", query.finish())
    }
}

enum Found {
    Ours(Failure),
    Framework(StatusCode),
}

fn failure_of(response: &Response) -> Option<Found> {
    if let Some(failure) = response.extensions().get::<Failure>() {
        return Some(Found::Ours(failure.clone()));
    }
    let worded = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| {
            kind.as_bytes().starts_with(b"text/html")
                || kind.as_bytes().starts_with(b"application/")
        });
    let failed = response.status().is_client_error() || response.status().is_server_error();
    (failed && !worded).then(|| Found::Framework(response.status()))
}

/// What the framework refused: its one line of text says which field, and becomes the detail.
async fn from_framework(status: StatusCode, response: Response) -> Failure {
    let text = to_bytes(response.into_body(), 4096)
        .await
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    let mut failure = match status {
        StatusCode::NOT_FOUND => Failure::not_found(),
        status if status.is_server_error() => Failure::internal(text.clone()),
        _ => Failure::invalid("the request cannot be understood"),
    };
    failure.status = status;
    if status.is_client_error() && !text.is_empty() && status != StatusCode::NOT_FOUND {
        failure.detail = text.into();
    } else if status == StatusCode::METHOD_NOT_ALLOWED {
        failure.detail = "this address does not take that method".into();
    } else if status == StatusCode::REQUEST_TIMEOUT {
        failure.detail = "the request took too long".into();
    }
    failure
}

/// One line an error; refusals that people cause are told by the request's own line.
fn log(failure: &Failure) {
    if failure.status.is_server_error() {
        let cause = failure.cause.as_deref().unwrap_or_default();
        tracing::error!(
            problem.code = failure.code,
            problem.cause = cause,
            "{}",
            failure.detail
        );
    } else {
        tracing::debug!(problem.code = failure.code, "request refused");
    }
}

fn json(failure: &Failure, app: &App, support_id: Option<String>) -> Response {
    let problem = failure.problem(app.public_url_text(), support_id);
    // A struct of texts and numbers: serialising it cannot fail.
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = (failure.status, Body::from(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if failure.status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    with_retry(response, failure)
}

fn with_retry(mut response: Response, failure: &Failure) -> Response {
    if let Some(seconds) = failure.retry_after_s {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(0)));
    }
    response
}
