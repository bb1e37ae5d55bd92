//! Any other server that takes SSH keys: the public key is pasted by hand.

use url::Url;

use crate::{
    AuthStyle, Defaults, GuideStep, Kind, Narrowing, Ours, Site,
    known_hosts::{addresses_of, keys_of},
};

pub(crate) struct OtherGit;

impl Kind for OtherGit {
    fn id(&self) -> &'static str {
        "other-git"
    }

    fn name(&self) -> &'static str {
        "Other Git host (SSH)"
    }

    fn auth(&self) -> AuthStyle {
        AuthStyle::None
    }

    fn guide(&self, _ours: &Ours) -> Vec<GuideStep> {
        vec![
            GuideStep::say(
                "Nothing is registered at the server: each person pastes a public key. This serves Bitbucket Cloud, Codeberg, Forgejo, Gitea, Gerrit, sourcehut and plain Git over SSH.",
            ),
            GuideStep::say(
                "Enter the server's address, and below it the SSH user and each SSH address as host or host:port, just as they stand in the clone URLs.",
            )
            .with("URL, for example", "https://bitbucket.org")
            .with("SSH user, usually", "git"),
            GuideStep::say(
                "Pin the server's host keys: those of well-known hosts are filled in; else read them with Test connection and compare the fingerprint with the one its administrator tells you.",
            ),
        ]
    }

    /// An `ssh://user@host:port` URL says everything by itself.
    fn defaults(&self, url: &Url) -> Result<Defaults, String> {
        let host = url
            .host_str()
            .ok_or_else(|| format!("{url} names no host"))?;
        let over_ssh = url.scheme() == "ssh";
        let user = if over_ssh { url.username() } else { "" };
        let usual = match url.port().filter(|_| over_ssh) {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Ok(Defaults {
            api: url.clone(),
            git: None,
            ssh_user: if user.is_empty() { "git" } else { user }.into(),
            ssh_addresses: addresses_of(host, &usual),
            host_keys: keys_of(host),
        })
    }

    fn algorithms(&self) -> &'static [&'static str] {
        &["ed25519", "ecdsa-p256", "rsa-4096", "rsa-3072"]
    }

    fn paste_steps(&self) -> &'static [&'static str] {
        &[
            "Open the page of your account where SSH keys are listed",
            "Add a key there and paste the public key as one line",
        ]
    }

    /// Known for the public hosts alone.
    fn key_page(&self, site: &Site) -> Option<Url> {
        let page = match site.url.host_str()? {
            "bitbucket.org" => "https://bitbucket.org/account/settings/ssh-keys/",
            "codeberg.org" => "https://codeberg.org/user/settings/keys",
            "github.com" => "https://github.com/settings/keys",
            "gitlab.com" => "https://gitlab.com/-/user_settings/ssh_keys",
            "git.sr.ht" => "https://meta.sr.ht/keys",
            _ => return None,
        };
        Url::parse(page).ok()
    }

    fn narrowing(&self) -> Narrowing {
        Narrowing::Impossible(
            "this provider is used over SSH alone, so there is no token to narrow",
        )
    }
}
