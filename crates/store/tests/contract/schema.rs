//! What holds for the databases themselves.

use std::os::unix::fs::PermissionsExt as _;

use sqlx::{Connection as _, PgConnection, Row as _, SqliteConnection};
use store::*;

use super::support::{Scratch, sqlite_url};

const REPLICAS: usize = 8;

/// Table, column, type and whether it may be NULL.
type Column = (String, String, String, bool);

async fn sqlite_columns(url: &str) -> Vec<Column> {
    let mut connection = SqliteConnection::connect(url).await.unwrap();
    let rows = sqlx::query(
        "SELECT t.name AS tbl, c.name AS col, c.type AS typ, c.\"notnull\" + c.pk > 0 AS needed
         FROM sqlite_schema t, pragma_table_info(t.name) c
         WHERE t.type = 'table' AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\'
           AND t.name NOT LIKE 'sqlite%'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let mut columns: Vec<Column> = rows
        .iter()
        .map(|row| {
            (
                row.get("tbl"),
                row.get("col"),
                row.get("typ"),
                !row.get::<bool, _>("needed"),
            )
        })
        .collect();
    columns.sort();
    columns
}

async fn postgres_columns(url: &str) -> Vec<Column> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let rows = sqlx::query(
        "SELECT table_name::text AS tbl, column_name::text AS col, upper(data_type) AS typ,
                is_nullable = 'YES' AS nullable
         FROM information_schema.columns
         WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let mut columns: Vec<Column> = rows
        .iter()
        .map(|row| {
            (
                row.get("tbl"),
                row.get("col"),
                row.get("typ"),
                row.get("nullable"),
            )
        })
        .collect();
    columns.sort();
    connection.close().await.unwrap();
    columns
}

#[tokio::test]
async fn both_databases_have_the_same_columns_of_two_types() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = sqlite_url(folder.path().join("forgepass.db"));
    Store::open(&sqlite).await.unwrap().close().await;
    let scratch = Scratch::create().await;
    Store::open(&scratch.url).await.unwrap().close().await;

    let columns = sqlite_columns(&sqlite).await;
    let same = postgres_columns(&scratch.url).await;
    scratch.drop().await;
    assert!(columns.len() > 150, "{}", columns.len());
    assert_eq!(columns, same);
    for (table, column, kind, _) in columns {
        assert!(
            ["TEXT", "BIGINT"].contains(&kind.as_str()),
            "{table}.{column}: {kind}"
        );
        assert!(
            kind == "BIGINT" || !column.ends_with("_at"),
            "{table}.{column}: {kind}"
        );
    }
}

async fn open_at_once(url: &str) {
    let opening: Vec<_> = (0..REPLICAS)
        .map(|_| {
            let url = url.to_owned();
            tokio::spawn(async move { Store::open(&url).await.unwrap() })
        })
        .collect();
    for store in opening {
        let store = store.await.unwrap();
        assert_eq!(store.count_site_managers().await.unwrap(), 0);
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_may_start_at_once_on_a_fresh_sqlite_file() {
    let folder = tempfile::tempdir().unwrap();
    open_at_once(&sqlite_url(folder.path().join("forgepass.db"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_may_start_at_once_on_a_fresh_postgres_database() {
    for options in ["", "?pgbouncer=transaction"] {
        let scratch = Scratch::create().await;
        open_at_once(&format!("{}{options}", scratch.url)).await;
        scratch.drop().await;
    }
}

#[tokio::test]
async fn the_sqlite_file_is_readable_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&sqlite_url(folder.path().join("forgepass.db")))
        .await
        .unwrap();
    store.set_setting("name", "value").await.unwrap();

    let mut files = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        files += 1;
    }
    assert!(files >= 2, "the file and its write-ahead log");
}

#[tokio::test]
async fn behind_pgbouncer_nothing_is_prepared_by_name() {
    let scratch = Scratch::create().await;
    let store = Store::open(&format!("{}?pgbouncer=transaction", scratch.url))
        .await
        .unwrap();
    let plain = Store::open(&scratch.url).await.unwrap();
    for store in [&store, &plain] {
        store.set_setting("name", "value").await.unwrap();
    }

    assert_eq!(store.prepared_statements().await.unwrap(), 0);
    assert!(
        plain.prepared_statements().await.unwrap() > 0,
        "the test can see them"
    );
    scratch.drop().await;
}

#[tokio::test]
async fn refuses_addresses_that_are_not_databases() {
    for url in [
        "mysql://localhost/x",
        "forgepass.db",
        "sqlite:/nonexistent/folder/forgepass.db",
        "postgres://localhost/x?pgbouncer=statement",
        "postgres://localhost:port/x",
    ] {
        let error = Store::open(url).await.unwrap_err();
        assert!(matches!(error, StoreError::Address(_)), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable() {
    let error = Store::open("postgres://ann@127.0.0.1:1/x")
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_backup_is_a_whole_private_database() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&sqlite_url(folder.path().join("forgepass.db")))
        .await
        .unwrap();
    store.set_setting("name", "value").await.unwrap();
    let copy = folder.path().join("copy.db");

    store.backup(&copy).await.unwrap();
    let mode = std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    store.set_setting("name", "later").await.unwrap();
    let error = store.backup(&copy).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Address(_)),
        "nothing is overwritten: {error:?}"
    );
    let restored = Store::open(&sqlite_url(copy)).await.unwrap();
    assert_eq!(
        restored.setting("name").await.unwrap().as_deref(),
        Some("value")
    );
}

#[tokio::test]
async fn postgres_is_backed_up_by_its_own_tools() {
    let scratch = Scratch::create().await;
    let store = Store::open(&scratch.url).await.unwrap();
    let error = store
        .backup(std::path::Path::new("copy.db"))
        .await
        .unwrap_err();
    store.close().await;
    scratch.drop().await;
    assert!(error.to_string().contains("pg_dump"), "{error}");
}

#[tokio::test]
async fn a_connection_that_the_server_dropped_is_replaced() {
    let scratch = Scratch::create().await;
    let store = Store::open(&scratch.url).await.unwrap();
    store.set_setting("name", "value").await.unwrap();
    let mut other = PgConnection::connect(&scratch.url).await.unwrap();
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::query(kill).execute(&mut other).await.unwrap();
    other.close().await.unwrap();

    // A broken connection fails at most the one statement that meets it.
    let mut found = store.setting("name").await;
    for _ in 0..16 {
        if found.is_err() {
            found = store.setting("name").await;
        }
    }
    assert_eq!(found.unwrap().as_deref(), Some("value"));
    store.close().await;
    scratch.drop().await;
}
