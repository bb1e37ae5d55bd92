//! Every sealed value, for changing the key it is sealed with.

use secrets::Sealed;

use crate::Store;
use crate::column::{row, words};
use crate::db::{Statement, built_sql};
use crate::error::Result;

words! {
    /// A column that holds sealed values.
    pub enum SealedColumn {
        /// Access tokens.
        GrantAccess = "grants.access",
        /// Refresh tokens.
        GrantRefresh = "grants.refresh",
        /// OAuth 1.0a token secrets.
        GrantTokenSecret = "grants.token_secret",
        /// OAuth 1.0a session handles.
        GrantSessionHandle = "grants.session_handle",
        /// Private SSH keys.
        KeyPrivate = "ssh_keys.private",
        /// Client secrets.
        ProviderClientSecret = "providers.client_secret",
        /// RSA pairs of OAuth 1.0a application links.
        ProviderSigningKey = "providers.signing_key",
        /// Those of providers being prepared.
        DraftSigningKey = "provider_drafts.signing_key",
        /// PKCE verifiers and request tokens.
        AttemptSecret = "attempts.secret",
        /// Tokens of exchanges under way.
        AttemptTokens = "attempts.tokens",
        /// Tokens still to be revoked.
        RevocationSecret = "revocations.secret",
    }
}

impl SealedColumn {
    /// The table, as in the place that a value is sealed for.
    pub fn table(self) -> &'static str {
        self.as_str().split('.').next().unwrap_or_default()
    }

    /// The column, as in the place that a value is sealed for.
    pub fn column(self) -> &'static str {
        self.as_str().rsplit('.').next().unwrap_or_default()
    }

    /// The user and the provider that a row belongs to, as expressions over the table `t`.
    fn owners(self) -> (&'static str, &'static str) {
        match self {
            Self::GrantAccess
            | Self::GrantRefresh
            | Self::GrantTokenSecret
            | Self::GrantSessionHandle => (
                "(SELECT l.user_id FROM links l WHERE l.id = t.link_id)",
                "(SELECT l.provider_id FROM links l WHERE l.id = t.link_id)",
            ),
            Self::KeyPrivate
            | Self::AttemptSecret
            | Self::AttemptTokens
            | Self::RevocationSecret => ("t.user_id", "t.provider_id"),
            Self::ProviderClientSecret | Self::ProviderSigningKey => ("''", "t.id"),
            Self::DraftSigningKey => ("t.user_id", "''"),
        }
    }
}

row! {
    /// A sealed value and what it belongs to.
    pub struct SealedCell {
        /// The row's id.
        pub row_id: String,
        /// The user's id; empty for providers.
        pub user_id: String,
        /// The provider's id; empty for drafts.
        pub provider_id: String,
        /// The value.
        pub sealed: Sealed,
    }
}

impl Store {
    /// The values of a column by row id, after the row `after`.
    pub async fn sealed_cells(
        &self,
        column: SealedColumn,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<SealedCell>> {
        let (table, name) = (column.table(), column.column());
        let (user, provider) = column.owners();
        let statement = built_sql(format!(
            "SELECT t.id AS row_id, {user} AS user_id, {provider} AS provider_id,
                    t.{name} AS sealed
             FROM {table} t
             WHERE t.id > $1 AND t.{name} IS NOT NULL
             ORDER BY t.id
             LIMIT $2"
        ))
        .bind(after.unwrap_or_default())
        .bind(&limit);
        self.db.all(statement).await
    }

    /// Puts `new` in place of `old`, which seals the same under another key. False where the
    /// value has changed since it was read: a new one is sealed with the current key anyway.
    pub async fn reseal(
        &self,
        column: SealedColumn,
        row_id: &str,
        old: &Sealed,
        new: &Sealed,
    ) -> Result<bool> {
        self.db
            .changed(reseal_statement(column).bind(row_id).bind(old).bind(new))
            .await
    }
}

fn reseal_statement(column: SealedColumn) -> Statement {
    let (table, name) = (column.table(), column.column());
    built_sql(format!(
        "UPDATE {table} SET {name} = $3 WHERE id = $1 AND {name} = $2"
    ))
}
