//! What each Git forge is: its OAuth endpoints, scopes, API calls and quirks.
//!
//! Nothing in this crate does I/O. A [`Kind`] describes a request as a [`Call`]; the broker sends it
//! and gives the [`Reply`] back to the call, which says what it means.
//! To add a kind, write one file like `gitlab.rs`, add its line to [`KINDS`], and put real replies
//! under `fixtures/<kind>/`. See `docs/add-a-provider.md`.

mod answers;
mod azure_repos;
mod bitbucket_server;
mod call;
mod github;
mod gitlab;
mod kind;
mod known_hosts;
pub mod oauth1;
mod oauth2;
mod other_git;
mod refusal;

pub use answers::{Account, Client, Email, Minted, MintedId, Probe, RemoteKey, Tokens};
pub use call::{Auth, Body, Call, Reply, Step};
pub use kind::{
    AuthStyle, Defaults, GuideStep, Kind, Narrowing, Ours, Purpose, Site, UnknownWord, Usage,
};
pub use oauth1::OAuth1;
pub use oauth2::OAuth2;
pub use refusal::{Fault, Refusal};

/// Every forge software we can register, in the order the web page offers them.
pub const KINDS: &[&dyn Kind] = &[
    &github::GitHub,
    &gitlab::GitLab,
    &bitbucket_server::OVER_OAUTH2,
    &bitbucket_server::OVER_OAUTH1,
    &azure_repos::AzureRepos,
    &other_git::OtherGit,
];

/// Finds a forge software by its [`Kind::id`].
pub fn kind(id: &str) -> Option<&'static dyn Kind> {
    KINDS.iter().copied().find(|kind| kind.id() == id)
}
