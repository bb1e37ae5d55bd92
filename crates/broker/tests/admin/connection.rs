//! Test connection, against stand-ins of real sites.

use broker::{AsSiteManager, ProviderInput, TestReport};
use testforge::{AppSpec, Forge, Shape};

use crate::site::Site;

const CALLBACK: &str = "https://forgepass.example.com/oauth/callback";

/// A stand-in as a site manager enters it.
fn input(forge: &Forge, kind: &str, app: (String, String)) -> ProviderInput {
    ProviderInput {
        kind: kind.into(),
        name: "Stand-in".into(),
        url: forge.url().into(),
        api_url: (forge.shape() == Shape::GitHubCom).then(|| forge.api_url().into()),
        client_id: app.0,
        client_secret: Some(app.1.into()).filter(|_| !kind.ends_with("oauth1")),
        ssh_addresses: Some(vec![forge.ssh_address().into()]),
        host_keys: Some(vec![forge.ssh_host_key().into()]),
        ca_pem: Some(forge.ca_pem()),
        internal: true,
        ..ProviderInput::default()
    }
}

async fn gitlab() -> (AsSiteManager, Forge, ProviderInput, Site) {
    let (site, root) = Site::managed().await;
    let forge = testforge::start(Shape::GitLab {
        sub_path: "/gitlab",
    })
    .await
    .unwrap();
    let app = forge.register_app(AppSpec::new(CALLBACK)).unwrap();
    let input = input(&forge, "gitlab", app);
    (root, forge, input, site)
}

fn told(report: &TestReport) -> String {
    report
        .checks
        .iter()
        .map(|it| format!("{} {}: {}\n", it.ok, it.name, it.detail))
        .collect()
}

fn ok_of(report: &TestReport, name: &str) -> bool {
    let check = report
        .checks
        .iter()
        .find(|check| check.name.starts_with(name));
    check
        .unwrap_or_else(|| panic!("no {name} in\n{}", told(report)))
        .ok
}

#[tokio::test]
async fn a_right_provider_passes_every_check_before_and_after_it_is_saved() {
    let (root, _forge, input, _site) = gitlab().await;
    let before = root.test_input(&input).await.unwrap();
    assert!(
        before.checks.iter().all(|check| check.ok),
        "{}",
        told(&before)
    );
    let id = root.add_provider(input).await.unwrap().id;
    let after = root.test_provider(&id).await.unwrap();
    let names: Vec<&str> = after
        .checks
        .iter()
        .map(|check| check.name.as_str())
        .collect();
    assert_eq!(
        names[..3],
        ["address", "software", "application"],
        "{}",
        told(&after)
    );
    assert!(
        after.checks.iter().all(|check| check.ok),
        "{}",
        told(&after)
    );
    assert!(root.provider(&id).await.unwrap().last_success_at.is_some());
}

#[tokio::test]
async fn every_kind_with_oauth_is_recognised_and_knows_its_application() {
    let (_site, root) = Site::managed().await;
    for (shape, kind) in [
        (Shape::GitHubCom, "github"),
        (Shape::GitHubEnterprise, "github"),
        (Shape::BitbucketServer, "bitbucket-server"),
    ] {
        let forge = testforge::start(shape).await.unwrap();
        let app = forge.register_app(AppSpec::new(CALLBACK)).unwrap();
        let report = root.test_input(&input(&forge, kind, app)).await.unwrap();
        assert!(
            report.checks.iter().all(|check| check.ok),
            "{shape:?}\n{}",
            told(&report)
        );
        assert!(
            report
                .checks
                .iter()
                .any(|check| check.name == "application")
        );
    }
}

#[tokio::test]
async fn an_application_link_is_tested_by_a_signed_request() {
    let (site, root) = Site::managed().await;
    // Signatures carry the time, and the stand-in compares it.
    site.store.set_now(None);
    let forge = testforge::start(Shape::BitbucketServerOAuth1)
        .await
        .unwrap();
    let kind = "bitbucket-server-oauth1";
    let draft = root.make_draft(kind).await.unwrap();
    let mut input = input(&forge, kind, ("forgepass".into(), String::new()));
    input.draft = Some(draft.id);
    let unknown = root.test_input(&input).await.unwrap();
    assert!(!ok_of(&unknown, "application"), "{}", told(&unknown));

    forge
        .register_consumer("forgepass", "Forgepass", &draft.public_key.unwrap())
        .unwrap();
    let known = root.test_input(&input).await.unwrap();
    assert!(
        known.checks.iter().all(|check| check.ok),
        "{}",
        told(&known)
    );
}

#[tokio::test]
async fn a_wrong_client_secret_is_found_and_not_shown() {
    let (root, _forge, mut input, _site) = gitlab().await;
    input.client_secret = Some("a-wrong-secret".into());
    let report = root.test_input(&input).await.unwrap();
    assert!(!ok_of(&report, "application"), "{}", told(&report));
    assert!(!told(&report).contains("a-wrong-secret"));
}

#[tokio::test]
async fn an_unknown_authority_is_named() {
    let (root, _forge, mut input, _site) = gitlab().await;
    input.ca_pem = None;
    let report = root.test_input(&input).await.unwrap();
    assert!(!ok_of(&report, "address"));
    assert!(
        told(&report).contains("unknown authority"),
        "{}",
        told(&report)
    );
    assert!(
        report
            .checks
            .iter()
            .all(|check| check.name != "application"),
        "nothing else is asked"
    );
}

#[tokio::test]
async fn the_wrong_kind_is_told() {
    let (root, _forge, mut input, _site) = gitlab().await;
    input.kind = "github".into();
    let report = root.test_input(&input).await.unwrap();
    assert!(!ok_of(&report, "software"), "{}", told(&report));
}

#[tokio::test]
async fn a_private_address_of_a_provider_that_is_not_internal_is_refused() {
    let (root, forge, mut input, _site) = gitlab().await;
    input.internal = false;
    // By name: a literal address is refused before it is even saved.
    let url = forge.url().replace("127.0.0.1", "localhost");
    input.api_url = None;
    input.ssh_addresses = Some(vec!["localhost:22".into()]);
    input.url = url;
    let report = root.test_input(&input).await.unwrap();
    assert!(
        !ok_of(&report, "address") && !ok_of(&report, "SSH at"),
        "{}",
        told(&report)
    );
    assert!(told(&report).contains("internal"), "{}", told(&report));
}

#[tokio::test]
async fn host_keys_are_read_with_fingerprints_and_compared_with_the_pinned() {
    let (root, forge, mut input, _site) = gitlab().await;
    input.host_keys = Some(Vec::new());
    let report = root.test_input(&input).await.unwrap();
    assert!(!ok_of(&report, "SSH at"), "nothing is pinned yet");
    let pinned = forge
        .ssh_host_key()
        .split(' ')
        .take(2)
        .collect::<Vec<_>>()
        .join(" ");
    let found = report
        .host_keys
        .iter()
        .find(|key| key.key == pinned)
        .unwrap();
    assert!(found.fingerprint.starts_with("SHA256:") && !found.pinned);

    input.host_keys = Some(vec![found.key.clone()]);
    let report = root.test_input(&input).await.unwrap();
    assert!(ok_of(&report, "SSH at"), "{}", told(&report));
    let other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    input.host_keys = Some(vec![other.into()]);
    let report = root.test_input(&input).await.unwrap();
    assert!(!ok_of(&report, "SSH at"), "a foreign key answers");
}

#[tokio::test]
async fn the_version_that_answers_chooses_between_two_ways_to_register() {
    let (_site, root) = Site::managed().await;
    let ways = ["bitbucket-server", "bitbucket-server-oauth1"];
    for (shape, proposed) in [
        (Shape::BitbucketServer, ways[0]),
        (Shape::BitbucketServerOAuth1, ways[1]),
    ] {
        let forge = testforge::start(shape).await.unwrap();
        for chosen in ways {
            let proposal = root.propose_kind(&place(&forge, chosen)).await.unwrap();
            assert_eq!(proposal.kind, proposed, "{shape:?}");
            assert!(proposal.found.starts_with("Bitbucket "), "{proposal:?}");
        }
    }
}

#[tokio::test]
async fn where_no_way_suits_the_reason_and_the_next_step_are_told() {
    let (_site, root) = Site::managed().await;
    let forge = testforge::start(Shape::GitLab { sub_path: "" })
        .await
        .unwrap();
    let other = root.propose_kind(&place(&forge, "bitbucket-server")).await;
    let other = other.unwrap_err();
    let told = "URL: this does not answer like Bitbucket Server and Data Center: ";
    assert!(other.detail.starts_with(told), "{other:?}");
    assert!(
        other
            .hint
            .unwrap()
            .contains("choose by the version yourself")
    );

    let mut untrusted = place(&forge, "bitbucket-server");
    untrusted.ca_pem = None;
    let untrusted = root.propose_kind(&untrusted).await.unwrap_err();
    assert!(untrusted.detail.contains("certificate"), "{untrusted:?}");

    let mut inside = place(&forge, "bitbucket-server");
    inside.internal = false;
    let inside = root.propose_kind(&inside).await.unwrap_err();
    assert!(inside.detail.starts_with("URL: "), "{inside:?}");
}

/// What is known of a stand-in before anything is registered there.
fn place(forge: &Forge, kind: &str) -> ProviderInput {
    ProviderInput {
        kind: kind.into(),
        url: forge.url().into(),
        ca_pem: Some(forge.ca_pem()),
        internal: true,
        ..ProviderInput::default()
    }
}
