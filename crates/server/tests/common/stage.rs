//! A site, a stand-in forge and the pages that join them.

use axum::http::StatusCode;
use testforge::{AppSpec, Forge, Shape};

use super::{Answer, Browser, Site};

pub const GITLAB: Shape = Shape::GitLab { sub_path: "" };
pub const LINKED_ACCOUNTS: &str = "/preferences/linked-accounts";

/// A site, a stand-in forge and a site manager who is also a developer.
pub struct Stage {
    pub site: Site,
    pub forge: Forge,
}

impl Stage {
    pub async fn new(shape: Shape) -> Self {
        let forge = testforge::start(shape).await.unwrap();
        forge.add_account("ann");
        Self {
            site: Site::new().await,
            forge,
        }
    }

    /// The form's fields for the forge.
    pub fn fields(&self, client: Option<(String, String)>) -> Vec<(&'static str, String)> {
        let (id, secret) = client.unwrap_or_default();
        vec![
            ("do", "save".to_owned()),
            ("name", "Forge".to_owned()),
            ("url", self.forge.url().to_owned()),
            ("client_id", id),
            ("client_secret", secret),
            ("ssh_addresses", self.forge.ssh_address().to_owned()),
            ("host_keys", self.forge.ssh_host_key().to_owned()),
            ("ca_pem", self.forge.ca_pem()),
            ("internal", "yes".to_owned()),
        ]
    }

    /// Registers the forge by the pages and gives the provider's id.
    pub async fn register(&self, browser: &mut Browser<'_>, kind: &str) -> String {
        let app = AppSpec::new("http://localhost:7080/oauth/callback");
        let client = self.forge.register_app(app).unwrap();
        let saved = add(browser, kind, &self.fields(Some(client))).await;
        assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
        provider_id(browser).await
    }

    /// Presses *Link* and gives the provider's address.
    pub async fn begin(&self, browser: &mut Browser<'_>, id: &str) -> String {
        let sent = browser.post(&format!("/link/{id}"), &[]).await;
        assert_eq!(sent.status, StatusCode::OK, "{}", sent.text);
        onward(&sent).expect("the page that goes on")
    }

    /// Approves whatever is asked, until the console shows the result.
    pub async fn approve(&self, browser: &mut Browser<'_>, url: &str) -> Answer {
        self.approve_as("ann", browser, url).await
    }

    /// The same with the account `login`.
    pub async fn approve_as(&self, login: &str, browser: &mut Browser<'_>, url: &str) -> Answer {
        let mut url = url.to_owned();
        for _ in 0..3 {
            let back = self.forge.approve(&url, login).await.unwrap();
            let answer = browser.get(path_of(&back)).await;
            let Some(next) = onward(&answer) else {
                return answer;
            };
            url = next;
        }
        panic!("the dance does not end");
    }
}

/// Chooses a kind and sends its form.
pub async fn add(browser: &mut Browser<'_>, kind: &str, fields: &[(&str, String)]) -> Answer {
    let chosen = browser
        .post("/manage/admin/git-oauth/add", &[("kind", kind)])
        .await;
    let path = chosen.location().to_owned();
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    browser.post(&path, &fields).await
}

pub async fn provider_id(browser: &mut Browser<'_>) -> String {
    let list = browser.get("/manage/admin/git-oauth").await.text;
    let start =
        list.find("/manage/admin/git-oauth/prv_").unwrap() + "/manage/admin/git-oauth/".len();
    list[start..].chars().take_while(|c| *c != '"').collect()
}

/// Path and query of the callback as the browser asks for it.
pub fn path_of(url: &str) -> &str {
    url.strip_prefix("http://localhost:7080")
        .expect("the exact callback")
}

/// Where the page between us and a provider goes on to by itself.
pub fn onward(answer: &Answer) -> Option<String> {
    let (_, rest) = answer
        .text
        .split_once("<meta http-equiv=\"refresh\" content=\"0; url=")?;
    Some(rest.split_once('"')?.0.replace("&#38;", "&"))
}
