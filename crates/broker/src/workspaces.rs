//! Workspaces: what their tokens stand for, which machine they are bound to, and how they end.

use secrecy::SecretString;
use secrets::{hash_bearer, new_bearer, random_id, sha256_hex};
use store::{User, UserId, Workspace, WorkspaceId, WorkspaceUser};

use crate::{
    AsUser, AsWorkspace, Broker, Refused, RefusedKind, Result, audit::Entry, lifetimes,
    sessions::label, users::UserView,
};

/// One workspace.
#[derive(Debug, Clone)]
pub struct WorkspaceView {
    /// `wsp_…`.
    pub id: WorkspaceId,
    /// Its name, as it gave it.
    pub name: String,
    /// The address its sign-in came from; empty for a token issued without one.
    pub address: String,
    /// When it signed in.
    pub created_at: i64,
    /// When it was last heard of.
    pub last_seen_at: Option<i64>,
    /// When it last received a credential or a signature.
    pub last_used_at: Option<i64>,
    /// When its token ends, whatever happens.
    pub expires_at: i64,
    /// Whether an SSH client that does not bind its session may sign in with its keys.
    pub unbound_allowed: bool,
    /// When a second machine came with its token, if one did.
    pub other_machine_at: Option<i64>,
}

/// A workspace and its token, shown this once.
#[derive(Debug)]
pub struct NewWorkspace {
    /// The bearer token, `fpw_…`.
    pub token: SecretString,
    /// The workspace it stands for.
    pub workspace: WorkspaceView,
}

/// Whether SSH clients that do not bind their session may sign in from a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnboundSsh {
    /// They may; every such signature is recorded as unbound.
    Allowed,
    /// They may not.
    Denied,
}

impl WorkspaceView {
    pub(crate) fn of(workspace: &Workspace) -> Self {
        Self {
            id: workspace.id.clone(),
            name: workspace.name.clone(),
            address: workspace.address.clone(),
            created_at: workspace.created_at,
            last_seen_at: workspace.last_seen_at,
            last_used_at: workspace.last_used_at,
            expires_at: workspace.expires_at,
            unbound_allowed: workspace.unbound_at.is_some(),
            other_machine_at: workspace.other_machine_at,
        }
    }
}

impl Broker {
    /// The workspace of a token that comes from `machine`.
    ///
    /// # Errors
    /// `unauthenticated` for a token that is unknown, revoked, ended, idle too long, or of a suspended
    /// user; `other-machine` where the token is bound to another machine.
    pub async fn workspace(
        &self,
        token: &SecretString,
        machine: Option<&str>,
    ) -> Result<AsWorkspace> {
        let now = self.now().await?;
        let idle_since = now - lifetimes::WORKSPACE_IDLE;
        let found = self
            .store()
            .workspace_by_token(&hash_bearer(token), now, idle_since)
            .await?;
        let WorkspaceUser { workspace, user } = found.ok_or_else(|| {
            Refused::new(
                RefusedKind::Unauthenticated,
                "this workspace's token is unknown, revoked or has ended, or its user is suspended",
            )
            .hint("run `forgepass login` again")
        })?;
        if let Some(bound) = &workspace.machine_hash
            && machine.map(machine_hash).as_ref() != Some(bound)
        {
            self.note_other_machine(&user, &workspace, now).await?;
            return Err(other_machine());
        }
        if workspace
            .last_seen_at
            .is_none_or(|at| at + lifetimes::SEEN <= now)
        {
            self.store().touch_workspace(&workspace.id, now).await?;
        }
        Ok(AsWorkspace {
            broker: self.clone(),
            user,
            workspace,
        })
    }

    /// Notes a second machine; once a minute is enough to show it.
    async fn note_other_machine(&self, user: &User, workspace: &Workspace, now: i64) -> Result<()> {
        if workspace
            .other_machine_at
            .is_some_and(|at| at + lifetimes::SEEN > now)
        {
            return Ok(());
        }
        self.store().note_other_machine(&workspace.id, now).await?;
        let detail = format!(
            "the token of {:?} came from another machine",
            workspace.name
        );
        let entry = Entry::new("workspace.refuse", detail)
            .by(&user.id)
            .through(&workspace.id);
        self.record([entry]).await;
        Ok(())
    }
}

impl AsUser {
    /// Workspaces that are alive, newest first.
    pub async fn workspaces(&self) -> Result<Vec<WorkspaceView>> {
        let now = self.broker.now().await?;
        let found = self
            .broker
            .store()
            .workspaces_of(&self.user.id, now)
            .await?;
        Ok(found.iter().map(WorkspaceView::of).collect())
    }

    /// Makes a workspace without the device dance, for CI and images. Its token is bound to no machine.
    ///
    /// # Errors
    /// `invalid` for the name or a life that is not between a minute and the site's limit.
    pub async fn add_workspace(
        &self,
        name: &str,
        ttl_s: Option<i64>,
        unbound: UnboundSsh,
    ) -> Result<NewWorkspace> {
        let name = label(name)?;
        let limit = self.broker.config().workspace_ttl_s;
        let ttl_s = ttl_s.unwrap_or(limit);
        if !(60..=limit).contains(&ttl_s) {
            return Err(
                Refused::invalid("the life of a workspace token is out of bounds")
                    .hint(format!("give its life in seconds, 60 to {limit}")),
            );
        }
        let (now, bearer) = (self.broker.now().await?, new_bearer("fpw"));
        let mut workspace = new_row(&self.user.id, name, now);
        workspace.unbound_at = (unbound == UnboundSsh::Allowed).then_some(now);
        workspace.expires_at = now + ttl_s;
        self.broker
            .store()
            .add_workspace(&bearer.hash, &workspace)
            .await?;
        let detail = format!("token issued for {:?}", workspace.name);
        let entry = Entry::new("workspace.begin", detail)
            .by(&self.user.id)
            .through(&workspace.id);
        self.broker.record([entry]).await;
        Ok(NewWorkspace {
            token: bearer.plain,
            workspace: WorkspaceView::of(&workspace),
        })
    }

    /// Revokes a workspace of this user; the provider tokens it was handed end too.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn revoke_workspace(&self, id: &WorkspaceId) -> Result<()> {
        self.broker
            .revoke_workspace(&self.user, id, "revoked")
            .await
    }
}

impl AsWorkspace {
    /// Whose it is.
    pub fn user(&self) -> UserView {
        UserView::of(&self.user)
    }

    /// The workspace.
    pub fn workspace(&self) -> WorkspaceView {
        WorkspaceView::of(&self.workspace)
    }

    /// Ends this workspace, as `forgepass logout` does.
    pub async fn leave(&self) -> Result<()> {
        self.broker
            .revoke_workspace(&self.user, &self.workspace.id, "signed out")
            .await
    }
}

impl Broker {
    async fn revoke_workspace(&self, user: &User, id: &WorkspaceId, how: &str) -> Result<()> {
        let now = self.now().await?;
        if !self.store().revoke_workspace(&user.id, id, now).await? {
            return Err(Refused::not_found("workspace"));
        }
        self.call_in(id);
        let entry = Entry::new("workspace.revoke", how).by(&user.id).through(id);
        self.record([entry]).await;
        Ok(())
    }
}

/// A workspace that was never heard of, bound to nothing, that ends at once.
pub(crate) fn new_row(user: &UserId, name: String, now: i64) -> Workspace {
    Workspace {
        id: WorkspaceId(random_id("wsp")),
        user_id: user.clone(),
        name,
        address: String::new(),
        machine_hash: None,
        unbound_at: None,
        created_at: now,
        last_seen_at: None,
        last_used_at: None,
        expires_at: now,
        other_machine_at: None,
        revoked_at: None,
    }
}

pub(crate) fn other_machine() -> Refused {
    Refused::new(
        RefusedKind::OtherMachine,
        "this token belongs to another machine",
    )
    .hint(
        "run `forgepass login` here; if you did not copy it, revoke that workspace in the console",
    )
}

pub(crate) fn machine_hash(machine: &str) -> String {
    sha256_hex(machine.as_bytes())
}
