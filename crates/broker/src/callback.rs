//! The provider's redirect back: the attempt is taken once, tokens are stored before they are used, and a link comes of it.

use std::sync::Arc;

use forge::{Purpose, Tokens};
use secrecy::SecretString;
use secrets::{ExposeSecret, hash_bearer};
use serde::{Deserialize, Serialize};
use store::Attempt;
use url::Url;

use crate::{
    AsUser, Broker, CallbackQuery, LinkOutcome, ProviderContext, Refused, RefusedKind, Result,
    ask::{LINKS_PAGE, explain},
    audit::Entry,
    http::SendError,
    link::{Dance, needs_second},
    revoke::Remains,
    settle::Settled,
    vault::{ATTEMPT_SECRET, ATTEMPT_TOKENS, Row},
};

/// Tokens that belong to no link yet, as they rest with their attempt.
#[derive(Serialize, Deserialize)]
struct Parked {
    access: String,
    refresh: Option<String>,
    expires_in_s: Option<i64>,
    obtained_at: i64,
    scopes: Option<Vec<String>>,
    token_secret: Option<String>,
    session_handle: Option<String>,
}

/// A callback that has not ended after this time was cut short, seconds.
const CUT_SHORT_S: i64 = 60;
/// How long a provider that does not say whose the tokens are is asked again, seconds.
const UNKNOWN_S: i64 = 3600;
/// Attempts that a round of the loop takes.
const ROUND: i64 = 20;

impl AsUser {
    /// Takes the provider's answer to a consent that this browser session began.
    ///
    /// # Errors
    /// `invalid` for a state that is missing, unknown, used, too old or of another session, `access-denied` where
    /// the person said no, `conflict` for another account than expected, else what the provider's answer comes to.
    pub async fn finish_link(&self, query: CallbackQuery) -> Result<LinkOutcome> {
        let session = self.browser()?;
        let state = query.state.as_ref().ok_or_else(unknown_state)?;
        let now = self.broker.now().await?;
        let taken = self
            .broker
            .store()
            .take_attempt(&hash_bearer(state), session, now)
            .await?;
        let attempt = taken.ok_or_else(unknown_state)?;
        let work = Callback {
            as_user: self.clone(),
            attempt,
            query,
        };
        // In its own task: a browser that goes away must not leave tokens behind that nobody knows.
        tokio::spawn(work.run()).await.map_err(Refused::internal)?
    }
}

/// One callback under way.
struct Callback {
    as_user: AsUser,
    attempt: Attempt,
    query: CallbackQuery,
}

impl Callback {
    async fn run(self) -> Result<LinkOutcome> {
        let broker = &self.as_user.broker;
        let provider = broker.provider_context(&self.attempt.provider_id).await?;
        let outcome = self.finish(&provider).await;
        if let Err(refused) = &outcome {
            let entry = Entry::new("link.refuse", refused.detail.clone());
            broker
                .record([entry.by(&self.attempt.user_id).at(&provider.row.id)])
                .await;
        }
        outcome
    }

    async fn finish(&self, provider: &Arc<ProviderContext>) -> Result<LinkOutcome> {
        let broker = &self.as_user.broker;
        if let Err(refused) = answered(provider, &self.query) {
            broker.store().drop_attempt(&self.attempt.id).await?;
            return self.without(refused).await;
        }
        let tokens = match broker.exchanged(provider, &self.attempt, &self.query).await {
            Ok(tokens) => tokens,
            Err(refused) => {
                broker.store().drop_attempt(&self.attempt.id).await?;
                return Err(refused);
            }
        };
        broker.park(provider, &self.attempt, &tokens).await?;
        let settled = broker
            .settle_attempt(provider, &self.attempt, tokens)
            .await?;
        self.go_on(provider, settled).await
    }

    /// A second consent that was not given leaves the link as it was.
    async fn without(&self, refused: Refused) -> Result<LinkOutcome> {
        let broker = &self.as_user.broker;
        let second = self.attempt.purpose == Purpose::Git.as_str();
        let link = match (&self.attempt.link_id, second) {
            (Some(id), true) => broker.store().link(&self.attempt.user_id, id).await?,
            _ => None,
        };
        match link {
            Some(link) if broker.store().grant(&link.id, "manage").await?.is_some() => {
                let link = broker.link_view(&self.as_user.user, &link).await?;
                Ok(LinkOutcome::WithoutGit {
                    link,
                    reason: refused.detail,
                })
            }
            _ => Err(refused),
        }
    }

    async fn go_on(
        &self,
        provider: &Arc<ProviderContext>,
        settled: Settled,
    ) -> Result<LinkOutcome> {
        let broker = &self.as_user.broker;
        let link = match settled {
            Settled::Linked(link) => link,
            Settled::KeyRights { link, reason } => {
                let link = broker.link_view(&self.as_user.user, &link).await?;
                return Ok(LinkOutcome::WithoutGit { link, reason });
            }
        };
        if self.attempt.purpose == Purpose::Manage.as_str() {
            if needs_second(provider) {
                let dance = Dance {
                    purpose: Purpose::Git,
                    link: Some(&link),
                };
                let url = self
                    .as_user
                    .dance(provider, &self.attempt.session_id, dance)
                    .await?;
                return Ok(LinkOutcome::SecondConsent(url));
            }
            if let Err(refused) = broker.mint_for(provider, &link).await {
                let link = broker.link_view(&self.as_user.user, &link).await?;
                return Ok(LinkOutcome::WithoutGit {
                    link,
                    reason: refused.detail,
                });
            }
        }
        Ok(LinkOutcome::Linked(
            broker.link_view(&self.as_user.user, &link).await?,
        ))
    }
}

impl Broker {
    async fn exchanged(
        &self,
        provider: &ProviderContext,
        attempt: &Attempt,
        query: &CallbackQuery,
    ) -> Result<Tokens> {
        let row = Row::new(attempt.id.as_str(), attempt.user_id.as_str(), provider);
        let secret = self.open(row, ATTEMPT_SECRET, &attempt.secret)?;
        let call = if let Some(oauth) = provider.kind.oauth2(&provider.site) {
            let code = query.code.as_ref().ok_or_else(no_code)?;
            oauth.exchange(&provider.client, code, &secret)
        } else {
            let oauth = provider.kind.oauth1(&provider.site).ok_or_else(no_code)?;
            let verifier = query.oauth_verifier.as_ref().ok_or_else(no_code)?;
            let token = query.oauth_token.as_ref().ok_or_else(no_code)?;
            // The state says whose attempt it is; the token must be the one that it began with.
            if hash_bearer(token).as_str() != hash_bearer(&secret).as_str() {
                return Err(unknown_state());
            }
            oauth.access_token(&secret, verifier)
        };
        self.ask_as_client(provider, call)
            .await
            .map_err(|error| not_exchanged(provider, &error))
    }

    /// Stores tokens with their attempt before anything is done with them.
    async fn park(
        &self,
        provider: &ProviderContext,
        attempt: &Attempt,
        tokens: &Tokens,
    ) -> Result<()> {
        let plain = |secret: &SecretString| secret.expose_secret().to_owned();
        let parked = Parked {
            access: plain(&tokens.access),
            refresh: tokens.refresh.as_ref().map(plain),
            expires_in_s: tokens.expires_in_s,
            obtained_at: self.now().await?,
            scopes: tokens.scopes.clone(),
            token_secret: tokens.token_secret.as_ref().map(plain),
            session_handle: tokens.session_handle.as_ref().map(plain),
        };
        let text = SecretString::from(serde_json::to_string(&parked).map_err(Refused::internal)?);
        let row = Row::new(attempt.id.as_str(), attempt.user_id.as_str(), provider);
        let sealed = self.seal(row, ATTEMPT_TOKENS, &text);
        match self
            .store()
            .store_attempt_tokens(&attempt.id, &sealed)
            .await
        {
            Ok(true) => Ok(()),
            // The session ended, or the database is away: then nobody would ever give them back.
            outcome => {
                let remains = Remains::of_nobody(&provider.row.id, &attempt.user_id, "nobody");
                self.give_up_tokens(provider, &remains, tokens).await;
                outcome?;
                Err(unknown_state())
            }
        }
    }

    /// Goes on with callbacks that were cut short after their exchange; returns how many there were.
    pub(crate) async fn resume_attempts(&self) -> Result<usize> {
        let now = self.now().await?;
        let attempts = self
            .store()
            .stranded_attempts(now - CUT_SHORT_S, ROUND)
            .await?;
        for attempt in &attempts {
            if let Err(refused) = self.resume(attempt, now).await {
                tracing::warn!(%refused, attempt.id = %attempt.id, "a callback could not be resumed");
            }
        }
        Ok(attempts.len())
    }

    async fn resume(&self, attempt: &Attempt, now: i64) -> Result<()> {
        let provider = self.provider_context(&attempt.provider_id).await?;
        let Some(sealed) = &attempt.tokens else {
            return Ok(());
        };
        let row = Row::new(attempt.id.as_str(), attempt.user_id.as_str(), &provider);
        let text = self.open(row, ATTEMPT_TOKENS, sealed)?;
        let parked: Parked =
            serde_json::from_str(text.expose_secret()).map_err(Refused::internal)?;
        let tokens = parked.tokens(now);
        if now - attempt.expires_at > UNKNOWN_S {
            let gone = Refused::conflict("the provider never said whose the tokens are");
            self.refuse_tokens(&provider, attempt, &tokens, gone).await;
            return Ok(());
        }
        if let Settled::Linked(link) = self.settle_attempt(&provider, attempt, tokens).await? {
            self.mint_for(&provider, &link).await?;
        }
        Ok(())
    }
}

impl Parked {
    fn tokens(self, now: i64) -> Tokens {
        Tokens {
            access: self.access.into(),
            refresh: self.refresh.map(Into::into),
            expires_in_s: self
                .expires_in_s
                .map(|life| life - (now - self.obtained_at)),
            scopes: self.scopes,
            token_secret: self.token_secret.map(Into::into),
            session_handle: self.session_handle.map(Into::into),
        }
    }
}

/// Whether the callback brings a consent.
fn answered(provider: &ProviderContext, query: &CallbackQuery) -> Result<()> {
    let name = &provider.row.name;
    if let Some(iss) = query
        .iss
        .as_deref()
        .filter(|iss| !is_issuer(&provider.site.url, iss))
    {
        let detail = format!("the answer comes from {}, not from {name}", shown(iss));
        return Err(Refused::invalid(detail)
            .hint("begin again")
            .help(LINKS_PAGE));
    }
    let verifier = query
        .oauth_verifier
        .as_ref()
        .map(ExposeSecret::expose_secret);
    let denied = query.error.as_deref() == Some("access_denied") || verifier == Some("denied");
    if denied {
        let detail = format!("the consent at {name} was not given");
        return Err(Refused::new(RefusedKind::AccessDenied, detail)
            .hint("begin again whenever you like; nothing was changed")
            .help(LINKS_PAGE));
    }
    let Some(error) = &query.error else {
        return Ok(());
    };
    let words = query.error_description.as_deref().unwrap_or_default();
    let detail = format!(
        "{name} refused the consent: {} {}",
        shown(error),
        shown(words)
    );
    let ours = [
        "application_suspended",
        "redirect_uri_mismatch",
        "invalid_scope",
        "unauthorized_client",
    ];
    let kind = match error.as_str() {
        error if ours.contains(&error) => RefusedKind::ProviderFault,
        _ => RefusedKind::Transient,
    };
    let hint = match (kind, provider.kind.consent_hint()) {
        (RefusedKind::ProviderFault, Some(hint)) => format!("tell a site manager: {hint}"),
        (RefusedKind::ProviderFault, None) => {
            "tell a site manager: its application is not set up right".into()
        }
        _ => "begin again".to_owned(),
    };
    Err(Refused::new(kind, detail.trim_end())
        .hint(hint)
        .help(LINKS_PAGE))
}

/// Whether an issuer identifier (RFC 9207) can be this provider's: some stand below its base URL.
fn is_issuer(base: &Url, iss: &str) -> bool {
    let Ok(iss) = Url::parse(iss) else {
        return false;
    };
    let segments = |url: &Url| -> Vec<String> {
        url.path()
            .split('/')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    };
    iss.origin() == base.origin() && segments(&iss).starts_with(&segments(base))
}

/// Text from outside, short and without control characters.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn unknown_state() -> Refused {
    Refused::invalid(
        "this answer belongs to no link that this browser session has begun: it is too old, \
         was used already, or was begun in another browser",
    )
    .hint("begin again")
    .help(LINKS_PAGE)
}

fn no_code() -> Refused {
    Refused::invalid("the provider's answer brings no authorization code")
        .hint("begin again")
        .help(LINKS_PAGE)
}

/// A code or verifier that is not taken is no reason to doubt any link.
fn not_exchanged(provider: &ProviderContext, error: &SendError) -> Refused {
    let mut refused = explain(&provider.row.name, error);
    if refused.kind == RefusedKind::LinkDead {
        refused.kind = RefusedKind::Transient;
        refused.hint = Some("begin again".to_owned());
    }
    refused.help(LINKS_PAGE)
}
