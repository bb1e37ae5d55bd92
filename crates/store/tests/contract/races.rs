//! Of many callers at once, on two replicas, exactly one wins.

use std::future::Future;
use std::sync::Arc;

use store::*;
use tokio::sync::Barrier;

use super::attempts::begin;
use super::fixtures::*;
use super::support::{Database, on_every_database};
use super::uploads::{turn, wanted};

const CALLERS: usize = 32;

/// Calls from 32 tasks at the same time, half of them on another replica, and returns what they
/// got.
async fn race<T, F>(database: &Database, call: impl Fn(Store, usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let replicas = [database.store.clone(), database.replica().await];
    let start = Arc::new(Barrier::new(CALLERS));
    let tasks: Vec<_> = (0..CALLERS)
        .map(|number| {
            let start = Arc::clone(&start);
            let call = call(replicas[number % replicas.len()].clone(), number);
            tokio::spawn(async move {
                start.wait().await;
                call.await
            })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

fn winners(results: Vec<bool>) -> usize {
    assert_eq!(results.len(), CALLERS);
    results.into_iter().filter(|won| *won).count()
}

on_every_database! {
    async fn one_callback_takes_an_attempt(database: Database) {
        let session = begin(&database).await.session_id;
        let results = race(&database, |store, _| {
            let session = session.clone();
            async move {
                store.take_attempt(&hash("state"), &session, NOW).await.unwrap().is_some()
            }
        });
        assert_eq!(winners(results.await), 1);
    }

    async fn one_visitor_takes_a_one_time_link(database: Database) {
        let link = OneTimeLink {
            user_id: None,
            purpose: OneTimePurpose::Setup,
            expires_at: NOW + 100,
        };
        database.add_one_time_link(&hash("once"), &link).await.unwrap();
        let results = race(&database, |store, _| async move {
            store.take_one_time_link(&hash("once"), NOW).await.unwrap().is_some()
        });
        assert_eq!(winners(results.await), 1);
    }

    async fn one_answer_decides_on_a_device(database: Database) {
        let (ann, ben) = people(&database).await;
        database.add_device(&hash("code"), &device("box")).await.unwrap();
        let results = race(&database, |store, number| {
            let (user, decision) = match number % 2 {
                0 => (ann.clone(), Decision::Approve),
                _ => (ben.clone(), Decision::Deny),
            };
            async move { store.decide_device("CODE-box", &user, decision, NOW).await.unwrap() }
        });
        assert_eq!(winners(results.await), 1);
    }

    async fn one_poll_claims_a_device(database: Database) {
        let (ann, _) = people(&database).await;
        let device = device("box");
        database.add_device(&hash("code"), &device).await.unwrap();
        database.decide_device("CODE-box", &ann, Decision::Approve, NOW).await.unwrap();
        let results = race(&database, |store, number| {
            let device = device.id.clone();
            let workspace = Workspace {
                id: WorkspaceId(format!("wsp_{number}")),
                machine_hash: Some("machine".to_owned()),
                ..workspace(&ann)
            };
            async move {
                let token = hash(&format!("token {number}"));
                store.claim_device(&device, &token, &workspace, NOW).await.unwrap()
            }
        });
        assert_eq!(winners(results.await), 1);
        assert_eq!(database.workspaces_of(&ann, NOW).await.unwrap().len(), 1);
    }

    async fn one_refresher_leases_a_grant(database: Database) {
        let has = linked(&database).await;
        let results = race(&database, |store, number| {
            let lease = Lease {
                grant_id: has.grant.id.clone(),
                owner: number.to_string(),
                version: 1,
            };
            async move { store.lease_grant(&lease, NOW + 30, NOW).await.unwrap() }
        });
        assert_eq!(winners(results.await), 1);
    }

    async fn one_caller_examines_a_refused_token(database: Database) {
        let has = linked(&database).await;
        let results = race(&database, |store, _| {
            let grant = has.grant.id.clone();
            async move { store.force_grant(&grant, NOW - 60, NOW).await.unwrap() }
        });
        assert_eq!(winners(results.await), 1);
    }

    async fn one_replica_acts_on_an_upload_and_on_a_revocation(database: Database) {
        let has = linked(&database).await;
        database.put_upload(&wanted(&has.key, "auth")).await.unwrap();
        let results = race(&database, |store, number| async move {
            let turn = turn(&number.to_string(), NOW + 30);
            store.lease_due_uploads(&turn, NOW).await.unwrap().len() == 1
        });
        assert_eq!(winners(results.await), 1);
    }

    async fn one_view_makes_the_missing_key(database: Database) {
        let (ann, _) = people(&database).await;
        let provider = provider("azure");
        database.add_provider(&provider).await.unwrap();
        let results = race(&database, |store, number| {
            let key = key(&number.to_string(), &ann, &provider.id, None);
            async move { store.add_key(&key).await.is_ok() }
        });
        assert_eq!(winners(results.await), 1);
        assert_eq!(database.keys_of(&ann).await.unwrap().len(), 1);
        assert_eq!(database.key_history(&ann).await.unwrap().len(), 1);
    }

    async fn one_click_replaces_a_key(database: Database) {
        let has = linked(&database).await;
        let results = race(&database, |store, number| {
            let new = key(&number.to_string(), &has.ann, &has.provider, Some(&has.link));
            let old = has.key.clone();
            async move { store.replace_key(&old, &new, NOW).await.unwrap() }
        });
        assert_eq!(winners(results.await), 1);
    }

    async fn callbacks_of_two_tabs_make_one_link(database: Database) {
        let (ann, _) = people(&database).await;
        let provider = provider("hub");
        database.add_provider(&provider).await.unwrap();
        let links = race(&database, |store, number| {
            let mut link = link(&ann, &provider.id, "100");
            link.id = LinkId(format!("lnk_{number}"));
            async move { store.add_link(&link).await.unwrap().id }
        });
        let links = links.await;
        assert!(links.iter().all(|link| *link == links[0]), "{links:?}");
    }

    async fn consents_at_once_leave_one_grant_and_return_every_other(database: Database) {
        let has = linked(&database).await;
        let replaced = race(&database, |store, number| {
            let mut grant = grant(&has.link, "git");
            grant.id = GrantId(format!("grt_{number}"));
            async move { store.put_grant(&grant).await.unwrap().map(|old| old.id) }
        });
        let mut known: Vec<_> = replaced.await.into_iter().flatten().collect();
        known.push(database.grant(&has.link, "git").await.unwrap().unwrap().id);
        known.sort();
        known.dedup();
        assert_eq!(known.len(), CALLERS + 1, "no token is forgotten unrevoked");
    }

    async fn managers_who_demote_each_other_leave_one(database: Database) {
        let (ann, ben) = people(&database).await;
        for user in [&ann, &ben] {
            database.set_role(user, Role::SiteManager).await.unwrap();
        }
        race(&database, |store, number| {
            let user = [&ann, &ben][number % 2].clone();
            async move { store.set_role(&user, Role::Member).await.unwrap() }
        })
        .await;
        assert_eq!(database.count_site_managers().await.unwrap(), 1);
    }

    async fn every_try_is_counted(database: Database) {
        let mut counts =
            race(&database, |store, _| async move { store.count_try("door", NOW, 0).await.unwrap() })
                .await;
        counts.sort();
        assert_eq!(counts, (1..=32).collect::<Vec<i64>>());
    }

    async fn batches_that_cross_do_not_wait_for_each_other(database: Database) {
        let has = linked(&database).await;
        let mut pairs = Vec::new();
        for number in 0..8 {
            let link = link(&has.ann, &has.provider, &format!("account {number}"));
            let link = database.add_link(&link).await.unwrap();
            let mut grant = grant(&link.id, "git");
            grant.id = GrantId(format!("grt_{number}"));
            database.put_grant(&grant).await.unwrap();
            let mut workspace = workspace(&has.ann);
            workspace.id = WorkspaceId(format!("wsp_{number}"));
            database.add_workspace(&hash(&number.to_string()), &workspace).await.unwrap();
            pairs.push((workspace.id, grant.id));
        }
        let results = race(&database, |store, number| {
            let mut handed: Vec<_> = (0..8)
                .map(|step| Handed {
                    workspace_id: pairs[(number + step) % 8].0.clone(),
                    grant_id: pairs[(number * 3 + 8 - step) % 8].1.clone(),
                    token_id: "token-1".to_owned(),
                    at: NOW,
                })
                .collect();
            handed.rotate_left(number % 8);
            async move { store.note_handed(&handed).await.is_ok() }
        });
        assert_eq!(winners(results.await), CALLERS);
    }
}
