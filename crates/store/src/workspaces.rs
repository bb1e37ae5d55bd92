//! Machines where a user's Git runs, and the device sign-ins that make them.

use secrets::TokenHash;

use crate::column::{Columns, FromColumns, row};
use crate::db::{Statement, sql};
use crate::error::Result;
use crate::{DeviceId, Store, User, UserId, WorkspaceId};

row! {
    /// A workspace.
    pub struct Workspace {
        /// `wsp_…`.
        pub id: WorkspaceId,
        /// Whose it is.
        pub user_id: UserId,
        /// Its name, as it gave it.
        pub name: String,
        /// The address its sign-in came from.
        pub address: String,
        /// SHA-256 of the machine id its token is bound to; none: bound at first use, or unbound.
        pub machine_hash: Option<String>,
        /// When SSH clients that do not bind their session were allowed.
        pub unbound_at: Option<i64>,
        /// When it signed in.
        pub created_at: i64,
        /// When it was last heard of.
        pub last_seen_at: Option<i64>,
        /// When it last received a credential or a signature.
        pub last_used_at: Option<i64>,
        /// When its token ends, whatever happens.
        pub expires_at: i64,
        /// When a second machine came with its token, if one did.
        pub other_machine_at: Option<i64>,
        /// When it was revoked.
        pub revoked_at: Option<i64>,
    }
}

/// A workspace and the user it stands for.
#[derive(Debug, Clone)]
pub struct WorkspaceUser {
    /// The workspace, alive.
    pub workspace: Workspace,
    /// Its user, not suspended.
    pub user: User,
}

impl FromColumns for WorkspaceUser {
    fn from_columns(row: &dyn Columns, _prefix: &str) -> sqlx::Result<Self> {
        Ok(Self {
            workspace: Workspace::from_columns(row, "")?,
            user: User::from_columns(row, "u_")?,
        })
    }
}

row! {
    /// A device sign-in (RFC 8628).
    pub struct Device {
        /// `dev_…`.
        pub id: DeviceId,
        /// What the person types or compares, `XXXX-XXXX`.
        pub user_code: String,
        /// What the workspace calls itself.
        pub name: String,
        /// Where its request came from.
        pub address: String,
        /// SHA-256 of its machine id.
        pub machine_hash: String,
        /// What its `ssh -V` printed.
        pub ssh_version: Option<String>,
        /// When it asked.
        pub created_at: i64,
        /// When its codes die.
        pub expires_at: i64,
        /// When it last polled.
        pub last_poll_at: Option<i64>,
        /// When it polled before that.
        pub previous_poll_at: Option<i64>,
        /// Who decided.
        pub user_id: Option<UserId>,
        /// When they said yes.
        pub approved_at: Option<i64>,
        /// When they said no.
        pub denied_at: Option<i64>,
        /// When they allowed SSH clients that do not bind their session.
        pub unbound_at: Option<i64>,
        /// When the workspace fetched its token.
        pub claimed_at: Option<i64>,
    }
}

/// What a person says to a device sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Approve,
    /// Yes, and SSH clients that do not bind their session may sign in.
    ApproveUnbound,
    /// No.
    Deny,
}

/// Its plan is checked in `plans.rs`.
pub(crate) const WORKSPACE_BY_TOKEN: &str = "SELECT w.*,
            u.id AS u_id, u.name AS u_name, u.email AS u_email, u.role AS u_role,
            u.password_hash AS u_password_hash, u.created_at AS u_created_at,
            u.suspended_at AS u_suspended_at
     FROM workspaces w
     JOIN users u ON u.id = w.user_id
     WHERE w.token_hash = $1 AND w.revoked_at IS NULL AND w.expires_at > $2
       AND COALESCE(w.last_seen_at, w.created_at) > $3
       AND u.suspended_at IS NULL";

impl Store {
    /// Adds a workspace whose bearer token hashes to `token`.
    pub async fn add_workspace(&self, token: &TokenHash, workspace: &Workspace) -> Result<()> {
        self.db.execute(insert_workspace(token, workspace)).await?;
        Ok(())
    }

    /// The workspace of a token and its user in one read, unless it was revoked, has ended, was
    /// not heard of since `idle_since`, or the user is suspended.
    pub async fn workspace_by_token(
        &self,
        token: &TokenHash,
        now: i64,
        idle_since: i64,
    ) -> Result<Option<WorkspaceUser>> {
        let statement = sql(WORKSPACE_BY_TOKEN)
            .bind(token)
            .bind(&now)
            .bind(&idle_since);
        self.db.optional(statement).await
    }

    /// Binds a workspace to the machine that first uses it. False where it is bound already.
    pub async fn bind_machine(&self, workspace: &WorkspaceId, machine_hash: &str) -> Result<bool> {
        let statement = sql("UPDATE workspaces SET machine_hash = $2
             WHERE id = $1 AND machine_hash IS NULL")
        .bind(workspace)
        .bind(machine_hash);
        self.db.changed(statement).await
    }

    /// Notes that a workspace was heard of.
    pub async fn touch_workspace(&self, workspace: &WorkspaceId, now: i64) -> Result<bool> {
        let statement = sql("UPDATE workspaces SET last_seen_at = $2 WHERE id = $1")
            .bind(workspace)
            .bind(&now);
        self.db.changed(statement).await
    }

    /// Notes that a workspace received a credential or a signature.
    pub async fn note_workspace_used(&self, workspace: &WorkspaceId, now: i64) -> Result<bool> {
        let statement =
            sql("UPDATE workspaces SET last_seen_at = $2, last_used_at = $2 WHERE id = $1")
                .bind(workspace)
                .bind(&now);
        self.db.changed(statement).await
    }

    /// Notes that a second machine came with a workspace's token.
    pub async fn note_other_machine(&self, workspace: &WorkspaceId, now: i64) -> Result<bool> {
        let statement = sql("UPDATE workspaces SET other_machine_at = $2 WHERE id = $1")
            .bind(workspace)
            .bind(&now);
        self.db.changed(statement).await
    }

    /// One workspace of a user, revoked or not.
    pub async fn workspace(
        &self,
        user: &UserId,
        workspace: &WorkspaceId,
    ) -> Result<Option<Workspace>> {
        let statement = sql("SELECT * FROM workspaces WHERE user_id = $1 AND id = $2")
            .bind(user)
            .bind(workspace);
        self.db.optional(statement).await
    }

    /// A user's workspaces that are neither revoked nor ended, newest first.
    pub async fn workspaces_of(&self, user: &UserId, now: i64) -> Result<Vec<Workspace>> {
        let statement = sql("SELECT * FROM workspaces
             WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2
             ORDER BY created_at DESC, id")
        .bind(user)
        .bind(&now);
        self.db.all(statement).await
    }

    /// The workspaces a user signed in last, revoked and ended ones too, newest first.
    pub async fn workspaces_ever(&self, user: &UserId, limit: i64) -> Result<Vec<Workspace>> {
        let statement = sql("SELECT * FROM workspaces
             WHERE user_id = $1
             ORDER BY created_at DESC, id
             LIMIT $2")
        .bind(user)
        .bind(&limit);
        self.db.all(statement).await
    }

    /// Revokes a workspace of a user.
    pub async fn revoke_workspace(
        &self,
        user: &UserId,
        workspace: &WorkspaceId,
        now: i64,
    ) -> Result<bool> {
        let statement = sql("UPDATE workspaces SET revoked_at = $3
             WHERE user_id = $1 AND id = $2 AND revoked_at IS NULL")
        .bind(user)
        .bind(workspace)
        .bind(&now);
        self.db.changed(statement).await
    }

    /// Adds a device sign-in whose device code hashes to `code`. [`crate::Unique::UserCode`]
    /// where the user code is in use.
    pub async fn add_device(&self, code: &TokenHash, device: &Device) -> Result<()> {
        let statement = sql("INSERT INTO devices
               (id, code_hash, user_code, name, address, machine_hash, ssh_version,
                created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
        .bind(&device.id)
        .bind(code)
        .bind(&device.user_code)
        .bind(&device.name)
        .bind(&device.address)
        .bind(&device.machine_hash)
        .bind(&device.ssh_version)
        .bind(&device.created_at)
        .bind(&device.expires_at);
        self.db.execute(statement).await?;
        Ok(())
    }

    /// The device sign-in of a user code that waits for a decision.
    pub async fn device_by_user_code(&self, user_code: &str, now: i64) -> Result<Option<Device>> {
        let statement = sql("SELECT * FROM devices
             WHERE user_code = $1 AND expires_at > $2
               AND approved_at IS NULL AND denied_at IS NULL")
        .bind(user_code)
        .bind(&now);
        self.db.optional(statement).await
    }

    /// Decides on a device sign-in: of many callers one succeeds.
    pub async fn decide_device(
        &self,
        user_code: &str,
        user: &UserId,
        decision: Decision,
        now: i64,
    ) -> Result<bool> {
        let yes = (decision != Decision::Deny).then_some(now);
        let no = (decision == Decision::Deny).then_some(now);
        let unbound = (decision == Decision::ApproveUnbound).then_some(now);
        let statement = sql(
            "UPDATE devices SET user_id = $2, approved_at = $3, denied_at = $4, unbound_at = $5
             WHERE user_code = $1 AND expires_at > $6
               AND approved_at IS NULL AND denied_at IS NULL",
        )
        .bind(user_code)
        .bind(user)
        .bind(&yes)
        .bind(&no)
        .bind(&unbound)
        .bind(&now);
        self.db.changed(statement).await
    }

    /// Notes a poll and returns the device sign-in; `previous_poll_at` tells one that polls too
    /// fast. Ended ones are returned too, until they are cleaned up.
    pub async fn poll_device(&self, code: &TokenHash, now: i64) -> Result<Option<Device>> {
        let statement = sql(
            "UPDATE devices SET previous_poll_at = last_poll_at, last_poll_at = $2
             WHERE code_hash = $1
             RETURNING *",
        )
        .bind(code)
        .bind(&now);
        self.db.returned(statement).await
    }

    /// Turns an approved device sign-in into its workspace: of many callers one succeeds. The
    /// workspace must name the user who approved and the machine that asked.
    pub async fn claim_device(
        &self,
        device: &DeviceId,
        token: &TokenHash,
        workspace: &Workspace,
        now: i64,
    ) -> Result<bool> {
        let mut transaction = self.db.begin().await?;
        let claim = sql("UPDATE devices SET claimed_at = $2
             WHERE id = $1 AND approved_at IS NOT NULL AND claimed_at IS NULL
               AND expires_at > $2 AND user_id = $3 AND machine_hash = $4")
        .bind(device)
        .bind(&now)
        .bind(&workspace.user_id)
        .bind(&workspace.machine_hash);
        if transaction.execute(claim).await? == 0 {
            return Ok(false);
        }
        transaction
            .execute(insert_workspace(token, workspace))
            .await?;
        transaction.commit().await?;
        Ok(true)
    }
}

fn insert_workspace(token: &TokenHash, workspace: &Workspace) -> Statement {
    sql("INSERT INTO workspaces
           (id, token_hash, user_id, name, address, machine_hash, unbound_at, created_at,
            last_seen_at, last_used_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
    .bind(&workspace.id)
    .bind(token)
    .bind(&workspace.user_id)
    .bind(&workspace.name)
    .bind(&workspace.address)
    .bind(&workspace.machine_hash)
    .bind(&workspace.unbound_at)
    .bind(&workspace.created_at)
    .bind(&workspace.last_seen_at)
    .bind(&workspace.last_used_at)
    .bind(&workspace.expires_at)
}
