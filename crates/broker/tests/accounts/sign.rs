//! Signing for workspaces: only sign-ins at the key's own provider, and Git signatures.

use broker::{AsWorkspace, KeyId, LinkId, RefusedKind, SignAsk, UnboundSsh};
use secrets::{Algorithm, KeyPair, verify_ssh};
use ssh::{agent::Binding, public_key::PublicKey, wire::Writer};
use store::ProviderId;
use testforge::Shape;

use crate::stage::{GITLAB, Stage};

/// A stage whose provider has a host key of which the test holds the private half.
struct Scene {
    stage: Stage,
    workspace: AsWorkspace,
    host: KeyPair,
    key: Vec<u8>,
}

impl Scene {
    async fn new(shape: Shape) -> Self {
        let stage = Stage::new(shape).await;
        let host = KeyPair::generate(Algorithm::Ed25519).unwrap();
        let mut row = stage
            .store
            .provider(&stage.provider)
            .await
            .unwrap()
            .unwrap();
        row.host_keys = vec![host.public_line("").trim_end().to_owned()];
        stage.store.update_provider(&row).await.unwrap();
        let line = match shape {
            Shape::Azure | Shape::OtherGit => stage.ann.keys().await.unwrap()[0].public_key.clone(),
            _ => stage.link().await.keys[0].public_key.clone(),
        };
        let workspace = stage.workspace().await;
        Self {
            workspace,
            host,
            key: blob(&line),
            stage,
        }
    }

    fn binding(&self) -> Binding {
        Binding {
            host_key: self.host.public_blob(),
            session_id: b"session".to_vec(),
            signature: self.host.sign(b"session", 0).unwrap(),
            forwarding: false,
        }
    }

    fn ask(&self, data: Vec<u8>, bindings: Vec<Binding>) -> SignAsk {
        let flags = if self.key.starts_with(b"\0\0\0\x07ssh-rsa") {
            4
        } else {
            0
        };
        SignAsk {
            key: self.key.clone(),
            data,
            flags,
            bindings,
        }
    }

    async fn refused(&self, ask: SignAsk) -> String {
        let refused = self.workspace.sign(ask).await.unwrap_err();
        assert_eq!(refused.kind, RefusedKind::SignRefused);
        refused.detail
    }

    /// Signs in at the provider, as ssh does.
    async fn sign_in(&self) -> Vec<u8> {
        let data = sign_in(&self.key, "git");
        self.workspace
            .sign(self.ask(data, vec![self.binding()]))
            .await
            .unwrap()
    }
}

fn blob(line: &str) -> Vec<u8> {
    PublicKey::parse(line).unwrap().blob
}

fn algorithm(key: &[u8]) -> &'static str {
    match &key[4..11] {
        b"ssh-rsa" => "rsa-sha2-512",
        b"ecdsa-s" => "ecdsa-sha2-nistp256",
        _ => "ssh-ed25519",
    }
}

/// The bytes of a sign-in (RFC 4252 section 7) over the session `session`.
fn sign_in(key: &[u8], user: &str) -> Vec<u8> {
    Writer::new()
        .string("session")
        .u8(50)
        .string(user)
        .string("ssh-connection")
        .string("publickey")
        .bool(true)
        .string(algorithm(key))
        .string(key)
        .into_vec()
}

/// The bytes of an SSHSIG over a commit.
fn commit(namespace: &str) -> Vec<u8> {
    Writer::new()
        .raw(b"SSHSIG")
        .string(namespace)
        .string("")
        .string("sha512")
        .string([7; 64])
        .into_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn signs_in_at_the_keys_own_provider() {
    for shape in [GITLAB, Shape::OtherGit, Shape::Azure] {
        let scene = Scene::new(shape).await;
        let signature = scene.sign_in().await;
        assert!(
            verify_ssh(&scene.key, &sign_in(&scene.key, "git"), &signature),
            "{shape:?}"
        );
        let events = scene.stage.events("sign.give").await;
        assert!(
            events[0].starts_with("a sign-in with SHA256:"),
            "{events:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signs_commits_without_any_binding() {
    let scene = Scene::new(GITLAB).await;
    let signature = scene
        .workspace
        .sign(scene.ask(commit("git"), vec![]))
        .await
        .unwrap();
    assert!(verify_ssh(&scene.key, &commit("git"), &signature));
    assert!(
        scene
            .refused(scene.ask(commit("file"), vec![]))
            .await
            .contains("file")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_and_records_what_policy_forbids() {
    let scene = Scene::new(GITLAB).await;
    let good = || sign_in(&scene.key, "git");
    let other = KeyPair::generate(Algorithm::Ed25519).unwrap();
    let forged = Binding {
        signature: other.sign(b"session", 0).unwrap(),
        ..scene.binding()
    };
    let elsewhere = Binding {
        host_key: other.public_blob(),
        signature: other.sign(b"session", 0).unwrap(),
        ..scene.binding()
    };
    let session = Binding {
        session_id: b"other".to_vec(),
        signature: scene.host.sign(b"other", 0).unwrap(),
        ..scene.binding()
    };
    let forwarded = Binding {
        forwarding: true,
        ..scene.binding()
    };
    let mut refusals = vec![
        (
            b"a letter to the bank".to_vec(),
            vec![scene.binding()],
            "neither",
        ),
        (Vec::new(), vec![scene.binding()], "neither"),
        (vec![0; 300_000], vec![scene.binding()], "longer"),
        (sign_in(&scene.key, "root"), vec![scene.binding()], "root"),
        (good(), vec![], "did not bind"),
    ];
    for (binding, why) in [
        (forged, "did not sign"),
        (elsewhere, "host key"),
        (session, "another session"),
        (forwarded, "forwards"),
    ] {
        refusals.push((good(), vec![binding], why));
    }
    let count = refusals.len();
    for (data, bindings, why) in refusals {
        let detail = scene.refused(scene.ask(data, bindings)).await;
        assert!(detail.contains(why), "{why}: {detail}");
    }
    assert_eq!(scene.stage.events("sign.refuse").await.len(), count);
    assert!(scene.stage.events("sign.give").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_key_of_another_provider_at_this_one() {
    let scene = Scene::new(GITLAB).await;
    let manager = scene.stage.ann.site_manager().unwrap();
    let elsewhere = broker::ProviderInput {
        kind: "other-git".into(),
        name: "Elsewhere".into(),
        url: "https://git.example.com".into(),
        host_keys: Some(vec![scene.stage.forge.ssh_host_key().to_owned()]),
        ..broker::ProviderInput::default()
    };
    let id = manager.add_provider(elsewhere).await.unwrap().id;
    let keys = scene.stage.ann.keys().await.unwrap();
    let key = keys
        .iter()
        .find(|key| ProviderId(key.provider_id.clone()) == id)
        .unwrap();
    let key = blob(&key.public_key);
    let ask = SignAsk {
        data: sign_in(&key, "git"),
        key,
        flags: 0,
        bindings: vec![scene.binding()],
    };
    assert!(scene.refused(ask).await.contains("host key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_the_key_of_another_user() {
    let scene = Scene::new(GITLAB).await;
    let manager = scene.stage.ann.site_manager().unwrap();
    let invited = manager
        .add_user("bob", None, broker::Role::Member)
        .await
        .unwrap();
    let token = crate::stage::token_of(&invited.url);
    let visitor = broker::Visitor::default();
    let password = "correct horse battery".into();
    let session = scene
        .stage
        .broker
        .accept_invitation(&token, password, &visitor)
        .await
        .unwrap();
    let bob = scene.stage.broker.session(&session.token).await.unwrap();
    let workspace = crate::stage::workspace_of(&scene.stage.broker, &bob).await;
    let ask = scene.ask(sign_in(&scene.key, "git"), vec![scene.binding()]);
    let refused = workspace.sign(ask).await.unwrap_err();
    assert_eq!(refused.kind, RefusedKind::SignRefused);
    assert_eq!(scene.stage.events("sign.refuse").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_may_signs_in_unbound_and_the_audit_says_so() {
    let scene = Scene::new(GITLAB).await;
    let new = scene
        .stage
        .ann
        .add_workspace("old", None, UnboundSsh::Allowed)
        .await
        .unwrap();
    let old = scene
        .stage
        .broker
        .workspace(&new.token, None)
        .await
        .unwrap();
    old.sign(scene.ask(sign_in(&scene.key, "git"), vec![]))
        .await
        .unwrap();
    let events = scene.stage.events("sign.give").await;
    assert!(events[0].starts_with("an unbound sign-in"), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_links_key_goes_on_signing_and_a_removed_links_does_not() {
    let scene = Scene::new(GITLAB).await;
    let link = LinkId(scene.stage.ann.links().await.unwrap()[0].id.clone());
    scene
        .stage
        .store
        .mark_link_dead(&link, "gone", 1)
        .await
        .unwrap();
    scene.sign_in().await;
    let user = scene.stage.ann.user().id;
    scene
        .stage
        .store
        .begin_unlink(&user, &link, 1)
        .await
        .unwrap();
    let ask = scene.ask(sign_in(&scene.key, "git"), vec![scene.binding()]);
    assert!(scene.refused(ask).await.contains("removed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_pasted_by_hand_works_until_its_successor_has_been_used() {
    let mut scene = Scene::new(Shape::OtherGit).await;
    let old = scene.stage.ann.keys().await.unwrap()[0].clone();
    assert_eq!(old.state, "by-hand");
    scene.sign_in().await;
    assert_eq!(scene.stage.ann.keys().await.unwrap()[0].state, "present");
    let new = scene
        .stage
        .ann
        .regenerate_key(&KeyId(old.id.clone()))
        .await
        .unwrap();
    assert_eq!(scene.stage.ann.keys().await.unwrap().len(), 2);
    scene.sign_in().await;
    // A commit is no proof that the provider has the new key; a sign-in is.
    let first = std::mem::replace(&mut scene.key, blob(&new.public_key));
    scene
        .workspace
        .sign(scene.ask(commit("git"), vec![]))
        .await
        .unwrap();
    assert_eq!(scene.stage.ann.keys().await.unwrap().len(), 2);
    scene.sign_in().await;
    let keys = scene.stage.ann.keys().await.unwrap();
    assert_eq!((keys.len(), keys[0].id.clone()), (1, new.id));
    scene.key = first;
    let ask = scene.ask(sign_in(&scene.key, "git"), vec![scene.binding()]);
    assert!(scene.refused(ask).await.contains("none of this user's"));
}
