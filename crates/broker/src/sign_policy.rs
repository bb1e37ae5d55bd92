//! Whether something may be signed with a user's key. Pure: the workspace is not trusted, so all of it is decided here.

use ssh::{
    agent::Binding,
    signed::{Signed, SshSig, UserAuth},
};

/// What the server knows of the key and of the workspace that asks.
#[derive(Debug)]
pub(crate) struct Policy<'a> {
    /// The blob of the key that is to sign.
    pub(crate) key: &'a [u8],
    /// The user of the provider's SSH addresses.
    pub(crate) ssh_user: &'a str,
    /// Blobs of the provider's pinned host keys.
    pub(crate) host_keys: &'a [Vec<u8>],
    /// Whether the workspace may sign in over a session that nothing binds.
    pub(crate) unbound: Unbound,
}

/// Whether a workspace may sign in by an SSH client that does not bind its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unbound {
    /// A person allowed it.
    Allowed,
    /// The usual case.
    Denied,
}

/// What is about to be signed, once it is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// A sign-in over a session with a pinned host key.
    SignIn,
    /// A sign-in of which only the client says where it leads.
    UnboundSignIn,
    /// A commit or a tag.
    Commit,
}

/// What OpenSSH's own agent takes (`AGENT_MAX_SESSION_IDS`).
const MOST_BINDINGS: usize = 16;
/// Agent flags (RFC 9987 section 6.2).
const RSA_SHA2_256: u32 = 2;
const RSA_SHA2_512: u32 = 4;

/// Decides on `signed`, which came over a connection with `bindings`, oldest first.
///
/// `verified` says whether a binding's signature is really its host key's over its session id.
///
/// # Errors
/// One sentence that says which part of the policy is broken.
pub(crate) fn decide(
    signed: &Signed,
    flags: u32,
    bindings: &[Binding],
    policy: &Policy<'_>,
    verified: impl Fn(&Binding) -> bool,
) -> Result<Allowed, String> {
    match signed {
        Signed::SshSig(sig) => commit(sig, flags, policy),
        Signed::UserAuth(sign_in) => {
            names_the_key(sign_in, flags, policy)?;
            match bindings {
                [] => unbound(sign_in, policy),
                bindings => bound(sign_in, bindings, policy, verified),
            }
        }
    }
}

fn commit(sig: &SshSig, flags: u32, policy: &Policy<'_>) -> Result<Allowed, String> {
    if sig.namespace != "git" {
        return Err(format!(
            "signatures are made for Git only, not for `{}`",
            shown(&sig.namespace)
        ));
    }
    if is_rsa(policy.key) && rsa_algorithm(flags).is_none() {
        return Err("RSA signs with SHA-2 only".to_owned());
    }
    Ok(Allowed::Commit)
}

fn names_the_key(sign_in: &UserAuth, flags: u32, policy: &Policy<'_>) -> Result<(), String> {
    if sign_in.key != policy.key {
        return Err("the sign-in names another key than the one that is to sign".to_owned());
    }
    if sign_in.user != policy.ssh_user {
        let (user, asked) = (policy.ssh_user, shown(&sign_in.user));
        return Err(format!(
            "the provider's SSH user is `{user}`, not `{asked}`"
        ));
    }
    if is_rsa(policy.key) && rsa_algorithm(flags) != Some(sign_in.algorithm.as_str()) {
        return Err(
            "RSA signs with SHA-2 only, and by the algorithm that the sign-in names".to_owned(),
        );
    }
    Ok(())
}

fn unbound(sign_in: &UserAuth, policy: &Policy<'_>) -> Result<Allowed, String> {
    if policy.unbound == Unbound::Denied {
        return Err(
            "the SSH client did not bind its session to a server (OpenSSH does since 8.9), \
                    and this workspace may not sign in without"
                .to_owned(),
        );
    }
    // Also an unbound request may name its server; then that counts.
    match &sign_in.server_host_key {
        Some(host_key) if !policy.host_keys.contains(host_key) => Err(UNKNOWN_HOST_KEY.to_owned()),
        _ => Ok(Allowed::UnboundSignIn),
    }
}

fn bound(
    sign_in: &UserAuth,
    bindings: &[Binding],
    policy: &Policy<'_>,
    verified: impl Fn(&Binding) -> bool,
) -> Result<Allowed, String> {
    let Some(last) = bindings.last() else {
        return unbound(sign_in, policy);
    };
    if bindings.len() > MOST_BINDINGS {
        return Err("the connection is bound to too many sessions".to_owned());
    }
    // A second binding comes about by forwarding alone, and then its first says so.
    if bindings.iter().any(|binding| binding.forwarding) {
        return Err("the session forwards the agent to another machine".to_owned());
    }
    if sign_in.session_id != last.session_id {
        return Err("the sign-in belongs to another session than the one bound".to_owned());
    }
    if !policy.host_keys.contains(&last.host_key) {
        return Err(UNKNOWN_HOST_KEY.to_owned());
    }
    if sign_in
        .server_host_key
        .as_ref()
        .is_some_and(|host_key| *host_key != last.host_key)
    {
        return Err("the sign-in names another server than the one bound".to_owned());
    }
    if !bindings.iter().all(verified) {
        return Err("the server did not sign the session it is said to be bound to".to_owned());
    }
    Ok(Allowed::SignIn)
}

const UNKNOWN_HOST_KEY: &str = "the server's host key is none of the provider's pinned ones";

fn rsa_algorithm(flags: u32) -> Option<&'static str> {
    // As OpenSSH's agent does, SHA-256 first where both are asked for.
    match flags {
        flags if flags & RSA_SHA2_256 != 0 => Some("rsa-sha2-256"),
        flags if flags & RSA_SHA2_512 != 0 => Some("rsa-sha2-512"),
        _ => None,
    }
}

fn is_rsa(blob: &[u8]) -> bool {
    blob.starts_with(b"\0\0\0\x07ssh-rsa")
}

/// Text from outside, short and without control characters, for messages and the audit.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const KEY: &[u8] = b"\0\0\0\x0bssh-ed25519 our key";
    const RSA: &[u8] = b"\0\0\0\x07ssh-rsa our key";

    fn policy<'a>(key: &'a [u8], host_keys: &'a [Vec<u8>]) -> Policy<'a> {
        Policy {
            key,
            ssh_user: "git",
            host_keys,
            unbound: Unbound::Denied,
        }
    }

    fn sign_in() -> UserAuth {
        UserAuth {
            session_id: b"session".to_vec(),
            user: "git".into(),
            algorithm: "ssh-ed25519".into(),
            key: KEY.to_vec(),
            server_host_key: Some(b"forge".to_vec()),
        }
    }

    fn binding() -> Binding {
        Binding {
            host_key: b"forge".to_vec(),
            session_id: b"session".to_vec(),
            signature: b"good".to_vec(),
            forwarding: false,
        }
    }

    fn answer(
        sign_in: UserAuth,
        bindings: &[Binding],
        unbound: Unbound,
    ) -> Result<Allowed, String> {
        let host_keys = [b"old forge".to_vec(), b"forge".to_vec()];
        let policy = Policy {
            unbound,
            ..policy(KEY, &host_keys)
        };
        decide(&Signed::UserAuth(sign_in), 0, bindings, &policy, |one| {
            one.signature == b"good"
        })
    }

    fn refusal(sign_in: UserAuth, bindings: &[Binding]) -> String {
        answer(sign_in, bindings, Unbound::Denied).unwrap_err()
    }

    #[test]
    fn signs_in_over_a_bound_session_with_a_pinned_host_key() {
        for server_host_key in [None, Some(b"forge".to_vec())] {
            let sign_in = UserAuth {
                server_host_key,
                ..sign_in()
            };
            assert_eq!(
                answer(sign_in, &[binding()], Unbound::Denied),
                Ok(Allowed::SignIn)
            );
        }
    }

    #[test]
    fn refuses_a_foreign_session() {
        let foreign = UserAuth {
            session_id: b"other".to_vec(),
            ..sign_in()
        };
        assert!(refusal(foreign, &[binding()]).contains("another session"));
    }

    #[test]
    fn refuses_a_forwarded_session_wherever_it_stands() {
        let forwarded = Binding {
            forwarding: true,
            ..binding()
        };
        assert!(refusal(sign_in(), std::slice::from_ref(&forwarded)).contains("forwards"));
        assert!(refusal(sign_in(), &[forwarded, binding()]).contains("forwards"));
    }

    #[test]
    fn refuses_an_unknown_host_key() {
        let elsewhere = Binding {
            host_key: b"evil".to_vec(),
            ..binding()
        };
        let sign_in = UserAuth {
            server_host_key: None,
            ..sign_in()
        };
        assert!(refusal(sign_in, &[elsewhere]).contains("host key"));
    }

    #[test]
    fn refuses_a_binding_that_the_server_did_not_sign() {
        let forged = Binding {
            signature: b"bad".to_vec(),
            ..binding()
        };
        assert!(refusal(sign_in(), std::slice::from_ref(&forged)).contains("did not sign"));
        assert!(refusal(sign_in(), &[forged, binding()]).contains("did not sign"));
    }

    #[test]
    fn refuses_a_sign_in_that_names_another_server() {
        let other = UserAuth {
            server_host_key: Some(b"old forge".to_vec()),
            ..sign_in()
        };
        assert!(refusal(other, &[binding()]).contains("another server"));
    }

    #[test]
    fn refuses_another_user_name() {
        let root = UserAuth {
            user: "root\u{7}".into(),
            ..sign_in()
        };
        assert!(refusal(root, &[binding()]).contains("not `root`"));
    }

    #[test]
    fn refuses_a_sign_in_with_another_key() {
        let other = UserAuth {
            key: b"other".to_vec(),
            ..sign_in()
        };
        assert!(refusal(other, &[binding()]).contains("another key"));
    }

    #[test]
    fn refuses_more_bindings_than_an_agent_takes() {
        assert!(refusal(sign_in(), &vec![binding(); 17]).contains("too many"));
        assert_eq!(
            answer(sign_in(), &vec![binding(); 16], Unbound::Denied),
            Ok(Allowed::SignIn)
        );
    }

    #[test]
    fn signs_in_unbound_only_where_a_person_allowed_it() {
        let plain = || UserAuth {
            server_host_key: None,
            ..sign_in()
        };
        assert!(refusal(plain(), &[]).contains("did not bind"));
        assert_eq!(
            answer(plain(), &[], Unbound::Allowed),
            Ok(Allowed::UnboundSignIn)
        );
        assert_eq!(
            answer(sign_in(), &[], Unbound::Allowed),
            Ok(Allowed::UnboundSignIn)
        );
        let elsewhere = UserAuth {
            server_host_key: Some(b"evil".to_vec()),
            ..sign_in()
        };
        assert!(
            answer(elsewhere, &[], Unbound::Allowed)
                .unwrap_err()
                .contains("host key")
        );
    }

    #[test]
    fn allowing_unbound_sign_ins_does_not_weaken_bound_ones() {
        let foreign = UserAuth {
            session_id: b"other".to_vec(),
            ..sign_in()
        };
        assert!(answer(foreign, &[binding()], Unbound::Allowed).is_err());
    }

    #[test]
    fn signs_for_git_alone_with_or_without_a_binding() {
        let sig = |namespace: &str| {
            Signed::SshSig(SshSig {
                namespace: namespace.into(),
                hash_algorithm: "sha512".into(),
            })
        };
        let policy = policy(KEY, &[]);
        for bindings in [vec![], vec![binding()]] {
            let commit = decide(&sig("git"), 0, &bindings, &policy, |_| false);
            assert_eq!(commit, Ok(Allowed::Commit));
        }
        for namespace in ["file", "GIT", "git ", "email@example.com"] {
            assert!(
                decide(&sig(namespace), 0, &[], &policy, |_| true).is_err(),
                "{namespace}"
            );
        }
    }

    #[test]
    fn rsa_signs_with_sha_2_only_and_as_the_sign_in_says() {
        let host_keys = [b"forge".to_vec()];
        let policy = policy(RSA, &host_keys);
        let ask = |algorithm: &str, flags| {
            let sign_in = UserAuth {
                algorithm: algorithm.into(),
                key: RSA.to_vec(),
                ..sign_in()
            };
            decide(
                &Signed::UserAuth(sign_in),
                flags,
                &[binding()],
                &policy,
                |_| true,
            )
        };
        assert_eq!(ask("rsa-sha2-256", 2), Ok(Allowed::SignIn));
        assert_eq!(ask("rsa-sha2-512", 4), Ok(Allowed::SignIn));
        for (algorithm, flags) in [("ssh-rsa", 0), ("rsa-sha2-512", 0), ("rsa-sha2-512", 2)] {
            assert!(ask(algorithm, flags).is_err(), "{algorithm} {flags}");
        }
        let sig = SshSig {
            namespace: "git".into(),
            hash_algorithm: "sha512".into(),
        };
        let commit = |flags| decide(&Signed::SshSig(sig.clone()), flags, &[], &policy, |_| true);
        assert_eq!(commit(4), Ok(Allowed::Commit));
        assert!(commit(0).is_err());
    }
}
