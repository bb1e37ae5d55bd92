//! Handing out credentials: who answers for a host, what is recorded, what it costs.

use broker::{CredentialAsk, LinkId, RefusedKind, UnlinkOptions, UseOutcome, UseReport};
use testforge::{Endpoint, Fault, Shape};

use crate::stage::{self, GITLAB, Special, Stage, give, linked, refusal};

#[tokio::test(flavor = "multi_thread")]
async fn gives_the_user_name_that_the_kind_wants_and_an_end_where_it_is_known() {
    for (shape, username, ends) in [
        (Shape::GitHubCom, "x-access-token", false),
        (GITLAB, "oauth2", true),
        (Shape::BitbucketServer, "x-token-auth", true),
        (Shape::BitbucketServerOAuth1, "ann", true),
    ] {
        let (stage, workspace) = linked(shape).await;
        let given = give(&stage, &workspace).await;
        assert_eq!(given.username, username, "{shape:?}");
        assert_eq!(given.expires_at.is_some(), ends, "{shape:?}");
        assert_eq!(given.provider, "Forge");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_common_case_asks_no_provider() {
    let (stage, workspace) = linked(GITLAB).await;
    stage.forge.clear_log();
    give(&stage, &workspace).await;
    assert!(stage.forge.log().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_are_not_ours_or_not_linked_are_left_to_others() {
    let stage = Stage::new(GITLAB).await;
    let workspace = stage.workspace().await;
    let ask = |host: &str| CredentialAsk {
        host: host.to_owned(),
        ..stage.ask()
    };
    let kind = async |ask: CredentialAsk| workspace.credential(&ask).await.unwrap_err().kind;
    assert_eq!(kind(stage.ask()).await, RefusedKind::NotLinked);
    assert_eq!(kind(ask("example.com")).await, RefusedKind::NotOurs);
    let plain = CredentialAsk {
        protocol: "http".into(),
        ..stage.ask()
    };
    assert_eq!(kind(plain).await, RefusedKind::NotOurs);
    assert_eq!(kind(ask("")).await, RefusedKind::Invalid);
    assert_eq!(
        kind(ask("example.com\r\nhost=x")).await,
        RefusedKind::Invalid
    );
    assert_eq!(kind(ask("example.com\0")).await, RefusedKind::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_links_at_one_provider_the_oldest_answers_unless_the_url_names_the_other() {
    let (stage, workspace) = linked(GITLAB).await;
    let ann = stage.ann.links().await.unwrap().remove(0);
    stage.forge.add_account("bob");
    let bob = stage.link_as("bob").await;
    assert_eq!(give(&stage, &workspace).await.link, ann.id);
    let ask = CredentialAsk {
        username: Some("bob".into()),
        ..stage.ask()
    };
    assert_eq!(workspace.credential(&ask).await.unwrap().link, bob.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_specific_rule_answers_and_rules_that_fit_equally_well_are_a_tie() {
    let (stage, workspace) = linked(GITLAB).await;
    let ann = LinkId(stage.ann.links().await.unwrap().remove(0).id);
    stage.forge.add_account("bob");
    let bob = LinkId(stage.link_as("bob").await.id);
    let host = stage.ask().host;
    for (pattern, link) in [("a*", &ann), ("*b", &bob), ("work", &bob)] {
        let pattern = format!("{host}/{pattern}");
        stage.ann.add_rule(&pattern, link).await.unwrap();
    }
    let at = |path: &str| CredentialAsk {
        path: Some(path.into()),
        ..stage.ask()
    };
    let given = workspace.credential(&at("work/app.git")).await.unwrap();
    assert_eq!(given.link, bob.0);
    let refused = workspace.credential(&at("ab/app.git")).await.unwrap_err();
    assert_eq!(refused.kind, RefusedKind::Tie);
    assert!(
        refused.detail.contains("ann at Forge and bob at Forge"),
        "{refused}"
    );
    // A rule goes with its link.
    stage
        .ann
        .unlink(&bob, UnlinkOptions::default())
        .await
        .unwrap();
    let given = workspace.credential(&at("work/app.git")).await.unwrap();
    assert_eq!(given.link, ann.0);
    assert_eq!(stage.ann.rules().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_providers_with_one_address_the_linked_one_answers() {
    let (stage, workspace) = linked(GITLAB).await;
    let manager = stage.ann.site_manager().unwrap();
    let first = manager.provider(&stage.provider).await.unwrap();
    let twin = broker::ProviderInput {
        kind: first.kind,
        name: "Twin".into(),
        url: stage.forge.url().into(),
        client_id: "twin".into(),
        client_secret: Some("twin".into()),
        ca_pem: first.ca_pem,
        internal: true,
        ..broker::ProviderInput::default()
    };
    manager.add_provider(twin).await.unwrap();
    assert_eq!(give(&stage, &workspace).await.provider, "Forge");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hand_out_and_every_refusal_is_recorded() {
    let (stage, workspace) = linked(GITLAB).await;
    let given = give(&stage, &workspace).await;
    let events = stage.events("credential.give").await;
    assert_eq!(events, ["ann at Forge"]);
    let id = workspace.workspace().id;
    let handed = stage.store.tokens_handed_to(&id).await.unwrap();
    assert_eq!(handed[0].token_id, given.state);
    let link = LinkId(given.link);
    stage.store.mark_link_dead(&link, "gone", 1).await.unwrap();
    assert_eq!(
        refusal(&stage, &workspace).await.kind,
        RefusedKind::LinkDead
    );
    assert_eq!(stage.events("credential.refuse").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_given_only_once_it_is_recorded_to_whom() {
    let database = stage::postgres();
    let special = Special {
        database: Some(database.clone()),
        ..Special::default()
    };
    let stage = Stage::special(GITLAB, special).await;
    stage.link().await;
    let workspace = stage.workspace().await;
    stage::rename(&database, "handed", "handed_away");
    assert_eq!(
        refusal(&stage, &workspace).await.kind,
        RefusedKind::Transient
    );
    stage::rename(&database, "handed_away", "handed");
    give(&stage, &workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_tokens_that_this_workspace_was_handed_are_recorded() {
    let (stage, workspace) = linked(GITLAB).await;
    let given = give(&stage, &workspace).await;
    let used = |state: &str, outcome| UseReport {
        outcome,
        state: state.to_owned(),
        count: 3,
    };
    let other = stage.workspace().await;
    other
        .report(vec![used(&given.state, UseOutcome::Accepted)])
        .await
        .unwrap();
    assert!(stage.events("credential.accepted").await.is_empty());
    let uses = vec![
        used(&given.state, UseOutcome::Accepted),
        used(&given.state, UseOutcome::CacheHit),
        used("made up", UseOutcome::Refused),
    ];
    workspace.report(uses).await.unwrap();
    assert_eq!(stage.events("credential.accepted").await.len(), 1);
    assert_eq!(stage.events("credential.cached").await.len(), 1);
    assert!(stage.events("credential.rejected").await.is_empty());
    let many = vec![used("x", UseOutcome::Accepted); 1001];
    assert_eq!(
        workspace.report(many).await.unwrap_err().kind,
        RefusedKind::Invalid
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_cannot_say_whether_a_token_lives_changes_nothing() {
    for fault in [
        Fault::ServerError,
        Fault::Html,
        Fault::Saml {
            url: "https://x.example".into(),
        },
    ] {
        let (stage, workspace) = linked(Shape::GitHubCom).await;
        let given = give(&stage, &workspace).await;
        stage.forge.fail_times(Endpoint::User, fault.clone(), 20);
        let ask = CredentialAsk {
            state: Some(given.state.clone()),
            ..stage.ask()
        };
        assert!(workspace.credential(&ask).await.is_err(), "{fault:?}");
        assert_eq!(
            give(&stage, &workspace).await.state,
            given.state,
            "{fault:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_narrowing_on_again_keeps_broad_tokens_from_git() {
    let special = Special {
        narrowing_off: true,
        ..Special::default()
    };
    let stage = Stage::special(GITLAB, special).await;
    let link = stage.link().await;
    let workspace = stage.workspace().await;
    give(&stage, &workspace).await;
    let mut row = stage
        .store
        .provider(&stage.provider)
        .await
        .unwrap()
        .unwrap();
    row.narrowing_off_at = None;
    stage.store.update_provider(&row).await.unwrap();
    assert_eq!(
        refusal(&stage, &workspace).await.kind,
        RefusedKind::NoCredential
    );
    // Finishing asks for both consents, so that the link does not lose its keys.
    let url = stage
        .ann
        .finish_git_consent(&LinkId(link.id))
        .await
        .unwrap();
    stage.walk(url.to_string(), "ann").await.unwrap();
    give(&stage, &workspace).await;
    let link = &stage.ann.links().await.unwrap()[0];
    assert_eq!(
        (link.grants.len(), link.keys[0].state.as_str()),
        (2, "present")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hand_outs_of_one_token_in_a_row_are_counted_in_one_line() {
    let (stage, workspace) = linked(GITLAB).await;
    for _ in 0..5 {
        give(&stage, &workspace).await;
    }
    let auditor = stage.ann.auditor().unwrap();
    let filter = broker::EventFilter {
        action: Some("credential.give".into()),
        ..broker::EventFilter::default()
    };
    loop {
        let events = auditor.events(&filter, None, 10).await.unwrap();
        let counts: Vec<i64> = events.iter().map(|named| named.event.count).collect();
        if counts.len() > 1 {
            assert_eq!(counts, [4, 1]);
            break;
        }
        stage::pause(100).await;
    }
}
