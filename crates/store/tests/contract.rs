//! What the store promises, on SQLite, on PostgreSQL, and on PostgreSQL as behind PgBouncer.
//!
//! Every public method is called, and asked as a second user, who must get nothing: `tidy.rs`
//! checks that. `cargo xtask test` starts a PostgreSQL server and sets
//! `FORGEPASS_TEST_POSTGRES`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod contract {
    mod attempts;
    mod credential;
    mod events;
    mod fixtures;
    mod grants;
    mod keys;
    mod links;
    mod providers;
    mod races;
    mod revocations;
    mod schema;
    mod sealed;
    mod settings;
    mod sign_in;
    mod support;
    mod tidy;
    mod uploads;
    mod users;
    mod workspaces;
}
