//! Which of a user's links answers for which host, owner or path.

use crate::column::{Columns, FromColumns, row};
use crate::db::sql;
use crate::error::Result;
use crate::{LinkId, RuleId, Store, UserId};

row! {
    /// A rule.
    pub struct Rule {
        /// `rul_…`.
        pub id: RuleId,
        /// Whose it is.
        pub user_id: UserId,
        /// The link that answers; the same user's.
        pub link_id: LinkId,
        /// `host`, `host/owner` or `host/path glob`.
        pub pattern: String,
        /// When it was made.
        pub created_at: i64,
    }
}

/// A rule with the names of what it names.
#[derive(Debug, Clone)]
pub struct NamedRule {
    /// The rule.
    pub rule: Rule,
    /// The login of its link's account.
    pub login: String,
    /// The name of its link's provider.
    pub provider: String,
}

impl FromColumns for NamedRule {
    fn from_columns(row: &dyn Columns, _prefix: &str) -> sqlx::Result<Self> {
        Ok(Self {
            rule: Rule::from_columns(row, "")?,
            login: row.text("login")?,
            provider: row.text("provider_name")?,
        })
    }
}

impl Store {
    /// Adds a rule. False where the link is not this user's; [`crate::Unique::RulePattern`] where
    /// the user has a rule for the pattern.
    pub async fn add_rule(&self, rule: &Rule) -> Result<bool> {
        let statement = sql(
            "INSERT INTO rules (id, user_id, link_id, pattern, created_at)
             SELECT $1, user_id, id, $4, $5 FROM links
             WHERE user_id = $2 AND id = $3",
        )
        .bind(&rule.id)
        .bind(&rule.user_id)
        .bind(&rule.link_id)
        .bind(&rule.pattern)
        .bind(&rule.created_at);
        self.db.changed(statement).await
    }

    /// A user's rules, by pattern.
    pub async fn rules_of(&self, user: &UserId) -> Result<Vec<Rule>> {
        let statement = sql("SELECT * FROM rules WHERE user_id = $1 ORDER BY pattern").bind(user);
        self.db.all(statement).await
    }

    /// A user's rules with the names of their links and providers, by pattern.
    pub async fn named_rules_of(&self, user: &UserId) -> Result<Vec<NamedRule>> {
        let statement = sql("SELECT r.*, l.login, p.name AS provider_name FROM rules r
             JOIN links l ON l.id = r.link_id
             JOIN providers p ON p.id = l.provider_id
             WHERE r.user_id = $1
             ORDER BY r.pattern")
        .bind(user);
        self.db.all(statement).await
    }

    /// Removes a rule of a user.
    pub async fn remove_rule(&self, user: &UserId, rule: &RuleId) -> Result<bool> {
        let statement = sql("DELETE FROM rules WHERE user_id = $1 AND id = $2")
            .bind(user)
            .bind(rule);
        self.db.changed(statement).await
    }
}
