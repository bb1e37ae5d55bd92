//! Words for people: times, initials, states, and what a form sent.

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

/// Capital letter and full stop: error texts are written for the middle of a line.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let Some(first) = letters.next() else {
        return String::new();
    };
    let mut sentence: String = first.to_uppercase().chain(letters).collect();
    if !sentence.ends_with(['.', '!', '?', ':']) {
        sentence.push('.');
    }
    sentence
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
    match id {
        "ed25519" => "Ed25519",
        "ecdsa-p256" => "ECDSA P-256",
        "rsa-3072" => "RSA 3072",
        "rsa-4096" => "RSA 4096",
        other => other,
    }
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
