//! Keys at providers: brought there, kept there, replaced with overlap.

use broker::{KeyId, KeyView, LinkId};
use secrets::Algorithm;
use testforge::{Endpoint, Fault, Shape, Usage};

use crate::stage::{GITLAB, Stage, pause};

const DAY: i64 = 86_400;

async fn key(stage: &Stage) -> KeyView {
    stage.ann.links().await.unwrap()[0].keys[0].clone()
}

/// Lets the loops run until `done`.
async fn run_until(stage: &Stage, done: impl AsyncFn() -> bool) {
    let until = async {
        while !done().await {
            pause(20).await;
        }
    };
    let run = stage.broker.clone().run_background(until);
    tokio::time::timeout(std::time::Duration::from_secs(30), run)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_in_trouble_gets_the_key_later() {
    for fault in [
        Fault::ServerError,
        Fault::Html,
        Fault::RateLimited {
            status: 429,
            retry_after_s: 40,
        },
    ] {
        let stage = Stage::new(Shape::GitHubCom).await;
        stage.forge.fail_times(Endpoint::AddKey, fault.clone(), 2);
        stage.link().await;
        let waiting = key(&stage).await;
        assert_eq!(waiting.state, "unknown", "{fault:?}");
        assert!(waiting.reason.is_some(), "{fault:?}");
        stage.advance(41).await;
        run_until(&stage, async || key(&stage).await.state == "present").await;
        assert_eq!(stage.forge.keys().len(), 2, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_makes_no_second_key() {
    let stage = Stage::new(GITLAB).await;
    stage.forge.fail_next(Endpoint::AddKey, Fault::LostReply);
    stage.link().await;
    assert_eq!(key(&stage).await.state, "unknown");
    stage.advance(11).await;
    run_until(&stage, async || key(&stage).await.state == "present").await;
    let remote = stage.forge.keys();
    assert_eq!(
        (remote.len(), &remote[0].fingerprint),
        (1, &key(&stage).await.fingerprint)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_needs_authorisation_says_where() {
    let stage = Stage::new(Shape::GitHubCom).await;
    let url = "https://github.example.com/orgs/acme/sso";
    stage
        .forge
        .fail_times(Endpoint::AddKey, Fault::Saml { url: url.into() }, 2);
    stage.link().await;
    let waiting = key(&stage).await;
    assert_eq!(
        (waiting.state.as_str(), waiting.page.as_deref()),
        ("needs-authorization", Some(url))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_type_that_the_provider_forbids_is_refused_with_the_reason() {
    let stage = Stage::new(GITLAB).await;
    stage
        .forge
        .set_knobs(|knobs| knobs.forbidden_key_types = vec!["ssh-ed25519".into()]);
    stage.link().await;
    let refused = key(&stage).await;
    assert_eq!(refused.state, "refused");
    assert!(refused.reason.is_some() && refused.page.is_some());
    // With another algorithm and a new key it works.
    stage
        .ann
        .site_manager()
        .unwrap()
        .set_ssh_algorithm(Algorithm::EcdsaP256)
        .await
        .unwrap();
    let new = stage.ann.regenerate_key(&KeyId(refused.id)).await.unwrap();
    assert_eq!(
        (new.algorithm.as_str(), new.state.as_str()),
        ("ecdsa-p256", "present")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_was_not_granted_is_named() {
    let stage = Stage::new(Shape::GitHubCom).await;
    stage
        .forge
        .set_knobs(|knobs| knobs.withheld_scope = Some("admin:public_key".into()));
    stage.link().await;
    let refused = key(&stage).await;
    assert_eq!(refused.state, "refused", "{refused:?}");
    assert!(refused.reason.unwrap().contains("public_key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_on_another_account_is_replaced_once_and_not_in_a_loop() {
    for shape in [Shape::GitHubCom, GITLAB, Shape::BitbucketServer] {
        let stage = Stage::new(shape).await;
        stage.link().await;
        let old = key(&stage).await;
        stage.forge.add_account("bob");
        for remote in stage.forge.keys() {
            stage.forge.remove_key_by_hand(remote.id);
        }
        stage
            .forge
            .accept_key_by_hand("bob", &old.public_key)
            .unwrap();
        stage.advance(15 * DAY).await;
        run_until(&stage, async || {
            let new = key(&stage).await;
            new.fingerprint != old.fingerprint && new.state == "present"
        })
        .await;
        assert_eq!(stage.events("key.replace").await.len(), 1, "{shape:?}");
        let bobs = stage
            .forge
            .keys()
            .into_iter()
            .filter(|key| key.login == "bob")
            .count();
        assert_eq!(bobs, 1, "{shape:?}: what is not ours stays");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_somebody_deleted_comes_back() {
    let stage = Stage::new(GITLAB).await;
    stage.link().await;
    stage.forge.remove_key_by_hand(stage.forge.keys()[0].id);
    stage.advance(15 * DAY).await;
    run_until(&stage, async || stage.forge.keys().len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_key_goes_only_once_the_new_one_is_there() {
    let stage = Stage::new(Shape::BitbucketServer).await;
    stage.link().await;
    let old = key(&stage).await;
    stage
        .forge
        .fail_times(Endpoint::AddKey, Fault::ServerError, 5);
    stage
        .ann
        .regenerate_key(&KeyId(old.id.clone()))
        .await
        .unwrap();
    let remote = stage.forge.keys();
    assert_eq!(
        (remote.len(), &remote[0].fingerprint),
        (1, &old.fingerprint)
    );
    assert_eq!(stage.ann.keys().await.unwrap().len(), 2, "both work");
    stage.forge.clear_faults();
    stage.advance(DAY).await;
    run_until(&stage, async || stage.ann.keys().await.unwrap().len() == 1).await;
    let remote = stage.forge.keys();
    assert_eq!(
        (remote.len(), &remote[0].fingerprint),
        (1, &key(&stage).await.fingerprint)
    );
    let again = stage.ann.regenerate_key(&KeyId(old.id)).await.unwrap_err();
    assert_eq!(again.kind, broker::RefusedKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_key_stays_for_old_signatures_alone() {
    for shape in [Shape::GitHubCom, GITLAB] {
        let stage = Stage::new(shape).await;
        stage.link().await;
        let old = key(&stage).await;
        stage
            .ann
            .regenerate_key(&KeyId(old.id.clone()))
            .await
            .unwrap();
        run_until(&stage, async || stage.ann.keys().await.unwrap().len() == 1).await;
        let usages = |print: &str| -> Vec<Usage> {
            let keys = stage.forge.keys();
            keys.iter()
                .filter(|key| key.fingerprint == print)
                .map(|key| key.usage)
                .collect()
        };
        let old_is_signing = async || usages(&old.fingerprint) == [Usage::Signing];
        run_until(&stage, old_is_signing).await;
        let new = key(&stage).await;
        let expected = match shape {
            Shape::GitHubCom => vec![Usage::Auth, Usage::Signing],
            _ => vec![Usage::AuthAndSigning],
        };
        let mut found = usages(&new.fingerprint);
        found.sort_by_key(|usage| format!("{usage:?}"));
        assert_eq!(found, expected, "{shape:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_repos_gets_rsa_3072_whatever_the_setting_says() {
    let stage = Stage::new(Shape::Azure).await;
    let keys = stage.ann.keys().await.unwrap();
    assert_eq!((keys.len(), keys[0].algorithm.as_str()), (1, "rsa-3072"));
    assert_eq!(keys[0].state, "by-hand");
    assert!(
        keys[0].public_key.ends_with("(localhost:7080) – ann"),
        "{}",
        keys[0].public_key
    );
    assert!(keys[0].reason.as_ref().unwrap().contains("RSA 3072"));
    stage
        .forge
        .accept_key_by_hand("ann", &keys[0].public_key)
        .unwrap();
    assert_eq!(
        stage.ann.keys().await.unwrap()[0].id,
        keys[0].id,
        "made once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pages_at_once_make_one_key() {
    let stage = Stage::new(Shape::OtherGit).await;
    let (one, two) = tokio::join!(stage.ann.keys(), stage.ann.keys());
    assert_eq!(one.unwrap()[0].id, two.unwrap()[0].id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_revoked_behind_our_back_ends_in_words() {
    let stage = Stage::new(GITLAB).await;
    stage.link().await;
    stage.forge.revoke_tokens("ann");
    let id = LinkId(stage.ann.links().await.unwrap()[0].id.clone());
    stage
        .store
        .recheck_uploads(&id, stage.store.now().await.unwrap())
        .await
        .unwrap();
    run_until(&stage, async || key(&stage).await.state == "unknown").await;
    let link = &stage.ann.links().await.unwrap()[0];
    assert_eq!(link.state, broker::LinkState::Dead);
    assert!(link.keys[0].reason.is_some());
}
