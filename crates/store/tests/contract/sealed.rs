//! Promises of `sealed.rs`.

use std::collections::BTreeSet;

use store::*;

use super::attempts::begin;
use super::fixtures::*;
use super::support::on_every_database;

on_every_database! {
    async fn a_sealed_value_is_resealed_unless_it_changed(database: Database) {
        let has = linked(&database).await;
        let column = SealedColumn::GrantAccess;
        let cells = database.sealed_cells(column, None, 9).await.unwrap();
        let cell = &cells[0];
        assert_eq!((cell.row_id.as_str(), &cell.user_id), (has.grant.id.as_str(), &has.ann.0));
        assert_eq!(cell.provider_id, has.provider.0);
        let after = database.sealed_cells(column, Some(&cell.row_id), 9).await.unwrap();
        assert!(after.is_empty());

        let (old, new) = (&cell.sealed, sealed("resealed"));
        let wrong = sealed("something else");
        assert!(!database.reseal(column, &cell.row_id, &wrong, &new).await.unwrap());
        assert!(database.reseal(column, &cell.row_id, old, &new).await.unwrap());
        assert!(!database.reseal(column, &cell.row_id, old, &new).await.unwrap());
        let grant = database.grant_by_id(&has.grant.id).await.unwrap().unwrap();
        assert_eq!(grant.access.as_str(), new.as_str());
        assert_eq!(grant.version, 1, "a refresh under way still lands");
    }

    async fn every_sealed_column_can_be_read(database: Database) {
        begin(&database).await;
        for column in SealedColumn::ALL {
            let cells = database.sealed_cells(*column, None, 9).await;
            assert!(cells.is_ok(), "{column}: {cells:?}");
        }
        let secrets = database.sealed_cells(SealedColumn::AttemptSecret, None, 9).await.unwrap();
        assert_eq!(secrets[0].user_id, "usr_ann");
    }
}

#[test]
fn no_sealed_column_of_the_schema_is_forgotten() {
    let schema = include_str!("../../migrations/0001_init.sql");
    let mut table = "";
    let mut found = BTreeSet::new();
    for line in schema.lines() {
        if let Some(rest) = line.strip_prefix("CREATE TABLE ") {
            table = rest.trim_end_matches(" (");
        } else if line.contains("-- sealed") {
            found.insert(format!(
                "{table}.{}",
                line.split_whitespace().next().unwrap()
            ));
        }
    }
    let listed = SealedColumn::ALL
        .iter()
        .map(|column| column.to_string())
        .collect();
    assert_eq!(found, listed);
}
