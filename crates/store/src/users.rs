//! Who may sign in here, and as what.

use crate::column::{row, words};
use crate::db::{Number, Transaction, sql};
use crate::error::Result;
use crate::{Store, UserId};

words! {
    /// What a user may do.
    pub enum Role {
        /// Links their own accounts.
        Member = "member",
        /// May read the audit log too.
        Auditor = "auditor",
        /// May change everything under Manage.
        SiteManager = "site-manager",
    }
}

/// The PHC string of a password. Not printable: it can be attacked off-line.
#[derive(Clone)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes a PHC string, `$argon2id$…`.
    pub fn from_text(text: String) -> Self {
        Self(text)
    }

    /// The PHC string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

crate::column::text_columns! {
    PasswordHash: PasswordHash, |hash| hash.0.clone();
}

row! {
    /// A user.
    pub struct User {
        /// `usr_…`.
        pub id: UserId,
        /// Unique sign-in name.
        pub name: String,
        /// E-mail address, where given.
        pub email: Option<String>,
        /// What they may do.
        pub role: Role,
        /// None until they have set a password.
        pub password_hash: Option<PasswordHash>,
        /// When they were added.
        pub created_at: i64,
        /// When they were suspended.
        pub suspended_at: Option<i64>,
    }
}

/// What became of a change that must leave a site manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserChange {
    /// It is done.
    Done,
    /// There is no such user.
    NotFound,
    /// Refused: nobody else could manage the site.
    LastSiteManager,
}

impl Store {
    /// Adds a user. [`crate::Unique::UserName`] where the name is taken.
    pub async fn add_user(&self, user: &User) -> Result<()> {
        let statement = sql(
            "INSERT INTO users (id, name, email, role, password_hash, created_at, suspended_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&user.id)
        .bind(&user.name)
        .bind(&user.email)
        .bind(&user.role)
        .bind(&user.password_hash)
        .bind(&user.created_at)
        .bind(&user.suspended_at);
        self.db.execute(statement).await?;
        Ok(())
    }

    /// A user by id.
    pub async fn user(&self, user: &UserId) -> Result<Option<User>> {
        self.db
            .optional(sql("SELECT * FROM users WHERE id = $1").bind(user))
            .await
    }

    /// A user by sign-in name, exactly.
    pub async fn user_by_name(&self, name: &str) -> Result<Option<User>> {
        self.db
            .optional(sql("SELECT * FROM users WHERE name = $1").bind(name))
            .await
    }

    /// Users whose name or e-mail address contains `search`, by name, after the name `after`.
    pub async fn users(
        &self,
        search: Option<&str>,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<User>> {
        let pattern = format!(
            "%{}%",
            escape_like(&search.unwrap_or_default().to_lowercase())
        );
        let statement = sql(
            r"SELECT * FROM users
              WHERE name > $1
                AND ($2 = '%%' OR lower(name) LIKE $2 ESCAPE '\' OR lower(COALESCE(email, '')) LIKE $2 ESCAPE '\')
              ORDER BY name
              LIMIT $3",
        )
        .bind(after.unwrap_or_default())
        .bind(&pattern)
        .bind(&limit);
        self.db.all(statement).await
    }

    /// Gives a user another role, unless nobody could manage the site then.
    pub async fn set_role(&self, user: &UserId, role: Role) -> Result<UserChange> {
        let mut transaction = self.db.begin().await?;
        if role != Role::SiteManager && !others_manage(&mut transaction, user).await? {
            return Ok(UserChange::LastSiteManager);
        }
        let statement = sql("UPDATE users SET role = $2 WHERE id = $1")
            .bind(user)
            .bind(&role);
        finish(transaction, statement).await
    }

    /// Sets the password, as its PHC string.
    pub async fn set_password(&self, user: &UserId, hash: &PasswordHash) -> Result<bool> {
        let statement = sql("UPDATE users SET password_hash = $2 WHERE id = $1")
            .bind(user)
            .bind(hash);
        self.db.changed(statement).await
    }

    /// Suspends a user, unless nobody could manage the site then. Their sessions and workspaces
    /// stop answering at once.
    pub async fn suspend_user(&self, user: &UserId, now: i64) -> Result<UserChange> {
        let mut transaction = self.db.begin().await?;
        if !others_manage(&mut transaction, user).await? {
            return Ok(UserChange::LastSiteManager);
        }
        let statement = sql("UPDATE users SET suspended_at = COALESCE(suspended_at, $2)
             WHERE id = $1")
        .bind(user)
        .bind(&now);
        finish(transaction, statement).await
    }

    /// Ends a suspension.
    pub async fn restore_user(&self, user: &UserId) -> Result<bool> {
        let statement = sql("UPDATE users SET suspended_at = NULL WHERE id = $1").bind(user);
        self.db.changed(statement).await
    }

    /// Site managers who are not suspended.
    pub async fn count_site_managers(&self) -> Result<i64> {
        let statement = sql("SELECT count(*) AS number FROM users
             WHERE role = 'site-manager' AND suspended_at IS NULL");
        Ok(self.db.one::<Number>(statement).await?.number)
    }
}

/// Whether the site keeps a manager without `user`. Takes a lock until the transaction ends, so
/// that two managers who demote each other do not both succeed.
async fn others_manage(transaction: &mut Transaction, user: &UserId) -> Result<bool> {
    let lock = "UPDATE settings SET value = value WHERE name = 'lock.site-managers'";
    transaction.execute(sql(lock)).await?;
    let statement = sql("SELECT
           CASE WHEN EXISTS (SELECT 1 FROM users
                             WHERE id = $1 AND role = 'site-manager' AND suspended_at IS NULL)
                THEN (SELECT count(*) FROM users
                      WHERE id <> $1 AND role = 'site-manager' AND suspended_at IS NULL)
                ELSE 1 END AS number")
    .bind(user);
    Ok(transaction.one::<Number>(statement).await?.number > 0)
}

async fn finish(
    mut transaction: Transaction,
    statement: crate::db::Statement,
) -> Result<UserChange> {
    if transaction.execute(statement).await? == 0 {
        return Ok(UserChange::NotFound);
    }
    transaction.commit().await?;
    Ok(UserChange::Done)
}

/// Takes the meaning from `%` and `_`.
fn escape_like(text: &str) -> String {
    text.replace('\\', r"\\")
        .replace('%', r"\%")
        .replace('_', r"\_")
}
