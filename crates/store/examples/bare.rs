//! The yardstick of `cargo xtask bench server` and `pages`: axum and one row read from SQLite, as JSON or as a page.

use askama::Template;
use axum::response::Html;
use axum::{Json, Router, extract::State, routing::post};
use serde_json::{Value, json};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};

/// A page that shows the row.
#[derive(Template)]
#[template(
    source = "<!doctype html><html lang=\"en\"><head><title>Bare</title></head>\
              <body><h1>Bare</h1><p>{{ value }}</p></body></html>",
    ext = "html"
)]
struct Page {
    value: String,
}

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
    let router = Router::new()
        .route("/", post(answer).get(page))
        .with_state(pool);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(axum::serve(listener, router).await?)
}

async fn answer(State(pool): State<SqlitePool>, Json(question): Json<Value>) -> Json<Value> {
    Json(json!({ "host": question["host"], "value": value(&pool).await }))
}

async fn page(State(pool): State<SqlitePool>) -> Html<String> {
    let page = Page {
        value: value(&pool).await,
    };
    Html(page.render().unwrap_or_default())
}

async fn value(pool: &SqlitePool) -> String {
    let row: Result<(String,), sqlx::Error> = sqlx::query_as("SELECT value FROM one WHERE id = $1")
        .bind(1)
        .fetch_one(pool)
        .await;
    row.map(|(value,)| value).unwrap_or_default()
}
