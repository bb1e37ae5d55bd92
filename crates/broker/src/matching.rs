//! Which provider and which link answer for a host and a path. Pure.

use url::Url;

use crate::{Refused, RefusedKind, Result};

/// What Git asks a credential for (gitcredentials(7)), as it arrived.
#[derive(Debug, Clone, Default)]
pub struct CredentialAsk {
    /// `https`; anything else is not ours.
    pub protocol: String,
    /// Host and optional port, as Git gave it.
    pub host: String,
    /// The repository's path, where Git tells it.
    pub path: Option<String>,
    /// The user name in the URL: a hint between several links, never a reason to refuse.
    pub username: Option<String>,
    /// Least remaining life that the caller needs, seconds.
    pub min_ttl_s: Option<i64>,
    /// The id of the token that Git holds and that was refused.
    pub state: Option<String>,
}

/// The place a credential is asked for, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    host: String,
    port: u16,
    /// Segments of the path; none where Git did not tell it.
    path: Option<Vec<String>>,
}

/// A provider that might answer, and the links this user has there.
#[derive(Debug)]
pub(crate) struct Candidate<'a, L> {
    /// The provider's name, for messages.
    pub(crate) name: &'a str,
    /// Where its Git over HTTPS starts.
    pub(crate) git: &'a Url,
    /// What stands between that and the owner, where something does.
    pub(crate) segment: Option<&'static str>,
    /// This user's links there, the oldest first.
    pub(crate) links: Vec<Held<'a, L>>,
}

/// One of a user's links, with what can name it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held<'a, L> {
    /// The account's login.
    pub(crate) login: &'a str,
    /// The patterns of its rules.
    pub(crate) rules: &'a [String],
    /// The link.
    pub(crate) link: L,
}

const HTTPS: u16 = 443;

impl Place {
    /// Parses what Git gave.
    ///
    /// # Errors
    /// `Invalid` for control characters, a missing host, or a path with dot segments (they could leave
    /// the provider's own prefix); `NotOurs` for another protocol or a host that no provider can have.
    pub(crate) fn parse(ask: &CredentialAsk) -> Result<Self> {
        let texts = [
            Some(&ask.protocol),
            Some(&ask.host),
            ask.path.as_ref(),
            ask.username.as_ref(),
        ];
        if texts
            .into_iter()
            .flatten()
            .any(|text| text.contains(char::is_control))
        {
            return Err(Refused::invalid(
                "the credential request has a control character in it",
            ));
        }
        if ask.host.is_empty() {
            return Err(Refused::invalid("the credential request names no host"));
        }
        if ask.protocol != "https" {
            return Err(not_ours(&ask.host));
        }
        let (host, port) = split_host(&ask.host).ok_or_else(|| not_ours(&ask.host))?;
        let path = ask.path.as_deref().map(segments);
        if path.iter().flatten().any(|segment| is_dots(segment)) {
            return Err(Refused::invalid(
                "the credential request's path has dot segments in it",
            ));
        }
        Ok(Self { host, port, path })
    }

    /// How many path segments of `git` lead to this place; `None` if it is elsewhere.
    ///
    /// Without a path every provider of the host is as near as any other.
    fn depth(&self, git: &Url) -> Option<usize> {
        let same_host = git
            .host_str()
            .is_some_and(|host| host.eq_ignore_ascii_case(&self.host));
        if git.scheme() != "https" || !same_host || git.port().unwrap_or(HTTPS) != self.port {
            return None;
        }
        let Some(path) = &self.path else {
            return Some(0);
        };
        let base = segments(git.path());
        path.starts_with(&base).then_some(base.len())
    }
}

/// The index of the candidate and the link that answer, out of `candidates`.
///
/// The longest path prefix wins. Of several links there: the one whose login is `username`, else the one
/// with the most specific rule, else the default, which is the oldest.
///
/// # Errors
/// `NotOurs` without a matching provider, `NotLinked` without a link, `Tie` where rules fit equally well
/// or, without a rule, where several providers have a link.
pub(crate) fn pick<L: Copy>(
    place: &Place,
    username: Option<&str>,
    candidates: &[Candidate<'_, L>],
) -> Result<(usize, L)> {
    let depths: Vec<Option<usize>> = candidates.iter().map(|one| place.depth(one.git)).collect();
    let Some(deepest) = depths.iter().flatten().max() else {
        return Err(not_ours(&place.host));
    };
    let nearest: Vec<usize> = (0..candidates.len())
        .filter(|&index| depths[index] == Some(*deepest))
        .collect();
    let links: Vec<(usize, Held<'_, L>)> = nearest
        .iter()
        .flat_map(|&index| {
            candidates[index]
                .links
                .iter()
                .map(move |&held| (index, held))
        })
        .collect();
    let named: Vec<usize> = (0..links.len())
        .filter(|&at| Some(links[at].1.login) == username)
        .collect();
    let answering = match (links.as_slice(), named.as_slice()) {
        ([], _) => return Err(not_linked(candidates[nearest[0]].name)),
        ([_], _) => vec![0],
        (_, [at]) => vec![*at],
        _ => by_rule(place, candidates, &links),
    };
    match answering.as_slice() {
        [at] => Ok((links[*at].0, links[*at].1.link)),
        several => {
            let several: Vec<_> = several.iter().map(|&at| links[at]).collect();
            Err(tie(place, candidates, &several))
        }
    }
}

/// The positions in `links` that rules name for a place: one, unless it is a tie.
fn by_rule<L: Copy>(
    place: &Place,
    candidates: &[Candidate<'_, L>],
    links: &[(usize, Held<'_, L>)],
) -> Vec<usize> {
    let rules: Vec<(String, usize)> = links
        .iter()
        .enumerate()
        .flat_map(|(at, (index, held))| {
            let git = candidates[*index].git;
            let path = move |pattern: &String| (rule_path(pattern, git), at);
            held.rules.iter().map(path)
        })
        .collect();
    let nearest = &candidates[links[0].0];
    let path = place
        .path
        .as_ref()
        .map(|path| rules::path_below(&path.join("/"), nearest.git.path(), nearest.segment));
    let rules = rules.iter().map(|(rule, at)| (rule.as_str(), *at));
    match rules::best(path.as_deref(), rules) {
        rules::Best::One(at) => vec![at],
        rules::Best::Tie(several) => several,
        rules::Best::None if links.iter().all(|(index, _)| *index == links[0].0) => vec![0],
        rules::Best::None => (0..links.len()).collect(),
    }
}

/// What of a rule's pattern stands behind its provider's address.
pub(crate) fn rule_path(pattern: &str, git: &Url) -> String {
    let path = pattern.split_once('/').map_or("", |(_host, path)| path);
    let base = segments(git.path());
    segments(path)
        .into_iter()
        .skip(base.len())
        .collect::<Vec<_>>()
        .join("/")
}

fn not_ours(host: &str) -> Refused {
    Refused::new(
        RefusedKind::NotOurs,
        format!("`{host}` belongs to no provider"),
    )
}

fn not_linked(provider: &str) -> Refused {
    Refused::new(
        RefusedKind::NotLinked,
        format!("no account at {provider} is linked"),
    )
    .hint(format!("link one with `forgepass link {provider}`"))
    .help("/preferences/linked-accounts")
}

fn tie<L>(place: &Place, all: &[Candidate<'_, L>], several: &[(usize, Held<'_, L>)]) -> Refused {
    let names: Vec<String> = several
        .iter()
        .map(|(index, held)| format!("{} at {}", held.login, all[*index].name))
        .collect();
    let detail = format!(
        "several links answer for {} equally well: {}",
        place.host,
        names.join(" and ")
    );
    let hint = if place.path.is_some() {
        "say which one with `forgepass account rule add HOST/OWNER LOGIN`, or put the login into the URL"
    } else {
        "choose a default with `forgepass account rule add HOST LOGIN`, or put the login into the URL"
    };
    Refused::new(RefusedKind::Tie, detail)
        .hint(hint)
        .help("/preferences/linked-accounts")
}

/// `host[:port]`, lower-cased, the default port filled in.
fn split_host(text: &str) -> Option<(String, u16)> {
    let after_brackets = text.rfind(']').map_or(0, |end| end + 1);
    let (host, port) = match text[after_brackets..].find(':') {
        Some(colon) => {
            let (host, port) = text.split_at(after_brackets + colon);
            (host, parse_port(&port[1..])?)
        }
        None => (text, HTTPS),
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    (!host.is_empty() && host.chars().all(allowed)).then(|| (host.to_ascii_lowercase(), port))
}

/// Digits only: `u16` itself would take `+443`.
fn parse_port(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn segments(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `.` and `..`, also percent-encoded: what fetches the URL would resolve them.
fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ask(host: &str, path: Option<&str>) -> CredentialAsk {
        CredentialAsk {
            protocol: "https".into(),
            host: host.into(),
            path: path.map(Into::into),
            ..CredentialAsk::default()
        }
    }

    fn held<L>(login: &str, link: L) -> Held<'_, L> {
        Held {
            login,
            rules: &[],
            link,
        }
    }

    /// Who answers for `host` and `path`, out of providers written `name=url=login,login`.
    fn answer(providers: &[&str], host: &str, path: Option<&str>, user: Option<&str>) -> String {
        let parsed: Vec<(&str, Url, Vec<&str>)> = providers
            .iter()
            .map(|text| {
                let mut parts = text.split('=');
                let name = parts.next().unwrap();
                let url = parts.next().unwrap().parse().unwrap();
                let logins = parts.next().unwrap_or_default();
                (
                    name,
                    url,
                    logins
                        .split(',')
                        .filter(|login| !login.is_empty())
                        .collect(),
                )
            })
            .collect();
        let candidates: Vec<Candidate<'_, usize>> = parsed
            .iter()
            .map(|(name, git, logins)| Candidate {
                name,
                git,
                segment: None,
                links: logins
                    .iter()
                    .enumerate()
                    .map(|(i, login)| held(login, i))
                    .collect(),
            })
            .collect();
        let picked =
            Place::parse(&ask(host, path)).and_then(|place| pick(&place, user, &candidates));
        match picked {
            Ok((index, link)) => format!("{}/{}", parsed[index].0, parsed[index].2[link]),
            Err(refused) => refused.kind.as_code().to_owned(),
        }
    }

    #[test]
    fn compares_hosts_as_git_gives_them() {
        let forge = &["forge=https://git.example.com=ann"];
        for host in ["git.example.com", "GIT.Example.Com", "git.example.com:443"] {
            assert_eq!(answer(forge, host, None, None), "forge/ann", "{host}");
        }
    }

    #[test]
    fn answers_for_no_host_that_merely_resembles_a_providers() {
        let forge = &["forge=https://git.example.com=ann"];
        for host in [
            "git.example.com.",
            "git.example.com:8443",
            "git.example.com:+443",
            "git.example.com:",
            "git.example.com:99999",
            "example.com",
            "xgit.example.com",
            "git.example.com.evil.example",
            "gıt.example.com",
            "ann@git.example.com",
            "git.example.com@evil.example",
            "git.example.com/x",
        ] {
            assert_eq!(answer(forge, host, None, None), "not-ours", "{host}");
        }
    }

    #[test]
    fn keeps_a_port_that_is_not_the_default() {
        let forge = &["forge=https://git.example.com:8443=ann"];
        assert_eq!(
            answer(forge, "git.example.com:8443", None, None),
            "forge/ann"
        );
        assert_eq!(answer(forge, "git.example.com", None, None), "not-ours");
    }

    #[test]
    fn knows_an_address_in_brackets() {
        let forge = &["forge=https://[::1]:8443=ann"];
        assert_eq!(answer(forge, "[::1]:8443", None, None), "forge/ann");
        assert_eq!(answer(forge, "[::1]", None, None), "not-ours");
    }

    #[test]
    fn refuses_what_git_never_sends() {
        for host in ["", "git.example.com\r\nx", "git.example.com\0"] {
            assert_eq!(
                answer(&["f=https://git.example.com=ann"], host, None, None),
                "invalid"
            );
        }
        for path in ["a/../b", "./a", "a/%2e%2E/b", "a\nb"] {
            let forge = &["f=https://git.example.com=ann"];
            assert_eq!(
                answer(forge, "git.example.com", Some(path), None),
                "invalid",
                "{path}"
            );
        }
    }

    #[test]
    fn plain_http_is_not_ours() {
        let plain = CredentialAsk {
            protocol: "http".into(),
            ..ask("git.example.com", None)
        };
        assert_eq!(Place::parse(&plain).unwrap_err().kind, RefusedKind::NotOurs);
        assert_eq!(
            answer(
                &["f=http://git.example.com:443=ann"],
                "git.example.com",
                None,
                None
            ),
            "not-ours"
        );
    }

    #[test]
    fn the_longest_prefix_on_segment_borders_wins() {
        let both = &[
            "root=https://git.example.com=ann",
            "sub=https://git.example.com/gitlab=bob",
        ];
        for (path, winner) in [
            ("gitlab/a/b.git", "sub/bob"),
            ("/gitlab/a/b.git", "sub/bob"),
            ("gitlabx/a.git", "root/ann"),
            ("a/gitlab.git", "root/ann"),
        ] {
            assert_eq!(
                answer(both, "git.example.com", Some(path), None),
                winner,
                "{path}"
            );
        }
    }

    #[test]
    fn never_falls_back_to_a_shorter_prefix() {
        let both = &[
            "root=https://git.example.com=ann",
            "sub=https://git.example.com/gitlab=",
        ];
        assert_eq!(
            answer(both, "git.example.com", Some("gitlab/a.git"), None),
            "not-linked"
        );
    }

    #[test]
    fn a_sub_path_provider_does_not_answer_for_the_rest_of_its_host() {
        let sub = &["sub=https://git.example.com/gitlab=ann"];
        assert_eq!(
            answer(sub, "git.example.com", Some("other/a.git"), None),
            "not-ours"
        );
        assert_eq!(answer(sub, "git.example.com", None, None), "sub/ann");
    }

    #[test]
    fn of_providers_with_one_base_the_linked_one_answers() {
        let both = &[
            "one=https://git.example.com=",
            "two=https://git.example.com=ann",
        ];
        assert_eq!(answer(both, "git.example.com", None, None), "two/ann");
    }

    #[test]
    fn a_tie_is_an_error_that_names_both() {
        let candidates = [
            Candidate {
                name: "one",
                git: &"https://git.example.com".parse().unwrap(),
                segment: None,
                links: vec![held("ann", 1)],
            },
            Candidate {
                name: "two",
                git: &"https://git.example.com".parse().unwrap(),
                segment: None,
                links: vec![held("bob", 2)],
            },
        ];
        let place = Place::parse(&ask("git.example.com", None)).unwrap();
        let refused = pick(&place, None, &candidates).unwrap_err();
        assert_eq!(refused.kind, RefusedKind::Tie);
        assert!(
            refused.detail.contains("ann at one and bob at two"),
            "{}",
            refused.detail
        );
    }

    #[test]
    fn a_user_name_is_a_hint_and_never_a_reason_to_refuse() {
        let two = &["forge=https://git.example.com=ann,bob"];
        assert_eq!(
            answer(two, "git.example.com", None, Some("bob")),
            "forge/bob"
        );
        assert_eq!(
            answer(two, "git.example.com", None, Some("zoe")),
            "forge/ann"
        );
        let one = &["forge=https://git.example.com=ann"];
        assert_eq!(
            answer(one, "git.example.com", None, Some("zoe")),
            "forge/ann"
        );
    }

    /// The login that answers at a provider below `/gitlab`, where bob has `rules`.
    fn ruled(bobs: &[&str], path: Option<&str>, user: Option<&str>) -> String {
        let rules: Vec<String> = bobs.iter().map(|&rule| rule.to_owned()).collect();
        let bob = Held {
            rules: &rules,
            ..held("bob", "bob")
        };
        let candidates = [Candidate {
            name: "forge",
            git: &"https://git.example.com/gitlab".parse().unwrap(),
            segment: None,
            links: vec![held("ann", "ann"), bob],
        }];
        let place = Place::parse(&ask("git.example.com", path)).unwrap();
        pick(&place, user, &candidates).unwrap().1.to_owned()
    }

    #[test]
    fn a_rule_chooses_between_links_and_the_oldest_is_the_default() {
        let work = &["git.example.com/gitlab/work"];
        assert_eq!(ruled(work, Some("gitlab/work/app.git"), None), "bob");
        assert_eq!(ruled(work, Some("gitlab/ann/app.git"), None), "ann");
        assert_eq!(ruled(work, None, None), "ann");
        assert_eq!(ruled(&["git.example.com/gitlab"], None, None), "bob");
    }

    #[test]
    fn a_login_in_the_url_beats_a_rule() {
        let work = &["git.example.com/gitlab/work"];
        assert_eq!(ruled(work, Some("gitlab/work/app"), Some("ann")), "ann");
    }
}
