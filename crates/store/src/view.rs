//! What a credential needs, and what the pages of a user show, each in one read.

use crate::column::{Column as _, Columns, FromColumns};
use crate::db::sql;
use crate::error::Result;
use crate::{
    Grant, GrantId, Link, LinkId, Provider, ProviderId, SshKey, Store, Upload, UploadId, UserId,
};

/// Every enabled provider, with a user's links there.
#[derive(Debug, Clone, Default)]
pub struct CredentialView {
    /// The providers, by name.
    pub providers: Vec<ViewedProvider>,
}

/// What matching a host needs to know of a provider.
#[derive(Debug, Clone)]
pub struct ViewedProvider {
    /// `prv_…`.
    pub id: ProviderId,
    /// The kind's id.
    pub kind: String,
    /// Its name, for messages.
    pub name: String,
    /// Base URL.
    pub url: String,
    /// API base; none: by kind.
    pub api_url: Option<String>,
    /// Git over HTTPS base; none: by kind.
    pub git_url: Option<String>,
    /// When narrowing was switched off.
    pub narrowing_off_at: Option<i64>,
    /// What is wrong with its configuration.
    pub alarm: Option<String>,
    /// The user's links there, oldest first, without those being removed.
    pub links: Vec<ViewedLink>,
}

/// A link with its grants and rules.
#[derive(Debug, Clone)]
pub struct ViewedLink {
    /// The link.
    pub link: Link,
    /// Its grants, at most one for each purpose; in a [`CredentialView`] that for Git alone.
    pub grants: Vec<Grant>,
    /// The patterns of the rules that name it.
    pub rules: Vec<String>,
}

/// A provider, enabled or not, with a user's links there.
#[derive(Debug, Clone)]
pub struct LinkedProvider {
    /// The provider.
    pub provider: Provider,
    /// The user's links there, oldest first, without those being removed.
    pub links: Vec<ViewedLink>,
}

/// A working key with its uploads.
#[derive(Debug, Clone)]
pub struct ViewedKey {
    /// The key.
    pub key: SshKey,
    /// Its uploads, by usage.
    pub uploads: Vec<Upload>,
}

/// A provider that links are gathered under.
trait Gathers: FromColumns {
    fn id(&self) -> &ProviderId;
    fn links(&mut self) -> &mut Vec<ViewedLink>;
}

impl FromColumns for ViewedProvider {
    fn from_columns(row: &dyn Columns, _prefix: &str) -> sqlx::Result<Self> {
        Ok(Self {
            id: ProviderId::read(row, "id")?,
            kind: row.text("kind")?,
            name: row.text("name")?,
            url: row.text("url")?,
            api_url: row.text_or_none("api_url")?,
            git_url: row.text_or_none("git_url")?,
            narrowing_off_at: row.number_or_none("narrowing_off_at")?,
            alarm: row.text_or_none("alarm")?,
            links: Vec::new(),
        })
    }
}

impl Gathers for ViewedProvider {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn links(&mut self) -> &mut Vec<ViewedLink> {
        &mut self.links
    }
}

impl FromColumns for LinkedProvider {
    fn from_columns(row: &dyn Columns, prefix: &str) -> sqlx::Result<Self> {
        Ok(Self {
            provider: Provider::from_columns(row, prefix)?,
            links: Vec::new(),
        })
    }
}

impl Gathers for LinkedProvider {
    fn id(&self) -> &ProviderId {
        &self.provider.id
    }

    fn links(&mut self) -> &mut Vec<ViewedLink> {
        &mut self.links
    }
}

/// One row of the join.
struct ViewRow<P> {
    provider: P,
    link: Option<Link>,
    grant: Option<Grant>,
    rules: Vec<String>,
}

impl<P: FromColumns> FromColumns for ViewRow<P> {
    fn from_columns(row: &dyn Columns, _prefix: &str) -> sqlx::Result<Self> {
        let link = Option::<LinkId>::read(row, "l_id")?;
        let grant = Option::<GrantId>::read(row, "g_id")?;
        Ok(Self {
            provider: P::from_columns(row, "")?,
            link: link.map(|_| Link::from_columns(row, "l_")).transpose()?,
            grant: grant.map(|_| Grant::from_columns(row, "g_")).transpose()?,
            rules: Option::<Vec<String>>::read(row, "rules")?.unwrap_or_default(),
        })
    }
}

/// One row of the join of keys and uploads.
struct KeyRow {
    key: SshKey,
    upload: Option<Upload>,
}

impl FromColumns for KeyRow {
    fn from_columns(row: &dyn Columns, _prefix: &str) -> sqlx::Result<Self> {
        let upload = Option::<UploadId>::read(row, "u_id")?;
        Ok(Self {
            key: SshKey::from_columns(row, "")?,
            upload: upload
                .map(|_| Upload::from_columns(row, "u_"))
                .transpose()?,
        })
    }
}

/// Columns and joins of a user's links, grants and rules at providers `p`; `$grants` says which grants.
macro_rules! links_of_providers {
    ($columns:literal, $grants:literal) => {
        concat!(
            "SELECT ",
            $columns,
            ",
            l.id AS l_id, l.user_id AS l_user_id, l.provider_id AS l_provider_id,
            l.account_id AS l_account_id, l.login AS l_login, l.name AS l_name,
            l.email AS l_email, l.emails AS l_emails, l.noreply AS l_noreply,
            l.created_at AS l_created_at, l.last_used_at AS l_last_used_at,
            l.dead_at AS l_dead_at, l.dead_reason AS l_dead_reason,
            l.unlinking_at AS l_unlinking_at,
            g.id AS g_id, g.link_id AS g_link_id, g.purpose AS g_purpose,
            g.access AS g_access, g.refresh AS g_refresh,
            g.token_secret AS g_token_secret, g.session_handle AS g_session_handle,
            g.scopes AS g_scopes, g.expires_at AS g_expires_at,
            g.token_id AS g_token_id, g.remote_id AS g_remote_id,
            g.obtained_at AS g_obtained_at, g.version AS g_version,
            g.lease_owner AS g_lease_owner, g.lease_until AS g_lease_until,
            g.handed_at AS g_handed_at, g.retry_at AS g_retry_at,
            g.failures AS g_failures, g.suspect_since AS g_suspect_since,
            g.forced_at AS g_forced_at,
            (SELECT string_agg(r.pattern, $2) FROM rules r
             WHERE r.link_id = l.id) AS rules
     FROM providers p
     LEFT JOIN links l
       ON l.provider_id = p.id AND l.user_id = $1 AND l.unlinking_at IS NULL
     LEFT JOIN grants g ON g.link_id = l.id ",
            $grants
        )
    };
}

/// Its plan is checked in `plans.rs`.
pub(crate) const CREDENTIAL_VIEW: &str = concat!(
    links_of_providers!(
        "p.id, p.kind, p.name, p.url, p.api_url, p.git_url, p.narrowing_off_at, p.alarm",
        "AND g.purpose = 'git'"
    ),
    "
     WHERE p.disabled_at IS NULL
     ORDER BY p.name"
);

/// Its plan is checked in `plans.rs`.
pub(crate) const LINKED_VIEW: &str = concat!(
    links_of_providers!("p.*", ""),
    "
     ORDER BY p.name"
);

/// Its plan is checked in `plans.rs`.
pub(crate) const KEYS_VIEW: &str = "SELECT k.*,
            u.id AS u_id, u.key_id AS u_key_id, u.usage AS u_usage, u.wanted AS u_wanted,
            u.state AS u_state, u.remote_id AS u_remote_id, u.reason AS u_reason,
            u.page AS u_page, u.due_at AS u_due_at, u.failures AS u_failures,
            u.lease_owner AS u_lease_owner, u.lease_until AS u_lease_until,
            u.seen_at AS u_seen_at, u.expires_at AS u_expires_at, u.version AS u_version
     FROM ssh_keys k
     LEFT JOIN uploads u ON u.key_id = k.id
     WHERE k.user_id = $1 AND k.deleted_at IS NULL
     ORDER BY k.created_at DESC, k.id DESC, u.usage";

impl Store {
    /// Every enabled provider with a user's links, their grants for Git and rules, in one statement: with the
    /// look-up of the workspace's token these are the two reads of a credential.
    pub async fn credential_view(&self, user: &UserId) -> Result<CredentialView> {
        let statement = sql(CREDENTIAL_VIEW).bind(user).bind("\n");
        let providers = gather(self.db.all(statement).await?);
        Ok(CredentialView { providers })
    }

    /// Every provider, by name, with a user's links, grants and rules, in one statement.
    pub async fn linked_view(&self, user: &UserId) -> Result<Vec<LinkedProvider>> {
        let statement = sql(LINKED_VIEW).bind(user).bind("\n");
        Ok(gather(self.db.all(statement).await?))
    }

    /// A user's keys that still work with their uploads, newest first, in one statement.
    pub async fn keys_view(&self, user: &UserId) -> Result<Vec<ViewedKey>> {
        let mut viewed: Vec<ViewedKey> = Vec::new();
        for row in self.db.all::<KeyRow>(sql(KEYS_VIEW).bind(user)).await? {
            match viewed.last_mut().filter(|last| last.key.id == row.key.id) {
                Some(last) => last.uploads.extend(row.upload),
                None => viewed.push(ViewedKey {
                    key: row.key,
                    uploads: row.upload.into_iter().collect(),
                }),
            }
        }
        Ok(viewed)
    }
}

/// Folds the rows of the join, which come provider by provider; what a provider has is put in order here, since
/// a database that sorts rows this wide takes longer than it takes to read them.
fn gather<P: Gathers>(rows: Vec<ViewRow<P>>) -> Vec<P> {
    let mut providers: Vec<P> = Vec::new();
    for row in rows {
        let last = providers.last();
        if last.is_none_or(|last| last.id() != row.provider.id()) {
            providers.push(row.provider);
        }
        let (Some(provider), Some(link)) = (providers.last_mut(), row.link) else {
            continue;
        };
        let links = provider.links();
        match links.iter_mut().find(|known| known.link.id == link.id) {
            Some(known) => known.grants.extend(row.grant),
            None => links.push(ViewedLink {
                link,
                grants: row.grant.into_iter().collect(),
                rules: row.rules,
            }),
        }
    }
    for links in providers.iter_mut().map(Gathers::links) {
        let age = |viewed: &ViewedLink| (viewed.link.created_at, viewed.link.id.clone());
        links.sort_by_cached_key(age);
        for viewed in links {
            viewed.grants.sort_by(|a, b| a.purpose.cmp(&b.purpose));
        }
    }
    providers
}
