//! Promises of `keys.rs`.

use store::*;

use super::fixtures::*;
use super::support::on_every_database;

fn ids(keys: &[SshKey]) -> Vec<&str> {
    keys.iter().map(|key| key.id.as_str()).collect()
}

on_every_database! {
    async fn a_key_is_its_users_alone(database: Database) {
        let has = linked(&database).await;
        let stranger = has.ben;
        let (provider, link) = (&has.provider, Some(&has.link));

        assert!(database.key(&has.ann, &has.key).await.unwrap().unwrap().private.is_some());
        assert!(database.any_key(&has.key).await.unwrap().is_some());
        assert_eq!(ids(&database.keys_of(&has.ann).await.unwrap()), ["key_one"]);
        assert_eq!(database.live_keys(&has.ann, provider, link).await.unwrap().len(), 1);
        assert!(database.key_by_fingerprint(&has.ann, "SHA256:one").await.unwrap().is_some());
        assert!(database.key_by_fingerprint(&has.ann, "SHA256:two").await.unwrap().is_none());

        assert!(database.key(&stranger, &has.key).await.unwrap().is_none());
        assert!(database.keys_of(&stranger).await.unwrap().is_empty());
        assert!(database.live_keys(&stranger, provider, link).await.unwrap().is_empty());
        assert!(database.key_by_fingerprint(&stranger, "SHA256:one").await.unwrap().is_none());
        assert!(!database.retire_key(&stranger, &has.key, NOW).await.unwrap());
        assert!(!database.delete_key(&stranger, &has.key, NOW).await.unwrap());
        assert!(database.key_history(&stranger).await.unwrap().is_empty());
        let theirs = key("two", &stranger, provider, link);
        assert!(!database.replace_key(&has.key, &theirs, NOW).await.unwrap());
        assert_eq!(database.any_key(&has.key).await.unwrap().unwrap().retired_at, None);
    }

    async fn a_link_has_one_current_key(database: Database) {
        let has = linked(&database).await;
        let second = key("two", &has.ann, &has.provider, Some(&has.link));

        let error = database.add_key(&second).await.unwrap_err();
        assert!(matches!(error, StoreError::Duplicate(Unique::CurrentKey)), "{error:?}");
        assert_eq!(database.key_history(&has.ann).await.unwrap().len(), 1, "nothing half done");
        database.add_key(&key("bare", &has.ann, &has.provider, None)).await.unwrap();
        let error = database.add_key(&key("bare2", &has.ann, &has.provider, None)).await;
        assert!(matches!(error, Err(StoreError::Duplicate(Unique::CurrentKey))), "{error:?}");
        let live = database.live_keys(&has.ann, &has.provider, None).await.unwrap();
        assert_eq!(ids(&live), ["key_bare"]);

        let mut same = key("three", &has.ben, &has.provider, None);
        same.fingerprint = "SHA256:one".to_owned();
        let error = database.add_key(&same).await.unwrap_err();
        assert!(matches!(error, StoreError::Duplicate(Unique::Fingerprint)), "{error:?}");
    }

    async fn a_replaced_key_works_until_it_is_deleted(database: Database) {
        let has = linked(&database).await;
        let mut new = key("two", &has.ann, &has.provider, Some(&has.link));
        new.created_at = NOW + 5;

        assert!(database.replace_key(&has.key, &new, NOW + 5).await.unwrap());
        let third = key("three", &has.ann, &has.provider, Some(&has.link));
        assert!(!database.replace_key(&has.key, &third, NOW + 6).await.unwrap(), "once");
        let live = database.live_keys(&has.ann, &has.provider, Some(&has.link)).await.unwrap();
        assert_eq!(ids(&live), ["key_two", "key_one"], "newest first");
        assert!(database.key_by_fingerprint(&has.ann, "SHA256:one").await.unwrap().is_some());

        assert!(database.note_key_used(&new.id, NOW + 7).await.unwrap());
        assert!(!database.note_key_used(&new.id, NOW + 8).await.unwrap(), "the first time alone");
        assert!(database.delete_key(&has.ann, &has.key, NOW + 9).await.unwrap());
        assert!(!database.delete_key(&has.ann, &has.key, NOW + 9).await.unwrap());
        let gone = database.key(&has.ann, &has.key).await.unwrap().unwrap();
        assert!(gone.private.is_none());
        assert_eq!((gone.retired_at, gone.deleted_at), (Some(NOW + 5), Some(NOW + 9)));
        assert!(database.key_by_fingerprint(&has.ann, "SHA256:one").await.unwrap().is_none());
        assert_eq!(ids(&database.keys_of(&has.ann).await.unwrap()), ["key_two"]);
        assert_eq!(database.count_keys_at(&has.provider).await.unwrap(), 1);
        let by_provider = database.count_keys_by_provider().await.unwrap();
        let by_provider: Vec<_> = by_provider.iter().map(|it| (&it.provider_id, it.number)).collect();
        assert_eq!(by_provider, [(&has.provider, 1)]);
        let counts = database.count_keys_by_algorithm().await.unwrap();
        assert_eq!((counts[0].algorithm.as_str(), counts[0].number), ("ed25519", 1));
    }

    async fn a_retired_key_makes_room_for_another(database: Database) {
        let has = linked(&database).await;
        assert!(database.retire_key(&has.ann, &has.key, NOW + 1).await.unwrap());
        assert!(!database.retire_key(&has.ann, &has.key, NOW + 2).await.unwrap());
        let second = key("two", &has.ann, &has.provider, Some(&has.link));
        database.add_key(&second).await.unwrap();
        assert_eq!(database.keys_of(&has.ann).await.unwrap().len(), 2);
    }

    async fn the_history_of_a_key_outlives_its_link(database: Database) {
        let has = linked(&database).await;
        let history = async || database.key_history(&has.ann).await.unwrap();
        let addresses = ["ann@example.com", "ann@work.example.com"];
        assert_eq!(history().await[0].emails, addresses);
        assert_eq!((history().await[0].valid_from, history().await[0].valid_until), (NOW, None));

        database.begin_unlink(&has.ann, &has.link, NOW + 3).await.unwrap();
        database.delete_link(&has.ann, &has.link, NOW + 4).await.unwrap();
        let past = history().await.remove(0);
        assert_eq!((past.key_id, past.valid_until), (has.key.clone(), Some(NOW + 4)));
        assert_eq!(past.public_key, "ssh-ed25519 one");
        assert_eq!(past.emails, addresses);
    }

    async fn a_deleted_key_ends_its_history_once(database: Database) {
        let has = linked(&database).await;
        database.delete_key(&has.ann, &has.key, NOW + 2).await.unwrap();
        database.begin_unlink(&has.ann, &has.link, NOW + 3).await.unwrap();
        database.delete_link(&has.ann, &has.link, NOW + 4).await.unwrap();

        let history = database.key_history(&has.ann).await.unwrap();
        assert_eq!(history[0].valid_until, Some(NOW + 2));
    }
}
