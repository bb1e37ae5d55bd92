//! Signing for a workspace: whose key it is, what is to be signed, whether policy allows it. The key stays here.

use secrets::{Algorithm, KeyPair, fingerprint, verify_ssh};
use ssh::{agent::Binding, public_key::PublicKey, signed::Signed};
use store::{Provider, SshKey};

use crate::{
    AsWorkspace, Refused, RefusedKind, Result, lifetimes,
    sign_policy::{Allowed, Policy, Unbound, decide},
};

/// A SIGN request of the agent protocol, with what the agent knows of the session.
#[derive(Debug, Clone)]
pub struct SignAsk {
    /// The public key's blob.
    pub key: Vec<u8>,
    /// The bytes to sign.
    pub data: Vec<u8>,
    /// Agent flags: 2 is rsa-sha2-256, 4 is rsa-sha2-512.
    pub flags: u32,
    /// The `session-bind@openssh.com` messages of this connection, oldest first.
    pub bindings: Vec<Binding>,
}

/// Longer than anything an agent's frame can hold.
const LONGEST: usize = ssh::agent::MAX_FRAME;

impl AsWorkspace {
    /// Signs with a key of the workspace's user. A dead link's key goes on signing: it is its tokens that are dead.
    ///
    /// # Errors
    /// `sign-refused` for a key that is not the user's or no longer works, and for whatever is neither a sign-in
    /// over a session of the key's provider nor a Git signature.
    pub async fn sign(&self, ask: SignAsk) -> Result<Vec<u8>> {
        let key = self.signing_key(&ask).await?;
        let provider = self.broker.store().provider(&key.provider_id).await?;
        let provider = provider.ok_or_else(|| refused("the key's provider is gone"))?;
        let what = match self.allowed(&ask, &key, &provider).await {
            Ok(allowed) => allowed,
            Err(why) => {
                let words = format!("{}: {why}", key.fingerprint);
                self.broker
                    .record([self.entry("sign.refuse", words, &provider.id)])
                    .await;
                return Err(refused(why).hint(HINT));
            }
        };
        let signature = self.signature(&key, ask).await?;
        self.note(&key, &provider, what).await?;
        Ok(signature)
    }

    async fn signing_key(&self, ask: &SignAsk) -> Result<SshKey> {
        let print = fingerprint(&ask.key);
        let key = self
            .broker
            .store()
            .key_by_fingerprint(&self.user.id, &print)
            .await?;
        if let Some(key) = key {
            return Ok(key);
        }
        let why = "the key is none of this user's working keys";
        let entry = crate::audit::Entry::new("sign.refuse", format!("{print}: {why}"));
        self.broker
            .record([entry.by(&self.user.id).through(&self.workspace.id)])
            .await;
        Err(refused(why).hint("run `forgepass setup` so that SSH learns the keys of today"))
    }

    /// What is to be signed, or why not.
    async fn allowed(
        &self,
        ask: &SignAsk,
        key: &SshKey,
        provider: &Provider,
    ) -> Result<Allowed, String> {
        if ask.data.len() > LONGEST {
            return Err("the request is longer than any that SSH makes".to_owned());
        }
        let signed = ssh::signed::parse(&ask.data).map_err(|error| {
            format!("the request is neither an SSH sign-in nor a Git signature: {error}")
        })?;
        if provider.disabled_at.is_some() && matches!(signed, Signed::UserAuth(_)) {
            return Err(format!("{} is disabled", provider.name));
        }
        if let Some(link) = &key.link_id {
            let link = self
                .broker
                .store()
                .any_link(link)
                .await
                .map_err(|error| error.to_string())?;
            if link.is_none_or(|link| link.unlinking_at.is_some()) {
                return Err("the key's link has been removed".to_owned());
            }
        }
        let host_keys = pinned(provider);
        let policy = Policy {
            key: &ask.key,
            ssh_user: &provider.ssh_user,
            host_keys: &host_keys,
            unbound: match self.workspace.unbound_at {
                Some(_) => Unbound::Allowed,
                None => Unbound::Denied,
            },
        };
        let verified = |binding: &Binding| {
            verify_ssh(&binding.host_key, &binding.session_id, &binding.signature)
        };
        decide(&signed, ask.flags, &ask.bindings, &policy, verified)
    }

    async fn signature(&self, key: &SshKey, ask: SignAsk) -> Result<Vec<u8>> {
        let sealed = key
            .private
            .as_ref()
            .ok_or_else(|| refused("the key has been destroyed"))?;
        let private = self
            .broker
            .open_key(key.id.as_str(), self.user.id.as_str(), sealed)?;
        let sign = move || KeyPair::from_openssh(&private)?.sign(&ask.data, ask.flags);
        let signature = match key.algorithm.parse().map_err(Refused::internal)? {
            Algorithm::Rsa3072 | Algorithm::Rsa4096 => self.broker.blocking(sign).await?,
            Algorithm::Ed25519 | Algorithm::EcdsaP256 => sign(),
        };
        signature.map_err(|error| refused(error.to_string()))
    }

    async fn note(&self, key: &SshKey, provider: &Provider, what: Allowed) -> Result<()> {
        let words = match what {
            Allowed::SignIn => "a sign-in",
            Allowed::UnboundSignIn => "an unbound sign-in",
            Allowed::Commit => "a Git signature",
        };
        let words = format!("{words} with {}", key.fingerprint);
        self.broker
            .record_soon(self.entry("sign.give", words, &provider.id));
        let (now, store) = (self.broker.now().await?, self.broker.store());
        // A client asks for a sign-in only after the server has said that it knows the key.
        if key.used_at.is_none() && what != Allowed::Commit {
            store.note_key_used(&key.id, now).await?;
            self.broker.let_older_go(key).await?;
        }
        // Once a minute is enough to show when something was last used.
        if self
            .workspace
            .last_used_at
            .is_none_or(|at| now - at >= lifetimes::SEEN)
        {
            store.note_workspace_used(&self.workspace.id, now).await?;
            if let Some(link) = &key.link_id {
                store.touch_link(link, now).await?;
            }
        }
        Ok(())
    }
}

const HINT: &str = "`forgepass status` shows the keys and providers of this workspace";

fn refused(why: impl Into<String>) -> Refused {
    Refused::new(RefusedKind::SignRefused, why)
}

/// Blobs of a provider's pinned host keys.
fn pinned(provider: &Provider) -> Vec<Vec<u8>> {
    let lines = provider.host_keys.iter();
    lines
        .filter_map(|line| PublicKey::parse(line).ok())
        .map(|key| key.blob)
        .collect()
}
