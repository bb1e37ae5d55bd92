//! Bare repositories, the addresses that sites give them, and who may touch them.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::{
    shape::{Shape, Software},
    state::{Account, Organisation, Repository, Site, State},
};

/// Where a repository is cloned from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RepositoryUrls {
    /// `https://…`.
    pub https: String,
    /// `ssh://git@…`.
    pub ssh: String,
}

/// Reading or writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// Who may see a new repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visibility {
    Private,
    Public,
}

/// The `git` of the stand-ins: nobody's settings reach it.
pub(crate) fn git() -> Command {
    let mut command = Command::new("git");
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
    ] {
        command.env_remove(name);
    }
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0");
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "Forge")
            .env(format!("GIT_{who}_EMAIL"), "forge@example.com")
            .env(format!("GIT_{who}_DATE"), "2026-01-01T00:00:00Z");
    }
    command
}

/// Makes a bare repository with one commit on `main`.
pub(crate) fn create(
    site: &Site,
    owner: &str,
    name: &str,
    visibility: Visibility,
) -> Result<RepositoryUrls> {
    let mut state = site.lock();
    ensure!(
        state.repository(owner, name).is_none(),
        "the repository {owner}/{name} exists"
    );
    let folder = format!("{}.git", state.next_id());
    seed(&site.repositories.join(&folder), name)?;
    // A personal repository is its owner's alone; an organisation's is open to every account.
    let person = owner.trim_start_matches('~');
    let members = state
        .account_by_login(person)
        .map(|account| vec![account.login.clone()]);
    state.repositories.push(Repository {
        owner: owner.to_owned(),
        name: name.to_owned(),
        folder,
        public: visibility == Visibility::Public || site.shape == Shape::Anonymous,
        members,
    });
    Ok(urls(site, owner, name))
}

/// Makes the bare repository itself and its first commit.
fn seed(path: &std::path::Path, name: &str) -> Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("make the folder {}", path.display()))?;
    run(
        path,
        &["init", "--quiet", "--bare", "--initial-branch=main"],
        "",
    )?;
    // Partial clones, which every provider of today serves.
    run(path, &["config", "uploadpack.allowFilter", "true"], "")?;
    run(
        path,
        &["config", "uploadpack.allowAnySHA1InWant", "true"],
        "",
    )?;
    let blob = run(
        path,
        &["hash-object", "-w", "--stdin"],
        &format!("# {name}\n"),
    )?;
    let tree = run(
        path,
        &["mktree"],
        &format!("100644 blob {blob}\tREADME.md\n"),
    )?;
    let commit = run(path, &["commit-tree", "-m", "First commit", &tree], "")?;
    run(path, &["update-ref", "refs/heads/main", &commit], "")?;
    Ok(())
}

fn run(folder: &std::path::Path, args: &[&str], input: &str) -> Result<String> {
    use std::io::Write as _;
    let mut child = git()
        .current_dir(folder)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("start git")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "git {} ended with {}",
        args.join(" "),
        output.status
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The addresses of a repository as this kind of site writes them.
pub(crate) fn urls(site: &Site, owner: &str, name: &str) -> RepositoryUrls {
    let (https, ssh) = match site.shape.software() {
        Software::Bitbucket => (
            format!("/scm/{owner}/{name}.git"),
            format!("{}/{name}.git", owner.to_lowercase()),
        ),
        // The owner is `organisation/project`.
        Software::Azure => {
            let owner = owner.replace(' ', "%20");
            (
                format!("/{owner}/_git/{name}"),
                format!("v3/{owner}/{name}"),
            )
        }
        _ => (
            format!("/{owner}/{name}.git"),
            format!("{owner}/{name}.git"),
        ),
    };
    RepositoryUrls {
        https: format!("{}{https}", site.url),
        ssh: format!("ssh://git@{}/{ssh}", site.ssh_address),
    }
}

/// The owner and name in a repository path of an HTTPS URL, without the site's sub-path.
pub(crate) fn parse_https(software: Software, path: &str) -> Option<(String, String)> {
    let path = percent_encoding::percent_decode_str(path)
        .decode_utf8()
        .ok()?;
    let path = path.trim_start_matches('/');
    let (owner, name) = match software {
        Software::Bitbucket => path.strip_prefix("scm/")?.rsplit_once('/')?,
        Software::Azure => path.rsplit_once("/_git/")?,
        _ => path.rsplit_once('/')?,
    };
    Some((
        owner.to_owned(),
        name.strip_suffix(".git").unwrap_or(name).to_owned(),
    ))
}

/// The owner and name in the path of an SSH command.
pub(crate) fn parse_ssh(software: Software, path: &str) -> Option<(String, String)> {
    let path = path.trim_start_matches('/');
    let decoded;
    let path = match software {
        Software::Azure => {
            decoded = percent_encoding::percent_decode_str(path)
                .decode_utf8()
                .ok()?;
            decoded.strip_prefix("v3/")?
        }
        _ => path,
    };
    let (owner, name) = path.rsplit_once('/')?;
    Some((
        owner.to_owned(),
        name.strip_suffix(".git").unwrap_or(name).to_owned(),
    ))
}

/// Whether an account belongs to those who may read and write a repository.
pub(crate) fn is_member(repository: &Repository, account: &Account) -> bool {
    repository
        .members
        .as_ref()
        .is_none_or(|members| members.contains(&account.login))
}

/// The organisation that owns a repository, if it makes demands.
pub(crate) fn organisation<'a>(
    state: &'a State,
    repository: &Repository,
) -> Option<&'a Organisation> {
    state.organisation(repository.owner.split('/').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(owner: &str, name: &str) -> Option<(String, String)> {
        Some((owner.to_owned(), name.to_owned()))
    }

    #[test]
    fn each_software_has_its_own_paths() {
        use Software::{Azure, Bitbucket, GitHub, GitLab};
        assert_eq!(parse_https(GitHub, "/ann/app.git"), pair("ann", "app"));
        assert_eq!(
            parse_https(GitLab, "/group/sub/app.git"),
            pair("group/sub", "app")
        );
        assert_eq!(
            parse_https(Bitbucket, "/scm/TEAM/app.git"),
            pair("TEAM", "app")
        );
        assert_eq!(parse_https(Bitbucket, "/TEAM/app.git"), None);
        assert_eq!(
            parse_ssh(Azure, "v3/org/my%20project/app"),
            pair("org/my project", "app")
        );
        assert_eq!(parse_ssh(Azure, "org/project/app"), None);
        assert_eq!(parse_ssh(GitLab, "/group/app.git"), pair("group", "app"));
    }
}
