//! The steps of the main job at one provider.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::table::STEPS;
use super::{Cell, DEVELOPER, Demo, Provider, Way, timed};
use crate::browser::{Browser, Page};
use crate::workspace::Workspace;
use crate::world::{World, wait_until};

const BY_HAND: &str =
    "this kind has no OAuth: its key is pasted by hand, and there is no HTTPS credential";
const STRANGER: &str = "no provider: nothing to link, and anonymous over HTTPS alone";

/// Takes all steps at the provider numbered `at`; a step that fails leaves the rest untried.
pub(super) fn all(demo: &mut Demo, at: usize) -> [Cell; STEPS.len()] {
    let Demo {
        workspace,
        providers,
        browser,
        world,
        ..
    } = demo;
    let provider = &providers[at];
    let folder = workspace.home().join(format!("at-{at}"));
    let way = provider.row.way;
    let link = match way {
        Way::OAuth2(_) | Way::OAuth1 => cell(timed("link, approved at the provider", || {
            link(provider, browser, world)
        })),
        Way::ByHand => Cell::Absent(BY_HAND),
        Way::Stranger => Cell::Absent(STRANGER),
    };
    let key = match way {
        Way::OAuth2(_) | Way::OAuth1 => cell(timed("key at the provider", || key_placed(provider))),
        Way::ByHand => cell(timed("key pasted by hand", || {
            paste_key(provider, workspace)
        })),
        Way::Stranger => Cell::Absent(STRANGER),
    };
    let https = match way {
        Way::OAuth2(_) | Way::OAuth1 => cell(over_https(provider, workspace, &folder)),
        Way::ByHand => Cell::Absent(BY_HAND),
        Way::Stranger => cell(anonymously(provider, workspace, &folder)),
    };
    let (ssh, signed) = match way {
        Way::Stranger => (Cell::Absent(STRANGER), Cell::Absent(STRANGER)),
        _ => (
            cell(over_ssh(provider, workspace, &folder)),
            cell(signed(workspace, &folder)),
        ),
    };
    [link, key, https, ssh, signed]
}

fn cell<T>(outcome: Result<T>) -> Cell {
    match outcome {
        Ok(_) => Cell::Works,
        Err(error) => Cell::Failed(format!("{error:#}")),
    }
}

/// Presses *Link* in the console and *Approve* at the provider, as often as it asks.
///
/// # Errors
/// When a page is missing or refuses.
pub fn link(provider: &Provider, browser: &mut Browser, world: &World) -> Result<Page> {
    link_as(DEVELOPER, provider, browser, world)
}

/// The same with the provider's account `login`.
///
/// # Errors
/// As [`link`].
pub fn link_as(
    login: &str,
    provider: &Provider,
    browser: &mut Browser,
    world: &World,
) -> Result<Page> {
    let page = browser.open(&format!("{}/preferences/linked-accounts", world.url))?;
    let form = page.form(&format!("/link/{}", provider.id))?;
    let mut page = browser.submit(&form, &[])?;
    // One consent for the grant that manages keys, another for the one that Git gets.
    for _ in 0..3 {
        if page.url.as_str().starts_with(&world.url) {
            break;
        }
        let consent = page.form("").context("the provider's consent page")?;
        let answer = [("account", login), ("decision", "approve")];
        page = browser.submit(&consent, &answer)?;
    }
    if page.status != 200 || !page.url.as_str().starts_with(&world.url) {
        bail!(
            "{} answered {}:\n{}",
            page.url.path(),
            page.status,
            page.text()
        );
    }
    Ok(page)
}

fn key_placed(provider: &Provider) -> Result<()> {
    wait_until(|| Ok(!provider.forge.keys().is_empty()))
}

/// Copies the key from the command line into the provider's form.
fn paste_key(provider: &Provider, workspace: &Workspace) -> Result<()> {
    let line = workspace.run("forgepass", &["key", "show", provider.row.name])?;
    provider.forge.accept_key_by_hand(DEVELOPER, line.trim())?;
    Ok(())
}

fn over_https(provider: &Provider, workspace: &Workspace, folder: &Path) -> Result<()> {
    let urls = provider.forge.create_repository(DEVELOPER, "over-https")?;
    let clone = folder.join("over-https");
    timed("clone over HTTPS", || {
        clone_to(workspace, &urls.https, &clone)
    })?;
    commit(workspace, &clone, "over HTTPS", &["--no-gpg-sign"])?;
    timed("push over HTTPS", || push(workspace, &clone))
}

fn over_ssh(provider: &Provider, workspace: &Workspace, folder: &Path) -> Result<()> {
    let urls = provider.forge.create_repository(DEVELOPER, "over-ssh")?;
    let clone = folder.join("over-ssh");
    timed("clone over SSH", || clone_to(workspace, &urls.ssh, &clone))?;
    commit(workspace, &clone, "over SSH", &["--no-gpg-sign"])?;
    timed("push over SSH", || push(workspace, &clone))
}

fn anonymously(provider: &Provider, workspace: &Workspace, folder: &Path) -> Result<()> {
    let urls = provider
        .forge
        .create_public_repository(DEVELOPER, "public")?;
    // The stand-in's own CA is no business of ours where it is no provider.
    let trust = format!("http.sslCAInfo={}", provider.forge.ca_file().display());
    let clone = folder.join("public");
    let clone = clone.to_str().context("the path is no text")?;
    timed("clone anonymously", || {
        workspace.run(
            "git",
            &["-c", &trust, "clone", "--quiet", &urls.https, clone],
        )
    })
    .map(drop)
}

fn signed(workspace: &Workspace, folder: &Path) -> Result<()> {
    let clone = folder.join("over-ssh");
    timed("signed commit", || {
        commit(workspace, &clone, "signed", &["--gpg-sign"])
    })?;
    timed("git verify-commit", || {
        workspace.run_in(&clone, "git", &["verify-commit", "HEAD"])
    })?;
    timed("push of the signed commit", || push(workspace, &clone))
}

fn clone_to(workspace: &Workspace, url: &str, clone: &Path) -> Result<()> {
    std::fs::create_dir_all(clone.parent().context("no parent folder")?)?;
    let clone = clone.to_str().context("the path is no text")?;
    workspace
        .run("git", &["clone", "--quiet", url, clone])
        .map(drop)
}

/// Commits a new file named after `subject`.
fn commit(workspace: &Workspace, clone: &Path, subject: &str, more: &[&str]) -> Result<()> {
    let file = PathBuf::from(format!("{}.txt", subject.replace(' ', "-")));
    std::fs::write(clone.join(&file), subject)?;
    workspace.run_in(clone, "git", &["add", "--all"])?;
    let commit = ["commit", "--quiet", "--message", subject];
    workspace
        .run_in(clone, "git", &[&commit, more].concat())
        .map(drop)
}

fn push(workspace: &Workspace, clone: &Path) -> Result<()> {
    workspace
        .run_in(clone, "git", &["push", "--quiet", "origin", "HEAD"])
        .map(drop)
}
