//! Preferences > Sign-in: a user's own browser sessions and API tokens.

use secrecy::SecretString;
use secrets::{new_bearer, random_id};
use store::{ApiToken, ApiTokenId, SessionId};

use crate::{AsUser, Refused, Result, audit::Entry, authority::Via, lifetimes};

/// One browser session.
#[derive(Debug, Clone)]
pub struct SessionView {
    /// `ses_…`.
    pub id: SessionId,
    /// Address it was begun from.
    pub address: String,
    /// The browser's own words.
    pub agent: String,
    /// When it was begun.
    pub created_at: i64,
    /// When it was last seen.
    pub last_seen_at: i64,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// What is known of an API token.
#[derive(Debug, Clone)]
pub struct ApiTokenView {
    /// `tok_…`.
    pub id: ApiTokenId,
    /// What it is for.
    pub name: String,
    /// When it was made.
    pub created_at: i64,
    /// When it ends.
    pub expires_at: i64,
    /// When it was last used.
    pub last_used_at: Option<i64>,
}

/// An API token, shown this once.
#[derive(Debug)]
pub struct NewApiToken {
    /// The bearer token, `fpa_…`.
    pub token: SecretString,
    /// What is known of it later.
    pub view: ApiTokenView,
}

impl ApiTokenView {
    fn of(token: ApiToken) -> Self {
        let ApiToken {
            id,
            name,
            created_at,
            expires_at,
            last_used_at,
            ..
        } = token;
        Self {
            id,
            name,
            created_at,
            expires_at,
            last_used_at,
        }
    }
}

impl AsUser {
    /// Ends the session that asks; nothing for an API token.
    pub async fn sign_out(&self) -> Result<()> {
        if let Via::Session(id) = &self.via {
            self.end(id).await?;
        }
        Ok(())
    }

    /// Browser sessions that still work, last seen first.
    pub async fn sessions(&self) -> Result<Vec<SessionView>> {
        let now = self.broker.now().await?;
        let found = self.broker.store().sessions_of(&self.user.id, now).await?;
        let alive = found
            .into_iter()
            .filter(|session| session.last_seen_at > now - lifetimes::SESSION_IDLE);
        Ok(alive
            .map(|session| SessionView {
                current: self.session_id() == Some(&session.id),
                id: session.id,
                address: session.address,
                agent: session.agent,
                created_at: session.created_at,
                last_seen_at: session.last_seen_at,
            })
            .collect())
    }

    /// Ends one session of this user.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn end_session(&self, id: &SessionId) -> Result<()> {
        if self.end(id).await? {
            Ok(())
        } else {
            Err(Refused::not_found("session"))
        }
    }

    async fn end(&self, id: &SessionId) -> Result<bool> {
        let ended = self.broker.store().drop_session(&self.user.id, id).await?;
        if ended {
            self.note("session.end", format!("{} ended a session", self.user.name))
                .await;
        }
        Ok(ended)
    }

    /// API tokens that still work, newest first.
    pub async fn api_tokens(&self) -> Result<Vec<ApiTokenView>> {
        let now = self.broker.now().await?;
        let found = self
            .broker
            .store()
            .api_tokens_of(&self.user.id, now)
            .await?;
        Ok(found.into_iter().map(ApiTokenView::of).collect())
    }

    /// Makes an API token that lives `ttl_s` seconds.
    ///
    /// # Errors
    /// `invalid` for its name, or a life that is not between a minute and a year.
    pub async fn add_api_token(&self, name: &str, ttl_s: i64) -> Result<NewApiToken> {
        let name = label(name)?;
        if !(60..=lifetimes::API_TOKEN).contains(&ttl_s) {
            return Err(
                Refused::invalid("the life of an API token is a minute to a year")
                    .hint("give its life in seconds, 31536000 at most"),
            );
        }
        let now = self.broker.now().await?;
        let bearer = new_bearer("fpa");
        let token = ApiToken {
            id: ApiTokenId(random_id("tok")),
            user_id: self.user.id.clone(),
            name,
            created_at: now,
            expires_at: now + ttl_s,
            last_used_at: None,
            revoked_at: None,
        };
        self.broker
            .store()
            .add_api_token(&bearer.hash, &token)
            .await?;
        self.note(
            "token.add",
            format!("API token {:?} for {ttl_s} s", token.name),
        )
        .await;
        Ok(NewApiToken {
            token: bearer.plain,
            view: ApiTokenView::of(token),
        })
    }

    /// Revokes an API token of this user.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn revoke_api_token(&self, id: &ApiTokenId) -> Result<()> {
        let now = self.broker.now().await?;
        if !self
            .broker
            .store()
            .revoke_api_token(&self.user.id, id, now)
            .await?
        {
            return Err(Refused::not_found("API token"));
        }
        self.note("token.revoke", format!("API token {id} revoked"))
            .await;
        Ok(())
    }

    /// Records what this user did.
    pub(crate) async fn note(&self, action: &'static str, detail: impl Into<String>) {
        self.broker
            .record([Entry::new(action, detail).by(&self.user.id)])
            .await;
    }
}

/// A name that a person gives to a thing of theirs: one line of 1 to 100 characters.
///
/// # Errors
/// `invalid` with the rule.
pub(crate) fn label(given: &str) -> Result<String> {
    let label = given.trim();
    if label.is_empty() || label.chars().count() > 100 || label.contains(char::is_control) {
        return Err(Refused::invalid(
            "name: it must have 1 to 100 characters on one line",
        ));
    }
    Ok(label.to_owned())
}
