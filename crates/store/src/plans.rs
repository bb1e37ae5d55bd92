//! Checks that the two reads of a credential stay fast however many users there are.

use sqlx::Row as _;

use crate::Store;
use crate::db::Db;
use crate::links::LINKS_BY_CONDITION;
use crate::view::{CREDENTIAL_VIEW, KEYS_VIEW, LINKED_VIEW};
use crate::workspaces::WORKSPACE_BY_TOKEN;

/// The steps of a statement, as SQLite plans it.
async fn plan(store: &Store, text: &str) -> Vec<String> {
    let Db::Sqlite { reader, .. } = &store.db else {
        return Vec::new();
    };
    let text = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
    let rows = sqlx::query(text).fetch_all(reader).await.unwrap();
    rows.iter().map(|row| row.get("detail")).collect()
}

#[tokio::test]
async fn a_credential_scans_nothing_but_the_few_providers() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("forgepass.db").display());
    let store = Store::open(&url).await.unwrap();

    for text in [CREDENTIAL_VIEW, WORKSPACE_BY_TOKEN] {
        let steps = plan(&store, text).await;
        assert!(steps.len() > 1, "{steps:?}");
        let scans: Vec<_> = steps
            .iter()
            .filter(|step| step.starts_with("SCAN"))
            .collect();
        assert!(
            scans.iter().all(|step| step.starts_with("SCAN p")),
            "{steps:?}"
        );
        let by_user = |step: &&String| step.starts_with("SEARCH l ") && step.contains("user_id=?");
        assert!(
            text != CREDENTIAL_VIEW || steps.iter().any(|step| by_user(&step)),
            "{steps:?}"
        );
    }
}

#[tokio::test]
async fn the_overview_looks_each_links_grant_up_by_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("forgepass.db").display());
    let store = Store::open(&url).await.unwrap();

    let steps = plan(&store, LINKS_BY_CONDITION).await;
    let by_link = |step: &String| step.starts_with("SEARCH g ") && step.contains("link_id=?");
    assert!(steps.iter().any(by_link), "{steps:?}");
}

#[tokio::test]
async fn the_pages_of_a_user_read_nobody_elses_rows() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("forgepass.db").display());
    let store = Store::open(&url).await.unwrap();

    for text in [LINKED_VIEW, KEYS_VIEW] {
        let steps = plan(&store, text).await;
        let by_user = |step: &String| step.starts_with("SEARCH") && step.contains("user_id=?");
        assert!(steps.iter().any(by_user), "{steps:?}");
        // The few providers are all shown.
        let others = |step: &&String| step.starts_with("SCAN") && !step.starts_with("SCAN p");
        assert_eq!(steps.iter().find(others), None, "{steps:?}");
    }
}
