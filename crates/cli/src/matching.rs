//! Which provider of the set-up data a host, an SSH address or a remote belongs to. Pure.
//!
//! Hosts are compared whole, after lower-casing and filling in the default port: what merely resembles a
//! provider's host (a suffix, another port, a look-alike letter, a trailing dot) is somebody else's.

use api::{Setup, SetupLink, SetupProvider};
use rules::Best;
use url::Url;

const HTTPS: u16 = 443;
const SSH: u16 = 22;

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// `host`, `host:port` or `[v6]:port`; none if the port is no number.
    pub(crate) fn parse(text: &str, default_port: u16) -> Option<Self> {
        let end = text.rfind(']').map_or(0, |bracket| bracket + 1);
        let (host, port) = match text[end..].find(':') {
            // Several colons without brackets are an IPv6 address as ssh takes it.
            Some(first) if text[end..].rfind(':') == Some(first) => {
                let (host, port) = text.split_at(end + first);
                let digits = port[1..].bytes().all(|byte| byte.is_ascii_digit());
                (host, port[1..].parse().ok().filter(|_| digits)?)
            }
            _ => (text, default_port),
        };
        Self::new(host, port)
    }

    /// A host as it is given and a port.
    pub(crate) fn new(host: &str, port: u16) -> Option<Self> {
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_ascii_lowercase();
        (!host.is_empty()).then_some(Self { host, port })
    }

    /// What Git over HTTPS calls a host.
    pub(crate) fn https(host: &str) -> Option<Self> {
        Self::parse(host, HTTPS)
    }

    fn of_url(url: &Url) -> Option<Self> {
        (url.scheme() == "https").then_some(())?;
        Self::new(url.host_str()?, url.port().unwrap_or(HTTPS))
    }
}

/// Providers whose Git over HTTPS is at this address.
pub(crate) fn https_providers<'a>(
    setup: &'a Setup,
    address: &Address,
) -> impl Iterator<Item = &'a SetupProvider> {
    setup
        .providers
        .iter()
        .filter(move |provider| https_address(provider).as_ref() == Some(address))
}

/// Where a provider's Git over HTTPS is.
pub(crate) fn https_address(provider: &SetupProvider) -> Option<Address> {
    Address::of_url(&Url::parse(provider.git_url.as_deref()?).ok()?)
}

/// The provider that an SSH server belongs to; of several the one where this user has a key.
pub(crate) fn ssh_provider<'a>(
    setup: &'a Setup,
    host: &str,
    port: u16,
) -> Option<&'a SetupProvider> {
    let address = Address::new(host, port)?;
    let has = |provider: &&SetupProvider| {
        let mut addresses = provider.ssh_addresses.iter();
        addresses.any(|text| Address::parse(text, SSH).as_ref() == Some(&address))
    };
    let found: Vec<_> = setup.providers.iter().filter(has).collect();
    found
        .iter()
        .find(|provider| has_key(provider))
        .or(found.first())
        .copied()
}

/// The link that answers for a repository at a provider: by the most specific rule, else the default,
/// which is the first. None where there is no link.
///
/// # Errors
/// The logins of several links whose rules fit equally well.
pub(crate) fn link_at<'a>(
    provider: &'a SetupProvider,
    path: Option<&str>,
) -> Result<Option<&'a SetupLink>, Vec<String>> {
    let rules = provider.links.iter().flat_map(|link| {
        let rule = move |rule| (String::as_str(rule), link);
        link.rules.iter().map(rule)
    });
    match rules::best(path, rules) {
        Best::One(link) => Ok(Some(link)),
        Best::None => Ok(provider.links.first()),
        Best::Tie(links) => Err(links.iter().filter_map(|link| link.login.clone()).collect()),
    }
}

/// The repository's path in a remote's URL behind its provider's address.
pub(crate) fn remote_path(provider: &SetupProvider, remote: &str) -> Option<String> {
    if let Ok(url) = Url::parse(remote)
        && remote.contains("://")
    {
        let base = provider.git_url.as_deref().map(Url::parse);
        return Some(match (url.scheme(), base) {
            ("https", Some(Ok(base))) => {
                rules::path_below(url.path(), base.path(), provider.https_segment.as_deref())
            }
            _ => url.path().to_owned(),
        });
    }
    remote.split_once(':').map(|(_place, path)| path.to_owned())
}

/// Whether this user has a key at a provider.
pub(crate) fn has_key(provider: &SetupProvider) -> bool {
    provider.links.iter().any(|link| !link.keys.is_empty())
}

/// The provider that a remote's URL belongs to: `https://…`, `ssh://…` or `user@host:path`.
pub(crate) fn remote_provider<'a>(setup: &'a Setup, remote: &str) -> Option<&'a SetupProvider> {
    if let Ok(url) = Url::parse(remote)
        && remote.contains("://")
    {
        return match url.scheme() {
            "https" => longest_base(setup, &url),
            "ssh" | "git+ssh" | "ssh+git" => {
                ssh_provider(setup, url.host_str()?, url.port().unwrap_or(SSH))
            }
            _ => None,
        };
    }
    // git-clone(1), "GIT URLS": scp-like only if no slash stands before the first colon.
    let (place, _path) = remote.split_once(':')?;
    if place.contains('/') {
        return None;
    }
    let host = place.rsplit_once('@').map_or(place, |(_user, host)| host);
    ssh_provider(setup, host, SSH)
}

fn longest_base<'a>(setup: &'a Setup, url: &Url) -> Option<&'a SetupProvider> {
    let address = Address::of_url(url)?;
    let depth = |provider: &SetupProvider| {
        let base = Url::parse(provider.git_url.as_deref()?).ok()?;
        let base = segments(base.path()).map(str::to_owned).collect::<Vec<_>>();
        let inside = segments(url.path())
            .take(base.len())
            .eq(base.iter().map(String::as_str));
        inside.then_some(base.len())
    };
    https_providers(setup, &address)
        .filter_map(|provider| Some((depth(provider)?, has_key(provider), provider)))
        .max_by_key(|(depth, key, _)| (*depth, *key))
        .map(|(_, _, provider)| provider)
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A provider with one link that has one key.
    pub(crate) fn provider(id: &str, git_url: &str, ssh: &[&str]) -> SetupProvider {
        SetupProvider {
            id: id.to_owned(),
            name: id.to_owned(),
            git_url: Some(git_url.to_owned()),
            https_segment: None,
            ca_pem: None,
            ssh_user: "git".to_owned(),
            ssh_addresses: ssh.iter().map(|&address| address.to_owned()).collect(),
            host_keys: vec!["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFMaCbg6vN6oehraB0bKPVZGGZx+vnoP6gFu2meTXVWC".to_owned()],
            links: vec![SetupLink {
                id: Some(format!("lnk_{id}")),
                login: Some("ann".to_owned()),
                name: None,
                email: None,
                rules: vec![],
                keys: vec!["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPRvOhU88XPYF7o+ovUpKyZ/l+//1gRHppsSo8nZg7o/".to_owned()],
                dead: None,
            }],
        }
    }

    pub(crate) fn setup(providers: Vec<SetupProvider>) -> Setup {
        Setup {
            version: "1".to_owned(),
            user_name: "Ann Example".to_owned(),
            user_email: Some("ann@example.com".to_owned()),
            providers,
            allowed_signers: String::new(),
        }
    }

    fn two() -> Setup {
        setup(vec![
            provider(
                "one",
                "https://git.example.com",
                &["git.example.com", "ssh.git.example.com:443"],
            ),
            provider(
                "two",
                "https://git.example.com/gitlab",
                &["git.example.com:7999"],
            ),
        ])
    }

    #[test]
    fn finds_a_host_however_git_writes_it() {
        let setup = two();
        for host in ["git.example.com", "Git.Example.COM", "git.example.com:443"] {
            assert_eq!(
                https_providers(&setup, &Address::https(host).unwrap()).count(),
                2,
                "{host}"
            );
        }
    }

    #[test]
    fn leaves_hosts_alone_that_only_look_alike() {
        let setup = two();
        for host in [
            "git.example.com.",
            "git.example.com.evil.example",
            "xgit.example.com",
            "git.example.com:8443",
            "gıt.example.com",
            "example.com",
        ] {
            let address = Address::https(host).unwrap();
            assert_eq!(https_providers(&setup, &address).count(), 0, "{host}");
        }
        assert_eq!(Address::https("git.example.com:+443"), None);
        assert_eq!(Address::https("git.example.com:"), None);
        assert_eq!(Address::https(""), None);
    }

    #[test]
    fn finds_every_ssh_address_of_a_provider() {
        let setup = two();
        let id = |host, port| ssh_provider(&setup, host, port).map(|provider| provider.id.as_str());
        assert_eq!(id("GIT.example.com", 22), Some("one"));
        assert_eq!(id("ssh.git.example.com", 443), Some("one"));
        assert_eq!(id("git.example.com", 7999), Some("two"));
        assert_eq!(id("git.example.com", 443), None);
        assert_eq!(id("git.example.com.", 22), None);
    }

    #[test]
    fn prefers_the_provider_with_a_key_where_an_address_is_shared() {
        let mut setup = setup(vec![
            provider("one", "https://a.example.com", &["git.example.com"]),
            provider("two", "https://b.example.com", &["git.example.com"]),
        ]);
        setup.providers[0].links[0].keys.clear();
        assert_eq!(
            ssh_provider(&setup, "git.example.com", 22).unwrap().id,
            "two"
        );
    }

    #[test]
    fn tells_which_provider_owns_a_remote() {
        let setup = two();
        let id = |url| remote_provider(&setup, url).map(|provider| provider.id.as_str());
        assert_eq!(id("https://git.example.com/ann/a.git"), Some("one"));
        assert_eq!(
            id("https://ann@git.example.com/gitlab/ann/a.git"),
            Some("two")
        );
        assert_eq!(id("https://git.example.com/gitlabs/a.git"), Some("one"));
        assert_eq!(id("git@git.example.com:ann/a.git"), Some("one"));
        assert_eq!(id("ssh://git@git.example.com:7999/ann/a.git"), Some("two"));
        assert_eq!(id("http://git.example.com/ann/a.git"), None);
        assert_eq!(id("/srv/git.example.com:a.git"), None);
        assert_eq!(id("../a.git"), None);
    }

    #[test]
    fn a_rule_chooses_the_link_of_a_remote() {
        let mut one = provider(
            "one",
            "https://git.example.com/gitlab",
            &["git.example.com"],
        );
        let mut second = one.links[0].clone();
        second.login = Some("ann-work".to_owned());
        second.rules = vec!["work".to_owned()];
        one.links.push(second);
        let login = |remote: &str| {
            let path = remote_path(&one, remote);
            let link = link_at(&one, path.as_deref()).unwrap().unwrap();
            link.login.clone().unwrap()
        };
        assert_eq!(
            login("https://git.example.com/gitlab/work/app.git"),
            "ann-work"
        );
        assert_eq!(login("git@git.example.com:work/app.git"), "ann-work");
        assert_eq!(login("ssh://git@git.example.com/work/app"), "ann-work");
        assert_eq!(login("https://git.example.com/gitlab/ann/app.git"), "ann");
        assert_eq!(
            link_at(&one, None).unwrap().unwrap().login.as_deref(),
            Some("ann")
        );
    }

    proptest! {
        #[test]
        fn never_panics_on_an_address(text in ".{0,60}") {
            let _ = Address::parse(&text, 22);
            let _ = remote_provider(&two(), &text);
        }
    }
}
