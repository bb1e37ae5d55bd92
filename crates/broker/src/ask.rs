//! Asking a provider, and telling people why it did not answer as hoped.

use std::sync::Arc;

use forge::{AuthStyle, Call, Fault, Refusal};
use secrecy::SecretString;
use store::{Provider, ProviderId};

use crate::{Broker, ProviderContext, Refused, RefusedKind, Result, http::SendError};

/// How stale "last success" may be before it is written again, seconds.
const STALE_S: i64 = 60;
/// The page on which links are made and mended.
pub(crate) const LINKS_PAGE: &str = "/preferences/linked-accounts";

impl Broker {
    /// A provider by id, ready to be asked.
    pub(crate) async fn provider_context(&self, id: &ProviderId) -> Result<Arc<ProviderContext>> {
        let row = self.store().provider(id).await?;
        let row = row.ok_or_else(|| Refused::not_found("provider"))?;
        Ok(Arc::new(ProviderContext::open(self, row)?))
    }

    /// Sends a call that uses a link's token, and notes how it went.
    pub(crate) async fn ask<T>(
        &self,
        provider: &ProviderContext,
        token: &SecretString,
        call: Call<T>,
    ) -> Result<T, SendError> {
        let answer = self.door().send(provider, Some(token), call).await;
        // Under OAuth 1.0a our own key signs this too.
        let proves = match provider.kind.auth() {
            AuthStyle::OAuth1 => Proves::Application,
            AuthStyle::OAuth2 | AuthStyle::None => Proves::Address,
        };
        self.note_answer(&provider.row, answer.as_ref().err(), proves)
            .await;
        answer
    }

    /// Sends a call of our application itself: its answer shows whether the provider's entry is right.
    pub(crate) async fn ask_as_client<T>(
        &self,
        provider: &ProviderContext,
        call: Call<T>,
    ) -> Result<T, SendError> {
        let answer = self.door().send(provider, None, call).await;
        self.note_answer(&provider.row, answer.as_ref().err(), Proves::Application)
            .await;
        answer
    }

    async fn note_answer(&self, provider: &Provider, error: Option<&SendError>, proves: Proves) {
        let Ok(now) = self.now().await else { return };
        let Some(error) = error else {
            // After an error the success must be seen to be the later one.
            let failed = provider.last_error_at;
            if provider
                .last_success_at
                .is_none_or(|at| now - at >= STALE_S || failed.is_some_and(|failed| failed >= at))
            {
                self.noted(self.store().note_success(&provider.id, now).await);
            }
            if provider
                .alarm
                .as_deref()
                .is_some_and(|alarm| proves.ends(alarm))
            {
                self.noted(self.store().clear_alarm(&provider.id).await);
            }
            return;
        };
        self.noted(
            self.store()
                .note_error(&provider.id, &worded(error), now)
                .await,
        );
        if error.fault() == Fault::Admin {
            let alarm = worded(error);
            self.noted(self.store().set_alarm(&provider.id, &alarm, now).await);
        }
    }

    /// What is only noted must not make the work fail that it is noted about.
    fn noted(&self, outcome: store::Result<bool>) {
        if let Err(error) = outcome {
            tracing::warn!(%error, "a provider's health could not be noted");
        }
    }
}

/// What a good answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proves {
    /// The provider is reached and trusted.
    Address,
    /// It accepts our application, too.
    Application,
}

/// How an alarm or error begins that is about reaching the provider, not about our application there.
const UNREACHED: &str = "its address: ";

impl Proves {
    fn ends(self, alarm: &str) -> bool {
        self == Self::Application || alarm.starts_with(UNREACHED)
    }
}

/// How an error begins that is about the provider's own health, not about one account or application.
const UNWELL: &str = "its answers: ";

fn worded(error: &SendError) -> String {
    match error {
        SendError::Refused(Refusal::Status(status)) if status.is_server_error() => {
            format!("{UNWELL}{error}")
        }
        SendError::Refused(Refusal::Shape(_)) => format!("{UNWELL}{error}"),
        SendError::Refused(_) => error.to_string(),
        _ => format!("{UNREACHED}{error}"),
    }
}

/// What is wrong with a provider as a whole, to stand after its name, if its last answer showed it.
/// A refusal of one account says nothing about the provider.
pub(crate) fn trouble(provider: &Provider) -> Option<String> {
    let succeeded = provider.last_success_at.unwrap_or(i64::MIN);
    let later = provider.last_error_at.is_some_and(|at| at > succeeded);
    let error = provider.last_error.as_deref().filter(|_| later)?;
    whole(error)
}

/// What the last failed request to a provider met, for the site manager.
pub(crate) fn last_error(provider: &Provider) -> Option<String> {
    let error = provider.last_error.as_deref()?;
    Some(whole(error).map_or_else(|| error.to_owned(), |words| format!("it {words}")))
}

fn whole(error: &str) -> Option<String> {
    if let Some(why) = error.strip_prefix(UNREACHED) {
        return Some(format!("could not be reached: {why}"));
    }
    let why = error.strip_prefix(UNWELL)?;
    Some(format!("did not answer as it should: {why}"))
}

/// Why a call to `provider` brought nothing, for whoever waits for it.
pub(crate) fn explain(provider: &str, error: &SendError) -> Refused {
    match error {
        SendError::Refused(refusal) => explain_refusal(provider, refusal, error.fault()),
        _ => by_fault(provider, error.fault(), &error.to_string()),
    }
}

fn explain_refusal(provider: &str, refusal: &Refusal, fault: Fault) -> Refused {
    let dead = |detail: String| {
        Refused::new(RefusedKind::LinkDead, detail)
            .hint("link the account again")
            .help(LINKS_PAGE)
    };
    match refusal {
        Refusal::TokenRejected => dead(format!("{provider} no longer accepts this link's token")),
        Refusal::MissingScope(scope) => dead(format!(
            "{provider} did not grant the scope {scope} to this link"
        )),
        Refusal::NeedsAuthorization { message, page } => {
            let detail =
                format!("{provider} wants this authorised in the browser first: {message}");
            let place = page
                .as_ref()
                .map_or("the provider's page", |page| page.as_str());
            Refused::new(RefusedKind::Forbidden, detail).hint(format!("open {place}"))
        }
        Refusal::Blocked(why) => Refused::new(
            RefusedKind::Forbidden,
            format!("{provider} blocks this: {why}"),
        )
        .hint("ask an owner of the organisation or an administrator of the provider"),
        Refusal::RateLimited { retry_after_s } => Refused::new(
            RefusedKind::Transient,
            format!("{provider} asks to slow down"),
        )
        .hint("try again later")
        .retry_after(*retry_after_s),
        other => by_fault(provider, fault, &other.to_string()),
    }
}

fn by_fault(provider: &str, fault: Fault, what: &str) -> Refused {
    match fault {
        Fault::User => Refused::new(RefusedKind::LinkDead, format!("{provider}: {what}"))
            .hint("link the account again")
            .help(LINKS_PAGE),
        Fault::Admin => {
            let detail = format!("{provider} cannot be used as it is configured: {what}");
            Refused::new(RefusedKind::ProviderFault, detail)
                .hint("a site manager mends it under Manage > Admin > Git OAuth; nothing is lost")
        }
        Fault::Transient | Fault::Suspect => {
            Refused::new(RefusedKind::Transient, format!("{provider}: {what}"))
                .hint("try again in a moment; nothing is lost")
        }
    }
}

/// How long the provider asks us to stay away, seconds.
pub(crate) fn retry_after(error: &SendError) -> Option<i64> {
    match error {
        SendError::Refused(Refusal::RateLimited { retry_after_s }) => *retry_after_s,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(refusal: Refusal) -> RefusedKind {
        explain("GitLab", &SendError::Refused(refusal)).kind
    }

    #[test]
    fn a_good_answer_ends_only_the_alarm_that_it_disproves() {
        let address = worded(&SendError::Tls("unknown issuer".into()));
        let secret = worded(&SendError::Refused(Refusal::TokenRejected));
        assert!(Proves::Address.ends(&address) && !Proves::Address.ends(&secret));
        assert!(Proves::Application.ends(&address) && Proves::Application.ends(&secret));
    }

    #[test]
    fn a_rate_limit_is_never_a_dead_link() {
        let limited = SendError::Refused(Refusal::RateLimited {
            retry_after_s: Some(30),
        });
        let refused = explain("GitLab", &limited);
        assert_eq!(
            (refused.kind, refused.retry_after_s),
            (RefusedKind::Transient, Some(30))
        );
    }

    #[test]
    fn tells_the_users_fault_from_the_site_managers_and_from_nobodys() {
        let oauth = |error: &str| Refusal::OAuth {
            error: error.into(),
            description: String::new(),
            status: reqwest::StatusCode::BAD_REQUEST,
        };
        assert_eq!(kind(oauth("invalid_grant")), RefusedKind::LinkDead);
        assert_eq!(kind(oauth("invalid_client")), RefusedKind::ProviderFault);
        assert_eq!(
            kind(Refusal::Shape("a page".into())),
            RefusedKind::Transient
        );
        assert_eq!(
            kind(Refusal::Blocked("suspended".into())),
            RefusedKind::Forbidden
        );
        let tls = SendError::Tls("unknown issuer".into());
        assert_eq!(explain("GitLab", &tls).kind, RefusedKind::ProviderFault);
    }
}
