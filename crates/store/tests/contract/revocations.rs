//! Promises of `revocations.rs`.

use store::*;

use super::fixtures::*;
use super::support::on_every_database;
use super::uploads::turn;

fn revocation(has: &Linked, id: &str) -> Revocation {
    Revocation {
        id: RevocationId::from(id),
        provider_id: has.provider.clone(),
        user_id: has.ann.clone(),
        link_id: has.link.clone(),
        account_id: "100".to_owned(),
        login: "ann".to_owned(),
        what: RevocationWhat::Token,
        purpose: "git".to_owned(),
        secret: Some(sealed("old")),
        remote_id: None,
        usage: None,
        created_at: NOW,
        due_at: NOW,
        failures: 0,
        reason: None,
        lease_owner: None,
        lease_until: None,
    }
}

on_every_database! {
    async fn a_revocation_is_tried_until_it_is_done_and_outlives_its_link(database: Database) {
        let has = linked(&database).await;
        let stranger = &has.ben;
        database.add_revocations(&[revocation(&has, "rvk_1")]).await.unwrap();
        database.begin_unlink(&has.ann, &has.link, NOW).await.unwrap();
        database.delete_link(&has.ann, &has.link, NOW).await.unwrap();
        let lease = async |owner: &str, now: i64| {
            database.lease_due_revocations(&turn(owner, now + 30), now).await.unwrap()
        };

        assert!(lease("a", NOW - 1).await.is_empty(), "not due yet");
        let leased = lease("a", NOW).await.remove(0);
        assert_eq!(leased.secret.unwrap().as_str(), sealed("old").as_str());
        assert!(lease("b", NOW + 29).await.is_empty(), "leased");
        let retry = async |owner| {
            database.retry_revocation(&leased.id, owner, "answered 500", NOW + 60).await.unwrap()
        };
        assert!(!retry("b").await);
        assert!(retry("a").await);
        assert!(lease("b", NOW + 59).await.is_empty(), "backs off");
        let again = lease("b", NOW + 60).await.remove(0);
        assert_eq!((again.failures, again.reason.as_deref()), (1, Some("answered 500")));

        assert_eq!(database.revocations_of(&has.ann).await.unwrap().len(), 1);
        assert!(database.revocations_of(stranger).await.unwrap().is_empty());
        assert!(database.revocations_of(&UserId::from("usr_nobody")).await.unwrap().is_empty());
        assert_eq!(database.revocations_at(&has.provider, 9).await.unwrap().len(), 1);
        assert!(database.drop_revocation(&leased.id).await.unwrap());
        assert!(database.revocations_at(&has.provider, 9).await.unwrap().is_empty());
    }

    async fn revocations_are_added_all_or_none(database: Database) {
        let has = linked(&database).await;
        let both = [revocation(&has, "rvk_1"), revocation(&has, "rvk_1")];
        assert!(database.add_revocations(&both).await.is_err());
        assert!(database.revocations_of(&has.ann).await.unwrap().is_empty());
    }
}
