//! What a workspace is told so that it can configure Git and SSH, and how its links stand.

use broker::{KeyId, LinkId};
use testforge::{EmailAddress, Shape};

use crate::stage::{GITLAB, Stage, linked, pause};

#[tokio::test(flavor = "multi_thread")]
async fn tells_hosts_keys_names_and_addresses_of_the_users_links() {
    let (stage, workspace) = linked(GITLAB).await;
    let setup = workspace.setup().await.unwrap();
    assert_eq!(setup.providers.len(), 1);
    let provider = &setup.providers[0];
    assert_eq!(provider.git_url.as_deref(), Some(stage.forge.url()));
    assert_eq!(provider.ssh_addresses, [stage.forge.ssh_address()]);
    assert_eq!(provider.links[0].email.as_deref(), Some("ann@example.com"));
    assert_eq!(provider.links[0].keys.len(), 1);
    assert!(provider.ca_pem.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_changes_with_what_it_tells_and_with_nothing_else() {
    let (stage, workspace) = linked(GITLAB).await;
    let first = workspace.setup().await.unwrap().version;
    workspace.credential(&stage.ask()).await.unwrap();
    assert_eq!(workspace.setup().await.unwrap().version, first);
    let key = KeyId(stage.ann.keys().await.unwrap()[0].id.clone());
    stage.ann.regenerate_key(&key).await.unwrap();
    assert_ne!(workspace.setup().await.unwrap().version, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_without_oauth_shows_the_users_key() {
    let stage = Stage::new(Shape::OtherGit).await;
    let workspace = stage.workspace().await;
    let setup = workspace.setup().await.unwrap();
    let links = &setup.providers[0].links;
    assert_eq!(
        (links.len(), links[0].id.as_deref(), links[0].keys.len()),
        (1, None, 1)
    );
    assert!(setup.providers[0].git_url.is_none());
    let status = workspace.status().await.unwrap();
    assert_eq!(
        (status[0].state.as_str(), status[0].key_state.as_deref()),
        ("key-only", Some("by-hand"))
    );
    assert!(status[0].next_step.as_ref().unwrap().contains("paste"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_verified_addresses_sign() {
    let stage = Stage::new(Shape::GitHubCom).await;
    let address = |address: &str, verified| EmailAddress {
        address: address.into(),
        verified,
    };
    let emails = [
        address("zoe@example.com", true),
        address("ceo@example.com", false),
    ];
    stage.forge.add_account_with("zoe", &emails);
    stage.link_as("zoe").await;
    let signers = stage
        .workspace()
        .await
        .setup()
        .await
        .unwrap()
        .allowed_signers;
    assert!(signers.contains("zoe@example.com"), "{signers}");
    assert!(!signers.contains("ceo@example.com"), "{signers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_key_keeps_its_line_with_an_end_also_after_the_unlink() {
    let (stage, workspace) = linked(GITLAB).await;
    let link = LinkId(stage.ann.links().await.unwrap()[0].id.clone());
    let old = stage.ann.keys().await.unwrap()[0].clone();
    stage.ann.regenerate_key(&KeyId(old.id)).await.unwrap();
    let until = async {
        while stage.ann.keys().await.unwrap().len() > 1 {
            pause(20).await;
        }
    };
    stage.broker.clone().run_background(until).await;
    let blob = old.public_key.split(' ').nth(1).unwrap().to_owned();
    let line = async || {
        let signers = workspace.setup().await.unwrap().allowed_signers;
        signers
            .lines()
            .find(|line| line.contains(&blob))
            .map(str::to_owned)
    };
    assert!(line().await.unwrap().contains("valid-before="));
    stage
        .ann
        .unlink(&link, broker::UnlinkOptions::default())
        .await
        .unwrap();
    assert!(line().await.unwrap().starts_with("ann@example.com"));
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_what_to_do_next() {
    let stage = Stage::new(GITLAB).await;
    let workspace = stage.workspace().await;
    let status = async || workspace.status().await.unwrap().remove(0);
    let fresh = status().await;
    assert_eq!(fresh.state, "not-linked");
    assert!(fresh.next_step.unwrap().contains("forgepass link"));
    let link = LinkId(stage.link().await.id);
    let done = status().await;
    assert_eq!((done.state.as_str(), done.next_step), ("linked", None));
    assert_eq!(done.key_state.as_deref(), Some("present"));
    stage
        .store
        .mark_link_dead(&link, "revoked there", 1)
        .await
        .unwrap();
    let dead = status().await;
    assert_eq!(dead.state, "dead");
    assert!(dead.next_step.unwrap().contains("revoked there"));
}
