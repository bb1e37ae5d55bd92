//! Promises of `events.rs`.

use store::*;

use super::fixtures::*;
use super::support::on_every_database;

async fn ids(store: &Store, filter: EventFilter) -> Vec<String> {
    let events = store.events(&filter, None, 99).await.unwrap();
    events.into_iter().map(|named| named.event.id.0).collect()
}

on_every_database! {
    async fn events_come_newest_first_page_by_page(database: Database) {
        let events = [
            event("evt_b", NOW, "link.begin"),
            event("evt_a", NOW + 1, "link.finish"),
            event("evt_c", NOW, "link.begin"),
            event("evt_d", NOW + 2, "key.add"),
        ];
        database.add_events(&events).await.unwrap();
        let mut seen = Vec::new();
        let mut before = None;
        loop {
            let page = database.events(&EventFilter::default(), before.as_ref(), 2).await.unwrap();
            let Some(last) = page.last() else { break };
            before = Some(last.event.id.clone());
            seen.extend(page.into_iter().map(|named| named.event.id.0));
        }

        assert_eq!(seen, ["evt_d", "evt_a", "evt_c", "evt_b"]);
        let unknown = EventId::from("evt_unknown");
        let none = database.events(&EventFilter::default(), Some(&unknown), 2).await.unwrap();
        assert!(none.is_empty());
    }

    async fn every_filter_narrows_and_names_are_told(database: Database) {
        let (ann, ben) = people(&database).await;
        let hub = provider("hub");
        database.add_provider(&hub).await.unwrap();
        let workspace = workspace(&ann);
        database.add_workspace(&hash("w"), &workspace).await.unwrap();
        let full = Event {
            user_id: Some(ann.clone()),
            workspace_id: Some(workspace.id.clone()),
            provider_id: Some(hub.id.clone()),
            count: 3,
            ..event("evt_1", NOW, "credential.give")
        };
        let other = Event { user_id: Some(ben.clone()), ..event("evt_2", NOW + 9, "credential_x") };
        let gone = Event {
            user_id: Some(UserId::from("usr_gone")),
            ..event("evt_3", NOW + 10, "sign.give")
        };
        database.add_events(&[full, other, gone]).await.unwrap();

        let none = EventFilter::default;
        assert_eq!(ids(&database, none()).await, ["evt_3", "evt_2", "evt_1"]);
        let narrowed = [
            EventFilter { user_id: Some(ann.clone()), ..none() },
            EventFilter { workspace_id: Some(workspace.id.clone()), ..none() },
            EventFilter { provider_id: Some(hub.id.clone()), ..none() },
            EventFilter { action: Some("credential.".to_owned()), ..none() },
            EventFilter { until: Some(NOW + 9), ..none() },
            EventFilter {
                user_id: Some(ann),
                workspace_id: Some(workspace.id),
                provider_id: Some(hub.id),
                action: Some("credential".to_owned()),
                from: Some(NOW),
                until: Some(NOW + 1),
            },
        ];
        for filter in narrowed {
            assert_eq!(ids(&database, filter.clone()).await, ["evt_1"], "{filter:?}");
        }
        let from = EventFilter { from: Some(NOW + 9), ..none() };
        assert_eq!(ids(&database, from).await, ["evt_3", "evt_2"]);
        let wild = EventFilter { action: Some("%".to_owned()), ..none() };
        assert!(ids(&database, wild).await.is_empty());

        let events = database.events(&none(), None, 99).await.unwrap();
        let named = &events[2];
        assert_eq!(named.user.as_deref(), Some("ann"));
        assert_eq!(named.workspace.as_deref(), Some("box"));
        assert_eq!(named.provider.as_deref(), Some("hub"));
        assert_eq!((named.event.count, events[0].user.as_deref()), (3, None));
    }

    async fn events_are_added_all_or_none(database: Database) {
        let both = [event("evt_1", NOW, "a"), event("evt_1", NOW, "b")];
        assert!(database.add_events(&both).await.is_err());
        assert!(ids(&database, EventFilter::default()).await.is_empty());
    }

    async fn events_are_counted_by_the_hour(database: Database) {
        let hour = 3_600 * 300;
        let batch = Event { count: 5, ..event("evt_2", hour + 3_599, "credential.give") };
        let events = [
            event("evt_1", hour, "credential.give"),
            batch,
            event("evt_3", hour + 3_600, "credential.give"),
            event("evt_4", hour, "sign.give"),
        ];
        database.add_events(&events).await.unwrap();

        let counts = database.events_by_hour("credential.", hour, hour + 7_200).await.unwrap();
        let counts: Vec<_> = counts.iter().map(|one| (one.hour_at, one.number)).collect();
        assert_eq!(counts, [(hour, 6), (hour + 3_600, 1)]);
        let counts = database.events_by_hour("", hour, hour + 1).await.unwrap();
        assert_eq!(counts.len(), 2);
    }
}
