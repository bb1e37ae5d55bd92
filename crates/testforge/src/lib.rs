//! Small, strict stand-ins for the sites that Forgepass works with.
//!
//! Each speaks OAuth, the user and key API and Git over HTTPS and SSH as the real site does, and
//! refuses what the real site refuses. It shares no code with the crates it proves.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let forge = testforge::start(testforge::Shape::GitHubCom).await?;
//! forge.add_account("ann");
//! let callback = "http://localhost:7080/oauth/callback";
//! let (client_id, client_secret) = forge.register_app(testforge::AppSpec::new(callback))?;
//! let urls = forge.create_repository("ann", "app")?;
//! # drop((client_id, client_secret, urls));
//! # Ok(())
//! # }
//! ```

mod admin;
mod ask;
mod bitbucket;
mod bitbucket_api;
mod bitbucket_tokens;
mod consent;
mod control;
mod faults;
mod forge;
mod git;
mod git_https;
mod git_ssh;
mod github;
mod github_api;
mod gitlab;
mod gitlab_api;
mod keys;
mod lfs;
mod log;
mod oauth1;
mod oauth2;
mod reply;
mod server;
mod shape;
mod state;
mod tls;
mod world;

pub use faults::{Endpoint, Fault};
pub use forge::{AppSpec, Forge, Suspended, TokenView};
pub use git::RepositoryUrls;
pub use keys::{KeyView, Usage};
pub use log::Entry;
pub use server::start;
pub use shape::{Knobs, Shape};
pub use state::{Account, EmailAddress};
