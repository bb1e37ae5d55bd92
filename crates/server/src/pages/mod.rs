//! The web console: one file a page, each with its template's struct, its handlers and its forms.

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{StatusCode, header, request::Parts},
    middleware::Next,
    response::{Html, IntoResponse, Redirect, Response},
};
use axum_extra::extract::CookieJar;
use broker::UserView;

use crate::{
    app::App,
    assets, auth,
    problem::{Failure, ViewerSlot},
};

pub mod audit;
pub mod audit_export;
pub mod chart;
pub mod device;
pub mod error;
pub mod git_oauth;
pub mod git_oauth_add;
pub mod git_oauth_edit;
pub mod git_oauth_version;
pub mod home;
pub mod invitation;
pub mod link;
pub mod linked_accounts;
pub mod login;
pub mod overview;
pub mod security_ssh;
pub mod setup;
pub mod sign_in;
pub mod ssh_keys;
pub mod text;
pub mod user;
pub mod users;
pub mod workspaces;

/// A day, seconds: what forms ask lives in.
pub(crate) const DAY_S: i64 = 24 * 60 * 60;

/// What a page's handler returns.
pub type Answer = Result<Response, Failure>;

/// Who looks at a page: what the frame around it shows.
#[derive(Debug, Clone)]
pub struct Viewer {
    /// Sign-in name.
    pub name: String,
    /// `member`, `auditor` or `site-manager`.
    pub role: String,
}

impl Viewer {
    /// The viewer that a signed-in user is.
    pub fn of(user: &UserView) -> Self {
        Self {
            name: user.name.clone(),
            role: user.role.as_str().to_owned(),
        }
    }

    /// Whether the Manage pages of site managers are offered.
    pub fn is_manager(&self) -> bool {
        self.role == "site-manager"
    }

    /// Whether the audit log is offered.
    pub fn is_auditor(&self) -> bool {
        self.role != "member"
    }

    /// Two letters for the round badge.
    pub fn initials(&self) -> String {
        text::initials(&self.name)
    }
}

/// What `base.html` shows around every page.
pub struct Frame {
    slot: ViewerSlot,
    path: String,
    notice: Option<String>,
    app: App,
}

impl Frame {
    /// The frame of an error page, which may come before any extractor ran.
    pub(crate) fn bare(app: &App, slot: &ViewerSlot) -> Self {
        Self {
            slot: slot.clone(),
            path: String::new(),
            notice: None,
            app: app.clone(),
        }
    }

    fn viewer(&self) -> Option<&Viewer> {
        self.slot.viewer()
    }

    /// What the last action did, shown once.
    fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// `aria-current` for a link of the navigation: the page itself or one below it.
    fn current(&self, path: &str) -> &'static str {
        let below = self
            .path
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with('/'));
        if self.path == path || (path != "/" && below) {
            "page"
        } else {
            "false"
        }
    }

    fn site_name(&self) -> &str {
        self.app.name()
    }

    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    fn css(&self) -> String {
        assets::css_path()
    }

    fn js(&self) -> String {
        assets::js_path()
    }

    fn icon(&self) -> String {
        assets::icon_path()
    }
}

impl FromRequestParts<App> for Frame {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let notice = CookieJar::from_headers(&parts.headers);
        let notice = notice
            .get(app.notice_cookie())
            .map(|cookie| text::decoded(cookie.value()));
        Ok(Self {
            slot: parts
                .extensions
                .get::<ViewerSlot>()
                .cloned()
                .unwrap_or_default(),
            path: parts.uri.path().to_owned(),
            notice,
            app: app.clone(),
        })
    }
}

/// Renders a page.
pub fn show(page: &impl askama::Template) -> Answer {
    show_as(StatusCode::OK, page)
}

/// Renders a page under another status, such as that of a form to mend.
pub fn show_as(status: StatusCode, page: &impl askama::Template) -> Answer {
    let html = page.render().map_err(Failure::internal)?;
    Ok((status, Html(html)).into_response())
}

/// Leads on to `path` and says there what was done.
pub fn done(app: &App, path: &str, notice: &str) -> Response {
    let mut response = Redirect::to(path).into_response();
    let value = text::encoded(notice);
    auth::set_cookie(app, &mut response, app.notice_cookie(), &value, 60);
    response
}

/// The middleware that takes a notice away once a page has shown it.
pub async fn notices(State(app): State<App>, request: Request, next: Next) -> Response {
    let has_notice = CookieJar::from_headers(request.headers())
        .get(app.notice_cookie())
        .is_some();
    let mut response = next.run(request).await;
    let is_page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if has_notice && is_page {
        auth::set_cookie(&app, &mut response, app.notice_cookie(), "", 0);
    }
    response
}
