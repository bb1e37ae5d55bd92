//! A broker, a stand-in forge and a signed-in user, ready to link.

#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use broker::{
    AsUser, AsWorkspace, Broker, BrokerConfig, CallbackQuery, CredentialAsk, CredentialGiven,
    LinkId, LinkOutcome, LinkState, LinkView, NewAccount, ProviderId, ProviderInput, UnboundSsh,
    Visitor,
};
use secrecy::ExposeSecret;
use secrets::Keyring;
use store::Store;
use testforge::{AppSpec, Forge, Shape};

/// GitLab at the root of its host: single-use refresh tokens and short access tokens.
pub(crate) const GITLAB: Shape = Shape::GitLab { sub_path: "" };
/// A little more than the life of a GitLab token, seconds.
pub(crate) const OVER: i64 = 7300;

/// Every shape with accounts to link.
pub(crate) const LINKABLE: [Shape; 6] = [
    Shape::GitHubCom,
    Shape::GitHubEnterprise,
    GITLAB,
    Shape::GitLab {
        sub_path: "/gitlab",
    },
    Shape::BitbucketServer,
    Shape::BitbucketServerOAuth1,
];

/// Where the console of the broker would be.
pub(crate) const PUBLIC_URL: &str = "http://localhost:7080";

/// One broker and one provider.
pub(crate) struct Stage {
    pub(crate) broker: Broker,
    pub(crate) store: Store,
    pub(crate) forge: Forge,
    pub(crate) ann: AsUser,
    pub(crate) provider: ProviderId,
    pub(crate) client_id: String,
    keyring: secrecy::SecretString,
    _folder: Option<tempfile::TempDir>,
}

/// What is special about a stage.
#[derive(Default)]
pub(crate) struct Special {
    /// Give Git the token that manages keys.
    pub(crate) narrowing_off: bool,
    /// The application's scopes; none: all.
    pub(crate) scopes: &'static [&'static str],
    /// A GitHub App with expiring tokens.
    pub(crate) github_app: bool,
    /// A PostgreSQL database instead of a file.
    pub(crate) database: Option<String>,
}

impl Stage {
    /// The usual stage of a shape; the account `ann` exists there.
    pub(crate) async fn new(shape: Shape) -> Self {
        Self::special(shape, Special::default()).await
    }

    pub(crate) async fn special(shape: Shape, special: Special) -> Self {
        let (store, folder) = match &special.database {
            Some(url) => (Store::open(url).await.unwrap(), None),
            None => {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite:{}", folder.path().join("forgepass.db").display());
                (Store::open(&url).await.unwrap(), Some(folder))
            }
        };
        let keyring = Keyring::generate();
        let text = keyring.to_text();
        let broker = new_broker(&store, &text);
        let ann = site_manager(&broker).await;
        let forge = testforge::start(shape).await.unwrap();
        forge.add_account("ann");
        let (provider, client_id) = register(&ann, &forge, &special).await;
        Self {
            broker,
            store,
            forge,
            ann,
            provider,
            client_id,
            keyring: text,
            _folder: folder,
        }
    }

    /// Another broker over the same database, as another replica has it.
    pub(crate) async fn replica(&self, database: &str) -> (Broker, Store) {
        let store = Store::open(database).await.unwrap();
        (new_broker(&store, &self.keyring), store)
    }

    /// Links the account of this login, with every consent approved.
    pub(crate) async fn link_as(&self, login: &str) -> LinkView {
        match self.walk(self.begin(None).await, login).await.unwrap() {
            LinkOutcome::Linked(link) => link,
            other => panic!("not linked: {other:?}"),
        }
    }

    pub(crate) async fn link(&self) -> LinkView {
        self.link_as("ann").await
    }

    pub(crate) async fn begin(&self, relink: Option<&LinkId>) -> String {
        self.ann
            .begin_link(self.provider.as_str(), relink)
            .await
            .unwrap()
            .to_string()
    }

    /// Approves whatever is asked, until the link is done.
    pub(crate) async fn walk(&self, url: String, login: &str) -> broker::Result<LinkOutcome> {
        let mut back = self.forge.approve(&url, login).await.unwrap();
        loop {
            match self.ann.finish_link(callback(&back)).await? {
                LinkOutcome::SecondConsent(url) => {
                    back = self.forge.approve(url.as_str(), login).await.unwrap();
                }
                done => return Ok(done),
            }
        }
    }

    /// A workspace of the user.
    pub(crate) async fn workspace(&self) -> AsWorkspace {
        workspace_of(&self.broker, &self.ann).await
    }

    /// What Git asks for a repository of the forge.
    pub(crate) fn ask(&self) -> CredentialAsk {
        let url = url::Url::parse(self.forge.url()).unwrap();
        let host = match url.port() {
            Some(port) => format!("{}:{port}", url.host_str().unwrap()),
            None => url.host_str().unwrap().to_owned(),
        };
        let path = format!("{}/ann/app.git", url.path().trim_matches('/'));
        CredentialAsk {
            protocol: "https".into(),
            host,
            path: Some(path.trim_start_matches('/').to_owned()),
            ..CredentialAsk::default()
        }
    }

    /// The key ring, for another replica.
    pub(crate) fn keyring(&self) -> secrecy::SecretString {
        self.keyring.clone()
    }

    /// Enters a new client secret, as a site manager does.
    pub(crate) async fn enter_secret(&self, secret: &str) {
        let manager = self.ann.site_manager().unwrap();
        let old = manager.provider(&self.provider).await.unwrap();
        let input = ProviderInput {
            kind: old.kind,
            name: old.name,
            url: self.forge.url().into(),
            client_id: old.client_id,
            client_secret: Some(secret.into()),
            ssh_addresses: Some(old.ssh_addresses),
            host_keys: Some(old.host_keys),
            ca_pem: old.ca_pem,
            internal: true,
            confirm: true,
            ..ProviderInput::default()
        };
        manager
            .change_provider(&self.provider, input)
            .await
            .unwrap();
    }

    /// Moves every clock on.
    pub(crate) async fn advance(&self, seconds: i64) {
        self.store.advance(seconds).await.unwrap();
        self.forge.advance(seconds);
    }

    /// Lines of the audit log whose action begins so, newest first.
    pub(crate) async fn events(&self, action: &str) -> Vec<String> {
        self.broker.flush().await;
        let filter = broker::EventFilter {
            action: Some(action.to_owned()),
            ..Default::default()
        };
        let events = self
            .ann
            .auditor()
            .unwrap()
            .events(&filter, None, 500)
            .await
            .unwrap();
        events.into_iter().map(|named| named.event.detail).collect()
    }
}

pub(crate) fn new_broker(store: &Store, keyring: &secrecy::SecretString) -> Broker {
    let config = BrokerConfig::new(PUBLIC_URL.parse().unwrap());
    Broker::new(store.clone(), Keyring::from_text(keyring).unwrap(), config)
}

/// The first site manager, signed in by a browser.
pub(crate) async fn site_manager(broker: &Broker) -> AsUser {
    let link = broker.setup_link().await.unwrap().unwrap();
    let token = token_of(&link);
    let account = NewAccount {
        name: "ann".into(),
        email: Some("ann@example.com".into()),
        password: "correct horse battery".into(),
    };
    let session = broker
        .complete_setup(&token, account, &Visitor::default())
        .await
        .unwrap();
    broker.session(&session.token).await.unwrap()
}

/// The token of a one-time link.
pub(crate) fn token_of(link: &secrecy::SecretString) -> secrecy::SecretString {
    let url = url::Url::parse(link.expose_secret()).unwrap();
    let token = url
        .query_pairs()
        .find(|(name, _)| name == "token")
        .unwrap()
        .1
        .into_owned();
    token.into()
}

pub(crate) async fn workspace_of(broker: &Broker, user: &AsUser) -> AsWorkspace {
    let new = user
        .add_workspace("box", None, UnboundSsh::Denied)
        .await
        .unwrap();
    broker.workspace(&new.token, None).await.unwrap()
}

/// Registers the forge as a provider, with an application of its own.
pub(crate) async fn register(
    ann: &AsUser,
    forge: &Forge,
    special: &Special,
) -> (ProviderId, String) {
    let manager = ann.site_manager().unwrap();
    let mut input = ProviderInput {
        kind: kind_of(forge.shape()).into(),
        name: "Forge".into(),
        url: forge.url().into(),
        api_url: (forge.shape() == Shape::GitHubCom).then(|| forge.api_url().to_owned()),
        ssh_addresses: Some(vec![forge.ssh_address().to_owned()]),
        host_keys: Some(vec![forge.ssh_host_key().to_owned()]),
        ca_pem: Some(forge.ca_pem()),
        internal: true,
        narrowing_off: special.narrowing_off,
        ..ProviderInput::default()
    };
    match input.kind.as_str() {
        "bitbucket-server-oauth1" => {
            let draft = manager.make_draft(&input.kind).await.unwrap();
            forge
                .register_consumer("forgepass", "Forgepass", draft.public_key.as_ref().unwrap())
                .unwrap();
            input.client_id = "forgepass".into();
            input.draft = Some(draft.id.as_str().into());
        }
        "azure-repos" | "other-git" => {}
        _ => {
            let mut app = AppSpec::new(&format!("{PUBLIC_URL}/oauth/callback"));
            app.github_app = special.github_app;
            app.scopes = special
                .scopes
                .iter()
                .map(|scope| (*scope).to_owned())
                .collect();
            let (id, secret) = forge.register_app(app).unwrap();
            input.client_id = id;
            input.client_secret = Some(secret.into());
        }
    }
    let client_id = input.client_id.clone();
    let provider = manager.add_provider(input).await.unwrap();
    (provider.id.as_str().into(), client_id)
}

fn kind_of(shape: Shape) -> &'static str {
    match shape {
        Shape::GitHubCom | Shape::GitHubEnterprise => "github",
        Shape::GitLab { .. } => "gitlab",
        Shape::BitbucketServer => "bitbucket-server",
        Shape::BitbucketServerOAuth1 => "bitbucket-server-oauth1",
        Shape::Azure => "azure-repos",
        Shape::OtherGit | Shape::Anonymous => "other-git",
    }
}

/// What the browser brings back.
pub(crate) fn callback(url: &str) -> CallbackQuery {
    let url = url::Url::parse(url).unwrap();
    let mut query = CallbackQuery::default();
    for (name, value) in url.query_pairs() {
        let value = value.into_owned();
        match name.as_ref() {
            "state" => query.state = Some(value.into()),
            "code" => query.code = Some(value.into()),
            "error" => query.error = Some(value),
            "error_description" => query.error_description = Some(value),
            "iss" => query.iss = Some(value),
            "oauth_token" => query.oauth_token = Some(value.into()),
            "oauth_verifier" => query.oauth_verifier = Some(value.into()),
            _ => {}
        }
    }
    query
}

/// A database of its own on the test server; it goes with the server.
pub(crate) fn postgres() -> String {
    #[expect(clippy::disallowed_methods, reason = "only the environment knows the test server")]
    let server = std::env::var("FORGEPASS_TEST_POSTGRES").expect(
        "FORGEPASS_TEST_POSTGRES is not set: run the tests by `cargo xtask test`, which starts a server",
    );
    let name = secrets::random_id("broker");
    let create = format!("CREATE DATABASE {name}");
    let done = std::process::Command::new("psql")
        .args(["-q", &server, "-c", &create])
        .status();
    assert!(done.unwrap().success(), "psql could not make a database");
    let (base, _) = server.rsplit_once('/').unwrap();
    format!("{base}/{name}")
}

/// A stage with a link and a workspace.
pub(crate) async fn linked(shape: Shape) -> (Stage, AsWorkspace) {
    let stage = Stage::new(shape).await;
    stage.link().await;
    let workspace = stage.workspace().await;
    (stage, workspace)
}

pub(crate) async fn give(stage: &Stage, workspace: &AsWorkspace) -> CredentialGiven {
    workspace.credential(&stage.ask()).await.unwrap()
}

pub(crate) async fn refusal(stage: &Stage, workspace: &AsWorkspace) -> broker::Refused {
    workspace.credential(&stage.ask()).await.unwrap_err()
}

pub(crate) async fn link_state(stage: &Stage) -> LinkState {
    stage.ann.links().await.unwrap()[0].state
}

/// Whose token this is, as the forge says; none if it refuses it.
#[expect(clippy::disallowed_methods, reason = "the test does not use our door")]
pub(crate) async fn owner(stage: &Stage, given: &CredentialGiven) -> Option<String> {
    let ca = reqwest::Certificate::from_pem(stage.forge.ca_pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_merge([ca])
        .build()
        .unwrap();
    let url = format!("{}/user", stage.forge.api_url());
    let reply = client
        .get(url)
        .bearer_auth(given.password.expose_secret())
        .send()
        .await
        .unwrap();
    let body: serde_json::Value = reply.json().await.ok()?;
    body["username"].as_str().map(str::to_owned)
}

pub(crate) async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// Makes writes to the grants of a PostgreSQL database fail, or work again.
pub(crate) fn rename(database: &str, from: &str, to: &str) {
    let statement = format!("ALTER TABLE {from} RENAME TO {to}");
    let done = std::process::Command::new("psql")
        .args(["-q", database, "-c", &statement])
        .status();
    assert!(done.unwrap().success());
}

/// Tokens that still open doors at the forge.
pub(crate) fn alive(stage: &Stage) -> usize {
    stage
        .forge
        .tokens()
        .iter()
        .filter(|token| token.alive)
        .count()
}
