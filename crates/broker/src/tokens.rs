//! Fresh tokens under one owner: a grant is refreshed once, whoever and however many ask for it.
//!
//! Within this process callers share one run (single flight by grant id), in its own task, so that a
//! caller that goes away cancels nobody. Between replicas the run leases the grant's row, which is also the
//! note that the refresh token may be spent, and commits by compare-and-swap on its version.
//! New tokens are stored before anything else is done with them.

use std::{pin::Pin, sync::Arc, time::Duration};

use forge::{Kind, Site};
use secrecy::SecretString;
use secrets::{ExposeSecret, random_id, random_text};
use store::{Grant, Lease, Link, LinkId};

use crate::{
    Broker, ProviderContext, Refused, RefusedKind, Result,
    ask::LINKS_PAGE,
    flight::Flights,
    freshness::{Renewal, TokenFacts, Verdict, jitter},
    vault::{ACCESS, Row},
};

/// A token that may be used now.
#[derive(Clone)]
pub(crate) struct FreshToken {
    /// The access token.
    pub(crate) token: SecretString,
    /// The grant it belongs to, as it is stored now.
    pub(crate) grant: Grant,
}

/// What a caller needs of a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Need {
    /// Least remaining life, seconds.
    pub(crate) min_ttl_s: i64,
    /// The id of a token that the provider refused: any other will do.
    pub(crate) refused: Option<String>,
}

/// Runs under way.
pub(crate) type Refreshes = Flights<Result<FreshToken>>;

/// Longer than an exchange with its time-outs and the retries of its commit.
pub(crate) const LEASE_S: i64 = 90;
/// How often, and how many times, to look whether another replica has finished.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const LOOKS: u32 = 80;
/// A minted token is replaced a week before its end.
const MINTED_TTL_S: i64 = 7 * 86_400;

impl Need {
    /// A token with so many seconds of life.
    pub(crate) fn ttl(min_ttl_s: i64) -> Self {
        Self {
            min_ttl_s,
            refused: None,
        }
    }

    /// A token other than this one.
    pub(crate) fn other_than(token_id: &str, min_ttl_s: i64) -> Self {
        Self {
            min_ttl_s,
            refused: Some(token_id.to_owned()),
        }
    }
}

/// What to do about a grant's token, at unix time `now`.
pub(crate) fn verdict(
    grant: &Grant,
    kind: &dyn Kind,
    site: &Site,
    need: &Need,
    now: i64,
) -> Verdict {
    let facts = TokenFacts {
        now,
        obtained_at: grant.obtained_at,
        expires_at: grant.expires_at,
        handed_at: grant.handed_at,
        retry_at: grant.retry_at,
        renewal: renewal(grant, kind, site),
        jitter: jitter(grant.id.as_str()),
    };
    let asked = match grant.remote_id {
        Some(_) => need.min_ttl_s.max(MINTED_TTL_S),
        None => need.min_ttl_s,
    };
    if need.refused.as_deref() != Some(grant.token_id.as_str()) {
        return facts.verdict(asked);
    }
    // The token is over, whatever its end says.
    TokenFacts {
        expires_at: Some(now),
        ..facts
    }
    .verdict(asked)
}

fn renewal(grant: &Grant, kind: &dyn Kind, site: &Site) -> Renewal {
    if grant.remote_id.is_some() {
        return Renewal::Gentle;
    }
    match kind.oauth2(site) {
        Some(oauth) if grant.refresh.is_some() && oauth.refresh_kills_access => Renewal::Killing,
        Some(_) if grant.refresh.is_some() => Renewal::Gentle,
        _ => Renewal::Never,
    }
}

/// A new name for an access token: not secret, and it tells nothing of the token.
pub(crate) fn new_token_id() -> String {
    random_text(12).expose_secret().to_owned()
}

/// What somebody hears whose link went away meanwhile.
pub(crate) fn unlinked(provider: &str) -> Refused {
    Refused::new(
        RefusedKind::NotLinked,
        format!("the account at {provider} is no longer linked"),
    )
    .hint(format!("link one with `forgepass link {provider}`"))
    .help(LINKS_PAGE)
}

/// What somebody hears whose link is dead.
pub(crate) fn dead(provider: &str, reason: Option<&str>) -> Refused {
    let reason = reason.unwrap_or("its tokens have ended");
    Refused::new(
        RefusedKind::LinkDead,
        format!("the link to {provider} is dead: {reason}"),
    )
    .hint(format!(
        "link the account again: `forgepass link {provider}`"
    ))
    .help(LINKS_PAGE)
}

impl Broker {
    /// The token of a grant, with the life that is needed, refreshed if it must be.
    ///
    /// # Errors
    /// `link-dead` where only the user can mend it, `provider-fault` where only the site manager can,
    /// `transient` otherwise; `not-linked` where the link went away.
    pub(crate) async fn fresh(
        &self,
        provider: &Arc<ProviderContext>,
        grant: &Grant,
        need: &Need,
    ) -> Result<FreshToken> {
        // A run that began before may end with the very token that was refused: then one more is due.
        for _ in 0..3 {
            let run = Run {
                broker: self.clone(),
                provider: Arc::clone(provider),
                link: grant.link_id.clone(),
                purpose: grant.purpose.clone(),
                need: need.clone(),
            };
            let outcome = self.refreshes().join(grant.id.as_str(), run.go()).await;
            let token = outcome.ok_or_else(|| Refused::internal("a refresh broke off"))??;
            if need.refused.as_ref() != Some(&token.grant.token_id) {
                return Ok(token);
            }
        }
        Err(Refused::new(
            RefusedKind::Transient,
            "the token cannot be replaced just now",
        )
        .hint("try again in a moment"))
    }

    /// Opens a grant's access token.
    pub(crate) fn opened(
        &self,
        provider: &ProviderContext,
        user: &str,
        grant: Grant,
    ) -> Result<FreshToken> {
        let row = Row::new(grant.id.as_str(), user, provider);
        Ok(FreshToken {
            token: self.open(row, ACCESS, &grant.access)?,
            grant,
        })
    }

    /// A token that may manage the keys of a link.
    pub(crate) async fn manage_token(
        &self,
        provider: &Arc<ProviderContext>,
        link: &Link,
    ) -> Result<FreshToken> {
        let grants = self.store().grants_of(&link.id).await?;
        let of = |purpose: &str| grants.iter().find(|grant| grant.purpose == purpose);
        // Without narrowing the one grant stands as Git's.
        let keys_too = |grant: &&Grant| {
            provider.kind.holds_key_rights(&grant.scopes) && grant.remote_id.is_none()
        };
        let grant = of("manage").or_else(|| of("git").filter(keys_too));
        let grant = grant.ok_or_else(|| dead(&provider.row.name, link.dead_reason.as_deref()))?;
        self.fresh(provider, grant, &Need::ttl(60)).await
    }
}

/// One run for one grant.
struct Run {
    broker: Broker,
    provider: Arc<ProviderContext>,
    link: LinkId,
    purpose: String,
    need: Need,
}

impl Run {
    /// Boxed, since a renewal may itself need another grant's token.
    fn go(self) -> Pin<Box<dyn Future<Output = Result<FreshToken>> + Send>> {
        Box::pin(self.run())
    }

    async fn run(self) -> Result<FreshToken> {
        let mut spared = false;
        for look in 0..=LOOKS {
            let (link, grant) = self.read().await?;
            let now = self.broker.now().await?;
            let verdict = verdict(
                &grant,
                self.provider.kind,
                &self.provider.site,
                &self.need,
                now,
            );
            match verdict {
                Verdict::Give => return self.give(&link, grant),
                Verdict::Lost => return Err(self.lost(&link).await),
                Verdict::Wait(seconds) => return Err(self.later(seconds)),
                Verdict::RefreshAfter(seconds) if !spared => {
                    spared = true;
                    tokio::time::sleep(Duration::from_secs(seconds.unsigned_abs())).await;
                }
                Verdict::Refresh | Verdict::RefreshAfter(_) => {
                    let lease = lease(&grant);
                    if self
                        .broker
                        .store()
                        .lease_grant(&lease, now + LEASE_S, now)
                        .await?
                    {
                        return self.renew(&link, grant, lease).await;
                    }
                    // Another replica owns the row, or died with it: then its lease must run out.
                    if look == LOOKS {
                        return self.give_or(&link, grant, now, self.later(LEASE_S));
                    }
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
        }
        Err(self.later(1))
    }

    async fn read(&self) -> Result<(Link, Grant)> {
        let gone = || unlinked(&self.provider.row.name);
        let link = self
            .broker
            .store()
            .any_link(&self.link)
            .await?
            .ok_or_else(gone)?;
        if link.unlinking_at.is_some() {
            return Err(gone());
        }
        if link.dead_at.is_some() {
            return Err(dead(&self.provider.row.name, link.dead_reason.as_deref()));
        }
        // Made anew meanwhile, it has another id.
        let grant = self
            .broker
            .store()
            .grant(&link.id, &self.purpose)
            .await?
            .ok_or_else(gone)?;
        Ok((link, grant))
    }

    fn give(&self, link: &Link, grant: Grant) -> Result<FreshToken> {
        self.broker
            .opened(&self.provider, link.user_id.as_str(), grant)
    }

    /// What there is, if it still lives; else `otherwise`.
    fn give_or(
        &self,
        link: &Link,
        grant: Grant,
        now: i64,
        otherwise: Refused,
    ) -> Result<FreshToken> {
        let refused = self.need.refused.as_ref() == Some(&grant.token_id);
        let alive = grant.expires_at.is_none_or(|end| end > now);
        if alive && !refused {
            self.give(link, grant)
        } else {
            Err(otherwise)
        }
    }

    fn later(&self, seconds: i64) -> Refused {
        let detail = format!(
            "no new token can be had from {} just now",
            self.provider.row.name
        );
        Refused::new(RefusedKind::Transient, detail)
            .hint("try again in a moment; nothing is lost")
            .retry_after(Some(seconds.max(1)))
    }

    async fn lost(&self, link: &Link) -> Refused {
        let provider = &self.provider.row.name;
        let reason = format!("{provider} no longer accepts its token");
        self.broker.bury(provider, link, &reason).await
    }

    /// Renews under a lease. What fails may still leave a token that lives.
    async fn renew(&self, link: &Link, grant: Grant, lease: Lease) -> Result<FreshToken> {
        let (broker, provider) = (&self.broker, &self.provider);
        let refused = match broker.renewed(provider, link, &grant).await {
            Ok(gained) => {
                let new = broker
                    .commit(provider, link, (&grant, lease), &gained)
                    .await?;
                return match new {
                    Some(grant) => Ok(FreshToken {
                        token: gained.tokens.access,
                        grant,
                    }),
                    // Made anew meanwhile, or removed.
                    None => self
                        .read()
                        .await
                        .and_then(|(link, grant)| self.give(&link, grant)),
                };
            }
            Err(why) => {
                broker
                    .not_renewed(provider, link, (&grant, lease), why)
                    .await?
            }
        };
        let now = broker.now().await?;
        match refused.kind {
            RefusedKind::LinkDead => Err(refused),
            _ => self.give_or(link, grant, now, refused),
        }
    }
}

/// A lease on a grant at the version that was read.
pub(crate) fn lease(grant: &Grant) -> Lease {
    Lease {
        grant_id: grant.id.clone(),
        owner: random_id("ref"),
        version: grant.version,
    }
}
