//! What becomes of tokens that came back: whose they are, whether they may stay, and the link, key and uploads they make.

use std::{sync::Arc, time::Duration};

use forge::{Account, Narrowing, Purpose, Refusal, Tokens};
use secrecy::SecretString;
use secrets::random_id;
use store::{Attempt, Grant, GrantId, Link};

use crate::{
    Broker, ProviderContext, Refused, RefusedKind, Result,
    ask::{LINKS_PAGE, explain},
    http::SendError,
    keys::Owner,
    link::{all_in_one, asked_scopes, needs_second},
    refresh::{Gained, link_entry},
    revoke::Remains,
};

/// A fresh token may be unknown to some of the provider's servers for a moment, and a provider may hiccup.
const WHOAMI_TRIES: u32 = 4;
const WHOAMI_PAUSE: Duration = Duration::from_millis(400);

/// What became of an attempt's tokens.
pub(crate) enum Settled {
    /// They are a grant of this link now.
    Linked(Link),
    /// They were given up: what Git receives must not be able to change keys.
    KeyRights { link: Link, reason: String },
}

impl Broker {
    /// Makes a grant of an attempt's tokens, or gives them up. Where the provider does not say whose they are, they
    /// stay with the attempt and are tried again.
    pub(crate) async fn settle_attempt(
        &self,
        provider: &Arc<ProviderContext>,
        attempt: &Attempt,
        tokens: Tokens,
    ) -> Result<Settled> {
        let account = match self.whose(provider, &tokens.access).await {
            Ok(account) => account,
            Err(error) if is_final(&error) => {
                let refused = explain(&provider.row.name, &error);
                return Err(self
                    .refuse_tokens(provider, attempt, &tokens, refused)
                    .await);
            }
            Err(error) => return Err(unknown_account(provider, &error)),
        };
        if let Some(refused) = self.another_account(provider, attempt, &account).await? {
            return Err(self
                .refuse_tokens(provider, attempt, &tokens, refused)
                .await);
        }
        let made = self.bind(provider, attempt, &tokens, &account).await;
        match made {
            Err(refused) if is_over(&refused) => Err(self
                .refuse_tokens(provider, attempt, &tokens, refused)
                .await),
            made => made,
        }
    }

    /// Binds tokens to the link of `account`.
    async fn bind(
        &self,
        provider: &Arc<ProviderContext>,
        attempt: &Attempt,
        tokens: &Tokens,
        account: &Account,
    ) -> Result<Settled> {
        let purpose: Purpose = attempt.purpose.parse().map_err(Refused::internal)?;
        let scopes = granted(provider, purpose, tokens, account);
        let link = self.link_of(provider, attempt, account).await?;
        if let Some(reason) = key_rights(provider, purpose, &scopes) {
            let refused = Refused::conflict(reason.clone());
            self.refuse_tokens(provider, attempt, tokens, refused).await;
            return Ok(Settled::KeyRights { link, reason });
        }
        let tokens = Tokens {
            scopes: Some(scopes),
            ..tokens.clone()
        };
        let gained = Gained {
            tokens,
            remote_id: None,
        };
        self.put_tokens(provider, &link, purpose, &gained).await?;
        self.store().drop_attempt(&attempt.id).await?;
        self.welcome(provider, &link, purpose).await?;
        Ok(Settled::Linked(link))
    }

    /// Asks whose a new token is.
    async fn whose(
        &self,
        provider: &ProviderContext,
        token: &SecretString,
    ) -> Result<Account, SendError> {
        let mut tries = 0;
        loop {
            let call = provider.kind.whoami(&provider.site);
            let call =
                call.ok_or_else(|| SendError::Misconfigured("this kind has no accounts".into()))?;
            match self.ask(provider, token, call).await {
                Err(error) if tries + 1 < WHOAMI_TRIES && may_pass(&error) => {
                    tries += 1;
                    tokio::time::sleep(WHOAMI_PAUSE * tries).await;
                }
                answer => return answer,
            }
        }
    }

    async fn another_account(
        &self,
        provider: &ProviderContext,
        attempt: &Attempt,
        account: &Account,
    ) -> Result<Option<Refused>> {
        let Some(expected) = &attempt.expected_account else {
            return Ok(None);
        };
        if *expected == account.id {
            return Ok(None);
        }
        let link = match &attempt.link_id {
            Some(id) => self.store().link(&attempt.user_id, id).await?,
            None => None,
        };
        let expected = link.map_or_else(|| "another account".to_owned(), |link| link.login);
        let (name, login) = (&provider.row.name, &account.login);
        let detail = format!(
            "the browser is signed in to {name} as {login}, but the link is for {expected}"
        );
        let hint =
            format!("sign in to {name} as {expected} and try again, or link {login} on its own");
        Ok(Some(Refused::conflict(detail).hint(hint).help(LINKS_PAGE)))
    }

    /// Revokes and forgets the tokens of an attempt that comes to nothing.
    pub(crate) async fn refuse_tokens(
        &self,
        provider: &ProviderContext,
        attempt: &Attempt,
        tokens: &Tokens,
        refused: Refused,
    ) -> Refused {
        let remains = Remains::of_nobody(&provider.row.id, &attempt.user_id, "nobody");
        self.give_up_tokens(provider, &remains, tokens).await;
        match self.store().drop_attempt(&attempt.id).await {
            Ok(_) => refused,
            Err(error) => error.into(),
        }
    }

    /// The link that an attempt's tokens belong to: a new one, or the one there is with this account.
    async fn link_of(
        &self,
        provider: &ProviderContext,
        attempt: &Attempt,
        account: &Account,
    ) -> Result<Link> {
        if let (Some(id), true) = (&attempt.link_id, is_second(provider, attempt)) {
            // Its narrow token may not see the account's names and addresses.
            let link = self.store().link(&attempt.user_id, id).await?;
            return link.ok_or_else(|| Refused::not_found("link"));
        }
        let verified = |email: &&forge::Email| email.verified;
        let primary = account.emails.iter().find(|email| email.primary);
        let first = primary
            .or_else(|| account.emails.first())
            .map(|email| email.address.clone());
        let emails = account
            .emails
            .iter()
            .filter(verified)
            .map(|email| email.address.clone());
        let link = Link {
            id: store::LinkId(random_id("lnk")),
            user_id: attempt.user_id.clone(),
            provider_id: provider.row.id.clone(),
            account_id: account.id.clone(),
            login: account.login.clone(),
            name: account.name.clone(),
            email: account
                .noreply
                .clone()
                .filter(|_| first.is_none())
                .or(first),
            emails: emails.chain(account.noreply.clone()).collect(),
            noreply: account.noreply.clone(),
            created_at: self.now().await?,
            last_used_at: None,
            dead_at: None,
            dead_reason: None,
            unlinking_at: None,
        };
        Ok(self.store().add_link(&link).await?)
    }

    /// Writes a grant and revokes what it replaces.
    pub(crate) async fn put_tokens(
        &self,
        provider: &Arc<ProviderContext>,
        link: &Link,
        purpose: Purpose,
        gained: &Gained,
    ) -> Result<()> {
        let now = self.now().await?;
        let mut grant = empty_grant(link, purpose, now);
        let new = self.seal_tokens(provider, link.user_id.as_str(), &grant, gained, now);
        grant.access = new.access;
        grant.refresh = new.refresh;
        grant.token_secret = new.token_secret;
        grant.session_handle = new.session_handle;
        grant.scopes = new.scopes.unwrap_or_default();
        grant.expires_at = new.expires_at;
        grant.token_id = new.token_id;
        grant.remote_id = new.remote_id;
        if let Some(old) = self.store().put_grant(&grant).await? {
            self.retire_grant(provider, link, &old, Some(&gained.tokens))
                .await?;
        }
        Ok(())
    }

    /// Keys, uploads and the audit, once a grant stands.
    async fn welcome(
        &self,
        provider: &Arc<ProviderContext>,
        link: &Link,
        purpose: Purpose,
    ) -> Result<()> {
        self.store().revive_link(&link.id).await?;
        let words = format!("{} as {}", purpose.as_str(), link.login);
        self.record([link_entry("link.grant", words, link)]).await;
        if purpose == Purpose::Git && needs_second(provider) {
            return Ok(());
        }
        if all_in_one(provider) {
            self.drop_manage_grant(provider, link).await?;
        }
        let owner = Owner {
            user: &link.user_id,
            provider: &provider.row,
            link: Some(&link.id),
        };
        self.ensure_key(owner).await?;
        // The end of an earlier token may have taken its keys with it.
        let now = self.now().await?;
        self.store().recheck_uploads(&link.id, now).await?;
        // At once, so that the page shows how it went; what fails now is the loop's.
        if let Err(refused) = self.reconcile_link(&link.id).await {
            tracing::warn!(%refused, link.id = %link.id, "the first upload is tried again later");
        }
        Ok(())
    }

    /// A token for Git alone, where the kind has it made through the API.
    pub(crate) async fn mint_for(
        &self,
        provider: &Arc<ProviderContext>,
        link: &Link,
    ) -> Result<()> {
        if provider.kind.narrowing() != Narrowing::Mint {
            return Ok(());
        }
        // A link made anew ends what it replaces, so no older one is kept.
        let gained = self
            .minted(provider, link, None)
            .await
            .map_err(|why| why.explain(&provider.row.name))?;
        self.put_tokens(provider, link, Purpose::Git, &gained).await
    }
}

fn empty_grant(link: &Link, purpose: Purpose, now: i64) -> Grant {
    Grant {
        id: GrantId(random_id("grt")),
        link_id: link.id.clone(),
        purpose: purpose.as_str().to_owned(),
        access: secrets::Sealed::from_text(String::new()),
        refresh: None,
        token_secret: None,
        session_handle: None,
        scopes: Vec::new(),
        expires_at: None,
        token_id: String::new(),
        remote_id: None,
        obtained_at: now,
        version: 1,
        lease_owner: None,
        lease_until: None,
        handed_at: None,
        retry_at: None,
        failures: 0,
        suspect_since: None,
        forced_at: None,
    }
}

/// Scopes as the provider tells them; what it does not tell is taken as granted.
fn granted(
    provider: &ProviderContext,
    purpose: Purpose,
    tokens: &Tokens,
    account: &Account,
) -> Vec<String> {
    let asked = || {
        asked_scopes(provider, purpose)
            .iter()
            .map(|scope| (*scope).to_owned())
            .collect()
    };
    tokens
        .scopes
        .clone()
        .or_else(|| account.granted.clone())
        .unwrap_or_else(asked)
}

/// Why a grant may not become Git's: a workspace could add keys to the account with it.
fn key_rights(provider: &ProviderContext, purpose: Purpose, scopes: &[String]) -> Option<String> {
    let broad =
        purpose == Purpose::Git && needs_second(provider) && provider.kind.holds_key_rights(scopes);
    broad.then(|| {
        format!(
            "{} granted Git a token that may also change SSH keys, so it was given back",
            provider.row.name
        )
    })
}

/// Whether a consent is the second one of a link.
fn is_second(provider: &ProviderContext, attempt: &Attempt) -> bool {
    needs_second(provider) && attempt.purpose == Purpose::Git.as_str()
}

/// Whether the link that the tokens are for has gone away: nobody will ask for them again.
fn is_over(refused: &Refused) -> bool {
    matches!(refused.kind, RefusedKind::NotFound | RefusedKind::Conflict)
}

fn unknown_account(provider: &ProviderContext, error: &SendError) -> Refused {
    let detail = format!(
        "{} gave tokens but does not say whose they are: {error}",
        provider.row.name
    );
    Refused::new(RefusedKind::Transient, detail)
        .hint("the link is finished by itself as soon as it answers; nothing is lost")
        .help(LINKS_PAGE)
}

/// Whether asking again cannot change the answer.
fn is_final(error: &SendError) -> bool {
    let SendError::Refused(refusal) = error else {
        return false;
    };
    matches!(
        refusal,
        Refusal::TokenRejected
            | Refusal::MissingScope(_)
            | Refusal::Blocked(_)
            | Refusal::NeedsAuthorization { .. }
    )
}

fn may_pass(error: &SendError) -> bool {
    matches!(
        error,
        SendError::Unreachable(_)
            | SendError::Refused(Refusal::TokenRejected | Refusal::Status(_) | Refusal::Shape(_))
    )
}
