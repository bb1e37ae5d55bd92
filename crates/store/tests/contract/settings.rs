//! Promises of `settings.rs` and of the clock.

use store::*;

use super::attempts::begin;
use super::fixtures::*;
use super::support::on_every_database;

on_every_database! {
    async fn a_setting_is_kept(database: Database) {
        assert_eq!(database.setting("ssh.algorithm").await.unwrap(), None);
        database.set_setting("ssh.algorithm", "ed25519").await.unwrap();
        database.set_setting("ssh.algorithm", "rsa-4096").await.unwrap();
        let kept = database.replica().await.setting("ssh.algorithm").await.unwrap();
        assert_eq!(kept.as_deref(), Some("rsa-4096"));
    }

    async fn what_has_ended_is_dropped_and_nothing_else(database: Database) {
        let attempt = begin(&database).await;
        let ann = attempt.user_id;
        database.add_session(&hash("s"), &session(&ann)).await.unwrap();
        database.add_device(&hash("d"), &device("box")).await.unwrap();
        let setup = OneTimeLink {
            user_id: None,
            purpose: OneTimePurpose::Setup,
            expires_at: NOW + 100,
        };
        database.add_one_time_link(&hash("o"), &setup).await.unwrap();
        database.count_try("door", NOW, 0).await.unwrap();

        assert_eq!(database.drop_ended(NOW + 99, NOW - 1).await.unwrap(), 0);
        assert_eq!(database.drop_ended(NOW + 100, NOW).await.unwrap(), 5);
        assert!(database.session_by_token(&hash("s"), NOW).await.unwrap().is_none());
        assert!(database.poll_device(&hash("d"), NOW).await.unwrap().is_none());
        assert!(!database.has_setup_link(NOW).await.unwrap());
        assert!(database.user(&ann).await.unwrap().is_some());
    }

    async fn the_time_is_the_databases_unless_a_test_sets_it(database: Database) {
        let read = database.read_clock().await.unwrap();
        let now = database.now().await.unwrap();
        assert!((read..=read + 1).contains(&now), "{read} {now}");

        database.set_now(Some(NOW));
        assert_eq!(database.now().await.unwrap(), NOW);
        database.store.clone().advance(60).await.unwrap();
        assert_eq!(database.now().await.unwrap(), NOW + 60);
        database.set_now(None);
        assert!(database.now().await.unwrap() >= read);
        database.close().await;
        assert!(database.read_clock().await.is_err());
    }
}
