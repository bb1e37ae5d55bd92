//! The link flow: to the provider, back through the one callback, and the ways out of a link.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum_extra::extract::Form;
use broker::{AsUser, CallbackQuery, LinkId, LinkOutcome, LinkView, SigningKeys, UnlinkOptions};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::{Answer, Frame, done, show, text::sentence};
use crate::{app::App, problem::Failure};

const LINKED_ACCOUNTS: &str = "/preferences/linked-accounts";

/// The page between a form of ours and a provider.
///
/// Browsers check `form-action` against every redirect that follows a form, and a provider may send people on
/// to an identity provider that nobody here knows. This page ends that chain: it goes on by itself, without
/// script, and its policy needs to name nobody. The address stands in this answer alone, which is not kept.
#[derive(Template)]
#[template(path = "onward.html")]
struct OnwardPage {
    frame: Frame,
    url: Url,
    host: String,
}

fn onward(frame: Frame, url: Url) -> Answer {
    let host = url.host_str().unwrap_or_default();
    let host = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    show(&OnwardPage { frame, url, host })
}

/// `POST /link/{provider}`: begins a link and leads to the provider.
pub async fn begin(user: AsUser, frame: Frame, Path(provider): Path<String>) -> Answer {
    onward(frame, user.begin_link(&provider, None).await?)
}

/// The form of a link to renew.
#[derive(Debug, Deserialize)]
pub struct Relink {
    link: String,
}

/// `POST /link/{provider}/relink`: the same account again.
pub async fn relink(
    user: AsUser,
    frame: Frame,
    Path(provider): Path<String>,
    Form(form): Form<Relink>,
) -> Answer {
    let url = user.begin_link(&provider, Some(&LinkId(form.link))).await?;
    onward(frame, url)
}

/// `POST /links/{id}/finish`: the consent for Git that is still missing.
pub async fn finish(user: AsUser, frame: Frame, Path(id): Path<String>) -> Answer {
    onward(frame, user.finish_git_consent(&LinkId(id)).await?)
}

/// What a provider adds to our callback: OAuth 2.0 (RFC 6749 section 4.1.2, RFC 9207) or 1.0a (RFC 5849
/// section 2.2).
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Returned {
    state: Option<SecretString>,
    code: Option<SecretString>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
    oauth_token: Option<SecretString>,
    oauth_verifier: Option<SecretString>,
}

impl From<Returned> for CallbackQuery {
    fn from(it: Returned) -> Self {
        Self {
            state: it.state,
            code: it.code,
            iss: it.iss,
            error: it.error,
            error_description: it.error_description,
            oauth_token: it.oauth_token,
            oauth_verifier: it.oauth_verifier,
        }
    }
}

/// `GET /oauth/callback`: where every provider sends people back to.
pub async fn callback(
    State(app): State<App>,
    user: AsUser,
    frame: Frame,
    Query(returned): Query<Returned>,
) -> Answer {
    match user.finish_link(returned.into()).await? {
        LinkOutcome::SecondConsent(url) => onward(frame, url),
        LinkOutcome::Linked(link) => {
            let notice = format!("Linked {} at {}.", link.login, link.provider);
            Ok(done(&app, LINKED_ACCOUNTS, &notice))
        }
        LinkOutcome::WithoutGit { link, reason } => {
            let notice = format!(
                "Linked {} at {}, for SSH alone: {}",
                link.login,
                link.provider,
                sentence(&reason)
            );
            Ok(done(&app, LINKED_ACCOUNTS, &notice))
        }
    }
}

#[derive(Template)]
#[template(path = "unlink.html")]
struct UnlinkPage {
    frame: Frame,
    link: LinkView,
}

/// `GET /links/{id}/unlink`: says what unlinking does.
pub async fn confirm_unlink(user: AsUser, frame: Frame, Path(id): Path<String>) -> Answer {
    let link = user.links().await?.into_iter().find(|link| link.id == id);
    let link = link.ok_or_else(Failure::not_found)?;
    show(&UnlinkPage { frame, link })
}

/// The form of the page above.
#[derive(Debug, Deserialize)]
pub struct Unlink {
    remove_signing_keys: Option<String>,
}

/// `POST /links/{id}/unlink`.
pub async fn unlink(
    State(app): State<App>,
    user: AsUser,
    Path(id): Path<String>,
    Form(form): Form<Unlink>,
) -> Answer {
    let signing_keys = match form.remove_signing_keys {
        Some(_) => SigningKeys::Remove,
        None => SigningKeys::Keep,
    };
    user.unlink(&LinkId(id), UnlinkOptions { signing_keys })
        .await?;
    Ok(done(
        &app,
        LINKED_ACCOUNTS,
        "Unlinked. Keys and tokens are being removed at the provider.",
    ))
}
