//! Registering providers: what is believed, what is refused, and where secrets rest.

use broker::{DraftId, ProviderId, ProviderInput, RefusedKind, Role};

use crate::site::{Site, gitlab, refused};

const ED25519: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

fn changed(change: impl FnOnce(&mut ProviderInput)) -> ProviderInput {
    let mut input = gitlab();
    change(&mut input);
    input
}

#[tokio::test]
async fn a_provider_is_stored_with_what_follows_from_its_kind() {
    let (_site, root) = Site::managed().await;
    let added = root
        .add_provider(changed(|it| it.url.push('/')))
        .await
        .unwrap();
    assert_eq!(added.url, "https://git.example.com/gitlab");
    assert_eq!(added.api_url, "https://git.example.com/gitlab/api/v4");
    assert_eq!(
        added.git_url.as_deref(),
        Some("https://git.example.com/gitlab")
    );
    assert_eq!(added.ssh_user, "git");
    assert_eq!(added.ssh_addresses, ["git.example.com"]);
    assert!(added.has_client_secret && !added.internal && !added.declared);
    let listed = root.providers().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(root.provider(&added.id).await.unwrap().name, "GitLab");
}

#[tokio::test]
async fn known_host_keys_and_addresses_are_built_in() {
    let (_site, root) = Site::managed().await;
    let added = root
        .add_provider(changed(|it| {
            it.kind = "github".into();
            it.url = "https://github.com".into();
        }))
        .await
        .unwrap();
    assert!(
        added
            .ssh_addresses
            .contains(&"ssh.github.com:443".to_owned())
    );
    assert!(
        added
            .host_keys
            .iter()
            .any(|key| key.starts_with("ssh-ed25519 "))
    );
    assert_eq!(added.api_url, "https://api.github.com");
}

#[tokio::test]
async fn each_bad_field_is_named() {
    let (_site, root) = Site::managed().await;
    type Change = fn(&mut ProviderInput);
    let cases: [(&str, Change); 29] = [
        ("kind", |it| it.kind = "sourceforge".into()),
        ("kind", |it| it.kind = String::new()),
        ("name", |it| it.name = "  ".into()),
        ("name", |it| it.name = "two\nlines".into()),
        ("name", |it| it.name = "x".repeat(65)),
        ("name", |it| it.name = "prv_0123".into()),
        ("URL", |it| it.url = "not an address".into()),
        ("URL", |it| it.url = "git.example.com".into()),
        ("URL", |it| it.url = "ftp://git.example.com".into()),
        ("URL", |it| it.url = "http://git.example.com".into()),
        ("URL", |it| {
            it.url = "https://ann:secret@git.example.com".into()
        }),
        ("URL", |it| {
            it.url = "https://git.example.com/?next=1".into()
        }),
        ("URL", |it| it.url = "https://git.example.com/#top".into()),
        ("URL", |it| it.url = "https://git.example.com.".into()),
        ("URL", |it| it.url = "https://127.0.0.1".into()),
        ("URL", |it| it.url = "https://169.254.169.254".into()),
        ("API URL", |it| {
            it.api_url = Some("http://api.example.com".into())
        }),
        ("Git URL", |it| {
            it.git_url = Some("git@example.com:x".into())
        }),
        ("client id", |it| it.client_id = " ".into()),
        ("client secret", |it| it.client_secret = None),
        ("client secret", |it| it.client_secret = Some("".into())),
        ("SSH user", |it| {
            it.ssh_user = Some("-oProxyCommand=x".into())
        }),
        ("SSH address", |it| {
            it.ssh_addresses = Some(vec!["-oProxyCommand=x".into()])
        }),
        ("SSH address", |it| {
            it.ssh_addresses = Some(vec!["host:0".into()])
        }),
        ("SSH address", |it| {
            it.ssh_addresses = Some(vec!["a b".into()])
        }),
        ("host keys", |it| {
            it.host_keys = Some(vec!["ssh-ed25519 AAAA".into()])
        }),
        ("host keys", |it| {
            it.host_keys = Some(vec!["@revoked * ssh-ed25519 AAAA".into()])
        }),
        ("CA bundle", |it| it.ca_pem = Some("no certificate".into())),
        ("CA bundle", |it| {
            it.ca_pem = Some("-----BEGIN PRIVATE KEY-----".into())
        }),
    ];
    for (field, change) in cases {
        let refusal = refused(
            root.add_provider(changed(change)).await,
            RefusedKind::Invalid,
        );
        assert!(
            refusal.detail.starts_with(field) || refusal.detail.contains(field),
            "{refusal}"
        );
        assert!(!refusal.detail.contains("s3cret"), "{refusal}");
    }
    assert!(root.providers().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_unknown_kind_names_the_known_ones() {
    let (_site, root) = Site::managed().await;
    let refusal = refused(
        root.add_provider(changed(|it| it.kind = "cvs".into()))
            .await,
        RefusedKind::Invalid,
    );
    assert!(refusal.hint.unwrap().contains("bitbucket-server-oauth1"));
}

#[tokio::test]
async fn internal_providers_may_use_http_and_private_addresses_but_no_metadata() {
    let (_site, root) = Site::managed().await;
    let with = |url: &str| {
        changed(|it| {
            it.url = url.into();
            it.internal = true;
        })
    };
    refused(
        root.add_provider(with("http://169.254.169.254")).await,
        RefusedKind::Invalid,
    );
    assert!(
        root.add_provider(with("http://10.0.0.7:8080"))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn bitbucket_cloud_is_refused_with_the_reason_under_either_kind() {
    let (_site, root) = Site::managed().await;
    for kind in ["bitbucket-server", "bitbucket-server-oauth1"] {
        let input = changed(|it| {
            it.kind = kind.into();
            it.url = "https://bitbucket.org/team".into();
        });
        let refusal = refused(root.add_provider(input).await, RefusedKind::Invalid);
        assert!(refusal.detail.contains("other-git"), "{refusal}");
    }
}

#[tokio::test]
async fn a_name_is_given_to_one_provider() {
    let (_site, root) = Site::managed().await;
    root.add_provider(gitlab()).await.unwrap();
    let twice = refused(root.add_provider(gitlab()).await, RefusedKind::Conflict);
    assert!(twice.detail.contains("GitLab"));
}

#[tokio::test]
async fn a_kind_without_oauth_takes_no_client() {
    let (_site, root) = Site::managed().await;
    let with = |id: &str| {
        changed(|it| {
            it.kind = "azure-repos".into();
            it.url = "https://dev.azure.com".into();
            it.client_id = id.into();
            it.client_secret = None;
        })
    };
    refused(root.add_provider(with("app")).await, RefusedKind::Invalid);
    let added = root.add_provider(with("")).await.unwrap();
    assert_eq!(added.git_url, None);
    assert!(!added.has_client_secret);
}

#[tokio::test]
async fn addresses_and_host_keys_are_stored_in_one_form_each_once() {
    let (_site, root) = Site::managed().await;
    let known_hosts = format!("[git.example.com]:7999 {ED25519} a comment");
    let added = root
        .add_provider(changed(|it| {
            it.ssh_addresses = Some(
                [
                    "Git.Example.com:22",
                    "git.example.com",
                    " ",
                    "git.example.com:7999",
                    "[2001:db8::1]:22",
                ]
                .map(String::from)
                .into(),
            );
            it.host_keys = Some(vec![ED25519.into(), known_hosts]);
        }))
        .await
        .unwrap();
    assert_eq!(
        added.ssh_addresses,
        ["git.example.com", "git.example.com:7999", "2001:db8::1"]
    );
    assert_eq!(added.host_keys, [ED25519]);
}

#[tokio::test]
async fn the_rsa_pair_is_made_when_the_kind_is_chosen_and_survives_a_reload() {
    let (site, root) = Site::managed().await;
    let draft = root.make_draft("bitbucket-server-oauth1").await.unwrap();
    let shown = draft.public_key.clone().unwrap();
    assert!(shown.starts_with("-----BEGIN PUBLIC KEY-----"));
    assert_eq!(
        root.draft(&draft.id).await.unwrap().public_key.as_ref(),
        Some(&shown)
    );

    let url = "https://code.example.com/bitbucket";
    let kind = root.kind_of_draft(&draft.id, url).await.unwrap();
    let first = &kind.guide[0].text;
    assert!(first.contains(&format!("{url}/plugins/")), "{first}");
    let values: Vec<&String> = kind
        .guide
        .iter()
        .flat_map(|it| &it.values)
        .map(|it| &it.1)
        .collect();
    assert!(values.contains(&&shown), "the guide shows the key to paste");

    let input = || {
        changed(|it| {
            it.kind = "bitbucket-server-oauth1".into();
            it.client_secret = None;
            it.draft = Some(draft.id.clone());
        })
    };
    refused(
        root.add_provider(changed(|it| {
            it.kind = "bitbucket-server-oauth1".into();
            it.url = "nowhere".into();
            it.client_secret = None;
            it.draft = Some(draft.id.clone());
        }))
        .await,
        RefusedKind::Invalid,
    );
    let added = root.add_provider(input()).await.unwrap();
    assert_eq!(added.public_key, Some(shown));
    refused(root.draft(&draft.id).await.map(drop), RefusedKind::NotFound);
    assert!(!site.database().contains("BEGIN PRIVATE KEY"));
}

#[tokio::test]
async fn an_oauth1_provider_needs_a_draft_of_its_kind_and_of_its_site_manager() {
    let (site, root) = Site::managed().await;
    let with = |draft: Option<DraftId>| {
        changed(|it| {
            it.kind = "bitbucket-server-oauth1".into();
            it.client_secret = None;
            it.draft = draft;
        })
    };
    refused(root.add_provider(with(None)).await, RefusedKind::Invalid);
    let other_kind = root.make_draft("gitlab").await.unwrap();
    refused(
        root.add_provider(with(Some(other_kind.id))).await,
        RefusedKind::Invalid,
    );

    let eve = site
        .user(&root, "eve", Role::SiteManager)
        .await
        .site_manager()
        .unwrap();
    let draft = root.make_draft("bitbucket-server-oauth1").await.unwrap();
    refused(
        eve.add_provider(with(Some(draft.id.clone()))).await,
        RefusedKind::NotFound,
    );
    site.store.advance(24 * 3600).await.unwrap();
    refused(
        root.add_provider(with(Some(draft.id))).await,
        RefusedKind::NotFound,
    );
    refused(root.make_draft("cvs").await.map(drop), RefusedKind::Invalid);
}

#[tokio::test]
async fn a_guide_leads_to_the_usual_address_until_another_is_entered() {
    let (_site, root) = Site::managed().await;
    let draft = root.make_draft("github").await.unwrap().id;
    for (entered, shown) in [
        ("", "https://github.com/settings/developers"),
        ("git", "https://github.com/settings/developers"),
        (
            "https://git.example.com",
            "https://git.example.com/settings/developers",
        ),
    ] {
        let kind = root.kind_of_draft(&draft, entered).await.unwrap();
        assert!(kind.guide[0].text.contains(shown), "{:?}", kind.guide[0]);
    }
}

#[tokio::test]
async fn every_guide_shows_our_exact_callback() {
    let (_site, root) = Site::managed().await;
    for kind in root.kinds().unwrap() {
        let told = format!("{:?}", kind.guide);
        assert!(!kind.guide.is_empty());
        if kind.auth == "oauth2" {
            assert!(
                told.contains("https://forgepass.example.com/oauth/callback"),
                "{told}"
            );
        }
    }
}

#[tokio::test]
async fn no_client_secret_is_stored_or_told_in_the_clear() {
    let (site, root) = Site::managed().await;
    let added = root.add_provider(gitlab()).await.unwrap();
    let events = site
        .events(&site.broker.user_by_name("root").await.unwrap())
        .await;
    for place in [
        site.database(),
        format!("{added:?} {:?}", gitlab()),
        events.concat(),
    ] {
        assert!(!place.contains("s3cret-of-the-app"));
    }
    assert!(
        events.contains(&"provider.add: GitLab (gitlab) at https://git.example.com/gitlab".into())
    );
}

#[tokio::test]
async fn a_client_secret_does_not_follow_an_address_changed_behind_our_back() {
    let (site, root) = Site::managed().await;
    let id = root.add_provider(gitlab()).await.unwrap().id;
    let mut row = site.store.provider(&id).await.unwrap().unwrap();
    row.url = "https://evil.example.com/gitlab".into();
    assert!(site.store.update_provider(&row).await.unwrap());
    refused(
        root.test_provider(&id).await.map(drop),
        RefusedKind::ProviderFault,
    );
}

#[tokio::test]
async fn declared_providers_are_read_only_and_follow_the_file() {
    let (site, root) = Site::managed().await;
    site.broker.declare_providers(&[gitlab()]).await.unwrap();
    let first = root.providers().await.unwrap().remove(0);
    assert!(first.declared);
    refused(
        root.change_provider(&first.id, gitlab()).await,
        RefusedKind::Forbidden,
    );
    refused(
        root.preview_change(&first.id, &gitlab()).await,
        RefusedKind::Forbidden,
    );
    refused(
        root.delete_provider(&first.id, broker::Force::Yes).await,
        RefusedKind::Forbidden,
    );

    let version = async || {
        site.store
            .provider(&first.id)
            .await
            .unwrap()
            .unwrap()
            .version
    };
    let before = version().await;
    site.replica()
        .await
        .declare_providers(&[gitlab()])
        .await
        .unwrap();
    assert_eq!(version().await, before, "an unchanged file changes nothing");
    let secret = changed(|it| it.client_secret = Some("another".into()));
    site.broker.declare_providers(&[secret]).await.unwrap();
    assert_eq!(version().await, before + 1);

    let described = changed(|it| it.description = Some("Ours".into()));
    site.broker.declare_providers(&[described]).await.unwrap();
    assert_eq!(
        root.provider(&first.id)
            .await
            .unwrap()
            .description
            .as_deref(),
        Some("Ours")
    );

    site.broker.declare_providers(&[]).await.unwrap();
    assert!(!root.provider(&first.id).await.unwrap().declared);
    assert!(
        root.delete_provider(&first.id, broker::Force::No)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_wrong_declaration_names_the_provider() {
    let (site, _root) = Site::managed().await;
    let wrong = changed(|it| it.url = "nowhere".into());
    let refusal = refused(
        site.broker.declare_providers(&[wrong]).await,
        RefusedKind::Invalid,
    );
    assert!(
        refusal.detail.contains("GitLab") && refusal.detail.contains("URL"),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_not_found() {
    let (_site, root) = Site::managed().await;
    let id = ProviderId::from("prv_none");
    refused(root.provider(&id).await, RefusedKind::NotFound);
    refused(root.test_provider(&id).await, RefusedKind::NotFound);
    refused(
        root.change_provider(&id, gitlab()).await,
        RefusedKind::NotFound,
    );
    refused(
        root.delete_provider(&id, broker::Force::No).await,
        RefusedKind::NotFound,
    );
}
