//! What an organisation at the provider objects to, broken there for real, in the doctor's words.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use serde_json::Value;
use testforge::RepositoryUrls;
use xtask::demo::{DEVELOPER, Demo, PROVIDERS, link};
use xtask::world::{Build, text, wait_until};

const ORGANISATION: &str = "acme";

/// A developer with an account at GitHub.com, and a repository of an organisation that they may read.
fn stage() -> (Demo, RepositoryUrls) {
    let row = PROVIDERS.iter().find(|row| row.title == "GitHub.com");
    let mut demo = Demo::start(Build::Debug, &[*row.unwrap()]).unwrap();
    let Demo {
        providers,
        browser,
        world,
        ..
    } = &mut demo;
    let forge = &providers[0].forge;
    let urls = forge.create_repository(ORGANISATION, "app").unwrap();
    forge
        .share_repository(ORGANISATION, "app", DEVELOPER)
        .unwrap();
    link(&providers[0], browser, world).unwrap();
    wait_until(|| Ok(!forge.keys().is_empty())).unwrap();
    (demo, urls)
}

/// The step at which the doctor stops, its cause and its mend; none where all is well.
fn broken(demo: &Demo, url: &str) -> Option<[String; 3]> {
    let home = demo.workspace.home();
    let doctor = ["doctor", "--json", url];
    let out = demo.workspace.try_run_in(&home, "forgepass", &doctor);
    let report: Value = serde_json::from_slice(&out.unwrap().stdout).unwrap();
    if report["well"] == true {
        return None;
    }
    let last = report["steps"].as_array().unwrap().last().unwrap();
    Some(["name", "what", "hint"].map(|field| text(last, field).unwrap().to_owned()))
}

#[track_caller]
fn says(found: Option<[String; 3]>, cause: &str, mend: &str) {
    let [step, what, hint] = found.unwrap();
    assert_eq!(step, "trial", "{what}");
    assert!(what.contains(cause), "{what}");
    assert!(hint.contains(mend), "{hint}");
}

#[test]
fn doctor_names_an_organisation_that_wants_single_sign_on() {
    let (demo, urls) = stage();
    assert_eq!(broken(&demo, &urls.https), None);
    assert_eq!(broken(&demo, &urls.ssh), None);
    demo.providers[0].forge.require_saml(ORGANISATION);
    for url in [&urls.https, &urls.ssh] {
        says(broken(&demo, url), "SAML SSO", "single sign-on page");
    }
}

#[test]
fn doctor_names_an_organisation_that_has_not_approved_the_application() {
    let (demo, urls) = stage();
    assert_eq!(broken(&demo, &urls.https), None);
    let provider = &demo.providers[0];
    let row = demo
        .world
        .manage
        .get(&format!("/api/v1/providers/{}", provider.id));
    let row = row.unwrap();
    let client = text(&row, "client_id").unwrap();
    provider.forge.forbid_app(ORGANISATION, client);
    let found = broken(&demo, &urls.https);
    says(
        found,
        "OAuth App access restrictions",
        "approve the OAuth application",
    );
}

#[test]
fn doctor_names_a_scope_that_was_not_granted() {
    let row = PROVIDERS.iter().find(|row| row.title == "GitHub.com");
    let mut demo = Demo::start(Build::Debug, &[*row.unwrap()]).unwrap();
    let Demo {
        providers,
        browser,
        world,
        ..
    } = &mut demo;
    let forge = &providers[0].forge;
    let urls = forge.create_repository(DEVELOPER, "app").unwrap();
    forge.set_knobs(|knobs| knobs.withheld_scope = Some("repo".to_owned()));
    link(&providers[0], browser, world).unwrap();
    let found = broken(&demo, &urls.https);
    says(
        found,
        "token's scopes do not allow",
        "grant what the page asks for",
    );
}
