//! Promises of `view.rs`.

use store::*;

use super::fixtures::*;
use super::support::on_every_database;

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
        let links = vec![("100".to_owned(), 2), ("200".to_owned(), 0)];
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

    async fn a_link_being_removed_is_not_shown(database: Database) {
        let has = linked(&database).await;
        database.begin_unlink(&has.ann, &has.link, NOW).await.unwrap();

        let view = database.credential_view(&has.ann).await.unwrap();
        assert_eq!(shape(&view), [("hub".to_owned(), vec![])]);
    }
}
