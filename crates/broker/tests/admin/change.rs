//! Changing and deleting providers, with links that exist.

use broker::{AsSiteManager, Force, LinkId, ProviderId, ProviderInput, RefusedKind, Role};
use store::Link;

use crate::site::{Site, gitlab, refused};

/// A GitLab with links of two users.
async fn linked() -> (Site, AsSiteManager, ProviderId, [LinkId; 2]) {
    let (site, root) = Site::managed().await;
    let id = root.add_provider(gitlab()).await.unwrap().id;
    let ann = site.user(&root, "ann", Role::Member).await.user().id;
    let bob = site.user(&root, "bob", Role::Member).await.user().id;
    let links = [
        site.link(&ann, &id, "ann").await,
        site.link(&bob, &id, "bob").await,
    ];
    (site, root, id, links)
}

/// What the form sends when nothing but `change` was touched: no client secret.
fn touched(change: impl FnOnce(&mut ProviderInput)) -> ProviderInput {
    let mut input = ProviderInput {
        client_secret: None,
        ..gitlab()
    };
    change(&mut input);
    input
}

async fn link(site: &Site, id: &LinkId) -> Link {
    site.store.any_link(id).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_harmless_change_keeps_secret_and_links() {
    let (site, root, id, links) = linked().await;
    let harmless = || touched(|it| it.description = Some("Ours".into()));
    let told = root.preview_change(&id, &harmless()).await.unwrap();
    assert!(told.text.is_empty() && !told.needs_confirm);
    let after = root.change_provider(&id, harmless()).await.unwrap();
    assert!(after.has_client_secret);
    assert_eq!(after.links, 2);
    assert!(link(&site, &links[0]).await.dead_at.is_none());
}

#[tokio::test]
async fn a_moved_address_says_how_many_links_it_ends_before_it_does() {
    let (site, root, id, links) = linked().await;
    let moved = || {
        touched(|it| {
            it.url = "https://new.example.com".into();
            it.client_secret = Some("entered again".into());
        })
    };
    let told = root.preview_change(&id, &moved()).await.unwrap();
    assert!(told.needs_confirm);
    assert!(
        told.text[0].contains("2 links must be linked again"),
        "{told:?}"
    );
    let unconfirmed = refused(
        root.change_provider(&id, moved()).await,
        RefusedKind::Conflict,
    );
    assert!(unconfirmed.detail.contains("2 links"));
    assert!(
        link(&site, &links[0]).await.dead_at.is_none(),
        "a preview does nothing"
    );
    assert_eq!(
        root.provider(&id).await.unwrap().url,
        "https://git.example.com/gitlab"
    );

    let confirmed = ProviderInput {
        confirm: true,
        ..moved()
    };
    root.change_provider(&id, confirmed).await.unwrap();
    for id in &links {
        assert!(
            link(&site, id)
                .await
                .dead_reason
                .unwrap()
                .contains("addresses")
        );
    }
}

#[tokio::test]
async fn the_api_and_git_addresses_are_guarded_like_the_first() {
    let (_site, root, id, _links) = linked().await;
    type Change = fn(&mut ProviderInput);
    let changes: [Change; 2] = [
        |it| it.api_url = Some("https://api.evil.example.com".into()),
        |it| it.git_url = Some("https://evil.example.com".into()),
    ];
    for change in changes {
        let input = || ProviderInput {
            confirm: true,
            ..touched(change)
        };
        assert!(
            root.preview_change(&id, &input())
                .await
                .unwrap()
                .needs_confirm
        );
        let again = refused(
            root.change_provider(&id, input()).await,
            RefusedKind::Invalid,
        );
        assert!(again.detail.contains("client secret"), "{again}");
    }
}

#[tokio::test]
async fn a_moved_address_or_another_client_id_wants_the_secret_again() {
    let (_site, root) = Site::managed().await;
    let id = root.add_provider(gitlab()).await.unwrap().id;
    type Change = fn(&mut ProviderInput);
    let changes: [Change; 2] = [
        |it| it.url = "https://new.example.com".into(),
        |it| it.client_id = "app-2".into(),
    ];
    for change in changes {
        let told = root.preview_change(&id, &touched(change)).await.unwrap();
        assert!(
            told.text
                .concat()
                .contains("client secret must be entered again"),
            "{told:?}"
        );
        assert!(!told.needs_confirm, "there are no links");
        refused(
            root.change_provider(&id, touched(change)).await,
            RefusedKind::Invalid,
        );
    }
}

#[tokio::test]
async fn another_client_id_tells_that_links_die_at_the_next_refresh() {
    let (site, root, id, links) = linked().await;
    let other = || {
        touched(|it| {
            it.client_id = "app-2".into();
            it.client_secret = Some("of app-2".into());
        })
    };
    let told = root.preview_change(&id, &other()).await.unwrap();
    assert!(
        told.needs_confirm && told.text[0].contains("2 links will die"),
        "{told:?}"
    );
    root.change_provider(
        &id,
        ProviderInput {
            confirm: true,
            ..other()
        },
    )
    .await
    .unwrap();
    assert!(
        link(&site, &links[0]).await.dead_at.is_none(),
        "their access tokens still work"
    );
}

#[tokio::test]
async fn moving_from_oauth1_to_oauth2_keeps_links_and_their_keys() {
    let (site, root) = Site::managed().await;
    let draft = root.make_draft("bitbucket-server-oauth1").await.unwrap();
    let old = ProviderInput {
        kind: "bitbucket-server-oauth1".into(),
        client_secret: None,
        draft: Some(draft.id),
        ..gitlab()
    };
    let id = root.add_provider(old).await.unwrap().id;
    let ann = site.user(&root, "ann", Role::Member).await.user().id;
    let linked = site.link(&ann, &id, "ann").await;
    let new = || ProviderInput {
        kind: "bitbucket-server".into(),
        ..gitlab()
    };
    let told = root.preview_change(&id, &new()).await.unwrap();
    assert!(
        told.needs_confirm && told.text[0].contains("SSH keys stay"),
        "{told:?}"
    );
    let after = root
        .change_provider(
            &id,
            ProviderInput {
                confirm: true,
                ..new()
            },
        )
        .await
        .unwrap();
    assert_eq!(after.kind, "bitbucket-server");
    assert_eq!(after.public_key, None, "the RSA pair is of no more use");
    assert!(
        link(&site, &linked).await.dead_at.is_some(),
        "its tokens are of the other kind"
    );
}

#[tokio::test]
async fn a_provider_never_becomes_another_software() {
    let (_site, root, id, _links) = linked().await;
    for kind in ["github", "other-git", "bitbucket-server"] {
        let input = ProviderInput {
            kind: kind.into(),
            confirm: true,
            ..gitlab()
        };
        let refusal = refused(root.preview_change(&id, &input).await, RefusedKind::Invalid);
        assert!(refusal.detail.contains("cannot become"), "{refusal}");
        refused(root.change_provider(&id, input).await, RefusedKind::Invalid);
    }
}

#[tokio::test]
async fn a_name_in_use_is_refused_for_a_change_too() {
    let (_site, root, id, _links) = linked().await;
    root.add_provider(ProviderInput {
        name: "Other".into(),
        ..gitlab()
    })
    .await
    .unwrap();
    let renamed = touched(|it| it.name = "Other".into());
    refused(
        root.change_provider(&id, renamed).await,
        RefusedKind::Conflict,
    );
}

#[tokio::test]
async fn a_new_secret_takes_the_alarm_away() {
    let (site, root, id, _links) = linked().await;
    site.store
        .set_alarm(&id, "wrong client secret", 1)
        .await
        .unwrap();
    root.change_provider(&id, touched(|_| ())).await.unwrap();
    assert!(root.provider(&id).await.unwrap().alarm.is_some());
    root.change_provider(&id, gitlab()).await.unwrap();
    assert_eq!(root.provider(&id).await.unwrap().alarm, None);
}

#[tokio::test]
async fn turning_a_provider_off_says_what_stops_and_asks_back() {
    let (_site, root, id, _links) = linked().await;
    let off = |confirm| ProviderInput {
        disabled: true,
        confirm,
        ..gitlab()
    };
    let told = root.preview_change(&id, &off(false)).await.unwrap();
    assert!(
        told.text[0].contains("Git gets nothing for 2 links"),
        "{told:?}"
    );
    refused(
        root.change_provider(&id, off(false)).await,
        RefusedKind::Conflict,
    );
    assert!(!root.provider(&id).await.unwrap().disabled);
    assert!(root.change_provider(&id, off(true)).await.unwrap().disabled);
    let told = root.preview_change(&id, &off(false)).await.unwrap();
    assert!(!told.needs_confirm, "it is off already");
}

#[tokio::test]
async fn what_was_changed_stands_in_the_audit_log() {
    let (site, root, id, _links) = linked().await;
    let change = ProviderInput {
        name: "Git".into(),
        disabled: true,
        confirm: true,
        ..gitlab()
    };
    root.change_provider(&id, change).await.unwrap();
    let events = site
        .events(&site.broker.user_by_name("root").await.unwrap())
        .await;
    let expected = "provider.change: GitLab: name, client secret, offered";
    assert!(events.iter().any(|event| event == expected), "{events:#?}");
}

#[tokio::test]
async fn a_provider_with_links_is_deleted_only_by_force() {
    let (site, root, id, links) = linked().await;
    let refusal = refused(
        root.delete_provider(&id, Force::No).await,
        RefusedKind::Conflict,
    );
    assert!(refusal.detail.contains("2 links"), "{refusal}");
    assert!(link(&site, &links[0]).await.unlinking_at.is_none());

    root.delete_provider(&id, Force::Yes).await.unwrap();
    refused(root.provider(&id).await, RefusedKind::NotFound);
    for id in &links {
        assert!(site.store.any_link(id).await.unwrap().is_none());
    }
    let events = site
        .events(&site.broker.user_by_name("root").await.unwrap())
        .await;
    assert!(
        events
            .iter()
            .any(|event| event == "provider.delete: GitLab deleted"),
        "{events:#?}"
    );
    assert_eq!(
        events
            .iter()
            .filter(|event| event.starts_with("link.remove"))
            .count(),
        2
    );
}
