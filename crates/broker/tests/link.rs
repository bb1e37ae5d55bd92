//! Linking an account at a provider, and all that can go wrong on the way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stage;

use broker::{LinkOutcome, LinkState, RefusedKind};
use stage::{Special, Stage, callback};
use testforge::{Endpoint, Fault, Shape};

const GITLAB: Shape = Shape::GitLab { sub_path: "" };
const LINKABLE: [Shape; 6] = [
    Shape::GitHubCom,
    Shape::GitHubEnterprise,
    GITLAB,
    Shape::GitLab {
        sub_path: "/gitlab",
    },
    Shape::BitbucketServer,
    Shape::BitbucketServerOAuth1,
];

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_links_and_uploads_its_key() {
    for shape in LINKABLE {
        let stage = Stage::new(shape).await;
        let link = stage.link().await;
        assert_eq!(
            (link.login.as_str(), link.state),
            ("ann", LinkState::Linked),
            "{shape:?}"
        );
        assert_eq!(link.keys.len(), 1, "{shape:?}");
        assert_eq!(
            link.keys[0].state, "present",
            "{shape:?} {:?}",
            link.keys[0]
        );
        let remote = stage.forge.keys();
        assert!(
            remote
                .iter()
                .any(|key| key.fingerprint == link.keys[0].fingerprint),
            "{shape:?} {remote:?}"
        );
    }
}
