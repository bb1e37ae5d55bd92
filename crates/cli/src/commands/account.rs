//! `link`, `unlink` and `key`: act by an API token where one is given, else lead to the console's page.

use std::process::{Command, Stdio};

use api::{BeginLink, Key, Link, Meta, OpenPage, Setup, SetupProvider, Unlink};

use crate::control::{self, Ask};
use crate::env;
use crate::failure::{Failure, Result};
use crate::http::Server;
use crate::machine;
use crate::places::Places;
use crate::process;
use crate::say;
use crate::settings::{self, Settings};

const LINKED_ACCOUNTS: &str = "/preferences/linked-accounts";
const SSH_KEYS: &str = "/preferences/ssh-keys";

/// Who asks.
pub(super) enum Caller {
    /// The user, by an API token.
    User(Server),
    /// This workspace, which may only look.
    Workspace(Server),
}

impl Caller {
    pub(super) fn find(places: &Places) -> Result<Self> {
        let Some(token) = settings::api_token()? else {
            return Server::of_workspace(places).map(Self::Workspace);
        };
        let target = Settings::load(places)?.target()?.ok_or_else(|| {
            Failure::user(
                "no Forgepass server is known",
                format!("set {}, or run `forgepass login`", env::URL),
            )
        })?;
        Server::new(&target, Some(token), machine::id()?).map(Self::User)
    }
}

/// Begins a link; the consent happens in the browser.
///
/// # Errors
/// No such provider, or the server does not answer.
pub(crate) fn link(provider: &str) -> Result<()> {
    let places = Places::find()?;
    match Caller::find(&places)? {
        Caller::User(server) => {
            let page: OpenPage = server.post(
                "/api/v1/links",
                &BeginLink {
                    provider: provider.to_owned(),
                },
            )?;
            open(&page.url);
        }
        Caller::Workspace(server) => {
            known(&server, provider)?;
            open(&page(&server, LINKED_ACCOUNTS));
        }
    }
    Ok(())
}

/// Unlinks an account.
///
/// # Errors
/// No such link, several of them, or the server does not answer.
pub(crate) fn unlink(provider: &str, account: Option<&str>, how: Unlink) -> Result<()> {
    let places = Places::find()?;
    match Caller::find(&places)? {
        Caller::User(server) => {
            let links: Vec<Link> = server.get("/api/v1/links")?;
            let at_provider = |link: &&Link| is_called(provider, &link.provider, &link.provider_id);
            let link = only(
                links.iter().filter(at_provider),
                |link| &link.login,
                provider,
                account,
            )?;
            server.delete(&format!("/api/v1/links/{}", link.id), Some(&how))?;
            let _ = control::ask_running(&places, &Ask::Refresh);
            say::out(format_args!(
                "{} at {} is unlinked.",
                say::clean(&link.login),
                say::clean(&link.provider)
            ));
        }
        Caller::Workspace(server) => {
            known(&server, provider)?;
            open(&page(&server, LINKED_ACCOUNTS));
        }
    }
    Ok(())
}

/// Prints a provider's public keys.
///
/// # Errors
/// No such provider, no key yet, or the server does not answer.
pub(crate) fn show_key(provider: &str) -> Result<()> {
    let places = Places::find()?;
    let no_key = |server: &Server| {
        Failure::user(
            format!("there is no key for {provider} yet"),
            format!("open {}", page(server, SSH_KEYS)),
        )
    };
    match Caller::find(&places)? {
        Caller::User(server) => {
            let keys: Vec<Key> = server.get("/api/v1/keys")?;
            let keys: Vec<&Key> = keys
                .iter()
                .filter(|key| is_called(provider, &key.provider, &key.provider_id))
                .collect();
            if keys.is_empty() {
                return Err(no_key(&server));
            }
            for key in keys {
                say::out(say::clean(&key.public_key));
                if let Some(reason) = &key.reason {
                    say::hint(say::clean(reason));
                }
            }
        }
        Caller::Workspace(server) => {
            let found = known(&server, provider)?;
            let mut keys = found.links.iter().flat_map(|link| &link.keys).peekable();
            if keys.peek().is_none() {
                return Err(no_key(&server));
            }
            keys.for_each(|line| say::out(say::clean(line)));
        }
    }
    Ok(())
}

/// Replaces a key by a new one.
///
/// # Errors
/// No such key, several of them, or the server does not answer.
pub(crate) fn rotate_key(provider: &str, account: Option<&str>) -> Result<()> {
    let places = Places::find()?;
    match Caller::find(&places)? {
        Caller::User(server) => {
            let links: Vec<Link> = server.get("/api/v1/links")?;
            let keys: Vec<Key> = server.get("/api/v1/keys")?;
            let login = |key: &&Key| {
                let link = links
                    .iter()
                    .find(|link| Some(&link.id) == key.link.as_ref());
                link.map_or("", |link| link.login.as_str()).to_owned()
            };
            let named: Vec<(String, &Key)> = keys
                .iter()
                .filter(|key| {
                    key.retired_at.is_none() && is_called(provider, &key.provider, &key.provider_id)
                })
                .map(|key| (login(&key), key))
                .collect();
            let (_, key) = only(named.iter(), |(login, _)| login, provider, account)?;
            let new: Key = server.post(
                &format!("/api/v1/keys/{}/regenerate", key.id),
                &serde_json::json!({}),
            )?;
            let _ = control::ask_running(&places, &Ask::Refresh);
            say::out(say::clean(&new.public_key));
        }
        Caller::Workspace(server) => {
            known(&server, provider)?;
            open(&page(&server, SSH_KEYS));
        }
    }
    Ok(())
}

/// The provider of that name in this workspace's set-up data.
fn known(server: &Server, provider: &str) -> Result<SetupProvider> {
    let setup: Option<Setup> = server.setup(None)?;
    let providers = setup.map(|setup| setup.providers).unwrap_or_default();
    let names: Vec<String> = providers.iter().map(|one| one.name.clone()).collect();
    providers
        .into_iter()
        .find(|one| is_called(provider, &one.name, &one.id))
        .ok_or_else(|| {
            Failure::user(
                format!("there is no provider `{provider}`"),
                format!("choose one of: {}", say::clean(&names.join(", "))),
            )
        })
}

pub(super) fn is_called(wanted: &str, name: &str, id: &str) -> bool {
    name.eq_ignore_ascii_case(wanted) || id == wanted
}

/// The one item meant, by the account's login if there are several.
fn only<T>(
    items: impl Iterator<Item = T>,
    login: impl Fn(&T) -> &str,
    provider: &str,
    account: Option<&str>,
) -> Result<T> {
    let mut items: Vec<T> = items
        .filter(|item| account.is_none_or(|account| login(item) == account))
        .collect();
    if items.len() > 1 {
        let logins: Vec<&str> = items.iter().map(&login).collect();
        return Err(Failure::user(
            format!(
                "several accounts are linked at {provider}: {}",
                logins.join(", ")
            ),
            "say which one with --account LOGIN",
        ));
    }
    items.pop().ok_or_else(|| {
        Failure::user(
            format!("no account at {provider} is linked"),
            "`forgepass status` lists the linked accounts",
        )
    })
}

/// A page of the console, at the address that the server calls its own.
pub(super) fn page(server: &Server, path: &str) -> String {
    let meta: Option<Meta> = server.get("/api/v1/meta").ok();
    let base = meta.map_or_else(|| server.url().to_owned(), |meta| meta.public_url);
    format!("{}{path}", base.trim_end_matches('/'))
}

/// Prints a page's address, and opens it where this machine has a screen.
pub(super) fn open(url: &str) {
    let url = say::clean(url);
    say::out(format_args!("Open {url}"));
    let screen = ["DISPLAY", "WAYLAND_DISPLAY"]
        .into_iter()
        .any(|name| env::raw(name).is_some());
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    if let (true, true, Ok(program)) = (screen, is_web, process::find("xdg-open")) {
        let _ = Command::new(program)
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
    }
}
