//! The link flow: to the provider, back through the one callback, and the ways out of a link.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::{IntoResponse, Redirect},
};
use axum_extra::extract::Form;
use broker::{AsUser, CallbackQuery, LinkId, LinkOutcome, LinkView, SigningKeys, UnlinkOptions};
use secrecy::SecretString;
use serde::Deserialize;

use super::{Answer, Frame, done, show, text::sentence};
use crate::{app::App, problem::Failure};

const LINKED_ACCOUNTS: &str = "/preferences/linked-accounts";

/// `POST /link/{provider}`: begins a link and leads to the provider.
pub async fn begin(user: AsUser, Path(provider): Path<String>) -> Answer {
    let url = user.begin_link(&provider, None).await?;
    Ok(Redirect::to(url.as_str()).into_response())
}

/// The form of a link to renew.
#[derive(Debug, Deserialize)]
pub struct Relink {
    link: String,
}

/// `POST /link/{provider}/relink`: the same account again.
pub async fn relink(
    user: AsUser,
    Path(provider): Path<String>,
    Form(form): Form<Relink>,
) -> Answer {
    let url = user.begin_link(&provider, Some(&LinkId(form.link))).await?;
    Ok(Redirect::to(url.as_str()).into_response())
}

/// `POST /links/{id}/finish`: the consent for Git that is still missing.
pub async fn finish(user: AsUser, Path(id): Path<String>) -> Answer {
    let url = user.finish_git_consent(&LinkId(id)).await?;
    Ok(Redirect::to(url.as_str()).into_response())
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
    Query(returned): Query<Returned>,
) -> Answer {
    match user.finish_link(returned.into()).await? {
        LinkOutcome::SecondConsent(url) => Ok(Redirect::to(url.as_str()).into_response()),
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
