//! The broker's values as the API's: field by field, so that a change of either is seen here.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use broker::{
    ApiTokenView, Binding, CredentialAsk, CredentialGiven, DraftId, DraftView, GrantView,
    Invitation, KeyView, KindView, LinkStatus, LinkView, NamedEvent, NewWorkspace, ProviderInput,
    ProviderView, RuleView, SessionView, SetupLink, SetupProvider, SetupView, SignAsk, TestReport,
    UseOutcome, UseReport, UserView, WorkspaceView,
};
use secrecy::{ExposeSecret, SecretString};

use crate::problem::Failure;

pub(super) fn session(it: SessionView) -> api::Session {
    api::Session {
        id: it.id.to_string(),
        address: it.address,
        agent: it.agent,
        created_at: it.created_at,
        last_seen_at: it.last_seen_at,
        current: it.current,
    }
}

pub(super) fn api_token(it: ApiTokenView) -> api::ApiToken {
    api::ApiToken {
        id: it.id.to_string(),
        name: it.name,
        created_at: it.created_at,
        expires_at: it.expires_at,
        last_used_at: it.last_used_at,
    }
}

pub(super) fn workspace(it: WorkspaceView) -> api::Workspace {
    api::Workspace {
        id: it.id.to_string(),
        name: it.name,
        address: it.address,
        created_at: it.created_at,
        last_seen_at: it.last_seen_at,
        last_used_at: it.last_used_at,
        expires_at: it.expires_at,
        unbound_allowed: it.unbound_allowed,
        other_machine_at: it.other_machine_at,
    }
}

pub(super) fn workspace_token(it: NewWorkspace) -> api::WorkspaceToken {
    api::WorkspaceToken {
        token: it.token.expose_secret().to_owned(),
        workspace: workspace(it.workspace),
    }
}

pub(super) fn link(it: LinkView) -> api::Link {
    api::Link {
        id: it.id,
        provider_id: it.provider_id,
        provider: it.provider,
        account_id: it.account_id,
        login: it.login,
        state: it.state.as_str().to_owned(),
        reason: it.reason,
        grants: it.grants.into_iter().map(grant).collect(),
        created_at: it.created_at,
        last_used_at: it.last_used_at,
        keys: it.keys.into_iter().map(key).collect(),
    }
}

fn grant(it: GrantView) -> api::Grant {
    api::Grant {
        purpose: it.purpose,
        scopes: it.scopes,
        expires_at: it.expires_at,
    }
}

pub(super) fn key(it: KeyView) -> api::Key {
    api::Key {
        id: it.id,
        provider_id: it.provider_id,
        provider: it.provider,
        link: it.link,
        algorithm: it.algorithm,
        public_key: it.public_key,
        fingerprint: it.fingerprint,
        created_at: it.created_at,
        retired_at: it.retired_at,
        state: it.state,
        reason: it.reason,
        page: it.page,
    }
}

pub(super) fn user(it: UserView) -> api::User {
    api::User {
        id: it.id.to_string(),
        name: it.name,
        email: it.email,
        role: it.role.as_str().to_owned(),
        created_at: it.created_at,
        suspended_at: it.suspended_at,
        active: it.active,
    }
}

pub(super) fn invitation(it: Invitation) -> api::Invitation {
    api::Invitation {
        user: user(it.user),
        url: it.url.expose_secret().to_owned(),
        expires_at: it.expires_at,
    }
}

pub(super) fn kind(it: KindView) -> api::Kind {
    let step = |step: broker::GuideStep| api::GuideStep {
        text: step.text,
        values: step
            .values
            .into_iter()
            .map(|(field, value)| api::GuideValue { field, value })
            .collect(),
    };
    api::Kind {
        id: it.id.to_owned(),
        name: it.name.to_owned(),
        auth: it.auth.to_owned(),
        algorithms: it.algorithms.iter().map(ToString::to_string).collect(),
        guide: it.guide.into_iter().map(step).collect(),
    }
}

pub(super) fn draft(it: DraftView) -> api::ProviderDraft {
    api::ProviderDraft {
        id: it.id.to_string(),
        kind: it.kind,
        public_key: it.public_key,
    }
}

pub(super) fn provider(it: ProviderView) -> api::Provider {
    api::Provider {
        id: it.id.to_string(),
        kind: it.kind,
        name: it.name,
        url: it.url,
        client_id: it.client_id,
        has_client_secret: it.has_client_secret,
        consumer_name: it.consumer_name,
        public_key: it.public_key,
        description: it.description,
        api_url: it.api_url,
        git_url: it.git_url,
        ssh_user: it.ssh_user,
        ssh_addresses: it.ssh_addresses,
        host_keys: it.host_keys,
        ca_pem: it.ca_pem,
        internal: it.internal,
        narrowing_off: it.narrowing_off,
        disabled: it.disabled,
        declared: it.declared,
        links: it.links,
        alarm: it.alarm,
        last_success_at: it.last_success_at,
        created_at: it.created_at,
    }
}

pub(super) fn provider_input(it: api::ProviderInput) -> ProviderInput {
    ProviderInput {
        kind: it.kind,
        name: it.name,
        url: it.url,
        client_id: it.client_id,
        client_secret: it.client_secret.map(SecretString::from),
        consumer_name: it.consumer_name,
        draft: it.draft.map(DraftId),
        description: it.description,
        api_url: it.api_url,
        git_url: it.git_url,
        ssh_user: it.ssh_user,
        ssh_addresses: it.ssh_addresses,
        host_keys: it.host_keys,
        ca_pem: it.ca_pem,
        internal: it.internal,
        narrowing_off: it.narrowing_off,
        disabled: it.disabled,
        confirm: it.confirm,
    }
}

pub(super) fn provider_test(it: TestReport) -> api::ProviderTest {
    let check = |it: broker::Check| api::ProviderCheck {
        name: it.name,
        ok: it.ok,
        detail: it.detail,
    };
    let host_key = |it: broker::ScannedHostKey| api::ScannedHostKey {
        address: it.address,
        key: it.key,
        fingerprint: it.fingerprint,
        pinned: it.pinned,
    };
    api::ProviderTest {
        checks: it.checks.into_iter().map(check).collect(),
        host_keys: it.host_keys.into_iter().map(host_key).collect(),
    }
}

pub(super) fn event(it: NamedEvent) -> api::Event {
    api::Event {
        id: it.event.id.to_string(),
        at: it.event.at,
        user: it.user,
        workspace: it.workspace,
        provider: it.provider,
        action: it.event.action,
        detail: it.event.detail,
        count: it.event.count,
    }
}

pub(super) fn rule(it: RuleView) -> api::Rule {
    api::Rule {
        id: it.id,
        pattern: it.pattern,
        link: it.link,
        login: it.login,
        provider: it.provider,
        created_at: it.created_at,
    }
}

pub(super) fn setup(it: SetupView) -> api::Setup {
    api::Setup {
        version: it.version,
        user_name: it.user_name,
        user_email: it.user_email,
        providers: it.providers.into_iter().map(setup_provider).collect(),
        allowed_signers: it.allowed_signers,
    }
}

fn setup_provider(it: SetupProvider) -> api::SetupProvider {
    api::SetupProvider {
        id: it.id,
        name: it.name,
        git_url: it.git_url,
        https_segment: it.https_segment,
        ca_pem: it.ca_pem,
        ssh_user: it.ssh_user,
        ssh_addresses: it.ssh_addresses,
        host_keys: it.host_keys,
        links: it.links.into_iter().map(setup_link).collect(),
    }
}

fn setup_link(it: SetupLink) -> api::SetupLink {
    api::SetupLink {
        id: it.id,
        login: it.login,
        name: it.name,
        email: it.email,
        rules: it.rules,
        keys: it.keys,
        dead: it.dead,
    }
}

pub(super) fn link_status(it: LinkStatus) -> api::LinkStatus {
    api::LinkStatus {
        provider: it.provider,
        login: it.login,
        state: it.state,
        next_step: it.next_step,
        key_state: it.key_state,
    }
}

pub(super) fn credential_ask(it: api::CredentialRequest) -> CredentialAsk {
    CredentialAsk {
        protocol: it.protocol,
        host: it.host,
        path: it.path,
        username: it.username,
        min_ttl_s: it.min_ttl_s,
        state: it.state,
    }
}

pub(super) fn credential(it: CredentialGiven) -> api::Credential {
    api::Credential {
        username: it.username,
        password: it.password.expose_secret().to_owned(),
        expires_at: it.expires_at,
        state: it.state,
        link: it.link,
        provider: it.provider,
    }
}

pub(super) fn use_report(it: api::Use) -> UseReport {
    let outcome = match it.outcome {
        api::UseOutcome::Accepted => UseOutcome::Accepted,
        api::UseOutcome::Refused => UseOutcome::Refused,
        api::UseOutcome::CacheHit => UseOutcome::CacheHit,
    };
    UseReport {
        outcome,
        state: it.state,
        count: it.count,
    }
}

/// The bytes of a signature request.
///
/// # Errors
/// `invalid`, naming the field that is no base64.
pub(super) fn sign_ask(it: api::SignRequest) -> Result<SignAsk, Failure> {
    let binding = |it: api::SessionBinding| -> Result<Binding, Failure> {
        Ok(Binding {
            host_key: bytes("bindings.host_key", &it.host_key)?,
            session_id: bytes("bindings.session_id", &it.session_id)?,
            signature: bytes("bindings.signature", &it.signature)?,
            forwarding: it.forwarding,
        })
    };
    Ok(SignAsk {
        key: bytes("key", &it.key)?,
        data: bytes("data", &it.data)?,
        flags: it.flags,
        bindings: it
            .bindings
            .into_iter()
            .map(binding)
            .collect::<Result<_, _>>()?,
    })
}

fn bytes(field: &str, text: &str) -> Result<Vec<u8>, Failure> {
    BASE64
        .decode(text)
        .map_err(|_| Failure::invalid(format!("{field}: it is not base64")))
}

pub(super) fn signature(blob: &[u8]) -> api::Signature {
    api::Signature {
        signature: BASE64.encode(blob),
    }
}
