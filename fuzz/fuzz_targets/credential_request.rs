//! No credential request passes with a value that would name another host or begin another line.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The file itself, not the crate: the command line's TLS and HTTP would be built for nothing.
#[allow(dead_code)]
#[path = "../../crates/cli/src/credential/protocol.rs"]
mod protocol;

use protocol::{Answer, Request};

fuzz_target!(|data: &[u8]| {
    let Ok(request) = Request::parse(data) else {
        return;
    };
    let values = [
        &request.protocol,
        &request.host,
        &request.path,
        &request.username,
    ];
    for value in values.into_iter().flatten() {
        assert!(!value.is_empty() && !value.chars().any(char::is_control));
    }
    let answer = Answer {
        username: request.username.clone().unwrap_or_default(),
        password: String::from_utf8_lossy(data).into_owned(),
        expires_at: Some(1_800_000_000),
        state: request.states.concat(),
    };
    if let Some(lines) = answer.lines(&request) {
        let passwords = lines.lines().filter(|line| line.starts_with("password="));
        assert_eq!(passwords.count(), 1);
        assert!(lines.lines().filter(|line| *line == "continue=1").count() <= 1);
    }
});
