//! The audit log as a page and as files.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use axum::http::StatusCode;
use broker::Role;
use common::Site;
use serde_json::Value;

const EXPORT: &str = "/manage/audit/export";

/// More users than events are read at a time would take long; their invitations are events enough.
async fn with_events(site: &Site) {
    let mut manager = site.signed_in("ann", Role::SiteManager).await;
    for name in ["bob", "eve"] {
        let form = [("name", name), ("email", ""), ("role", "member")];
        let answer = manager.post("/manage/users", &form).await;
        assert!(!answer.status.is_server_error(), "{}", answer.text);
    }
}

#[tokio::test]
async fn an_export_holds_every_event_that_the_page_shows() {
    let site = Site::new().await;
    with_events(&site).await;
    let mut auditor = site.signed_in("oli", Role::Auditor).await;
    let page = auditor.get("/manage/audit").await.text;
    let shown = page.matches("data-label=\"When\"").count();
    assert!(shown >= 2, "{page}");
    assert!(page.contains("/manage/audit/export?format=csv"), "{page}");

    let csv = auditor.get(&format!("{EXPORT}?format=csv")).await;
    assert_eq!(csv.status, StatusCode::OK);
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(
        csv.header("content-disposition"),
        "attachment; filename=\"audit.csv\""
    );
    let lines: Vec<&str> = csv.text.lines().collect();
    assert_eq!(lines[0], "at,user,workspace,provider,action,detail,count");
    assert_eq!(lines.len(), shown + 1);

    let jsonl = auditor.get(&format!("{EXPORT}?format=jsonl")).await;
    let events: Vec<Value> = jsonl
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events.len(), shown);
    assert!(
        events.iter().any(|event| event["user"] == "ann"),
        "{events:?}"
    );
    let unknown = auditor.get(&format!("{EXPORT}?format=xml")).await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn filters_hold_for_the_page_and_for_the_export() {
    let site = Site::new().await;
    with_events(&site).await;
    let mut auditor = site.signed_in("oli", Role::Auditor).await;
    let all = auditor.get(&format!("{EXPORT}?format=jsonl")).await.text;
    let some = auditor
        .get(&format!("{EXPORT}?format=jsonl&user=ann"))
        .await
        .text;
    assert!(!some.is_empty() && some.lines().count() <= all.lines().count());
    assert!(
        some.lines().all(|line| line.contains("\"user\":\"ann\"")),
        "{some}"
    );
    let first = serde_json::from_str::<Value>(all.lines().next().unwrap()).unwrap();
    let day = first["at"].as_str().unwrap()[..10].to_owned();
    let count = |text: String| text.lines().count();
    let on = |from: &str, until: &str| format!("{EXPORT}?format=jsonl&from={from}&until={until}");
    let that_day = auditor.get(&on(&day, &day)).await.text;
    assert_eq!(count(that_day), count(all.clone()));
    assert_eq!(count(auditor.get(&on("", "2000-01-01")).await.text), 0);
    assert_eq!(count(auditor.get(&on("2999-01-01", "")).await.text), 0);
    // A day that is none is no filter, and no error either.
    assert_eq!(count(auditor.get(&on("soon", "")).await.text), count(all));
    let page = auditor.get("/manage/audit?until=2000-01-01").await.text;
    assert!(page.contains("No event matches"), "{page}");
}

#[tokio::test]
async fn members_export_nothing() {
    let site = Site::new().await;
    let mut member = site.signed_in("bob", Role::Member).await;
    assert_eq!(member.get(EXPORT).await.status, StatusCode::FORBIDDEN);
}
