//! Promises of `uploads.rs`.

use store::*;

use super::fixtures::*;
use super::support::on_every_database;

pub(crate) fn wanted(key: &KeyId, usage: &str) -> WantedUpload {
    WantedUpload {
        id: UploadId(format!("upl_{key}_{usage}")),
        key_id: key.clone(),
        usage: usage.to_owned(),
        wanted: Wanted::Present,
        state: UploadState::Pending,
        due_at: Some(NOW),
    }
}

pub(crate) fn turn(owner: &str, until: i64) -> Turn {
    Turn {
        owner: owner.to_owned(),
        until,
        limit: 10,
    }
}

fn settled(upload: &Upload, owner: &str) -> SettledUpload {
    SettledUpload {
        id: upload.id.clone(),
        owner: owner.to_owned(),
        version: upload.version,
        state: UploadState::Present,
        remote_id: Some("7".to_owned()),
        reason: None,
        page: None,
        due_at: None,
        failures: 0,
        seen_at: Some(NOW + 1),
        expires_at: Some(NOW + 500),
    }
}

on_every_database! {
    async fn due_uploads_are_leased_settled_and_left_alone(database: Database) {
        let has = linked(&database).await;
        let stranger = has.ben;
        database.put_upload(&wanted(&has.key, "auth")).await.unwrap();
        database.put_upload(&wanted(&has.key, "signing")).await.unwrap();
        let lease = async |owner: &str, now: i64| {
            database.lease_due_uploads(&turn(owner, now + 30), now).await.unwrap()
        };

        assert!(lease("a", NOW - 1).await.is_empty(), "not due yet");
        let leased = lease("a", NOW).await;
        assert_eq!(leased.len(), 2);
        assert_eq!(leased[0].lease_owner.as_deref(), Some("a"));
        assert!(lease("b", NOW + 29).await.is_empty(), "leased");
        assert!(database.settle_upload(&settled(&leased[0], "a")).await.unwrap());
        assert!(!database.settle_upload(&settled(&leased[0], "a")).await.unwrap(), "once");
        let over = lease("b", NOW + 30).await;
        assert_eq!(over.len(), 1, "the one whose lease ran out");
        assert!(!database.settle_upload(&settled(&over[0], "a")).await.unwrap());

        let uploads = database.uploads_of(&has.key).await.unwrap();
        let present = uploads.iter().find(|one| one.id == leased[0].id).unwrap();
        assert_eq!((present.state, present.due_at), (UploadState::Present, None));
        assert_eq!((present.seen_at, present.expires_at), (Some(NOW + 1), Some(NOW + 500)));
        assert_eq!(present.remote_id.as_deref(), Some("7"));
        assert_eq!(database.uploads_of_user(&has.ann).await.unwrap().len(), 2);
        assert!(database.uploads_of_user(&stranger).await.unwrap().is_empty());
        let counts = database.count_uploads_by_state().await.unwrap();
        let counts: Vec<_> = counts.iter().map(|one| (one.state, one.number)).collect();
        assert_eq!(counts, [(UploadState::Pending, 1), (UploadState::Present, 1)]);
    }

    async fn the_due_uploads_of_one_link_can_be_leased_out_of_turn(database: Database) {
        let has = linked(&database).await;
        database.put_upload(&wanted(&has.key, "auth")).await.unwrap();
        let other = key("other", &has.ben, &has.provider, None);
        database.add_key(&other).await.unwrap();
        database.put_upload(&wanted(&other.id, "auth")).await.unwrap();
        let lease = async |owner: &str, now: i64| {
            let turn = turn(owner, now + 30);
            database.lease_uploads_of(&has.link, &turn, now).await.unwrap().len()
        };

        assert_eq!(lease("a", NOW - 1).await, 0, "not due yet");
        assert_eq!(lease("a", NOW).await, 1, "the link's own");
        assert_eq!(lease("b", NOW + 29).await, 0, "leased");
        assert_eq!(lease("b", NOW + 30).await, 1, "the lease ran out");
    }

    async fn what_is_wanted_meanwhile_is_not_settled_away(database: Database) {
        let has = linked(&database).await;
        database.put_upload(&wanted(&has.key, "auth")).await.unwrap();
        let leased = database.lease_due_uploads(&turn("a", NOW + 30), NOW).await.unwrap();
        let absent = WantedUpload { wanted: Wanted::Absent, ..wanted(&has.key, "auth") };
        database.put_upload(&absent).await.unwrap();

        assert!(database.settle_upload(&settled(&leased[0], "a")).await.unwrap());
        let upload = database.uploads_of(&has.key).await.unwrap().remove(0);
        assert_eq!((upload.wanted, upload.state), (Wanted::Absent, UploadState::Pending));
        assert_eq!((upload.due_at, upload.remote_id.as_deref()), (Some(NOW), Some("7")));
        assert_eq!(upload.lease_owner, None, "free for the next turn");
        assert!(database.drop_upload(&upload.id).await.unwrap());
    }

    async fn an_upload_that_should_be_there_is_not_dropped(database: Database) {
        let has = linked(&database).await;
        database.put_upload(&wanted(&has.key, "auth")).await.unwrap();
        let upload = database.uploads_of(&has.key).await.unwrap().remove(0);
        assert!(!database.drop_upload(&upload.id).await.unwrap());
    }

    async fn the_end_of_a_token_has_its_uploads_looked_at_again(database: Database) {
        let has = linked(&database).await;
        database.put_upload(&wanted(&has.key, "auth")).await.unwrap();
        let by_hand = WantedUpload {
            state: UploadState::ByHand,
            due_at: None,
            ..wanted(&has.key, "signing")
        };
        database.put_upload(&by_hand).await.unwrap();
        let leased = database.lease_due_uploads(&turn("a", NOW + 30), NOW).await.unwrap();
        database.settle_upload(&settled(&leased[0], "a")).await.unwrap();

        assert_eq!(database.recheck_uploads(&has.link, NOW + 5).await.unwrap(), 1);
        let uploads = database.uploads_of(&has.key).await.unwrap();
        assert_eq!((uploads[0].due_at, uploads[0].state), (Some(NOW + 5), UploadState::Present));
        assert_eq!(uploads[1].due_at, None);
    }
}
