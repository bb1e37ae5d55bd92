//! Git as VS Code runs it: with an askpass program of its own, which is never needed where we have the credential.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use std::path::{Path, PathBuf};

use common::{
    assert_success, clone, commit_and_push, forge, gits, link_first, script, stderr, stdout,
};
use xtask::demo::{DEVELOPER, Demo};

/// The variables of VS Code's Git extension (`extensions/git/src/askpass.ts`, `ipc/ipcServer.ts`), with programs
/// that note each call and then answer as a person would.
fn as_vs_code_does(demo: &mut Demo) -> PathBuf {
    let folder = demo.workspace.folder.join("code");
    let calls = folder.join("calls");
    let answer = format!(
        "echo \"$0 $*\" >> {}\ncase \"$*\" in *assword*) echo by-hand;; *) echo {DEVELOPER};; esac",
        calls.display()
    );
    let program = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    for name in ["askpass.sh", "ssh-askpass.sh", "node"] {
        script(&folder.join(name), &answer);
    }
    std::fs::write(folder.join("askpass-main.js"), "").unwrap();
    let variables = [
        ("GIT_ASKPASS", program("askpass.sh")),
        ("SSH_ASKPASS", program("ssh-askpass.sh")),
        ("SSH_ASKPASS_REQUIRE", "force".to_owned()),
        ("VSCODE_GIT_ASKPASS_NODE", program("node")),
        ("VSCODE_GIT_ASKPASS_MAIN", program("askpass-main.js")),
        (
            "VSCODE_GIT_ASKPASS_EXTRA_ARGS",
            "--ms-enable-electron-run-as-node".to_owned(),
        ),
        (
            "VSCODE_GIT_IPC_HANDLE",
            program("vscode-git-1234567890.sock"),
        ),
        ("VSCODE_GIT_COMMAND", "fetch".to_owned()),
        ("ELECTRON_RUN_AS_NODE", "1".to_owned()),
        ("GIT_PAGER", "cat".to_owned()),
        ("LC_ALL", "en_US.UTF-8".to_owned()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    demo.workspace.variables.extend(variables);
    calls
}

fn calls_in(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

#[test]
fn clones_and_pushes_without_asking_the_person() {
    let mut demo =
        common::unlinked(&["GitHub.com", "GitLab below /gitlab", "Bitbucket Server 2.0"]);
    for provider in &demo.providers {
        xtask::demo::link(provider, &mut demo.browser, &demo.world).unwrap();
    }
    let calls = as_vs_code_does(&mut demo);
    for (number, git) in gits().into_iter().enumerate() {
        demo.workspace.git = Some(git);
        for provider in &demo.providers {
            let urls = provider
                .forge
                .create_repository(DEVELOPER, &format!("app-{number}"))
                .unwrap();
            for (over, url) in [("https", &urls.https), ("ssh", &urls.ssh)] {
                let name = format!("{over}-{number}-{}", provider.id);
                assert_success(&clone(&demo.workspace, url, &name));
                assert_success(&commit_and_push(&demo.workspace, &name, over));
                let folder = demo.workspace.home().join(&name);
                demo.workspace
                    .run_in(&folder, "git", &["fetch", "--all"])
                    .unwrap();
            }
        }
    }
    assert_eq!(calls_in(&calls), "");
}

#[test]
fn leaves_other_hosts_to_the_editor() {
    let mut demo = common::unlinked(&["GitHub.com"]);
    link_first(&mut demo);
    let stranger = demo
        .runtime
        .block_on(testforge::start(testforge::Shape::OtherGit))
        .unwrap();
    stranger.add_account(DEVELOPER);
    stranger.set_password(DEVELOPER, "by-hand").unwrap();
    let urls = stranger.create_repository(DEVELOPER, "private").unwrap();
    let calls = as_vs_code_does(&mut demo);
    let trust = (
        "GIT_SSL_CAINFO".to_owned(),
        forge(&demo).ca_file().to_str().unwrap().to_owned(),
    );
    demo.workspace.variables.push(trust);
    for (number, git) in gits().into_iter().enumerate() {
        demo.workspace.git = Some(git);
        let cloned = clone(&demo.workspace, &urls.https, &format!("private-{number}"));
        assert!(
            cloned.status.success(),
            "{}{}",
            stdout(&cloned),
            stderr(&cloned)
        );
        assert!(
            calls_in(&calls).contains("Password for"),
            "{}",
            calls_in(&calls)
        );
        std::fs::remove_file(&calls).unwrap();
    }
}

#[test]
fn a_dead_link_is_told_instead_of_asking_for_a_password() {
    let mut demo = common::linked("GitLab");
    let urls = forge(&demo).create_repository(DEVELOPER, "app").unwrap();
    let calls = as_vs_code_does(&mut demo);
    assert_success(&clone(&demo.workspace, &urls.https, "before"));
    forge(&demo).revoke_tokens(DEVELOPER);
    demo.workspace.stop_agent().unwrap();
    for (number, git) in gits().into_iter().enumerate() {
        demo.workspace.git = Some(git);
        let cloned = clone(&demo.workspace, &urls.https, &format!("after-{number}"));
        assert!(!cloned.status.success());
    }
    let folder = demo.workspace.home().join("before");
    let fetched = demo
        .workspace
        .try_run_in(&folder, "git", &["fetch"])
        .unwrap();
    assert!(
        stderr(&fetched).contains("forgepass link"),
        "{}",
        stderr(&fetched)
    );
    assert!(
        !calls_in(&calls).contains("Password for"),
        "{}",
        calls_in(&calls)
    );
}
