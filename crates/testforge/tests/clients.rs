//! Drives each stand-in with clients that are not ours: oauthlib, curl, git and ssh.
//!
//! `clients.py` holds the scenarios, one per shape: one full success and several refusals.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{path::Path, process::Stdio};

use testforge::{Shape, start};
use tokio::process::Command;

#[expect(
    clippy::disallowed_methods,
    reason = "the Python with oauthlib is given by the environment"
)]
fn python() -> std::ffi::OsString {
    std::env::var_os("FORGEPASS_TEST_PYTHON").expect(
        "FORGEPASS_TEST_PYTHON names a Python with oauthlib, requests-oauthlib, requests and \
         cryptography; `cargo xtask test` makes one and sets it",
    )
}

/// Runs the scenario of a shape against a fresh stand-in.
async fn drive(shape: Shape) {
    let forge = start(shape).await.unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients.py");
    let scratch = tempfile::tempdir().unwrap();
    let output = Command::new(python())
        .arg("-B")
        .arg(script)
        .arg(forge.describe().to_string())
        .current_dir(scratch.path())
        .env("HOME", scratch.path())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let (said, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{said}{error}\nlog: {:#?}",
        forge.log()
    );
    let refusals = said
        .lines()
        .filter(|line| line.starts_with("refused: "))
        .count();
    assert!(
        refusals >= 3,
        "only {refusals} refusals were tried:\n{said}"
    );
    assert!(
        said.lines().any(|line| line.starts_with("done: ")),
        "nothing was done:\n{said}"
    );
}

macro_rules! scenarios {
    ($($name:ident: $shape:expr;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                drive($shape).await;
            }
        )*
    };
}

scenarios! {
    github_com_serves_and_refuses_foreign_clients: Shape::GitHubCom;
    github_enterprise_serves_and_refuses_foreign_clients: Shape::GitHubEnterprise;
    gitlab_serves_and_refuses_foreign_clients: Shape::GitLab { sub_path: "" };
    gitlab_under_a_sub_path_serves_and_refuses_foreign_clients: Shape::GitLab { sub_path: "/git/lab" };
    bitbucket_serves_and_refuses_foreign_clients: Shape::BitbucketServer;
    bitbucket_oauth1_serves_and_refuses_foreign_clients: Shape::BitbucketServerOAuth1;
    azure_serves_and_refuses_foreign_clients: Shape::Azure;
    other_git_serves_and_refuses_foreign_clients: Shape::OtherGit;
    anonymous_serves_and_refuses_foreign_clients: Shape::Anonymous;
}
