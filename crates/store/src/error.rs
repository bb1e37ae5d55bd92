//! What can go wrong with the database, as far as callers act on it.

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;

/// The outcome of a store method.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

const SQLITE_BUSY: u32 = 5;

/// An error of the database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A row with the same value of a unique column is there already.
    #[error("there is one already ({0})")]
    Duplicate(Unique),
    /// The row names another one that is not there (any more), or is named by one that is.
    #[error("something it belongs to is not there")]
    Dangling,
    /// The address of the database cannot be used.
    #[error("{0}")]
    Address(String),
    /// The database holds something that this version does not understand.
    #[error("the database holds something that this version does not understand: {0}")]
    Corrupt(String),
    /// The schema could not be brought up to date.
    #[error("the database cannot be brought up to date: {0}")]
    Migration(#[from] MigrateError),
    /// The database cannot be reached, or did not answer in time.
    #[error("the database cannot be reached: {0}")]
    Unavailable(#[source] sqlx::Error),
}

/// The unique columns that callers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unique {
    /// `users.name`.
    UserName,
    /// `providers.name`.
    ProviderName,
    /// `devices.user_code`: make another one.
    UserCode,
    /// The current key of a link, or of a user at a provider.
    CurrentKey,
    /// The SSH key itself.
    Fingerprint,
    /// The pattern of a user's rule.
    RulePattern,
    /// An id, a token's hash or anything else that is random.
    Other,
}

/// How each database names a broken constraint: PostgreSQL by its name, SQLite by its columns
/// (by its name where it is an index over an expression).
const UNIQUES: &[(Unique, &str, &str)] = &[
    (Unique::UserName, "users_name_key", "users.name"),
    (Unique::ProviderName, "providers_name_key", "providers.name"),
    (
        Unique::UserCode,
        "devices_user_code_key",
        "devices.user_code",
    ),
    (
        Unique::CurrentKey,
        "ssh_keys_one_current",
        "index 'ssh_keys_one_current'",
    ),
    (
        Unique::Fingerprint,
        "ssh_keys_one_per_fingerprint",
        "ssh_keys.fingerprint",
    ),
    (
        Unique::RulePattern,
        "rules_one_per_pattern",
        "rules.user_id, rules.pattern",
    ),
];

impl std::fmt::Display for Unique {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = UNIQUES.iter().find(|(unique, ..)| unique == self);
        f.write_str(name.map_or("id", |(_, _, columns)| columns))
    }
}

impl StoreError {
    /// Whether SQLite said `SQLITE_BUSY`, extended or not (<https://sqlite.org/rescode.html#busy>).
    pub(crate) fn is_busy(&self) -> bool {
        let (Self::Unavailable(error)
        | Self::Migration(
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _),
        )) = self
        else {
            return false;
        };
        let code = error.as_database_error().and_then(DatabaseError::code);
        code.and_then(|code| code.parse::<u32>().ok())
            .is_some_and(|code| code & 0xff == SQLITE_BUSY)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => {
                Self::Duplicate(broken(database.constraint(), database.message()))
            }
            sqlx::Error::Database(database) if database.is_foreign_key_violation() => {
                Self::Dangling
            }
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::Decode(_)
            | sqlx::Error::RowNotFound => Self::Corrupt(error.to_string()),
            _ => Self::Unavailable(error),
        }
    }
}

fn broken(constraint: Option<&str>, message: &str) -> Unique {
    let found = UNIQUES.iter().find(|(_, name, columns)| {
        constraint.map_or_else(
            || message.ends_with(columns),
            |constraint| constraint == *name,
        )
    });
    found.map_or(Unique::Other, |(unique, ..)| *unique)
}
