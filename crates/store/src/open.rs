//! Opens a database and brings its schema up to date.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::Store;
use crate::clock::Clock;
use crate::db::{Db, Pooler};
use crate::error::{Result, StoreError};

/// Readers of one SQLite file at a time.
const SQLITE_READERS: u32 = 8;
/// Connections of one replica to PostgreSQL.
const POSTGRES_CONNECTIONS: u32 = 16;
/// How long a statement waits for a connection or for another process's lock on the file.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a process waits before it tries again to open a file that another one is opening.
const TURN: Duration = Duration::from_millis(20);
/// A connection that rested no longer is taken without asking the server whether it still
/// stands: asking costs every statement a round trip.
const FRESH: Duration = Duration::from_secs(1);
/// "forgepas" as a number: replicas that start together take turns with this advisory lock.
const MIGRATION_LOCK: i64 = 0x666f_7267_6570_6173;
/// Says that PgBouncer in transaction mode stands before the server.
const POOLER_OPTION: &str = "pgbouncer";

impl Store {
    /// Opens `sqlite:PATH` (made with mode 0600 where it does not exist) or `postgres://…`, and
    /// brings the schema up to date. Many replicas may start at once.
    ///
    /// `?pgbouncer=transaction` in a PostgreSQL address says that a pooler in transaction mode
    /// stands before the server: nothing is then prepared by name.
    pub async fn open(url: &str) -> Result<Self> {
        let begun = Instant::now();
        loop {
            match open(url).await {
                Err(error) if error.is_busy() && begun.elapsed() < PATIENCE => {
                    tokio::time::sleep(TURN).await;
                }
                opened => {
                    let clock = Arc::new(Clock::default());
                    return Ok(Self { db: opened?, clock });
                }
            }
        }
    }

    /// Closes every connection, after what runs on them has ended.
    pub async fn close(&self) {
        match &self.db {
            Db::Sqlite { writer, reader } => {
                reader.close().await;
                writer.close().await;
            }
            Db::Postgres { pool, .. } => pool.close().await,
        }
    }
}

/// Opens a database whose schema is up to date. Where several processes open the same fresh file,
/// the one that turns it into a WAL needs it alone, and SQLite refuses the others at once whatever
/// the busy timeout says, since waiting could be a deadlock
/// (<https://sqlite.org/c3ref/busy_handler.html>): they may try again.
async fn open(url: &str) -> Result<Db> {
    let db = if let Some(path) = url.strip_prefix("sqlite:") {
        open_sqlite(Path::new(path.strip_prefix("//").unwrap_or(path))).await?
    } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        open_postgres(url).await?
    } else {
        return Err(StoreError::Address(
            "the database's address starts with neither sqlite: nor postgres://".to_owned(),
        ));
    };
    migrate(&db).await?;
    Ok(db)
}

async fn open_sqlite(path: &Path) -> Result<Db> {
    create_private(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // A rotated refresh token that a power cut takes back is a dead link: no commit may be lost.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
        .optimize_on_close(true, None);
    let writer = sqlite_pool(1).connect_with(options.clone()).await?;
    let reader = sqlite_pool(SQLITE_READERS).connect_lazy_with(
        options
            .pragma("query_only", "ON")
            .optimize_on_close(false, None),
    );
    Ok(Db::Sqlite { writer, reader })
}

fn sqlite_pool(size: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(size)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// Makes the file readable for its owner alone before SQLite opens it; SQLite gives its
/// write-ahead log the same mode. A file that is there is not touched: to close it again would
/// take this process's own locks off it (<https://sqlite.org/howtocorrupt.html>, section 2.2).
fn create_private(path: &Path) -> Result<()> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(StoreError::Address(
            format!("cannot open the database {}: {error}", path.display()),
        )),
        _ => Ok(()),
    }
}

async fn open_postgres(url: &str) -> Result<Db> {
    let (url, pooler) = split_pooler(url)?;
    let mut options = PgConnectOptions::from_str(&url).map_err(|error| {
        StoreError::Address(format!("the database's address is not understood: {error}"))
    })?;
    if pooler == Pooler::Transaction {
        // Nothing is remembered by name, and PgBouncer refuses start-up parameters it does not know.
        options = options.statement_cache_capacity(0).extra_float_digits(None);
    }
    let pool: PgPool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .before_acquire(|connection, used| {
            Box::pin(async move {
                if used.idle_for > FRESH {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(options)
        .await?;
    Ok(Db::Postgres { pool, pooler })
}

/// Takes our own parameter out of the address, since PostgreSQL does not know it.
fn split_pooler(url: &str) -> Result<(String, Pooler)> {
    let Some((base, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), Pooler::None));
    };
    let mut pooler = Pooler::None;
    let mut kept = Vec::new();
    for parameter in query.split('&') {
        match parameter.split_once('=') {
            Some((POOLER_OPTION, "transaction")) => pooler = Pooler::Transaction,
            Some((POOLER_OPTION, "session")) => pooler = Pooler::None,
            Some((POOLER_OPTION, _)) => {
                return Err(StoreError::Address(
                    "pgbouncer in the database's address is neither transaction nor session"
                        .to_owned(),
                ));
            }
            _ => kept.push(parameter),
        }
    }
    let query = kept.join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    Ok((format!("{base}{mark}{query}"), pooler))
}

/// Runs all migrations in one transaction, which also keeps other replicas out until it ends.
/// `run_direct` is `run` without the bound that makes the futures of all its callers not `Send`
/// ("implementation of `Acquire` is not general enough").
async fn migrate(db: &Db) -> Result<()> {
    let mut migrator = sqlx::migrate!();
    // The migrator's own lock belongs to a connection, which a pooler may take away.
    migrator.set_locking(false);
    // Migrations only add, so the previous release may start on what the next one has added.
    migrator.set_ignore_missing(true);
    match db {
        Db::Sqlite { writer, .. } => migrate_sqlite(&migrator, writer).await,
        Db::Postgres { pool, pooler } => migrate_postgres(&migrator, pool, *pooler).await,
    }
}

async fn migrate_sqlite(migrator: &sqlx::migrate::Migrator, writer: &SqlitePool) -> Result<()> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    migrator.run_direct(None, &mut *transaction, false).await?;
    Ok(transaction.commit().await?)
}

async fn migrate_postgres(
    migrator: &sqlx::migrate::Migrator,
    pool: &PgPool,
    pooler: Pooler,
) -> Result<()> {
    let mut transaction = pool.begin().await?;
    if pooler == Pooler::Transaction {
        // The migrator prepares by name, and an earlier one may have left the same names on the
        // server's connection that we were given.
        sqlx::raw_sql("DEALLOCATE ALL")
            .execute(&mut *transaction)
            .await?;
    }
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .persistent(false)
        .bind(MIGRATION_LOCK)
        .execute(&mut *transaction)
        .await?;
    migrator.run_direct(None, &mut *transaction, false).await?;
    if pooler == Pooler::Transaction {
        sqlx::raw_sql("DEALLOCATE ALL")
            .execute(&mut *transaction)
            .await?;
    }
    Ok(transaction.commit().await?)
}
