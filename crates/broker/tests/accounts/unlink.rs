//! Unlinking: what goes at the provider, what stays, and what is done later.

use broker::{LinkId, RefusedKind, SigningKeys, UnlinkOptions};
use testforge::{Endpoint, Fault, Shape, Usage};

use crate::stage::{GITLAB, Stage, alive, give, linked, pause};

async fn unlink(stage: &Stage, signing_keys: SigningKeys) -> broker::Unlinked {
    let link = LinkId(stage.ann.links().await.unwrap()[0].id.clone());
    stage
        .ann
        .unlink(&link, UnlinkOptions { signing_keys })
        .await
        .unwrap()
}

fn usages(stage: &Stage) -> Vec<Usage> {
    stage.forge.keys().iter().map(|key| key.usage).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_keys_and_revokes_tokens_at_every_kind() {
    for (shape, kept, tokens) in [
        (Shape::GitHubCom, vec![Usage::Signing], 0),
        (GITLAB, vec![Usage::Signing], 0),
        (Shape::BitbucketServer, vec![], 0),
        // OAuth 1.0a has no revocation: its token is left, the minted one is not.
        (Shape::BitbucketServerOAuth1, vec![], 1),
    ] {
        let (stage, workspace) = linked(shape).await;
        give(&stage, &workspace).await;
        assert_eq!(unlink(&stage, SigningKeys::Keep).await.left, 0, "{shape:?}");
        assert_eq!(usages(&stage), kept, "{shape:?}");
        assert_eq!(alive(&stage), tokens, "{shape:?}");
        assert!(stage.ann.links().await.unwrap().is_empty(), "{shape:?}");
        let refused = workspace.credential(&stage.ask()).await.unwrap_err();
        assert_eq!(refused.kind, RefusedKind::NotLinked, "{shape:?}");
        assert!(stage.ann.keys().await.unwrap().is_empty(), "{shape:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_keys_go_where_the_user_says_so() {
    for shape in [Shape::GitHubCom, GITLAB] {
        let (stage, _) = linked(shape).await;
        unlink(&stage, SigningKeys::Remove).await;
        assert!(usages(&stage).is_empty(), "{shape:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn never_ends_the_whole_authorization_at_github() {
    let (stage, _) = linked(Shape::GitHubCom).await;
    unlink(&stage, SigningKeys::Remove).await;
    let log = stage.forge.log();
    assert!(
        log.iter().all(|entry| !entry.path.ends_with("/grant")),
        "{log:?}"
    );
    assert!(
        log.iter()
            .any(|entry| entry.method == "DELETE" && entry.path.ends_with("/token"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_others_and_of_the_person_stay() {
    let (stage, _) = linked(Shape::BitbucketServer).await;
    let own = secrets::KeyPair::generate(secrets::Algorithm::Ed25519).unwrap();
    stage
        .forge
        .accept_key_by_hand("ann", &own.public_line("laptop"))
        .unwrap();
    unlink(&stage, SigningKeys::Remove).await;
    let keys = stage.forge.keys();
    assert_eq!(
        (keys.len(), keys[0].fingerprint.clone()),
        (1, own.fingerprint())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_away_is_cleared_later() {
    for shape in [
        Shape::GitHubCom,
        GITLAB,
        Shape::BitbucketServer,
        Shape::BitbucketServerOAuth1,
    ] {
        let (stage, workspace) = linked(shape).await;
        give(&stage, &workspace).await;
        stage
            .forge
            .fail_times(Endpoint::Any, Fault::ServerError, 1000);
        let unlinked = unlink(&stage, SigningKeys::Remove).await;
        assert!(unlinked.left > 0, "{shape:?}");
        assert!(
            stage.ann.links().await.unwrap().is_empty(),
            "gone here at once"
        );
        stage.forge.clear_faults();
        stage.store.advance(61).await.unwrap();
        let left = if shape == Shape::BitbucketServerOAuth1 {
            1
        } else {
            0
        };
        let until = async {
            while alive(&stage) > left || !stage.forge.keys().is_empty() {
                stage.store.advance(30).await.unwrap();
                pause(100).await;
            }
        };
        let run = stage.broker.clone().run_background(until);
        let done = tokio::time::timeout(std::time::Duration::from_secs(30), run).await;
        assert!(
            done.is_ok(),
            "{shape:?} {:?} {:?}",
            stage.forge.tokens(),
            stage.forge.keys()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_a_crash_cut_short_is_finished() {
    let (stage, _) = linked(GITLAB).await;
    let link = LinkId(stage.ann.links().await.unwrap()[0].id.clone());
    let now = stage.store.now().await.unwrap();
    stage
        .store
        .begin_unlink(&stage.ann.user().id, &link, now)
        .await
        .unwrap();
    assert!(stage.ann.links().await.unwrap().is_empty());
    stage.store.advance(301).await.unwrap();
    let until = async {
        while stage.store.any_link(&link).await.unwrap().is_some() {
            pause(20).await;
        }
    };
    stage.broker.clone().run_background(until).await;
    assert_eq!(alive(&stage), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn linking_again_makes_a_new_link_with_a_new_key() {
    let (stage, workspace) = linked(GITLAB).await;
    let before = stage.ann.links().await.unwrap()[0].keys[0]
        .fingerprint
        .clone();
    unlink(&stage, SigningKeys::Keep).await;
    let again = stage.link().await;
    assert_ne!(again.keys[0].fingerprint, before);
    give(&stage, &workspace).await;
}
