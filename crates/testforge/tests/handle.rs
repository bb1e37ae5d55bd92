//! The handle and the control API: faults, knobs, organisations, the log, the end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Stdio;

use serde_json::{Value, json};
use testforge::{AppSpec, EmailAddress, Endpoint, Fault, Forge, Shape, Suspended, start};
use tokio::process::Command;

const CALLBACK: &str = "https://forgepass.example.com/oauth/callback";

/// Status and body of a request by curl; status 0 when no answer came.
async fn curl(forge: &Forge, args: &[&str]) -> (u16, String) {
    let output = Command::new("curl")
        .args(["--silent", "--max-time", "20", "--cacert"])
        .arg(forge.ca_file())
        .args(["--write-out", "\n%{http_code}"])
        .args(args)
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

/// A site with ann, an application and a repository of hers.
struct Stage {
    forge: Forge,
    client_id: String,
    client_secret: String,
}

impl Stage {
    async fn new(shape: Shape) -> Self {
        let forge = start(shape).await.unwrap();
        forge.add_account("ann");
        forge.add_account("bob");
        let (client_id, client_secret) = forge.register_app(AppSpec::new(CALLBACK)).unwrap();
        Self {
            forge,
            client_id,
            client_secret,
        }
    }

    fn authorize_url(&self, scope: &str) -> String {
        let path = match self.forge.shape() {
            Shape::GitLab { .. } => "/oauth/authorize",
            _ => "/login/oauth/authorize",
        };
        format!(
            "{}{path}?client_id={}&redirect_uri={CALLBACK}&response_type=code&state=s1&scope={scope}",
            self.forge.url(),
            self.client_id
        )
    }

    /// The answer of the token endpoint to an exchange or a refresh.
    async fn token(&self, more: &[(&str, &str)]) -> (u16, Value) {
        let url = match self.forge.shape() {
            Shape::GitLab { .. } => format!("{}/oauth/token", self.forge.url()),
            _ => format!("{}/login/oauth/access_token", self.forge.url()),
        };
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &self.client_id)
            .append_pair("client_secret", &self.client_secret)
            .append_pair("redirect_uri", CALLBACK)
            .extend_pairs(more)
            .finish();
        let accept = "Accept: application/json";
        let (status, body) = curl(&self.forge, &["-H", accept, "-d", &form, &url]).await;
        (
            status,
            serde_json::from_str(&body).unwrap_or(Value::String(body)),
        )
    }

    async fn link(&self, scope: &str) -> Value {
        let back = self
            .forge
            .approve(&self.authorize_url(scope), "ann")
            .await
            .unwrap();
        let code = query(&back, "code").unwrap();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
        ];
        self.token(&form).await.1
    }

    async fn access(&self, scope: &str) -> String {
        self.link(scope).await["access_token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    async fn refresh(&self, token: &Value) -> (u16, Value) {
        let refresh = token["refresh_token"].as_str().unwrap();
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)])
            .await
    }

    async fn user(&self, access: &str) -> u16 {
        let header = format!("Authorization: Bearer {access}");
        curl(
            &self.forge,
            &["-H", &header, &format!("{}/user", self.forge.api_url())],
        )
        .await
        .0
    }

    async fn add_key(&self, access: &str, line: &str) -> u16 {
        let header = format!("Authorization: Bearer {access}");
        let body = json!({ "title": "key", "key": line }).to_string();
        let url = format!("{}/user/keys", self.forge.api_url());
        let json = "Content-Type: application/json";
        curl(&self.forge, &["-H", &header, "-H", json, "-d", &body, &url])
            .await
            .0
    }
}

fn query(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).unwrap();
    url.query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

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
async fn a_fault_hits_its_endpoint_alone_and_only_so_often() {
    let stage = Stage::new(Shape::GitHubCom).await;
    let access = stage.access("read:user").await;
    stage
        .forge
        .fail_times(Endpoint::User, Fault::ServerError, 2);
    let meta = format!("{}/meta", stage.forge.api_url());
    assert_eq!(curl(&stage.forge, &[&meta]).await.0, 200);
    assert_eq!(stage.user(&access).await, 500);
    assert_eq!(stage.user(&access).await, 500);
    assert_eq!(stage.user(&access).await, 200);
    stage
        .forge
        .fail_next(Endpoint::User, Fault::Status { status: 503 });
    stage.forge.clear_faults();
    assert_eq!(stage.user(&access).await, 200);
}

#[tokio::test]
async fn each_fault_answers_as_its_name_says() {
    let stage = Stage::new(Shape::GitHubCom).await;
    let url = format!("{}/user", stage.forge.api_url());
    let saml = Fault::Saml {
        url: "https://github.com/orgs/acme/sso".to_owned(),
    };
    let error = "bad_refresh_token".to_owned();
    let organisation = "acme".to_owned();
    let cases = [
        (Fault::Status { status: 401 }, 401, ""),
        (Fault::Html, 200, "<!DOCTYPE html>"),
        (Fault::HtmlStatus { status: 502 }, 502, "<!DOCTYPE html>"),
        (Fault::Empty, 200, ""),
        (
            Fault::OkWithError {
                error: error.clone(),
            },
            200,
            "bad_refresh_token",
        ),
        (Fault::OAuthError { error }, 400, "bad_refresh_token"),
        (Fault::NoToken, 200, "token_type"),
        (
            Fault::RateLimited {
                status: 429,
                retry_after_s: 7,
            },
            429,
            "retry-after: 7",
        ),
        (
            Fault::RateLimited {
                status: 403,
                retry_after_s: 7,
            },
            403,
            "x-ratelimit-remaining: 0",
        ),
        (
            saml,
            403,
            "x-github-sso: required; url=https://github.com/orgs/acme/sso",
        ),
        (
            Fault::OrganisationForbidsApp { organisation },
            403,
            "OAuth App access restrictions",
        ),
        (Fault::Suspended, 403, "suspended"),
        (
            Fault::RedirectTo {
                url: "https://example.org/".to_owned(),
            },
            302,
            "https://example.org/",
        ),
        (Fault::Huge { bytes: 100_000 }, 200, "xxxxxxxxxx"),
        (Fault::LostReply, 502, ""),
    ];
    for (fault, status, part) in cases {
        stage.forge.fail_next(Endpoint::User, fault.clone());
        let (got, body) = curl(&stage.forge, &["--include", &url]).await;
        assert_eq!(got, status, "{fault:?}");
        assert!(body.contains(part), "{fault:?}: {body}");
    }
}

#[tokio::test]
async fn a_hanging_site_does_not_answer() {
    let stage = Stage::new(Shape::GitHubCom).await;
    stage.forge.fail_next(Endpoint::Any, Fault::Hang);
    let meta = format!("{}/meta", stage.forge.api_url());
    assert_eq!(curl(&stage.forge, &["--max-time", "1", &meta]).await.0, 0);
    stage.forge.fail_next(Endpoint::Any, Fault::Slow { ms: 10 });
    assert_eq!(curl(&stage.forge, &[&meta]).await.0, 200);
}

#[tokio::test]
async fn a_lost_reply_leaves_the_refresh_token_redeemed() {
    let stage = Stage::new(Shape::GitLab { sub_path: "" }).await;
    let token = stage.link("api").await;
    stage.forge.fail_next(Endpoint::Token, Fault::LostReply);
    assert_eq!(stage.refresh(&token).await.0, 502);
    assert_eq!(stage.forge.refreshes(), 1);
    let (status, body) = stage.refresh(&token).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
    assert_eq!(stage.forge.refreshes(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_refreshes_at_once_one_wins() {
    let stage = Stage::new(Shape::GitLab { sub_path: "" }).await;
    let token = stage.link("api").await;
    let (one, other) = tokio::join!(stage.refresh(&token), stage.refresh(&token));
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    assert_eq!(stage.forge.refreshes(), 1);
}

#[tokio::test]
async fn tokens_expire_and_are_revoked_on_demand() {
    let stage = Stage::new(Shape::GitLab { sub_path: "" }).await;
    let token = stage.link("read_user").await;
    let access = token["access_token"].as_str().unwrap();
    assert_eq!(stage.user(access).await, 200);
    assert!(stage.forge.expire_token(access));
    assert_eq!(stage.user(access).await, 401);
    let (status, fresh) = stage.refresh(&token).await;
    assert_eq!(status, 200);
    let access = fresh["access_token"].as_str().unwrap();
    assert_eq!(stage.user(access).await, 200);
    stage.forge.revoke_tokens("ann");
    assert_eq!(stage.user(access).await, 401);
    assert_eq!(stage.refresh(&fresh).await.0, 400);
    assert!(!stage.forge.expire_token("never issued"));
}

#[tokio::test]
async fn knobs_change_lives_and_answers() {
    let stage = Stage::new(Shape::GitLab { sub_path: "" }).await;
    stage.forge.set_knobs(|knobs| {
        knobs.access_token_s = Some(30);
        knobs.keep_refresh_token = true;
        knobs.withheld_scope = Some("api".to_owned());
    });
    let token = stage.link("api+read_user").await;
    assert_eq!(token["expires_in"], 30);
    assert_eq!(token["scope"], "read_user");
    let (_, fresh) = stage.refresh(&token).await;
    assert_eq!(fresh.get("refresh_token"), None);
    assert_eq!(
        stage.refresh(&token).await.0,
        200,
        "the old refresh token stays good"
    );
    stage.forge.set_knobs(|knobs| knobs.hide_expires_in = true);
    assert_eq!(stage.link("read_user").await.get("expires_in"), None);
    stage.forge.set_knobs(|knobs| knobs.code_s = Some(0));
    assert_eq!(stage.link("read_user").await["error"], "invalid_grant");
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
