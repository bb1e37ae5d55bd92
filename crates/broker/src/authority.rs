//! Authority as values: who asks, proven once, and what they may therefore do.

use store::{Role, SessionId, User, Workspace};

use crate::{Broker, Refused, RefusedKind, Result};

/// A signed-in user. What they may do stands in the modules of its subjects.
#[derive(Clone)]
pub struct AsUser {
    pub(crate) broker: Broker,
    pub(crate) user: User,
    pub(crate) via: Via,
}

/// What proved the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Via {
    /// A browser session: a link is finished in the one that began it.
    Session(SessionId),
    /// An API token.
    ApiToken,
    /// The server's own command line, run by the owner of the machine.
    Owner,
}

/// A user who may do what a site manager does.
#[derive(Clone)]
pub struct AsSiteManager {
    pub(crate) broker: Broker,
    pub(crate) user: User,
}

/// A user who may read the audit log.
#[derive(Clone)]
pub struct AsAuditor {
    pub(crate) broker: Broker,
}

/// A workspace that acts for its user, with little more than Git needs.
#[derive(Clone)]
pub struct AsWorkspace {
    pub(crate) broker: Broker,
    pub(crate) user: User,
    pub(crate) workspace: Workspace,
}

impl AsUser {
    /// The authority of a site manager.
    ///
    /// # Errors
    /// `forbidden` for every other role.
    pub fn site_manager(&self) -> Result<AsSiteManager> {
        match self.user.role {
            Role::SiteManager => Ok(AsSiteManager {
                broker: self.broker.clone(),
                user: self.user.clone(),
            }),
            Role::Member | Role::Auditor => Err(forbidden("a site manager")),
        }
    }

    /// The authority to read the audit log.
    ///
    /// # Errors
    /// `forbidden` for members.
    pub fn auditor(&self) -> Result<AsAuditor> {
        match self.user.role {
            Role::SiteManager | Role::Auditor => Ok(AsAuditor {
                broker: self.broker.clone(),
            }),
            Role::Member => Err(forbidden("an auditor or a site manager")),
        }
    }

    /// The browser session that asks, if it is one.
    pub fn session_id(&self) -> Option<&SessionId> {
        match &self.via {
            Via::Session(id) => Some(id),
            Via::ApiToken | Via::Owner => None,
        }
    }
}

fn forbidden(who: &str) -> Refused {
    Refused::new(RefusedKind::Forbidden, format!("only {who} may do this"))
        .hint("ask a site manager to do it or to change your role")
}
