//! Linking an account: from the first redirect to the provider until its grants, key and uploads are stored.

use std::sync::Arc;

use forge::{AuthStyle, Narrowing, Purpose};
use secrecy::SecretString;
use secrets::{ExposeSecret, hash_bearer, random_id, random_text};
use store::{Attempt, AttemptHashes, AttemptId, Link, LinkId, ProviderId, SessionId};
use url::Url;

use crate::{
    AsUser, Broker, ProviderContext, Refused, RefusedKind, Result,
    ask::{LINKS_PAGE, explain},
    lifetimes,
    refresh::link_entry,
    vault::{ATTEMPT_SECRET, Row},
    views::LinkView,
};

/// What the provider's redirect carries back (RFC 6749 section 4.1.2, RFC 5849 section 2.2).
#[derive(Debug, Default, Clone)]
pub struct CallbackQuery {
    /// Ours, of OAuth 2.0; for OAuth 1.0a it stands in the callback's own query.
    pub state: Option<SecretString>,
    /// The authorization code.
    pub code: Option<SecretString>,
    /// Why there is none.
    pub error: Option<String>,
    /// The same in words.
    pub error_description: Option<String>,
    /// Who answers (RFC 9207).
    pub iss: Option<String>,
    /// OAuth 1.0a: the request token.
    pub oauth_token: Option<SecretString>,
    /// OAuth 1.0a: the verifier, or `denied`.
    pub oauth_verifier: Option<SecretString>,
}

/// How a callback ended.
#[derive(Debug)]
pub enum LinkOutcome {
    /// The account is linked.
    Linked(LinkView),
    /// One more consent is needed, for Git alone: send the browser there.
    SecondConsent(Url),
    /// The account is linked for SSH; Git over HTTPS needs the consent that was not given.
    WithoutGit {
        /// The link.
        link: LinkView,
        /// Why.
        reason: String,
    },
}

/// A consent to ask for.
pub(crate) struct Dance<'a> {
    /// What the grant is for. `Git` without narrowing asks for everything at once.
    pub(crate) purpose: Purpose,
    /// The link of a second consent or of a re-link.
    pub(crate) link: Option<&'a Link>,
}

impl AsUser {
    /// Begins a link at a provider, by its id or name, or renews `relink`. Returns the provider's page to open.
    ///
    /// # Errors
    /// `forbidden` outside a browser session, `not-found` for an unknown or disabled provider or a foreign link,
    /// `conflict` where the kind has no accounts to link.
    pub async fn begin_link(&self, provider: &str, relink: Option<&LinkId>) -> Result<Url> {
        let session = self.browser()?;
        let provider = self.broker.offered_provider(provider).await?;
        if provider.kind.auth() == AuthStyle::None {
            let detail = format!(
                "{} has no accounts to link: paste your SSH key there",
                provider.row.name
            );
            return Err(Refused::conflict(detail).help("/preferences/ssh-keys"));
        }
        let link = match relink {
            Some(id) => Some(self.link_at(id, &provider.row.id).await?),
            None => None,
        };
        let dance = Dance {
            purpose: first_purpose(&provider),
            link: link.as_ref(),
        };
        self.dance(&provider, session, dance).await
    }

    /// Asks again for the consent for Git that a link lacks. Returns the provider's page to open.
    ///
    /// # Errors
    /// As [`AsUser::begin_link`].
    pub async fn finish_git_consent(&self, id: &LinkId) -> Result<Url> {
        let session = self.browser()?;
        let link = self.broker.store().link(&self.user.id, id).await?;
        let link = link.ok_or_else(|| Refused::not_found("link"))?;
        let provider = self
            .broker
            .offered_provider(link.provider_id.as_str())
            .await?;
        let manage = self
            .broker
            .store()
            .grant(&link.id, Purpose::Manage.as_str())
            .await?;
        // Without a grant that manages keys a link is begun anew, or it would lose its keys.
        let second = manage.is_some() && link.dead_at.is_none() && needs_second(&provider);
        let purpose = if second {
            Purpose::Git
        } else {
            first_purpose(&provider)
        };
        self.dance(
            &provider,
            session,
            Dance {
                purpose,
                link: Some(&link),
            },
        )
        .await
    }

    /// The browser session that asks: a consent belongs to the browser that gives it.
    pub(crate) fn browser(&self) -> Result<&SessionId> {
        self.session_id().ok_or_else(|| {
            Refused::new(
                RefusedKind::Forbidden,
                "accounts are linked in a browser session",
            )
            .hint("open the console and link the account there")
            .help(LINKS_PAGE)
        })
    }

    async fn link_at(&self, id: &LinkId, provider: &ProviderId) -> Result<Link> {
        let link = self.broker.store().link(&self.user.id, id).await?;
        link.filter(|link| link.provider_id == *provider)
            .ok_or_else(|| Refused::not_found("link"))
    }

    /// Stores an attempt and says where to send the browser.
    pub(crate) async fn dance(
        &self,
        provider: &ProviderContext,
        session: &SessionId,
        dance: Dance<'_>,
    ) -> Result<Url> {
        let now = self.broker.now().await?;
        let id = AttemptId(random_id("att"));
        let state = random_text(32);
        let begun = self
            .broker
            .begin_at(provider, &state, dance.purpose)
            .await?;
        let row = Row::new(id.as_str(), self.user.id.as_str(), provider);
        let attempt = Attempt {
            secret: self.broker.seal(row, ATTEMPT_SECRET, &begun.secret),
            session_id: session.clone(),
            user_id: self.user.id.clone(),
            provider_id: provider.row.id.clone(),
            purpose: dance.purpose.as_str().to_owned(),
            link_id: dance.link.map(|link| link.id.clone()),
            expected_account: dance.link.map(|link| link.account_id.clone()),
            tokens: None,
            created_at: now,
            expires_at: now + lifetimes::ATTEMPT,
            taken_at: None,
            id,
        };
        let hashes = AttemptHashes {
            state: hash_bearer(&state),
            request_token: begun.request_token.as_ref().map(hash_bearer),
        };
        self.broker.store().add_attempt(&hashes, &attempt).await?;
        if let Some(link) = dance.link {
            let words = format!("{} for {}", dance.purpose.as_str(), link.login);
            self.broker
                .record([link_entry("link.begin", words, link)])
                .await;
        }
        Ok(begun.url)
    }
}

/// A dance as it begins.
struct Begun {
    url: Url,
    /// PKCE verifier, or the request token.
    secret: SecretString,
    request_token: Option<SecretString>,
}

impl Broker {
    /// A provider that users may link, by id or name.
    pub(crate) async fn offered_provider(&self, id_or_name: &str) -> Result<Arc<ProviderContext>> {
        let by_id = self
            .store()
            .provider(&ProviderId(id_or_name.to_owned()))
            .await?;
        let row = match by_id {
            Some(row) => Some(row),
            None => self.store().provider_by_name(id_or_name).await?,
        };
        let row = row.filter(|row| row.disabled_at.is_none());
        let row = row.ok_or_else(|| Refused::not_found("provider"))?;
        Ok(Arc::new(ProviderContext::open(self, row)?))
    }

    async fn begin_at(
        &self,
        provider: &ProviderContext,
        state: &SecretString,
        purpose: Purpose,
    ) -> Result<Begun> {
        if let Some(oauth) = provider.kind.oauth2(&provider.site) {
            let pkce = secrets::pkce();
            let scopes = asked_scopes(provider, purpose);
            let state = state.expose_secret();
            let url = oauth.authorize_url(&provider.client, state, &pkce.challenge, scopes);
            return Ok(Begun {
                url,
                secret: pkce.verifier,
                request_token: None,
            });
        }
        let oauth = provider.kind.oauth1(&provider.site);
        let oauth = oauth.ok_or_else(|| Refused::internal("this kind has no OAuth"))?;
        let mut callback = provider.client.callback.clone();
        callback
            .query_pairs_mut()
            .append_pair("state", state.expose_secret());
        let tokens = self
            .ask_as_client(provider, oauth.request_token(&callback))
            .await;
        let token = tokens
            .map_err(|error| explain(&provider.row.name, &error))?
            .access;
        let url = oauth.authorize_url(token.expose_secret());
        Ok(Begun {
            url,
            secret: token.clone(),
            request_token: Some(token),
        })
    }
}

/// Whether this provider keeps Git's grant apart by a consent of its own.
pub(crate) fn needs_second(provider: &ProviderContext) -> bool {
    provider.row.narrowing_off_at.is_none() && provider.kind.narrowing() == Narrowing::SecondConsent
}

/// Whether one grant serves for everything, with what the page says of it.
pub(crate) fn all_in_one(provider: &ProviderContext) -> bool {
    provider.kind.auth() == AuthStyle::OAuth2 && !needs_second(provider)
}

/// The first consent of a link.
pub(crate) fn first_purpose(provider: &ProviderContext) -> Purpose {
    if all_in_one(provider) {
        Purpose::Git
    } else {
        Purpose::Manage
    }
}

/// The scopes that a consent asks for.
pub(crate) fn asked_scopes(
    provider: &ProviderContext,
    purpose: Purpose,
) -> &'static [&'static str] {
    let narrowed = (!all_in_one(provider)).then_some(purpose);
    provider.kind.scopes(narrowed)
}
