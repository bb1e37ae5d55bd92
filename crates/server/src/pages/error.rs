//! The page of every failure: its own words, a next step, and the support id that stands in the log.

use askama::Template;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{Frame, show_as};
use crate::{
    app::App,
    problem::{Failure, ViewerSlot},
};

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    status: u16,
    title: &'static str,
    what: String,
    next_step: String,
    help_path: Option<String>,
    support_id: Option<String>,
}

/// The page of `failure`.
pub(crate) fn page(
    app: &App,
    slot: &ViewerSlot,
    failure: &Failure,
    support_id: Option<String>,
) -> Response {
    let page = ErrorPage {
        frame: Frame::bare(app, slot),
        status: failure.status.as_u16(),
        title: title(failure),
        what: failure.sentence(),
        next_step: failure
            .next_step()
            .unwrap_or_else(|| fallback(failure.status).to_owned()),
        help_path: failure.help_path.clone(),
        support_id,
    };
    // A page that cannot even say what went wrong still carries the status.
    show_as(failure.status, &page).unwrap_or_else(|_| failure.status.into_response())
}

/// What to do where nothing better is known.
fn fallback(status: StatusCode) -> &'static str {
    if status.is_server_error() {
        "Try again. If it happens again, tell whoever runs this server the support id below."
    } else {
        "Go back and try again, or start from the home page."
    }
}

fn title(failure: &Failure) -> &'static str {
    match (failure.code, failure.status) {
        (_, StatusCode::TOO_MANY_REQUESTS) => "Too many tries",
        (api::code::FORBIDDEN, _) => "Not allowed",
        (api::code::NOT_FOUND, _) => "Not found",
        (api::code::CONFLICT, _) => "That contradicts what is there",
        (api::code::TRANSIENT, _) => "Not reachable right now",
        (api::code::PROVIDER_FAULT, _) => "The provider's settings are wrong",
        (api::code::LINK_DEAD, _) => "This account must be linked again",
        (api::code::ACCESS_DENIED, _) => "The consent was denied",
        (_, StatusCode::METHOD_NOT_ALLOWED) => "Not possible here",
        (_, status) if status.is_server_error() => "Something went wrong here",
        _ => "That did not work",
    }
}
