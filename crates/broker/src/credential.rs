//! Handing a credential to Git: match the host, take the link's Git token, note who was given it.

use std::sync::Arc;

use forge::{Kind, Narrowing, Purpose, Site};
use secrecy::SecretString;
use store::{Grant, Link, ProviderId, ViewedLink, ViewedProvider};

use crate::{
    AsWorkspace, Broker, CredentialAsk, ProviderContext, Refused, RefusedKind, Result,
    ask::LINKS_PAGE,
    audit::Entry,
    context::{origins, site_at},
    freshness::{USUAL_TTL_S, Verdict},
    handouts::Handout,
    matching::{Candidate, Held, Place, pick},
    tokens::{FreshToken, Need, dead, verdict},
    vault::{ACCESS, Row},
};

/// What Git receives.
#[derive(Debug)]
pub struct CredentialGiven {
    /// User name for HTTP Basic.
    pub username: String,
    /// Password for HTTP Basic: the provider's token.
    pub password: SecretString,
    /// When the password ends, unix seconds, where that is known.
    pub expires_at: Option<i64>,
    /// The id of this token, for `state[]` and reports. Not secret.
    pub state: String,
    /// The link that answered, `lnk_…`.
    pub link: String,
    /// The provider's name.
    pub provider: String,
}

/// A provider of the view, with what follows from its row.
struct Viewed<'a> {
    row: &'a ViewedProvider,
    kind: &'static dyn Kind,
    site: Site,
}

impl AsWorkspace {
    /// A credential for Git over HTTPS.
    ///
    /// # Errors
    /// `not-ours` and `not-linked` where Git shall ask its next helper, `invalid` for a request that Git never
    /// makes, `tie`, `no-credential`, `link-dead`, `provider-fault` or `transient` where a link exists and gives none.
    pub async fn credential(&self, ask: &CredentialAsk) -> Result<CredentialGiven> {
        let place = Place::parse(ask)?;
        let view = self.broker.store().credential_view(&self.user.id).await?;
        let viewed: Vec<Viewed<'_>> = view.providers.iter().filter_map(viewed).collect();
        let offering: Vec<&Viewed<'_>> =
            viewed.iter().filter(|one| one.site.git.is_some()).collect();
        let candidates: Vec<Candidate<'_, &ViewedLink>> =
            offering.iter().filter_map(|one| candidate(one)).collect();
        let (index, link) = pick(&place, ask.username.as_deref(), &candidates)?;
        let Some(provider) = offering.get(index) else {
            return Err(Refused::internal("no such provider"));
        };
        match self.give(provider, link, ask).await {
            Ok(given) => Ok(given),
            Err(refused) => {
                let words = format!("{}: {refused}", link.link.login);
                self.broker
                    .record([self.entry("credential.refuse", words, &provider.row.id)])
                    .await;
                Err(refused)
            }
        }
    }

    async fn give(
        &self,
        provider: &Viewed<'_>,
        viewed: &ViewedLink,
        ask: &CredentialAsk,
    ) -> Result<CredentialGiven> {
        let link = &viewed.link;
        let grant = usable(provider, viewed)?;
        let token = self.token(provider, link, grant, ask).await?;
        let login = &link.login;
        let entry = self.entry(
            "credential.give",
            format!("{login} at {}", provider.row.name),
            &provider.row.id,
        );
        let now = self.broker.now().await?;
        let handed = store::Handed {
            workspace_id: self.workspace.id.clone(),
            grant_id: token.grant.id.clone(),
            token_id: token.grant.token_id.clone(),
            at: now,
        };
        self.broker.hand_out(Handout { handed, entry }).await?;
        Ok(CredentialGiven {
            username: provider.kind.git_username(login),
            password: token.token,
            expires_at: token.grant.expires_at,
            state: token.grant.token_id,
            link: link.id.to_string(),
            provider: provider.row.name.clone(),
        })
    }

    /// The common case costs no further read and asks no provider.
    async fn token(
        &self,
        provider: &Viewed<'_>,
        link: &Link,
        grant: &Grant,
        ask: &CredentialAsk,
    ) -> Result<FreshToken> {
        let need = Need::ttl(ask.min_ttl_s.unwrap_or(USUAL_TTL_S));
        let now = self.broker.now().await?;
        let verdict = verdict(grant, provider.kind, &provider.site, &need, now);
        let refused = ask.state.as_deref() == Some(grant.token_id.as_str());
        if verdict == Verdict::Give {
            let token = self.broker.opened_at(&provider.site, link, grant)?;
            if !refused {
                return Ok(token);
            }
            let context = self.context(&provider.row.id).await?;
            return self
                .broker
                .examined(&context, link, token, need.min_ttl_s)
                .await;
        }
        let context = self.context(&provider.row.id).await?;
        self.broker.fresh(&context, grant, &need).await
    }

    async fn context(&self, provider: &ProviderId) -> Result<Arc<ProviderContext>> {
        self.broker.provider_context(provider).await
    }

    pub(crate) fn entry(
        &self,
        action: &'static str,
        words: impl Into<String>,
        provider: &ProviderId,
    ) -> Entry {
        Entry::new(action, words)
            .by(&self.user.id)
            .through(&self.workspace.id)
            .at(provider)
    }
}

impl Broker {
    /// Opens a token for a provider of which only the addresses are known.
    fn opened_at(&self, site: &Site, link: &Link, grant: &Grant) -> Result<FreshToken> {
        let origins = origins(site);
        let row = Row {
            id: grant.id.as_str(),
            user: link.user_id.as_str(),
            origins: &origins,
        };
        let token = self.open(row, ACCESS, &grant.access)?;
        Ok(FreshToken {
            token,
            grant: grant.clone(),
        })
    }
}

/// A row that this version does not understand answers for nothing, and keeps nobody from the others.
fn viewed(row: &ViewedProvider) -> Option<Viewed<'_>> {
    let kind = forge::kind(&row.kind)?;
    let site = site_at(
        kind,
        &row.url,
        row.api_url.as_deref(),
        row.git_url.as_deref(),
    )
    .ok()?;
    Some(Viewed { row, kind, site })
}

fn candidate<'a>(provider: &'a Viewed<'_>) -> Option<Candidate<'a, &'a ViewedLink>> {
    let links = provider
        .row
        .links
        .iter()
        .map(|link| Held {
            login: &link.link.login,
            rules: &link.rules,
            link,
        })
        .collect();
    Some(Candidate {
        name: &provider.row.name,
        git: provider.site.git.as_ref()?,
        segment: provider.kind.https_segment(),
        links,
    })
}

/// The grant that Git may get of a link.
fn usable<'a>(provider: &Viewed<'_>, viewed: &'a ViewedLink) -> Result<&'a Grant> {
    let (row, kind, link) = (provider.row, provider.kind, &viewed.link);
    if link.dead_at.is_some() {
        return Err(dead(&row.name, link.dead_reason.as_deref()));
    }
    let git = viewed
        .grants
        .iter()
        .find(|grant| grant.purpose == Purpose::Git.as_str());
    let git = git.ok_or_else(|| unfinished(&row.name, "the consent for Git is missing"))?;
    let minted = git.remote_id.is_some();
    if minted != (kind.narrowing() == Narrowing::Mint) {
        return Err(dead(
            &row.name,
            Some("the provider now signs in another way"),
        ));
    }
    let narrowed = row.narrowing_off_at.is_none() && kind.narrowing() == Narrowing::SecondConsent;
    if narrowed && kind.holds_key_rights(&git.scopes) {
        return Err(unfinished(
            &row.name,
            "Git's token may also change SSH keys",
        ));
    }
    Ok(git)
}

fn unfinished(provider: &str, why: &str) -> Refused {
    let detail = format!("the link to {provider} gives no HTTPS credential: {why}");
    Refused::new(RefusedKind::NoCredential, detail)
        .hint("press Finish under Preferences > Linked accounts; SSH works meanwhile")
        .help(LINKS_PAGE)
}
