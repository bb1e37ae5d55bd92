//! The yardstick of `cargo xtask bench server`: axum, JSON in and out, one row read from SQLite.

use axum::{Json, Router, extract::State, routing::post};
use serde_json::{Value, json};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("bare.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePoolOptions::new().connect_with(options).await?;
    sqlx::query("CREATE TABLE one (id BIGINT PRIMARY KEY, value TEXT NOT NULL)")
        .execute(&pool)
        .await?;
    sqlx::query("INSERT INTO one VALUES (1, 'value')")
        .execute(&pool)
        .await?;
    let router = Router::new().route("/", post(answer)).with_state(pool);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(axum::serve(listener, router).await?)
}

async fn answer(State(pool): State<SqlitePool>, Json(question): Json<Value>) -> Json<Value> {
    let row: Result<(String,), sqlx::Error> = sqlx::query_as("SELECT value FROM one WHERE id = $1")
        .bind(1)
        .fetch_one(&pool)
        .await;
    let value = row.map(|(value,)| value).unwrap_or_default();
    Json(json!({ "host": question["host"], "value": value }))
}
