//! The providers of the demo: which stand-in, which kind, and how each is registered.

use anyhow::Result;
use serde_json::{Value, json};
use testforge::{AppSpec, Forge, Shape};
use tokio::runtime::Runtime;

use super::DEVELOPER;
use crate::world::{World, text};

/// How a developer comes to have a key and a credential there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By OAuth 2.0, with these scopes ticked where applications are registered.
    OAuth2(&'static [&'static str]),
    /// By an OAuth 1.0a application link.
    OAuth1,
    /// The public key is pasted by hand; there is no HTTPS credential.
    ByHand,
    /// It is no provider at all.
    Stranger,
}

/// One row of the demo.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What people read.
    pub title: &'static str,
    /// The provider's name at the server; empty for a stranger.
    pub name: &'static str,
    /// The kind's id; empty for a stranger.
    pub kind: &'static str,
    /// What stands in for it.
    pub shape: Shape,
    /// How it is linked.
    pub way: Way,
}

const GITLAB: Way = Way::OAuth2(&["api", "read_user", "read_repository", "write_repository"]);

/// Every row, in the order shown.
pub const PROVIDERS: &[Row] = &[
    row("GitHub.com", "github", Shape::GitHubCom, Way::OAuth2(&[])),
    row(
        "GitHub Enterprise",
        "github",
        Shape::GitHubEnterprise,
        Way::OAuth2(&[]),
    ),
    row("GitLab", "gitlab", Shape::GitLab { sub_path: "" }, GITLAB),
    row(
        "GitLab below /gitlab",
        "gitlab",
        Shape::GitLab {
            sub_path: "/gitlab",
        },
        GITLAB,
    ),
    row(
        "Bitbucket Server 2.0",
        "bitbucket-server",
        Shape::BitbucketServer,
        Way::OAuth2(&["ACCOUNT_WRITE", "REPO_WRITE"]),
    ),
    row(
        "Bitbucket Server 1.0a",
        "bitbucket-server-oauth1",
        Shape::BitbucketServerOAuth1,
        Way::OAuth1,
    ),
    row("Azure Repos", "azure-repos", Shape::Azure, Way::ByHand),
    row(
        "Another Git host",
        "other-git",
        Shape::OtherGit,
        Way::ByHand,
    ),
    row("No provider", "", Shape::Anonymous, Way::Stranger),
];

const fn row(title: &'static str, kind: &'static str, shape: Shape, way: Way) -> Row {
    Row {
        title,
        name: title,
        kind,
        shape,
        way,
    }
}

/// A running stand-in that the server knows.
pub struct Provider {
    /// Its row.
    pub row: Row,
    /// The stand-in.
    pub forge: Forge,
    /// Its id at the server, `prv_…`; empty for a stranger.
    pub id: String,
}

impl Provider {
    /// Starts the stand-in and registers it, on both sides.
    ///
    /// # Errors
    /// When either side refuses.
    pub fn register(row: &Row, world: &World, runtime: &Runtime) -> Result<Self> {
        let forge = runtime.block_on(testforge::start(row.shape))?;
        forge.add_account(DEVELOPER);
        let mut input = json!({
            "kind": row.kind,
            "name": row.name,
            "url": forge.url(),
            "ssh_addresses": [forge.ssh_address()],
            "host_keys": [forge.ssh_host_key()],
            "ca_pem": forge.ca_pem(),
            "internal": true,
        });
        if forge.api_url() != forge.url() {
            input["api_url"] = forge.api_url().into();
        }
        match row.way {
            Way::OAuth2(scopes) => register_application(&forge, world, scopes, &mut input)?,
            Way::OAuth1 => register_consumer(&forge, world, row.kind, &mut input)?,
            Way::ByHand => {}
            Way::Stranger => {
                return Ok(Self {
                    row: *row,
                    forge,
                    id: String::new(),
                });
            }
        }
        let provider = world.manage.post("/api/v1/providers", &input)?;
        let id = text(&provider, "id")?.to_owned();
        Ok(Self {
            row: *row,
            forge,
            id,
        })
    }
}

fn register_application(
    forge: &Forge,
    world: &World,
    scopes: &[&str],
    input: &mut Value,
) -> Result<()> {
    let callback = format!("{}/oauth/callback", world.url);
    let (id, secret) = forge.register_app(AppSpec::new(&callback).scopes(scopes))?;
    input["client_id"] = id.into();
    input["client_secret"] = secret.into();
    Ok(())
}

fn register_consumer(forge: &Forge, world: &World, kind: &str, input: &mut Value) -> Result<()> {
    let draft = world
        .manage
        .post("/api/v1/provider-drafts", &json!({ "kind": kind }))?;
    forge.register_consumer("Forgepass", "Forgepass", text(&draft, "public_key")?)?;
    input["client_id"] = "Forgepass".into();
    input["consumer_name"] = "Forgepass".into();
    input["draft"] = text(&draft, "id")?.into();
    Ok(())
}
