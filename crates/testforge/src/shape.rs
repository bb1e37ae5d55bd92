//! Which real site a stand-in imitates, and the facts that hang on it alone.

use serde::{Deserialize, Serialize};

/// The sites that can be imitated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// GitHub.com: the API is on another host name and port than web and Git.
    GitHubCom,
    /// GitHub Enterprise Server: the API is `/api/v3` below the base URL.
    GitHubEnterprise,
    /// GitLab; `sub_path` is its relative URL root (`""` or for example `"/gitlab"`).
    GitLab {
        /// Starts with a slash and ends without one, or is empty.
        sub_path: &'static str,
    },
    /// Bitbucket Data Center 9: OAuth 2.0 incoming links, and OAuth 1.0a application links too.
    BitbucketServer,
    /// Bitbucket Server 7.17 under the context path `/bitbucket`: OAuth 1.0a only.
    BitbucketServerOAuth1,
    /// Azure Repos: SSH only, RSA keys pasted by hand.
    Azure,
    /// Some Git server that takes SSH keys by hand and has no OAuth.
    OtherGit,
    /// A plain Git host with nothing but repositories; new ones are public.
    Anonymous,
}

/// The software behind a shape: what differs in code, not in configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Software {
    GitHub,
    GitLab,
    Bitbucket,
    Azure,
    Plain,
}

/// Every shape with its name on the command line and in the control API.
const NAMES: &[(&str, Shape)] = &[
    ("github-com", Shape::GitHubCom),
    ("github-enterprise", Shape::GitHubEnterprise),
    ("gitlab", Shape::GitLab { sub_path: "" }),
    (
        "gitlab-sub-path",
        Shape::GitLab {
            sub_path: "/gitlab",
        },
    ),
    ("bitbucket-server", Shape::BitbucketServer),
    ("bitbucket-server-oauth1", Shape::BitbucketServerOAuth1),
    ("azure", Shape::Azure),
    ("other-git", Shape::OtherGit),
    ("anonymous", Shape::Anonymous),
];

impl Shape {
    /// The shape of this name, for example `github-com`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, shape)| *shape)
    }

    /// All names that [`Shape::from_name`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// The name of this shape; a GitLab under any sub-path is `gitlab-sub-path`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GitLab { sub_path } if !sub_path.is_empty() => "gitlab-sub-path",
            shape => NAMES
                .iter()
                .find(|(_, known)| *known == shape)
                .map_or("gitlab", |(name, _)| *name),
        }
    }

    pub(crate) fn software(self) -> Software {
        match self {
            Self::GitHubCom | Self::GitHubEnterprise => Software::GitHub,
            Self::GitLab { .. } => Software::GitLab,
            Self::BitbucketServer | Self::BitbucketServerOAuth1 => Software::Bitbucket,
            Self::Azure => Software::Azure,
            Self::OtherGit | Self::Anonymous => Software::Plain,
        }
    }

    /// The path below which the whole site lives: empty or `/something`.
    pub(crate) fn sub_path(self) -> &'static str {
        match self {
            Self::GitLab { sub_path } => sub_path,
            Self::BitbucketServerOAuth1 => "/bitbucket",
            _ => "",
        }
    }

    /// What the site calls itself in `WWW-Authenticate` when Git asks without a credential.
    pub(crate) fn realm(self) -> &'static str {
        match self.software() {
            Software::GitHub => "GitHub",
            Software::GitLab => "GitLab",
            Software::Bitbucket => "Atlassian Bitbucket",
            Software::Azure => "https://tfsprodweu.visualstudio.com/",
            Software::Plain => "Git",
        }
    }
}

/// Settings of a stand-in that a test may turn; `None` means "as the real site".
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knobs {
    /// Life of new access tokens in seconds.
    pub access_token_s: Option<i64>,
    /// Life of new refresh tokens in seconds.
    pub refresh_token_s: Option<i64>,
    /// Life of new authorization codes in seconds.
    pub code_s: Option<i64>,
    /// Most items on one page of a list, whatever the client asks for.
    pub page_size: Option<usize>,
    /// SSH key types that the site's policy refuses, for example `ssh-ed25519`.
    pub forbidden_key_types: Vec<String>,
    /// Longest life in days of a minted HTTP access token.
    pub minted_max_days: Option<i64>,
    /// The end of a token also deletes the SSH keys that it added.
    pub keys_die_with_token: bool,
    /// Token answers leave `expires_in` out.
    pub hide_expires_in: bool,
    /// A refresh answers without a new refresh token and leaves the old one valid.
    pub keep_refresh_token: bool,
    /// The application may be used, but this scope is never granted.
    pub withheld_scope: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_itself() {
        for name in Shape::names() {
            assert_eq!(Shape::from_name(name).map(Shape::name), Some(name));
        }
    }
}
