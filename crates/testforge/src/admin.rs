//! What the owner of a site or of an account does: shared by the handle and the control API.

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use crate::{
    Shape, bitbucket,
    faults::{Armed, Endpoint, Fault},
    forge::{AppSpec, TokenView},
    gitlab,
    keys::{KeyView, NewKey, Usage},
    oauth1,
    shape::Software,
    state::{Account, App, AppStyle, EmailAddress, Standing, State, Token, TokenSort},
    world,
};

impl State {
    pub(crate) fn add_account(&mut self, login: &str, emails: &[EmailAddress]) -> Account {
        let account = Account {
            id: self.next_id(),
            login: login.to_owned(),
            name: login.to_owned(),
            emails: emails.to_vec(),
            suspended: false,
            password: None,
        };
        self.accounts.push(account.clone());
        account
    }

    pub(crate) fn account_mut(&mut self, login: &str) -> Result<&mut Account> {
        let found = self
            .accounts
            .iter_mut()
            .find(|account| account.login == login);
        found.with_context(|| format!("no account {login}"))
    }

    pub(crate) fn app_mut(&mut self, client_id: &str) -> Result<&mut App> {
        let found = self.apps.iter_mut().find(|app| app.client_id == client_id);
        found.with_context(|| format!("no application {client_id}"))
    }

    pub(crate) fn register_app(&mut self, spec: AppSpec) -> Result<(String, String)> {
        let known = self.known_scopes()?;
        let stray = spec
            .scopes
            .iter()
            .find(|scope| !known.contains(&scope.as_str()));
        if let Some(scope) = stray.filter(|_| !known.is_empty()) {
            bail!("this site has no scope {scope}");
        }
        let scopes = match spec.scopes.is_empty() {
            true => known.iter().map(|scope| (*scope).to_owned()).collect(),
            false => spec.scopes,
        };
        let (client_id, client_secret) = match self.software() {
            Software::GitHub => (
                format!("Ov23{}", world::random_hex(8)),
                world::random_hex(20),
            ),
            Software::GitLab => (
                world::random_hex(32),
                format!("gloas-{}", world::random_hex(32)),
            ),
            _ => (world::random_hex(16), world::random_hex(32)),
        };
        self.note_issued([&client_secret]);
        let style = if spec.github_app {
            AppStyle::GitHubApp
        } else {
            AppStyle::OAuth2
        };
        self.apps.push(App {
            client_id: client_id.clone(),
            client_secret: client_secret.clone(),
            name: spec.name,
            redirect_uri: spec.redirect_uri,
            scopes,
            style,
            suspended: false,
        });
        Ok((client_id, client_secret))
    }

    /// The scopes that an application registers; none where they are asked for at each consent.
    fn known_scopes(&self) -> Result<Vec<&'static str>> {
        match (self.software(), self.shape()) {
            (Software::GitHub, _) => Ok(Vec::new()),
            (Software::GitLab, _) => Ok(gitlab::SCOPES.to_vec()),
            (_, Shape::BitbucketServer) => Ok(bitbucket::scope_names()),
            _ => bail!("this site has no OAuth 2.0"),
        }
    }

    pub(crate) fn register_consumer(&mut self, key: &str, name: &str, pem: &str) -> Result<()> {
        ensure!(
            self.software() == Software::Bitbucket,
            "this site has no OAuth 1.0a"
        );
        ensure!(self.app(key).is_none(), "the consumer key {key} is taken");
        let public_key = oauth1::read_public_key(pem)?;
        self.apps.push(App {
            client_id: key.to_owned(),
            client_secret: world::random_hex(32),
            name: name.to_owned(),
            redirect_uri: String::new(),
            scopes: Vec::new(),
            style: AppStyle::OAuth1 { public_key },
            suspended: false,
        });
        Ok(())
    }

    pub(crate) fn accept_key(&mut self, login: &str, line: &str) -> Result<KeyView> {
        let account = self.account_mut(login)?.id;
        let usage = match self.software() {
            Software::GitLab => Usage::AuthAndSigning,
            _ => Usage::Auth,
        };
        // Azure Repos ends every key after a year.
        let azure = self.software() == Software::Azure;
        let expires_at = azure.then(|| self.now() + 365 * 86_400);
        let new = NewKey {
            title: "pasted".to_owned(),
            line: line.to_owned(),
            usage,
            expires_at,
            made_by_app: None,
            made_by_token: None,
        };
        let key = self
            .add_key(account, new)
            .map_err(|problem| anyhow!(problem.reason()))?;
        let found = self.key_views().into_iter().find(|view| view.id == key.id);
        found.context("the key is gone")
    }

    pub(crate) fn key_views(&self) -> Vec<KeyView> {
        self.keys
            .iter()
            .map(|key| KeyView {
                id: key.id,
                login: self
                    .account(key.account)
                    .map_or_else(String::new, |a| a.login.clone()),
                title: key.title.clone(),
                line: key.parsed.line(),
                fingerprint: key.parsed.fingerprint.clone(),
                usage: key.usage,
                expires_at: key.expires_at,
            })
            .collect()
    }

    pub(crate) fn token_views(&self) -> Vec<TokenView> {
        let now = self.now();
        let view = |token: &Token| TokenView {
            id: token.id,
            login: self
                .account(token.account)
                .map_or_else(String::new, |a| a.login.clone()),
            sort: match token.sort {
                TokenSort::OAuth2 => "oauth2",
                TokenSort::OAuth1 { .. } => "oauth1",
                TokenSort::Minted { .. } => "minted",
            }
            .to_owned(),
            name: match &token.sort {
                TokenSort::Minted { name } => Some(name.clone()),
                _ => None,
            },
            scopes: token.scopes.clone(),
            expires_at: token.expires_at,
            alive: token.standing(now) == Standing::Alive,
        };
        self.tokens.iter().map(view).collect()
    }

    pub(crate) fn arm(&mut self, endpoint: Endpoint, fault: Fault, times: u32) {
        if times > 0 {
            self.faults.push(Armed {
                endpoint,
                fault,
                left: times,
            });
        }
    }

    pub(crate) fn expire_tokens(&mut self, login: &str) {
        let now = self.now();
        let Some(id) = self.account_by_login(login).map(|account| account.id) else {
            return;
        };
        for token in self.tokens.iter_mut().filter(|token| token.account == id) {
            token.expires_at = Some(now);
        }
    }

    pub(crate) fn revoke_tokens(&mut self, login: &str) {
        let Some(id) = self.account_by_login(login).map(|account| account.id) else {
            return;
        };
        let theirs = self.tokens.iter().filter(|token| token.account == id);
        for id in theirs.map(|token| token.id).collect::<Vec<_>>() {
            self.end_token(id);
        }
    }
}
