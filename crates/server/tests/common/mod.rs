//! A site in a folder of its own, and browsers and scripts that visit its real router.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

pub mod stage;

use std::collections::BTreeMap;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use broker::{Broker, BrokerConfig, Keyring, Role, Store};
use secrecy::ExposeSecret;
use server::app::{self, App};
use tempfile::TempDir;
use tower::ServiceExt;
use url::{Url, form_urlencoded};

/// A password that every user of a test has.
pub const PASSWORD: &str = "correct horse battery";

/// A machine id, long enough to be one.
pub const MACHINE: &str = "machine-of-ann-0123456789";

/// One installation.
pub struct Site {
    pub broker: Broker,
    pub store: Store,
    pub router: Router,
    pub public_url: String,
    _folder: TempDir,
}

impl Site {
    /// A site at `http://localhost:7080`.
    pub async fn new() -> Self {
        Self::at("http://localhost:7080").await
    }

    /// A site at another address.
    pub async fn at(public_url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("forgepass.db").display());
        let store = Store::open(&url).await.unwrap();
        let address = Url::parse(public_url).unwrap();
        let broker = Broker::new(
            store.clone(),
            Keyring::generate(),
            BrokerConfig::new(address.clone()),
        );
        let app = App::new(broker.clone(), "Forgepass", address, Vec::new());
        let router = app::router(app).unwrap();
        Self {
            broker,
            store,
            router,
            public_url: public_url.to_owned(),
            _folder: folder,
        }
    }

    /// A browser that nobody is signed in with.
    pub fn browser(&self) -> Browser<'_> {
        Browser {
            site: self,
            cookies: BTreeMap::new(),
        }
    }

    /// A browser in which a new user of that role is signed in.
    pub async fn signed_in(&self, name: &str, role: Role) -> Browser<'_> {
        let invitation = self
            .broker
            .add_user_as_owner(name, None, role)
            .await
            .unwrap();
        let mut browser = self.browser();
        let token = token_of(invitation.url.expose_secret());
        let form = [("token", token.as_str()), ("password", PASSWORD)];
        let answer = browser.post("/invitation", &form).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        browser
    }

    /// A script with an API token of that user.
    pub async fn script(&self, name: &str) -> Script<'_> {
        let user = self.broker.user_by_name(name).await.unwrap();
        let token = user.add_api_token("test", 3600).await.unwrap().token;
        Script {
            site: self,
            token: Some(token.expose_secret().to_owned()),
            machine: None,
        }
    }

    /// A script without a token.
    pub fn stranger(&self) -> Script<'_> {
        Script {
            site: self,
            token: None,
            machine: None,
        }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 16 * 1024 * 1024).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text,
        }
    }
}

/// The token in a one-time link.
pub fn token_of(url: &str) -> String {
    url.split_once("token=").unwrap().1.to_owned()
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: impl axum::http::header::AsHeaderName) -> &str {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap())
            .unwrap_or_default()
    }

    pub fn location(&self) -> &str {
        self.header(header::LOCATION)
    }

    #[track_caller]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The value in the page's element with this id.
    #[track_caller]
    pub fn element(&self, id: &str) -> String {
        let start = self
            .text
            .find(&format!("id=\"{id}\""))
            .expect("the element is on the page");
        let rest = &self.text[start..];
        let rest = &rest[rest.find('>').unwrap() + 1..];
        rest[..rest.find('<').unwrap()].to_owned()
    }
}

/// Keeps cookies and sends what browsers send.
pub struct Browser<'a> {
    pub site: &'a Site,
    pub cookies: BTreeMap<String, String>,
}

impl Browser<'_> {
    pub async fn get(&mut self, path: &str) -> Answer {
        let request = Request::builder().method(Method::GET).uri(path);
        self.send(request, Body::empty()).await
    }

    /// Sends a form as the console's own page does.
    pub async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header("sec-fetch-site", "same-origin")
            .header(header::ORIGIN, &self.site.public_url);
        self.send_form(request, form).await
    }

    /// Sends a form as a page of another site does.
    pub async fn post_from_elsewhere(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header("sec-fetch-site", "cross-site")
            .header(header::ORIGIN, "https://evil.example.com");
        self.send_form(request, form).await
    }

    async fn send_form(
        &mut self,
        request: axum::http::request::Builder,
        form: &[(&str, &str)],
    ) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let kind = "application/x-www-form-urlencoded";
        self.send(request.header(header::CONTENT_TYPE, kind), Body::from(body))
            .await
    }

    async fn send(&mut self, request: axum::http::request::Builder, body: Body) -> Answer {
        let pairs = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let cookies = pairs.collect::<Vec<_>>().join("; ");
        let request = request
            .header(header::COOKIE, cookies)
            .header(header::HOST, "localhost:7080");
        let answer = self.site.send(request.body(body).unwrap()).await;
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            let (pair, rest) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if rest.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }
}

/// Calls the API with a bearer token.
pub struct Script<'a> {
    pub site: &'a Site,
    pub token: Option<String>,
    pub machine: Option<&'static str>,
}

impl Script<'_> {
    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &serde_json::Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(machine) = self.machine {
            request = request.header("forgepass-machine", machine);
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.site.send(request.body(body).unwrap()).await
    }
}
