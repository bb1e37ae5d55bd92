//! A clone of 100 MiB over HTTPS beside the same clone with a token typed by hand.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Figures, Line};
use crate::demo::{DEVELOPER, Demo};
use crate::shell;

const MIB: usize = 1024 * 1024;
const ROUNDS: usize = 5;

pub(super) fn measure(demo: &Demo) -> Result<Vec<Line>> {
    let forge = &demo.providers[0].forge;
    let urls = forge.create_repository(DEVELOPER, "large")?;
    let bare = forge
        .repository_folder(DEVELOPER, "large")
        .context("the stand-in's repository")?;
    let source = demo.workspace.folder.join("large");
    fill(&source, &bare)?;
    let (ours, typed) = (urls.https.clone(), with_token(demo, &urls.https)?);
    let addresses = [ours, typed];
    let [ours, typed] = Figures::take_turns(ROUNDS, |which| {
        let target = demo.workspace.folder.join("clone");
        let target = target.to_str().context("the path is no text")?;
        demo.workspace.run(
            "git",
            &["clone", "--quiet", "--bare", &addresses[which], target],
        )?;
        Ok(std::fs::remove_dir_all(target)?)
    })?;
    Ok(vec![Line {
        what: "clone of 100 MiB over HTTPS beside a token typed by hand".into(),
        ours: ours.quantile_ms(0.5),
        yardstick: Some(typed.quantile_ms(0.5)),
        unit: "ms",
        budget: "≤ 1.02×",
    }])
}

/// Commits 100 MiB that do not compress, and puts them into the stand-in's repository.
fn fill(source: &Path, bare: &Path) -> Result<()> {
    std::fs::create_dir_all(source)?;
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    for number in 0..100 {
        let mut bytes = Vec::with_capacity(MIB);
        while bytes.len() < MIB {
            // A xorshift generator: noise is all that is wanted.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend(state.to_le_bytes());
        }
        std::fs::write(source.join(format!("{number}.bin")), bytes)?;
    }
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(source)
            .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]);
        shell::read(git.args(arguments)).map(drop)
    };
    git(&["init", "--quiet"])?;
    git(&["add", "--all"])?;
    git(&["commit", "--quiet", "--no-gpg-sign", "--message", "large"])?;
    git(&[
        "push",
        "--quiet",
        bare.to_str().context("the path is no text")?,
        "HEAD",
    ])
}

/// The address with the credential that our helper gives, as a person would type it.
fn with_token(demo: &Demo, url: &str) -> Result<String> {
    let mut address = url::Url::parse(url)?;
    let answer = demo.workspace.credential(url)?;
    let field = |name: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix(name));
        line.with_context(|| format!("no {name} in the answer"))
    };
    let (user, password) = (
        field("username=")?.to_owned(),
        field("password=")?.to_owned(),
    );
    let typed = address
        .set_username(&user)
        .and_then(|()| address.set_password(Some(&password)));
    typed.ok().context("the address takes no user")?;
    Ok(address.into())
}
