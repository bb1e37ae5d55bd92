//! Promises of `users.rs`.

use store::*;

use super::fixtures::*;
use super::support::on_every_database;

fn names(users: &[User]) -> Vec<&str> {
    users.iter().map(|user| user.name.as_str()).collect()
}

on_every_database! {
    async fn finds_a_user_by_id_and_by_name(database: Database) {
        let (ann, _) = people(&database).await;
        let nobody = UserId::from("usr_nobody");

        let found = database.user(&ann).await.unwrap().unwrap();
        assert_eq!((found.id, found.role), (ann.clone(), Role::Member));
        assert_eq!(database.user_by_name("ann").await.unwrap().unwrap().id, ann);
        assert!(database.user_by_name("an").await.unwrap().is_none());
        assert!(database.user(&nobody).await.unwrap().is_none());
    }

    async fn refuses_a_name_that_is_taken(database: Database) {
        people(&database).await;
        let second = User { id: UserId::from("usr_2"), ..user("ann") };

        let error = database.add_user(&second).await.unwrap_err();
        assert!(matches!(error, StoreError::Duplicate(Unique::UserName)), "{error:?}");
    }

    async fn searches_names_and_addresses_page_by_page(database: Database) {
        for name in ["ann", "anton", "ben", "x%y"] {
            database.add_user(&user(name)).await.unwrap();
        }
        let mut bare = user("zoe");
        bare.email = None;
        database.add_user(&bare).await.unwrap();

        let all = database.users(None, None, 3).await.unwrap();
        assert_eq!(names(&all), ["ann", "anton", "ben"]);
        let rest = database.users(None, Some("ben"), 3).await.unwrap();
        assert_eq!(names(&rest), ["x%y", "zoe"]);
        assert_eq!(names(&database.users(Some("AN"), None, 9).await.unwrap()), ["ann", "anton"]);
        assert_eq!(names(&database.users(Some("ben@"), None, 9).await.unwrap()), ["ben"]);
        assert_eq!(names(&database.users(Some("%"), None, 9).await.unwrap()), ["x%y"]);
    }

    async fn sets_a_password(database: Database) {
        let (ann, stranger) = people(&database).await;
        let nobody = UserId::from("usr_nobody");
        let hash = PasswordHash::from_text("$argon2id$x".to_owned());

        assert!(database.set_password(&ann, &hash).await.unwrap());
        assert!(!database.set_password(&nobody, &hash).await.unwrap());
        let found = database.user(&ann).await.unwrap().unwrap();
        assert_eq!(found.password_hash.as_ref().unwrap().as_str(), "$argon2id$x");
        assert!(!format!("{found:?}").contains("argon2id"));
        assert!(database.user(&stranger).await.unwrap().unwrap().password_hash.is_none());
    }

    async fn always_keeps_a_site_manager(database: Database) {
        let (ann, ben) = people(&database).await;
        let nobody = UserId::from("usr_nobody");
        assert_eq!(database.count_site_managers().await.unwrap(), 0);
        let set = database.set_role(&ann, Role::SiteManager).await.unwrap();
        assert_eq!(set, UserChange::Done);
        assert_eq!(database.count_site_managers().await.unwrap(), 1);

        let last = UserChange::LastSiteManager;
        assert_eq!(database.set_role(&ann, Role::Auditor).await.unwrap(), last);
        assert_eq!(database.suspend_user(&ann, NOW).await.unwrap(), last);

        database.set_role(&ben, Role::SiteManager).await.unwrap();
        assert_eq!(database.suspend_user(&ben, NOW).await.unwrap(), UserChange::Done);
        assert_eq!(database.count_site_managers().await.unwrap(), 1);
        assert_eq!(database.set_role(&ann, Role::Member).await.unwrap(), last);
        assert_eq!(database.user(&ben).await.unwrap().unwrap().suspended_at, Some(NOW));
        assert!(database.restore_user(&ben).await.unwrap());
        assert_eq!(database.set_role(&ann, Role::Member).await.unwrap(), UserChange::Done);

        let missing = UserChange::NotFound;
        assert_eq!(database.set_role(&nobody, Role::Auditor).await.unwrap(), missing);
        assert_eq!(database.suspend_user(&nobody, NOW).await.unwrap(), missing);
        assert!(!database.restore_user(&nobody).await.unwrap());
    }
}
