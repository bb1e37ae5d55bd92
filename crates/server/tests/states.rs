//! Every state that people meet has its own words and a next step; errors have a support id that stands in
//! the log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    io,
    sync::{Arc, Mutex},
};

use axum::http::StatusCode;
use broker::{Role, Suspended};
use common::{
    Answer, Browser, Site,
    stage::{GITLAB, LINKED_ACCOUNTS, Stage, path_of},
};
use testforge::{Endpoint, Fault};
use tracing_subscriber::fmt::MakeWriter;

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// One state: what it is called here, the answer that shows it, and its words, the next step last.
struct State {
    name: &'static str,
    answer: Answer,
    words: &'static [&'static str],
}

impl State {
    fn new(name: &'static str, answer: Answer, words: &'static [&'static str]) -> Self {
        Self {
            name,
            answer,
            words,
        }
    }

    /// Whether the answer is an error page.
    fn is_error(&self) -> bool {
        self.answer.text.contains("Error ")
            && (self.answer.status.is_client_error() || self.answer.status.is_server_error())
    }
}

#[track_caller]
fn has_its_words(state: &State, log: &str) {
    for words in state.words {
        let text = &state.answer.text;
        assert!(text.contains(words), "{}: {words}: {text}", state.name);
    }
    if state.is_error() {
        let (_, rest) = state.answer.text.split_once("Support id <code>").unwrap();
        let (id, _) = rest.split_once('<').unwrap();
        assert_eq!(id.len(), 36, "{}: {id}", state.name);
        assert!(log.contains(id), "{}: {id} is not in the log", state.name);
    }
}

/// States of a site on which nothing was done yet.
async fn of_a_fresh_site() -> Vec<State> {
    let site = Site::new().await;
    let first = site.browser().get("/login").await;
    let mut ann = site.signed_in("ann", Role::SiteManager).await;
    let mut bob = site.signed_in("bob", Role::Member).await;
    let expired = bob.cookies.clone();
    bob.post("/logout", &[]).await;
    bob.cookies = expired;
    let sent = bob.get("/preferences/ssh-keys").await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER);
    let ended = bob.get(sent.location()).await;
    let mut eve = site.signed_in("eve", Role::Member).await;
    let home = eve.get("/").await;
    let refused = eve.get("/manage/users").await;
    let missing = eve.get("/nothing-here").await;
    let providers = ann.get("/manage/admin/git-oauth").await;
    site.store
        .set_setting("ssh.algorithm", "nonsense")
        .await
        .unwrap();
    let broken = ann.get("/manage/admin/security/ssh").await;
    assert_eq!(broken.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!broken.text.contains("nonsense"), "causes are for the log");
    vec![
        State::new(
            "first run",
            first,
            &["is not set up yet.", "Open the set-up link"],
        ),
        State::new(
            "session expired",
            ended,
            &["Your session has ended", "Sign in</button>"],
        ),
        State::new(
            "no providers, for a site manager",
            providers,
            &["No providers yet", "Add provider</a>"],
        ),
        State::new(
            "no providers, for a developer",
            home,
            &[
                "Nothing to link yet",
                "A site manager has to add a Git provider first.",
            ],
        ),
        State::new(
            "not allowed",
            refused,
            &["<h1>Not allowed</h1>", "Ask a site manager to do it"],
        ),
        State::new(
            "not found",
            missing,
            &[
                "<h1>Not found</h1>",
                "Check the address, or start from the home page.",
            ],
        ),
        State::new(
            "server error",
            broken,
            &[
                "<h1>Something went wrong here</h1>",
                "tell whoever runs this server the support id",
            ],
        ),
    ]
}

/// States of a site with a provider and a developer.
async fn of_links_and_keys() -> Vec<State> {
    let stage = Stage::new(GITLAB).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let id = stage.register(&mut ann, "gitlab").await;
    let no_links = ann.get(LINKED_ACCOUNTS).await;

    let url = stage.begin(&mut ann, &id).await;
    let back = stage.forge.approve(&url, "ann").await.unwrap();
    stage.forge.fail_next(Endpoint::Token, Fault::ServerError);
    let down = ann.get(path_of(&back)).await;
    let denied = stage.begin(&mut ann, &id).await;
    let denied = stage.forge.deny(&denied, "ann").await.unwrap();
    let denied = ann.get(path_of(&denied)).await;

    let no = Fault::Status { status: 400 };
    stage.forge.fail_next(Endpoint::AddKey, no);
    let url = stage.begin(&mut ann, &id).await;
    stage.approve(&mut ann, &url).await;
    let refused = ann.get("/preferences/ssh-keys").await;
    let mut states = vec![
        State::new("no links", no_links, &["Not linked.", "Link your account"]),
        State::new(
            "provider down",
            down,
            &[
                "<h1>Not reachable right now</h1>",
                "Try again in a moment; nothing is lost.",
            ],
        ),
        State::new(
            "consent denied",
            denied,
            &["<h1>The consent was denied</h1>", "Home</a>"],
        ),
        State::new("key refused", refused, &["Refused", "Regenerate"]),
    ];
    states.push(dead(&stage, &mut ann).await);
    states.push(suspended(&stage).await);
    states
}

/// The link of ann after the provider ended its tokens.
async fn dead(stage: &Stage, ann: &mut Browser<'_>) -> State {
    stage.site.store.advance(7300).await.unwrap();
    stage.forge.advance(7300);
    let over = Fault::OAuthError {
        error: "invalid_grant".to_owned(),
    };
    stage.forge.fail_next(Endpoint::Token, over);
    let script = stage.site.script("ann").await;
    let key = script.get("/api/v1/keys").await;
    let key = key.json::<Vec<::api::Key>>().remove(0);
    let regenerate = format!("/preferences/ssh-keys/{}/regenerate", key.id);
    ann.post(&regenerate, &[]).await;
    let words = &[
        "Link again</span>",
        "Link again<span class=\"unseen\">: ann</span>",
    ];
    State::new("link dead", ann.get(LINKED_ACCOUNTS).await, words)
}

/// A developer who was suspended while they were signed in.
async fn suspended(stage: &Stage) -> State {
    let mut carl = stage.site.signed_in("carl", Role::Member).await;
    let root = stage.site.broker.user_by_name("ann").await.unwrap();
    let id = stage.site.broker.user_by_name("carl").await.unwrap();
    root.site_manager()
        .unwrap()
        .set_suspended(&id.user().id, Suspended::Yes)
        .await
        .unwrap();
    let sent = carl.get("/preferences/workspaces").await;
    let words = &["Your session has ended", "Ask a site manager"];
    State::new("suspended", carl.get(sent.location()).await, words)
}

#[tokio::test]
async fn every_state_has_its_own_words_a_next_step_and_on_errors_a_support_id() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut states = of_a_fresh_site().await;
    states.extend(of_links_and_keys().await);
    let log = log.text();
    let errors = states.iter().filter(|state| state.is_error()).count();
    assert_eq!(
        errors, 5,
        "not allowed, not found, server error, provider down, denied"
    );
    for state in &states {
        has_its_words(state, &log);
    }
}
