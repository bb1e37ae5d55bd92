//! GitLab.com and self-managed GitLab, also under a sub-path.
//! <https://docs.gitlab.com/api/oauth2/>

use http::Method;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::{
    Account, Auth, AuthStyle, Body, Call, Client, Defaults, Email, GuideStep, Kind, Narrowing,
    OAuth2, Ours, Probe, Purpose, Refusal, RemoteKey, Reply, Site, Step, Usage,
    call::{gone, id_segment, key_blob, under},
    known_hosts::{addresses_of, host_for, keys_of},
    oauth2,
    refusal::said,
};

/// No narrower scope adds keys.
const MANAGE: &[&str] = &["api"];
const GIT: &[&str] = &["read_user", "read_repository", "write_repository"];
const ALL: &[&str] = &["api", "read_user", "read_repository", "write_repository"];

pub(crate) struct GitLab;

#[derive(Deserialize)]
struct User {
    id: u64,
    username: String,
    name: Option<String>,
    email: Option<String>,
    commit_email: Option<String>,
    confirmed_at: Option<String>,
}

#[derive(Deserialize)]
struct Key {
    id: u64,
    #[serde(default)]
    title: String,
    key: String,
    expires_at: Option<String>,
    usage_type: Option<String>,
}

impl Kind for GitLab {
    fn id(&self) -> &'static str {
        "gitlab"
    }

    fn name(&self) -> &'static str {
        "GitLab"
    }

    fn usual_url(&self) -> Option<&'static str> {
        Some("https://gitlab.com")
    }

    fn auth(&self) -> AuthStyle {
        AuthStyle::OAuth2
    }

    fn guide(&self, ours: &Ours) -> Vec<GuideStep> {
        let own = ours.page("-/user_settings/applications");
        let all = ours.page("admin/applications");
        vec![
            GuideStep::say(format!(
                "Open {all} (Admin, Applications; needs an administrator) or, for yourself or gitlab.com, {own} (Edit profile, Applications; a group has its own under Settings, Applications) and press Add new application."
            )),
            GuideStep::say(
                "Fill in the form. Tick Confidential and all four scopes. An application of the administrator may also be Trusted, which spares each person the consent page.",
            )
            .with("Name", &ours.name)
            .with("Redirect URI", ours.callback.as_str())
            .with("Confidential", "ticked")
            .with("Scopes", ALL.join(" ")),
            GuideStep::say(
                "Press Save application. Copy the Application ID and the Secret, which is shown once, and enter them here as client id and client secret.",
            ),
            GuideStep::say(
                "An application that has the scope api alone works too, but only with narrowing switched off for this provider (One consent for everything): with narrowing on, GitLab shows an error page of its own (the requested scope is invalid) and nobody comes back to us. What Git receives could then manage the account, so better tick all four.",
            ),
        ]
    }

    fn defaults(&self, url: &Url) -> Result<Defaults, String> {
        let host = host_for(self.id(), url)?;
        Ok(Defaults {
            api: under(url, "api/v4"),
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
            "Open Edit profile, SSH Keys, and press Add new key",
            "Paste the public key, leave the usage type at Authentication & Signing",
            "Clear the expiration date or take the latest one allowed, and press Add key",
        ]
    }

    fn key_page(&self, site: &Site) -> Option<Url> {
        Some(under(&site.url, "-/user_settings/ssh_keys"))
    }

    fn oauth2(&self, site: &Site) -> Option<OAuth2> {
        Some(OAuth2 {
            authorize: under(&site.url, "oauth/authorize"),
            token: under(&site.url, "oauth/token"),
            pkce: true,
            refresh_with_redirect: true,
            refresh_kills_access: true,
        })
    }

    fn scopes(&self, purpose: Option<Purpose>) -> &'static [&'static str] {
        match purpose {
            Some(Purpose::Manage) => MANAGE,
            Some(Purpose::Git) => GIT,
            // It includes the others, and an application may have it alone.
            None => MANAGE,
        }
    }

    fn consent_hint(&self) -> Option<&'static str> {
        Some(
            "if the application at GitLab lacks one of the scopes api, read_user, read_repository and write_repository, people see GitLab's own error page and never come back: tick all four, or tick One consent for everything (narrowing off) where it has api alone",
        )
    }

    fn narrowing(&self) -> Narrowing {
        Narrowing::SecondConsent
    }

    fn holds_key_rights(&self, granted: &[String]) -> bool {
        granted
            .iter()
            .any(|scope| scope == "api" || scope == "sudo" || scope == "admin_mode")
    }

    fn whoami(&self, site: &Site) -> Option<Call<Account>> {
        let on_gitlab_com = site.url.host_str() == Some("gitlab.com");
        Some(Call::new(
            Method::GET,
            under(&site.api, "user"),
            move |reply| {
                let user: User = reply.accepted(refuse)?.json()?;
                Ok(Step::Done(account(user, on_gitlab_com)))
            },
        ))
    }

    fn git_username(&self, _login: &str) -> String {
        "oauth2".into()
    }

    fn usages(&self) -> &'static [Usage] {
        &[Usage::AuthAndSigning]
    }

    /// One entry per key: it is deleted and added again for signing alone.
    fn retired_usage(&self) -> Option<Usage> {
        Some(Usage::Signing)
    }

    fn list_keys(&self, site: &Site, _usage: Usage) -> Option<Call<Vec<RemoteKey>>> {
        Some(key_list(under(&site.api, "user/keys"), 1, Vec::new()))
    }

    fn add_key(
        &self,
        site: &Site,
        title: &str,
        line: &str,
        usage: Usage,
    ) -> Option<Call<RemoteKey>> {
        // GitLab takes 255 characters at most.
        let title: String = title.chars().take(255).collect();
        let body = json!({ "title": title, "key": line, "usage_type": usage_type(usage) });
        let read = |reply: Reply| {
            let key: Key = reply.accepted(refuse)?.json()?;
            Ok(Step::Done(remote(key)))
        };
        let url = under(&site.api, "user/keys");
        Some(Call::new(Method::POST, url, read).body(Body::Json(body)))
    }

    fn delete_key(&self, site: &Site, id: &str, _usage: Usage) -> Option<Call<()>> {
        let url = under(&site.api, &format!("user/keys/{}", id_segment(id)?));
        Some(Call::new(Method::DELETE, url, |reply| {
            gone(reply.accepted(refuse))
        }))
    }

    fn revoke(&self, site: &Site, client: &Client, token: &SecretString) -> Option<Call<()>> {
        Some(oauth2::revoke(
            under(&site.url, "oauth/revoke"),
            client,
            token,
        ))
    }

    fn probe(&self, site: &Site) -> Option<Call<Probe>> {
        let read = |reply: Reply| read_version(&reply).map(Step::Done);
        Some(Call::new(Method::GET, under(&site.api, "version"), read).auth(Auth::None))
    }
}

fn account(user: User, on_gitlab_com: bool) -> Account {
    let is_private = |address: &String| address.contains("@users.noreply.");
    let told = user.commit_email.clone().filter(is_private);
    // Elsewhere the administrator chooses the host, so only GitLab's own word counts.
    let usual = || format!("{}-{}@users.noreply.gitlab.com", user.id, user.username);
    let noreply = told.or_else(|| on_gitlab_com.then(usual));
    let mut emails: Vec<Email> = Vec::new();
    // An unconfirmed account's addresses are anybody's.
    if user.confirmed_at.is_some() {
        let commits = user.commit_email.filter(|address| !is_private(address));
        for address in [commits, user.email].into_iter().flatten() {
            if !address.is_empty() && emails.iter().all(|had| had.address != address) {
                let primary = emails.is_empty();
                emails.push(Email {
                    address,
                    verified: true,
                    primary,
                });
            }
        }
    }
    Account {
        id: user.id.to_string(),
        login: user.username,
        name: user.name.filter(|name| !name.is_empty()),
        emails,
        noreply,
        granted: None,
    }
}

fn key_list(url: Url, page: u32, mut found: Vec<RemoteKey>) -> Call<Vec<RemoteKey>> {
    let mut here = url.clone();
    here.query_pairs_mut()
        .append_pair("per_page", "100")
        .append_pair("page", &page.to_string());
    Call::new(Method::GET, here, move |reply| {
        let reply = reply.accepted(refuse)?;
        let keys: Vec<Key> = reply.json()?;
        found.extend(keys.into_iter().map(remote));
        // Empty on the last page.
        let next = reply
            .header("x-next-page")
            .and_then(|next| next.trim().parse().ok());
        Ok(match next {
            Some(next) => Step::Then(key_list(url, next, found)),
            None => Step::Done(found),
        })
    })
}

fn remote(key: Key) -> RemoteKey {
    RemoteKey {
        id: key.id.to_string(),
        blob: key_blob(&key.key),
        title: key.title,
        expires_at: key.expires_at.as_deref().and_then(unix_time),
        usage: match key.usage_type.as_deref() {
            Some("auth") => Usage::Auth,
            Some("signing") => Usage::Signing,
            // Before 15.7 every key served both.
            _ => Usage::AuthAndSigning,
        },
    }
}

fn usage_type(usage: Usage) -> &'static str {
    match usage {
        Usage::Auth => "auth",
        Usage::Signing => "signing",
        Usage::AuthAndSigning => "auth_and_signing",
    }
}

/// `2030-01-31T00:00:00.000Z` or `2030-01-31` as unix seconds.
fn unix_time(text: &str) -> Option<i64> {
    let day = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok();
    let moment = text
        .parse::<Timestamp>()
        .ok()
        .or_else(|| day().map(|day| day.timestamp()));
    moment.map(Timestamp::as_second)
}

/// The version is for signed-in people; GitLab's JSON refusal is proof enough.
fn read_version(reply: &Reply) -> Result<Probe, Refusal> {
    let body = reply.value();
    let version = body
        .get("version")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let refused = body.get("message").and_then(Value::as_str) == Some("401 Unauthorized")
        || body.get("error").is_some();
    if version.is_none() && !(refused && reply.status.as_u16() == 401) {
        return Err(Refusal::Shape(
            "this does not answer like GitLab's API".into(),
        ));
    }
    Ok(Probe {
        product: "GitLab".into(),
        version,
    })
}

/// What a refused API call means (GitLab's `lib/api/api_guard.rb` and
/// `lib/gitlab/auth/user_access_denied_reason.rb`).
fn refuse(reply: &Reply) -> Refusal {
    let body = reply.value();
    match reply.status.as_u16() {
        401 => Refusal::TokenRejected,
        403 if body.get("error").and_then(Value::as_str) == Some("insufficient_scope") => {
            let scope = body.get("scope").and_then(Value::as_str).unwrap_or("api");
            Refusal::MissingScope(said(scope))
        }
        403 => forbidden(reply, &message(&body)),
        404 => Refusal::NotFound,
        429 => Refusal::RateLimited {
            retry_after_s: reply.wait_s("ratelimit-reset"),
        },
        400 | 422 if is_taken(&body) => Refusal::DuplicateKey,
        400 | 422 => Refusal::KeyRefused(message(&body)),
        _ => Refusal::Status(reply.status),
    }
}

fn forbidden(reply: &Reply, message: &str) -> Refusal {
    if reply.header("retry-after").is_some() {
        return Refusal::RateLimited {
            retry_after_s: reply.wait_s("ratelimit-reset"),
        };
    }
    if message.contains("SSO session") {
        let page = message
            .split_whitespace()
            .find_map(|word| Url::parse(word).ok());
        let page = page.filter(|url| url.scheme() == "https");
        return Refusal::NeedsAuthorization {
            message: message.to_owned(),
            page,
        };
    }
    match message
        .strip_prefix("403 Forbidden")
        .map(|why| why.trim_start_matches([' ', '-']))
    {
        Some("") | None => Refusal::Status(reply.status),
        Some(why) => Refusal::Blocked(why.to_owned()),
    }
}

/// The fingerprint is unique over the whole installation, deploy keys included.
fn is_taken(body: &Value) -> bool {
    let Some(fields) = body.get("message").and_then(Value::as_object) else {
        return false;
    };
    ["fingerprint_sha256", "fingerprint", "key"]
        .iter()
        .filter_map(|field| fields.get(*field))
        .any(|texts| texts.to_string().contains("has already been taken"))
}

/// `message` is a text or an object of texts by field; `error` is a text.
fn message(body: &Value) -> String {
    let field = |(name, texts): (&String, &Value)| {
        let list = texts
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![texts.clone()]);
        let texts: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
        format!("{name} {}", texts.join(", "))
    };
    match body.get("message").or_else(|| body.get("error")) {
        Some(Value::String(text)) => said(text),
        Some(Value::Object(fields)) => {
            said(&fields.iter().map(field).collect::<Vec<_>>().join("; "))
        }
        _ => String::new(),
    }
}
