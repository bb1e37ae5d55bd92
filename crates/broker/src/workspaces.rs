//! Workspaces: the device sign-in that makes them (RFC 8628), and what their tokens stand for.

use secrecy::SecretString;
use secrets::{hash_bearer, new_bearer, random_code, random_id, sha256_hex};
use store::{
    Decision, Device, DeviceId, StoreError, Unique, User, Workspace, WorkspaceId, WorkspaceUser,
};

use crate::{
    AsUser, AsWorkspace, Broker, Refused, RefusedKind, Result, audit::Entry, lifetimes,
    sessions::label, users::UserView,
};

/// A machine that asks to become a workspace.
#[derive(Debug, Clone)]
pub struct DeviceAsk {
    /// What it calls itself, shown to the person who approves.
    pub name: String,
    /// A random id of the machine; later requests must carry the same.
    pub machine: String,
    /// What its `ssh -V` printed.
    pub ssh_version: Option<String>,
    /// Where its request came from.
    pub address: String,
}

/// Both codes of a device sign-in (RFC 8628 section 3.2).
#[derive(Debug)]
pub struct DeviceBegun {
    /// The secret that the machine polls with.
    pub device_code: SecretString,
    /// What the person types or compares, `XXXX-XXXX`.
    pub user_code: String,
    /// Life of both, seconds.
    pub expires_in_s: i64,
    /// Least time between two polls, seconds.
    pub interval_s: i64,
}

/// A device sign-in that waits for a decision.
#[derive(Debug, Clone)]
pub struct PendingDevice {
    /// The code, as the person should see it.
    pub user_code: String,
    /// What it calls itself.
    pub name: String,
    /// Where its request came from.
    pub address: String,
    /// When it asked.
    pub created_at: i64,
    /// Whether its ssh cannot bind sessions, so that allowing unbound ones should be offered.
    pub old_ssh: bool,
}

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

/// Wrong user codes that one person may type in fifteen minutes: a code has 34 bits.
const MOST_WRONG_CODES: i64 = 20;
/// Device sign-ins that one address may begin in fifteen minutes.
const MOST_DEVICES: i64 = 60;
/// Bytes of a machine id; ours have 32 random ones as base64url.
const MACHINE: std::ops::RangeInclusive<usize> = 16..=128;

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
    /// Begins a device sign-in.
    ///
    /// # Errors
    /// `invalid` for the name or the machine id; `unauthenticated` after too many from one address.
    pub async fn begin_device(&self, ask: DeviceAsk) -> Result<DeviceBegun> {
        let name = label(&ask.name)?;
        if !MACHINE.contains(&ask.machine.len()) || ask.machine.contains(char::is_control) {
            return Err(Refused::invalid(
                "the machine id must have 16 to 128 characters",
            ));
        }
        self.count_try(
            &format!("device\n{}", ask.address),
            MOST_DEVICES,
            "device sign-ins",
        )
        .await?;
        let bearer = new_bearer("fpd");
        let now = self.now().await?;
        let mut device = Device {
            id: DeviceId(random_id("dev")),
            user_code: random_code(),
            name,
            address: ask.address,
            machine_hash: machine_hash(&ask.machine),
            ssh_version: ask
                .ssh_version
                .map(|version| version.chars().take(100).collect()),
            created_at: now,
            expires_at: now + lifetimes::DEVICE_CODE,
            last_poll_at: None,
            previous_poll_at: None,
            user_id: None,
            approved_at: None,
            denied_at: None,
            unbound_at: None,
            claimed_at: None,
        };
        while let Err(error) = self.store().add_device(&bearer.hash, &device).await {
            // Two of these codes at once are rare, so it ends.
            match error {
                StoreError::Duplicate(Unique::UserCode) => device.user_code = random_code(),
                error => return Err(error.into()),
            }
        }
        Ok(DeviceBegun {
            device_code: bearer.plain,
            user_code: device.user_code,
            expires_in_s: lifetimes::DEVICE_CODE,
            interval_s: lifetimes::DEVICE_INTERVAL,
        })
    }

    /// Polls a device sign-in; the first poll after the approval receives the workspace's token.
    ///
    /// # Errors
    /// `authorization_pending`, `slow_down`, `access_denied` and `expired_token` as RFC 8628
    /// section 3.5 has them; `other-machine` for a poll from a machine that did not ask.
    pub async fn poll_device(
        &self,
        device_code: &SecretString,
        machine: &str,
    ) -> Result<NewWorkspace> {
        let now = self.now().await?;
        let device = self
            .store()
            .poll_device(&hash_bearer(device_code), now)
            .await?;
        let device = device.ok_or_else(expired)?;
        if device.machine_hash != machine_hash(machine) {
            let detail = format!("the code of {:?} polled by another machine", device.name);
            self.record([Entry::new("workspace.refuse", detail)]).await;
            return Err(other_machine());
        }
        state(&device, now)?;
        self.claim(&device, now).await
    }

    async fn claim(&self, device: &Device, now: i64) -> Result<NewWorkspace> {
        let user = device.user_id.clone().ok_or_else(pending)?;
        let bearer = new_bearer("fpw");
        let workspace = Workspace {
            id: WorkspaceId(random_id("wsp")),
            user_id: user,
            name: device.name.clone(),
            address: device.address.clone(),
            machine_hash: Some(device.machine_hash.clone()),
            unbound_at: device.unbound_at,
            created_at: now,
            last_seen_at: Some(now),
            last_used_at: None,
            expires_at: now + self.config().workspace_ttl_s,
            other_machine_at: None,
            revoked_at: None,
        };
        if !self
            .store()
            .claim_device(&device.id, &bearer.hash, &workspace, now)
            .await?
        {
            return Err(expired());
        }
        let entry = Entry::new("workspace.begin", format!("{:?} signed in", workspace.name));
        self.record([entry.by(&workspace.user_id).through(&workspace.id)])
            .await;
        Ok(NewWorkspace {
            token: bearer.plain,
            workspace: WorkspaceView::of(&workspace),
        })
    }

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
                "this workspace's token is unknown, revoked or has ended",
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
        let workspace = Workspace {
            id: WorkspaceId(random_id("wsp")),
            user_id: self.user.id.clone(),
            name,
            address: String::new(),
            machine_hash: None,
            unbound_at: (unbound == UnboundSsh::Allowed).then_some(now),
            created_at: now,
            last_seen_at: None,
            last_used_at: None,
            expires_at: now + ttl_s,
            other_machine_at: None,
            revoked_at: None,
        };
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

    /// The device sign-in of a user code that waits for a decision.
    ///
    /// # Errors
    /// `not-found`; `unauthenticated` after too many wrong codes.
    pub async fn pending_device(&self, user_code: &str) -> Result<PendingDevice> {
        let device = self.waiting(user_code).await?;
        Ok(PendingDevice {
            old_ssh: device.ssh_version.as_deref().is_some_and(cannot_bind),
            user_code: device.user_code,
            name: device.name,
            address: device.address,
            created_at: device.created_at,
        })
    }

    /// Decides on a device sign-in, once.
    ///
    /// # Errors
    /// `not-found` where it is unknown, too old or decided on.
    pub async fn decide_device(&self, user_code: &str, decision: Decision) -> Result<()> {
        let device = self.waiting(user_code).await?;
        let (store, now) = (self.broker.store(), self.broker.now().await?);
        if !store
            .decide_device(&device.user_code, &self.user.id, decision, now)
            .await?
        {
            return Err(no_device());
        }
        let (action, word) = match decision {
            Decision::Approve => ("workspace.approve", "approved"),
            Decision::ApproveUnbound => ("workspace.approve", "approved, with unbound SSH"),
            Decision::Deny => ("workspace.deny", "denied"),
        };
        self.note(
            action,
            format!("{:?} at {} {word}", device.name, device.address),
        )
        .await;
        Ok(())
    }

    async fn waiting(&self, user_code: &str) -> Result<Device> {
        let place = format!("user-code\n{}", self.user.id);
        self.broker
            .count_try(&place, MOST_WRONG_CODES, "wrong codes")
            .await?;
        let (store, now) = (self.broker.store(), self.broker.now().await?);
        let found = match normal_code(user_code) {
            Some(code) => store.device_by_user_code(&code, now).await?,
            None => None,
        };
        let device = found.ok_or_else(no_device)?;
        self.broker.forget_tries(&place).await?;
        Ok(device)
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

/// Where a device sign-in stands; `Ok` once it may be claimed.
fn state(device: &Device, now: i64) -> Result<()> {
    if device.expires_at <= now || device.claimed_at.is_some() {
        return Err(expired());
    }
    if device.denied_at.is_some() {
        return Err(Refused::new(
            RefusedKind::AccessDenied,
            "the sign-in was denied",
        ));
    }
    if device.approved_at.is_some() {
        return Ok(());
    }
    let too_fast = |at: i64| {
        device
            .last_poll_at
            .is_some_and(|last| last - at < lifetimes::DEVICE_INTERVAL)
    };
    if device.previous_poll_at.is_some_and(too_fast) {
        return Err(Refused::new(RefusedKind::SlowDown, "polled too fast")
            .retry_after(Some(lifetimes::DEVICE_INTERVAL)));
    }
    Err(pending())
}

fn pending() -> Refused {
    Refused::new(RefusedKind::AuthorizationPending, "nobody has decided yet")
        .retry_after(Some(lifetimes::DEVICE_INTERVAL))
}

fn expired() -> Refused {
    Refused::new(
        RefusedKind::ExpiredToken,
        "the code is unknown, used or too old",
    )
    .hint("run `forgepass login` again")
}

fn other_machine() -> Refused {
    Refused::new(
        RefusedKind::OtherMachine,
        "this token belongs to another machine",
    )
    .hint(
        "run `forgepass login` here; if you did not copy it, revoke that workspace in the console",
    )
}

fn no_device() -> Refused {
    Refused::not_found("code, or it is too old or decided on")
        .hint("compare it with what the workspace shows")
}

fn machine_hash(machine: &str) -> String {
    sha256_hex(machine.as_bytes())
}

/// The code as stored, however it was typed; none where it cannot be one.
fn normal_code(typed: &str) -> Option<String> {
    let letters: String = typed
        .chars()
        .filter(char::is_ascii_alphabetic)
        .collect::<String>()
        .to_ascii_uppercase();
    (letters.len() == 8).then(|| format!("{}-{}", &letters[..4], &letters[4..]))
}

/// Whether an OpenSSH is older than 8.9, the first that binds sessions. Others are taken at their word.
fn cannot_bind(version: &str) -> bool {
    let Some(rest) = version.trim().strip_prefix("OpenSSH_") else {
        return false;
    };
    let digits = |text: &str| -> u32 {
        text.chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
            .parse()
            .unwrap_or(0)
    };
    let (major, minor) = rest.split_once('.').unwrap_or((rest, ""));
    (digits(major), digits(minor)) < (8, 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_understood_however_they_are_typed() {
        for typed in ["BCDF-GHJK", "bcdfghjk", " bcdf ghjk ", "BCDF–GHJK"] {
            assert_eq!(
                normal_code(typed).as_deref(),
                Some("BCDF-GHJK"),
                "{typed:?}"
            );
        }
        assert_eq!(normal_code("BCDF"), None);
    }

    #[test]
    fn only_openssh_before_8_9_cannot_bind() {
        for old in [
            "OpenSSH_8.8p1",
            "OpenSSH_7.9p1 Debian-10+deb10u2",
            "OpenSSH_6.6.1",
        ] {
            assert!(cannot_bind(old), "{old}");
        }
        for new in [
            "OpenSSH_8.9p1",
            "OpenSSH_9.2p1 Debian-2",
            "OpenSSH_10.0p2",
            "dropbear",
            "",
        ] {
            assert!(!cannot_bind(new), "{new}");
        }
    }
}
