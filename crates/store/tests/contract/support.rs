//! Opens a fresh database for each test and takes it away afterwards.

use std::future::Future;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::{Connection as _, PgConnection};
use store::Store;

/// Makes one test for each database of each `async fn name(database: Database) { … }`.
macro_rules! on_every_database {
    ($(async fn $name:ident($database:ident: Database) $body:block)*) => {
        $(mod $name {
            #[allow(unused_imports)]
            use super::*;
            use $crate::contract::support::{self, Database};

            async fn promise($database: Database) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                support::on_sqlite(promise).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                support::on_postgres("", promise).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres_behind_pgbouncer() {
                support::on_postgres("?pgbouncer=transaction", promise).await;
            }
        })*
    };
}
pub(crate) use on_every_database;

/// A fresh, open database.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) store: Store,
    pub(crate) url: String,
}

impl Database {
    /// The same database as another replica would open it.
    pub(crate) async fn replica(&self) -> Store {
        Store::open(&self.url).await.unwrap()
    }
}

impl Deref for Database {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

pub(crate) async fn on_sqlite<F>(promise: impl FnOnce(Database) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_url(folder.path().join("forgepass.db"));
    let store = Store::open(&url).await.unwrap();
    tokio::spawn(promise(Database { store, url }))
        .await
        .unwrap();
}

pub(crate) fn sqlite_url(path: PathBuf) -> String {
    format!("sqlite:{}", path.display())
}

pub(crate) async fn on_postgres<F>(options: &str, promise: impl FnOnce(Database) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let scratch = Scratch::create().await;
    let url = format!("{}{options}", scratch.url);
    let store = Store::open(&url).await.unwrap();
    let outcome = tokio::spawn(promise(Database { store, url })).await;
    scratch.drop().await;
    outcome.unwrap();
}

/// A database of its own on the server that the tests were given.
pub(crate) struct Scratch {
    server: String,
    name: String,
    pub(crate) url: String,
}

impl Scratch {
    pub(crate) async fn create() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let server = server();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("store_contract_{}_{number}", std::process::id());
        let (base, _) = server.rsplit_once('/').unwrap();
        let url = format!("{base}/{name}");
        let scratch = Self { server, name, url };
        scratch.run("DROP DATABASE IF EXISTS").await;
        scratch.run("CREATE DATABASE").await;
        scratch
    }

    pub(crate) async fn drop(self) {
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        execute(&self.server, statement).await;
    }

    async fn run(&self, what: &str) {
        execute(&self.server, format!("{what} {}", self.name)).await;
    }
}

async fn execute(server: &str, statement: String) {
    let mut connection = PgConnection::connect(server).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

#[expect(
    clippy::disallowed_methods,
    reason = "only the environment knows the test server"
)]
fn server() -> String {
    std::env::var("FORGEPASS_TEST_POSTGRES").expect(
        "FORGEPASS_TEST_POSTGRES is not set: run the tests by `cargo xtask test`, which starts a \
         PostgreSQL server",
    )
}
