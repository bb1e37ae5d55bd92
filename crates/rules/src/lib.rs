//! Which of a user's links answers for a repository: rules, compared alike by the server and the
//! command line. Pure.
//!
//! A rule's path is a prefix on segment borders, and in a segment `*` stands for any letters and `?` for
//! one. Letters are compared without case and `.git` is left out, as providers do themselves.

/// How closely a rule fits: more segments win, then more letters that are no wildcards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight {
    segments: usize,
    letters: usize,
}

/// The link whose rule fits a repository best.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Best<L> {
    /// One link's rule.
    One(L),
    /// Rules of several links fit equally well.
    Tie(Vec<L>),
    /// No rule fits.
    None,
}

/// The segments of a path, as they are compared: without case, `.git` and empty ones.
pub fn segments(path: &str) -> Vec<String> {
    let bare = |segment: &str| {
        let lower = segment.to_ascii_lowercase();
        lower.strip_suffix(".git").unwrap_or(&lower).to_owned()
    };
    path.split('/')
        .map(bare)
        .filter(|segment| !segment.is_empty())
        .collect()
}

/// What of a repository's path over HTTPS stands behind its provider's address: `base`, and `segment`,
/// which some providers put before the owner and SSH does not have.
pub fn path_below(path: &str, base: &str, segment: Option<&str>) -> String {
    let path = segments(path);
    let mut below = path.as_slice();
    below = below
        .strip_prefix(segments(base).as_slice())
        .unwrap_or(below);
    if let (Some((first, rest)), Some(segment)) = (below.split_first(), segment)
        && first == segment
    {
        below = rest;
    }
    below.join("/")
}

/// How closely `rule` (a path with wildcards; empty: every repository) fits `path`, a repository's path
/// behind its provider's address; none where it does not fit. Of an unknown path no more can be said
/// than that it is one, so only the empty rule fits it.
pub fn weight(rule: &str, path: Option<&str>) -> Option<Weight> {
    let rule = segments(rule);
    let path = path.map(segments).unwrap_or_default();
    let letters = |segment: &String| segment.chars().filter(|c| !"*?".contains(*c)).count();
    is_prefix(&rule, &path).then(|| Weight {
        segments: rule.len(),
        letters: rule.iter().map(letters).sum(),
    })
}

/// The link whose rule fits `path` best, out of `rules`: each a rule's path and its link.
pub fn best<'a, L: PartialEq>(
    path: Option<&str>,
    rules: impl IntoIterator<Item = (&'a str, L)>,
) -> Best<L> {
    let fitting = rules
        .into_iter()
        .filter_map(|(rule, link)| Some((weight(rule, path)?, link)));
    let mut best: Option<Weight> = None;
    let mut links: Vec<L> = Vec::new();
    for (weight, link) in fitting {
        if best.is_none_or(|best| weight > best) {
            best = Some(weight);
            links = vec![link];
        } else if best == Some(weight) && !links.contains(&link) {
            links.push(link);
        }
    }
    match links.len() {
        0 => Best::None,
        1 => links.pop().map_or(Best::None, Best::One),
        _ => Best::Tie(links),
    }
}

fn is_prefix(rule: &[String], path: &[String]) -> bool {
    rule.len() <= path.len()
        && rule
            .iter()
            .zip(path)
            .all(|(rule, segment)| glob(rule.as_bytes(), segment.as_bytes()))
}

/// Compares one segment in time linear in the product of both lengths: one place to go back to is
/// enough, since a later `*` takes all that an earlier one could.
fn glob(rule: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match rule.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[read] => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((from, taken)) = star else {
                    return false;
                };
                star = Some((from, taken + 1));
                (at, read) = (from + 1, taken + 1);
            }
        }
    }
    rule[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(rule: &str, path: &str) -> bool {
        weight(rule, Some(path)).is_some()
    }

    #[test]
    fn a_rule_is_a_prefix_on_segment_borders() {
        assert!(fits("work", "work/app.git"));
        assert!(fits("work/app", "/Work/App.git/info/lfs"));
        assert!(fits("", "anything/at/all"));
        assert!(!fits("work", "workshop/app"));
        assert!(!fits("work/app", "work"));
    }

    #[test]
    fn a_wildcard_stays_in_its_segment() {
        assert!(fits("acme-*/app", "acme-tools/app.git"));
        assert!(fits("*/secret-?", "any/secret-1"));
        assert!(!fits("acme*app", "acme/app"));
        assert!(!fits("a?", "a/b"));
        assert!(fits("a*b*c", "axxbyybzc/app"));
        assert!(!fits("a*b*c", "axxbyyc-/app"));
    }

    #[test]
    fn the_path_behind_an_address_is_the_same_as_over_ssh() {
        let scm = Some("scm");
        assert_eq!(path_below("/git/scm/PROJ/app.git", "/git", scm), "proj/app");
        assert_eq!(path_below("git/proj/app", "git/", scm), "proj/app");
        assert_eq!(path_below("scm/app", "/", None), "scm/app");
    }

    #[test]
    fn the_most_specific_rule_wins() {
        let rules = [("", 0), ("work", 1), ("work/app", 2), ("w*/app", 3)];
        assert_eq!(best(Some("work/app"), rules), Best::One(2));
        assert_eq!(best(Some("work/other"), rules), Best::One(1));
        assert_eq!(best(Some("wide/app"), rules), Best::One(3));
        assert_eq!(best(Some("ann/app"), rules), Best::One(0));
        assert_eq!(best(None, rules), Best::One(0));
    }

    #[test]
    fn rules_that_fit_equally_well_are_a_tie_unless_they_name_one_link() {
        assert_eq!(
            best(Some("ab"), [("a*", 1), ("*b", 2)]),
            Best::Tie(vec![1, 2])
        );
        assert_eq!(best(Some("ab"), [("a*", 1), ("*b", 1)]), Best::One(1));
        assert_eq!(best(Some("x"), [("a*", 1)]), Best::None);
    }

    #[test]
    fn an_unknown_path_fits_the_empty_rule_alone() {
        assert!(weight("", None).is_some());
        assert_eq!(weight("work", None), None);
        assert_eq!(weight("*", None), None);
    }
}
