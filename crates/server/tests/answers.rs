//! What every answer carries: headers, cookies, and errors in one shape with a support id.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use broker::Role;
use common::Site;
use serde_json::json;

#[tokio::test]
async fn every_answer_tells_the_browser_what_not_to_do() {
    let site = Site::new().await;
    for path in [
        "/login",
        "/nothing-here",
        "/api/v1/meta",
        "/api/v1/me",
        "/healthz",
    ] {
        let answer = site.browser().get(path).await;
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'"),
            "{path}: {policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(policy.contains("form-action 'self';"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(
            answer.header(header::X_CONTENT_TYPE_OPTIONS),
            "nosniff",
            "{path}"
        );
        assert_eq!(
            answer.header(header::REFERRER_POLICY),
            "same-origin",
            "{path}"
        );
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store", "{path}");
        assert_eq!(
            answer.header(header::STRICT_TRANSPORT_SECURITY),
            "",
            "{path}: plain http"
        );
    }
}

#[tokio::test]
async fn https_brings_strict_transport_and_a_bound_cookie() {
    let site = Site::at("https://forgepass.example.com").await;
    let mut browser = site.browser();
    let answer = browser.get("/login").await;
    assert_eq!(
        answer.header(header::STRICT_TRANSPORT_SECURITY),
        "max-age=31536000"
    );
    let invitation = site
        .broker
        .add_user_as_owner("ann", None, Role::Member)
        .await
        .unwrap();
    let token = common::token_of(secrecy::ExposeSecret::expose_secret(&invitation.url));
    let form = [("token", token.as_str()), ("password", common::PASSWORD)];
    let answer = browser.post("/invitation", &form).await;
    let cookie = answer.header(header::SET_COOKIE);
    assert!(cookie.starts_with("__Host-forgepass=fpb_"), "{cookie}");
    for attribute in ["; Path=/;", "; HttpOnly", "; SameSite=Lax", "; Secure"] {
        assert!(cookie.contains(attribute), "{attribute}: {cookie}");
    }
    assert!(!cookie.contains("Domain"));
}

#[tokio::test]
async fn problems_of_the_api_have_one_shape() {
    let site = Site::new().await;
    site.signed_in("ann", Role::Member).await;
    let ann = site.script("ann").await;
    let wrong = json!({"name": "ci"});
    let cases = [
        (
            site.stranger().get("/api/v1/me").await,
            401,
            "unauthenticated",
        ),
        (ann.get("/api/v1/users").await, 403, "forbidden"),
        (ann.get("/api/v1/nothing").await, 404, "not-found"),
        (
            ann.call(Method::DELETE, "/api/v1/sessions/ses_x", None)
                .await,
            404,
            "not-found",
        ),
        (
            ann.call(Method::PUT, "/api/v1/me", None).await,
            405,
            "invalid",
        ),
        (ann.post("/api/v1/tokens", &wrong).await, 422, "invalid"),
        (
            ann.post("/api/v1/tokens", &json!({"name": "ci", "ttl_s": 1}))
                .await,
            400,
            "invalid",
        ),
    ];
    for (answer, status, code) in cases {
        assert_eq!(
            answer.header(header::CONTENT_TYPE),
            "application/problem+json",
            "{code}"
        );
        let problem = answer.json::<::api::Problem>();
        assert_eq!(
            (answer.status.as_u16(), problem.code.as_str()),
            (status, code),
            "{problem:?}"
        );
        assert_eq!(problem.status, status);
        assert_eq!(problem.type_uri, "about:blank");
        assert!(
            !problem.detail.ends_with('.') && !problem.detail.is_empty(),
            "{problem:?}"
        );
        let id = problem.support_id.unwrap();
        assert_eq!(id.len(), 36, "{id}");
    }
}

#[tokio::test]
async fn a_malformed_body_is_told_by_field() {
    let site = Site::new().await;
    site.signed_in("ann", Role::Member).await;
    let ann = site.script("ann").await;
    let problem = ann
        .post("/api/v1/tokens", &json!({"name": "ci"}))
        .await
        .json::<::api::Problem>();
    assert!(problem.detail.contains("ttl_s"), "{}", problem.detail);
}

#[tokio::test]
async fn an_error_page_has_its_own_words_and_a_support_id() {
    let site = Site::new().await;
    let mut browser = site.signed_in("ann", Role::Member).await;
    let missing = browser.get("/nothing-here").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert!(missing.text.contains("<h1>Not found</h1>"));
    assert!(missing.text.contains("There is nothing at this address."));
    assert!(missing.text.contains("Support id"));
    let forbidden = browser.get("/manage/users").await;
    assert!(forbidden.text.contains("<h1>Not allowed</h1>"));
    assert!(
        forbidden.text.contains("Sign out"),
        "the frame shows who is signed in"
    );
}

#[tokio::test]
async fn a_support_id_is_ours_alone() {
    let site = Site::new().await;
    let request = Request::builder()
        .uri("/nothing-here")
        .header("x-request-id", "chosen-by-the-client")
        .body(Body::empty())
        .unwrap();
    let answer = site.send(request).await;
    assert!(answer.text.contains("Support id") && !answer.text.contains("chosen-by-the-client"));
}

#[tokio::test]
async fn assets_keep_for_ever_under_the_name_of_their_content() {
    let site = Site::new().await;
    let page = site.browser().get("/login").await.text;
    let start = page.find("/assets/").unwrap();
    let path = &page[start..][..page[start..].find('"').unwrap()];
    let answer = site.browser().get(path).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.header(header::CACHE_CONTROL),
        "public, max-age=31536000, immutable"
    );
    let other = site
        .browser()
        .get("/assets/forgepass-0000000000000000.css")
        .await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn bearer_calls_are_let_in_from_other_sites_and_cookies_are_not() {
    let site = Site::new().await;
    let browser = site.signed_in("ann", Role::Member).await;
    let token = site.script("ann").await.token.unwrap();
    let request = |credential: (header::HeaderName, String)| {
        Request::builder()
            .method(Method::POST)
            .uri("/api/v1/tokens")
            .header(credential.0, credential.1)
            .header(header::ORIGIN, "https://tools.example.com")
            .header("sec-fetch-site", "cross-site")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(json!({"name": "ci", "ttl_s": 3600}).to_string()))
            .unwrap()
    };
    let called = site
        .send(request((header::AUTHORIZATION, format!("Bearer {token}"))))
        .await;
    assert_eq!(called.status, StatusCode::CREATED);
    let cookie = format!("forgepass={}", browser.cookies["forgepass"]);
    let forged = site.send(request((header::COOKIE, cookie.clone()))).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let mut both = request((header::COOKIE, cookie));
    both.headers_mut()
        .insert(header::AUTHORIZATION, "Bearer nonsense".parse().unwrap());
    assert_eq!(
        site.send(both).await.status,
        StatusCode::UNAUTHORIZED,
        "no falling back"
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let site = Site::new().await;
    site.signed_in("ann", Role::Member).await;
    let ann = site.script("ann").await;
    let answer = ann
        .post(
            "/api/v1/tokens",
            &json!({"name": "x".repeat(2 * 1024 * 1024)}),
        )
        .await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.json::<::api::Problem>().code, "invalid");
}
