//! Each cause is named, and the first broken part of the way is the one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use store::{GrantId, LinkId, ProviderId, Role, UserId, WorkspaceId};

use super::*;
use crate::workspaces::WorkspaceView;

const NOW: i64 = 1_000_000;
const FORGE: &str = "Forge";

fn provider() -> Provider {
    Provider {
        id: ProviderId::from("prv_1"),
        kind: "gitlab".to_owned(),
        name: FORGE.to_owned(),
        url: "https://git.example.com".to_owned(),
        api_url: None,
        git_url: None,
        client_id: "app".to_owned(),
        client_secret: None,
        signing_key: None,
        public_key: None,
        consumer_name: None,
        description: None,
        ssh_user: "git".to_owned(),
        ssh_addresses: Vec::new(),
        host_keys: Vec::new(),
        ca_pem: None,
        internal_at: None,
        narrowing_off_at: None,
        disabled_at: None,
        declared_at: None,
        alarm: None,
        alarm_at: None,
        last_success_at: Some(NOW - 10),
        last_error: None,
        last_error_at: None,
        version: 1,
        created_at: NOW,
    }
}

fn link() -> Link {
    Link {
        id: LinkId::from("lnk_1"),
        user_id: UserId::from("usr_1"),
        provider_id: ProviderId::from("prv_1"),
        account_id: "7".to_owned(),
        login: "ann-at-work".to_owned(),
        name: None,
        email: None,
        emails: Vec::new(),
        noreply: None,
        created_at: NOW,
        last_used_at: None,
        dead_at: None,
        dead_reason: None,
        unlinking_at: None,
    }
}

fn grant(purpose: Purpose, scopes: &[&str]) -> Grant {
    Grant {
        id: GrantId::from(purpose.as_str()),
        link_id: LinkId::from("lnk_1"),
        purpose: purpose.as_str().to_owned(),
        access: secrets::Sealed::from_text("v1.key.salt.x".to_owned()),
        refresh: None,
        token_secret: None,
        session_handle: None,
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        expires_at: Some(NOW + 600),
        token_id: "t".to_owned(),
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

fn key(state: &str, reason: Option<&str>) -> KeyView {
    KeyView {
        id: "key_1".to_owned(),
        provider_id: "prv_1".to_owned(),
        provider: FORGE.to_owned(),
        link: Some("lnk_1".to_owned()),
        algorithm: "ed25519".to_owned(),
        public_key: "ssh-ed25519 AAAA".to_owned(),
        fingerprint: "SHA256:x".to_owned(),
        created_at: NOW,
        retired_at: None,
        state: state.to_owned(),
        reason: reason.map(str::to_owned),
        page: Some("https://git.example.com/keys".to_owned()),
    }
}

/// Somebody for whom everything works; a test breaks one part.
struct Well {
    provider: Provider,
    link: Option<Link>,
    grants: Vec<Grant>,
    last_failure: Option<String>,
    key: Option<KeyView>,
}

impl Well {
    fn new() -> Self {
        let git = ["read_user", "read_repository", "write_repository"];
        Self {
            provider: provider(),
            link: Some(link()),
            grants: vec![grant(Purpose::Manage, &["api"]), grant(Purpose::Git, &git)],
            last_failure: None,
            key: Some(key("present", None)),
        }
    }

    fn but(change: impl FnOnce(&mut Self)) -> Finding {
        let mut it = Self::new();
        change(&mut it);
        at_provider(&Case {
            now: NOW,
            user: "ann",
            provider: &it.provider,
            kind: forge::kind(&it.provider.kind).unwrap(),
            link: it.link.as_ref().map(|link| LinkCase {
                link,
                grants: &it.grants,
                last_failure: it.last_failure.as_deref(),
            }),
            key: it.key.as_ref(),
        })
        .unwrap()
    }
}

/// Verdict, cause and mend on three lines.
#[track_caller]
fn says(finding: &Finding, verdict: Verdict, cause: &str, fix: &str) {
    assert_eq!(
        (finding.verdict, finding.cause.as_str()),
        (verdict, cause),
        "{finding:?}"
    );
    let given = finding.fix.as_deref().unwrap_or_default();
    assert!(given.contains(fix), "{given}");
    assert_eq!(finding.fix.is_none(), verdict == Verdict::Good);
}

#[test]
fn says_that_all_is_well_where_it_is() {
    let cause = "the account ann-at-work is linked, and Forge has the key";
    says(&Well::but(|_| {}), Verdict::Good, cause, "");
    let expiring = Well::but(|it| it.key = Some(key("expiring", None)));
    assert_eq!(expiring.verdict, Verdict::Good, "a new one is on its way");
}

#[test]
fn names_a_provider_that_is_off_wrongly_configured_or_away() {
    let off = Well::but(|it| it.provider.disabled_at = Some(NOW));
    says(&off, Verdict::Broken, "Forge is turned off", "turn it on");
    let alarm = Well::but(|it| it.provider.alarm = Some("invalid_client".to_owned()));
    let cause = "Forge cannot be used as it is configured: invalid_client";
    says(&alarm, Verdict::Broken, cause, "test the connection");
    let away = Well::but(|it| {
        it.provider.last_error = Some("its address: timed out".to_owned());
        it.provider.last_error_at = Some(NOW);
    });
    let cause = "Forge could not be reached: timed out";
    says(&away, Verdict::Broken, cause, "check the network");
    let unwell = Well::but(|it| {
        it.provider.last_error = Some("its answers: the provider answered 500".to_owned());
        it.provider.last_error_at = Some(NOW);
    });
    let cause = "Forge did not answer as it should: the provider answered 500";
    says(&unwell, Verdict::Broken, cause, "test the connection");
}

#[test]
fn an_error_before_the_last_success_or_about_one_account_is_not_the_providers() {
    let over = Well::but(|it| {
        it.provider.last_error = Some("its address: timed out".to_owned());
        it.provider.last_error_at = Some(NOW - 10);
    });
    assert_eq!(over.verdict, Verdict::Good);
    let of_another = Well::but(|it| {
        it.provider.last_error = Some(Refusal::TokenRejected.to_string());
        it.provider.last_error_at = Some(NOW);
    });
    assert_eq!(of_another.verdict, Verdict::Good);
}

#[test]
fn names_a_link_that_is_missing_dead_or_not_finished() {
    let none = Well::but(|it| it.link = None);
    let cause = "no account is linked at Forge";
    says(&none, Verdict::Broken, cause, "ask ann to link one");
    let dead = |why: String| {
        Well::but(|it| {
            let link = it.link.as_mut().unwrap();
            (link.dead_at, link.dead_reason) = (Some(NOW), Some(why));
        })
    };
    let scope = dead(Refusal::MissingScope("api".to_owned()).to_string());
    let cause = "the link of ann-at-work at Forge is dead: the token lacks the scope api";
    says(&scope, Verdict::Broken, cause, "ask ann to link again");
    assert!(!scope.fix.unwrap().contains("too many tokens"));
    let evicted = dead(Refusal::TokenRejected.to_string()).fix.unwrap();
    assert!(evicted.contains("too many tokens"), "{evicted}");
    let half = Well::but(|it| it.grants.truncate(1));
    assert_eq!(half.verdict, Verdict::Note, "SSH works");
    assert!(half.fix.unwrap().contains("press Finish"));
}

#[test]
fn names_a_refresh_that_fails_and_for_how_long_to_wait() {
    let failing = |why: &str, change: fn(&mut Grant)| {
        Well::but(|it| {
            it.last_failure = Some(why.to_owned());
            it.grants[1].failures = 2;
            it.grants[1].retry_at = Some(NOW + 90);
            change(&mut it.grants[1]);
        })
    };
    let limit = Refusal::RateLimited {
        retry_after_s: Some(90),
    };
    let limited = failing(&limit.to_string(), |_| {});
    let cause = "Forge did not renew the token of ann-at-work: the provider asks us to slow down";
    says(
        &limited,
        Verdict::Note,
        cause,
        "in 2 minutes, as the provider asked",
    );
    let expired = failing("answered 500", |grant| grant.expires_at = Some(NOW));
    let cause = "Forge did not renew the token of ann-at-work: answered 500";
    says(&expired, Verdict::Broken, cause, "the tokens are kept");
    let suspect = failing("answered 400", |grant| grant.suspect_since = Some(NOW));
    assert!(suspect.fix.unwrap().contains("marked dead"));
}

#[test]
fn names_what_became_of_the_key() {
    let of = |state: &str, reason: Option<&str>| Well::but(|it| it.key = Some(key(state, reason)));
    let missing = Well::but(|it| it.key = None);
    let cause = "there is no SSH key for Forge";
    says(&missing, Verdict::Note, cause, "Preferences > SSH keys");
    let saml = of("needs-authorization", None);
    let cause = "Forge has the key, but an organisation there wants it authorised first";
    says(
        &saml,
        Verdict::Broken,
        cause,
        "https://git.example.com/keys",
    );
    let refused = of("refused", Some("too weak"));
    let cause = "Forge refused the key: too weak";
    says(&refused, Verdict::Broken, cause, "ask ann to regenerate it");
    let gone = of("absent", None);
    says(
        &gone,
        Verdict::Broken,
        "Forge no longer has the key",
        "ask ann to regenerate it",
    );
    let pending = of("pending", None);
    says(
        &pending,
        Verdict::Note,
        "the key is on its way to Forge",
        "wait",
    );
    let limit = Refusal::RateLimited {
        retry_after_s: None,
    };
    let limited = of("unknown", Some(&limit.to_string()));
    let cause = "Forge asks to slow down, so the key is not confirmed";
    says(&limited, Verdict::Note, cause, "wait");
    let unknown = of("unknown", Some("timed out"));
    let cause = "Forge could not be asked about the key: timed out";
    says(&unknown, Verdict::Note, cause, "wait");
}

#[test]
fn names_a_scope_that_was_not_granted() {
    let narrow = Well::but(|it| {
        it.grants[1]
            .scopes
            .retain(|scope| scope != "write_repository");
    });
    let cause = "Forge did not grant the scope write_repository for Git to ann-at-work";
    says(&narrow, Verdict::Note, cause, "ask ann to link again");
    let unnamed = Well::but(|it| it.grants[1].scopes.clear());
    assert_eq!(unnamed.verdict, Verdict::Good, "some kinds name none");
}

#[test]
fn where_keys_are_pasted_it_speaks_of_the_key_alone() {
    let by_hand = |state: &str| {
        Well::but(|it| {
            it.provider.kind = "azure-repos".to_owned();
            it.link = None;
            it.key = Some(key(state, None));
        })
    };
    let waiting = by_hand("by-hand");
    assert_eq!(waiting.verdict, Verdict::Note);
    assert!(
        waiting
            .fix
            .unwrap()
            .contains("ask ann to paste it at https://")
    );
    let cause = "Forge takes the key; it has no accounts to link";
    says(&by_hand("present"), Verdict::Good, cause, "");
}

fn user(suspended_at: Option<i64>, password: Option<&str>) -> User {
    User {
        id: UserId::from("usr_1"),
        name: "ann".to_owned(),
        email: None,
        role: Role::Member,
        password_hash: password.map(|hash| store::PasswordHash::from_text(hash.to_owned())),
        created_at: NOW,
        suspended_at,
    }
}

#[test]
fn names_a_user_who_may_not_sign_in() {
    let suspended = of_user(&user(Some(NOW), Some("x"))).unwrap();
    let cause = "this user is suspended, so nothing is handed out";
    says(&suspended, Verdict::Broken, cause, "restore ann");
    let invited = of_user(&user(None, None)).unwrap();
    assert_eq!(invited.verdict, Verdict::Note);
    assert_eq!(of_user(&user(None, Some("x"))), None);
}

fn seen(name: &str, state: WorkspaceState) -> WorkspaceSeen {
    WorkspaceSeen {
        workspace: WorkspaceView {
            id: WorkspaceId::from("wsp_1"),
            name: name.to_owned(),
            address: String::new(),
            created_at: NOW,
            last_seen_at: None,
            last_used_at: None,
            expires_at: NOW,
            unbound_allowed: false,
            other_machine_at: None,
        },
        state,
    }
}

#[test]
fn names_a_workspace_token_that_is_over() {
    use WorkspaceState::{Active, Ended, Idle, Revoked};
    says(
        &of_workspaces(&[]),
        Verdict::Note,
        "no workspace has signed in yet",
        "forgepass login",
    );
    for (state, cause) in [
        (Revoked, "the workspace token of box was revoked"),
        (Ended, "the workspace token of box has reached its end"),
        (
            Idle,
            "the workspace token of box was not used for 30 days, so it ended",
        ),
    ] {
        let found = of_workspaces(&[seen("box", state), seen("older", Revoked)]);
        says(&found, Verdict::Broken, cause, "forgepass login");
    }
    let some = of_workspaces(&[seen("box", Revoked), seen("older", Active)]);
    says(&some, Verdict::Good, "1 of 2 can ask", "");
    let mut copied = seen("box", Active);
    copied.workspace.other_machine_at = Some(NOW);
    let found = of_workspaces(&[copied]);
    let cause = "a second machine came with the token of box and was refused";
    says(&found, Verdict::Note, cause, "revoke it");
}
