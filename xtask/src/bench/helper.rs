//! `git credential fill`: our helper, warm, beside what people use today.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{Figures, Line};
use crate::demo::Demo;
use crate::shell;

const ROUNDS: usize = 1000;
/// How many ask at the same time, as submodules and editors do.
const AT_ONCE: usize = 64;
/// How often so many ask at once.
const CROWDS: usize = 20;

/// Ours, `credential-store`, `credential-cache`, a helper that does nothing, and `gh` where it is installed.
pub(super) fn measure(demo: &Demo) -> Result<Vec<Line>> {
    let home = demo.workspace.home();
    let host = demo.providers[0]
        .forge
        .url()
        .trim_start_matches("https://")
        .to_owned();
    let store = home.join("stored");
    std::fs::write(&store, format!("https://ann:secret@{host}\n"))?;
    let store = format!("store --file={}", store.display());
    let nothing = shell::find("true").context("no program called true")?;
    let nothing = nothing.display().to_string();
    let helpers = [
        None,
        Some(store.as_str()),
        Some("cache"),
        Some(nothing.as_str()),
    ];
    fill(demo, Some("cache"), &host, "approve")?;
    for helper in helpers {
        fill(demo, helper, &host, "fill")?;
    }
    let [ours, stored, cached, idle] =
        Figures::take_turns(ROUNDS, |which| fill(demo, helpers[which], &host, "fill"))?;
    let mut lines = Vec::new();
    let shares = [(0.5, "p50", "≤ 1.25×"), (0.99, "p99", "≤ 2×")];
    for (share, name, budget) in shares {
        let line = |beside: &str, other: &Figures, budget| Line {
            what: format!("git credential fill, warm, {name}, beside {beside}"),
            ours: ours.quantile_ms(share),
            yardstick: Some(other.quantile_ms(share)),
            unit: "ms",
            budget,
        };
        lines.push(line("credential-store", &stored, budget));
        lines.push(line("credential-cache", &cached, ""));
        lines.push(line("a helper that does nothing", &idle, ""));
    }
    lines.push(at_once(demo, &store, &host)?);
    if let Some(gh) = shell::find("gh") {
        lines.push(beside_gh(demo, &gh, &host)?);
    }
    Ok(lines)
}

/// The time until the last of many that ask together has its answer.
fn at_once(demo: &Demo, store: &str, host: &str) -> Result<Line> {
    let helpers = [None, Some(store)];
    let [ours, stored] = Figures::take_turns(CROWDS, |which| {
        std::thread::scope(|scope| {
            let crowd: Vec<_> = (0..AT_ONCE)
                .map(|_| scope.spawn(|| fill(demo, helpers[which], host, "fill")))
                .collect();
            crowd.into_iter().try_for_each(|one| {
                one.join()
                    .map_err(|_| anyhow::anyhow!("a thread of the measurement ended"))?
            })
        })
    })?;
    Ok(Line {
        what: format!("git credential fill, {AT_ONCE} at once, p50, beside credential-store"),
        ours: ours.quantile_ms(0.5),
        yardstick: Some(stored.quantile_ms(0.5)),
        unit: "ms",
        budget: "",
    })
}

fn beside_gh(demo: &Demo, gh: &Path, host: &str) -> Result<Line> {
    let gh = format!(
        "!GH_ENTERPRISE_TOKEN=x GH_HOST=\"{host}\" {} auth git-credential",
        gh.display()
    );
    let helpers = [None, Some(gh.as_str())];
    let [ours, theirs] = Figures::take_turns(50, |which| fill(demo, helpers[which], host, "fill"))?;
    Ok(Line {
        what: "git credential fill, warm, p50, beside gh".into(),
        ours: ours.quantile_ms(0.5),
        yardstick: Some(theirs.quantile_ms(0.5)),
        unit: "ms",
        budget: "",
    })
}

/// One call of `git credential`; `helper` replaces the configured one.
fn fill(demo: &Demo, helper: Option<&str>, host: &str, operation: &str) -> Result<()> {
    let mut git: Command = demo.workspace.command("git");
    if let Some(helper) = helper {
        // Nothing of our set-up may answer in its place.
        git.env("GIT_CONFIG_GLOBAL", "/dev/null");
        git.args(["-c", &format!("credential.helper={helper}")]);
    }
    git.args(["credential", operation]);
    let mut child = git
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let secret = if operation == "approve" {
        "username=ann\npassword=secret\n"
    } else {
        ""
    };
    let question = format!("protocol=https\nhost={host}\n{secret}\n");
    child
        .stdin
        .take()
        .context("no standard input")?
        .write_all(question.as_bytes())?;
    let output = child.wait_with_output()?;
    let answered = String::from_utf8_lossy(&output.stdout).contains("password=");
    if helper.is_none() && !answered {
        bail!("our helper gave no credential for {host}");
    }
    Ok(())
}
