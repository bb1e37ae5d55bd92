//! The use cases: sign in, link, refresh, hand out a credential, sign, reconcile uploads.
//!
//! Everything starts at a [`Broker`]. It turns a bearer token into an authority, [`AsUser`] or
//! [`AsWorkspace`], and what may be done is a method of the authority one holds: none takes a user id.
//! This crate sends the only outgoing requests, through one door: [`http::Door`].

mod ask;
mod audit;
mod authority;
mod background;
mod call_in;
mod callback;
mod context;
mod counts;
mod credential;
mod devices;
mod diagnose;
mod dossier;
mod examine;
mod faults;
mod flight;
mod freshness;
mod handouts;
mod held;
pub mod http;
mod journal;
mod keys;
pub mod lifetimes;
mod link;
mod links;
mod matching;
mod mint;
mod overview;
mod providers;
mod reconcile;
mod refresh;
mod refused;
mod report;
mod revoke;
mod rules;
mod sessions;
mod settings;
mod settle;
mod setup;
mod sign;
mod sign_policy;
mod signers;
mod signin;
mod throttle;
mod tokens;
mod unlink;
mod uploads;
mod users;
mod vault;
mod views;
mod workspaces;

use std::sync::Arc;

use tokio::sync::Semaphore;
use url::Url;

pub use audit::EventQuery;
pub use authority::{AsAuditor, AsSiteManager, AsUser, AsWorkspace};
pub use context::ProviderContext;
pub use credential::CredentialGiven;
pub use devices::{DeviceAsk, DeviceBegun, PendingDevice};
pub use diagnose::{Finding, Verdict};
pub use dossier::{Dossier, WorkspaceSeen, WorkspaceState};
pub use forge::GuideStep;
pub use link::{CallbackQuery, LinkOutcome};
pub use matching::CredentialAsk;
pub use overview::{Hour, LinkNumbers, Overview};
pub use providers::{
    Check, Consequences, DraftView, Force, Health, KindView, Proposal, ProviderInput, ProviderView,
    ScannedHostKey, TestReport,
};
pub use refused::{Refused, RefusedKind, Result};
pub use report::{UseOutcome, UseReport};
pub use secrets::{Algorithm, Keyring};
pub use sessions::{ApiTokenView, NewApiToken, SessionView};
pub use settings::{Exception, SSH_ALGORITHMS};
pub use sign::SignAsk;
pub use signin::{InvitationView, NewAccount, NewSession, Visitor};
pub use ssh::agent::Binding;
pub use store::{
    ApiTokenId, Decision, DraftId, EventFilter, EventId, KeyId, LinkId, NamedEvent, ProviderId,
    Role, RuleId, SessionId, Store, UserId, WorkspaceId,
};
pub use unlink::{SigningKeys, UnlinkOptions, Unlinked};
pub use users::{Invitation, Suspended, UserView};
pub use views::{
    GrantView, KeyView, LinkState, LinkStatus, LinkView, OfferedProvider, RuleView, SetupLink,
    SetupProvider, SetupView,
};
pub use workspaces::{NewWorkspace, UnboundSsh, WorkspaceView};

/// What the broker must be told; the configuration file says it.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// The console's address; callback, guides and device pages are below it.
    pub public_url: Url,
    /// What this deployment is called, in guides and in the titles of keys at providers.
    pub deployment: String,
    /// Our own version, for the `User-Agent` of outgoing requests.
    pub version: String,
    /// The HTTP proxy for providers that are not internal, where the network demands one.
    pub proxy: Option<Url>,
    /// Longest life of a workspace token, seconds.
    pub workspace_ttl_s: i64,
}

impl BrokerConfig {
    /// The configuration of a deployment at `public_url` with every default.
    pub fn new(public_url: Url) -> Self {
        Self {
            deployment: "Forgepass".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            proxy: None,
            workspace_ttl_s: lifetimes::WORKSPACE,
            public_url,
        }
    }

    /// An absolute address of the console; `path` begins with a slash.
    pub fn page(&self, path: &str) -> String {
        format!("{}{path}", self.public_url.as_str().trim_end_matches('/'))
    }

    /// The one callback of every provider.
    pub fn callback(&self) -> Result<Url> {
        Url::parse(&self.page("/oauth/callback")).map_err(Refused::internal)
    }
}

/// The use cases over one database. Cheap to clone.
#[derive(Clone)]
pub struct Broker {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    keyring: Keyring,
    door: http::Door,
    config: BrokerConfig,
    /// RSA pairs take seconds of a whole core: two at a time.
    rsa: Semaphore,
    /// Argon2id takes 19 MiB a time: a burst of sign-ins must not take the machine's memory.
    passwords: Semaphore,
    refreshes: tokens::Refreshes,
    handouts: handouts::Handouts,
    journal: journal::Journal,
    counts: counts::Kept,
}

impl Broker {
    /// A broker over `store`, whose secrets `keyring` opens.
    pub fn new(store: Store, keyring: Keyring, config: BrokerConfig) -> Self {
        let door = http::Door::new(store.clone(), &config);
        let (rsa, passwords) = (Semaphore::new(2), Semaphore::new(4));
        Self {
            inner: Arc::new(Inner {
                store,
                keyring,
                door,
                config,
                rsa,
                passwords,
                refreshes: tokens::Refreshes::new(),
                handouts: handouts::Handouts::default(),
                journal: journal::Journal::default(),
                counts: counts::Kept::default(),
            }),
        }
    }

    /// The deployment's configuration.
    pub fn config(&self) -> &BrokerConfig {
        &self.inner.config
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.inner.keyring
    }

    pub(crate) fn refreshes(&self) -> &tokens::Refreshes {
        &self.inner.refreshes
    }

    pub(crate) fn journal(&self) -> &journal::Journal {
        &self.inner.journal
    }

    pub(crate) fn kept_counts(&self) -> &counts::Kept {
        &self.inner.counts
    }

    pub(crate) fn handouts(&self) -> &handouts::Handouts {
        &self.inner.handouts
    }

    pub(crate) fn door(&self) -> &http::Door {
        &self.inner.door
    }

    /// The database's clock, unix seconds.
    pub async fn now(&self) -> Result<i64> {
        Ok(self.store().now().await?)
    }

    /// Runs `work` off the async threads.
    pub(crate) async fn blocking<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        tokio::task::spawn_blocking(work)
            .await
            .map_err(Refused::internal)
    }

    /// Like [`Broker::blocking`], for making RSA pairs: two at a time at most.
    pub(crate) async fn making_rsa<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let _turn = self.inner.rsa.acquire().await.map_err(Refused::internal)?;
        self.blocking(work).await
    }
}
