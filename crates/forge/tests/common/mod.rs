//! Plays recorded replies to calls.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Debug;
use std::path::PathBuf;

use forge::{Account, Body, Call, Client, Kind, Refusal, Reply, Site, Step};
use http::{HeaderMap, HeaderName, StatusCode};
use secrecy::ExposeSecret;
use url::Url;

/// The key of `laptop` and of `Forgepass` in every fixture.
pub(crate) const LAPTOP: &str =
    "AAAAC3NzaC1lZDI1NTE5AAAAIA0Ub7yP0Jh3w1fH8J4V0fWJ9m1b3nB4m6Jp3Q5s9xY2";
pub(crate) const OURS: &str =
    "AAAAC3NzaC1lZDI1NTE5AAAAIB7c2d9H4uZf6kQ1nS8mX0rT5vL3wE9yA2pJ6bG4hC1D";

pub(crate) fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The reply recorded in `fixtures/<path>.http`.
pub(crate) fn reply(path: &str) -> Reply {
    let file = fixtures().join(format!("{path}.http"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{path}: {e}"));
    let (head, body) = text.split_once("\n\n").expect("a blank line");
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .expect("a status line");
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a header");
        headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    let body = body.trim_end().as_bytes().to_vec();
    Reply {
        status: status.parse::<StatusCode>().unwrap(),
        headers,
        body,
    }
}

/// A reply of this status without headers.
pub(crate) fn plain(status: u16, body: &str) -> Reply {
    let status = StatusCode::from_u16(status).unwrap();
    Reply {
        status,
        headers: HeaderMap::new(),
        body: body.as_bytes().to_vec(),
    }
}

pub(crate) fn url(text: &str) -> Url {
    text.parse().unwrap()
}

pub(crate) fn kind(id: &str) -> &'static dyn Kind {
    forge::kind(id).unwrap()
}

/// An installation with everything by default.
pub(crate) fn site(kind: &dyn Kind, base: &str) -> Site {
    let defaults = kind.defaults(&url(base)).unwrap();
    Site {
        url: url(base),
        api: defaults.api,
        git: defaults.git,
    }
}

pub(crate) fn client() -> Client {
    Client {
        id: "our-id".into(),
        secret: "our-secret".into(),
        callback: url("https://forgepass.example.com/oauth/callback"),
    }
}

pub(crate) fn account(id: &str, login: &str) -> Account {
    Account {
        id: id.into(),
        login: login.into(),
        name: None,
        emails: Vec::new(),
        noreply: None,
        granted: None,
    }
}

/// Reads the reply recorded under `fixture`, which must end the call.
pub(crate) fn read<T>(call: Call<T>, fixture: &str) -> Result<T, Refusal> {
    play(call, &[fixture]).1
}

/// Plays the recorded replies one after the other; returns what was sent and what came out.
pub(crate) fn play<T>(call: Call<T>, fixtures: &[&str]) -> (Vec<String>, Result<T, Refusal>) {
    let (mut call, mut sent) = (call, Vec::new());
    for (nth, fixture) in fixtures.iter().enumerate() {
        sent.push(format!("{} {}", call.method, call.url));
        match call.read(reply(fixture)) {
            Ok(Step::Then(next)) => call = next,
            Ok(Step::Done(answer)) => {
                assert_eq!(nth + 1, fixtures.len(), "ended early at {fixture}");
                return (sent, Ok(answer));
            }
            Err(refusal) => {
                assert_eq!(
                    nth + 1,
                    fixtures.len(),
                    "ended early at {fixture}: {refusal}"
                );
                return (sent, Err(refusal));
            }
        }
    }
    panic!("wants more than {fixtures:?}: {} {}", call.method, call.url);
}

/// Each row: the recorded reply and the refusal it must be read as.
pub(crate) fn refuses<T: Debug>(call: impl Fn() -> Call<T>, rows: &[(&str, Refusal)]) {
    for (fixture, expected) in rows {
        let refusal = read(call(), fixture).expect_err(fixture);
        assert_eq!(&refusal, expected, "{fixture}");
    }
}

/// The fields of a form, for comparison.
pub(crate) fn form<T>(call: &Call<T>) -> Vec<(&'static str, &str)> {
    match &call.body {
        Body::Form(fields) => fields
            .iter()
            .map(|(name, value)| (*name, value.expose_secret()))
            .collect(),
        body => panic!("no form: {body:?}"),
    }
}

/// The JSON of a body, for comparison.
pub(crate) fn json<T>(call: &Call<T>) -> serde_json::Value {
    match &call.body {
        Body::Json(value) => value.clone(),
        body => panic!("no JSON: {body:?}"),
    }
}

/// A header of a call.
pub(crate) fn header<'a, T>(call: &'a Call<T>, name: &str) -> Option<&'a str> {
    call.headers
        .iter()
        .find(|(had, _)| *had == name)
        .map(|(_, value)| value.as_str())
}
