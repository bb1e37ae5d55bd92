//! What an upload still needs, given what the provider lists. Pure.

use forge::{RemoteKey, Usage};

/// What an upload should come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The key stands at the provider.
    Present,
    /// It does not.
    Absent,
}

/// The next step towards the goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is there, under this id, until then (unix seconds) where the provider lets keys expire.
    Keep { id: String, expires_at: Option<i64> },
    /// It is there and the provider will soon stop accepting it: replace the key.
    Renew { id: String, expires_at: i64 },
    /// It must be added.
    Add,
    /// It is there for another use and no list takes it twice: delete that entry, then add.
    Replace { id: String, usage: Usage },
    /// It must be deleted.
    Delete { id: String },
    /// It is not there and need not be.
    Done,
}

/// A key that the provider will refuse within this time is replaced: two weeks, seconds.
const RENEW_BEFORE_S: i64 = 14 * 86_400;

/// The next step for the key with the base64 `blob`, to be used for `usage`, at unix time `now`.
pub(crate) fn step(goal: Goal, usage: Usage, blob: &str, listed: &[RemoteKey], now: i64) -> Step {
    let ours = || listed.iter().filter(|entry| same_blob(&entry.blob, blob));
    let fitting = ours().find(|entry| entry.usage == usage);
    match (goal, fitting, ours().next()) {
        (Goal::Present, Some(entry), _) => match entry.expires_at {
            Some(expires_at) if expires_at - now <= RENEW_BEFORE_S => Step::Renew {
                id: entry.id.clone(),
                expires_at,
            },
            expires_at => Step::Keep {
                id: entry.id.clone(),
                expires_at,
            },
        },
        (Goal::Present, None, Some(other)) => Step::Replace {
            id: other.id.clone(),
            usage: other.usage,
        },
        (Goal::Present, None, None) => Step::Add,
        (Goal::Absent, Some(entry), _) => Step::Delete {
            id: entry.id.clone(),
        },
        // An entry for another use is another upload's, such as the retired key kept for signatures.
        (Goal::Absent, None, _) => Step::Done,
    }
}

/// Some providers pad base64, some do not.
fn same_blob(one: &str, other: &str) -> bool {
    one.trim_end_matches('=') == other.trim_end_matches('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000_000;

    fn entry(id: &str, blob: &str, usage: Usage) -> RemoteKey {
        RemoteKey {
            id: id.into(),
            blob: blob.into(),
            title: String::new(),
            expires_at: None,
            usage,
        }
    }

    fn wanted(listed: &[RemoteKey]) -> Step {
        step(
            Goal::Present,
            Usage::AuthAndSigning,
            "AAAAours",
            listed,
            NOW,
        )
    }

    fn unwanted(listed: &[RemoteKey]) -> Step {
        step(Goal::Absent, Usage::AuthAndSigning, "AAAAours", listed, NOW)
    }

    #[test]
    fn adds_what_is_not_there_and_keeps_what_is() {
        let foreign = entry("1", "AAAAother", Usage::AuthAndSigning);
        assert_eq!(wanted(std::slice::from_ref(&foreign)), Step::Add);
        let listed = [foreign, entry("2", "AAAAours==", Usage::AuthAndSigning)];
        assert_eq!(
            wanted(&listed),
            Step::Keep {
                id: "2".into(),
                expires_at: None
            }
        );
    }

    #[test]
    fn replaces_an_entry_for_another_use() {
        let listed = [entry("7", "AAAAours", Usage::Signing)];
        assert_eq!(
            wanted(&listed),
            Step::Replace {
                id: "7".into(),
                usage: Usage::Signing
            }
        );
    }

    #[test]
    fn deletes_only_its_own_entry_for_its_own_use() {
        let listed = [
            entry("1", "AAAAother", Usage::AuthAndSigning),
            entry("2", "AAAAours", Usage::Signing),
        ];
        assert_eq!(unwanted(&listed), Step::Done);
        let listed = [entry("3", "AAAAours", Usage::AuthAndSigning)];
        assert_eq!(unwanted(&listed), Step::Delete { id: "3".into() });
    }

    #[test]
    fn renews_a_key_two_weeks_before_the_provider_refuses_it() {
        let until = |days: i64| RemoteKey {
            expires_at: Some(NOW + days * 86_400),
            ..entry("1", "AAAAours", Usage::AuthAndSigning)
        };
        let expires_at = NOW + 14 * 86_400;
        assert_eq!(
            wanted(&[until(14)]),
            Step::Renew {
                id: "1".into(),
                expires_at
            }
        );
        assert!(matches!(wanted(&[until(15)]), Step::Keep { .. }));
    }
}
