//! The log: one line a request, without query strings, since those of `/oauth/callback`, `/setup` and
//! `/invitation` hold secrets.

use std::{io::IsTerminal, time::Duration};

use axum::http::{Request, Response};
use tower_http::request_id::RequestId;
use tracing::Span;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{Log, LogFormat};

/// Starts logging to standard error; standard output is for what was asked.
///
/// # Errors
/// Where the filter is malformed, or logging was started before.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&log.level)?;
    let lines = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match log.format {
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}

/// The span of one request: what every line within it carries.
pub fn span<B>(request: &Request<B>) -> Span {
    let support_id = request.extensions().get::<RequestId>();
    let support_id = support_id
        .and_then(|id| id.header_value().to_str().ok())
        .unwrap_or_default();
    tracing::info_span!(
        "request",
        http.method = %request.method(),
        http.path = request.uri().path(),
        support.id = support_id,
    )
}

/// The line of one request.
pub fn answered<B>(response: &Response<B>, took: Duration, _span: &Span) {
    tracing::info!(
        http.status = response.status().as_u16(),
        took_ms = took.as_millis(),
        "request answered"
    );
}
