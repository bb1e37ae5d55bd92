//! A site with two accounts and an application, driven by curl.

// Each test program uses a part of this.
#![allow(dead_code)]

use serde_json::{Value, json};
use testforge::{AppSpec, Forge, Shape, start};
use tokio::process::Command;

pub(crate) const CALLBACK: &str = "https://forgepass.example.com/oauth/callback";

/// Status and body of a request by curl; status 0 when no answer came.
pub(crate) async fn curl(forge: &Forge, args: &[&str]) -> (u16, String) {
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
pub(crate) struct Stage {
    pub(crate) forge: Forge,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
}

impl Stage {
    pub(crate) async fn new(shape: Shape) -> Self {
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

    pub(crate) fn authorize_url(&self, scope: &str) -> String {
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
    pub(crate) async fn token(&self, more: &[(&str, &str)]) -> (u16, Value) {
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

    pub(crate) async fn link(&self, scope: &str) -> Value {
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

    pub(crate) async fn access(&self, scope: &str) -> String {
        self.link(scope).await["access_token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) async fn refresh(&self, token: &Value) -> (u16, Value) {
        let refresh = token["refresh_token"].as_str().unwrap();
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)])
            .await
    }

    pub(crate) async fn user(&self, access: &str) -> u16 {
        let header = format!("Authorization: Bearer {access}");
        curl(
            &self.forge,
            &["-H", &header, &format!("{}/user", self.forge.api_url())],
        )
        .await
        .0
    }

    pub(crate) async fn add_key(&self, access: &str, line: &str) -> u16 {
        let header = format!("Authorization: Bearer {access}");
        let body = json!({ "title": "key", "key": line }).to_string();
        let url = format!("{}/user/keys", self.forge.api_url());
        let json = "Content-Type: application/json";
        curl(&self.forge, &["-H", &header, "-H", json, "-d", &body, &url])
            .await
            .0
    }
}

pub(crate) fn query(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).unwrap();
    url.query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}
