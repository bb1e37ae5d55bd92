//! Rows to start from: `ann` has something of everything, `ben` is the second user.

use secrets::{Sealed, TokenHash, hash_bearer};
use store::*;

/// The time of every fixture.
pub(crate) const NOW: i64 = 1_000_000;

pub(crate) fn hash(text: &str) -> TokenHash {
    hash_bearer(&text.into())
}

pub(crate) fn sealed(text: &str) -> Sealed {
    Sealed::from_text(format!("v1.key.salt.{text}"))
}

pub(crate) fn user(name: &str) -> User {
    User {
        id: UserId(format!("usr_{name}")),
        name: name.to_owned(),
        email: Some(format!("{name}@example.com")),
        role: Role::Member,
        password_hash: None,
        created_at: NOW,
        suspended_at: None,
    }
}

/// Adds `ann` and `ben`, and returns their ids.
pub(crate) async fn people(store: &Store) -> (UserId, UserId) {
    let (ann, ben) = (user("ann"), user("ben"));
    store.add_user(&ann).await.unwrap();
    store.add_user(&ben).await.unwrap();
    (ann.id, ben.id)
}

pub(crate) fn session(user: &UserId) -> Session {
    Session {
        id: SessionId(format!("ses_{user}")),
        user_id: user.clone(),
        address: "192.0.2.1".to_owned(),
        agent: "Browser/1".to_owned(),
        created_at: NOW,
        last_seen_at: NOW,
        expires_at: NOW + 100,
    }
}

pub(crate) fn workspace(user: &UserId) -> Workspace {
    Workspace {
        id: WorkspaceId(format!("wsp_{user}")),
        user_id: user.clone(),
        name: "box".to_owned(),
        address: "192.0.2.2".to_owned(),
        machine_hash: None,
        unbound_at: None,
        created_at: NOW,
        last_seen_at: None,
        last_used_at: None,
        expires_at: NOW + 100,
        other_machine_at: None,
        revoked_at: None,
    }
}

pub(crate) fn device(name: &str) -> Device {
    Device {
        id: DeviceId(format!("dev_{name}")),
        user_code: format!("CODE-{name}"),
        name: name.to_owned(),
        address: "192.0.2.3".to_owned(),
        machine_hash: "machine".to_owned(),
        ssh_version: Some("OpenSSH_9.2p1".to_owned()),
        created_at: NOW,
        expires_at: NOW + 100,
        last_poll_at: None,
        previous_poll_at: None,
        user_id: None,
        approved_at: None,
        denied_at: None,
        unbound_at: None,
        claimed_at: None,
    }
}

pub(crate) fn provider(name: &str) -> Provider {
    Provider {
        id: ProviderId(format!("prv_{name}")),
        kind: "github".to_owned(),
        name: name.to_owned(),
        url: format!("https://{name}.example.com"),
        api_url: None,
        git_url: Some(format!("https://{name}.example.com/git")),
        client_id: "client".to_owned(),
        client_secret: Some(sealed("client-secret")),
        signing_key: Some(sealed("signing-key")),
        public_key: Some("PEM".to_owned()),
        consumer_name: Some("Forgepass".to_owned()),
        description: Some("Where code lives".to_owned()),
        ssh_user: "git".to_owned(),
        ssh_addresses: vec![
            "one.example.com".to_owned(),
            "two.example.com:443".to_owned(),
        ],
        host_keys: vec![],
        ca_pem: Some("-----BEGIN\nCERTIFICATE-----".to_owned()),
        internal_at: Some(NOW),
        narrowing_off_at: None,
        disabled_at: None,
        declared_at: None,
        alarm: None,
        alarm_at: None,
        last_success_at: None,
        last_error: None,
        last_error_at: None,
        version: 1,
        created_at: NOW,
    }
}

pub(crate) fn link(user: &UserId, provider: &ProviderId, account: &str) -> Link {
    Link {
        id: LinkId(format!("lnk_{user}_{account}")),
        user_id: user.clone(),
        provider_id: provider.clone(),
        account_id: account.to_owned(),
        login: format!("{account}-login"),
        name: Some("Ann".to_owned()),
        email: Some("ann@example.com".to_owned()),
        emails: vec![
            "ann@example.com".to_owned(),
            "ann@work.example.com".to_owned(),
        ],
        noreply: None,
        created_at: NOW,
        last_used_at: None,
        dead_at: None,
        dead_reason: None,
        unlinking_at: None,
    }
}

pub(crate) fn grant(link: &LinkId, purpose: &str) -> Grant {
    Grant {
        id: GrantId(format!("grt_{link}_{purpose}")),
        link_id: link.clone(),
        purpose: purpose.to_owned(),
        access: sealed("access"),
        refresh: Some(sealed("refresh")),
        token_secret: Some(sealed("token-secret")),
        session_handle: Some(sealed("session-handle")),
        scopes: vec!["repo".to_owned(), "workflow".to_owned()],
        expires_at: Some(NOW + 50),
        token_id: "token-1".to_owned(),
        remote_id: None,
        obtained_at: NOW,
        version: 1,
        lease_owner: None,
        lease_until: None,
        handed_at: None,
        retry_at: None,
        failures: 0,
        suspect_since: None,
        forced_at: None,
    }
}

pub(crate) fn key(
    name: &str,
    user: &UserId,
    provider: &ProviderId,
    link: Option<&LinkId>,
) -> SshKey {
    SshKey {
        id: KeyId(format!("key_{name}")),
        user_id: user.clone(),
        provider_id: provider.clone(),
        link_id: link.cloned(),
        algorithm: "ed25519".to_owned(),
        public_key: format!("ssh-ed25519 {name}"),
        blob_hash: format!("blob {name}"),
        fingerprint: format!("SHA256:{name}"),
        private: Some(sealed("private")),
        created_at: NOW,
        retired_at: None,
        used_at: None,
        deleted_at: None,
    }
}

pub(crate) fn event(id: &str, at: i64, action: &str) -> Event {
    Event {
        id: EventId(id.to_owned()),
        at,
        user_id: None,
        workspace_id: None,
        provider_id: None,
        action: action.to_owned(),
        detail: "as asked".to_owned(),
        count: 1,
    }
}

/// What `ann` has.
pub(crate) struct Linked {
    pub(crate) ann: UserId,
    pub(crate) ben: UserId,
    pub(crate) provider: ProviderId,
    pub(crate) link: LinkId,
    pub(crate) grant: Grant,
    pub(crate) key: KeyId,
}

/// Adds `ann` and `ben`, a provider, and `ann`'s link there with a `git` grant and a key.
pub(crate) async fn linked(store: &Store) -> Linked {
    let (ann, ben) = people(store).await;
    let provider = provider("hub");
    store.add_provider(&provider).await.unwrap();
    let link = store
        .add_link(&link(&ann, &provider.id, "100"))
        .await
        .unwrap()
        .id;
    let grant = grant(&link, "git");
    assert!(store.put_grant(&grant).await.unwrap().is_none());
    let key = key("one", &ann, &provider.id, Some(&link));
    store.add_key(&key).await.unwrap();
    Linked {
        ann,
        ben,
        provider: provider.id,
        link,
        grant,
        key: key.id,
    }
}
