//! Promises of `providers.rs`.

use store::*;

use super::fixtures::*;
use super::support::on_every_database;

on_every_database! {
    async fn a_provider_comes_back_as_it_was_entered(database: Database) {
        let entered = provider("hub");
        database.add_provider(&entered).await.unwrap();

        let found = database.provider(&entered.id).await.unwrap().unwrap();
        assert_eq!(format!("{found:?}"), format!("{entered:?}"));
        let secret = found.client_secret.unwrap();
        assert_eq!(secret.as_str(), sealed("client-secret").as_str());
        assert!(database.provider_by_name("hub").await.unwrap().is_some());
        assert!(database.provider_by_name("lab").await.unwrap().is_none());
        database.add_provider(&provider("another")).await.unwrap();
        let names: Vec<_> =
            database.providers().await.unwrap().into_iter().map(|found| found.name).collect();
        assert_eq!(names, ["another", "hub"]);
    }

    async fn refuses_a_provider_name_that_is_taken(database: Database) {
        database.add_provider(&provider("hub")).await.unwrap();
        let second = Provider { id: ProviderId::from("prv_2"), ..provider("hub") };

        let error = database.add_provider(&second).await.unwrap_err();
        assert!(matches!(error, StoreError::Duplicate(Unique::ProviderName)), "{error:?}");
    }

    async fn a_change_on_top_of_another_is_refused(database: Database) {
        let mut provider = provider("hub");
        database.add_provider(&provider).await.unwrap();
        database.set_alarm(&provider.id, "wrong secret", NOW).await.unwrap();
        provider.url = "https://new.example.com".to_owned();
        provider.host_keys = vec!["ssh-ed25519 AAAA".to_owned()];

        assert!(database.update_provider(&provider).await.unwrap());
        assert!(!database.update_provider(&provider).await.unwrap());
        let found = database.provider(&provider.id).await.unwrap().unwrap();
        assert_eq!((found.url.as_str(), found.version), ("https://new.example.com", 2));
        assert_eq!(found.host_keys, ["ssh-ed25519 AAAA"]);
        assert_eq!(found.alarm.as_deref(), Some("wrong secret"), "what was seen stays");
    }

    async fn an_alarm_keeps_its_first_time_until_it_is_cleared(database: Database) {
        let provider = provider("hub").id;
        assert!(!database.set_alarm(&provider, "x", NOW).await.unwrap());
        database.add_provider(&super::super::fixtures::provider("hub")).await.unwrap();

        assert!(database.set_alarm(&provider, "one", NOW).await.unwrap());
        assert!(database.set_alarm(&provider, "two", NOW + 9).await.unwrap());
        assert!(database.note_success(&provider, NOW + 10).await.unwrap());
        assert!(database.note_error(&provider, "answered 500", NOW + 11).await.unwrap());
        let found = database.provider(&provider).await.unwrap().unwrap();
        assert_eq!((found.alarm.as_deref(), found.alarm_at), (Some("two"), Some(NOW)));
        assert_eq!(found.last_success_at, Some(NOW + 10));
        assert_eq!(found.last_error.as_deref(), Some("answered 500"));
        assert_eq!(found.last_error_at, Some(NOW + 11));
        assert!(database.clear_alarm(&provider).await.unwrap());
        assert!(!database.clear_alarm(&provider).await.unwrap());
    }

    async fn a_provider_with_links_is_not_deleted(database: Database) {
        let has = linked(&database).await;
        assert_eq!(database.count_links(&has.provider).await.unwrap(), 1);
        let counts = database.count_links_by_provider().await.unwrap();
        assert_eq!((&counts[0].provider_id, counts[0].number), (&has.provider, 1));

        let refused = database.delete_provider(&has.provider).await.unwrap();
        assert_eq!(refused, ProviderDeletion::LinksExist(1));
        database.begin_unlink(&has.ann, &has.link, NOW).await.unwrap();
        database.delete_link(&has.ann, &has.link, NOW).await.unwrap();
        let deleted = database.delete_provider(&has.provider).await.unwrap();
        assert_eq!(deleted, ProviderDeletion::Deleted);
        let again = database.delete_provider(&has.provider).await.unwrap();
        assert_eq!(again, ProviderDeletion::NotFound);
        assert!(database.provider(&has.provider).await.unwrap().is_none());
    }

    async fn a_draft_is_its_makers(database: Database) {
        let (ann, stranger) = people(&database).await;
        let draft = ProviderDraft {
            id: DraftId::from("drf_1"),
            kind: "bitbucket-server-oauth1".to_owned(),
            signing_key: Some(sealed("pair")),
            public_key: Some("PEM".to_owned()),
            user_id: ann.clone(),
            created_at: NOW,
        };
        database.add_draft(&draft).await.unwrap();

        let found = database.draft(&ann, &draft.id).await.unwrap().unwrap();
        assert_eq!(found.public_key.as_deref(), Some("PEM"));
        assert!(database.draft(&stranger, &draft.id).await.unwrap().is_none());
        assert!(!database.drop_draft(&stranger, &draft.id).await.unwrap());
        assert!(database.drop_draft(&ann, &draft.id).await.unwrap());
        assert!(database.draft(&ann, &draft.id).await.unwrap().is_none());
    }
}
