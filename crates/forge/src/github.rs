//! GitHub.com, GitHub Enterprise Server and `ghe.com`.
//! <https://docs.github.com/en/apps/oauth-apps>

use http::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::{
    Account, Auth, AuthStyle, Body, Call, Client, Defaults, Email, GuideStep, Kind, Narrowing,
    OAuth2, Ours, Probe, Purpose, Refusal, RemoteKey, Reply, Site, Step, Tokens, Usage,
    call::{child, gone, id_segment, key_blob, under},
    known_hosts::{addresses_of, host_for, keys_of},
    oauth2::split_scopes,
    refusal::said,
};

const MANAGE: &[&str] = &[
    "read:user",
    "user:email",
    "admin:public_key",
    "admin:ssh_signing_key",
];
const GIT: &[&str] = &["repo", "workflow"];
const ALL: &[&str] = &[
    "read:user",
    "user:email",
    "repo",
    "workflow",
    "admin:public_key",
    "admin:ssh_signing_key",
];

pub(crate) struct GitHub;

#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    name: Option<String>,
    email: Option<String>,
}

#[derive(Deserialize)]
struct Address {
    email: String,
    verified: bool,
    primary: bool,
}

#[derive(Deserialize)]
struct Key {
    id: u64,
    key: String,
    #[serde(default)]
    title: String,
}

#[derive(Deserialize)]
struct Reset {
    token: String,
    scopes: Option<Vec<String>>,
}

impl Kind for GitHub {
    fn id(&self) -> &'static str {
        "github"
    }

    fn name(&self) -> &'static str {
        "GitHub"
    }

    fn usual_url(&self) -> Option<&'static str> {
        Some("https://github.com")
    }

    fn auth(&self) -> AuthStyle {
        AuthStyle::OAuth2
    }

    fn guide(&self, ours: &Ours) -> Vec<GuideStep> {
        let apps = ours.page("settings/developers");
        vec![
            GuideStep::say(format!(
                "Open {apps} (or the organisation's Settings, Developer settings), choose OAuth Apps and press New OAuth App. Not a GitHub App: its tokens cannot be narrowed."
            )),
            GuideStep::say("Fill in the form; leave Enable Device Flow unticked.")
                .with("Application name", &ours.name)
                .with("Homepage URL", ours.homepage.as_str())
                .with("Authorization callback URL", ours.callback.as_str()),
            GuideStep::say(
                "Press Register application. Copy the Client ID, press Generate a new client secret, copy the secret, which is shown once, and enter both here.",
            ),
            GuideStep::say(
                "There are no scopes to tick: each person is asked for them in two consents, the second one for Git alone.",
            )
            .with("Scopes of the first consent", MANAGE.join(" "))
            .with("Scopes of the second consent", GIT.join(" ")),
            GuideStep::say(
                "An organisation with OAuth App access restrictions hides its repositories until one of its owners approves this application: organisation Settings, Third-party access, OAuth app policy. Until then Git says that the repository is not found.",
            ),
            GuideStep::say(
                "In an organisation with SAML single sign-on each person also authorises the key: Settings, SSH and GPG keys, Configure SSO. Until then Git says that the organisation has enabled or enforced SAML SSO.",
            ),
        ]
    }

    fn defaults(&self, url: &Url) -> Result<Defaults, String> {
        let host = host_for(self.id(), url)?;
        let cloud = host == "github.com" || host.ends_with(".ghe.com");
        if host == "www.github.com" || host == "api.github.com" || host.starts_with("api.") && cloud
        {
            return Err(format!(
                "{host} is not where people sign in: enter https://github.com or the address of your own GitHub"
            ));
        }
        if cloud && url.path() != "/" {
            let organisation = url.path().trim_start_matches('/');
            return Err(format!(
                "enter https://{host} alone: one provider serves every owner there, not only {organisation}"
            ));
        }
        let mut api = under(url, "api/v3");
        if cloud {
            api = under(url, "");
            api.set_host(Some(&format!("api.{host}")))
                .map_err(|error| error.to_string())?;
        }
        Ok(Defaults {
            api,
            git: Some(url.clone()),
            ssh_user: "git".into(),
            ssh_addresses: addresses_of(host, host),
            host_keys: keys_of(host),
        })
    }

    fn algorithms(&self) -> &'static [&'static str] {
        &["ed25519", "ecdsa-p256", "rsa-4096", "rsa-3072"]
    }

    fn paste_steps(&self) -> &'static [&'static str] {
        &[
            "Open Settings, SSH and GPG keys, and press New SSH key",
            "Choose the key type Authentication Key, paste the public key and press Add SSH key",
            "Press New SSH key again, choose Signing Key and paste the same public key",
        ]
    }

    fn key_page(&self, site: &Site) -> Option<Url> {
        Some(under(&site.url, "settings/keys"))
    }

    fn oauth2(&self, site: &Site) -> Option<OAuth2> {
        Some(OAuth2 {
            authorize: under(&site.url, "login/oauth/authorize"),
            token: under(&site.url, "login/oauth/access_token"),
            // Since July 2025; older Enterprise Servers ignore what they do not know.
            pkce: true,
            refresh_with_redirect: false,
            refresh_kills_access: true,
        })
    }

    fn scopes(&self, purpose: Option<Purpose>) -> &'static [&'static str] {
        match purpose {
            Some(Purpose::Manage) => MANAGE,
            Some(Purpose::Git) => GIT,
            None => ALL,
        }
    }

    fn narrowing(&self) -> Narrowing {
        Narrowing::SecondConsent
    }

    fn holds_key_rights(&self, granted: &[String]) -> bool {
        let adds = |scope: &String| {
            let right = scope.starts_with("admin:") || scope.starts_with("write:");
            right && (scope.ends_with(":public_key") || scope.ends_with(":ssh_signing_key"))
        };
        granted.iter().any(adds)
    }

    fn whoami(&self, site: &Site) -> Option<Call<Account>> {
        let emails = under(&site.api, "user/emails");
        let noreply_host = noreply_host(&site.url);
        Some(call(Method::GET, under(&site.api, "user"), move |reply| {
            let granted = reply.header("x-oauth-scopes").map(split_scopes);
            let user: User = reply.accepted(refuse)?.json()?;
            let account = account(user, granted, &noreply_host);
            Ok(if sees_addresses(account.granted.as_deref()) {
                Step::Then(with_addresses(emails, account))
            } else {
                Step::Done(account)
            })
        }))
    }

    fn git_username(&self, _login: &str) -> String {
        "x-access-token".into()
    }

    fn usages(&self) -> &'static [Usage] {
        &[Usage::Auth, Usage::Signing]
    }

    fn retired_usage(&self) -> Option<Usage> {
        Some(Usage::Signing)
    }

    fn list_keys(&self, site: &Site, usage: Usage) -> Option<Call<Vec<RemoteKey>>> {
        let mut url = keys_url(site, usage);
        url.query_pairs_mut().append_pair("per_page", "100");
        Some(key_list(url, usage, Vec::new()))
    }

    fn add_key(
        &self,
        site: &Site,
        title: &str,
        line: &str,
        usage: Usage,
    ) -> Option<Call<RemoteKey>> {
        let body = json!({ "title": title, "key": line });
        let read = move |reply: Reply| {
            let key: Key = reply.accepted(|reply| refuse_key(reply, usage))?.json()?;
            Ok(Step::Done(remote(key, usage)))
        };
        Some(call(Method::POST, keys_url(site, usage), read).body(Body::Json(body)))
    }

    fn delete_key(&self, site: &Site, id: &str, usage: Usage) -> Option<Call<()>> {
        let url = under(&keys_url(site, usage), id_segment(id)?);
        Some(call(Method::DELETE, url, move |reply| {
            gone(reply.accepted(|reply| refuse_key(reply, usage)))
        }))
    }

    /// Ends this token alone. `…/grant` would end every token of this person and delete the keys
    /// that our application made.
    fn revoke(&self, site: &Site, client: &Client, token: &SecretString) -> Option<Call<()>> {
        Some(about_token(Method::DELETE, site, client, token, |reply| {
            gone(reply.accepted(refuse_client))
        }))
    }

    fn reset(&self, site: &Site, client: &Client, token: &SecretString) -> Option<Call<Tokens>> {
        Some(about_token(Method::PATCH, site, client, token, |reply| {
            let reset: Reset = reply.accepted(refuse_client)?.json()?;
            Ok(Step::Done(Tokens {
                access: reset.token.into(),
                refresh: None,
                expires_in_s: None,
                scopes: reset.scopes,
                token_secret: None,
                session_handle: None,
            }))
        }))
    }

    fn probe(&self, site: &Site) -> Option<Call<Probe>> {
        let read = |reply: Reply| read_meta(&reply).map(Step::Done);
        Some(call(Method::GET, under(&site.api, "meta"), read).auth(Auth::None))
    }
}

/// A call of our application about one token of its own.
fn about_token<T, F>(
    method: Method,
    site: &Site,
    client: &Client,
    token: &SecretString,
    read: F,
) -> Call<T>
where
    F: FnOnce(Reply) -> Result<Step<T>, Refusal> + Send + 'static,
{
    let applications = under(&site.api, "applications");
    let url = under(&child(&applications, &client.id), "token");
    let body = json!({ "access_token": token.expose_secret() });
    let auth = Auth::Basic(client.id.clone(), client.secret.clone());
    call(method, url, read).auth(auth).body(Body::Json(body))
}

fn call<T, F>(method: Method, url: Url, read: F) -> Call<T>
where
    F: FnOnce(Reply) -> Result<Step<T>, Refusal> + Send + 'static,
{
    Call::new(method, url, read)
        .header("accept", "application/vnd.github+json")
        .header("x-github-api-version", "2022-11-28")
}

/// Authentication and signing keys are two lists; the same key may stand in both.
fn keys_url(site: &Site, usage: Usage) -> Url {
    match usage {
        Usage::Auth | Usage::AuthAndSigning => under(&site.api, "user/keys"),
        Usage::Signing => under(&site.api, "user/ssh_signing_keys"),
    }
}

fn key_list(url: Url, usage: Usage, mut found: Vec<RemoteKey>) -> Call<Vec<RemoteKey>> {
    let here = url.clone();
    call(Method::GET, url, move |reply| {
        let reply = reply.accepted(|reply| refuse_key(reply, usage))?;
        let keys: Vec<Key> = reply.json()?;
        found.extend(keys.into_iter().map(|key| remote(key, usage)));
        Ok(match next_page(&reply, &here)? {
            Some(next) => Step::Then(key_list(next, usage, found)),
            None => Step::Done(found),
        })
    })
}

fn remote(key: Key, usage: Usage) -> RemoteKey {
    let blob = key_blob(&key.key);
    RemoteKey {
        id: key.id.to_string(),
        blob,
        title: key.title,
        expires_at: None,
        usage,
    }
}

/// The `rel="next"` of a `Link` header (RFC 8288). The token goes with it, so another origin or
/// path than `here` is an error.
fn next_page(reply: &Reply, here: &Url) -> Result<Option<Url>, Refusal> {
    let links = reply.header("link").unwrap_or_default();
    let Some(link) = links.split(',').find(|link| link.contains("rel=\"next\"")) else {
        return Ok(None);
    };
    let target = link
        .trim()
        .trim_start_matches('<')
        .split('>')
        .next()
        .unwrap_or_default();
    match Url::parse(target) {
        Ok(next) if next.origin() == here.origin() && next.path() == here.path() => Ok(Some(next)),
        _ => Err(Refusal::Shape("the next page is at another address".into())),
    }
}

fn account(user: User, granted: Option<Vec<String>>, noreply_host: &str) -> Account {
    let noreply = format!("{}+{}@{noreply_host}", user.id, user.login);
    let public = user.email.filter(|address| !address.is_empty());
    // Without the list we do not know whether it is verified.
    let public = public.map(|address| Email {
        address,
        verified: false,
        primary: true,
    });
    Account {
        id: user.id.to_string(),
        login: user.login,
        name: user.name.filter(|name| !name.is_empty()),
        emails: public.into_iter().collect(),
        noreply: Some(noreply),
        granted,
    }
}

/// Where private commit addresses live: at github.com itself, else below the server's host.
fn noreply_host(url: &Url) -> String {
    format!("users.noreply.{}", url.host_str().unwrap_or("github.com"))
}

/// Whether it is worth asking for the address list: unknown and empty scopes (a GitHub App's
/// token) may see it.
fn sees_addresses(granted: Option<&[String]>) -> bool {
    let granted = granted.unwrap_or_default();
    granted.is_empty()
        || granted
            .iter()
            .any(|scope| scope == "user" || scope == "user:email")
}

fn with_addresses(url: Url, mut account: Account) -> Call<Account> {
    call(Method::GET, url, move |reply| {
        let list: Vec<Address> = match reply.accepted(refuse) {
            Ok(reply) => reply.json()?,
            // The token may not see them: the account is known all the same.
            Err(Refusal::NotFound | Refusal::MissingScope(_)) => return Ok(Step::Done(account)),
            Err(Refusal::Status(StatusCode::FORBIDDEN)) => return Ok(Step::Done(account)),
            Err(refusal) => return Err(refusal),
        };
        let verified = list.into_iter().filter(|address| address.verified);
        account.emails = verified
            .map(
                |Address {
                     email,
                     verified,
                     primary,
                 }| Email {
                    address: email,
                    verified,
                    primary,
                },
            )
            .collect();
        Ok(Step::Done(account))
    })
}

/// An Enterprise Server tells its version; in private mode it tells strangers nothing, as JSON.
fn read_meta(reply: &Reply) -> Result<Probe, Refusal> {
    let body = reply.value();
    let answers = body.get("verifiable_password_authentication").is_some();
    let private = matches!(reply.status.as_u16(), 401 | 403) && body.get("message").is_some();
    if !answers && !private {
        return Err(Refusal::Shape(
            "this does not answer like GitHub's API".into(),
        ));
    }
    let version = body
        .get("installed_version")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let product = if version.is_some() {
        "GitHub Enterprise Server"
    } else {
        "GitHub"
    };
    Ok(Probe {
        product: product.into(),
        version,
    })
}

/// What a refused API call means.
/// <https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api>
fn refuse(reply: &Reply) -> Refusal {
    let message = message(reply);
    match reply.status.as_u16() {
        401 => Refusal::TokenRejected,
        403 | 429 if is_limit(reply, &message) => Refusal::RateLimited {
            retry_after_s: reply.wait_s("x-ratelimit-reset"),
        },
        403 if wants_sso(reply).is_some() => Refusal::NeedsAuthorization {
            message,
            page: sso_page(reply),
        },
        403 if is_block(&message) => Refusal::Blocked(message),
        // A missing scope often shows as 404.
        403 => missing_scope(reply).unwrap_or(Refusal::Status(reply.status)),
        404 => missing_scope(reply).unwrap_or(Refusal::NotFound),
        422 => refused_key(reply, message),
        _ => Refusal::Status(reply.status),
    }
}

/// A refusal of a key call: not found counts only from a token that may see keys.
fn refuse_key(reply: &Reply, usage: Usage) -> Refusal {
    let needed = match usage {
        Usage::Auth | Usage::AuthAndSigning => "admin:public_key",
        Usage::Signing => "admin:ssh_signing_key",
    };
    let scopes = reply.header("x-oauth-scopes").map(split_scopes);
    let lacks = scopes.is_some_and(|scopes| !scopes.iter().any(|scope| scope == needed));
    match refuse(reply) {
        Refusal::NotFound if lacks => Refusal::MissingScope(needed.into()),
        refusal => refusal,
    }
}

/// A refusal of a call that our client id and secret authenticate: 401 is about them.
fn refuse_client(reply: &Reply) -> Refusal {
    match refuse(reply) {
        Refusal::TokenRejected => Refusal::OAuth {
            error: "invalid_client".into(),
            description: message(reply),
            status: reply.status,
        },
        refusal => refusal,
    }
}

fn message(reply: &Reply) -> String {
    said(
        reply
            .value()
            .get("message")
            .and_then(Value::as_str)
            .unwrap_or_default(),
    )
}

fn is_limit(reply: &Reply, message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    reply.status == StatusCode::TOO_MANY_REQUESTS
        || reply.header("x-ratelimit-remaining") == Some("0")
        || reply.header("retry-after").is_some()
        || message.contains("rate limit")
        || message.contains("abuse detection")
}

fn is_block(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "suspended",
        "oauth app access restrictions",
        "ip allow list",
        "account is blocked",
    ]
    .iter()
    .any(|reason| message.contains(reason))
}

fn wants_sso(reply: &Reply) -> Option<&str> {
    reply
        .header("x-github-sso")
        .filter(|header| header.trim_start().starts_with("required"))
}

fn sso_page(reply: &Reply) -> Option<Url> {
    let url = wants_sso(reply)?.split("url=").nth(1)?.trim();
    Url::parse(url).ok().filter(|url| url.scheme() == "https")
}

/// The scope an endpoint wanted, if the headers say that the token has none of those accepted.
fn missing_scope(reply: &Reply) -> Option<Refusal> {
    let has = split_scopes(reply.header("x-oauth-scopes")?);
    let accepted = split_scopes(reply.header("x-accepted-oauth-scopes")?);
    let lacks = !accepted.is_empty() && !accepted.iter().any(|scope| has.contains(scope));
    lacks.then(|| Refusal::MissingScope(accepted.join(" or ")))
}

fn refused_key(reply: &Reply, message: String) -> Refusal {
    let body = reply.value();
    let errors = body
        .get("errors")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let texts = errors
        .iter()
        .filter_map(|error| error.get("message").and_then(Value::as_str));
    let detail = said(&texts.collect::<Vec<_>>().join("; "));
    if detail.to_ascii_lowercase().contains("already in use") {
        return Refusal::DuplicateKey;
    }
    Refusal::KeyRefused(if detail.is_empty() { message } else { detail })
}
