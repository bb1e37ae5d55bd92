//! Providers that answer badly, and applications with the wrong secret: told apart, and nothing is lost.

use serde_json::json;
use testforge::{Endpoint, Fault};
use xtask::demo::{DEVELOPER, Demo};
use xtask::world::wait_until;

use crate::common::{
    alarm, assert_says, begin, change_provider, decide, fill, forge, link_first, linked, links,
    sql, stderr, stdout, unlinked,
};

/// What a provider may answer instead of tokens.
fn bad_answers() -> Vec<Fault> {
    vec![
        Fault::ServerError,
        Fault::Html,
        Fault::HtmlStatus { status: 400 },
        Fault::Empty,
        Fault::NoToken,
        Fault::Status { status: 502 },
        Fault::RateLimited {
            status: 429,
            retry_after_s: 1,
        },
    ]
}

#[test]
fn a_provider_that_answers_badly_is_named_and_linking_works_afterwards() {
    for title in ["GitHub.com", "GitLab", "Bitbucket Server 2.0"] {
        let mut demo = unlinked(&[title]);
        let name = demo.providers[0].row.name;
        let mut faults = bad_answers();
        faults.push(Fault::OkWithError {
            error: "bad_verification_code".to_owned(),
        });
        for fault in faults {
            forge(&demo).fail_next(Endpoint::Token, fault.clone());
            let consent = begin(&mut demo);
            let page = decide(&mut demo, &consent, DEVELOPER, "approve");
            assert!(
                page.status == 503 || page.status == 502,
                "{fault:?}: {}",
                page.text()
            );
            assert_says(&page.text(), &[name, "again"]);
            assert!(links(&demo.world).is_empty(), "{fault:?}");
        }
        link_first(&mut demo);
        assert_says(
            &stdout(&fill(&demo.workspace, forge(&demo).url())),
            &["password="],
        );
    }
}

#[test]
fn an_application_link_is_told_apart_from_a_provider_that_is_away() {
    let mut demo = unlinked(&["Bitbucket Server 1.0a"]);
    for endpoint in [Endpoint::RequestToken, Endpoint::AccessToken] {
        for fault in [Fault::ServerError, Fault::Html, Fault::Empty] {
            forge(&demo).fail_next(endpoint, fault.clone());
            let mut page = begin(&mut demo);
            if endpoint == Endpoint::AccessToken {
                page = decide(&mut demo, &page, DEVELOPER, "approve");
            }
            assert!(
                (502..=503).contains(&page.status),
                "{fault:?}: {}",
                page.text()
            );
            assert!(links(&demo.world).is_empty());
        }
    }
    link_first(&mut demo);
    assert_says(
        &stdout(&fill(&demo.workspace, forge(&demo).url())),
        &["password="],
    );
}

/// Git must have been told to stop, with one line why and one what to do.
#[track_caller]
fn assert_quit(demo: &Demo, parts: &[&str]) {
    let filled = fill(&demo.workspace, forge(demo).url());
    assert!(!filled.status.success());
    let said = stderr(&filled);
    assert_says(&said, parts);
    assert_says(&said, &["hint:"]);
    assert!(!said.contains("Username for"), "{said}");
}

/// Makes the server believe that its tokens have ended, and the agent forget them: the next use refreshes.
#[track_caller]
fn end_tokens(demo: &Demo) {
    sql(
        &demo.world,
        "UPDATE grants SET expires_at = expires_at - 7200",
    );
    demo.workspace.stop_agent().unwrap();
}

fn state_of(demo: &Demo) -> String {
    links(&demo.world)[0]["state"].as_str().unwrap().to_owned()
}

/// Waits out the pause that the server gives a provider that failed.
#[track_caller]
fn wait_for_a_credential(demo: &Demo) {
    let given = || Ok(fill(&demo.workspace, forge(demo).url()).status.success());
    wait_until(given).unwrap();
}

#[test]
fn a_refresh_that_is_answered_badly_keeps_the_link() {
    let demo = linked("GitLab");
    for fault in bad_answers() {
        forge(&demo).fail_times(Endpoint::Token, fault.clone(), 1000);
        end_tokens(&demo);
        assert_quit(&demo, &["GitLab"]);
        assert_eq!(state_of(&demo), "linked", "{fault:?}");
        forge(&demo).clear_faults();
        wait_for_a_credential(&demo);
        assert_eq!(state_of(&demo), "linked", "{fault:?}");
    }
}

#[test]
fn a_wrong_client_secret_alarms_the_site_manager_and_keeps_everyones_tokens() {
    let mut demo = unlinked(&["GitLab"]);
    let provider = demo.providers[0].id.clone();
    let client_id = {
        let path = format!("/api/v1/providers/{provider}");
        demo.world.manage.get(&path).unwrap()["client_id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    link_first(&mut demo);
    assert_eq!(alarm(&demo.world, &provider), None);
    let renewed = forge(&demo).renew_client_secret(&client_id).unwrap();
    end_tokens(&demo);
    assert_quit(&demo, &["GitLab", "site manager"]);
    assert!(alarm(&demo.world, &provider).is_some());
    assert_eq!(state_of(&demo), "linked");

    // At a link it is told too, and does no more harm.
    let consent = begin(&mut demo);
    let page = decide(&mut demo, &consent, DEVELOPER, "approve");
    assert_eq!(page.status, 502, "{}", page.text());
    assert_says(&page.text(), &["site manager"]);
    assert_eq!(links(&demo.world).len(), 1);

    let (status, answer) =
        change_provider(&demo.world, &provider, &json!({ "client_secret": renewed }));
    assert_eq!(status, 200, "{answer}");
    assert_eq!(alarm(&demo.world, &provider), None);
    wait_for_a_credential(&demo);
    assert_eq!(state_of(&demo), "linked");
}

#[test]
fn a_revoked_link_is_dead_and_says_how_to_mend_it() {
    let mut demo = linked("GitLab");
    forge(&demo).revoke_tokens(DEVELOPER);
    end_tokens(&demo);
    assert_quit(&demo, &["link"]);
    assert_eq!(state_of(&demo), "dead");
    link_first(&mut demo);
    wait_for_a_credential(&demo);
    assert_eq!(state_of(&demo), "linked");
}
