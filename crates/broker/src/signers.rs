//! The `allowed_signers` file (ssh-keygen(1)): whose key signed for which addresses, and from when to when. Pure.

/// One key and what it stood for. Times are unix seconds.
#[derive(Debug, Clone)]
pub(crate) struct Signer<'a> {
    /// The OpenSSH line without a comment.
    pub(crate) public_key: &'a str,
    /// Addresses that the provider has verified.
    pub(crate) emails: &'a [String],
    /// Since when it stands for them.
    pub(crate) valid_from: i64,
    /// Until when; none while it does.
    pub(crate) valid_until: Option<i64>,
}

/// `ssh-keygen` before OpenSSH 9.1 reads times in the machine's own zone and knows no `Z`,
/// so a bound is moved by as much as any zone is off UTC. Hours.
const EAST: i64 = 14;
const WEST: i64 = 12;

/// The file's text; signers without a verified address are left out.
pub(crate) fn allowed_signers(signers: &[Signer<'_>]) -> String {
    signers.iter().filter_map(line).collect()
}

fn line(signer: &Signer<'_>) -> Option<String> {
    let principals: Vec<&str> = signer
        .emails
        .iter()
        .map(String::as_str)
        .filter(|email| is_principal(email))
        .collect();
    if principals.is_empty() {
        return None;
    }
    let mut options = format!(
        "namespaces=\"git\",valid-after=\"{}\"",
        stamp(signer.valid_from - WEST * 3600)
    );
    if let Some(until) = signer.valid_until {
        options.push_str(&format!(",valid-before=\"{}\"", stamp(until + EAST * 3600)));
    }
    Some(format!(
        "{} {options} {}\n",
        principals.join(","),
        signer.public_key
    ))
}

/// Patterns, lists, quotes and comments have a meaning in this file, and an address comes from outside.
fn is_principal(email: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !"*?!,\"#\\".contains(c);
    email.contains('@') && email.chars().all(plain)
}

/// `YYYYMMDDHHMMSS`.
fn stamp(at: i64) -> String {
    let (day, second) = (at.div_euclid(86_400), at.rem_euclid(86_400));
    let (year, month, date) = civil(day);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!(
        "{year:04}{month:02}{date:02}{hour:02}{minute:02}{:02}",
        second % 60
    )
}

/// Year, month and day of the month of a day since 1970-01-01, by the proleptic Gregorian calendar
/// (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>).
fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_one_line_for_each_key_with_its_bounds() {
        let emails = [
            "ann@example.com".to_owned(),
            "ann@users.example.com".to_owned(),
        ];
        let current = Signer {
            public_key: "ssh-ed25519 AAAAnew",
            emails: &emails,
            valid_from: 1_700_000_000,
            valid_until: None,
        };
        let retired = Signer {
            public_key: "ssh-ed25519 AAAAold",
            emails: &emails[..1],
            valid_from: 1_600_000_000,
            valid_until: Some(1_700_000_000),
        };
        assert_eq!(
            allowed_signers(&[current, retired]),
            "ann@example.com,ann@users.example.com namespaces=\"git\",\
             valid-after=\"20231114101320\" ssh-ed25519 AAAAnew\n\
             ann@example.com namespaces=\"git\",valid-after=\"20200913002640\",\
             valid-before=\"20231115121320\" ssh-ed25519 AAAAold\n"
        );
    }

    #[test]
    fn an_address_cannot_smuggle_in_a_pattern_or_another_line() {
        for email in [
            "*",
            "*@example.com",
            "a@b\nc@d ssh-ed25519 x",
            "!a@b",
            "a,b@c",
            "a b@c",
            "",
        ] {
            let emails = [email.to_owned()];
            let signer = Signer {
                public_key: "k",
                emails: &emails,
                valid_from: 0,
                valid_until: None,
            };
            assert_eq!(allowed_signers(&[signer]), "", "{email:?}");
        }
    }

    #[test]
    fn knows_the_calendar() {
        for (at, text) in [
            (0, "19700101000000"),
            (951_782_400, "20000229000000"),
            (1_709_251_199, "20240229235959"),
            (-1, "19691231235959"),
        ] {
            assert_eq!(stamp(at), text);
        }
    }
}
