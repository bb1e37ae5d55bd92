//! What a site manager sees of one user: links, keys, workspaces and what happened last. Never a secret.

use forge::AuthStyle;
use store::{EventFilter, LinkedProvider, NamedEvent, Provider, User, ViewedLink, Workspace};

use crate::{
    AsSiteManager, Broker, Refused, Result, UserId,
    diagnose::{Case, Finding, LinkCase, at_provider, of_user, of_workspaces},
    held::Held,
    keys::kind_of,
    lifetimes,
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
    /// Why Git does not work for them, as far as this server knows: first whether they may sign in, then
    /// each provider that is offered or linked, then their workspaces. Nothing was asked of a provider.
    pub findings: Vec<Finding>,
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
    matches!(last, "dead" | "refuse" | "give-up") || last.ends_with("failed") || key_refused
}

impl AsSiteManager {
    /// All that is known of one user.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn dossier(&self, id: &UserId) -> Result<Dossier> {
        let user = self.known(id).await?;
        let of_user = EventFilter {
            user_id: Some(id.clone()),
            ..EventFilter::default()
        };
        let (held, workspaces, events) = tokio::try_join!(
            self.broker.held(&user),
            self.broker.workspaces_seen(&user),
            async { Ok::<_, Refused>(self.broker.store().events(&of_user, None, SEARCHED).await?) },
        )?;
        let failures = events.iter().filter(|event| failed(event));
        Ok(Dossier {
            user: UserView::of(&user),
            links: held.link_views()?,
            findings: self.broker.findings(&user, &held, &workspaces).await?,
            keys: held.keys,
            workspaces,
            failures: failures.take(FAILURES).cloned().collect(),
            latest: events.into_iter().take(LATEST).collect(),
        })
    }
}

impl Broker {
    /// Why a user's Git does not work, part by part.
    async fn findings(
        &self,
        user: &User,
        held: &Held,
        workspaces: &[WorkspaceSeen],
    ) -> Result<Vec<Finding>> {
        let mut findings: Vec<Finding> = of_user(user).into_iter().collect();
        for LinkedProvider { provider, links } in &held.providers {
            for link in links {
                findings.push(
                    self.diagnose(user, provider, Some(link), &held.keys)
                        .await?,
                );
            }
            if links.is_empty() && provider.disabled_at.is_none() {
                findings.push(self.diagnose(user, provider, None, &held.keys).await?);
            }
        }
        findings.push(of_workspaces(workspaces));
        Ok(findings)
    }

    async fn diagnose(
        &self,
        user: &User,
        provider: &Provider,
        link: Option<&ViewedLink>,
        keys: &[KeyView],
    ) -> Result<Finding> {
        let kind = kind_of(provider)?;
        let failed = |link: &ViewedLink| link.grants.iter().any(|grant| grant.failures > 0);
        let last_failure = match link.is_some_and(failed) {
            true => self.last_failure(user, provider).await?,
            false => None,
        };
        let of_link = link.map(|viewed| viewed.link.id.as_str());
        // Where there are no accounts, the key is the user's own.
        let has_key = link.is_some() || kind.auth() == AuthStyle::None;
        let key = keys.iter().find(|key| {
            has_key
                && key.provider_id == provider.id.as_str()
                && key.link.as_deref() == of_link
                && key.retired_at.is_none()
        });
        at_provider(&Case {
            now: self.now().await?,
            user: &user.name,
            provider,
            kind,
            link: link.map(|viewed| LinkCase {
                link: &viewed.link,
                grants: &viewed.grants,
                last_failure: last_failure.as_deref(),
            }),
            key,
        })
    }

    /// What the audit log says of the last refresh that failed for a user at a provider.
    async fn last_failure(&self, user: &User, provider: &Provider) -> Result<Option<String>> {
        let filter = EventFilter {
            user_id: Some(user.id.clone()),
            provider_id: Some(provider.id.clone()),
            action: Some("grant.refresh-failed".to_owned()),
            ..EventFilter::default()
        };
        let events = self.store().events(&filter, None, 1).await?;
        let detail = events.into_iter().next().map(|event| event.event.detail);
        Ok(detail.map(|detail| match detail.split_once(": ") {
            Some((_, why)) => why.to_owned(),
            None => detail,
        }))
    }

    async fn workspaces_seen(&self, user: &User) -> Result<Vec<WorkspaceSeen>> {
        let now = self.now().await?;
        let ever = self
            .store()
            .workspaces_ever(&user.id, MOST_WORKSPACES)
            .await?;
        let seen = |workspace: &Workspace| WorkspaceSeen {
            workspace: WorkspaceView::of(workspace),
            state: WorkspaceState::of(workspace, now),
        };
        Ok(ever.iter().map(seen).collect())
    }
}
