//! A site with its own database for one test.

use broker::{
    AsSiteManager, AsUser, Broker, BrokerConfig, EventFilter, NewAccount, NewSession,
    ProviderInput, Refused, RefusedKind, Result, Role, UserId, Visitor,
};
use secrecy::{ExposeSecret, SecretString};
use secrets::{Keyring, random_id};
use store::{Link, LinkId, ProviderId, Store};
use tempfile::TempDir;
use url::Url;

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const START: i64 = 1_700_000_000;

pub(crate) struct Site {
    pub(crate) broker: Broker,
    pub(crate) store: Store,
    key_text: SecretString,
    folder: TempDir,
}

impl Site {
    /// A fresh site; its clock stands at [`START`].
    pub(crate) async fn fresh() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&url_of(&folder)).await.unwrap();
        store.set_now(Some(START));
        let keyring = Keyring::generate();
        let key_text = keyring.to_text();
        let broker = Broker::new(store.clone(), keyring, config());
        Self {
            broker,
            store,
            key_text,
            folder,
        }
    }

    /// A fresh site with the site manager `root`.
    pub(crate) async fn managed() -> (Self, AsSiteManager) {
        let site = Self::fresh().await;
        let link = site.broker.setup_link().await.unwrap().unwrap();
        let session = site.set_up(&token_of(&link), "root").await.unwrap();
        let root = site.broker.session(&session.token).await.unwrap();
        (site, root.site_manager().unwrap())
    }

    /// A second server on the same database.
    pub(crate) async fn replica(&self) -> Broker {
        let store = Store::open(&url_of(&self.folder)).await.unwrap();
        store.set_now(Some(self.store.now().await.unwrap()));
        Broker::new(store, Keyring::from_text(&self.key_text).unwrap(), config())
    }

    pub(crate) async fn set_up(&self, token: &SecretString, name: &str) -> Result<NewSession> {
        let password = PASSWORD.into();
        let account = NewAccount {
            name: name.into(),
            email: None,
            password,
        };
        self.broker.complete_setup(token, account, &visitor()).await
    }

    /// Adds a user and signs them in.
    pub(crate) async fn user(&self, manager: &AsSiteManager, name: &str, role: Role) -> AsUser {
        let session = self.session(manager, name, role).await;
        self.broker.session(&session.token).await.unwrap()
    }

    pub(crate) async fn session(
        &self,
        manager: &AsSiteManager,
        name: &str,
        role: Role,
    ) -> NewSession {
        let invited = manager.add_user(name, None, role).await.unwrap();
        let token = token_of(&invited.url);
        self.broker
            .accept_invitation(&token, PASSWORD.into(), &visitor())
            .await
            .unwrap()
    }

    pub(crate) async fn sign_in(&self, name: &str, password: &str) -> Result<NewSession> {
        self.broker
            .sign_in(name, &password.into(), &visitor())
            .await
    }

    /// A link as if it had been made, without tokens.
    pub(crate) async fn link(&self, user: &UserId, provider: &ProviderId, account: &str) -> LinkId {
        let link = Link {
            id: LinkId(random_id("lnk")),
            user_id: user.clone(),
            provider_id: provider.clone(),
            account_id: account.to_owned(),
            login: account.to_owned(),
            name: None,
            email: None,
            emails: Vec::new(),
            noreply: None,
            created_at: START,
            last_used_at: None,
            dead_at: None,
            dead_reason: None,
            unlinking_at: None,
        };
        self.store.add_link(&link).await.unwrap().id
    }

    /// Every event, oldest first, as `action: detail`.
    pub(crate) async fn events(&self, manager: &AsUser) -> Vec<String> {
        let auditor = manager.auditor().unwrap();
        let mut events = auditor
            .events(&EventFilter::default(), None, 500)
            .await
            .unwrap();
        events.reverse();
        events
            .iter()
            .map(|it| format!("{}: {}", it.event.action, it.event.detail))
            .collect()
    }

    /// Every byte that lies in the database's files.
    pub(crate) fn database(&self) -> String {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        files
            .map(|file| {
                String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap()).into()
            })
            .collect::<Vec<String>>()
            .concat()
    }
}

fn url_of(folder: &TempDir) -> String {
    format!("sqlite:{}", folder.path().join("forgepass.db").display())
}

pub(crate) fn config() -> BrokerConfig {
    BrokerConfig::new(Url::parse("https://forgepass.example.com").unwrap())
}

pub(crate) fn visitor() -> Visitor {
    Visitor {
        address: "192.0.2.7".into(),
        agent: "Browser/1".into(),
    }
}

/// The token in a one-time page's address.
pub(crate) fn token_of(page: &SecretString) -> SecretString {
    page.expose_secret().split_once("token=").unwrap().1.into()
}

#[track_caller]
pub(crate) fn refused<T>(outcome: Result<T>, kind: RefusedKind) -> Refused {
    match outcome {
        Err(refused) if refused.kind == kind => refused,
        Err(refused) => panic!("refused otherwise: {refused:?}"),
        Ok(_) => panic!("not refused"),
    }
}

/// A GitLab that nobody asks.
pub(crate) fn gitlab() -> ProviderInput {
    ProviderInput {
        kind: "gitlab".into(),
        name: "GitLab".into(),
        url: "https://git.example.com/gitlab".into(),
        client_id: "app-1".into(),
        client_secret: Some("s3cret-of-the-app".into()),
        ..ProviderInput::default()
    }
}
