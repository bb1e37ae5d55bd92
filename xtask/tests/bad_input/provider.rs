//! Providers: bad entries, removal while links exist, and addresses that move.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use xtask::demo::{DEVELOPER, Demo};
use xtask::world::{Build, World, build, text, wait_until};

use crate::common::scan::Scanner;
use crate::common::{
    account, assert_says, assert_success, change_provider, clone, fill, forge, linked, links,
    provider_input, stdout,
};

#[test]
fn bad_entries_name_their_field_and_store_nothing() {
    let world = World::start(&build(Build::Debug).unwrap()).unwrap();
    let good = json!({
        "kind": "gitlab", "name": "GitLab", "url": "https://gitlab.example.com",
        "client_id": "id", "client_secret": "secret",
    });
    world.manage.post("/api/v1/providers", &good).unwrap();
    let cases: &[(&str, Value, u16, &str)] = &[
        ("kind", json!("sourceforge"), 400, "kind"),
        ("url", json!("not a url"), 400, "url"),
        ("url", json!("ftp://git.example.com"), 400, "url"),
        ("url", json!("http://git.example.com"), 400, "url"),
        (
            "url",
            json!("https://user:password@git.example.com"),
            400,
            "url",
        ),
        ("name", json!("GitLab"), 409, "called \"gitlab\" already"),
        ("name", json!(""), 400, "name"),
        ("client_secret", Value::Null, 400, "client secret"),
        ("ca_pem", json!("no certificate"), 400, "ca"),
        ("host_keys", json!(["ssh-ed25519 AAAA"]), 400, "host key"),
    ];
    for (field, value, status, named) in cases {
        let mut input = good.clone();
        input["name"] = "Another".into();
        input[*field] = value.clone();
        let (answered, problem) = world
            .manage
            .try_ask("POST", "/api/v1/providers", Some(&input))
            .unwrap();
        assert_eq!(answered, *status, "{field} {value}: {problem}");
        let detail = text(&problem, "detail").unwrap().to_lowercase();
        assert!(detail.contains(named), "{field} {value}: {detail}");
    }
    let stored = world.manage.get("/api/v1/providers").unwrap();
    assert_eq!(stored.as_array().unwrap().len(), 1, "{stored}");
}

#[test]
fn a_provider_with_links_is_removed_by_force_alone_and_then_takes_everything_along() {
    let demo = linked("GitHub.com");
    let path = format!("/api/v1/providers/{}", demo.providers[0].id);
    let (status, problem) = demo
        .world
        .manage
        .try_ask("DELETE", &path, Some(&json!({})))
        .unwrap();
    assert_eq!(status, 409, "{problem}");
    assert_says(text(&problem, "detail").unwrap(), &["1 link"]);
    let urls = forge(&demo).create_repository(DEVELOPER, "app").unwrap();
    assert_success(&clone(&demo.workspace, &urls.https, "before"));

    let force = json!({ "force": true });
    let (status, answer) = demo
        .world
        .manage
        .try_ask("DELETE", &path, Some(&force))
        .unwrap();
    assert!((200..300).contains(&status), "{status} {answer}");
    assert!(links(&demo.world).is_empty());
    assert_eq!(
        demo.world.manage.try_ask("GET", &path, None).unwrap().0,
        404
    );
    wait_until(|| {
        let tokens = forge(&demo).tokens();
        Ok(tokens.iter().all(|token| !token.alive))
    })
    .unwrap();
    let left = forge(&demo).keys();
    assert!(
        left.iter()
            .all(|key| key.usage == testforge::Usage::Signing),
        "{left:?}"
    );
}

/// A server that takes whatever comes and answers 404: it wants to learn secrets.
struct Eavesdropper {
    url: String,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Eavesdropper {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&heard);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let into = Arc::clone(&into);
                std::thread::spawn(move || {
                    let mut buffer = [0; 16 * 1024];
                    while let Ok(read) = stream.read(&mut buffer) {
                        if read == 0 {
                            return;
                        }
                        into.lock().unwrap().extend(&buffer[..read]);
                        let answer = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
                        if stream.write_all(answer).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { url, heard }
    }

    fn heard(&self) -> Vec<u8> {
        self.heard.lock().unwrap().clone()
    }
}

#[test]
fn a_moved_provider_takes_no_token_and_no_secret_along() {
    for title in ["GitHub.com", "GitLab", "Bitbucket Server 1.0a"] {
        let demo = linked(title);
        let id = &demo.providers[0].id;
        let elsewhere = Eavesdropper::start();
        let mut moved = json!({
            "url": elsewhere.url, "api_url": elsewhere.url, "git_url": elsewhere.url,
        });
        let has_secret = title != "Bitbucket Server 1.0a";
        if has_secret {
            // The stored secret was entered for the old address.
            moved["confirm"] = true.into();
            let (status, problem) = change_provider(&demo.world, id, &moved);
            assert_eq!(status, 400, "{problem}");
            assert_says(text(&problem, "detail").unwrap(), &["client secret"]);
            moved["client_secret"] = "another secret".into();
        }
        // It says first what it does.
        let mut input = provider_input(&demo.world, id);
        input
            .as_object_mut()
            .unwrap()
            .extend(moved.as_object().unwrap().clone());
        let preview = demo
            .world
            .manage
            .post(&format!("/api/v1/providers/{id}/preview"), &input)
            .unwrap();
        assert_eq!(preview["needs_confirm"], true, "{preview}");
        assert_says(&preview.to_string(), &["1 link must be linked again"]);
        moved["confirm"] = false.into();
        let (status, problem) = change_provider(&demo.world, id, &moved);
        assert_eq!(status, 409, "{problem}");
        assert_works(&demo);

        moved["confirm"] = true.into();
        let (status, answer) = change_provider(&demo.world, id, &moved);
        assert_eq!(status, 200, "{answer}");
        assert_eq!(links(&demo.world)[0]["state"], "dead");
        use_the_dead_link(&demo, &elsewhere.url);

        let mut scanner = Scanner::private_keys();
        for secret in forge(&demo).issued_secrets() {
            scanner.add("a secret for the old address", secret.as_bytes());
        }
        let heard = elsewhere.heard();
        let said = String::from_utf8_lossy(&heard);
        assert!(scanner.find(&heard).is_empty(), "{title}: {said}");
    }
}

fn assert_works(demo: &Demo) {
    let filled = fill(&demo.workspace, forge(demo).url());
    assert_success(&filled);
}

/// Everything that may make the server use what it has stored.
fn use_the_dead_link(demo: &Demo, url: &str) {
    demo.workspace.stop_agent().unwrap();
    demo.workspace.run("forgepass", &["setup"]).unwrap();
    for url in [forge(demo).url(), &url.replace("http://", "https://")] {
        let filled = fill(&demo.workspace, url);
        assert!(!filled.status.success(), "{}", stdout(&filled));
    }
    let account = account(&demo.world);
    for key in account.get("/api/v1/keys").unwrap().as_array().unwrap() {
        let path = format!("/api/v1/keys/{}/regenerate", text(key, "id").unwrap());
        account.try_ask("POST", &path, Some(&json!({}))).unwrap();
    }
    let path = format!("/api/v1/providers/{}/test", demo.providers[0].id);
    demo.world
        .manage
        .try_ask("POST", &path, Some(&json!({})))
        .unwrap();
    let id = links(&demo.world)[0]["id"].as_str().unwrap().to_owned();
    account
        .ask("DELETE", &format!("/api/v1/links/{id}"), Some(&json!({})))
        .unwrap();
    // The loop that tries again what did not work has had its turn.
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(links(&demo.world).is_empty());
}
