//! Linking: states that do not fit, consents that are not given, accounts that are not the expected ones.

use serde_json::{Value, json};
use testforge::{Endpoint, Fault, Usage};
use xtask::browser::Page;
use xtask::demo::{DEVELOPER, Demo};
use xtask::world::{text, wait_until};

use crate::common::{
    account, another_browser, approve_all, assert_says, assert_success, begin, callback_of, clone,
    decide, fill, forge, link_first, linked, links, open, sql, stderr, stdout, unlinked,
};

/// The page must be a refusal that says these things.
#[track_caller]
fn assert_refused(page: &Page, status: u16, parts: &[&str]) {
    assert_eq!(page.status, status, "{}", page.text());
    assert_says(&page.text(), parts);
}

/// The one link works over HTTPS.
#[track_caller]
fn assert_linked(demo: &Demo) {
    let links = links(&demo.world);
    assert_eq!(links.len(), 1, "{links:?}");
    assert_eq!(links[0]["state"], "linked", "{links:?}");
    assert_says(
        &stdout(&fill(&demo.workspace, forge(demo).url())),
        &["password="],
    );
}

#[test]
fn a_state_works_once_in_its_own_session_and_for_ten_minutes() {
    let mut demo = unlinked(&["Bitbucket Server 2.0"]);
    let consent = begin(&mut demo);
    let callback = callback_of(&demo, &consent);
    let begin_again = "Begin again";

    // In another session, even of the same user; with another state; with none.
    let mut other = another_browser(&demo, DEVELOPER);
    let page = other.open(&callback).unwrap();
    assert_refused(&page, 400, &["another browser", begin_again]);
    let (before, after) = callback.split_once("state=").unwrap();
    let rest = after.find('&').map_or("", |at| &after[at..]);
    let page = demo
        .browser
        .open(&format!("{before}state={}{rest}", "A".repeat(43)))
        .unwrap();
    assert_refused(&page, 400, &["belongs to no link", begin_again]);
    let page = demo
        .browser
        .open(before.trim_end_matches(['?', '&']))
        .unwrap();
    assert_refused(&page, 400, &["belongs to no link"]);
    assert!(links(&demo.world).is_empty());

    // None of that has used the right one up; using it does.
    let page = demo.browser.open(&callback).unwrap();
    let page = approve_all(&mut demo, page);
    assert_eq!(page.status, 200, "{}", page.text());
    assert_linked(&demo);
    let page = demo.browser.open(&callback).unwrap();
    assert_refused(&page, 400, &["was used already"]);
    assert_linked(&demo);

    let consent = begin(&mut demo);
    let callback = callback_of(&demo, &consent);
    sql(
        &demo.world,
        "UPDATE attempts SET expires_at = expires_at - 600",
    );
    let page = demo.browser.open(&callback).unwrap();
    assert_refused(&page, 400, &["too old"]);
    assert_linked(&demo);
}

#[test]
fn two_links_begun_in_two_tabs_both_finish() {
    let mut demo = unlinked(&["GitHub.com"]);
    let first = begin(&mut demo);
    let second = begin(&mut demo);
    let first = decide(&mut demo, &first, DEVELOPER, "approve");
    let second = approve_all(&mut demo, second);
    let first = approve_all(&mut demo, first);
    for page in [first, second] {
        assert_eq!(page.status, 200);
        assert_eq!(page.url.path(), "/preferences/linked-accounts");
    }
    assert_linked(&demo);
}

#[test]
fn a_denied_consent_is_told_and_can_be_given_later() {
    for title in [
        "GitHub.com",
        "GitLab",
        "Bitbucket Server 2.0",
        "Bitbucket Server 1.0a",
    ] {
        let mut demo = unlinked(&[title]);
        let consent = begin(&mut demo);
        let page = decide(&mut demo, &consent, DEVELOPER, "deny");
        assert_refused(&page, 400, &["was not given", "nothing was changed"]);
        assert!(links(&demo.world).is_empty());
        link_first(&mut demo);
        assert_linked(&demo);
    }
}

#[test]
fn without_the_second_consent_ssh_works_and_finish_completes_the_link() {
    for title in ["GitHub.com", "GitLab"] {
        let mut demo = unlinked(&[title]);
        let consent = begin(&mut demo);
        let second = decide(&mut demo, &consent, DEVELOPER, "approve");
        let page = decide(&mut demo, &second, DEVELOPER, "deny");
        assert_refused(&page, 200, &["for SSH alone", "was not given"]);

        let urls = forge(&demo).create_repository(DEVELOPER, "app").unwrap();
        wait_until(|| Ok(!forge(&demo).keys().is_empty())).unwrap();
        assert_success(&clone(&demo.workspace, &urls.ssh, "over-ssh"));
        let refused = clone(&demo.workspace, &urls.https, "over-https");
        assert!(!refused.status.success());
        assert_says(&stderr(&refused), &["forgepass", "hint:"]);

        let page = open(&mut demo, "/preferences/linked-accounts");
        let consent = demo
            .browser
            .submit(&page.form("/finish").unwrap(), &[])
            .unwrap();
        let page = approve_all(&mut demo, consent);
        assert_eq!(page.status, 200, "{}", page.text());
        // The agent gives the same refusal for a second.
        std::thread::sleep(std::time::Duration::from_secs(1));
        assert_success(&clone(&demo.workspace, &urls.https, "over-https"));
        assert_linked(&demo);
    }
}

#[test]
fn another_account_than_that_of_the_link_is_refused_by_both_names() {
    for title in ["GitHub.com", "Bitbucket Server 2.0"] {
        let mut demo = linked(title);
        forge(&demo).add_account("bob");
        let id = links(&demo.world)[0]["id"].as_str().unwrap().to_owned();
        let page = open(&mut demo, "/preferences/linked-accounts");
        let form = page.form("/relink").unwrap();
        let consent = demo.browser.submit(&form, &[("link", &id)]).unwrap();
        let page = decide(&mut demo, &consent, "bob", "approve");
        assert_refused(&page, 409, &["as bob", "for ann"]);
        assert_linked(&demo);
        assert_eq!(links(&demo.world)[0]["login"], "ann");
        // What bob's account gave is given back.
        let bobs = || {
            forge(&demo)
                .tokens()
                .into_iter()
                .filter(|token| token.login == "bob")
        };
        assert!(bobs().count() > 0);
        wait_until(|| Ok(bobs().all(|token| !token.alive))).unwrap();
    }
}

#[test]
fn an_organisation_that_blocks_the_application_is_told_from_success() {
    let mut demo = unlinked(&["GitHub.com"]);
    let organisation = "acme".to_owned();
    let fault = Fault::OrganisationForbidsApp { organisation };
    forge(&demo).fail_times(Endpoint::User, fault, 100);
    let consent = begin(&mut demo);
    let page = decide(&mut demo, &consent, DEVELOPER, "approve");
    assert_refused(&page, 403, &["blocks this", "acme"]);
    assert!(links(&demo.world).is_empty());
    wait_until(|| Ok(forge(&demo).tokens().iter().all(|token| !token.alive))).unwrap();

    // One whose repositories alone are closed does not stand in the way of the others.
    forge(&demo).clear_faults();
    link_first(&mut demo);
    let provider = account(&demo.world).get("/api/v1/links").unwrap();
    assert_eq!(provider[0]["state"], "linked");
    forge(&demo).forbid_app("acme", &client_id(&demo));
    let closed = forge(&demo).create_repository("acme", "closed").unwrap();
    let own = forge(&demo).create_repository(DEVELOPER, "own").unwrap();
    let refused = clone(&demo.workspace, &closed.https, "closed");
    assert!(!refused.status.success());
    assert_says(&stderr(&refused), &["OAuth App access restrictions"]);
    assert_success(&clone(&demo.workspace, &own.https, "own"));
    assert_linked(&demo);
}

fn client_id(demo: &Demo) -> String {
    let path = format!("/api/v1/providers/{}", demo.providers[0].id);
    text(&demo.world.manage.get(&path).unwrap(), "client_id")
        .unwrap()
        .to_owned()
}

#[test]
fn a_key_that_is_on_another_account_is_replaced_by_a_new_pair() {
    for title in ["GitHub.com", "GitLab", "Bitbucket Server 2.0"] {
        let mut demo = linked(title);
        forge(&demo).add_account("bob");
        wait_until(|| Ok(!forge(&demo).keys().is_empty())).unwrap();
        let taken = forge(&demo).keys()[0].clone();
        for key in forge(&demo).keys() {
            forge(&demo).remove_key_by_hand(key.id);
        }
        forge(&demo).accept_key_by_hand("bob", &taken.line).unwrap();
        forge(&demo).clear_log();
        // Linking again looks after the key.
        link_first(&mut demo);
        let anns = || {
            forge(&demo)
                .keys()
                .into_iter()
                .filter(|key| key.login == DEVELOPER && key.usage != Usage::Signing)
        };
        wait_until(|| Ok(anns().count() > 0)).unwrap();
        assert!(anns().all(|key| key.fingerprint != taken.fingerprint));
        let urls = forge(&demo).create_repository(DEVELOPER, "app").unwrap();
        assert_success(&clone(&demo.workspace, &urls.ssh, "app"));
        let is_upload =
            |entry: &testforge::Entry| entry.method == "POST" && entry.path.contains("key");
        let uploads = forge(&demo).log().into_iter().filter(is_upload).count();
        assert!((2..=6).contains(&uploads), "{uploads} uploads");
        assert_eq!(
            keys_of(&demo)
                .as_array()
                .unwrap()
                .iter()
                .filter(|key| key["state"] == "present")
                .count(),
            1
        );
    }
}

fn keys_of(demo: &Demo) -> Value {
    account(&demo.world).get("/api/v1/keys").unwrap()
}

#[test]
fn nobody_links_for_another_user_or_from_a_script() {
    let mut demo = linked("GitHub.com");
    let mut bob = xtask::browser::Browser::new(&forge(&demo).ca_pem()).unwrap();
    demo.world.add_developer("bob", &mut bob).unwrap();
    let id = links(&demo.world)[0]["id"].as_str().unwrap().to_owned();
    let page = open(&mut demo, "/preferences/linked-accounts");
    let relink = page.form("/relink").unwrap();
    let page = bob.submit(&relink, &[("link", &id)]).unwrap();
    assert_eq!(page.status, 404, "{}", page.text());
    let unlink =
        account(&demo.world).try_ask("DELETE", "/api/v1/links/lnk_unknown", Some(&json!({})));
    assert_eq!(unlink.unwrap().0, 404);
    assert_linked(&demo);
}
