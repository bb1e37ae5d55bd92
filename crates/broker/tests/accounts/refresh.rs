//! Refreshing tokens: each of the 22 ways in which other systems lost them is a test here, by its number.
//! (Number 19, callers that cluster at one margin, is a table of the pure decision.)

use std::time::Duration;

use broker::{LinkId, LinkState, RefusedKind, UnlinkOptions};
use futures_util::future::join_all;
use secrecy::ExposeSecret;
use store::Lease;
use testforge::{Endpoint, Fault};

use crate::stage::{
    self, GITLAB, OVER, Special, Stage, give, link_state, linked, owner, pause, refusal, rename,
};

#[tokio::test(flavor = "multi_thread")]
async fn f01_a_thousand_callers_at_expiry_redeem_once() {
    let (stage, workspace) = linked(GITLAB).await;
    stage.advance(OVER).await;
    let callers = (0..1000).map(|_| give(&stage, &workspace));
    let given = join_all(callers).await;
    assert_eq!(stage.forge.refreshes(), 1);
    assert!(given.iter().all(|one| one.state == given[0].state));
    assert_eq!(owner(&stage, &given[0]).await.as_deref(), Some("ann"));
}

#[tokio::test(flavor = "multi_thread")]
async fn f02_three_replicas_redeem_once() {
    let database = stage::postgres();
    let special = Special {
        database: Some(database.clone()),
        ..Special::default()
    };
    let stage = Stage::special(GITLAB, special).await;
    stage.link().await;
    let mut workspaces = vec![stage.workspace().await];
    let mut stores = vec![stage.store.clone()];
    let token = stage
        .ann
        .add_workspace("box", None, broker::UnboundSsh::Denied)
        .await
        .unwrap();
    for _ in 0..2 {
        let (broker, store) = stage.replica(&database).await;
        workspaces.push(broker.workspace(&token.token, None).await.unwrap());
        stores.push(store);
    }
    stage.forge.advance(OVER);
    for store in &stores {
        store.advance(OVER).await.unwrap();
    }
    let callers = (0..999).map(|number| give(&stage, &workspaces[number % 3]));
    let given = join_all(callers).await;
    assert_eq!(stage.forge.refreshes(), 1);
    assert!(given.iter().all(|one| one.state == given[0].state));
}

#[tokio::test(flavor = "multi_thread")]
async fn f03_no_result_of_one_grant_reaches_another() {
    let stage = Stage::new(GITLAB).await;
    stage.forge.add_account("bob");
    stage.link().await;
    stage.link_as("bob").await;
    let workspace = stage.workspace().await;
    stage.advance(OVER).await;
    let mut asks = Vec::new();
    for number in 0..40 {
        let mut ask = stage.ask();
        ask.username = Some(if number % 2 == 0 { "ann" } else { "bob" }.to_owned());
        asks.push(ask);
    }
    let given = join_all(asks.iter().map(|ask| workspace.credential(ask))).await;
    assert_eq!(stage.forge.refreshes(), 2);
    for (ask, given) in asks.iter().zip(given).take(2) {
        assert_eq!(owner(&stage, &given.unwrap()).await, ask.username);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f04_hand_outs_and_key_uploads_share_one_refresher() {
    let special = Special {
        narrowing_off: true,
        ..Special::default()
    };
    let stage = Stage::special(GITLAB, special).await;
    let link = stage.link().await;
    let workspace = stage.workspace().await;
    stage.advance(OVER).await;
    let key = broker::KeyId(link.keys[0].id.clone());
    let (given, key) = tokio::join!(give(&stage, &workspace), stage.ann.regenerate_key(&key));
    assert_eq!(key.unwrap().state, "present");
    assert_eq!(stage.forge.refreshes(), 1);
    assert_eq!(owner(&stage, &given).await.as_deref(), Some("ann"));
}

#[tokio::test(flavor = "multi_thread")]
async fn f05_a_losers_invalid_grant_does_not_kill_the_winner() {
    let database = stage::postgres();
    let special = Special {
        database: Some(database.clone()),
        ..Special::default()
    };
    let stage = Stage::special(GITLAB, special).await;
    stage.link().await;
    let workspace = stage.workspace().await;
    stage.advance(OVER).await;
    // The first replica sleeps through its lease; its request arrives when the token is spent.
    stage
        .forge
        .fail_next(Endpoint::Token, Fault::Slow { ms: 3000 });
    let (other, store) = stage.replica(&database).await;
    store.set_now(Some(stage.store.now().await.unwrap() + 200));
    let token = stage
        .ann
        .add_workspace("box", None, broker::UnboundSsh::Denied)
        .await
        .unwrap();
    let second = other.workspace(&token.token, None).await.unwrap();
    let ask = stage.ask();
    let (slow, fast) = tokio::join!(workspace.credential(&ask), async {
        pause(1000).await;
        give(&stage, &second).await
    });
    assert_eq!(link_state(&stage).await, LinkState::Linked);
    assert_eq!(owner(&stage, &fast).await.as_deref(), Some("ann"));
    if let Ok(slow) = slow {
        assert_eq!(slow.state, fast.state);
    }
    assert_eq!(give(&stage, &workspace).await.state, fast.state);
}

#[tokio::test(flavor = "multi_thread")]
async fn f06_a_database_that_is_away_at_commit_is_waited_for() {
    let database = stage::postgres();
    let special = Special {
        database: Some(database.clone()),
        ..Special::default()
    };
    let stage = Stage::special(GITLAB, special).await;
    stage.link().await;
    let workspace = stage.workspace().await;
    stage.advance(OVER).await;
    stage
        .forge
        .fail_next(Endpoint::Token, Fault::Slow { ms: 1500 });
    let (given, ()) = tokio::join!(give(&stage, &workspace), async {
        pause(700).await;
        rename(&database, "grants", "grants_away");
        pause(2500).await;
        assert_eq!(
            stage.forge.refreshes(),
            1,
            "the token is spent while nothing can be stored"
        );
        rename(&database, "grants_away", "grants");
    });
    assert_eq!(owner(&stage, &given).await.as_deref(), Some("ann"));
    stage.advance(OVER).await;
    give(&stage, &workspace).await;
    assert_eq!(
        stage.forge.refreshes(),
        2,
        "the new refresh token was stored"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f06_a_crash_between_exchange_and_commit_gives_no_success_and_no_second_redemption() {
    let database = stage::postgres();
    let special = Special {
        database: Some(database.clone()),
        ..Special::default()
    };
    let stage = Stage::special(GITLAB, special).await;
    stage.link().await;
    let workspace = stage.workspace().await;
    let token = stage
        .ann
        .add_workspace("box", None, broker::UnboundSsh::Denied)
        .await
        .unwrap();
    stage.advance(OVER).await;
    stage
        .forge
        .fail_next(Endpoint::Token, Fault::Slow { ms: 1500 });
    let now = stage.store.now().await.unwrap();
    let (url, keyring, ask) = (database.clone(), stage.keyring(), stage.ask());
    let doomed = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.spawn(async move {
            let store = store::Store::open(&url).await.unwrap();
            store.set_now(Some(now));
            let broker = stage::new_broker(&store, &keyring);
            let workspace = broker.workspace(&token.token, None).await.unwrap();
            workspace.credential(&ask).await
        });
        std::thread::sleep(Duration::from_secs(4));
        runtime.shutdown_background();
    });
    pause(1200).await;
    rename(&database, "grants", "grants_away");
    tokio::task::spawn_blocking(move || doomed.join().unwrap())
        .await
        .unwrap();
    rename(&database, "grants_away", "grants");
    assert_eq!(stage.forge.refreshes(), 1);

    // Its lease still says that the refresh token may be spent.
    assert_eq!(
        refusal(&stage, &workspace).await.kind,
        RefusedKind::Transient
    );
    assert_eq!(stage.forge.refreshes(), 1);
    stage.store.advance(100).await.unwrap();
    assert_eq!(
        refusal(&stage, &workspace).await.kind,
        RefusedKind::LinkDead
    );
    assert_eq!(link_state(&stage).await, LinkState::Dead);
}

#[tokio::test(flavor = "multi_thread")]
async fn f07_new_tokens_do_not_hang_on_a_later_check() {
    let (stage, workspace) = linked(GITLAB).await;
    stage.advance(OVER).await;
    stage
        .forge
        .fail_times(Endpoint::User, Fault::ServerError, 100);
    let given = give(&stage, &workspace).await;
    stage.forge.clear_faults();
    assert_eq!(owner(&stage, &given).await.as_deref(), Some("ann"));
}

#[tokio::test(flavor = "multi_thread")]
async fn f08_an_answer_without_a_refresh_token_keeps_the_old_one() {
    let (stage, workspace) = linked(GITLAB).await;
    stage
        .forge
        .set_knobs(|knobs| knobs.keep_refresh_token = true);
    for number in 1..=3 {
        stage.advance(OVER).await;
        give(&stage, &workspace).await;
        assert_eq!(stage.forge.refreshes(), number);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f09_a_missing_end_is_unknown_and_not_over() {
    let stage = Stage::new(GITLAB).await;
    stage.forge.set_knobs(|knobs| knobs.hide_expires_in = true);
    stage.link().await;
    let workspace = stage.workspace().await;
    stage.store.advance(100_000).await.unwrap();
    assert_eq!(give(&stage, &workspace).await.expires_at, None);
    assert_eq!(stage.forge.refreshes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn f12_f13_nobody_refreshes_without_the_lease() {
    let (stage, workspace) = linked(GITLAB).await;
    stage.advance(OVER).await;
    let link = LinkId(stage.ann.links().await.unwrap()[0].id.clone());
    let grant = stage.store.grant(&link, "git").await.unwrap().unwrap();
    let lease = Lease {
        grant_id: grant.id,
        owner: "another replica".into(),
        version: grant.version,
    };
    let now = stage.store.now().await.unwrap();
    assert!(
        stage
            .store
            .lease_grant(&lease, now + 90, now)
            .await
            .unwrap()
    );
    let refused = refusal(&stage, &workspace).await;
    assert_eq!(
        (refused.kind, stage.forge.refreshes()),
        (RefusedKind::Transient, 0)
    );
    stage.store.release_grant(&lease).await.unwrap();
    give(&stage, &workspace).await;
    assert_eq!(stage.forge.refreshes(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn f14_a_token_in_somebodys_hands_is_not_refreshed_away() {
    let (stage, workspace) = linked(GITLAB).await;
    stage.advance(7200 - 150).await;
    let mut short = stage.ask();
    short.min_ttl_s = Some(0);
    let held = workspace.credential(&short).await.unwrap();
    stage.advance(50).await;
    assert_eq!(give(&stage, &workspace).await.state, held.state);
    assert_eq!(stage.forge.refreshes(), 0);
    // Below a minute it is too short for everybody.
    stage.advance(60).await;
    assert_ne!(give(&stage, &workspace).await.state, held.state);
    assert_eq!(stage.forge.refreshes(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the thief does not use our door")]
async fn f15_no_refresh_token_leaves_the_broker() {
    let (stage, workspace) = linked(GITLAB).await;
    let given = give(&stage, &workspace).await;
    let ca = reqwest::Certificate::from_pem(stage.forge.ca_pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_merge([ca])
        .build()
        .unwrap();
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", given.password.expose_secret()),
        ("client_id", &stage.client_id),
    ];
    let url = format!("{}/oauth/token", stage.forge.url());
    let reply = client.post(url).form(&form).send().await.unwrap();
    assert!(reply.status().is_client_error());
    assert_eq!(stage.forge.refreshes(), 0);
    assert!(!format!("{given:?}").contains(given.password.expose_secret()));
}

#[tokio::test(flavor = "multi_thread")]
async fn f16_an_unlink_that_races_a_refresh_is_not_undone() {
    let (stage, workspace) = linked(GITLAB).await;
    let link = LinkId(stage.ann.links().await.unwrap()[0].id.clone());
    stage.advance(OVER).await;
    stage
        .forge
        .fail_next(Endpoint::Token, Fault::Slow { ms: 1500 });
    let ask = stage.ask();
    let (given, unlinked) = tokio::join!(workspace.credential(&ask), async {
        pause(500).await;
        stage.ann.unlink(&link, UnlinkOptions::default()).await
    });
    unlinked.unwrap();
    assert!(given.is_err(), "{given:?}");
    assert!(stage.ann.links().await.unwrap().is_empty());
    assert!(stage.store.grants_of(&link).await.unwrap().is_empty());
    let alive = stage
        .forge
        .tokens()
        .into_iter()
        .filter(|token| token.alive)
        .count();
    assert_eq!(alive, 0, "what the refresh brought is revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn f17_other_writes_to_the_link_do_not_clobber_new_tokens() {
    let (stage, workspace) = linked(GITLAB).await;
    let link = LinkId(stage.ann.links().await.unwrap()[0].id.clone());
    for number in 1..=3 {
        stage.advance(OVER).await;
        stage
            .forge
            .fail_next(Endpoint::Token, Fault::Slow { ms: 400 });
        let (given, ()) = tokio::join!(give(&stage, &workspace), async {
            for _ in 0..10 {
                pause(60).await;
                let row = stage.store.any_link(&link).await.unwrap().unwrap();
                stage.store.add_link(&row).await.unwrap();
                stage.store.touch_link(&link, 1).await.unwrap();
            }
        });
        assert_eq!(owner(&stage, &given).await.as_deref(), Some("ann"));
        assert_eq!(stage.forge.refreshes(), number);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_a_caller_that_goes_away_cancels_nobody() {
    let (stage, workspace) = linked(GITLAB).await;
    stage.advance(OVER).await;
    stage
        .forge
        .fail_next(Endpoint::Token, Fault::Slow { ms: 1000 });
    let ask = stage.ask();
    let first = tokio::time::timeout(Duration::from_millis(300), workspace.credential(&ask));
    let (first, second) = tokio::join!(first, give(&stage, &workspace));
    assert!(first.is_err(), "the first caller has gone");
    assert_eq!(owner(&stage, &second).await.as_deref(), Some("ann"));
    assert_eq!(stage.forge.refreshes(), 1);
}
