//! Promises of `sign_in.rs`.

use store::*;

use super::fixtures::*;
use super::support::on_every_database;

fn invitation(user: &UserId) -> OneTimeLink {
    OneTimeLink {
        user_id: Some(user.clone()),
        purpose: OneTimePurpose::Password,
        expires_at: NOW + 100,
    }
}

fn setup() -> OneTimeLink {
    OneTimeLink {
        user_id: None,
        purpose: OneTimePurpose::Setup,
        expires_at: NOW + 100,
    }
}

fn api_token(user: &UserId) -> ApiToken {
    ApiToken {
        id: ApiTokenId(format!("tok_{user}")),
        user_id: user.clone(),
        name: "script".to_owned(),
        created_at: NOW,
        expires_at: NOW + 100,
        last_used_at: None,
        revoked_at: None,
    }
}

on_every_database! {
    async fn a_one_time_link_works_once_and_until_its_end(database: Database) {
        let (ann, _) = people(&database).await;
        database.add_one_time_link(&hash("a"), &invitation(&ann)).await.unwrap();

        assert!(database.one_time_link(&hash("b"), NOW).await.unwrap().is_none());
        assert!(database.one_time_link(&hash("a"), NOW + 100).await.unwrap().is_none());
        assert!(database.one_time_link(&hash("a"), NOW).await.unwrap().is_some());
        assert!(database.take_one_time_link(&hash("a"), NOW + 100).await.unwrap().is_none());
        let taken = database.take_one_time_link(&hash("a"), NOW).await.unwrap().unwrap();
        assert_eq!((taken.user_id, taken.purpose), (Some(ann), OneTimePurpose::Password));
        assert!(database.take_one_time_link(&hash("a"), NOW).await.unwrap().is_none());
        assert!(database.one_time_link(&hash("a"), NOW).await.unwrap().is_none());
    }

    async fn a_newer_one_time_link_kills_the_older_one_of_its_user(database: Database) {
        let (ann, ben) = people(&database).await;
        database.add_one_time_link(&hash("ben"), &invitation(&ben)).await.unwrap();
        database.add_one_time_link(&hash("old"), &invitation(&ann)).await.unwrap();
        database.add_one_time_link(&hash("setup"), &setup()).await.unwrap();
        database.add_one_time_link(&hash("new"), &invitation(&ann)).await.unwrap();

        assert!(database.take_one_time_link(&hash("old"), NOW).await.unwrap().is_none());
        for alive in ["new", "ben", "setup"] {
            assert!(database.take_one_time_link(&hash(alive), NOW).await.unwrap().is_some());
        }
    }

    async fn set_up_links_can_be_seen_and_killed(database: Database) {
        assert!(!database.has_setup_link(NOW).await.unwrap());
        database.add_one_time_link(&hash("old"), &setup()).await.unwrap();
        database.add_one_time_link(&hash("new"), &setup()).await.unwrap();

        assert!(database.take_one_time_link(&hash("old"), NOW).await.unwrap().is_none());
        assert!(database.has_setup_link(NOW).await.unwrap());
        assert!(!database.has_setup_link(NOW + 100).await.unwrap());
        assert_eq!(database.drop_setup_links().await.unwrap(), 1);
        assert!(!database.has_setup_link(NOW).await.unwrap());
    }

    async fn tries_are_counted_within_their_time(database: Database) {
        for expected in 1..=3 {
            assert_eq!(database.count_try("door", NOW, NOW - 10).await.unwrap(), expected);
        }
        assert_eq!(database.count_try("window", NOW, NOW - 10).await.unwrap(), 1);
        assert_eq!(database.count_try("door", NOW + 9, NOW - 1).await.unwrap(), 4);
        assert_eq!(database.count_try("door", NOW + 10, NOW).await.unwrap(), 1);
        assert_eq!(database.count_try("door", NOW + 11, NOW + 1).await.unwrap(), 2);
        database.forget_tries("door").await.unwrap();
        assert_eq!(database.count_try("door", NOW + 11, NOW + 1).await.unwrap(), 1);
    }

    async fn a_session_stands_for_its_user_until_its_end(database: Database) {
        let (ann, stranger) = people(&database).await;
        let session = session(&ann);
        database.add_session(&hash("cookie"), &session).await.unwrap();

        let found = database.session_by_token(&hash("cookie"), NOW).await.unwrap().unwrap();
        assert_eq!((found.session.id, found.user.id), (session.id.clone(), ann.clone()));
        assert_eq!(found.session.agent, "Browser/1");
        assert!(database.session_by_token(&hash("other"), NOW).await.unwrap().is_none());
        assert!(database.session_by_token(&hash("cookie"), NOW + 100).await.unwrap().is_none());

        assert!(database.touch_session(&session.id, NOW + 5).await.unwrap());
        let listed = database.sessions_of(&ann, NOW).await.unwrap();
        assert_eq!(listed.iter().map(|s| s.last_seen_at).collect::<Vec<_>>(), [NOW + 5]);
        assert!(database.sessions_of(&ann, NOW + 100).await.unwrap().is_empty());
        assert!(database.sessions_of(&stranger, NOW).await.unwrap().is_empty());

        assert!(!database.drop_session(&stranger, &session.id).await.unwrap());
        assert_eq!(database.drop_sessions_of(&stranger).await.unwrap(), 0);
        assert!(database.drop_session(&ann, &session.id).await.unwrap());
        assert!(database.session_by_token(&hash("cookie"), NOW).await.unwrap().is_none());
        database.add_session(&hash("cookie"), &session).await.unwrap();
        assert_eq!(database.drop_sessions_of(&ann).await.unwrap(), 1);
    }

    async fn a_suspended_user_has_no_session_token_or_workspace(database: Database) {
        let (ann, _) = people(&database).await;
        database.add_session(&hash("s"), &session(&ann)).await.unwrap();
        database.add_api_token(&hash("t"), &api_token(&ann)).await.unwrap();
        database.add_workspace(&hash("w"), &workspace(&ann)).await.unwrap();
        database.suspend_user(&ann, NOW).await.unwrap();

        assert!(database.session_by_token(&hash("s"), NOW).await.unwrap().is_none());
        assert!(database.api_token_by_token(&hash("t"), NOW).await.unwrap().is_none());
        assert!(database.workspace_by_token(&hash("w"), NOW, 0).await.unwrap().is_none());
    }

    async fn an_api_token_stands_for_its_user_until_it_ends_or_is_revoked(database: Database) {
        let (ann, stranger) = people(&database).await;
        let token = api_token(&ann);
        database.add_api_token(&hash("t"), &token).await.unwrap();

        let found = database.api_token_by_token(&hash("t"), NOW).await.unwrap().unwrap();
        assert_eq!((found.api_token.id, found.user.id), (token.id.clone(), ann.clone()));
        assert!(database.api_token_by_token(&hash("t"), NOW + 100).await.unwrap().is_none());
        assert!(database.touch_api_token(&token.id, NOW + 1).await.unwrap());
        let listed = database.api_tokens_of(&ann, NOW).await.unwrap();
        assert_eq!(listed[0].last_used_at, Some(NOW + 1));
        assert!(database.api_tokens_of(&stranger, NOW).await.unwrap().is_empty());

        assert!(!database.revoke_api_token(&stranger, &token.id, NOW).await.unwrap());
        assert!(database.api_token_by_token(&hash("t"), NOW).await.unwrap().is_some());
        assert!(database.revoke_api_token(&ann, &token.id, NOW).await.unwrap());
        assert!(!database.revoke_api_token(&ann, &token.id, NOW).await.unwrap());
        assert!(database.api_token_by_token(&hash("t"), NOW).await.unwrap().is_none());
        assert!(database.api_tokens_of(&ann, NOW).await.unwrap().is_empty());
    }
}
