//! Promises of `view.rs`.

use store::*;

use super::fixtures::*;
use super::support::on_every_database;
use super::uploads::wanted;

/// The working keys of a user, each with the usages of its uploads.
async fn keys(database: &Store, user: &UserId) -> Vec<(String, Vec<String>)> {
    let viewed = database.keys_view(user).await.unwrap();
    let usages = |viewed: ViewedKey| viewed.uploads.into_iter().map(|it| it.usage).collect();
    viewed
        .into_iter()
        .map(|viewed| (viewed.key.id.to_string(), usages(viewed)))
        .collect()
}

fn shape(view: &CredentialView) -> Vec<(String, Vec<(String, usize)>)> {
    let links = |provider: &ViewedProvider| {
        let links = provider.links.iter();
        links
            .map(|link| (link.link.account_id.clone(), link.grants.len()))
            .collect()
    };
    view.providers
        .iter()
        .map(|one| (one.name.clone(), links(one)))
        .collect()
}

on_every_database! {
    async fn one_read_shows_what_a_user_may_use(database: Database) {
        let has = linked(&database).await;
        let stranger = has.ben;
        database.put_grant(&grant(&has.link, "manage")).await.unwrap();
        database.add_link(&link(&has.ann, &has.provider, "200")).await.unwrap();
        database.add_link(&link(&stranger, &has.provider, "300")).await.unwrap();
        database.add_provider(&provider("another")).await.unwrap();
        let disabled = Provider { disabled_at: Some(NOW), ..provider("off") };
        database.add_provider(&disabled).await.unwrap();
        for (id, pattern) in [("rul_1", "hub.example.com"), ("rul_2", "hub.example.com/work")] {
            let rule = Rule {
                id: RuleId::from(id),
                user_id: has.ann.clone(),
                link_id: has.link.clone(),
                pattern: pattern.to_owned(),
                created_at: NOW,
            };
            assert!(database.add_rule(&rule).await.unwrap());
        }

        let view = database.credential_view(&has.ann).await.unwrap();
        // What manages keys is not even read.
        let links = vec![("100".to_owned(), 1), ("200".to_owned(), 0)];
        let expected = [("another".to_owned(), vec![]), ("hub".to_owned(), links)];
        assert_eq!(shape(&view), expected);
        let linked = &view.providers[1].links[0];
        let mut rules = linked.rules.clone();
        rules.sort();
        assert_eq!(rules, ["hub.example.com", "hub.example.com/work"]);
        assert_eq!(format!("{:?}", linked.grants[0]), format!("{:?}", has.grant));
        let stored = database.any_link(&has.link).await.unwrap().unwrap();
        assert_eq!(format!("{:?}", linked.link), format!("{stored:?}"));

        let view = database.credential_view(&stranger).await.unwrap();
        let links = vec![("300".to_owned(), 0)];
        let expected = [("another".to_owned(), vec![]), ("hub".to_owned(), links)];
        assert_eq!(shape(&view), expected);
    }

    async fn pages_show_providers_that_are_off_and_whole_rows(database: Database) {
        let has = linked(&database).await;
        let stranger = has.ben;
        let disabled = Provider { disabled_at: Some(NOW), ..provider("off") };
        database.add_provider(&disabled).await.unwrap();
        let newer = Link { created_at: NOW + 1, ..link(&has.ann, &has.provider, "200") };
        database.add_link(&newer).await.unwrap();

        let view = database.linked_view(&has.ann).await.unwrap();
        let stored = database.providers().await.unwrap();
        let seen: Vec<_> = view.iter().map(|it| format!("{:?}", it.provider)).collect();
        let stored: Vec<_> = stored.iter().map(|it| format!("{it:?}")).collect();
        assert_eq!(seen, stored);
        let accounts: Vec<_> = view[0].links.iter().map(|it| &*it.link.account_id).collect();
        assert_eq!((accounts, view[0].links[0].grants.len()), (vec!["100", "200"], 1));
        let view = database.linked_view(&stranger).await.unwrap();
        assert!(view.len() == 2 && view.iter().all(|it| it.links.is_empty()));
    }

    async fn pages_show_working_keys_with_their_uploads(database: Database) {
        let has = linked(&database).await;
        let stranger = has.ben;
        database.put_upload(&wanted(&has.key, "signing")).await.unwrap();
        database.put_upload(&wanted(&has.key, "auth")).await.unwrap();
        let mut newer = key("two", &has.ann, &has.provider, None);
        newer.created_at = NOW + 1;
        database.add_key(&newer).await.unwrap();

        let both = vec!["auth".to_owned(), "signing".to_owned()];
        let expected = [("key_two".to_owned(), vec![]), ("key_one".to_owned(), both)];
        assert_eq!(keys(&database, &has.ann).await, expected);
        assert!(database.keys_view(&stranger).await.unwrap().is_empty());
        database.delete_key(&has.ann, &has.key, NOW + 9).await.unwrap();
        assert_eq!(keys(&database, &has.ann).await, expected[..1]);
    }

    async fn a_link_being_removed_is_not_shown(database: Database) {
        let has = linked(&database).await;
        database.begin_unlink(&has.ann, &has.link, NOW).await.unwrap();
        assert!(database.linked_view(&has.ann).await.unwrap()[0].links.is_empty());

        let view = database.credential_view(&has.ann).await.unwrap();
        assert_eq!(shape(&view), [("hub".to_owned(), vec![])]);
    }
}
