//! Words for people: times, initials, states, and what a form sent.

use broker::Algorithm;
use jiff::{Timestamp, tz::TimeZone};
use url::form_urlencoded;

/// `22 Nov 2026, 07:42 UTC`; the script shows it in the reader's own zone.
pub fn time(at: &i64) -> String {
    match Timestamp::from_second(*at) {
        Ok(time) => time
            .to_zoned(TimeZone::UTC)
            .strftime("%-d %b %Y, %H:%M UTC")
            .to_string(),
        Err(_) => "an unknown time".to_owned(),
    }
}

/// `07:00`, in UTC: an hour of a chart.
pub fn hour(at: &i64) -> String {
    let minutes = at.rem_euclid(24 * 60 * 60) / 60;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// `2026-11-22T07:42:00Z`, for machines.
pub fn iso(at: &i64) -> String {
    Timestamp::from_second(*at)
        .map(|time| time.to_string())
        .unwrap_or_default()
}

/// A capital letter, unless the text begins with an address, which is spelt as it is.
pub fn capital(text: &str) -> String {
    let word = text.split(' ').next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if !word.contains(['.', ':', '/', '@']) => {
            first.to_uppercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

/// Capital letter and full stop: error texts are written for the middle of a line.
pub fn sentence(text: &str) -> String {
    let mut sentence = capital(text);
    if sentence.is_empty() {
        return sentence;
    }
    if !sentence.ends_with(['.', '!', '?', ':']) {
        sentence.push('.');
    }
    sentence
}

/// A text in pieces, those that are addresses of pages apart, so that they can be pressed.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("https://") {
        let (before, after) = rest.split_at(start);
        let end = after.find([' ', '\n']).unwrap_or(after.len());
        let address = after[..end].trim_end_matches(['.', ',', ';', ':', ')']);
        pieces.push(Piece::Text(before));
        // What a person has to fill in leads nowhere.
        pieces.push(match address.contains('<') {
            true => Piece::Text(address),
            false => Piece::Address(address),
        });
        rest = &after[address.len()..];
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Words.
    Text(&'a str),
    /// The address of a page.
    Address(&'a str),
}

/// The first letters of a name, at most two.
pub fn initials(name: &str) -> String {
    let words = name.split(|letter: char| !letter.is_alphanumeric());
    let letters = words.filter_map(|word| word.chars().next()).take(2);
    letters.flat_map(char::to_uppercase).collect()
}

/// The class of a state's badge: what its colour means, beside its words.
pub fn tone(state: &str) -> &'static str {
    match state {
        "linked" | "present" | "ok" | "enabled" | "active" | "good" | "working" => "good",
        "unfinished"
        | "pending"
        | "needs-authorization"
        | "expiring"
        | "by-hand"
        | "invited"
        | "note" => "waiting",
        "dead" | "refused" | "failing" | "suspended" | "revoked" | "broken" | "alarm" | "away" => {
            "bad"
        }
        _ => "quiet",
    }
}

/// A state in words.
pub fn state(state: &str) -> &str {
    match state {
        "linked" => "Linked",
        "unfinished" => "Unfinished",
        "dead" => "Link again",
        "present" => "At the provider",
        "pending" => "Being uploaded",
        "needs-authorization" => "Needs your click",
        "refused" => "Refused",
        "expiring" => "Expires soon",
        "by-hand" => "Paste by hand",
        "good" => "Works",
        "note" => "To know",
        "broken" => "Broken",
        "off" => "Off",
        "alarm" => "Needs attention",
        "away" => "Not answering",
        "working" => "Working",
        "unused" => "Not used yet",
        "active" => "Active",
        "idle" => "Idle too long",
        "ended" => "Ended",
        "revoked" => "Revoked",
        "unknown" => "Not known",
        other => other,
    }
}

/// What a button that leads to one of our own pages says.
pub fn place(path: &str) -> &'static str {
    match path.split(['?', '#']).next().unwrap_or_default() {
        "/preferences/linked-accounts" => "Go to linked accounts",
        "/preferences/ssh-keys" => "Go to SSH keys",
        "/preferences/workspaces" => "Go to workspaces",
        "/login" => "Sign in",
        _ => "Go there",
    }
}

/// A role in words.
pub fn role(role: &str) -> &str {
    match role {
        "member" => "Member",
        "auditor" => "Auditor",
        "site-manager" => "Site manager",
        other => other,
    }
}

/// A key algorithm in words.
pub fn algorithm(id: &str) -> &str {
    id.parse()
        .map_or(id, |algorithm: Algorithm| algorithm.title())
}

/// What a person left empty is absent.
pub fn filled(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The lines of a text field that hold something; none if it is empty.
pub fn lines(text: &str) -> Option<Vec<String>> {
    let lines: Vec<String> = text.lines().filter_map(filled).collect();
    (!lines.is_empty()).then_some(lines)
}

/// A text as one cookie value.
pub fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The text of a cookie value.
pub fn decoded(value: &str) -> String {
    let parsed = form_urlencoded::parse(value.as_bytes()).next();
    parsed
        .map(|(text, _)| text.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_value_comes_back_as_it_was() {
        for text in ["ann & <b>=1; é", "100% + 1", ""] {
            assert_eq!(decoded(&encoded(text)), text);
        }
    }

    #[test]
    fn addresses_in_a_text_can_be_pressed() {
        use Piece::{Address, Text};
        assert_eq!(
            pieces("Open https://git.example.com/x?a=1 (or https://<provider>/y)."),
            [
                Text("Open "),
                Address("https://git.example.com/x?a=1"),
                Text(" (or "),
                Text("https://<provider>/y"),
                Text(")."),
            ]
        );
        assert_eq!(pieces("javascript:alert(1)"), [Text("javascript:alert(1)")]);
    }

    #[test]
    fn a_sentence_begins_with_a_capital_but_not_in_an_address() {
        assert_eq!(sentence("it is empty"), "It is empty.");
        assert_eq!(
            sentence("git.example.com is away"),
            "git.example.com is away."
        );
        assert_eq!(sentence(""), "");
    }

    #[test]
    fn initials_are_two_letters_at_most() {
        assert_eq!(initials("ann.lee-smith"), "AL");
        assert_eq!(initials("éa"), "É");
        assert_eq!(initials("---"), "");
    }

    #[test]
    fn times_are_in_utc() {
        assert_eq!(time(&1_795_333_320), "22 Nov 2026, 07:42 UTC");
        assert_eq!(iso(&0), "1970-01-01T00:00:00Z");
        assert_eq!(hour(&1_795_333_320), "07:42");
        assert_eq!(time(&i64::MAX), "an unknown time");
    }

    #[test]
    fn empty_lines_count_for_nothing() {
        assert_eq!(
            lines(" a \r\n\r\nb"),
            Some(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(lines(" \n "), None);
    }
}
