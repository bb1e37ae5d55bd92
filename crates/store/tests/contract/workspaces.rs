//! Promises of `workspaces.rs`.

use store::*;

use super::fixtures::*;
use super::support::on_every_database;

async fn by_token(store: &Store, now: i64, idle_since: i64) -> Option<WorkspaceUser> {
    store
        .workspace_by_token(&hash("w"), now, idle_since)
        .await
        .unwrap()
}

on_every_database! {
    async fn a_workspace_token_ends_idle_absolutely_and_by_revocation(database: Database) {
        let (ann, stranger) = people(&database).await;
        let workspace = workspace(&ann);
        database.add_workspace(&hash("w"), &workspace).await.unwrap();

        let found = by_token(&database, NOW, NOW - 1).await.unwrap();
        assert_eq!((found.workspace.id, found.user.id), (workspace.id.clone(), ann.clone()));
        assert!(by_token(&database, NOW, NOW).await.is_none(), "idle");
        assert!(by_token(&database, NOW + 100, 0).await.is_none(), "ended");
        assert!(database.touch_workspace(&workspace.id, NOW + 10).await.unwrap());
        assert!(by_token(&database, NOW + 11, NOW + 9).await.is_some(), "not idle any more");

        assert!(database.note_workspace_used(&workspace.id, NOW + 20).await.unwrap());
        let listed = database.workspaces_of(&ann, NOW).await.unwrap();
        assert_eq!(listed[0].last_used_at, Some(NOW + 20));
        assert_eq!(listed[0].last_seen_at, Some(NOW + 20));
        assert!(database.workspaces_of(&stranger, NOW).await.unwrap().is_empty());
        assert!(database.workspace(&stranger, &workspace.id).await.unwrap().is_none());

        assert!(!database.revoke_workspace(&stranger, &workspace.id, NOW).await.unwrap());
        assert!(database.revoke_workspace(&ann, &workspace.id, NOW).await.unwrap());
        assert!(!database.revoke_workspace(&ann, &workspace.id, NOW).await.unwrap());
        assert!(by_token(&database, NOW, 0).await.is_none(), "revoked");
        assert!(database.workspaces_of(&ann, NOW).await.unwrap().is_empty());
        let kept = database.workspace(&ann, &workspace.id).await.unwrap().unwrap();
        assert_eq!(kept.revoked_at, Some(NOW));
    }

    async fn a_site_manager_sees_workspaces_that_are_over_too(database: Database) {
        let (ann, stranger) = people(&database).await;
        let (old, new) = (workspace(&ann), workspace(&ann));
        let new = Workspace { id: WorkspaceId::from("wsp_new"), created_at: NOW + 1, ..new };
        database.add_workspace(&hash("w"), &old).await.unwrap();
        database.add_workspace(&hash("v"), &new).await.unwrap();
        database.revoke_workspace(&ann, &old.id, NOW).await.unwrap();

        let ever = database.workspaces_ever(&ann, 9).await.unwrap();
        let ids: Vec<_> = ever.iter().map(|workspace| workspace.id.clone()).collect();
        assert_eq!(ids, [new.id.clone(), old.id]);
        assert_eq!(ever[1].revoked_at, Some(NOW));
        assert_eq!(database.workspaces_ever(&ann, 1).await.unwrap()[0].id, new.id);
        assert!(database.workspaces_ever(&stranger, 9).await.unwrap().is_empty());
    }

    async fn a_workspace_is_bound_to_its_first_machine(database: Database) {
        let (ann, _) = people(&database).await;
        let workspace = workspace(&ann);
        database.add_workspace(&hash("w"), &workspace).await.unwrap();

        assert!(database.bind_machine(&workspace.id, "first").await.unwrap());
        assert!(!database.bind_machine(&workspace.id, "second").await.unwrap());
        assert!(database.note_other_machine(&workspace.id, NOW + 3).await.unwrap());
        let found = by_token(&database, NOW, 0).await.unwrap().workspace;
        assert_eq!(found.machine_hash.as_deref(), Some("first"));
        assert_eq!(found.other_machine_at, Some(NOW + 3));
    }

    async fn a_device_becomes_the_workspace_of_whoever_approves(database: Database) {
        let (ann, ben) = people(&database).await;
        let device = device("box");
        database.add_device(&hash("code"), &device).await.unwrap();
        let mut wanted = workspace(&ann);
        wanted.machine_hash = Some("machine".to_owned());
        let claim = async |wanted: &Workspace| {
            database.claim_device(&device.id, &hash("w"), wanted, NOW + 2).await.unwrap()
        };

        assert!(database.device_by_user_code("CODE-box", NOW + 100).await.unwrap().is_none());
        assert!(database.device_by_user_code("CODE-box", NOW).await.unwrap().is_some());
        assert!(!claim(&wanted).await, "not approved yet");
        let approve = Decision::ApproveUnbound;
        assert!(!database.decide_device("CODE-other", &ann, approve, NOW).await.unwrap());
        assert!(!database.decide_device("CODE-box", &ann, approve, NOW + 100).await.unwrap());
        assert!(database.decide_device("CODE-box", &ann, approve, NOW).await.unwrap());
        assert!(!database.decide_device("CODE-box", &ben, Decision::Deny, NOW).await.unwrap());
        assert!(database.device_by_user_code("CODE-box", NOW).await.unwrap().is_none());

        assert!(!claim(&Workspace { user_id: ben, ..wanted.clone() }).await, "not ben's");
        let elsewhere = Workspace { machine_hash: Some("other".to_owned()), ..wanted.clone() };
        assert!(!claim(&elsewhere).await, "not that machine");
        assert!(claim(&wanted).await);
        assert!(!claim(&wanted).await, "once only");
        assert!(by_token(&database, NOW, 0).await.is_some());
    }

    async fn a_poll_tells_when_the_last_one_was(database: Database) {
        let (ann, _) = people(&database).await;
        database.add_device(&hash("code"), &device("box")).await.unwrap();

        assert!(database.poll_device(&hash("other"), NOW).await.unwrap().is_none());
        let first = database.poll_device(&hash("code"), NOW + 1).await.unwrap().unwrap();
        assert_eq!((first.previous_poll_at, first.last_poll_at), (None, Some(NOW + 1)));
        let second = database.poll_device(&hash("code"), NOW + 4).await.unwrap().unwrap();
        assert_eq!(second.previous_poll_at, Some(NOW + 1));
        assert_eq!(second.ssh_version.as_deref(), Some("OpenSSH_9.2p1"));
        assert!(database.decide_device("CODE-box", &ann, Decision::Deny, NOW + 5).await.unwrap());
        let denied = database.poll_device(&hash("code"), NOW + 9).await.unwrap().unwrap();
        assert_eq!((denied.denied_at, denied.approved_at), (Some(NOW + 5), None));
        assert_eq!(denied.unbound_at, None);
    }

    async fn refuses_a_user_code_in_use(database: Database) {
        database.add_device(&hash("a"), &device("box")).await.unwrap();
        let second = Device { id: DeviceId::from("dev_2"), ..device("box") };

        let error = database.add_device(&hash("b"), &second).await.unwrap_err();
        assert!(matches!(error, StoreError::Duplicate(Unique::UserCode)), "{error:?}");
    }

    async fn a_claim_that_cannot_make_its_workspace_can_be_made_again(database: Database) {
        let (ann, _) = people(&database).await;
        let device = device("box");
        database.add_device(&hash("code"), &device).await.unwrap();
        database.decide_device("CODE-box", &ann, Decision::Approve, NOW).await.unwrap();
        let mut wanted = workspace(&ann);
        wanted.machine_hash = Some("machine".to_owned());
        database.add_workspace(&hash("taken"), &workspace(&ann)).await.unwrap();

        let error = database.claim_device(&device.id, &hash("w"), &wanted, NOW).await.unwrap_err();
        assert!(matches!(error, StoreError::Duplicate(Unique::Other)), "{error:?}");
        wanted.id = WorkspaceId::from("wsp_free");
        assert!(database.claim_device(&device.id, &hash("w"), &wanted, NOW).await.unwrap());
    }
}
