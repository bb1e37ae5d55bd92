//! Copies an SQLite database while it is in use.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use sqlx::{ConnectOptions as _, Connection as _};

use crate::Store;
use crate::db::Db;
use crate::error::{Result, StoreError};

impl Store {
    /// Copies an SQLite database, as of one moment, into a new file of mode 0600, while it is in
    /// use. PostgreSQL has its own tools for that.
    pub async fn backup(&self, path: &Path) -> Result<()> {
        let Db::Sqlite { writer, .. } = &self.db else {
            return Err(StoreError::Address(
                "the database is PostgreSQL, which pg_dump backs up".to_owned(),
            ));
        };
        let cannot = |why: &dyn std::fmt::Display| {
            StoreError::Address(format!("cannot write the backup {}: {why}", path.display()))
        };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.open(path).map_err(|error| cannot(&error))?;
        let target = path
            .to_str()
            .ok_or_else(|| cannot(&"its name is not UTF-8"))?;
        let mut connection = writer.connect_options().as_ref().clone().connect().await?;
        sqlx::query("VACUUM INTO $1")
            .bind(target)
            .execute(&mut connection)
            .await?;
        Ok(connection.close().await?)
    }
}
