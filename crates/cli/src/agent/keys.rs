//! The user's public keys in the set-up data. Pure.

use api::{Setup, SetupProvider};
use ssh::agent::{Binding, Identity};
use ssh::public_key::PublicKey;

/// The keys to show a client: those of the provider it talks to, or all of them (for signing commits)
/// where it has not said whom it talks to. One that forwards the agent, or talks to a server whose key is
/// not pinned, sees none.
pub(super) fn visible(setup: &Setup, bindings: &[Binding]) -> Vec<Identity> {
    let forwarded = bindings.iter().any(|binding| binding.forwarding);
    let bound = bindings.last();
    let mut keys: Vec<Identity> = Vec::new();
    for provider in setup.providers.iter().filter(|_| !forwarded) {
        if bound.is_some_and(|binding| !pins(provider, &binding.host_key)) {
            continue;
        }
        for identity in identities(provider) {
            if !keys.iter().any(|known| known.key == identity.key) {
                keys.push(identity);
            }
        }
    }
    keys
}

/// Whether a key is one of this user's.
pub(super) fn owns(setup: &Setup, blob: &[u8]) -> bool {
    setup
        .providers
        .iter()
        .flat_map(identities)
        .any(|identity| identity.key == blob)
}

fn pins(provider: &SetupProvider, host_key: &[u8]) -> bool {
    pinned(provider).any(|key| key.blob == host_key)
}

/// A provider's pinned host keys. A line that is no key pins nothing.
pub(super) fn pinned(provider: &SetupProvider) -> impl Iterator<Item = PublicKey> {
    provider
        .host_keys
        .iter()
        .filter_map(|line| PublicKey::parse(line).ok())
}

/// A provider's live keys of this user, with comments that tell them apart in `ssh-add -l`.
pub(super) fn identities(provider: &SetupProvider) -> impl Iterator<Item = Identity> {
    provider.links.iter().flat_map(|link| {
        let comment = match &link.login {
            Some(login) => format!("{login} at {}", provider.name),
            None => provider.name.clone(),
        };
        link.keys
            .iter()
            .filter_map(|line| PublicKey::parse(line).ok())
            .map(move |key| Identity {
                key: key.blob,
                comment: comment.clone(),
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::tests::{provider, setup};

    fn binding(host_key: &[u8]) -> Binding {
        Binding {
            host_key: host_key.to_vec(),
            session_id: vec![1],
            signature: vec![],
            forwarding: false,
        }
    }

    fn other_key() -> String {
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK3xH7aVOXD4m0bbqI3AsPUctC5N5BGdhOns9/G7Ed1N"
            .to_owned()
    }

    fn two() -> Setup {
        let mut one = provider("one", "https://one.example.com", &["one.example.com"]);
        one.host_keys = vec![other_key()];
        setup(vec![
            one,
            provider("two", "https://two.example.com", &["two.example.com"]),
        ])
    }

    #[test]
    fn shows_a_bound_client_the_keys_of_its_provider_alone() {
        let mut setup = two();
        setup.providers[0].links[0].keys = vec![other_key()];
        let host_key = pinned(&setup.providers[1])
            .next()
            .map(|key| key.blob)
            .unwrap_or_default();
        let seen = visible(&setup, &[binding(&host_key)]);
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].comment, "ann at two");
    }

    #[test]
    fn shows_nothing_to_an_unknown_server_or_through_a_forwarded_agent() {
        let setup = two();
        assert!(visible(&setup, &[binding(b"stranger")]).is_empty());
        let host_key = pinned(&setup.providers[1])
            .next()
            .map(|key| key.blob)
            .unwrap_or_default();
        let mut forwarded = binding(&host_key);
        forwarded.forwarding = true;
        assert!(visible(&setup, &[forwarded, binding(&host_key)]).is_empty());
    }

    #[test]
    fn shows_an_unbound_client_each_key_once() {
        assert_eq!(
            visible(&two(), &[]).len(),
            1,
            "both providers hold the same key"
        );
    }
}
