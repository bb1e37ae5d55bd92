//! The handle of a running stand-in: addresses, people, applications, repositories and knobs.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use axum::{
    Router,
    body::Body,
    http::{Request, header},
};
use serde::{Deserialize, Serialize};
use tower::ServiceExt as _;

use crate::{
    Shape, control,
    faults::{Endpoint, Fault},
    git::{self, RepositoryUrls, Visibility},
    keys::KeyView,
    log::Entry,
    server::Running,
    shape::Knobs,
    state::{Account, EmailAddress, Site},
    tls, world,
};

/// A running stand-in; it stops when this is dropped.
pub struct Forge {
    pub(crate) site: Arc<Site>,
    router: Router,
    _running: Running,
}

/// An OAuth 2.0 application as its owner registers it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppSpec {
    /// Shown on the consent page.
    pub name: String,
    /// The one callback.
    pub redirect_uri: String,
    /// Scopes ticked at registration, or a GitHub App's permissions; empty means all there are.
    pub scopes: Vec<String>,
    /// A GitHub App with expiring tokens instead of an OAuth App.
    pub github_app: bool,
}

impl AppSpec {
    /// An application with this callback and every scope.
    #[must_use]
    pub fn new(redirect_uri: &str) -> Self {
        let name = "Forgepass".to_owned();
        Self {
            name,
            redirect_uri: redirect_uri.to_owned(),
            ..Self::default()
        }
    }

    /// The same with these scopes ticked.
    #[must_use]
    pub fn scopes(mut self, scopes: &[&str]) -> Self {
        self.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self
    }
}

/// What a token looks like from outside, without its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    /// Number at the site.
    pub id: u64,
    /// Login of its account.
    pub login: String,
    /// `oauth2`, `oauth1` or `minted`.
    pub sort: String,
    /// Name of a minted token.
    pub name: Option<String>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Unix seconds.
    pub expires_at: Option<i64>,
    /// Whether it opens doors now.
    pub alive: bool,
}

/// What a person decides on the consent page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Approve,
    Deny,
}

impl Forge {
    pub(crate) fn new(site: Arc<Site>, router: Router, running: Running) -> Self {
        Self {
            site,
            router,
            _running: running,
        }
    }

    /// Which site this imitates.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.site.shape
    }

    /// Base URL of the site, sub-path included, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.site.url
    }

    /// Base URL of the REST API without a trailing slash; the base URL itself where the site's
    /// API has no root of its own (Bitbucket, Azure and plain hosts).
    #[must_use]
    pub fn api_url(&self) -> &str {
        &self.site.api_url
    }

    /// All addresses as JSON: `shape`, `url`, `api_url`, `control_url`, `ssh_address`,
    /// `ssh_host_key` and `ca_file`.
    #[must_use]
    pub fn describe(&self) -> serde_json::Value {
        control::describe(&self.site)
    }

    /// Base URL of the control API.
    #[must_use]
    pub fn control_url(&self) -> String {
        let root = self.site.url.strip_suffix(self.site.shape.sub_path());
        format!("{}/_testforge", root.unwrap_or(&self.site.url))
    }

    /// Host and port of the SSH server, `127.0.0.1:PORT`.
    #[must_use]
    pub fn ssh_address(&self) -> &str {
        &self.site.ssh_address
    }

    /// The SSH host key as an OpenSSH line, type and base64.
    #[must_use]
    pub fn ssh_host_key(&self) -> &str {
        &self.site.ssh_host_key
    }

    /// The certificate authority of all stand-ins of this process, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        tls::authority().map_or_else(|_| String::new(), |authority| authority.pem.clone())
    }

    /// A file with [`Forge::ca_pem`]; it lives as long as this handle.
    #[must_use]
    pub fn ca_file(&self) -> &Path {
        &self.site.ca_file
    }

    /// Adds a person with the verified address `LOGIN@example.com`.
    pub fn add_account(&self, login: &str) -> Account {
        let address = format!("{login}@example.com");
        self.add_account_with(
            login,
            &[EmailAddress {
                address,
                verified: true,
            }],
        )
    }

    /// Adds a person with these addresses, the primary one first.
    pub fn add_account_with(&self, login: &str, emails: &[EmailAddress]) -> Account {
        self.site.lock().add_account(login, emails)
    }

    /// Registers an OAuth 2.0 application; gives its client id and secret.
    ///
    /// # Errors
    /// When the site has no OAuth 2.0, or not these scopes.
    pub fn register_app(&self, spec: AppSpec) -> Result<(String, String)> {
        self.site.lock().register_app(spec)
    }

    /// Registers an OAuth 1.0a consumer of this name with its RSA public key (SPKI PEM).
    ///
    /// # Errors
    /// When the site has no OAuth 1.0a, the key is taken, or the PEM is not readable.
    pub fn register_consumer(&self, key: &str, name: &str, public_key_pem: &str) -> Result<()> {
        self.site
            .lock()
            .register_consumer(key, name, public_key_pem)
    }

    /// Gives an application a new client secret; the old one is wrong from now on.
    ///
    /// # Errors
    /// When there is no such application.
    pub fn renew_client_secret(&self, client_id: &str) -> Result<String> {
        let secret = world::random_hex(20);
        let mut state = self.site.lock();
        state.app_mut(client_id)?.client_secret.clone_from(&secret);
        state.note_issued([&secret]);
        Ok(secret)
    }

    /// Suspends an application: its authorize step fails from now on.
    ///
    /// # Errors
    /// When there is no such application.
    pub fn suspend_app(&self, client_id: &str) -> Result<()> {
        self.site.lock().app_mut(client_id)?.suspended = true;
        Ok(())
    }

    /// Suspends or restores an account.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn set_suspended(&self, login: &str, suspended: Suspended) -> Result<()> {
        let mut state = self.site.lock();
        state.account_mut(login)?.suspended = suspended == Suspended::Yes;
        Ok(())
    }

    /// Gives an account a password for Git over HTTPS, on sites without OAuth.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn set_password(&self, login: &str, password: &str) -> Result<()> {
        self.site.lock().account_mut(login)?.password = Some(password.to_owned());
        Ok(())
    }

    /// Puts a public key line on an account, as its owner does by pasting it.
    ///
    /// # Errors
    /// What the site has against the key.
    pub fn accept_key_by_hand(&self, login: &str, line: &str) -> Result<KeyView> {
        self.site.lock().accept_key(login, line)
    }

    /// Removes a key, as its owner does by hand.
    pub fn remove_key_by_hand(&self, id: u64) {
        self.site.lock().keys.retain(|key| key.id != id);
    }

    /// All keys of the site.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyView> {
        self.site.lock().key_views()
    }

    /// All tokens of the site, without their texts.
    #[must_use]
    pub fn tokens(&self) -> Vec<TokenView> {
        self.site.lock().token_views()
    }

    /// Every secret that the site ever gave out: client secrets, codes, access and refresh tokens and their
    /// parts, ended ones too. For tests that look for what must not turn up.
    #[must_use]
    pub fn issued_secrets(&self) -> Vec<String> {
        self.site.lock().issued.clone()
    }

    /// Makes a repository with one commit. It is private (public on [`Shape::Anonymous`]) and
    /// open to its owner's account, or to every account when the owner is an organisation.
    ///
    /// # Errors
    /// When it exists or Git does not run.
    pub fn create_repository(&self, owner: &str, name: &str) -> Result<RepositoryUrls> {
        git::create(&self.site, owner, name, Visibility::Private)
    }

    /// Makes a repository that everyone may read.
    ///
    /// # Errors
    /// As [`Forge::create_repository`].
    pub fn create_public_repository(&self, owner: &str, name: &str) -> Result<RepositoryUrls> {
        git::create(&self.site, owner, name, Visibility::Public)
    }

    /// Lets another account read and write a repository.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn share_repository(&self, owner: &str, name: &str, login: &str) -> Result<()> {
        let mut state = self.site.lock();
        let known = state
            .repositories
            .iter_mut()
            .find(|r| r.owner == owner && r.name == name);
        let known = known.with_context(|| format!("no repository {owner}/{name}"))?;
        known.members.get_or_insert_default().push(login.to_owned());
        Ok(())
    }

    /// The folder of a bare repository, to look into it.
    #[must_use]
    pub fn repository_folder(&self, owner: &str, name: &str) -> Option<std::path::PathBuf> {
        let state = self.site.lock();
        let known = state.repository(owner, name)?;
        Some(self.site.repositories.join(&known.folder))
    }

    /// Lets an organisation refuse an application's tokens on its repositories.
    pub fn forbid_app(&self, organisation: &str, client_id: &str) {
        let mut state = self.site.lock();
        state
            .organisation_mut(organisation)
            .forbidden_apps
            .push(client_id.to_owned());
    }

    /// Makes an organisation demand single sign-on for tokens and keys.
    pub fn require_saml(&self, organisation: &str) {
        self.site.lock().organisation_mut(organisation).saml = true;
    }

    /// Authorises a key (by fingerprint) or a token (by number) for an organisation's sign-on.
    pub fn authorise_for_saml(&self, organisation: &str, what: &str) {
        self.site
            .lock()
            .organisation_mut(organisation)
            .authorised
            .push(what.to_owned());
    }

    /// Turns knobs.
    pub fn set_knobs(&self, turn: impl FnOnce(&mut Knobs)) {
        turn(&mut self.site.lock().knobs);
    }

    /// Moves the site's clock forward.
    pub fn advance(&self, seconds: i64) {
        self.site.lock().clock_offset_s += seconds;
    }

    /// Lets the next request to an endpoint go wrong.
    pub fn fail_next(&self, endpoint: Endpoint, fault: Fault) {
        self.fail_times(endpoint, fault, 1);
    }

    /// Lets the next `times` requests to an endpoint go wrong.
    pub fn fail_times(&self, endpoint: Endpoint, fault: Fault, times: u32) {
        self.site.lock().arm(endpoint, fault, times);
    }

    /// Disarms all faults.
    pub fn clear_faults(&self) {
        self.site.lock().faults.clear();
    }

    /// Lets the access tokens of an account expire now; refresh tokens stay.
    pub fn expire_tokens(&self, login: &str) {
        self.site.lock().expire_tokens(login);
    }

    /// Revokes all tokens of an account, as its owner does in the settings.
    pub fn revoke_tokens(&self, login: &str) {
        self.site.lock().revoke_tokens(login);
    }

    /// Lets one access token expire now; false when it is unknown.
    pub fn expire_token(&self, access: &str) -> bool {
        let mut state = self.site.lock();
        let now = state.now();
        let token = state.tokens.iter_mut().find(|token| token.access == access);
        token.map(|token| token.expires_at = Some(now)).is_some()
    }

    /// Revokes one token with its refresh token; false when it is unknown.
    pub fn revoke_token(&self, access: &str) -> bool {
        let mut state = self.site.lock();
        let Some(id) = state.token(access).map(|token| token.id) else {
            return false;
        };
        state.end_token(id);
        true
    }

    /// How many refresh tokens were redeemed.
    #[must_use]
    pub fn refreshes(&self) -> u64 {
        self.site.lock().refreshes
    }

    /// Every request since the start or the last [`Forge::clear_log`].
    #[must_use]
    pub fn log(&self) -> Vec<Entry> {
        self.site.lock().log.clone()
    }

    /// Empties the log.
    pub fn clear_log(&self) {
        self.site.lock().log.clear();
    }

    /// Opens an authorization URL as this person and presses *Approve*; gives the callback URL.
    ///
    /// # Errors
    /// When the site shows an error page instead; the error holds its text.
    pub async fn approve(&self, authorize_url: &str, login: &str) -> Result<String> {
        self.press(authorize_url, login, Decision::Approve).await
    }

    /// Opens an authorization URL as this person and presses *Deny*; gives the callback URL.
    ///
    /// # Errors
    /// As [`Forge::approve`].
    pub async fn deny(&self, authorize_url: &str, login: &str) -> Result<String> {
        self.press(authorize_url, login, Decision::Deny).await
    }

    async fn press(&self, authorize_url: &str, login: &str, decision: Decision) -> Result<String> {
        let url = url::Url::parse(authorize_url).context("the authorization URL")?;
        ensure!(
            self.site
                .url
                .starts_with(&url.origin().ascii_serialization()),
            "{authorize_url} is not a URL of this site"
        );
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let page = match self.send(Request::get(path).body(Body::empty())?).await? {
            Answer::Location(location) => return Ok(location),
            Answer::Page(page) => page,
        };
        let request = page
            .split_once("name=\"request\" value=\"")
            .and_then(|(_, rest)| rest.split_once('"'))
            .map(|(id, _)| id)
            .ok_or_else(|| anyhow!("the site shows no consent page but {page}"))?;
        let decision = if decision == Decision::Approve {
            "approve"
        } else {
            "deny"
        };
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("request", request)
            .append_pair("account", login)
            .append_pair("decision", decision)
            .finish();
        let post = Request::post(url.path())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form))?;
        match self.send(post).await? {
            Answer::Location(location) => Ok(location),
            Answer::Page(page) => bail!("the site does not send the browser back but says {page}"),
        }
    }

    async fn send(&self, request: Request<Body>) -> Result<Answer> {
        let response = self.router.clone().oneshot(request).await?;
        if let Some(location) = response.headers().get(header::LOCATION) {
            return Ok(Answer::Location(location.to_str()?.to_owned()));
        }
        let body = axum::body::to_bytes(response.into_body(), 1024 * 1024).await?;
        Ok(Answer::Page(String::from_utf8_lossy(&body).into_owned()))
    }
}

/// Whether an account is suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspended {
    /// Everything it does is refused.
    Yes,
    /// It works.
    No,
}

enum Answer {
    Location(String),
    Page(String),
}
