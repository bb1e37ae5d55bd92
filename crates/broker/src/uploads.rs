//! Bringing keys to providers and keeping them there: due rows are leased, acted on, and written back.

use std::sync::Arc;

use forge::{Refusal, RemoteKey, Usage};
use secrets::random_id;
use store::{
    Link, LinkId, SettledUpload, SshKey, Turn, Upload, UploadId, UploadState, Wanted, WantedUpload,
};

use crate::{
    Broker, ProviderContext, Refused, RefusedKind, Result,
    ask::retry_after,
    audit::Entry,
    freshness::{back_off, jitter},
    http::SendError,
    keys::blob_of,
    reconcile::{Goal, Step, step},
    tokens::{FreshToken, Need},
};

/// Rows that one round takes, and for how long it may work on them, seconds.
const ROUND: i64 = 20;
const ROUND_S: i64 = 300;
/// A key that is there is looked at again after a week, seconds: people delete keys by hand.
const LOOK_AGAIN_S: i64 = 7 * 86_400;
/// What only a person can mend is tried again after an hour, what a site manager must, after a day.
const HOUR_S: i64 = 3600;
const DAY_S: i64 = 86_400;
/// More new keys than this in a row, and the provider calls every key a duplicate.
const MOST_SPARES: usize = 3;
/// A refresh token that nobody uses dies after 90 days at some providers: use it once a month, seconds.
const IDLE_S: i64 = 30 * 86_400;

/// One upload with all that acting on it needs.
struct Job {
    broker: Broker,
    provider: Arc<ProviderContext>,
    link: Link,
    key: SshKey,
    usage: Usage,
    goal: Goal,
    token: FreshToken,
    now: i64,
}

/// What is known after acting.
struct Seen {
    state: UploadState,
    remote_id: Option<String>,
    expires_at: Option<i64>,
    reason: Option<String>,
    page: Option<String>,
    due_at: Option<i64>,
    failures: i64,
    answered: bool,
}

impl Broker {
    /// One round over due uploads; returns how many it took.
    pub(crate) async fn reconcile_due(&self) -> Result<usize> {
        let now = self.now().await?;
        let turn = Turn {
            owner: random_id("trn"),
            until: now + ROUND_S,
            limit: ROUND,
        };
        let uploads = self.store().lease_due_uploads(&turn, now).await?;
        self.reconcile_all(&uploads, &turn).await?;
        Ok(uploads.len())
    }

    /// Acts on what is due of one link, for somebody who waits: twice, since the end of one may begin another.
    pub(crate) async fn reconcile_link(&self, link: &LinkId) -> Result<()> {
        for _ in 0..3 {
            let now = self.now().await?;
            let turn = Turn {
                owner: random_id("trn"),
                until: now + ROUND_S,
                limit: ROUND,
            };
            let uploads = self.store().lease_uploads_of(link, &turn, now).await?;
            if uploads.is_empty() {
                return Ok(());
            }
            self.reconcile_all(&uploads, &turn).await?;
        }
        Ok(())
    }

    async fn reconcile_all(&self, uploads: &[Upload], turn: &Turn) -> Result<()> {
        for upload in uploads {
            let seen = match self.job(upload).await {
                Ok(Some(job)) => job.act(upload).await?,
                // Its key or link is gone, and the row with it.
                Ok(None) => continue,
                Err(refused) => unasked(upload, &refused, self.now().await?),
            };
            self.settle(upload, turn, seen).await?;
        }
        Ok(())
    }

    async fn job(&self, upload: &Upload) -> Result<Option<Job>> {
        let Some(key) = self.store().any_key(&upload.key_id).await? else {
            return Ok(None);
        };
        let Some(link_id) = &key.link_id else {
            return Ok(None);
        };
        let Some(link) = self.store().any_link(link_id).await? else {
            return Ok(None);
        };
        if link.unlinking_at.is_some() {
            return Ok(None);
        }
        let provider = self.provider_context(&key.provider_id).await?;
        let token = self.manage_token(&provider, &link).await?;
        let usage = upload.usage.parse().map_err(Refused::internal)?;
        let goal = match upload.wanted {
            Wanted::Present => Goal::Present,
            Wanted::Absent => Goal::Absent,
        };
        let now = self.now().await?;
        Ok(Some(Job {
            broker: self.clone(),
            provider,
            link,
            key,
            usage,
            goal,
            token,
            now,
        }))
    }

    async fn settle(&self, upload: &Upload, turn: &Turn, seen: Seen) -> Result<()> {
        let now = self.now().await?;
        let settled = SettledUpload {
            id: upload.id.clone(),
            owner: turn.owner.clone(),
            version: upload.version,
            state: seen.state,
            remote_id: seen.remote_id.or_else(|| {
                (seen.state != UploadState::Absent)
                    .then(|| upload.remote_id.clone())
                    .flatten()
            }),
            reason: seen.reason,
            page: seen.page,
            due_at: seen.due_at,
            failures: seen.failures,
            seen_at: seen.answered.then_some(now),
            expires_at: seen.expires_at,
        };
        self.store().settle_upload(&settled).await?;
        if seen.state == UploadState::Absent {
            self.store().drop_upload(&upload.id).await?;
            self.forget_retired(&upload.key_id).await?;
        }
        Ok(())
    }

    /// Destroys a retired private key once it opens nothing any more.
    async fn forget_retired(&self, key: &store::KeyId) -> Result<()> {
        let Some(key) = self.store().any_key(key).await? else {
            return Ok(());
        };
        let uploads = self.store().uploads_of(&key.id).await?;
        let opens = uploads
            .iter()
            .any(|upload| upload.usage != Usage::Signing.as_str());
        if key.retired_at.is_some() && !opens {
            let now = self.now().await?;
            self.store().delete_key(&key.user_id, &key.id, now).await?;
            self.record([entry("key.delete", key.fingerprint.clone(), &key)])
                .await;
        }
        Ok(())
    }
}

impl Job {
    async fn act(mut self, upload: &Upload) -> Result<Seen> {
        let before = upload.state;
        let seen = match self.advance().await {
            // The token may have been revoked, or its scopes changed, behind our back.
            Err(SendError::Refused(Refusal::TokenRejected)) => match self.other_token().await {
                Ok(()) => self.advance().await,
                Err(refused) => return Ok(unasked(upload, &refused, self.now)),
            },
            seen => seen,
        };
        let seen = match seen {
            Ok(seen) => seen,
            Err(error) => self.failed(upload, &error),
        };
        if seen.state != before {
            let words = format!(
                "{} of {}: {}",
                self.usage.as_str(),
                self.key.fingerprint,
                seen.state.as_str()
            );
            self.broker
                .record([entry("key.upload", words, &self.key)])
                .await;
        }
        Ok(seen)
    }

    async fn other_token(&mut self) -> Result<()> {
        let token = self.token.clone();
        self.token = self
            .broker
            .examined(&self.provider, &self.link, token, 60)
            .await?;
        Ok(())
    }

    async fn advance(&self) -> Result<Seen, SendError> {
        let listed = self.list().await?;
        let blob = blob_of(&self.key.public_key);
        match step(self.goal, self.usage, blob, &listed, self.now) {
            Step::Keep { id, expires_at } => {
                self.settled().await;
                Ok(self.present(id, expires_at))
            }
            Step::Renew { id, expires_at } => Ok(self.renewed(id, expires_at).await),
            Step::Add => self.add().await,
            Step::Replace { id, usage } => {
                self.delete(&id, usage).await?;
                self.add().await
            }
            Step::Delete { id } => {
                self.delete(&id, self.usage).await?;
                Ok(absent())
            }
            Step::Done => Ok(absent()),
        }
    }

    async fn list(&self) -> Result<Vec<RemoteKey>, SendError> {
        match self
            .provider
            .kind
            .list_keys(&self.provider.site, self.usage)
        {
            Some(call) => {
                self.broker
                    .ask(&self.provider, &self.token.token, call)
                    .await
            }
            None => Ok(Vec::new()),
        }
    }

    async fn delete(&self, id: &str, usage: Usage) -> Result<(), SendError> {
        match self
            .provider
            .kind
            .delete_key(&self.provider.site, id, usage)
        {
            Some(call) => {
                self.broker
                    .ask(&self.provider, &self.token.token, call)
                    .await
            }
            None => Ok(()),
        }
    }

    async fn add(&self) -> Result<Seen, SendError> {
        let title = self.broker.key_title(&self.key.user_id).await;
        let title = title.map_err(|refused| SendError::Unreachable(refused.detail))?;
        let line = format!("{} {title}", self.key.public_key);
        let call = self
            .provider
            .kind
            .add_key(&self.provider.site, &title, &line, self.usage);
        let Some(call) = call else {
            return Err(SendError::Misconfigured(
                "this kind takes no keys from us".to_owned(),
            ));
        };
        match self
            .broker
            .ask(&self.provider, &self.token.token, call)
            .await
        {
            // What it says is not what it lists: look at once, and only then let the old key go.
            Ok(added) => Ok(Seen {
                due_at: Some(self.now),
                ..self.present(added.id, added.expires_at)
            }),
            Err(SendError::Refused(Refusal::DuplicateKey)) => self.duplicate().await,
            Err(error) => Err(error),
        }
    }

    /// The provider has this key already: on this account, or on another, where we cannot use it.
    async fn duplicate(&self) -> Result<Seen, SendError> {
        let listed = self.list().await?;
        let blob = blob_of(&self.key.public_key);
        if let Step::Keep { id, expires_at } =
            step(Goal::Present, self.usage, blob, &listed, self.now)
        {
            return Ok(self.present(id, expires_at));
        }
        let spares = self.spares().await.map_or(MOST_SPARES, |keys| keys.len());
        if self.key.retired_at.is_some() || spares >= MOST_SPARES {
            return Err(SendError::Refused(Refusal::KeyRefused(
                "the provider says that it is registered already, on another account".to_owned(),
            )));
        }
        let why = "the provider has the old one on another account";
        match self.broker.replace_key(&self.key, why).await {
            Ok(_) => Ok(Seen {
                reason: Some(why.to_owned()),
                ..absent_for_now()
            }),
            Err(refused) => Err(SendError::Unreachable(refused.detail)),
        }
    }

    /// The provider will soon stop taking the key: a new one goes there before.
    async fn renewed(&self, id: String, expires_at: i64) -> Seen {
        if self.key.retired_at.is_none() {
            let made = self
                .broker
                .replace_key(&self.key, "the provider ends the old one soon")
                .await;
            if let Err(refused) = made {
                tracing::warn!(%refused, key.id = %self.key.id, "a key could not be renewed");
            }
        }
        Seen {
            state: UploadState::Expiring,
            reason: Some("the provider ends this key soon; a new one is on its way".to_owned()),
            due_at: Some(self.now + DAY_S),
            ..self.present(id, Some(expires_at))
        }
    }

    fn present(&self, id: String, expires_at: Option<i64>) -> Seen {
        let spread = jitter(self.key.id.as_str()) * HOUR_S / 4;
        Seen {
            state: UploadState::Present,
            remote_id: Some(id),
            expires_at,
            reason: None,
            page: None,
            due_at: Some(self.now + LOOK_AGAIN_S + spread),
            failures: 0,
            answered: true,
        }
    }

    /// The key was seen at the provider: older ones can go, and tokens that nobody uses are kept alive.
    async fn settled(&self) {
        let done = async {
            if self.key.retired_at.is_none() {
                self.retire_older().await?;
            }
            self.keep_alive().await
        };
        if let Err(refused) = done.await {
            tracing::warn!(%refused, key.id = %self.key.id, "what follows an upload is done later");
        }
    }

    /// Keys that this one replaces and that still work.
    async fn spares(&self) -> Result<Vec<SshKey>> {
        let (store, link) = (self.broker.store(), &self.link);
        let keys = store
            .live_keys(&link.user_id, &link.provider_id, Some(&link.id))
            .await?;
        Ok(keys
            .into_iter()
            .filter(|key| key.retired_at.is_some())
            .collect())
    }

    /// Takes the right to sign in from older keys; for old signatures they stay, as the kind says.
    async fn retire_older(&self) -> Result<()> {
        let current = self.broker.store().uploads_of(&self.key.id).await?;
        let others = current
            .iter()
            .filter(|upload| upload.usage != self.usage.as_str());
        // What is still on its way for the new key must arrive before anything of an old one goes.
        let on_its_way = |state| matches!(state, UploadState::Pending | UploadState::Unknown);
        if others.into_iter().any(|upload| on_its_way(upload.state)) {
            return Ok(());
        }
        for key in self.spares().await? {
            self.retire(&key).await?;
        }
        Ok(())
    }

    async fn retire(&self, key: &SshKey) -> Result<()> {
        let store = self.broker.store();
        let uploads = store.uploads_of(&key.id).await?;
        let signing = uploads
            .iter()
            .any(|upload| upload.usage == Usage::Signing.as_str());
        let mut wanted = Vec::new();
        for upload in &uploads {
            if upload.usage != Usage::Signing.as_str() && upload.wanted == Wanted::Present {
                wanted.push(self.want(key, &upload.usage, Wanted::Absent));
            }
        }
        if let (Some(usage), false, false) = (
            self.provider.kind.retired_usage(),
            signing,
            wanted.is_empty(),
        ) {
            wanted.push(self.want(key, usage.as_str(), Wanted::Present));
        }
        for upload in wanted {
            store.put_upload(&upload).await?;
        }
        Ok(())
    }

    fn want(&self, key: &SshKey, usage: &str, wanted: Wanted) -> WantedUpload {
        WantedUpload {
            id: UploadId(random_id("upl")),
            key_id: key.id.clone(),
            usage: usage.to_owned(),
            wanted,
            state: UploadState::Pending,
            due_at: Some(self.now),
        }
    }

    async fn keep_alive(&self) -> Result<()> {
        let grants = self.broker.store().grants_of(&self.link.id).await?;
        for grant in grants.iter().filter(|grant| grant.refresh.is_some()) {
            let in_hands = grant.handed_at.is_some_and(|at| self.now - at < DAY_S);
            if self.now - grant.obtained_at > IDLE_S && !in_hands {
                let need = Need::other_than(&grant.token_id, 0);
                self.broker.fresh(&self.provider, grant, &need).await?;
            }
        }
        Ok(())
    }

    fn failed(&self, upload: &Upload, error: &SendError) -> Seen {
        let page = self
            .provider
            .kind
            .key_page(&self.provider.site)
            .map(String::from);
        failed(upload, error, page, self.now)
    }
}

/// What a failed call makes of an upload.
fn failed(upload: &Upload, error: &SendError, page: Option<String>, now: i64) -> Seen {
    let wait = back_off(upload.failures, retry_after(error));
    let (state, wait, page) = match error {
        SendError::Refused(Refusal::NeedsAuthorization { page: own, .. }) => {
            let page = own.as_ref().map(|url| url.as_str().to_owned()).or(page);
            (UploadState::NeedsAuthorization, wait.max(HOUR_S), page)
        }
        SendError::Refused(Refusal::KeyRefused(_) | Refusal::DuplicateKey) => {
            (UploadState::Refused, wait.max(DAY_S), page)
        }
        SendError::Refused(Refusal::MissingScope(_) | Refusal::Blocked(_)) => {
            (UploadState::Refused, wait.max(HOUR_S), page)
        }
        // What was there is most likely still there.
        _ => (UploadState::Unknown, wait, None),
    };
    Seen {
        state,
        remote_id: None,
        expires_at: upload.expires_at,
        reason: Some(error.to_string()),
        page,
        due_at: Some(now + wait),
        failures: upload.failures + 1,
        answered: matches!(error, SendError::Refused(_)),
    }
}

/// The provider was not asked, for want of a token.
fn unasked(upload: &Upload, refused: &Refused, now: i64) -> Seen {
    let wait = match refused.kind {
        // A new link looks at its uploads at once.
        RefusedKind::LinkDead => DAY_S,
        _ => back_off(upload.failures, refused.retry_after_s),
    };
    Seen {
        state: UploadState::Unknown,
        remote_id: None,
        expires_at: upload.expires_at,
        reason: Some(refused.detail.clone()),
        page: None,
        due_at: Some(now + wait),
        failures: upload.failures + 1,
        answered: false,
    }
}

fn absent() -> Seen {
    Seen {
        due_at: None,
        ..absent_for_now()
    }
}

fn absent_for_now() -> Seen {
    Seen {
        state: UploadState::Absent,
        remote_id: None,
        expires_at: None,
        reason: None,
        page: None,
        due_at: None,
        failures: 0,
        answered: true,
    }
}

fn entry(action: &'static str, words: String, key: &SshKey) -> Entry {
    Entry::new(action, words)
        .by(&key.user_id)
        .at(&key.provider_id)
}
