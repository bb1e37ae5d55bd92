//! A workspace token where it does not belong: at other routes, and on a second machine.

use serde_json::json;
use xtask::world::{Api, text};

use crate::common::{account, assert_says, fill, forge, linked, open, stdout};

#[test]
fn a_workspace_token_opens_the_workspaces_own_routes_alone() {
    let demo = linked("GitHub.com");
    let token = demo.workspace.token().unwrap();
    let workspace = Api::new(&demo.world.url, &token);
    let workspace = workspace.on_machine(&demo.workspace.machine().unwrap());
    let ask = |method: &str, path: &str| workspace.try_ask(method, path, Some(&json!({}))).unwrap();
    assert_eq!(ask("GET", "/api/v1/workspace").0, 200);
    let provider = format!("/api/v1/providers/{}", demo.providers[0].id);
    for (method, path) in [
        ("GET", "/api/v1/providers"),
        ("POST", "/api/v1/providers"),
        ("PUT", provider.as_str()),
        ("DELETE", provider.as_str()),
        ("GET", "/api/v1/users"),
        ("POST", "/api/v1/users"),
        ("PUT", "/api/v1/settings/ssh"),
        ("GET", "/api/v1/events"),
        ("GET", "/api/v1/me"),
        ("POST", "/api/v1/tokens"),
        ("POST", "/api/v1/workspaces"),
        ("POST", "/api/v1/links"),
        ("GET", "/api/v1/keys"),
    ] {
        let (status, problem) = ask(method, path);
        assert!(
            status == 401 || status == 403,
            "{method} {path} answered {status}: {problem}"
        );
        assert_says(text(&problem, "detail").unwrap(), &["workspace token"]);
    }
    // Nor does the console take it for a session.
    let browser = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .build()
        .new_agent();
    for path in [
        "/",
        "/manage/users",
        "/manage/admin/git-oauth",
        "/preferences/linked-accounts",
    ] {
        let request = browser.get(format!("{}{path}", demo.world.url));
        let request = request.header("authorization", format!("Bearer {token}"));
        let answer = request
            .header("cookie", format!("forgepass={token}"))
            .call()
            .unwrap();
        assert_ne!(answer.status().as_u16(), 200, "{path}");
    }
}

#[test]
fn a_workspace_token_on_a_second_machine_is_refused_and_shown() {
    let mut demo = linked("GitHub.com");
    let url = forge(&demo).url().to_owned();
    let (_, host) = url.split_once("://").unwrap();
    let ask = json!({ "protocol": "https", "host": host });
    let token = demo.workspace.token().unwrap();
    let thief = Api::new(&demo.world.url, &token);
    for thief in [thief.clone().on_machine(&"0".repeat(32)), thief] {
        for (method, path) in [
            ("POST", "/api/v1/credential"),
            ("POST", "/api/v1/sign"),
            ("GET", "/api/v1/workspace"),
            ("GET", "/api/v1/workspace/setup"),
            ("DELETE", "/api/v1/workspace"),
        ] {
            let body = match path {
                "/api/v1/sign" => json!({ "key": "", "data": "", "flags": 0 }),
                _ => ask.clone(),
            };
            let body = (method == "POST").then_some(body);
            let (status, problem) = thief.try_ask(method, path, body.as_ref()).unwrap();
            assert_eq!(status, 403, "{method} {path}: {problem}");
            assert_eq!(
                text(&problem, "code").unwrap(),
                "other-machine",
                "{problem}"
            );
        }
    }
    let workspaces = account(&demo.world).get("/api/v1/workspaces").unwrap();
    assert!(workspaces[0]["other_machine_at"].is_i64(), "{workspaces}");
    assert_says(
        &open(&mut demo, "/preferences/workspaces").text(),
        &["machine"],
    );
    let events = demo.world.manage.get("/api/v1/events?limit=50").unwrap();
    assert_says(&events.to_string(), &["machine"]);
    // Its own machine goes on.
    assert_says(&stdout(&fill(&demo.workspace, &url)), &["password=gho_"]);
}
