//! Promises of `links.rs` and `rules.rs`.

use store::*;

use super::fixtures::*;
use super::support::on_every_database;

on_every_database! {
    async fn a_link_is_its_users_alone(database: Database) {
        let has = linked(&database).await;
        let stranger = has.ben;

        let found = database.link(&has.ann, &has.link).await.unwrap().unwrap();
        assert_eq!(found.emails, ["ann@example.com", "ann@work.example.com"]);
        assert_eq!(database.links_of(&has.ann).await.unwrap().len(), 1);
        assert!(database.any_link(&has.link).await.unwrap().is_some());
        assert!(database.link(&stranger, &has.link).await.unwrap().is_none());
        assert!(database.links_of(&stranger).await.unwrap().is_empty());
        assert!(!database.begin_unlink(&stranger, &has.link, NOW).await.unwrap());
        assert!(database.begin_unlink(&has.ann, &has.link, NOW).await.unwrap());
        assert!(!database.delete_link(&stranger, &has.link, NOW).await.unwrap());
        assert!(database.link(&has.ann, &has.link).await.unwrap().is_some());
    }

    async fn linking_the_same_account_again_adopts_the_link(database: Database) {
        let has = linked(&database).await;
        database.mark_link_dead(&has.link, "revoked", NOW).await.unwrap();
        let mut again = link(&has.ann, &has.provider, "100");
        again.id = LinkId::from("lnk_new");
        again.login = "renamed".to_owned();
        again.created_at = NOW + 9;

        let stored = database.add_link(&again).await.unwrap();
        assert_eq!((&stored.id, stored.login.as_str()), (&has.link, "renamed"));
        assert_eq!((stored.dead_at, stored.created_at), (None, NOW));
        let second = database.add_link(&link(&has.ann, &has.provider, "200")).await.unwrap();
        assert_ne!(second.id, has.link, "another account is another link");
        let other = database.add_link(&link(&has.ben, &has.provider, "100")).await.unwrap();
        assert_ne!(other.id, has.link, "another user's is another link");
        assert!(database.grant(&other.id, "git").await.unwrap().is_none());
    }

    async fn the_links_of_a_provider_come_page_by_page(database: Database) {
        let has = linked(&database).await;
        for account in ["200", "300"] {
            database.add_link(&link(&has.ann, &has.provider, account)).await.unwrap();
        }

        let first = database.links_at(&has.provider, None, 2).await.unwrap();
        assert_eq!(first.len(), 2);
        let rest = database.links_at(&has.provider, Some(&first[1].id), 2).await.unwrap();
        assert_eq!(rest.iter().map(|link| link.account_id.as_str()).collect::<Vec<_>>(), ["300"]);
        let elsewhere = ProviderId::from("prv_other");
        assert!(database.links_at(&elsewhere, None, 2).await.unwrap().is_empty());
    }

    async fn the_first_cause_of_death_stays(database: Database) {
        let has = linked(&database).await;
        assert!(database.touch_link(&has.link, NOW + 1).await.unwrap());
        assert!(database.mark_link_dead(&has.link, "revoked", NOW + 2).await.unwrap());
        assert!(!database.mark_link_dead(&has.link, "later", NOW + 3).await.unwrap());

        let found = database.link(&has.ann, &has.link).await.unwrap().unwrap();
        assert_eq!((found.dead_at, found.dead_reason.as_deref()), (Some(NOW + 2), Some("revoked")));
        assert_eq!(found.last_used_at, Some(NOW + 1));
        assert!(database.revive_link(&has.link).await.unwrap());
        assert!(!database.revive_link(&has.link).await.unwrap());
        assert_eq!(database.link(&has.ann, &has.link).await.unwrap().unwrap().dead_at, None);
    }

    async fn a_removal_can_go_on_after_a_crash(database: Database) {
        let has = linked(&database).await;
        assert!(!database.delete_link(&has.ann, &has.link, NOW).await.unwrap(), "not begun");
        assert!(database.begin_unlink(&has.ann, &has.link, NOW).await.unwrap());

        assert!(database.unlinking_links(NOW - 1, 9).await.unwrap().is_empty());
        let cut_short = database.unlinking_links(NOW, 9).await.unwrap();
        assert_eq!(cut_short[0].id, has.link);
        assert!(database.begin_unlink(&has.ann, &has.link, NOW + 9).await.unwrap());
        assert_eq!(database.unlinking_links(NOW, 9).await.unwrap().len(), 1, "the first time stays");
        assert!(database.delete_link(&has.ann, &has.link, NOW).await.unwrap());
        assert!(database.any_link(&has.link).await.unwrap().is_none());
        assert!(database.grant_by_id(&has.grant.id).await.unwrap().is_none());
        assert!(database.any_key(&has.key).await.unwrap().is_none());
    }

    async fn linking_again_stops_a_removal(database: Database) {
        let has = linked(&database).await;
        database.begin_unlink(&has.ann, &has.link, NOW).await.unwrap();
        database.add_link(&link(&has.ann, &has.provider, "100")).await.unwrap();

        assert!(!database.delete_link(&has.ann, &has.link, NOW).await.unwrap());
        assert!(database.link(&has.ann, &has.link).await.unwrap().is_some());
    }

    async fn a_rule_names_a_link_of_its_own_user(database: Database) {
        let has = linked(&database).await;
        let stranger = has.ben;
        let rule = Rule {
            id: RuleId::from("rul_1"),
            user_id: has.ann.clone(),
            link_id: has.link.clone(),
            pattern: "hub.example.com/work".to_owned(),
            created_at: NOW,
        };

        let foreign = Rule { user_id: stranger.clone(), ..rule.clone() };
        assert!(!database.add_rule(&foreign).await.unwrap());
        assert!(database.add_rule(&rule).await.unwrap());
        let second = Rule { id: RuleId::from("rul_2"), ..rule.clone() };
        let error = database.add_rule(&second).await.unwrap_err();
        assert!(matches!(error, StoreError::Duplicate(Unique::RulePattern)), "{error:?}");
        assert_eq!(database.rules_of(&has.ann).await.unwrap()[0].pattern, rule.pattern);
        assert!(database.rules_of(&stranger).await.unwrap().is_empty());
        let named = database.named_rules_of(&has.ann).await.unwrap();
        let named: Vec<_> = named.iter().map(|it| (&it.rule.id, &*it.login, &*it.provider)).collect();
        assert_eq!(named, [(&rule.id, "100-login", "hub")]);
        assert!(database.named_rules_of(&stranger).await.unwrap().is_empty());
        assert!(!database.remove_rule(&stranger, &rule.id).await.unwrap());
        assert!(database.remove_rule(&has.ann, &rule.id).await.unwrap());
        assert!(database.rules_of(&has.ann).await.unwrap().is_empty());
    }

    async fn counts_links_by_provider_and_condition(database: Database) {
        let it = linked(&database).await;
        let half = database.add_link(&link(&it.ben, &it.provider, "200")).await.unwrap();
        let dead = database.add_link(&link(&it.ben, &it.provider, "300")).await.unwrap();
        let gone = database.add_link(&link(&it.ben, &it.provider, "400")).await.unwrap();
        database.put_grant(&grant(&half.id, "manage")).await.unwrap();
        database.put_grant(&grant(&dead.id, "git")).await.unwrap();
        database.mark_link_dead(&dead.id, "over", NOW).await.unwrap();
        database.begin_unlink(&it.ben, &gone.id, NOW).await.unwrap();

        let counts = database.count_links_by_condition().await.unwrap();
        let counts: Vec<_> = counts.iter().map(|it| (it.condition, it.number)).collect();
        let expected = [
            (LinkCondition::Dead, 1),
            (LinkCondition::Linked, 1),
            (LinkCondition::Unfinished, 1),
        ];
        assert_eq!(counts, expected);
    }
}
