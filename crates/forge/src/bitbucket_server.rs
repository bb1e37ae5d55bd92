//! Bitbucket Server and Data Center, over OAuth 2.0 (7.20 and later) or an OAuth 1.0a application
//! link (any version). <https://developer.atlassian.com/server/bitbucket/rest/>

use http::{Method, StatusCode};
use secrecy::SecretString;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use url::Url;

use crate::{
    Account, Auth, AuthStyle, Body, Call, Client, Defaults, Email, GuideStep, Kind, Minted,
    MintedId, Narrowing, OAuth1, OAuth2, Ours, Probe, Purpose, Refusal, RemoteKey, Reply, Site,
    Step, Usage,
    call::{child, gone, id_segment, key_blob, under},
    known_hosts::host_for,
    oauth1::problem,
    oauth2,
    refusal::said,
};

/// The two ways to register are two kinds of one file.
pub(crate) struct BitbucketServer {
    id: &'static str,
    name: &'static str,
    auth: AuthStyle,
}

pub(crate) const OVER_OAUTH2: BitbucketServer = BitbucketServer {
    id: "bitbucket-server",
    name: "Bitbucket Server (OAuth 2.0, from 7.20)",
    auth: AuthStyle::OAuth2,
};

pub(crate) const OVER_OAUTH1: BitbucketServer = BitbucketServer {
    id: "bitbucket-server-oauth1",
    name: "Bitbucket Server (OAuth 1.0a application link)",
    auth: AuthStyle::OAuth1,
};

const PAGE: &str = "100";
const DAY_S: i64 = 24 * 60 * 60;

/// One page of a list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<T> {
    values: Vec<T>,
    is_last_page: bool,
    next_page_start: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    id: u64,
    name: String,
    slug: String,
    display_name: Option<String>,
    email_address: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    id: u64,
    text: String,
    label: Option<String>,
    created_date: Option<i64>,
    expiry_days: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessToken {
    id: Value,
    name: String,
    token: Option<String>,
    created_date: Option<i64>,
    expiry_date: Option<i64>,
    expiry_days: Option<i64>,
}

impl Kind for BitbucketServer {
    fn id(&self) -> &'static str {
        self.id
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn software(&self) -> &'static str {
        "Bitbucket Server and Data Center"
    }

    fn versions(&self) -> Option<&'static str> {
        Some(match self.auth {
            AuthStyle::OAuth1 => "Older than 7.20",
            _ => "7.20 and later",
        })
    }

    fn auth(&self) -> AuthStyle {
        self.auth
    }

    fn sibling(&self) -> Option<&'static str> {
        let other = if self.auth == AuthStyle::OAuth1 {
            OVER_OAUTH2
        } else {
            OVER_OAUTH1
        };
        Some(other.id)
    }

    fn guide(&self, ours: &Ours) -> Vec<GuideStep> {
        match self.auth {
            AuthStyle::OAuth1 => application_link(ours),
            _ => incoming_link(ours),
        }
    }

    fn defaults(&self, url: &Url) -> Result<Defaults, String> {
        let cloud = |host: &str| host == "bitbucket.org" || host.ends_with(".bitbucket.org");
        if url.host_str().is_some_and(cloud) {
            return Err(BITBUCKET_CLOUD.into());
        }
        let host = host_for(self.id, url)?;
        Ok(Defaults {
            api: under(url, "rest"),
            git: Some(url.clone()),
            ssh_user: "git".into(),
            ssh_addresses: vec![format!("{host}:7999")],
            host_keys: Vec::new(),
        })
    }

    fn algorithms(&self) -> &'static [&'static str] {
        &["ed25519", "ecdsa-p256", "rsa-4096", "rsa-3072"]
    }

    fn paste_steps(&self) -> &'static [&'static str] {
        &[
            "Open Manage account, SSH keys, and press Add key",
            "Paste the public key with its comment and press Add key",
        ]
    }

    fn key_page(&self, site: &Site) -> Option<Url> {
        Some(under(&site.url, "plugins/servlet/ssh/account/keys"))
    }

    fn oauth2(&self, site: &Site) -> Option<OAuth2> {
        (self.auth == AuthStyle::OAuth2).then(|| OAuth2 {
            authorize: under(&site.url, "rest/oauth2/latest/authorize"),
            token: under(&site.url, "rest/oauth2/latest/token"),
            // Versions disagree on how the method is spelt, and refuse what they do not know.
            pkce: false,
            refresh_with_redirect: true,
            refresh_kills_access: true,
        })
    }

    fn oauth1(&self, site: &Site) -> Option<OAuth1> {
        let servlet = |name: &str| under(&site.url, &format!("plugins/servlet/oauth/{name}"));
        (self.auth == AuthStyle::OAuth1).then(|| OAuth1 {
            request_token: servlet("request-token"),
            authorize: servlet("authorize"),
            access_token: servlet("access-token"),
        })
    }

    /// OAuth 1.0a has no scopes: its token may do what the person may.
    fn scopes(&self, purpose: Option<Purpose>) -> &'static [&'static str] {
        match (self.auth, purpose) {
            (AuthStyle::OAuth1, _) => &[],
            (_, Some(Purpose::Manage)) => &["ACCOUNT_WRITE"],
            (_, Some(Purpose::Git)) => &["REPO_WRITE"],
            (_, None) => &["ACCOUNT_WRITE", "REPO_WRITE"],
        }
    }

    fn narrowing(&self) -> Narrowing {
        match self.auth {
            AuthStyle::OAuth1 => Narrowing::Mint,
            _ => Narrowing::SecondConsent,
        }
    }

    fn consent_hint(&self) -> Option<&'static str> {
        (self.auth == AuthStyle::OAuth2).then_some(
            "the incoming link must have Account: Write and Repositories: Write ticked, and its redirect URL must be exactly our callback",
        )
    }

    fn holds_key_rights(&self, granted: &[String]) -> bool {
        let rights = ["ACCOUNT_WRITE", "ADMIN_WRITE", "SYSTEM_ADMIN"];
        granted.iter().any(|scope| rights.contains(&scope.as_str()))
    }

    /// There is no "me" resource: a servlet tells the name, which the user list turns into an id.
    fn whoami(&self, site: &Site) -> Option<Call<Account>> {
        let users = under(&site.api, "api/latest/users");
        let url = under(&site.url, "plugins/servlet/applinks/whoami");
        let read = move |reply: Reply| {
            let name = accepted(reply)?.text().trim().to_owned();
            // With a bad token this page answers 200 as anonymous.
            if name.is_empty() {
                return Err(Refusal::TokenRejected);
            }
            Ok(Step::Then(find_user(users, name, 0, |user| {
                Ok(Step::Done(account(user)))
            })))
        };
        Some(Call::new(Method::GET, url, read).header("accept", "text/plain, */*"))
    }

    fn https_segment(&self) -> Option<&'static str> {
        Some("scm")
    }
    fn git_username(&self, login: &str) -> String {
        match self.auth {
            // A minted token goes with the name of its owner.
            AuthStyle::OAuth1 => login.to_owned(),
            _ => "x-token-auth".into(),
        }
    }

    fn usages(&self) -> &'static [Usage] {
        &[Usage::Auth]
    }

    fn list_keys(&self, site: &Site, _usage: Usage) -> Option<Call<Vec<RemoteKey>>> {
        Some(list(
            under(&site.api, "ssh/latest/keys"),
            0,
            Vec::new(),
            remote,
        ))
    }

    fn add_key(
        &self,
        site: &Site,
        title: &str,
        line: &str,
        _usage: Usage,
    ) -> Option<Call<RemoteKey>> {
        // Old versions know no label and take the comment of the line.
        let body = json!({ "text": line, "label": title });
        let read = |reply: Reply| {
            let key: Key = accepted_key(reply)?.json()?;
            Ok(Step::Done(remote(key)))
        };
        let url = under(&site.api, "ssh/latest/keys");
        Some(Call::new(Method::POST, url, read).body(Body::Json(body)))
    }

    /// Without an id this URL would delete every key of the account, so `id_segment` stands here.
    fn delete_key(&self, site: &Site, id: &str, _usage: Usage) -> Option<Call<()>> {
        let url = under(&site.api, &format!("ssh/latest/keys/{}", id_segment(id)?));
        Some(Call::new(Method::DELETE, url, |reply| {
            gone(accepted(reply))
        }))
    }

    fn revoke(&self, site: &Site, client: &Client, token: &SecretString) -> Option<Call<()>> {
        let url = under(&site.url, "rest/oauth2/latest/revoke");
        (self.auth == AuthStyle::OAuth2).then(|| oauth2::revoke(url, client, token))
    }

    fn mint(&self, site: &Site, account: &Account, name: &str, days: u32) -> Option<Call<Minted>> {
        // The repository right must be at least the project right; Git needs no more than this.
        let body = json!({
            "name": name,
            "permissions": ["PROJECT_READ", "REPO_WRITE"],
            "expiryDays": days,
        });
        Some(with_tokens_of(site, account, move |url| {
            let read = |reply: Reply| {
                let token: AccessToken = accepted(reply)?.json()?;
                minted(token).map(Step::Done)
            };
            Call::new(Method::PUT, url, read).body(Body::Json(body))
        }))
    }

    fn list_minted(&self, site: &Site, account: &Account) -> Option<Call<Vec<MintedId>>> {
        let named = |token: AccessToken| MintedId {
            id: text_id(&token.id),
            name: token.name,
        };
        Some(with_tokens_of(site, account, move |url| {
            list(url, 0, Vec::new(), named)
        }))
    }

    fn delete_minted(&self, site: &Site, account: &Account, id: &str) -> Option<Call<()>> {
        let id = id_segment(id)?.to_owned();
        Some(with_tokens_of(site, account, move |url| {
            Call::new(Method::DELETE, under(&url, &id), |reply| {
                gone(accepted(reply))
            })
        }))
    }

    fn probe(&self, site: &Site) -> Option<Call<Probe>> {
        let client = under(&site.api, "oauth2/1.0/client");
        let needs_oauth2 = self.auth == AuthStyle::OAuth2;
        let read = move |reply: Reply| {
            let probe = read_properties(&reply)?;
            Ok(if needs_oauth2 {
                Step::Then(probe_oauth2(client, probe))
            } else {
                Step::Done(probe)
            })
        };
        let url = under(&site.api, "api/1.0/application-properties");
        Some(Call::new(Method::GET, url, read).auth(Auth::None))
    }
}

const BITBUCKET_CLOUD: &str = "bitbucket.org is Bitbucket Cloud, which has no application links and does not let an application add SSH keys: choose the kind `other-git` for it and paste your key at https://bitbucket.org/account/settings/ssh-keys/";

fn incoming_link(ours: &Ours) -> Vec<GuideStep> {
    let links = ours.page("plugins/servlet/applinks/listApplicationLinks");
    vec![
        GuideStep::say(format!(
            "As an administrator open {links} (Administration, Application links) and press Create link. Bitbucket must be 7.20 or later; take the kind for OAuth 1.0a for an older one."
        )),
        GuideStep::say("Choose External application and the direction Incoming, press Continue."),
        GuideStep::say("Fill in the form; both permissions are needed. Bitbucket wants https for its own address and for ours.")
            .with("Name", &ours.name)
            .with("Redirect URL", ours.callback.as_str())
            .with("Application permissions: Account", "Write")
            .with("Application permissions: Repositories", "Write"),
        GuideStep::say("Press Save, copy the Client ID and the Client secret and enter both here."),
    ]
}

fn application_link(ours: &Ours) -> Vec<GuideStep> {
    let links = ours.page("plugins/servlet/applinks/listApplicationLinks");
    let key = ours
        .public_key
        .as_deref()
        .unwrap_or("made when you choose this kind");
    vec![
        GuideStep::say(format!(
            "As a system administrator open {links} (Administration, Application links). On 7.20 and later press Create link and choose Atlassian product."
        )),
        GuideStep::say("Enter our address and press Create new link.")
            .with("Application URL", ours.homepage.as_str()),
        GuideStep::say(
            "If Bitbucket warns \"No response was received from the URL you entered\", tick Use this URL and press Continue: it looks for another Atlassian product there, and we are none.",
        ),
        GuideStep::say(
            "Fill in Link applications and press Continue. Leave the other fields of this page empty, or enter anything where it insists: they are for the other direction.",
        )
        .with("Application Name", &ours.name)
        .with("Application Type", "Generic Application")
        .with("Create incoming link", "ticked"),
        GuideStep::say(
            "Fill in the incoming link and press Continue. The consumer key must be exactly this one; enter it as client id here too.",
        )
        .with("Consumer Key", &ours.consumer_key)
        .with("Consumer Name", &ours.name)
        .with("Public Key", key),
        GuideStep::say(
            "Leave 2-legged OAuth off. There is no secret: each request is signed with the private half of the key, which stays sealed in our database. For Git over HTTPS we mint an HTTP access token in each person's name, so these must be allowed (Bitbucket 5.5 and later).",
        ),
    ]
}

fn account(user: User) -> Account {
    let address = user.email_address.filter(|address| !address.is_empty());
    // Bitbucket takes any address that a person or a directory gives it.
    let email = address.map(|address| Email {
        address,
        verified: false,
        primary: true,
    });
    Account {
        id: user.id.to_string(),
        login: user.name,
        name: user.display_name.filter(|name| !name.is_empty()),
        emails: email.into_iter().collect(),
        noreply: None,
        granted: None,
    }
}

fn remote(key: Key) -> RemoteKey {
    RemoteKey {
        id: key.id.to_string(),
        blob: key_blob(&key.text),
        title: key.label.unwrap_or_default(),
        expires_at: end(key.created_date, key.expiry_days),
        usage: Usage::Auth,
    }
}

/// The end in unix seconds of what was made at `created_ms` for `days`.
fn end(created_ms: Option<i64>, days: Option<i64>) -> Option<i64> {
    Some(created_ms? / 1000 + days?.checked_mul(DAY_S)?)
}

fn minted(token: AccessToken) -> Result<Minted, Refusal> {
    let secret = token.token.filter(|text| !text.is_empty());
    let secret = secret.ok_or_else(|| Refusal::Shape("no token".into()))?;
    let end = token.expiry_date.map(|ms| ms / 1000);
    Ok(Minted {
        id: text_id(&token.id),
        token: secret.into(),
        expires_at: end.or_else(|| self::end(token.created_date, token.expiry_days)),
    })
}

/// Ids are numbers in some versions and text in others.
fn text_id(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

/// Reads all pages of a list.
fn list<K, T>(url: Url, start: u64, mut found: Vec<T>, of: fn(K) -> T) -> Call<Vec<T>>
where
    K: DeserializeOwned + 'static,
    T: Send + 'static,
{
    let here = page_url(&url, start);
    Call::new(Method::GET, here, move |reply| {
        let page: Page<K> = accepted(reply)?.json()?;
        let next = next_start(&page, start)?;
        found.extend(page.values.into_iter().map(of));
        Ok(match next {
            Some(next) => Step::Then(list(url, next, found, of)),
            None => Step::Done(found),
        })
    })
}

fn page_url(url: &Url, start: u64) -> Url {
    let mut url = url.clone();
    url.query_pairs_mut()
        .append_pair("start", &start.to_string())
        .append_pair("limit", PAGE);
    url
}

/// Where the next page starts; a page that leads nowhere new would never end.
fn next_start<T>(page: &Page<T>, start: u64) -> Result<Option<u64>, Refusal> {
    match page.next_page_start {
        _ if page.is_last_page => Ok(None),
        Some(next) if next > start => Ok(Some(next)),
        _ => Err(Refusal::Shape(
            "the list has no next page and no end".into(),
        )),
    }
}

/// Finds the user of exactly this name; the filter of the list matches parts of names and
/// addresses too, and guessing the slug from the name goes wrong for some.
fn find_user<T, F>(users: Url, name: String, start: u64, then: F) -> Call<T>
where
    T: 'static,
    F: FnOnce(User) -> Result<Step<T>, Refusal> + Send + 'static,
{
    let mut url = page_url(&users, start);
    url.query_pairs_mut().append_pair("filter", &name);
    Call::new(Method::GET, url, move |reply| {
        let page: Page<User> = accepted(reply)?.json()?;
        let next = next_start(&page, start)?;
        match (page.values.into_iter().find(|user| user.name == name), next) {
            (Some(user), _) => then(user),
            (None, Some(next)) => Ok(Step::Then(find_user(users, name, next, then))),
            (None, None) => Err(Refusal::NotFound),
        }
    })
}

/// Looks the account's slug up and goes on with the URL of its access tokens.
fn with_tokens_of<T, F>(site: &Site, account: &Account, then: F) -> Call<T>
where
    T: 'static,
    F: FnOnce(Url) -> Call<T> + Send + 'static,
{
    let users = under(&site.api, "api/latest/users");
    let tokens = under(&site.api, "access-tokens/latest/users");
    let (id, login) = (account.id.clone(), account.login.clone());
    find_user(users, login, 0, move |user| {
        // A login can be given to somebody else; the id cannot.
        if user.id.to_string() != id {
            return Err(Refusal::NotFound);
        }
        Ok(Step::Then(then(child(&tokens, &user.slug))))
    })
}

fn read_properties(reply: &Reply) -> Result<Probe, Refusal> {
    let body = reply.value();
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    match text("displayName") {
        Some(product) if reply.status.is_success() && product == "Bitbucket" => Ok(Probe {
            product,
            version: text("version"),
        }),
        _ => Err(Refusal::Shape(
            "this does not answer like Bitbucket's API".into(),
        )),
    }
}

/// The OAuth 2.0 provider is a part of Bitbucket since 7.20; it refuses strangers, and is not found
/// where it is missing.
fn probe_oauth2(url: Url, probe: Probe) -> Call<Probe> {
    let read = move |reply: Reply| match reply.status {
        StatusCode::NOT_FOUND => Err(Refusal::Blocked(
            "this Bitbucket has no OAuth 2.0: choose the kind `bitbucket-server-oauth1`".into(),
        )),
        _ => Ok(Step::Done(probe)),
    };
    Call::new(Method::GET, url, read).auth(Auth::None)
}

/// The reply if it is a success. An OAuth 1.0a problem counts first, whatever else the body says.
fn accepted(reply: Reply) -> Result<Reply, Refusal> {
    match problem(&reply) {
        Some(problem) => Err(api_problem(problem)),
        None => reply.accepted(refuse),
    }
}

/// The reply to a new key if it is a success.
fn accepted_key(reply: Reply) -> Result<Reply, Refusal> {
    let status = reply.status;
    accepted(reply).map_err(|refusal| match (status, refusal) {
        (StatusCode::CONFLICT, _) => Refusal::DuplicateKey,
        (StatusCode::BAD_REQUEST, Refusal::Blocked(message)) => Refusal::KeyRefused(message),
        (_, refusal) => refusal,
    })
}

/// In a signed API call these problems say that the access token is no good; the others are about
/// our registration or the clock and leave the token alone.
fn api_problem(problem: Refusal) -> Refusal {
    let dead = ["token_rejected", "token_expired", "token_revoked"];
    match problem {
        Refusal::OAuth { error, .. } if dead.contains(&error.as_str()) => Refusal::TokenRejected,
        problem => problem,
    }
}

/// What a refused API call means.
fn refuse(reply: &Reply) -> Refusal {
    let message = message(reply);
    match reply.status.as_u16() {
        401 | 403 if reply.header("x-authentication-denied-reason").is_some() => Refusal::Blocked(
            "Bitbucket wants you to sign in there once in the browser (CAPTCHA)".into(),
        ),
        401 => Refusal::TokenRejected,
        403 | 400 if !message.is_empty() => Refusal::Blocked(message),
        404 => Refusal::NotFound,
        429 => Refusal::RateLimited {
            retry_after_s: reply.wait_s("x-ratelimit-reset"),
        },
        _ => Refusal::Status(reply.status),
    }
}

/// The texts of `errors[]`.
fn message(reply: &Reply) -> String {
    let body = reply.value();
    let errors = body
        .get("errors")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let texts = errors
        .iter()
        .filter_map(|error| error.get("message").and_then(Value::as_str));
    said(&texts.collect::<Vec<_>>().join("; "))
}
