//! Where the secrets of attempts, grants, keys and revocations rest: the place that each is sealed for.

use secrecy::SecretString;
use secrets::{Place, Sealed};

use crate::{Broker, ProviderContext, Refused, RefusedKind, Result};

/// A column of secrets that belong to a user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    table: &'static str,
    name: &'static str,
}

/// PKCE verifier, or request token of OAuth 1.0a.
pub(crate) const ATTEMPT_SECRET: Column = Column {
    table: "attempts",
    name: "secret",
};
/// Tokens that came back and belong to no link yet.
pub(crate) const ATTEMPT_TOKENS: Column = Column {
    table: "attempts",
    name: "tokens",
};
/// Access token.
pub(crate) const ACCESS: Column = Column {
    table: "grants",
    name: "access",
};
/// Refresh token.
pub(crate) const REFRESH: Column = Column {
    table: "grants",
    name: "refresh",
};
/// Token secret of OAuth 1.0a.
pub(crate) const TOKEN_SECRET: Column = Column {
    table: "grants",
    name: "token_secret",
};
/// Session handle of OAuth 1.0a.
pub(crate) const SESSION_HANDLE: Column = Column {
    table: "grants",
    name: "session_handle",
};
/// A token that is to be revoked.
pub(crate) const REVOCATION: Column = Column {
    table: "revocations",
    name: "secret",
};

/// A row of a user's secrets: its id, its user, and where its secrets may be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    /// The row's id.
    pub(crate) id: &'a str,
    /// The user's id.
    pub(crate) user: &'a str,
    /// The provider the secrets are for.
    pub(crate) origins: &'a [String],
}

impl<'a> Row<'a> {
    /// The row `id` of `user`, whose secrets go to `provider` alone.
    pub(crate) fn new(id: &'a str, user: &'a str, provider: &'a ProviderContext) -> Self {
        Self {
            id,
            user,
            origins: &provider.origins,
        }
    }

    fn place(self, column: Column) -> Place<'a> {
        let Self { id, user, origins } = self;
        Place {
            table: column.table,
            column: column.name,
            row: id,
            owner: user,
            origins,
        }
    }
}

impl Broker {
    /// Seals a secret of `row`.
    pub(crate) fn seal(&self, row: Row<'_>, column: Column, plain: &SecretString) -> Sealed {
        self.keyring().seal(&row.place(column), plain)
    }

    /// Opens a secret of `row`.
    ///
    /// # Errors
    /// `link-dead` where it does not open: it was sealed for addresses that the provider no longer has.
    pub(crate) fn open(
        &self,
        row: Row<'_>,
        column: Column,
        sealed: &Sealed,
    ) -> Result<SecretString> {
        self.keyring()
            .open(&row.place(column), sealed)
            .map_err(|error| {
                let mut refused = Refused::new(
                    RefusedKind::LinkDead,
                    "the provider's addresses have changed since the account was linked",
                )
                .hint("link the account again")
                .help("/preferences/linked-accounts");
                refused.cause = Some(error.to_string());
                refused
            })
    }

    /// Seals a private key, which is never sent anywhere.
    pub(crate) fn seal_key(&self, key: &str, user: &str, plain: &SecretString) -> Sealed {
        self.keyring().seal(&private_key(key, user), plain)
    }

    /// Opens a private key.
    pub(crate) fn open_key(&self, key: &str, user: &str, sealed: &Sealed) -> Result<SecretString> {
        self.keyring()
            .open(&private_key(key, user), sealed)
            .map_err(Refused::internal)
    }
}

fn private_key<'a>(key: &'a str, user: &'a str) -> Place<'a> {
    Place {
        table: "ssh_keys",
        column: "private",
        row: key,
        owner: user,
        origins: &[],
    }
}
