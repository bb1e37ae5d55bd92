//! Who may open what: every page of the table and every operation of the API document.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use axum::http::{Method, StatusCode};
use broker::Role;
use common::{Answer, Browser, MACHINE, Site};
use serde_json::json;
use server::{
    api,
    app::{PAGES, PageRoute, Who},
};

/// The route's path with something in place of what varies.
fn filled(path: &str) -> String {
    let mut filled = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        filled.push_str("any");
        rest = after.split_once('}').unwrap().1;
    }
    filled + rest
}

async fn open(browser: &mut Browser<'_>, route: &PageRoute) -> Answer {
    match route.method {
        "get" => browser.get(&filled(route.path)).await,
        "post" => browser.post(&filled(route.path), &[]).await,
        other => panic!("unknown method {other}"),
    }
}

#[test]
fn everything_under_manage_is_for_managers_or_auditors() {
    let lax = PAGES.iter().find(|route| {
        route.path.starts_with("/manage") && !matches!(route.who, Who::SiteManager | Who::Auditor)
    });
    assert!(lax.is_none(), "{lax:?}");
    let open: Vec<&str> = PAGES
        .iter()
        .filter(|route| route.who == Who::Anyone)
        .map(|route| route.path)
        .collect();
    let expected = [
        "/login",
        "/login",
        "/setup",
        "/setup",
        "/invitation",
        "/invitation",
    ];
    assert_eq!(
        open, expected,
        "a page without sign-in is a decision: name it here"
    );
}

#[tokio::test]
async fn pages_send_strangers_to_the_sign_in() {
    let site = Site::new().await;
    for route in PAGES.iter().filter(|route| route.who != Who::Anyone) {
        let answer = open(&mut site.browser(), route).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{route:?}");
        assert!(
            answer.location().starts_with("/login"),
            "{route:?}: {}",
            answer.location()
        );
    }
}

#[tokio::test]
async fn manage_pages_are_refused_to_members() {
    let site = Site::new().await;
    let mut member = site.signed_in("ann", Role::Member).await;
    for route in PAGES {
        let answer = open(&mut member, route).await;
        let refused = answer.status == StatusCode::FORBIDDEN;
        assert_eq!(
            refused,
            matches!(route.who, Who::SiteManager | Who::Auditor),
            "{route:?}"
        );
        // Signing out would spoil what follows.
        if route.path == "/logout" {
            member = site.signed_in("ann2", Role::Member).await;
        }
    }
}

#[tokio::test]
async fn manage_pages_but_the_audit_are_refused_to_auditors() {
    let site = Site::new().await;
    let mut auditor = site.signed_in("ann", Role::Auditor).await;
    for route in PAGES
        .iter()
        .filter(|route| route.path.starts_with("/manage"))
    {
        let answer = open(&mut auditor, route).await;
        let refused = answer.status == StatusCode::FORBIDDEN;
        assert_eq!(refused, route.who == Who::SiteManager, "{route:?}");
    }
}

#[tokio::test]
async fn site_managers_are_refused_nothing() {
    let site = Site::new().await;
    let mut manager = site.signed_in("ann", Role::SiteManager).await;
    for route in PAGES.iter().filter(|route| route.path != "/logout") {
        let answer = open(&mut manager, route).await;
        assert_ne!(answer.status, StatusCode::FORBIDDEN, "{route:?}");
        assert!(
            !answer.status.is_server_error(),
            "{route:?}: {}",
            answer.text
        );
    }
}

/// One operation of the API document.
struct Operation {
    method: Method,
    path: String,
    tag: String,
}

fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(api::document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &serde_json::Value)| {
        let operations = item
            .as_object()
            .unwrap()
            .iter()
            .map(|(method, operation)| Operation {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                tag: operation["tags"][0].as_str().unwrap_or_default().to_owned(),
            });
        operations.collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// A body that passes each operation's parser, so that the answer is about authority.
fn body(path: &str) -> serde_json::Value {
    match path {
        "/api/v1/provider-drafts" => json!({"kind": "other-git"}),
        "/api/v1/users" => json!({"name": "bob", "role": "member"}),
        "/api/v1/users/{id}" => json!({"role": "member"}),
        "/api/v1/settings/ssh" => json!({"algorithm": "ed25519"}),
        _ => json!({}),
    }
}

#[test]
fn the_api_says_of_every_operation_who_may_call_it() {
    for it in operations() {
        let manages = ["/kinds", "/provider", "/users", "/settings"]
            .iter()
            .any(|path| it.path.starts_with(&format!("/api/v1{path}")));
        let audits = it.path == "/api/v1/events";
        let works = [
            "/workspace",
            "/workspace/setup",
            "/credential",
            "/report",
            "/sign",
        ]
        .iter()
        .any(|path| it.path == format!("/api/v1{path}"));
        let is_open = ["/meta", "/openapi.json", "/device", "/device/token"]
            .iter()
            .any(|path| it.path == format!("/api/v1{path}"));
        let expected = match (manages, audits, works, is_open) {
            (true, ..) => "manage",
            (_, true, ..) => "audit",
            (_, _, true, _) => "workspace",
            (_, _, _, true) => "open",
            _ => "account",
        };
        assert_eq!(it.tag, expected, "{} {}", it.method, it.path);
    }
}

#[tokio::test]
async fn api_operations_refuse_who_may_not_call_them() {
    let site = Site::new().await;
    site.signed_in("member", Role::Member).await;
    site.signed_in("auditor", Role::Auditor).await;
    let (member, auditor) = (site.script("member").await, site.script("auditor").await);
    for it in operations() {
        let (path, body) = (filled(&it.path), body(&it.path));
        let what = format!("{} {}", it.method, it.path);
        let status = |answer: Answer| answer.status;
        let called = status(
            site.stranger()
                .call(it.method.clone(), &path, Some(&body))
                .await,
        );
        assert_eq!(
            called == StatusCode::UNAUTHORIZED,
            it.tag != "open",
            "stranger: {what}"
        );
        let called = status(member.call(it.method.clone(), &path, Some(&body)).await);
        let refused = matches!(it.tag.as_str(), "manage" | "audit");
        assert_eq!(
            called == StatusCode::FORBIDDEN,
            refused,
            "member: {what}: {called}"
        );
        let called = status(auditor.call(it.method.clone(), &path, Some(&body)).await);
        assert_eq!(
            called == StatusCode::FORBIDDEN,
            it.tag == "manage",
            "auditor: {what}: {called}"
        );
    }
}

#[tokio::test]
async fn a_workspace_token_opens_its_own_operations_alone() {
    let site = Site::new().await;
    site.signed_in("ann", Role::SiteManager).await;
    let new = site
        .script("ann")
        .await
        .post("/api/v1/workspaces", &json!({"name": "ci"}))
        .await
        .json::<::api::WorkspaceToken>();
    let workspace = common::Script {
        site: &site,
        token: Some(new.token),
        machine: Some(MACHINE),
    };
    for it in operations()
        .into_iter()
        .filter(|it| it.path != "/api/v1/workspace")
    {
        let (path, body) = (filled(&it.path), body(&it.path));
        let called = workspace
            .call(it.method.clone(), &path, Some(&body))
            .await
            .status;
        let refused = matches!(it.tag.as_str(), "manage" | "audit" | "account");
        assert_eq!(
            called == StatusCode::FORBIDDEN,
            refused,
            "{} {}: {called}",
            it.method,
            it.path
        );
    }
    let status = workspace
        .get("/api/v1/workspace")
        .await
        .json::<::api::WorkspaceStatus>();
    assert_eq!(
        (status.user.as_str(), status.workspace.name.as_str()),
        ("ann", "ci")
    );
}

#[tokio::test]
async fn a_token_on_a_page_is_no_sign_in() {
    let site = Site::new().await;
    site.signed_in("ann", Role::SiteManager).await;
    let answer = site.script("ann").await.get("/manage/users").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}
