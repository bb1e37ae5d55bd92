//! Consents by purpose: what Git receives cannot change keys, whatever the provider grants.

use broker::{LinkId, LinkOutcome, LinkState, RefusedKind};
use testforge::Shape;

use crate::stage::{GITLAB, LINKABLE, Special, Stage, alive, callback};

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_second_consent_leaves_ssh_and_offers_to_finish() {
    for shape in [Shape::GitHubCom, GITLAB, Shape::BitbucketServer] {
        let stage = Stage::new(shape).await;
        let back = stage
            .forge
            .approve(&stage.begin(None).await, "ann")
            .await
            .unwrap();
        let LinkOutcome::SecondConsent(url) = stage.ann.finish_link(callback(&back)).await.unwrap()
        else {
            panic!("{shape:?} asks no second consent");
        };
        let back = stage.forge.deny(url.as_str(), "ann").await.unwrap();
        let LinkOutcome::WithoutGit { link, .. } =
            stage.ann.finish_link(callback(&back)).await.unwrap()
        else {
            panic!("{shape:?} lost the link");
        };
        assert_eq!(
            (link.state, link.keys[0].state.as_str()),
            (LinkState::Unfinished, "present")
        );
        let workspace = stage.workspace().await;
        let refused = workspace.credential(&stage.ask()).await.unwrap_err();
        assert_eq!(
            refused.kind,
            RefusedKind::NoCredential,
            "{shape:?} {refused}"
        );

        let url = stage
            .ann
            .finish_git_consent(&LinkId(link.id))
            .await
            .unwrap();
        let done = stage.walk(url.to_string(), "ann").await.unwrap();
        assert!(matches!(done, LinkOutcome::Linked(_)), "{shape:?} {done:?}");
        assert!(
            workspace.credential(&stage.ask()).await.is_ok(),
            "{shape:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_second_consent_leaves_a_link_for_ssh() {
    let stage = Stage::new(GITLAB).await;
    let back = stage
        .forge
        .approve(&stage.begin(None).await, "ann")
        .await
        .unwrap();
    stage.ann.finish_link(callback(&back)).await.unwrap();
    let links = stage.ann.links().await.unwrap();
    assert_eq!(
        (links[0].state, links[0].keys[0].state.as_str()),
        (LinkState::Unfinished, "present")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_git_grant_that_could_change_keys_is_given_back() {
    for (shape, narrow, broad) in [
        (
            Shape::GitHubCom,
            "scope=repo+workflow",
            "scope=repo+workflow+admin%3Apublic_key",
        ),
        (
            GITLAB,
            "scope=read_user+read_repository+write_repository",
            "scope=api",
        ),
        (
            Shape::BitbucketServer,
            "scope=REPO_WRITE",
            "scope=REPO_WRITE+ACCOUNT_WRITE",
        ),
    ] {
        let stage = Stage::new(shape).await;
        let back = stage
            .forge
            .approve(&stage.begin(None).await, "ann")
            .await
            .unwrap();
        let LinkOutcome::SecondConsent(url) = stage.ann.finish_link(callback(&back)).await.unwrap()
        else {
            panic!("{shape:?} asks no second consent");
        };
        assert!(url.as_str().contains(narrow), "{url}");
        let url = url.as_str().replace(narrow, broad);
        let outcome = stage.walk(url, "ann").await.unwrap();
        let LinkOutcome::WithoutGit { link, reason } = outcome else {
            panic!("{shape:?} took a grant with key rights: {outcome:?}");
        };
        assert!(reason.contains("SSH keys"), "{reason}");
        assert_eq!(link.grants.len(), 1, "{shape:?}");
        assert_eq!(alive(&stage), 1, "{shape:?}: the broad token is revoked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_git_receives_cannot_add_keys_to_the_account() {
    for shape in LINKABLE {
        let stage = Stage::new(shape).await;
        stage.link().await;
        let given = stage
            .workspace()
            .await
            .credential(&stage.ask())
            .await
            .unwrap();
        assert_eq!(add_key(&stage, shape, &given).await, Added::No, "{shape:?}");
    }
}

/// The probe above would succeed with a token that may: it does where narrowing is off.
#[tokio::test(flavor = "multi_thread")]
async fn without_narrowing_git_receives_a_token_that_can_add_keys_and_the_page_says_so() {
    for shape in [Shape::GitHubCom, GITLAB, Shape::BitbucketServer] {
        let special = Special {
            narrowing_off: true,
            ..Special::default()
        };
        let stage = Stage::special(shape, special).await;
        let link = stage.link().await;
        assert_eq!(
            (link.state, link.grants.len()),
            (LinkState::Linked, 1),
            "{shape:?}"
        );
        assert!(
            link.reason.unwrap().contains("narrowing is off"),
            "{shape:?}"
        );
        let given = stage
            .workspace()
            .await
            .credential(&stage.ask())
            .await
            .unwrap();
        assert_eq!(
            add_key(&stage, shape, &given).await,
            Added::Yes,
            "{shape:?}"
        );
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Added {
    Yes,
    No,
}

/// Tries to add a key to the account with what Git was given, as Bearer and as Basic.
#[expect(clippy::disallowed_methods, reason = "the thief does not use our door")]
async fn add_key(stage: &Stage, shape: Shape, given: &broker::CredentialGiven) -> Added {
    use secrecy::ExposeSecret;
    let key = secrets::KeyPair::generate(secrets::Algorithm::Ed25519).unwrap();
    let line = key.public_line("thief");
    let (path, body) = match shape {
        Shape::GitHubCom | Shape::GitHubEnterprise => (
            "/user/keys",
            serde_json::json!({"title": "thief", "key": line}),
        ),
        Shape::GitLab { .. } => (
            "/user/keys",
            serde_json::json!({"title": "thief", "key": line}),
        ),
        _ => ("/rest/ssh/latest/keys", serde_json::json!({"text": line})),
    };
    let ca = reqwest::Certificate::from_pem(stage.forge.ca_pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_merge([ca])
        .build()
        .unwrap();
    let base = match shape {
        Shape::BitbucketServer | Shape::BitbucketServerOAuth1 => stage.forge.url(),
        _ => stage.forge.api_url(),
    };
    let url = format!("{base}{path}");
    let password = given.password.expose_secret();
    for request in [
        client.post(&url).bearer_auth(password),
        client
            .post(&url)
            .basic_auth(&given.username, Some(password)),
    ] {
        request
            .header("user-agent", "thief")
            .json(&body)
            .send()
            .await
            .unwrap();
    }
    let added = stage
        .forge
        .keys()
        .iter()
        .any(|known| known.fingerprint == key.fingerprint());
    if added { Added::Yes } else { Added::No }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_with_api_alone_works_with_narrowing_off() {
    let special = Special {
        narrowing_off: true,
        scopes: &["api"],
        ..Special::default()
    };
    let stage = Stage::special(GITLAB, special).await;
    let link = stage.link().await;
    assert_eq!(
        (link.state, link.keys[0].state.as_str()),
        (LinkState::Linked, "present")
    );
    assert!(
        stage
            .workspace()
            .await
            .credential(&stage.ask())
            .await
            .is_ok()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn re_linking_as_another_account_is_refused_and_names_both() {
    for shape in LINKABLE {
        let stage = Stage::new(shape).await;
        stage.forge.add_account("bob");
        let link = stage.link().await;
        let before = alive(&stage);
        let url = stage.begin(Some(&LinkId(link.id))).await;
        let refused = stage.walk(url, "bob").await.unwrap_err();
        assert_eq!(refused.kind, RefusedKind::Conflict, "{shape:?}");
        assert!(
            refused.detail.contains("bob") && refused.detail.contains("ann"),
            "{refused}"
        );
        let links = stage.ann.links().await.unwrap();
        assert_eq!(
            (links.len(), links[0].state),
            (1, LinkState::Linked),
            "{shape:?}"
        );
        if shape != Shape::BitbucketServerOAuth1 {
            assert_eq!(alive(&stage), before, "{shape:?}: bob's tokens are revoked");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_consent_of_another_account_is_refused() {
    let stage = Stage::new(GITLAB).await;
    stage.forge.add_account("bob");
    let back = stage
        .forge
        .approve(&stage.begin(None).await, "ann")
        .await
        .unwrap();
    let LinkOutcome::SecondConsent(url) = stage.ann.finish_link(callback(&back)).await.unwrap()
    else {
        panic!("no second consent");
    };
    let refused = stage.walk(url.to_string(), "bob").await.unwrap_err();
    assert_eq!(refused.kind, RefusedKind::Conflict);
    assert_eq!(stage.ann.links().await.unwrap()[0].grants.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn re_linking_keeps_link_and_key_and_revokes_the_tokens_it_replaces() {
    for shape in [Shape::GitHubCom, GITLAB, Shape::BitbucketServer] {
        let stage = Stage::new(shape).await;
        let link = stage.link().await;
        let url = stage.begin(Some(&LinkId(link.id.clone()))).await;
        let LinkOutcome::Linked(again) = stage.walk(url, "ann").await.unwrap() else {
            panic!("not linked again");
        };
        assert_eq!(again.id, link.id);
        assert_eq!(again.keys[0].fingerprint, link.keys[0].fingerprint);
        assert_eq!(again.keys[0].state, "present", "{shape:?}");
        assert_eq!(alive(&stage), 2, "{shape:?}");
    }
}
