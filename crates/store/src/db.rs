//! Runs one statement text on whichever database is open.

use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;
use sqlx::{PgTransaction, Postgres, Sqlite, SqliteTransaction};

use crate::column::{FromColumns, ToValue, Value};
use crate::error::Result;

/// The open database.
#[derive(Debug, Clone)]
pub(crate) enum Db {
    /// One file. SQLite has one writer at a time, so writers queue for one connection here
    /// instead of for the file's lock; readers never wait for them (WAL).
    Sqlite {
        writer: SqlitePool,
        reader: SqlitePool,
    },
    /// A server that many replicas share.
    Postgres { pool: PgPool, pooler: Pooler },
}

/// What stands between us and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pooler {
    /// Nothing, or something that keeps a connection for as long as the client does.
    None,
    /// PgBouncer in transaction mode: two messages outside a transaction may reach two servers,
    /// so nothing is prepared by name and every statement is a transaction.
    Transaction,
}

/// A statement and the values of `$1`, `$2`, … in order.
#[derive(Debug)]
pub(crate) struct Statement {
    text: Text,
    values: Vec<Value>,
}

#[derive(Debug, Clone)]
enum Text {
    Constant(&'static str),
    /// Put together from constants of this crate.
    Built(String),
}

/// A statement whose text is one constant.
pub(crate) fn sql(text: &'static str) -> Statement {
    Statement {
        text: Text::Constant(text),
        values: Vec::new(),
    }
}

/// A statement put together from constants; never from anything that came from outside.
pub(crate) fn built_sql(text: String) -> Statement {
    Statement {
        text: Text::Built(text),
        values: Vec::new(),
    }
}

impl Statement {
    pub(crate) fn bind<T: ToValue + ?Sized>(mut self, value: &T) -> Self {
        self.values.push(value.to_value());
        self
    }
}

impl sqlx::SqlSafeStr for Text {
    fn into_sql_str(self) -> sqlx::SqlStr {
        match self {
            Self::Constant(text) => text.into_sql_str(),
            Self::Built(text) => sqlx::AssertSqlSafe(text).into_sql_str(),
        }
    }
}

/// Makes the query of a [`Statement`] for one of the two drivers.
macro_rules! query {
    ($database:ty, $statement:expr, $persistent:expr) => {{
        let statement: Statement = $statement;
        let mut query = sqlx::query::<$database>(statement.text).persistent($persistent);
        for value in statement.values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
            };
        }
        query
    }};
}

/// Runs `$body` with `$query` and `$conn` standing for the open database's own.
macro_rules! db {
    (read $db:expr, $statement:expr, |$query:ident, $conn:ident| $body:expr) => {
        db!(@run $db, reader, $statement, |$query, $conn| $body)
    };
    (write $db:expr, $statement:expr, |$query:ident, $conn:ident| $body:expr) => {
        db!(@run $db, writer, $statement, |$query, $conn| $body)
    };
    (@run $db:expr, $pool:ident, $statement:expr, |$query:ident, $conn:ident| $body:expr) => {
        match $db {
            Db::Sqlite { $pool: $conn, .. } => {
                let $query = query!(Sqlite, $statement, true);
                $body
            }
            Db::Postgres { pool: $conn, pooler: Pooler::None } => {
                let $query = query!(Postgres, $statement, true);
                $body
            }
            Db::Postgres { pool, pooler: Pooler::Transaction } => {
                let mut transaction = pool.begin().await?;
                let $query = query!(Postgres, $statement, false);
                let $conn = &mut *transaction;
                let answer = $body;
                transaction.commit().await?;
                answer
            }
        }
    };
}

impl Db {
    /// Every row of a reading statement.
    pub(crate) async fn all<T: FromColumns>(&self, statement: Statement) -> Result<Vec<T>> {
        Ok(db!(read self, statement, |query, conn| {
            let rows = query.fetch_all(conn).await?;
            rows.iter().map(|row| T::from_columns(row, "")).collect::<sqlx::Result<_>>()?
        }))
    }

    /// The row of a reading statement, where there is one.
    pub(crate) async fn optional<T: FromColumns>(&self, statement: Statement) -> Result<Option<T>> {
        Ok(db!(read self, statement, |query, conn| {
            let row = query.fetch_optional(conn).await?;
            row.map(|row| T::from_columns(&row, "")).transpose()?
        }))
    }

    /// The row of a reading statement that always has one.
    pub(crate) async fn one<T: FromColumns>(&self, statement: Statement) -> Result<T> {
        Ok(db!(read self, statement, |query, conn| {
            T::from_columns(&query.fetch_one(conn).await?, "")?
        }))
    }

    /// Runs a writing statement and counts the rows it changed.
    pub(crate) async fn execute(&self, statement: Statement) -> Result<u64> {
        Ok(db!(write self, statement, |query, conn| query.execute(conn).await?.rows_affected()))
    }

    /// Runs a writing statement and tells whether it changed a row.
    pub(crate) async fn changed(&self, statement: Statement) -> Result<bool> {
        Ok(self.execute(statement).await? > 0)
    }

    /// The row that a writing statement with RETURNING gives, where there is one.
    pub(crate) async fn returned<T: FromColumns>(&self, statement: Statement) -> Result<Option<T>> {
        Ok(self.all_returned(statement).await?.into_iter().next())
    }

    /// The row of a writing statement with RETURNING that always gives one.
    pub(crate) async fn returned_one<T: FromColumns>(&self, statement: Statement) -> Result<T> {
        Ok(self
            .returned(statement)
            .await?
            .ok_or(sqlx::Error::RowNotFound)?)
    }

    /// Every row that a writing statement with RETURNING gives. Reading them all is what tells
    /// that the statement has ended and is committed: a caller that stops at the first row may
    /// go on before that.
    pub(crate) async fn all_returned<T: FromColumns>(
        &self,
        statement: Statement,
    ) -> Result<Vec<T>> {
        Ok(db!(write self, statement, |query, conn| {
            let rows = query.fetch_all(conn).await?;
            rows.iter().map(|row| T::from_columns(row, "")).collect::<sqlx::Result<_>>()?
        }))
    }

    /// Begins a transaction that may write; dropping it rolls it back.
    pub(crate) async fn begin(&self) -> Result<Transaction> {
        Ok(match self {
            // A plain BEGIN that reads first and writes later meets "database is locked"
            // at once, whatever the busy timeout says.
            Self::Sqlite { writer, .. } => {
                Transaction::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)
            }
            Self::Postgres { pool, pooler } => Transaction::Postgres(pool.begin().await?, *pooler),
        })
    }
}

/// A transaction on the open database; none ever leaves this crate.
pub(crate) enum Transaction {
    Sqlite(SqliteTransaction<'static>),
    Postgres(PgTransaction<'static>, Pooler),
}

/// Like `db!`, within a transaction.
macro_rules! within {
    ($transaction:expr, $statement:expr, |$query:ident, $conn:ident| $body:expr) => {
        match $transaction {
            Transaction::Sqlite(transaction) => {
                let $query = query!(Sqlite, $statement, true);
                let $conn = &mut **transaction;
                $body
            }
            Transaction::Postgres(transaction, pooler) => {
                let $query = query!(Postgres, $statement, *pooler == Pooler::None);
                let $conn = &mut **transaction;
                $body
            }
        }
    };
}

impl Transaction {
    /// Runs a statement and counts the rows it changed.
    pub(crate) async fn execute(&mut self, statement: Statement) -> Result<u64> {
        Ok(within!(self, statement, |query, conn| query
            .execute(conn)
            .await?
            .rows_affected()))
    }

    /// The row that a statement gives, where there is one.
    pub(crate) async fn optional<T: FromColumns>(
        &mut self,
        statement: Statement,
    ) -> Result<Option<T>> {
        // All rows are read, for the reason that `all_returned` gives.
        Ok(within!(self, statement, |query, conn| {
            let rows = query.fetch_all(conn).await?;
            rows.first()
                .map(|row| T::from_columns(row, ""))
                .transpose()?
        }))
    }

    /// The row of a statement that always has one.
    pub(crate) async fn one<T: FromColumns>(&mut self, statement: Statement) -> Result<T> {
        Ok(within!(self, statement, |query, conn| {
            T::from_columns(&query.fetch_one(conn).await?, "")?
        }))
    }

    /// Makes what was done last.
    pub(crate) async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await?,
            Self::Postgres(transaction, _) => transaction.commit().await?,
        }
        Ok(())
    }
}

crate::column::row! {
    /// A single number, from a column of that name.
    pub(crate) struct Number {
        pub(crate) number: i64,
    }
}
