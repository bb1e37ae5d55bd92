//! Runs stand-ins until SIGINT or SIGTERM, and prints where they are as one line of JSON:
//! `testforge [--until-eof] [SHAPE…]`, all shapes without names. With `--until-eof` it also ends
//! when whoever started it closes its input, so that nothing outlives a killed test.

use std::io::Write as _;

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use testforge::{Forge, Shape};

const UNTIL_EOF: &str = "--until-eof";

#[tokio::main]
async fn main() -> Result<()> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let mut chosen: Vec<&str> = names.iter().map(String::as_str).collect();
    chosen.retain(|name| *name != UNTIL_EOF);
    if chosen.is_empty() {
        chosen = Shape::names().collect();
    }
    let mut forges = Vec::new();
    for name in chosen {
        let Some(shape) = Shape::from_name(name) else {
            let known: Vec<&str> = Shape::names().collect();
            bail!(
                "no shape is called {name}\nhint: choose from {}",
                known.join(", ")
            );
        };
        forges.push(
            testforge::start(shape)
                .await
                .with_context(|| format!("start {name}"))?,
        );
    }
    let addresses: Vec<_> = forges.iter().map(Forge::describe).collect();
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", json!(addresses))?;
    stdout.flush()?;
    wait_for_end(&names).await?;
    drop(forges);
    // A read of standard input would keep the runtime from ending.
    std::process::exit(0);
}

/// Returns at a signal or, where that was asked for, at the end of the input.
async fn wait_for_end(names: &[String]) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let end_of_input =
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    let bound_to_input = names.iter().any(|name| name == UNTIL_EOF);
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        _ = end_of_input, if bound_to_input => {}
    }
    Ok(())
}
