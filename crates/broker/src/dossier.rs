//! What a site manager sees of one user: links, keys, workspaces and what happened last. Never a secret.

use store::{EventFilter, NamedEvent, Workspace};

use crate::{
    AsSiteManager, Result, UserId, lifetimes,
    users::UserView,
    views::{KeyView, LinkView},
    workspaces::WorkspaceView,
};

/// Most workspaces of one dossier: those that are over are never taken off the list.
const MOST_WORKSPACES: i64 = 50;
/// Events of one dossier; the audit log has the rest.
const LATEST: usize = 10;
/// Failures of one dossier.
const FAILURES: usize = 5;
/// How many events are searched for failures: one page of the audit log.
const SEARCHED: i64 = 500;

/// One user with all that is theirs.
#[derive(Debug, Clone)]
pub struct Dossier {
    /// Who.
    pub user: UserView,
    /// Their links, oldest first.
    pub links: Vec<LinkView>,
    /// Their working keys, newest first.
    pub keys: Vec<KeyView>,
    /// Their workspaces, newest first, those that are over too; 50 at most.
    pub workspaces: Vec<WorkspaceSeen>,
    /// What went wrong lately, newest first.
    pub failures: Vec<NamedEvent>,
    /// What happened last, newest first.
    pub latest: Vec<NamedEvent>,
}

/// A workspace as a site manager sees it.
#[derive(Debug, Clone)]
pub struct WorkspaceSeen {
    /// The workspace.
    pub workspace: WorkspaceView,
    /// Whether its token works.
    pub state: WorkspaceState,
}

/// Whether a workspace's token works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkspaceState {
    /// It does.
    Active,
    /// Nobody used it for so long that it is refused.
    Idle,
    /// Its time is over.
    Ended,
    /// Somebody revoked it.
    Revoked,
}

impl WorkspaceState {
    /// How a workspace stands at `now`, unix seconds.
    pub(crate) fn of(workspace: &Workspace, now: i64) -> Self {
        let heard = workspace.last_seen_at.unwrap_or(workspace.created_at);
        if workspace.revoked_at.is_some() {
            Self::Revoked
        } else if workspace.expires_at <= now {
            Self::Ended
        } else if heard <= now - lifetimes::WORKSPACE_IDLE {
            Self::Idle
        } else {
            Self::Active
        }
    }

    /// The word for pages: `active`, `idle`, `ended` or `revoked`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Idle => "idle",
            Self::Ended => "ended",
            Self::Revoked => "revoked",
        }
    }
}

/// Whether an event tells of something that went wrong: its action's last word says so, or what was
/// seen of a key.
fn failed(event: &NamedEvent) -> bool {
    let event = &event.event;
    let last = event.action.rsplit('.').next().unwrap_or_default();
    let key_refused = event.action == "key.upload" && event.detail.ends_with(": refused");
    matches!(last, "dead" | "refuse") || last.ends_with("failed") || key_refused
}

impl AsSiteManager {
    /// All that is known of one user.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn dossier(&self, id: &UserId) -> Result<Dossier> {
        let user = self.known(id).await?;
        let (store, now) = (self.broker.store(), self.broker.now().await?);
        let links = self.broker.link_views(&user).await?;
        let keys = self.broker.key_views(&user).await?;
        let seen = |workspace: &Workspace| WorkspaceSeen {
            workspace: WorkspaceView::of(workspace),
            state: WorkspaceState::of(workspace, now),
        };
        let workspaces = store.workspaces_ever(id, MOST_WORKSPACES).await?;
        let of_user = EventFilter {
            user_id: Some(id.clone()),
            ..EventFilter::default()
        };
        let events = store.events(&of_user, None, SEARCHED).await?;
        let failures = events.iter().filter(|event| failed(event));
        Ok(Dossier {
            user: UserView::of(&user),
            links,
            keys,
            workspaces: workspaces.iter().map(seen).collect(),
            failures: failures.take(FAILURES).cloned().collect(),
            latest: events.into_iter().take(LATEST).collect(),
        })
    }
}
