//! How long the server takes to its first answer, and what it weighs when idle.

use std::time::Instant;

use anyhow::{Context, Result};

use super::Line;
use crate::demo::Demo;

pub(super) fn measure(demo: &mut Demo) -> Result<Vec<Line>> {
    demo.world.stop_server()?;
    let begun = Instant::now();
    demo.world.start_server()?;
    let first_answer = begun.elapsed().as_secs_f64() * 1000.0;
    let id = demo.world.server_id().context("the server does not run")?;
    let absolute = |what: &str, ours, unit, budget| Line {
        what: what.into(),
        ours,
        yardstick: None,
        unit,
        budget,
    };
    Ok(vec![
        absolute(
            "start to first answer (asked every 50 ms)",
            first_answer,
            "ms",
            "≤ 100 ms",
        ),
        absolute(
            "server memory when idle",
            resident_mib(id)?,
            "MiB",
            "≤ 40 MiB",
        ),
    ])
}

/// Resident memory of a process (proc(5), `VmRSS`).
fn resident_mib(id: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line
        .and_then(|line| line.split_whitespace().next())
        .context("no VmRSS")?;
    Ok(kib.parse::<f64>()? / 1024.0)
}
