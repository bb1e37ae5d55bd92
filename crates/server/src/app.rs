//! The server's state and, on one page, every route.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Request, StatusCode},
    middleware,
    response::{IntoResponse, Response},
    routing,
};
use broker::Broker;
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    request_id::{MakeRequestUuid, SetRequestIdLayer},
    timeout::TimeoutLayer,
    trace::TraceLayer,
};
use url::Url;

use crate::{api as json, assets, config::Network, logs, pages, problem, security};

/// The largest request body: a CA bundle fits, a flood does not.
const LARGEST_BODY: usize = 1024 * 1024;

/// Longer than the slowest chain of provider calls may take.
const LONGEST_REQUEST: Duration = Duration::from_secs(120);

/// What every handler may use. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    broker: Broker,
    name: String,
    public_url: Url,
    public_url_text: String,
    trusted_proxies: Vec<Network>,
}

impl App {
    /// The state of a server reached at `public_url`.
    pub fn new(broker: Broker, name: &str, public_url: Url, trusted_proxies: Vec<Network>) -> Self {
        let public_url_text = public_url.as_str().trim_end_matches('/').to_owned();
        let name = name.to_owned();
        Self(Arc::new(Inner {
            broker,
            name,
            public_url,
            public_url_text,
            trusted_proxies,
        }))
    }

    /// The use cases.
    pub fn broker(&self) -> &Broker {
        &self.0.broker
    }

    /// What this installation calls itself.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The console's address.
    pub fn public_url(&self) -> &Url {
        &self.0.public_url
    }

    /// The console's address without a trailing slash.
    pub fn public_url_text(&self) -> &str {
        &self.0.public_url_text
    }

    /// Proxies whose `X-Forwarded-For` is believed.
    pub fn trusted_proxies(&self) -> &[Network] {
        &self.0.trusted_proxies
    }

    /// Whether people reach us by https, so that cookies can be secure.
    pub fn is_https(&self) -> bool {
        self.0.public_url.scheme() == "https"
    }

    /// Name of the session cookie; the prefix binds it to this host and to https.
    pub fn session_cookie(&self) -> &'static str {
        if self.is_https() {
            "__Host-forgepass"
        } else {
            "forgepass"
        }
    }

    /// Name of the cookie that carries what the last action did to the next page.
    pub fn notice_cookie(&self) -> &'static str {
        if self.is_https() {
            "__Host-forgepass-notice"
        } else {
            "forgepass-notice"
        }
    }
}

/// Who may open a page. The extractors enforce it; the tests compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// No sign-in needed.
    Anyone,
    /// Any signed-in user.
    User,
    /// Auditors and site managers.
    Auditor,
    /// Site managers.
    SiteManager,
}

/// One line of the table below.
#[derive(Debug, Clone, Copy)]
pub struct PageRoute {
    /// Who may open it.
    pub who: Who,
    /// `get` or `post`.
    pub method: &'static str,
    /// The path, with `{…}` for what varies.
    pub path: &'static str,
}

/// Makes the table and the router from the same lines, so that neither can lack one.
macro_rules! page_routes {
    ($($who:ident $method:ident $path:literal => $handler:path;)*) => {
        /// Every page and form of the console.
        pub const PAGES: &[PageRoute] = &[
            $(PageRoute { who: Who::$who, method: stringify!($method), path: $path }),*
        ];

        fn page_router() -> Router<App> {
            Router::new()$(.route($path, routing::$method($handler)))*
        }
    };
}

page_routes! {
    Anyone get "/login" => pages::login::page;
    Anyone post "/login" => pages::login::submit;
    User post "/logout" => pages::login::sign_out;
    Anyone get "/setup" => pages::setup::page;
    Anyone post "/setup" => pages::setup::submit;
    Anyone get "/invitation" => pages::invitation::page;
    Anyone post "/invitation" => pages::invitation::submit;

    User get "/" => pages::home::page;
    User get "/preferences" => pages::home::preferences;
    User get "/preferences/linked-accounts" => pages::linked_accounts::page;
    User post "/preferences/linked-accounts/rules" => pages::linked_accounts::add_rule;
    User post "/preferences/linked-accounts/rules/{id}/remove" => pages::linked_accounts::remove_rule;
    User post "/link/{provider}" => pages::link::begin;
    User post "/link/{provider}/relink" => pages::link::relink;
    User post "/links/{id}/finish" => pages::link::finish;
    User get "/links/{id}/unlink" => pages::link::confirm_unlink;
    User post "/links/{id}/unlink" => pages::link::unlink;
    User get "/oauth/callback" => pages::link::callback;
    User get "/preferences/ssh-keys" => pages::ssh_keys::page;
    User get "/preferences/ssh-keys/{id}/regenerate" => pages::ssh_keys::confirm_regenerate;
    User post "/preferences/ssh-keys/{id}/regenerate" => pages::ssh_keys::regenerate;
    User get "/preferences/workspaces" => pages::workspaces::page;
    User post "/preferences/workspaces" => pages::workspaces::add;
    User post "/preferences/workspaces/{id}/revoke" => pages::workspaces::revoke;
    User get "/preferences/sign-in" => pages::sign_in::page;
    User post "/preferences/sign-in/tokens" => pages::sign_in::add_token;
    User post "/preferences/sign-in/tokens/{id}/revoke" => pages::sign_in::revoke_token;
    User post "/preferences/sign-in/sessions/{id}/end" => pages::sign_in::end_session;
    User get "/device" => pages::device::page;
    User post "/device" => pages::device::decide;

    SiteManager get "/manage" => pages::overview::manage;
    SiteManager get "/manage/overview" => pages::overview::page;
    SiteManager get "/manage/users" => pages::users::page;
    SiteManager post "/manage/users" => pages::users::add;
    SiteManager get "/manage/users/{id}" => pages::user::page;
    SiteManager post "/manage/users/{id}/role" => pages::users::set_role;
    SiteManager post "/manage/users/{id}/invitation" => pages::users::reinvite;
    SiteManager post "/manage/users/{id}/suspended" => pages::users::set_suspended;
    SiteManager get "/manage/admin/git-oauth" => pages::git_oauth::page;
    SiteManager get "/manage/admin/git-oauth/add" => pages::git_oauth_add::choose;
    SiteManager post "/manage/admin/git-oauth/add" => pages::git_oauth_add::chosen;
    SiteManager get "/manage/admin/git-oauth/add/version" => pages::git_oauth_version::page;
    SiteManager post "/manage/admin/git-oauth/add/version" => pages::git_oauth_version::submit;
    SiteManager get "/manage/admin/git-oauth/add/{draft}" => pages::git_oauth_add::form;
    SiteManager post "/manage/admin/git-oauth/add/{draft}" => pages::git_oauth_add::submit;
    SiteManager get "/manage/admin/git-oauth/{id}" => pages::git_oauth_edit::form;
    SiteManager post "/manage/admin/git-oauth/{id}" => pages::git_oauth_edit::submit;
    SiteManager post "/manage/admin/git-oauth/{id}/test" => pages::git_oauth_edit::test;
    SiteManager get "/manage/admin/git-oauth/{id}/delete" => pages::git_oauth_edit::confirm_delete;
    SiteManager post "/manage/admin/git-oauth/{id}/delete" => pages::git_oauth_edit::delete;
    SiteManager get "/manage/admin/security/ssh" => pages::security_ssh::page;
    SiteManager post "/manage/admin/security/ssh" => pages::security_ssh::submit;
    Auditor get "/manage/audit" => pages::audit::page;
    Auditor get "/manage/audit/export" => pages::audit_export::file;
}

/// The whole server, without the listener.
///
/// # Errors
/// Where the public URL has no origin, which the configuration has ruled out.
pub fn router(app: App) -> anyhow::Result<Router> {
    let cross_site = security::cross_site(app.public_url())?;
    let pages = page_router()
        .layer(middleware::from_fn_with_state(app.clone(), pages::notices))
        .layer(CompressionLayer::new());
    let (json, _) = json::router().split_for_parts();
    let around = |it: Router<App>| {
        it.layer(DefaultBodyLimit::max(LARGEST_BODY))
            .layer(TimeoutLayer::with_status_code(
                StatusCode::REQUEST_TIMEOUT,
                LONGEST_REQUEST,
            ))
            .layer(cross_site)
            .layer(middleware::from_fn(security::exempt_bearer_calls))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(middleware::from_fn_with_state(app.clone(), problem::render))
            .layer(middleware::from_fn_with_state(
                app.clone(),
                security::headers,
            ))
            .layer(
                TraceLayer::new_for_http()
                    .make_span_with(logs::span::<axum::body::Body>)
                    .on_request(())
                    .on_response(logs::answered)
                    .on_failure(()),
            )
            .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
            .layer(middleware::map_request(own_request_id))
    };
    let all = Router::new()
        .merge(pages)
        .nest("/api/v1", json)
        .route("/assets/{file}", routing::get(assets::file))
        .route("/healthz", routing::get(healthy))
        .fallback(|| async { problem::Failure::not_found() });
    Ok(around(all).with_state(app))
}

/// Whether the process answers; load balancers ask this without a sign-in.
async fn healthy() -> &'static str {
    "ok\n"
}

/// Drops a request id that the client chose: support ids are ours, and stand in the log.
async fn own_request_id<B>(mut request: Request<B>) -> Request<B> {
    request.headers_mut().remove("x-request-id");
    request
}

fn panicked(cause: Box<dyn std::any::Any + Send>) -> Response {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    let text = text
        .or_else(|| cause.downcast_ref::<&str>().copied())
        .unwrap_or("panic");
    problem::Failure::internal(text).into_response()
}

/// A refusal in words for a terminal: what happened, then the hint on a line of its own.
pub fn worded(refused: broker::Refused) -> anyhow::Error {
    let cause = refused
        .cause
        .map(|cause| format!(" ({cause})"))
        .unwrap_or_default();
    let hint = refused
        .hint
        .map(|hint| format!("\nhint: {hint}"))
        .unwrap_or_default();
    anyhow::anyhow!("{}{cause}{hint}", refused.detail)
}
