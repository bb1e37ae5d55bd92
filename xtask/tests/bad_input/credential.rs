//! What Git, or somebody who pretends to be Git, asks of the credential helper.

use std::process::Output;

use xtask::demo::Demo;

use crate::common::{audit, feed, fill, forge, gits, linked, stderr, stdout};

fn get(demo: &Demo, request: &str) -> Output {
    let mut helper = demo.workspace.command("forgepass");
    feed(helper.args(["credential", "get"]), request.as_bytes())
}

#[test]
fn a_credential_is_for_https_at_the_providers_own_host_alone() {
    let demo = linked("GitHub.com");
    let url = url::Url::parse(forge(&demo).url()).unwrap();
    let (host, port) = (url.host_str().unwrap(), url.port().unwrap());
    let ours = format!("{host}:{port}");
    let given = get(&demo, &format!("protocol=https\nhost={ours}\n\n"));
    assert!(
        stdout(&given).contains("password=gho_"),
        "{}",
        stderr(&given)
    );
    let given_before = audit(&demo.world, "credential.give").len();

    // Silent and well, so that Git asks its next helper.
    for request in [
        format!("protocol=http\nhost={ours}\n\n"),
        format!("protocol=ssh\nhost={ours}\n\n"),
        "protocol=cert\npath=/key.pem\n\n".to_owned(),
        "protocol=https\nhost=unknown.example.com\n\n".to_owned(),
        format!("protocol=https\nhost={host}\n\n"),
        format!("protocol=https\nhost={host}:{}\n\n", port ^ 1),
        format!("protocol=https\nhost={host}.:{port}\n\n"),
        format!("protocol=https\nhost={host}.example.com:{port}\n\n"),
        format!("protocol=https\nhost=evil{ours}\n\n"),
        format!("protocol=https\nhost=evil@{ours}\n\n"),
        format!("protocol=https\nhost={ours}@evil.example.com\n\n"),
        format!("protocol=https\nhost={ours}/\n\n"),
        format!("protocol=https\nhost={ours}#\n\n"),
        "protocol=https\nhost=l\u{43e}calhost\n\n".to_owned(),
    ] {
        let answer = get(&demo, &request);
        let said = (answer.status.code(), stdout(&answer), stderr(&answer));
        assert_eq!(said, (Some(0), String::new(), String::new()), "{request:?}");
    }

    // Malformed: a word why, and nothing else.
    for (request, why) in [
        (
            format!("protocol=https\nhost={ours}\r\n\n"),
            "control character",
        ),
        (
            format!("protocol=https\nhost={ours}\rx\n\n"),
            "control character",
        ),
        (
            format!("protocol=https\nhost={ours}\0x\n\n"),
            "control character",
        ),
        ("protocol=https\n\n".to_owned(), "no host"),
        ("protocol=https\nhost=\n\n".to_owned(), "no host"),
        (format!("host={ours}\n\n"), "no protocol"),
        (
            format!("protocol=https\nhost={ours}\nnonsense\n\n"),
            "key=value",
        ),
        (
            format!(
                "protocol=https\nhost={ours}\npath={}\n\n",
                "a".repeat(70_000)
            ),
            "65535",
        ),
        (
            format!("protocol=https\nhost={ours}\n{}", "a=b\n".repeat(300_000)),
            "1 MiB",
        ),
    ] {
        let answer = get(&demo, &request);
        assert_eq!(answer.status.code(), Some(1), "{request:.80?}");
        assert_eq!(stdout(&answer), "", "{request:.80?}");
        assert!(
            stderr(&answer).contains(why),
            "{request:.80?}: {}",
            stderr(&answer)
        );
    }
    assert_eq!(audit(&demo.world, "credential.give").len(), given_before);

    // None of it has done harm.
    let given = get(
        &demo,
        &format!("protocol=https\nhost={}\n\n", ours.to_uppercase()),
    );
    assert!(
        stdout(&given).contains("password=gho_"),
        "{}",
        stderr(&given)
    );
}

#[test]
fn git_cannot_be_made_to_ask_for_another_host() {
    let mut demo = linked("GitHub.com");
    let url = forge(&demo).url().to_owned();
    let (_, ours) = url.split_once("://").unwrap();
    for git in gits() {
        demo.workspace.git = Some(git);
        assert!(stdout(&fill(&demo.workspace, &url)).contains("password=gho_"));
        for tricked in [
            format!("http://{ours}"),
            format!("https://evil.example.com%0ahost={ours}/x"),
            format!("https://evil.example.com%0d%0ahost={ours}/x"),
            format!("https://evil.example.com/%0ahost={ours}"),
            format!("https://evil.example.com\\@{ours}.example.com/x"),
            format!("https://{ours}@evil.example.com/x"),
        ] {
            let filled = fill(&demo.workspace, &tricked);
            assert!(
                !stdout(&filled).contains("gho_"),
                "{tricked}: {}",
                stdout(&filled)
            );
        }
    }
}
