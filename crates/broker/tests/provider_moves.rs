//! Providers that are moved or deleted while real links exist.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stage;

use broker::{Force, LinkId, LinkState, LinkView, ProviderInput, RefusedKind};
use stage::Stage;
use testforge::{AppSpec, Forge, Shape};

const GITLAB: Shape = Shape::GitLab { sub_path: "" };

/// The provider of a stage as its site manager would enter it for another installation.
fn moved_to(stage: &Stage, other: &Forge, secret: &str) -> ProviderInput {
    ProviderInput {
        kind: "gitlab".into(),
        name: "Forge".into(),
        url: other.url().into(),
        client_id: stage.client_id.clone(),
        client_secret: Some(secret.into()),
        ca_pem: Some(format!("{}{}", stage.forge.ca_pem(), other.ca_pem())),
        internal: true,
        confirm: true,
        ..ProviderInput::default()
    }
}

fn id_of(link: &LinkView) -> LinkId {
    LinkId::from(link.id.as_str())
}

fn alive(forge: &Forge) -> usize {
    forge.tokens().iter().filter(|token| token.alive).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_stored_token_or_secret_goes_to_an_address_that_a_provider_is_moved_to() {
    let stage = Stage::new(GITLAB).await;
    let link = stage.link().await;
    let other = testforge::start(GITLAB).await.unwrap();
    let manager = stage.ann.site_manager().unwrap();
    let moved = moved_to(&stage, &other, "entered again");
    manager
        .change_provider(&stage.provider, moved)
        .await
        .unwrap();

    let mut ask = stage.ask();
    ask.host = other.url().trim_start_matches("https://").to_owned();
    let refused = stage.workspace().await.credential(&ask).await.unwrap_err();
    assert_eq!(refused.kind, RefusedKind::LinkDead, "{refused:?}");
    let links = stage.ann.links().await.unwrap();
    assert_eq!(
        (links[0].id.clone(), links[0].state),
        (link.id.clone(), LinkState::Dead)
    );
    stage
        .ann
        .unlink(&id_of(&link), broker::UnlinkOptions::default())
        .await
        .unwrap();
    assert_eq!(other.log(), [], "nothing at all was sent there");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_changed_behind_our_back_opens_no_secret() {
    let stage = Stage::new(GITLAB).await;
    let link = stage.link().await;
    let other = testforge::start(GITLAB).await.unwrap();
    let mut row = stage
        .store
        .provider(&stage.provider)
        .await
        .unwrap()
        .unwrap();
    row.url = other.url().into();
    row.ca_pem = Some(other.ca_pem());
    assert!(stage.store.update_provider(&row).await.unwrap());
    stage.advance(3 * 3600).await;

    let mut ask = stage.ask();
    ask.host = other.url().trim_start_matches("https://").to_owned();
    assert!(stage.workspace().await.credential(&ask).await.is_err());
    assert!(
        stage
            .ann
            .begin_link(stage.provider.as_str(), Some(&id_of(&link)))
            .await
            .is_err()
    );
    let _ = stage
        .ann
        .unlink(&id_of(&link), broker::UnlinkOptions::default())
        .await;
    assert_eq!(other.log(), [], "nothing at all was sent there");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_provider_by_force_deletes_keys_and_revokes_tokens_there() {
    let stage = Stage::new(GITLAB).await;
    stage.link().await;
    assert!(alive(&stage.forge) > 0 && !stage.forge.keys().is_empty());
    let manager = stage.ann.site_manager().unwrap();
    let refused = manager
        .delete_provider(&stage.provider, Force::No)
        .await
        .unwrap_err();
    assert_eq!(refused.kind, RefusedKind::Conflict);
    assert!(alive(&stage.forge) > 0);

    manager
        .delete_provider(&stage.provider, Force::Yes)
        .await
        .unwrap();
    assert_eq!(alive(&stage.forge), 0, "{:?}", stage.forge.tokens());
    let can_sign_in = |key: &testforge::KeyView| key.usage != testforge::Usage::Signing;
    assert!(
        !stage.forge.keys().iter().any(can_sign_in),
        "{:?}",
        stage.forge.keys()
    );
    assert!(stage.ann.links().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn moving_from_oauth1_to_oauth2_keeps_link_and_key_once_linked_again() {
    // The same installation speaks both; only the newer protocol is set up later.
    let stage = Stage::new(Shape::BitbucketServer).await;
    let manager = stage.ann.site_manager().unwrap();
    let draft = manager.make_draft("bitbucket-server-oauth1").await.unwrap();
    let public_key = draft.public_key.clone().unwrap();
    stage
        .forge
        .register_consumer("forgepass", "Forgepass", &public_key)
        .unwrap();
    let input = |kind: &str| ProviderInput {
        kind: kind.into(),
        name: "Bitbucket".into(),
        url: stage.forge.url().into(),
        ca_pem: Some(stage.forge.ca_pem()),
        internal: true,
        confirm: true,
        ..ProviderInput::default()
    };
    let old = manager
        .add_provider(ProviderInput {
            client_id: "forgepass".into(),
            draft: Some(draft.id),
            ..input("bitbucket-server-oauth1")
        })
        .await
        .unwrap();
    let begin = async || {
        stage
            .ann
            .begin_link(old.id.as_str(), None)
            .await
            .unwrap()
            .to_string()
    };
    stage.walk(begin().await, "ann").await.unwrap();
    let links = async || {
        let mut links = stage.ann.links().await.unwrap();
        links.retain(|link| link.provider_id == old.id.as_str());
        links
    };
    let before = links().await.remove(0);

    let app = AppSpec::new(&format!("{}/oauth/callback", stage::PUBLIC_URL));
    let (client_id, client_secret) = stage.forge.register_app(app).unwrap();
    let new = ProviderInput {
        client_id,
        client_secret: Some(client_secret.into()),
        ..input("bitbucket-server")
    };
    manager.change_provider(&old.id, new).await.unwrap();
    assert_eq!(links().await[0].state, LinkState::Dead);
    let again = stage
        .ann
        .begin_link(old.id.as_str(), Some(&id_of(&before)))
        .await
        .unwrap();
    stage.walk(again.to_string(), "ann").await.unwrap();

    let after = links().await.remove(0);
    assert_eq!((after.id, after.state), (before.id, LinkState::Linked));
    assert_eq!(after.keys.len(), 1);
    assert_eq!(
        after.keys[0].fingerprint, before.keys[0].fingerprint,
        "the key stays"
    );
}
