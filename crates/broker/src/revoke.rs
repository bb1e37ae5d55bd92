//! Undoing things at providers: what must end there is written down first, tried at once, and tried again until done.

use forge::{Purpose, Refusal, Tokens, Usage};
use secrecy::SecretString;
use secrets::{ExposeSecret, Sealed, random_id};
use store::{
    Grant, Link, LinkId, ProviderId, Revocation, RevocationId, RevocationWhat, Turn, UserId,
};

use crate::{
    Broker, ProviderContext, Result,
    audit::Entry,
    freshness::back_off,
    http::SendError,
    vault::{ACCESS, REFRESH, REVOCATION, Row},
};

/// Whose things are undone; the link itself may be gone.
#[derive(Debug, Clone)]
pub(crate) struct Remains {
    provider_id: ProviderId,
    user_id: UserId,
    link_id: LinkId,
    account_id: String,
    login: String,
    purpose: String,
}

/// One thing to undo, before it is a row.
pub(crate) struct Undo {
    /// What it is.
    pub(crate) what: RevocationWhat,
    /// The token to revoke, or the one that deletes the key or the minted token.
    pub(crate) token: SecretString,
    /// The provider's id of a key or a minted token.
    pub(crate) remote_id: Option<String>,
    /// What a key is used for.
    pub(crate) usage: Option<Usage>,
}

/// Whoever writes rows down tries them at once; the loop leaves them alone for so long, seconds.
const HEAD_START_S: i64 = 60;
/// After this time it is given up, and the audit says what was left behind: a week, seconds.
const GIVE_UP_S: i64 = 7 * 86_400;
/// Rows that one round of the loop takes, and for how long it may work on them, seconds.
const ROUND: i64 = 20;
const ROUND_S: i64 = 300;

impl Remains {
    /// What is left of a link's grant.
    pub(crate) fn of(link: &Link, purpose: &str) -> Self {
        Self {
            provider_id: link.provider_id.clone(),
            user_id: link.user_id.clone(),
            link_id: link.id.clone(),
            account_id: link.account_id.clone(),
            login: link.login.clone(),
            purpose: purpose.to_owned(),
        }
    }

    /// Tokens that came back for nobody's link: another account, or a refused grant.
    pub(crate) fn of_nobody(provider: &ProviderId, user: &UserId, login: &str) -> Self {
        Self {
            provider_id: provider.clone(),
            user_id: user.clone(),
            link_id: LinkId(String::new()),
            account_id: String::new(),
            login: login.to_owned(),
            purpose: Purpose::Manage.as_str().to_owned(),
        }
    }
}

impl Undo {
    /// The end of a token.
    pub(crate) fn token(token: SecretString) -> Self {
        Self {
            what: RevocationWhat::Token,
            token,
            remote_id: None,
            usage: None,
        }
    }
}

impl Broker {
    /// Ends the tokens of a consent that nobody shall use.
    pub(crate) async fn give_up_tokens(
        &self,
        provider: &ProviderContext,
        remains: &Remains,
        tokens: &Tokens,
    ) {
        let all = [Some(tokens.access.clone()), tokens.refresh.clone()];
        let undos = all.into_iter().flatten().map(Undo::token).collect();
        if let Err(refused) = self.undo(provider, remains, undos).await {
            tracing::error!(%refused, "tokens that nobody shall use could not be given up");
        }
    }

    /// Ends the tokens of a grant that another one has replaced.
    pub(crate) async fn retire_grant(
        &self,
        provider: &ProviderContext,
        link: &Link,
        old: &Grant,
        new: Option<&Tokens>,
    ) -> Result<()> {
        // A minted one was deleted when its successor was made.
        if old.remote_id.is_some() {
            return Ok(());
        }
        let row = Row::new(old.id.as_str(), link.user_id.as_str(), provider);
        let opened = |column, sealed: &Sealed| self.open(row, column, sealed).ok();
        let access = opened(ACCESS, &old.access);
        let refresh = old
            .refresh
            .as_ref()
            .and_then(|sealed| opened(REFRESH, sealed));
        // Some providers give the same token twice.
        let in_use = |token: &SecretString| {
            let same = |other: &SecretString| other.expose_secret() == token.expose_secret();
            new.is_some_and(|new| same(&new.access) || new.refresh.as_ref().is_some_and(same))
        };
        let ended = access
            .into_iter()
            .chain(refresh)
            .filter(|token| !in_use(token));
        let undos = ended.map(Undo::token).collect();
        self.undo(provider, &Remains::of(link, &old.purpose), undos)
            .await?;
        Ok(())
    }

    /// Ends the grant that managed keys, where one grant serves for everything from now on.
    pub(crate) async fn drop_manage_grant(
        &self,
        provider: &ProviderContext,
        link: &Link,
    ) -> Result<()> {
        let manage = self
            .store()
            .grant(&link.id, Purpose::Manage.as_str())
            .await?;
        let Some(manage) = manage else { return Ok(()) };
        if self
            .store()
            .delete_grant(&manage.id, manage.version)
            .await?
        {
            self.retire_grant(provider, link, &manage, None).await?;
        }
        Ok(())
    }

    /// Writes down what is to be undone and tries it at once; what fails is tried again later.
    /// Returns how many are left.
    pub(crate) async fn undo(
        &self,
        provider: &ProviderContext,
        remains: &Remains,
        undos: Vec<Undo>,
    ) -> Result<usize> {
        let now = self.now().await?;
        let rows: Vec<Revocation> = undos
            .into_iter()
            .map(|undo| self.row(provider, remains, undo, now))
            .collect();
        self.store().add_revocations(&rows).await?;
        let mut left = 0;
        for row in &rows {
            match self.undo_one(provider, row).await {
                Ok(()) => drop(self.store().drop_revocation(&row.id).await?),
                Err(error) => {
                    tracing::warn!(%error, revocation.id = %row.id, "a revocation is tried again later");
                    left += 1;
                }
            }
        }
        Ok(left)
    }

    fn row(
        &self,
        provider: &ProviderContext,
        remains: &Remains,
        undo: Undo,
        now: i64,
    ) -> Revocation {
        let id = RevocationId(random_id("rvk"));
        let place = Row::new(id.as_str(), remains.user_id.as_str(), provider);
        let secret = self.seal(place, REVOCATION, &undo.token);
        let Remains {
            provider_id,
            user_id,
            link_id,
            account_id,
            login,
            purpose,
        } = remains.clone();
        Revocation {
            provider_id,
            user_id,
            link_id,
            account_id,
            login,
            purpose,
            what: undo.what,
            secret: Some(secret),
            remote_id: undo.remote_id,
            usage: undo.usage.map(|usage| usage.as_str().to_owned()),
            created_at: now,
            due_at: now + HEAD_START_S,
            failures: 0,
            reason: None,
            lease_owner: None,
            lease_until: None,
            id,
        }
    }

    async fn undo_one(
        &self,
        provider: &ProviderContext,
        row: &Revocation,
    ) -> Result<(), SendError> {
        let unopened = |what: &str| SendError::Misconfigured(what.to_owned());
        let sealed = row
            .secret
            .as_ref()
            .ok_or_else(|| unopened("its token is missing"))?;
        let place = Row::new(row.id.as_str(), row.user_id.as_str(), provider);
        let token = self
            .open(place, REVOCATION, sealed)
            .map_err(|refused| unopened(&refused.detail))?;
        let (kind, site) = (provider.kind, &provider.site);
        let id = row.remote_id.as_deref().unwrap_or_default();
        match row.what {
            RevocationWhat::Token => match kind.revoke(site, &provider.client, &token) {
                Some(call) => self.ask_as_client(provider, call).await,
                None => Ok(()),
            },
            RevocationWhat::Minted => match kind.delete_minted(site, &account(row), id) {
                Some(call) => self.ask(provider, &token, call).await,
                None => Ok(()),
            },
            RevocationWhat::Key => {
                let usage = row.usage.as_deref().and_then(|word| word.parse().ok());
                match kind.delete_key(site, id, usage.unwrap_or(Usage::Auth)) {
                    Some(call) => self.ask(provider, &token, call).await,
                    None => Ok(()),
                }
            }
        }
    }

    /// One round over what is still to be undone; returns how many rows it took.
    pub(crate) async fn undo_due(&self) -> Result<usize> {
        let now = self.now().await?;
        let turn = Turn {
            owner: random_id("trn"),
            until: now + ROUND_S,
            limit: ROUND,
        };
        let rows = self.store().lease_due_revocations(&turn, now).await?;
        for row in &rows {
            self.try_again(row, &turn.owner).await?;
        }
        Ok(rows.len())
    }

    async fn try_again(&self, row: &Revocation, owner: &str) -> Result<()> {
        let outcome = match self.provider_context(&row.provider_id).await {
            Ok(provider) if self.must_wait(row).await? => {
                drop(provider);
                Err(SendError::Unreachable(
                    "keys are deleted before the token that can do it".into(),
                ))
            }
            Ok(provider) => self.undo_one(&provider, row).await,
            Err(refused) => Err(SendError::Misconfigured(refused.detail)),
        };
        let now = self.now().await?;
        match outcome {
            Ok(()) => drop(self.store().drop_revocation(&row.id).await?),
            Err(error) if hopeless(row, &error) || now - row.created_at > GIVE_UP_S => {
                self.store().drop_revocation(&row.id).await?;
                self.record([left_behind(row, &error)]).await;
            }
            Err(error) => {
                let due_at = now + back_off(row.failures, crate::ask::retry_after(&error));
                let reason = error.to_string();
                self.store()
                    .retry_revocation(&row.id, owner, &reason, due_at)
                    .await?;
            }
        }
        Ok(())
    }

    /// A token that manages keys outlives the keys that are still to be deleted with it.
    async fn must_wait(&self, row: &Revocation) -> Result<bool> {
        if row.what != RevocationWhat::Token || row.purpose != Purpose::Manage.as_str() {
            return Ok(false);
        }
        let rest = self.store().revocations_of(&row.user_id).await?;
        let first = |other: &Revocation| {
            other.link_id == row.link_id && other.what != RevocationWhat::Token
        };
        Ok(rest.iter().any(first))
    }
}

/// Whether nothing that we hold can undo it any more.
fn hopeless(row: &Revocation, error: &SendError) -> bool {
    let refused = matches!(
        error,
        SendError::Refused(Refusal::TokenRejected | Refusal::MissingScope(_) | Refusal::NotFound)
    );
    refused && row.what != RevocationWhat::Token
}

fn left_behind(row: &Revocation, error: &SendError) -> Entry {
    let what = match row.what {
        RevocationWhat::Token => "a token".to_owned(),
        RevocationWhat::Minted => {
            format!(
                "the access token {}",
                row.remote_id.as_deref().unwrap_or_default()
            )
        }
        RevocationWhat::Key => {
            format!(
                "the SSH key {}",
                row.remote_id.as_deref().unwrap_or_default()
            )
        }
    };
    Entry::new(
        "revocation.give-up",
        format!("{what} of {} was left behind: {error}", row.login),
    )
    .by(&row.user_id)
    .at(&row.provider_id)
}

fn account(row: &Revocation) -> forge::Account {
    forge::Account {
        id: row.account_id.clone(),
        login: row.login.clone(),
        name: None,
        emails: Vec::new(),
        noreply: None,
        granted: None,
    }
}
