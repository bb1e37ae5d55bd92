//! Device sign-in (RFC 8628): how a machine becomes a workspace once a person says so.

use secrecy::SecretString;
use secrets::{hash_bearer, new_bearer, random_code, random_id};
use store::{Decision, Device, DeviceId, StoreError, Unique, Workspace, WorkspaceId};

use crate::{
    AsUser, Broker, Refused, RefusedKind, Result,
    audit::Entry,
    lifetimes,
    sessions::label,
    workspaces::{NewWorkspace, WorkspaceView, machine_hash, other_machine},
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

/// Wrong user codes that one person may type in fifteen minutes: a code has 34 bits.
const MOST_WRONG_CODES: i64 = 20;
/// Device sign-ins that one address may begin in fifteen minutes.
const MOST_DEVICES: i64 = 60;
/// Bytes of a machine id; ours have 32 random ones as base64url.
const MACHINE: std::ops::RangeInclusive<usize> = 16..=128;

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
}

impl AsUser {
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

fn no_device() -> Refused {
    Refused::not_found("code, or it is too old or decided on")
        .hint("compare it with what the workspace shows")
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
