//! The handle and the control API: accounts, keys, organisations, the log, the end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stage;

use std::process::Stdio;

use serde_json::{Value, json};
use stage::{CALLBACK, Stage, curl, query};
use testforge::{EmailAddress, Forge, Shape, Suspended, start};
use tokio::process::Command;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl ann";

#[tokio::test]
async fn the_handle_presses_both_buttons_and_reports_an_error_page() {
    let stage = Stage::new(Shape::GitLab { sub_path: "" }).await;
    let back = stage
        .forge
        .approve(&stage.authorize_url("api"), "ann")
        .await
        .unwrap();
    assert!(back.starts_with(CALLBACK), "{back}");
    assert_eq!(query(&back, "state").as_deref(), Some("s1"));
    let back = stage
        .forge
        .deny(&stage.authorize_url("api"), "ann")
        .await
        .unwrap();
    assert_eq!(query(&back, "error").as_deref(), Some("access_denied"));
    let refused = stage
        .forge
        .approve(&stage.authorize_url("no_such_scope"), "ann")
        .await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("scope is invalid")
    );
}

#[tokio::test]
async fn keys_can_die_with_the_token_that_made_them() {
    let stage = Stage::new(Shape::GitHubCom).await;
    let access = stage.access("admin:public_key").await;
    assert_eq!(stage.add_key(&access, KEY).await, 201);
    stage.forge.revoke_token(&access);
    assert_eq!(stage.forge.keys().len(), 1, "usually they stay");
    stage.forge.remove_key_by_hand(stage.forge.keys()[0].id);
    stage
        .forge
        .set_knobs(|knobs| knobs.keys_die_with_token = true);
    let access = stage.access("admin:public_key").await;
    assert_eq!(stage.add_key(&access, KEY).await, 201);
    stage.forge.revoke_token(&access);
    assert_eq!(stage.forge.keys(), []);
}

#[tokio::test]
async fn a_key_is_refused_by_policy_and_when_it_is_on_another_account() {
    let stage = Stage::new(Shape::GitHubCom).await;
    let access = stage.access("admin:public_key").await;
    stage
        .forge
        .set_knobs(|knobs| knobs.forbidden_key_types = vec!["ssh-ed25519".to_owned()]);
    assert_eq!(stage.add_key(&access, KEY).await, 422);
    stage
        .forge
        .set_knobs(|knobs| knobs.forbidden_key_types.clear());
    stage.forge.accept_key_by_hand("bob", KEY).unwrap();
    assert_eq!(stage.add_key(&access, KEY).await, 422);
    assert_eq!(stage.forge.keys()[0].login, "bob");
}

/// Whether Git can list the repository.
async fn lists(forge: &Forge, url: &str, key: Option<&std::path::Path>) -> Result<(), String> {
    let key = key.map_or_else(String::new, |key| format!("-i {}", key.display()));
    let ssh = format!(
        "ssh -F none {key} -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no \
         -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    );
    let output = Command::new("git")
        .args(["ls-remote", url])
        .env("GIT_SSL_CAINFO", forge.ca_file())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_SSH_COMMAND", ssh)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or(error)
}

fn with_token(url: &str, token: &str) -> String {
    url.replace("https://", &format!("https://x-access-token:{token}@"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organisation_with_single_sign_on_wants_tokens_and_keys_authorised() {
    let stage = Stage::new(Shape::GitHubCom).await;
    let forge = &stage.forge;
    let urls = forge.create_repository("acme", "app").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status()
        .await
        .unwrap();
    assert!(made.success());
    let line = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let view = forge.accept_key_by_hand("ann", &line).unwrap();
    let https = with_token(&urls.https, &stage.access("repo").await);
    lists(forge, &https, None).await.unwrap();
    lists(forge, &urls.ssh, Some(&key)).await.unwrap();
    forge.require_saml("acme");
    let refused = lists(forge, &https, None).await.unwrap_err();
    assert!(refused.contains("SAML SSO"), "{refused}");
    let refused = lists(forge, &urls.ssh, Some(&key)).await.unwrap_err();
    assert!(refused.contains("SAML SSO"), "{refused}");
    forge.authorise_for_saml("acme", &view.fingerprint);
    forge.authorise_for_saml("acme", &forge.tokens()[0].id.to_string());
    lists(forge, &https, None).await.unwrap();
    lists(forge, &urls.ssh, Some(&key)).await.unwrap();
}

#[tokio::test]
async fn a_suspended_account_and_a_suspended_application_get_nothing() {
    let stage = Stage::new(Shape::GitHubCom).await;
    let forge = &stage.forge;
    let access = stage.access("repo").await;
    let urls = forge.create_repository("ann", "app").unwrap();
    let https = with_token(&urls.https, &access);
    lists(forge, &https, None).await.unwrap();
    forge.set_suspended("ann", Suspended::Yes).unwrap();
    assert_eq!(stage.user(&access).await, 403);
    assert!(
        lists(forge, &https, None)
            .await
            .unwrap_err()
            .contains("403")
    );
    forge.set_suspended("ann", Suspended::No).unwrap();
    assert_eq!(stage.user(&access).await, 200);
    forge.suspend_app(&stage.client_id).unwrap();
    let back = forge
        .approve(&stage.authorize_url("repo"), "ann")
        .await
        .unwrap();
    assert_eq!(
        query(&back, "error").as_deref(),
        Some("application_suspended")
    );
}

#[tokio::test]
async fn a_renewed_client_secret_makes_the_old_one_wrong() {
    let mut stage = Stage::new(Shape::GitHubCom).await;
    let secret = stage.forge.renew_client_secret(&stage.client_id).unwrap();
    assert_eq!(
        stage.link("repo").await["error"],
        "incorrect_client_credentials"
    );
    stage.client_secret = secret;
    assert_eq!(stage.link("repo").await["token_type"], "bearer");
}

#[tokio::test]
async fn the_log_names_account_and_reason_and_no_secret() {
    let stage = Stage::new(Shape::GitHubCom).await;
    let access = stage.access("repo").await;
    assert_eq!(stage.user(&access).await, 200);
    assert_eq!(stage.user("gho_unknown").await, 401);
    let urls = stage.forge.create_repository("ann", "app").unwrap();
    lists(&stage.forge, &with_token(&urls.https, &access), None)
        .await
        .unwrap();
    let log = stage.forge.log();
    let text = serde_json::to_string(&log).unwrap();
    for secret in [
        access.as_str(),
        &stage.client_secret,
        "gho_unknown",
        "code=",
    ] {
        assert!(!text.contains(secret), "{text}");
    }
    let users: Vec<_> = log.iter().filter(|entry| entry.path == "/user").collect();
    assert_eq!(users[0].account.as_deref(), Some("ann"));
    assert_eq!(users[1].reason.as_deref(), Some("Bad credentials"));
    assert!(
        log.iter()
            .any(|e| e.path == "/ann/app.git/info/refs" && e.status == 200)
    );
    stage.forge.clear_log();
    assert_eq!(stage.forge.log(), []);
}

#[tokio::test]
async fn the_control_api_does_what_the_handle_does() {
    let forge = start(Shape::BitbucketServer).await.unwrap();
    let control = forge.control_url();
    let post = async |path: &str, body: Value| {
        let url = format!("{control}/{path}");
        let json = "Content-Type: application/json";
        let (status, body) = curl(&forge, &["-H", json, "-d", &body.to_string(), &url]).await;
        assert!(status < 300, "{path}: {status} {body}");
        serde_json::from_str::<Value>(&body).unwrap_or_default()
    };
    let emails = json!([{ "address": "a@example.com", "verified": false }]);
    let account = post("accounts", json!({ "login": "ann", "emails": emails })).await;
    assert_eq!(account["emails"][0]["verified"], false);
    let app = post("apps", json!({ "name": "x", "redirect_uri": CALLBACK })).await;
    assert_eq!(app["client_id"].as_str().unwrap().len(), 32);
    let renewed = post("apps/secret", json!({ "client_id": app["client_id"] })).await;
    assert_ne!(renewed["client_secret"], app["client_secret"]);
    assert_eq!(
        post("keys", json!({ "login": "ann", "key": KEY })).await["login"],
        "ann"
    );
    assert_eq!(forge.keys().len(), 1);
    let urls = post("repositories", json!({ "owner": "TEAM", "name": "app" })).await;
    assert!(
        urls["https"]
            .as_str()
            .unwrap()
            .ends_with("/scm/TEAM/app.git")
    );
    assert_eq!(
        post("knobs", json!({ "page_size": 3 })).await["page_size"],
        3
    );
    assert_eq!(post("knobs", json!({ "code_s": 5 })).await["page_size"], 3);
    let fault = json!({ "endpoint": "user", "fault": "status", "status": 503, "times": 1 });
    post("faults", fault).await;
    let whoami = format!("{}/plugins/servlet/applinks/whoami", forge.url());
    assert_eq!(curl(&forge, &[&whoami]).await.0, 503);
    assert_eq!(curl(&forge, &[&whoami]).await.0, 200);
    let (status, log) = curl(&forge, &[&format!("{control}/log")]).await;
    assert_eq!(status, 200);
    assert_eq!(
        serde_json::from_str::<Vec<Value>>(&log).unwrap().len(),
        2,
        "control is not logged"
    );
    assert_eq!(
        curl(&forge, &[&control]).await.1,
        forge.describe().to_string()
    );
}

#[tokio::test]
async fn accounts_have_the_addresses_they_were_given() {
    let stage = Stage::new(Shape::GitHubCom).await;
    let verified = EmailAddress {
        address: "b@example.com".to_owned(),
        verified: true,
    };
    let other = EmailAddress {
        address: "c@example.com".to_owned(),
        verified: false,
    };
    stage.forge.add_account_with("carol", &[verified, other]);
    let back = stage
        .forge
        .approve(&stage.authorize_url("user:email"), "carol")
        .await
        .unwrap();
    let token = stage
        .token(&[("code", &query(&back, "code").unwrap())])
        .await
        .1;
    let header = format!(
        "Authorization: Bearer {}",
        token["access_token"].as_str().unwrap()
    );
    let url = format!("{}/user/emails", stage.forge.api_url());
    let (_, body) = curl(&stage.forge, &["-H", &header, &url]).await;
    let emails: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&emails[0]["primary"], &emails[1]["verified"]),
        (&json!(true), &json!(false))
    );
}

#[tokio::test]
async fn a_dropped_handle_stops_the_site_and_removes_its_files() {
    let forge = start(Shape::Anonymous).await.unwrap();
    let (ca_file, ssh) = (forge.ca_file().to_owned(), forge.ssh_address().to_owned());
    let web = forge.url().replace("https://localhost", "127.0.0.1");
    assert!(ca_file.is_file());
    drop(forge);
    for address in [ssh, web] {
        // The listeners close as soon as their tasks run again.
        while tokio::net::TcpStream::connect(&address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
    assert!(!ca_file.exists());
}
