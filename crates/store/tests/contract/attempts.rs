//! Promises of `attempts.rs`.

use store::*;

use super::fixtures::*;
use super::support::on_every_database;

/// An attempt of `ann` in her session, with the state `state` and the request token `token`.
pub(crate) async fn begin(store: &Store) -> Attempt {
    let (ann, _) = people(store).await;
    let provider = provider("hub");
    store.add_provider(&provider).await.unwrap();
    let attempt = Attempt {
        id: AttemptId::from("att_1"),
        session_id: SessionId::from("ses_ann"),
        user_id: ann,
        provider_id: provider.id,
        purpose: "manage".to_owned(),
        link_id: None,
        expected_account: Some("100".to_owned()),
        secret: sealed("verifier"),
        tokens: None,
        created_at: NOW,
        expires_at: NOW + 100,
        taken_at: None,
    };
    let hashes = AttemptHashes {
        state: hash("state"),
        request_token: Some(hash("token")),
    };
    store.add_attempt(&hashes, &attempt).await.unwrap();
    attempt
}

on_every_database! {
    async fn refuses_a_state_that_is_foreign_late_or_seen_twice(database: Database) {
        let attempt = begin(&database).await;
        let (mine, other) = (&attempt.session_id, SessionId::from("ses_other"));
        let take = async |state, session, now| {
            database.take_attempt(&hash(state), session, now).await.unwrap()
        };

        assert!(take("unknown", mine, NOW).await.is_none());
        assert!(take("state", &other, NOW).await.is_none());
        assert!(take("state", mine, NOW + 100).await.is_none());
        let taken = take("state", mine, NOW + 1).await.unwrap();
        assert_eq!(taken.taken_at, Some(NOW + 1));
        assert_eq!(taken.expected_account.as_deref(), Some("100"));
        assert_eq!(taken.secret.as_str(), sealed("verifier").as_str());
        assert!(take("state", mine, NOW + 1).await.is_none());
    }

    async fn a_request_token_takes_the_same_attempt_once(database: Database) {
        let attempt = begin(&database).await;
        let (mine, other) = (&attempt.session_id, SessionId::from("ses_other"));
        let take = async |token, session, now| {
            database.take_attempt_by_request_token(&hash(token), session, now).await.unwrap()
        };

        assert!(take("state", mine, NOW).await.is_none());
        assert!(take("token", &other, NOW).await.is_none());
        assert!(take("token", mine, NOW + 100).await.is_none());
        assert_eq!(take("token", mine, NOW).await.unwrap().id, attempt.id);
        assert!(take("token", mine, NOW).await.is_none());
        let by_state = database.take_attempt(&hash("state"), mine, NOW).await.unwrap();
        assert!(by_state.is_none());
    }

    async fn tokens_of_an_attempt_that_was_never_finished_are_found(database: Database) {
        let attempt = begin(&database).await;
        let tokens = sealed("tokens");
        assert!(!database.store_attempt_tokens(&attempt.id, &tokens).await.unwrap());
        database.take_attempt(&hash("state"), &attempt.session_id, NOW).await.unwrap().unwrap();

        assert!(database.stranded_attempts(NOW, 9).await.unwrap().is_empty());
        assert!(database.store_attempt_tokens(&attempt.id, &tokens).await.unwrap());
        assert!(database.stranded_attempts(NOW - 1, 9).await.unwrap().is_empty());
        let stranded = database.stranded_attempts(NOW, 9).await.unwrap();
        assert_eq!(stranded[0].tokens.as_ref().unwrap().as_str(), tokens.as_str());
        database.drop_ended(NOW + 1_000, 0).await.unwrap();
        assert_eq!(database.stranded_attempts(NOW, 9).await.unwrap().len(), 1, "kept");
        assert!(database.drop_attempt(&attempt.id).await.unwrap());
        assert!(database.stranded_attempts(NOW, 9).await.unwrap().is_empty());
    }
}
