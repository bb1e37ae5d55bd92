//! Every page and state in a real browser: accessible, valid, light, alone with its own server, and whole with
//! whatever names people enter.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail loudly"
)]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use xtask::chromium::{THEMES, Theme, Window};
use xtask::gallery::{self, Names};
use xtask::screenshots::WIDTHS;
use xtask::shell;

/// The most that a first visit to a page may transfer, in bytes.
const LARGEST: f64 = 60.0 * 1024.0;

/// What axe-core calls the levels that make up WCAG 2.2 AA.
const LEVELS: &str = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']";

/// `node_modules` with axe-core and html-validate.
fn node_modules() -> PathBuf {
    let folder = shell::variable("FORGEPASS_TEST_NODE");
    folder
        .expect("run `cargo xtask test`, which installs what judges pages")
        .into()
}

/// What axe-core finds, one line each.
fn accessibility(window: &Window<'_>, axe: &str) -> Result<Vec<String>> {
    let source = format!(
        "const done = arguments[0];
         {axe}
         axe.run(document, {{ runOnly: {LEVELS} }}).then(found => done(found.violations.flatMap(rule =>
           rule.nodes.map(node => rule.id + ': ' + rule.help + ': ' + node.html.slice(0, 200) + ' '
             + node.any.map(it => it.message).join('; ')))),
           error => done(['axe: ' + error]))"
    );
    let found = window.run_until_called(&source)?;
    let found = found.as_array().context("no answer of axe")?.iter();
    Ok(found
        .map(|line| line.as_str().unwrap_or_default().to_owned())
        .collect())
}

/// What was transferred from where: hosts other than the page's own, and bytes.
fn transferred(window: &Window<'_>) -> Result<(Vec<String>, f64)> {
    let all = window.run(
        "return [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
           .map(it => [it.name, it.transferSize])",
    )?;
    let own = window.url()?.origin().ascii_serialization();
    let (mut others, mut bytes) = (Vec::new(), 0.0);
    for one in all.as_array().context("nothing was transferred")? {
        let name = one[0].as_str().unwrap_or_default();
        if !name.starts_with(&own) {
            others.push(name.to_owned());
        }
        bytes += one[1].as_f64().unwrap_or_default();
    }
    Ok((others, bytes))
}

/// Everything that is wrong with the page that is shown, in each of `themes`.
fn faults(window: &Window<'_>, axe: &str, themes: &[Theme]) -> Result<Vec<String>> {
    let mut faults = window.complaints()?;
    let (others, bytes) = transferred(window)?;
    faults.extend(
        others
            .into_iter()
            .map(|name| format!("asks another host: {name}")),
    );
    ensure!(bytes > 500.0, "{bytes} bytes are no page");
    if bytes > LARGEST {
        faults.push(format!("transfers {bytes} bytes"));
    }
    for width in WIDTHS {
        window.resize(width, 900)?;
        let wide = window.run("return document.scrollingElement.scrollWidth")?;
        if wide.as_u64() > Some(width) {
            faults.push(format!("{wide} px wide in a window of {width} px"));
        }
    }
    if window.run("return document.title")? == "hit" {
        faults.push("ran script that was entered as a name".to_owned());
    }
    window.resize(WIDTHS[0], 900)?;
    for theme in themes {
        window.wear(*theme)?;
        let found = accessibility(window, axe)?;
        faults.extend(
            found
                .into_iter()
                .map(|line| format!("{}: {line}", theme.name())),
        );
    }
    Ok(faults)
}

/// What html-validate finds in `folder`.
fn validity(folder: &std::path::Path) -> String {
    let mut validate = Command::new("node");
    let output = validate
        .arg(node_modules().join("html-validate/bin/html-validate.mjs"))
        .arg("--config")
        .arg(shell::root().join("xtask/tests/htmlvalidate.json"))
        .args(["--formatter", "text"])
        .arg(folder)
        .output()
        .unwrap();
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return String::new();
    }
    format!("{found}{}", String::from_utf8_lossy(&output.stderr))
}

/// Looks at every sight; gives what is wrong, and how many sights there were.
fn look(names: Names) -> (String, usize) {
    let axe = std::fs::read_to_string(node_modules().join("axe-core/axe.min.js")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    // Names change no colours.
    let themes = match names {
        Names::Ordinary => &THEMES[..],
        Names::Hostile => &THEMES[..1],
    };
    let (mut wrong, mut sights) = (String::new(), 0);
    gallery::tour(names, &mut |name, window| {
        sights += 1;
        let file = folder.path().join(format!("{name}.html"));
        std::fs::write(file, window.html()?)?;
        for fault in faults(window, &axe, themes)? {
            writeln!(wrong, "{name}: {fault}")?;
        }
        Ok(())
    })
    .unwrap();
    wrong.push_str(&validity(folder.path()));
    (wrong, sights)
}

#[test]
fn every_page_is_accessible_valid_light_and_alone() {
    let (wrong, sights) = look(Names::Ordinary);
    assert!(wrong.is_empty(), "{wrong}");
    assert!(sights > 50, "only {sights} pages and states were seen");
}

#[test]
fn every_page_holds_hostile_names() {
    let (wrong, sights) = look(Names::Hostile);
    assert!(wrong.is_empty(), "{wrong}");
    assert!(sights > 50, "only {sights} pages and states were seen");
}
