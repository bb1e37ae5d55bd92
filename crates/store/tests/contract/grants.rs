//! Promises of `grants.rs`.

use store::*;

use super::fixtures::*;
use super::support::on_every_database;

fn lease(grant: &Grant, owner: &str) -> Lease {
    Lease {
        grant_id: grant.id.clone(),
        owner: owner.to_owned(),
        version: grant.version,
    }
}

fn new_tokens() -> NewTokens {
    NewTokens {
        access: sealed("access-2"),
        refresh: None,
        token_secret: None,
        session_handle: None,
        scopes: None,
        expires_at: None,
        token_id: "token-2".to_owned(),
        remote_id: None,
    }
}

async fn stored(store: &Store, grant: &Grant) -> Grant {
    store.grant_by_id(&grant.id).await.unwrap().unwrap()
}

on_every_database! {
    async fn a_second_consent_replaces_the_grant_and_returns_the_old_one(database: Database) {
        let has = linked(&database).await;
        let mut again = grant(&has.link, "git");
        again.id = GrantId::from("grt_new");
        again.access = sealed("fresh");
        assert!(database.lease_grant(&lease(&has.grant, "a"), NOW + 30, NOW).await.unwrap());

        let old = database.put_grant(&again).await.unwrap().unwrap();
        assert_eq!(old.access.as_str(), sealed("access").as_str());
        let found = database.grant(&has.link, "git").await.unwrap().unwrap();
        assert_eq!((&found.id, found.access.as_str()), (&again.id, sealed("fresh").as_str()));
        assert_eq!((found.lease_owner, found.scopes), (None, vec!["repo".into(), "workflow".into()]));
        let swapped = database.swap_grant(&lease(&has.grant, "a"), &new_tokens(), NOW).await.unwrap();
        assert!(!swapped, "the refresh of the old grant must not land");
        assert!(database.grant(&has.link, "manage").await.unwrap().is_none());
        database.put_grant(&grant(&has.link, "manage")).await.unwrap();
        let purposes: Vec<_> =
            database.grants_of(&has.link).await.unwrap().into_iter().map(|g| g.purpose).collect();
        assert_eq!(purposes, ["git", "manage"]);
    }

    async fn only_the_holder_of_the_lease_swaps(database: Database) {
        let has = linked(&database).await;
        let (mine, other) = (lease(&has.grant, "a"), lease(&has.grant, "b"));

        assert!(!database.swap_grant(&mine, &new_tokens(), NOW).await.unwrap(), "no lease");
        assert!(database.lease_grant(&mine, NOW + 30, NOW).await.unwrap());
        assert!(!database.lease_grant(&other, NOW + 30, NOW + 29).await.unwrap());
        let held = stored(&database, &has.grant).await;
        assert_eq!((held.lease_owner.as_deref(), held.lease_until), (Some("a"), Some(NOW + 30)));
        assert!(!database.swap_grant(&other, &new_tokens(), NOW).await.unwrap());
        assert!(!database.release_grant(&other).await.unwrap());
        assert!(database.swap_grant(&mine, &new_tokens(), NOW + 1).await.unwrap());
        assert!(!database.swap_grant(&mine, &new_tokens(), NOW + 1).await.unwrap(), "once");

        let found = stored(&database, &has.grant).await;
        assert_eq!((found.version, found.lease_owner, found.lease_until), (2, None, None));
        assert_eq!(found.access.as_str(), sealed("access-2").as_str());
        assert_eq!(found.refresh.unwrap().as_str(), sealed("refresh").as_str(), "kept");
        assert_eq!(found.scopes, ["repo", "workflow"], "kept");
        assert_eq!((found.expires_at, found.obtained_at), (None, NOW + 1), "unknown is not kept");
        assert_eq!(found.token_id, "token-2");
        let stale = lease(&has.grant, "c");
        assert!(!database.lease_grant(&stale, NOW + 60, NOW + 2).await.unwrap(), "old version");
    }

    async fn a_lease_that_ran_out_is_taken_over_and_its_holder_comes_too_late(database: Database) {
        let has = linked(&database).await;
        let (first, second) = (lease(&has.grant, "a"), lease(&has.grant, "b"));
        assert!(database.lease_grant(&first, NOW + 30, NOW).await.unwrap());

        let left = stored(&database, &has.grant).await;
        assert_eq!(left.lease_owner.as_deref(), Some("a"), "the note that it may have been spent");
        assert!(database.lease_grant(&second, NOW + 60, NOW + 30).await.unwrap());
        assert!(!database.swap_grant(&first, &new_tokens(), NOW + 31).await.unwrap());
        assert!(!database.note_dead_grant(&first, "refused", NOW + 31).await.unwrap());
        assert!(database.swap_grant(&second, &new_tokens(), NOW + 31).await.unwrap());
        let link = database.link(&has.ann, &has.link).await.unwrap().unwrap();
        assert_eq!(link.dead_at, None, "the late one killed nothing");
    }

    async fn a_refresh_that_ends_after_an_unlink_began_brings_nothing_back(database: Database) {
        let has = linked(&database).await;
        let mine = lease(&has.grant, "a");
        assert!(database.lease_grant(&mine, NOW + 30, NOW).await.unwrap());
        database.begin_unlink(&has.ann, &has.link, NOW).await.unwrap();

        assert!(!database.swap_grant(&mine, &new_tokens(), NOW).await.unwrap());
        let grant = stored(&database, &has.grant).await;
        assert_eq!(grant.access.as_str(), sealed("access").as_str());
        let late = Lease { version: grant.version, ..lease(&has.grant, "b") };
        assert!(!database.lease_grant(&late, NOW + 90, NOW + 60).await.unwrap());
        let error = database.put_grant(&has.grant).await.unwrap_err();
        assert!(matches!(error, StoreError::Dangling), "{error:?}");
        // Even where the account is linked again before the refresh ends.
        database.add_link(&link(&has.ann, &has.provider, "100")).await.unwrap();
        assert!(!database.swap_grant(&mine, &new_tokens(), NOW).await.unwrap());
    }

    async fn a_failure_backs_off_and_frees_the_lease(database: Database) {
        let has = linked(&database).await;
        let mine = lease(&has.grant, "a");
        let failure = Failure { retry_at: NOW + 40, suspect_since: Some(NOW) };
        assert!(!database.note_failure(&mine, &failure).await.unwrap(), "no lease");
        for _ in 0..2 {
            assert!(database.lease_grant(&mine, NOW + 30, NOW).await.unwrap());
            assert!(database.note_failure(&mine, &failure).await.unwrap());
        }

        let found = stored(&database, &has.grant).await;
        assert_eq!((found.failures, found.retry_at), (2, Some(NOW + 40)));
        assert_eq!((found.suspect_since, found.lease_owner), (Some(NOW), None));
        assert!(database.lease_grant(&mine, NOW + 30, NOW).await.unwrap());
        assert!(database.swap_grant(&mine, &new_tokens(), NOW).await.unwrap());
        let found = stored(&database, &has.grant).await;
        assert_eq!((found.failures, found.retry_at, found.suspect_since), (0, None, None));
    }

    async fn a_lease_given_back_can_be_taken_at_once(database: Database) {
        let has = linked(&database).await;
        assert!(database.lease_grant(&lease(&has.grant, "a"), NOW + 30, NOW).await.unwrap());
        assert!(database.release_grant(&lease(&has.grant, "a")).await.unwrap());
        assert!(database.lease_grant(&lease(&has.grant, "b"), NOW + 30, NOW).await.unwrap());
    }

    async fn a_dead_grant_kills_its_link(database: Database) {
        let has = linked(&database).await;
        let mine = lease(&has.grant, "a");
        assert!(!database.note_dead_grant(&mine, "refused", NOW).await.unwrap(), "no lease");
        let link = async || database.link(&has.ann, &has.link).await.unwrap().unwrap();
        assert_eq!(link().await.dead_at, None);
        assert!(database.lease_grant(&mine, NOW + 30, NOW).await.unwrap());

        assert!(database.note_dead_grant(&mine, "refused", NOW + 1).await.unwrap());
        assert_eq!(link().await.dead_at, Some(NOW + 1));
        assert_eq!(link().await.dead_reason.as_deref(), Some("refused"));
        assert_eq!(stored(&database, &has.grant).await.lease_owner, None);
    }

    async fn one_examination_a_minute(database: Database) {
        let has = linked(&database).await;
        let force = async |now| database.force_grant(&has.grant.id, now - 60, now).await.unwrap();

        assert!(force(NOW).await);
        assert!(!force(NOW + 59).await);
        assert!(force(NOW + 60).await);
    }

    async fn what_a_workspace_was_handed_is_known(database: Database) {
        let has = linked(&database).await;
        let workspace = workspace(&has.ann);
        database.add_workspace(&hash("w"), &workspace).await.unwrap();
        let handed = |token: &str, at| Handed {
            workspace_id: workspace.id.clone(),
            grant_id: has.grant.id.clone(),
            token_id: token.to_owned(),
            at,
        };
        let gone = Handed { grant_id: GrantId::from("grt_gone"), ..handed("token-1", NOW) };
        database.note_handed(&[gone, handed("token-0", NOW), handed("token-1", NOW)]).await.unwrap();
        database.note_handed(&[handed("token-1", NOW + 7)]).await.unwrap();

        let known = database.tokens_handed_to(&workspace.id).await.unwrap();
        let known: Vec<_> = known.iter().map(|one| (one.token_id.as_str(), one.at)).collect();
        assert_eq!(known, [("token-1", NOW + 7), ("token-0", NOW)]);
        assert_eq!(stored(&database, &has.grant).await.handed_at, Some(NOW + 7));
        let link = database.link(&has.ann, &has.link).await.unwrap().unwrap();
        assert_eq!(link.last_used_at, Some(NOW + 7));
        let used = database.workspace(&has.ann, &workspace.id).await.unwrap().unwrap();
        assert_eq!((used.last_used_at, used.last_seen_at), (Some(NOW + 7), Some(NOW + 7)));
        let other = WorkspaceId::from("wsp_other");
        assert!(database.tokens_handed_to(&other).await.unwrap().is_empty());
    }

    async fn a_grant_that_changed_is_not_deleted(database: Database) {
        let has = linked(&database).await;
        assert!(!database.delete_grant(&has.grant.id, 2).await.unwrap());
        assert!(database.delete_grant(&has.grant.id, 1).await.unwrap());
        assert!(database.grant_by_id(&has.grant.id).await.unwrap().is_none());
    }
}
