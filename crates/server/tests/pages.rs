//! What people do on the console's pages, each through the real router.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use axum::http::StatusCode;
use broker::Role;
use common::{MACHINE, PASSWORD, Script, Site, token_of};
use secrecy::ExposeSecret;
use serde_json::json;

#[tokio::test]
async fn the_set_up_link_makes_the_first_site_manager_once() {
    let site = Site::new().await;
    let link = site.broker.setup_link().await.unwrap().unwrap();
    let token = token_of(link.expose_secret());
    let mut browser = site.browser();
    let page = browser.get(&format!("/setup?token={token}")).await;
    assert_eq!(page.status, StatusCode::OK);

    let short = [
        ("token", token.as_str()),
        ("name", "ann"),
        ("password", "short"),
    ];
    let again = browser.post("/setup", &short).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert!(again.text.contains("The password is too short."));
    assert!(
        again.text.contains("value=\"ann\""),
        "what was entered is kept"
    );

    let good = [
        ("token", token.as_str()),
        ("name", "ann"),
        ("password", PASSWORD),
    ];
    let done = browser.post("/setup", &good).await;
    assert_eq!(done.location(), "/manage/admin/git-oauth");
    assert_eq!(
        browser.get("/manage/admin/git-oauth").await.status,
        StatusCode::OK
    );

    let mut thief = site.browser();
    assert_eq!(
        thief.get(&format!("/setup?token={token}")).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        thief.post("/setup", &good).await.status,
        StatusCode::NOT_FOUND
    );
    assert!(site.broker.setup_link().await.unwrap().is_none());
}

#[tokio::test]
async fn signs_in_and_goes_on_to_the_page_that_was_wanted() {
    let site = Site::new().await;
    site.signed_in("ann", Role::Member).await;
    let mut browser = site.browser();
    let asked = browser.get("/preferences/workspaces").await;
    assert_eq!(
        asked.location(),
        "/login?next=%2Fpreferences%2Fworkspaces&ended=1"
    );
    let form = [
        ("name", "ann"),
        ("password", PASSWORD),
        ("next", "/device?code=ABCD-EFGH"),
    ];
    let done = browser.post("/login", &form).await;
    assert_eq!(done.location(), "/device?code=ABCD-EFGH");
    assert_eq!(browser.get("/").await.status, StatusCode::OK);
    assert_eq!(
        browser.get("/login?next=/device").await.location(),
        "/device"
    );

    assert_eq!(browser.post("/logout", &[]).await.location(), "/login");
    assert!(browser.cookies.is_empty());
    assert_eq!(browser.get("/").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn what_a_provider_sent_along_is_not_carried_to_the_sign_in() {
    let site = Site::new().await;
    let answer = site
        .browser()
        .get("/oauth/callback?code=hunter2&state=hunter2")
        .await;
    assert_eq!(answer.location(), "/login?ended=1");
}

#[tokio::test]
async fn a_sign_in_never_leads_to_another_site() {
    let site = Site::new().await;
    site.signed_in("ann", Role::Member).await;
    let elsewhere = [
        "https://evil.example.com/",
        "//evil.example.com/",
        "/\\evil.example.com/",
        "/\t/evil.example.com/",
        "javascript:alert(1)",
        "",
    ];
    for next in elsewhere {
        let form = [("name", "ann"), ("password", PASSWORD), ("next", next)];
        assert_eq!(
            site.browser().post("/login", &form).await.location(),
            "/",
            "{next:?}"
        );
    }
}

#[tokio::test]
async fn a_wrong_password_says_nothing_about_the_name() {
    let site = Site::new().await;
    site.signed_in("ann", Role::Member).await;
    let mut answers = Vec::new();
    for name in ["ann", "bob"] {
        let form = [("name", name), ("password", "wrong password")];
        let answer = site.browser().post("/login", &form).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(answer.text.contains("Name or password is wrong."));
        answers.push(answer.text.replace(name, ""));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn refuses_forms_that_come_from_another_site() {
    let site = Site::new().await;
    let mut browser = site.signed_in("ann", Role::Member).await;
    let form = [("name", "stolen"), ("days", "1")];
    let refused = browser
        .post_from_elsewhere("/preferences/sign-in/tokens", &form)
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(
        refused
            .text
            .contains("This request came from another site.")
    );
    assert!(
        !browser
            .get("/preferences/sign-in")
            .await
            .text
            .contains("stolen")
    );
    let allowed = browser.post("/preferences/sign-in/tokens", &form).await;
    assert_eq!(allowed.status, StatusCode::OK);
}

#[tokio::test]
async fn shows_an_api_token_once_and_lets_it_be_revoked() {
    let site = Site::new().await;
    let mut browser = site.signed_in("ann", Role::Member).await;
    let page = browser
        .post(
            "/preferences/sign-in/tokens",
            &[("name", "ci"), ("days", "1")],
        )
        .await;
    let token = page.element("secret");
    assert!(token.starts_with("fpa_"), "{token}");
    assert!(
        !browser
            .get("/preferences/sign-in")
            .await
            .text
            .contains(&token)
    );

    let script = Script {
        site: &site,
        token: Some(token),
        machine: None,
    };
    assert_eq!(
        script.get("/api/v1/me").await.json::<::api::Me>().name,
        "ann"
    );
    let tokens = script
        .get("/api/v1/tokens")
        .await
        .json::<Vec<::api::ApiToken>>();
    let path = format!("/preferences/sign-in/tokens/{}/revoke", tokens[0].id);
    let done = browser.post(&path, &[]).await;
    assert_eq!(done.location(), "/preferences/sign-in");
    assert_eq!(
        script.get("/api/v1/me").await.status,
        StatusCode::UNAUTHORIZED
    );

    let shown = browser.get("/preferences/sign-in").await;
    assert!(shown.text.contains("The API token is revoked."));
    let again = browser.get("/preferences/sign-in").await;
    assert!(
        !again.text.contains("The API token is revoked."),
        "a notice is shown once"
    );
}

#[tokio::test]
async fn ends_another_session_of_the_same_user() {
    let site = Site::new().await;
    let mut here = site.signed_in("ann", Role::Member).await;
    let mut there = site.browser();
    there
        .post("/login", &[("name", "ann"), ("password", PASSWORD)])
        .await;
    let script = site.script("ann").await;
    assert_eq!(there.get("/").await.status, StatusCode::OK);
    // The API token is no session, so both are "another"; the newer one is the browser's elsewhere.
    let sessions = script
        .get("/api/v1/sessions")
        .await
        .json::<Vec<::api::Session>>();
    let newest = sessions
        .iter()
        .max_by_key(|session| session.id.clone())
        .unwrap();
    let path = format!("/preferences/sign-in/sessions/{}/end", newest.id);
    assert_eq!(here.post(&path, &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(there.get("/").await.status, StatusCode::SEE_OTHER);
    assert_eq!(here.get("/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_person_lets_a_workspace_in_by_its_code() {
    let site = Site::new().await;
    let mut browser = site.signed_in("ann", Role::Member).await;
    let machine = Script {
        site: &site,
        token: None,
        machine: Some(MACHINE),
    };
    let ask = json!({"name": "dev box", "machine": MACHINE, "ssh_version": "OpenSSH_8.4p1"});
    let begun = machine
        .post("/api/v1/device", &ask)
        .await
        .json::<::api::DeviceCode>();
    assert_eq!(
        begun.verification_uri_complete,
        format!("http://localhost:7080/device?code={}", begun.user_code)
    );
    let poll = json!({"device_code": begun.device_code, "machine": MACHINE});
    let waiting = machine.post("/api/v1/device/token", &poll).await;
    assert_eq!(waiting.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        waiting.json::<::api::Problem>().code,
        "authorization_pending"
    );

    let page = browser
        .get(&format!("/device?code={}", begun.user_code))
        .await;
    assert!(page.text.contains("dev box"));
    assert!(
        page.text.contains("Allow its old SSH client"),
        "its ssh cannot bind sessions"
    );
    let form = [("code", begun.user_code.as_str()), ("decision", "approve")];
    let done = browser.post("/device", &form).await;
    assert_eq!(done.location(), "/preferences/workspaces");

    let given = machine
        .post("/api/v1/device/token", &poll)
        .await
        .json::<::api::WorkspaceToken>();
    assert!(!given.workspace.unbound_allowed, "nobody ticked the box");
    let workspace = Script {
        site: &site,
        token: Some(given.token),
        machine: Some(MACHINE),
    };
    let status = workspace
        .get("/api/v1/workspace")
        .await
        .json::<::api::WorkspaceStatus>();
    assert_eq!(status.user, "ann");

    let elsewhere = Script {
        machine: Some("another-machine-0123456789"),
        ..workspace
    };
    let refused = elsewhere.get("/api/v1/workspace").await;
    assert_eq!(refused.json::<::api::Problem>().code, "other-machine");
    let shown = browser.get("/preferences/workspaces").await;
    assert!(shown.text.contains("A second machine came with this token"));

    let path = format!("/preferences/workspaces/{}/revoke", given.workspace.id);
    browser.post(&path, &[]).await;
    let workspace = Script {
        machine: Some(MACHINE),
        ..elsewhere
    };
    assert_eq!(
        workspace.get("/api/v1/workspace").await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_wrong_code_is_asked_for_again() {
    let site = Site::new().await;
    let mut browser = site.signed_in("ann", Role::Member).await;
    let page = browser.get("/device?code=ABCD-EFGH").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.text.contains("value=\"ABCD-EFGH\""));
    assert!(
        page.text
            .contains("Compare it with what the workspace shows.")
    );
}

#[tokio::test]
async fn a_denied_workspace_gets_nothing() {
    let site = Site::new().await;
    let mut browser = site.signed_in("ann", Role::Member).await;
    let machine = Script {
        site: &site,
        token: None,
        machine: None,
    };
    let ask = json!({"name": "dev box", "machine": MACHINE});
    let begun = machine
        .post("/api/v1/device", &ask)
        .await
        .json::<::api::DeviceCode>();
    let form = [("code", begun.user_code.as_str()), ("decision", "deny")];
    browser.post("/device", &form).await;
    let poll = json!({"device_code": begun.device_code, "machine": MACHINE});
    let answer = machine.post("/api/v1/device/token", &poll).await;
    assert_eq!(answer.json::<::api::Problem>().code, "access_denied");
}

#[tokio::test]
async fn adds_a_user_whose_link_is_shown_once() {
    let site = Site::new().await;
    let mut manager = site.signed_in("ann", Role::SiteManager).await;
    let form = [
        ("name", "bob"),
        ("email", "bob@example.com"),
        ("role", "member"),
    ];
    let page = manager.post("/manage/users", &form).await;
    let link = page.element("invitation");
    assert!(
        link.starts_with("http://localhost:7080/invitation?token="),
        "{link}"
    );
    assert!(
        !manager
            .get("/manage/users")
            .await
            .text
            .contains(&token_of(&link))
    );

    let again = manager.post("/manage/users", &form).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(
        again.text.contains("value=\"bob@example.com\""),
        "what was entered is kept"
    );

    let mut bob = site.browser();
    let token = token_of(&link);
    let shown = bob.get(&format!("/invitation?token={token}")).await;
    assert!(shown.text.contains("<strong>bob</strong>"));
    let form = [("token", token.as_str()), ("password", PASSWORD)];
    assert_eq!(bob.post("/invitation", &form).await.location(), "/");
    assert_eq!(bob.get("/").await.status, StatusCode::OK);
    assert_eq!(
        site.browser().post("/invitation", &form).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn roles_and_suspension_act_at_once() {
    let site = Site::new().await;
    let mut manager = site.signed_in("ann", Role::SiteManager).await;
    let mut bob = site.signed_in("bob", Role::Member).await;
    let id = site.broker.user_by_name("bob").await.unwrap().user().id;
    assert_eq!(bob.get("/manage/audit").await.status, StatusCode::FORBIDDEN);
    manager
        .post(&format!("/manage/users/{id}/role"), &[("role", "auditor")])
        .await;
    assert_eq!(bob.get("/manage/audit").await.status, StatusCode::OK);
    manager
        .post(
            &format!("/manage/users/{id}/suspended"),
            &[("suspended", "yes"), ("sure", "yes")],
        )
        .await;
    assert_eq!(bob.get("/").await.status, StatusCode::SEE_OTHER);
    let found = manager.get("/manage/users?search=bo").await;
    assert!(found.text.contains("Suspended") && !found.text.contains("<strong>ann</strong>"));

    let ann = site.broker.user_by_name("ann").await.unwrap().user().id;
    let last = manager
        .post(&format!("/manage/users/{ann}/role"), &[("role", "member")])
        .await;
    assert_eq!(last.status, StatusCode::CONFLICT);
    assert!(last.text.contains("This is the last site manager."));
}

#[tokio::test]
async fn the_audit_can_be_filtered() {
    let site = Site::new().await;
    let mut manager = site.signed_in("ann", Role::SiteManager).await;
    site.signed_in("bob", Role::Member).await;
    let all = manager.get("/manage/audit").await;
    assert!(all.text.contains("user.add") && all.text.contains("session.begin"));
    let some = manager.get("/manage/audit?user=bob&action=session.").await;
    assert!(some.text.contains("bob signed in") && !some.text.contains("user.add"));
    let none = manager.get("/manage/audit?user=nobody").await;
    assert!(none.text.contains("No event matches."));
}

#[tokio::test]
async fn the_algorithm_of_new_keys_can_be_chosen() {
    let site = Site::new().await;
    let mut manager = site.signed_in("ann", Role::SiteManager).await;
    let path = "/manage/admin/security/ssh";
    manager.post(path, &[("algorithm", "rsa-4096")]).await;
    let page = manager.get(path).await;
    assert!(page.text.contains("New keys are RSA 4096 from now on."));
    assert!(
        page.text
            .contains("id=\"rsa-4096\" name=\"algorithm\" value=\"rsa-4096\" checked")
    );
    let wrong = manager.post(path, &[("algorithm", "dsa")]).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn hostile_names_stay_text() {
    let site = Site::new().await;
    let mut browser = site.signed_in("ann", Role::SiteManager).await;
    let name = "<script>alert(1)</script>\"'\u{202e}😀";
    browser
        .post(
            "/preferences/sign-in/tokens",
            &[("name", name), ("days", "1")],
        )
        .await;
    browser
        .post("/preferences/workspaces", &[("name", name), ("days", "1")])
        .await;
    for page in [
        "/",
        "/preferences/sign-in",
        "/preferences/workspaces",
        "/manage/audit",
    ] {
        let answer = browser.get(page).await;
        assert_eq!(answer.status, StatusCode::OK, "{page}");
        assert!(!answer.text.contains("<script>alert"), "{page}");
    }
    let search = browser
        .get("/manage/users?search=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
        .await;
    assert!(!search.text.contains("<script>alert"));
}
