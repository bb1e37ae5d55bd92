//! `POST /api/v1/credential` beside a bare handler that reads one row of SQLite.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{Line, load, yardstick::Bare};
use crate::demo::Demo;
use crate::workspace::Workspace;

const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(2);

pub(super) fn measure(demo: &Demo) -> Result<Vec<Line>> {
    let bare = Bare::start()?;
    let host = demo.providers[0]
        .forge
        .url()
        .trim_start_matches("https://")
        .to_owned();
    let body = json!({ "protocol": "https", "host": host }).to_string();
    let ours_address = demo
        .world
        .url
        .trim_start_matches("http://")
        .replace("localhost", "127.0.0.1");
    let ours_request = request(
        &ours_address,
        "/api/v1/credential",
        &body,
        &identity(&demo.workspace)?,
    );
    let bare_request = request(&bare.address, "/", &body, "");
    let (mut ours, mut yardstick) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        ours.push(load::rate(&ours_address, &ours_request, TURN)?);
        yardstick.push(load::rate(&bare.address, &bare_request, TURN)?);
    }
    drop(bare);
    Ok(vec![Line {
        what: "POST /api/v1/credential beside axum and one SQLite read".into(),
        ours: median(ours),
        yardstick: Some(median(yardstick)),
        unit: "/s",
        budget: "≥ 0.5×",
    }])
}

/// The headers by which the workspace shows who it is.
fn identity(workspace: &Workspace) -> Result<String> {
    let token = workspace.token()?;
    let machine = workspace.machine()?;
    Ok(format!(
        "authorization: Bearer {token}\r\nforgepass-machine: {machine}\r\n"
    ))
}

fn request(host: &str, path: &str, body: &str, headers: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\n{headers}content-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
