//! Answers: JSON, HTML, forms and redirects, with the log's remarks attached.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use serde_json::Value;

use crate::log::{Recognised, Refused};

pub(crate) fn json(status: StatusCode, body: &Value) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "application/json; charset=utf-8")],
        body.to_string(),
    )
        .into_response()
}

pub(crate) fn text(status: StatusCode, body: impl Into<String>) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
        body.into(),
    )
        .into_response()
}

/// A form-encoded answer.
pub(crate) fn form(status: StatusCode, pairs: &[(&str, &str)]) -> Response {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    (
        status,
        [(
            header::CONTENT_TYPE,
            "application/x-www-form-urlencoded; charset=utf-8",
        )],
        body,
    )
        .into_response()
}

/// A page of our own; `title` and `body` are HTML.
pub(crate) fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>body {{ font: 1rem sans-serif; max-width: 36rem; margin: 2rem auto }}</style></head>\n\
         <body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    );
    (status, Html(html)).into_response()
}

/// A redirect to `base` with these query parameters added.
pub(crate) fn redirect(base: &str, pairs: &[(&str, &str)]) -> Response {
    let target = match url::Url::parse(base) {
        Ok(mut url) => {
            url.query_pairs_mut().extend_pairs(pairs);
            url.to_string()
        }
        Err(_) => base.to_owned(),
    };
    (StatusCode::FOUND, [(header::LOCATION, target)]).into_response()
}

/// Text made safe inside HTML, attribute values included.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// Remarks and headers added to an answer.
pub(crate) trait Remark: Sized {
    /// Notes for the log why the request was refused.
    fn because(self, reason: impl Into<String>) -> Self;
    /// Notes for the log who asked.
    fn by(self, login: &str) -> Self;
    /// Adds a header; a value that is no header value is left out.
    fn with(self, name: &'static str, value: &str) -> Self;
}

impl Remark for Response {
    fn because(mut self, reason: impl Into<String>) -> Self {
        self.extensions_mut().insert(Refused(reason.into()));
        self
    }

    fn by(mut self, login: &str) -> Self {
        self.extensions_mut().insert(Recognised(login.to_owned()));
        self
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers_mut()
                .append(HeaderName::from_static(name), value);
        }
        self
    }
}

/// An answer that ends a handler early with `?`.
pub(crate) struct Refusal(Box<Response>);

impl From<Response> for Refusal {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// What handlers give that check their caller first.
pub(crate) type Answer = Result<Response, Refusal>;
