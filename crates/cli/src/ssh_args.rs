//! Reads the arguments of ssh as far as they tell which server it will talk to (ssh(1), synopsis). Pure.

use std::ffi::OsString;

/// Options of ssh that take a value.
const WITH_VALUE: &str = "BDEFIJLOPQRSWbceilmopw";

/// Where ssh was told to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    /// The host, as given.
    pub(crate) host: String,
    /// 22 where nothing else was said.
    pub(crate) port: u16,
    /// The user name, where one was given.
    pub(crate) user: Option<String>,
    /// The repository's path, where the command at the other end is one of Git's.
    pub(crate) path: Option<String>,
}

/// Tells where `args` (without the program's name) lead; none where ssh would not connect (`-G`, `-V`,
/// `-Q`, `-O`), where there is no destination, or where it is not plain text.
pub(crate) fn destination(args: &[OsString]) -> Option<Destination> {
    let mut found = Found::default();
    let mut rest = args.iter().map(|arg| arg.to_str());
    while let Some(arg) = rest.next() {
        let arg = arg?;
        match arg.strip_prefix('-') {
            // ssh reads options after the destination too, up to the command.
            Some("-") if found.place.is_none() => found.place = Some(rest.next()??.to_owned()),
            Some("-") => {
                let first = rest.next().flatten().unwrap_or_default();
                found.path = repository(&command(first, rest));
                break;
            }
            Some(letters) if !letters.is_empty() => found.letters(letters, &mut rest)?,
            _ if found.place.is_none() => found.place = Some(arg.to_owned()),
            _ => {
                found.path = repository(&command(arg, rest));
                break;
            }
        }
    }
    found.finish()
}

/// What ssh sends to the other end: all words behind the destination, joined by spaces.
fn command<'a>(first: &'a str, rest: impl Iterator<Item = Option<&'a str>>) -> String {
    let words = std::iter::once(first).chain(rest.map(Option::unwrap_or_default));
    words.collect::<Vec<_>>().join(" ")
}

/// The repository in a command of Git or Git LFS: the word behind the program, as Git quotes it.
fn repository(command: &str) -> Option<String> {
    let rest = command
        .strip_prefix("git-")
        .or(command.strip_prefix("git "))?;
    let (program, rest) = rest.split_once(' ')?;
    let known = [
        "upload-pack",
        "receive-pack",
        "upload-archive",
        "lfs-authenticate",
        "lfs-transfer",
    ];
    known
        .contains(&program)
        .then(|| unquoted(rest.trim_start()))
}

/// The first word of a shell's line, of which Git knows single quotes and backslashes.
fn unquoted(text: &str) -> String {
    let mut word = String::new();
    let mut quoted = false;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => quoted = !quoted,
            '\\' if !quoted => word.extend(letters.next()),
            ' ' if !quoted => break,
            letter => word.push(letter),
        }
    }
    word
}

#[derive(Default)]
struct Found {
    path: Option<String>,
    place: Option<String>,
    port: Option<String>,
    user: Option<String>,
    option_port: Option<String>,
    option_user: Option<String>,
}

impl Found {
    /// One word of options: letters without a value, then at most one with its value.
    fn letters<'a>(
        &mut self,
        letters: &'a str,
        rest: &mut impl Iterator<Item = Option<&'a str>>,
    ) -> Option<()> {
        for (at, letter) in letters.char_indices() {
            if "GVQO".contains(letter) {
                return None;
            }
            if !WITH_VALUE.contains(letter) {
                continue;
            }
            let value = match &letters[at + letter.len_utf8()..] {
                "" => rest.next()??,
                joined => joined,
            };
            self.option(letter, value);
            break;
        }
        Some(())
    }

    fn option(&mut self, letter: char, value: &str) {
        match letter {
            'p' => self.port = Some(value.to_owned()),
            'l' => self.user = Some(value.to_owned()),
            // For `-o` ssh keeps the first value it sees.
            'o' => {
                let end = value.find(['=', ' ', '\t']).unwrap_or(value.len());
                let (key, value) = value.split_at(end);
                let value = value.trim_matches(['=', ' ', '\t', '"']).to_owned();
                match key.to_ascii_lowercase().as_str() {
                    "port" => self.option_port.get_or_insert(value),
                    "user" => self.option_user.get_or_insert(value),
                    _ => return,
                };
            }
            _ => {}
        }
    }

    fn finish(self) -> Option<Destination> {
        let place = self.place?;
        let (user, host, url_port) = match place.strip_prefix("ssh://") {
            Some(rest) => split_url(rest)?,
            None => match place.rsplit_once('@') {
                Some((user, host)) => (Some(user.to_owned()), host.to_owned(), None),
                None => (None, place, None),
            },
        };
        let port = match url_port.or(self.port).or(self.option_port) {
            Some(text) => text.parse().ok()?,
            None => 22,
        };
        let user = user.or(self.user).or(self.option_user);
        let path = self.path;
        (!host.is_empty()).then_some(Destination {
            host,
            port,
            user,
            path,
        })
    }
}

/// `[user@]host[:port][/]`, as ssh(1) describes its URI form.
fn split_url(rest: &str) -> Option<(Option<String>, String, Option<String>)> {
    let rest = rest.split('/').next()?;
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (Some(user.to_owned()), place),
        None => (None, rest),
    };
    if let Some(inside) = place.strip_prefix('[') {
        let (host, port) = inside.split_once(']')?;
        return Some((
            user,
            host.to_owned(),
            port.strip_prefix(':').map(str::to_owned),
        ));
    }
    Some(match place.split_once(':') {
        Some((host, port)) => (user, host.to_owned(), Some(port.to_owned())),
        None => (user, place.to_owned(), None),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(words: &str) -> Option<Destination> {
        destination(
            &words
                .split_whitespace()
                .map(OsString::from)
                .collect::<Vec<_>>(),
        )
    }

    /// A destination without regard to the path.
    fn place(words: &str) -> Option<Destination> {
        let found = read(words)?;
        Some(Destination {
            path: None,
            ..found
        })
    }

    #[test]
    fn reads_the_repository_out_of_gits_command() {
        let path = |command: &str| {
            let args = ["git@a.example.com", command].map(OsString::from);
            destination(&args).and_then(|found| found.path)
        };
        assert_eq!(
            path("git-upload-pack 'ann/app.git'").as_deref(),
            Some("ann/app.git")
        );
        assert_eq!(
            path("git-receive-pack '/ann/it'\\''s.git'").as_deref(),
            Some("/ann/it's.git")
        );
        assert_eq!(
            path("git-lfs-authenticate ann/app.git download").as_deref(),
            Some("ann/app.git")
        );
        assert_eq!(path("git upload-archive 'a b/c'").as_deref(), Some("a b/c"));
        assert_eq!(path("uptime 'ann/app.git'"), None);
        assert_eq!(
            read("-- a.example.com git-upload-pack 'x/y'")
                .unwrap()
                .path
                .as_deref(),
            Some("x/y")
        );
    }

    fn to(host: &str, port: u16, user: Option<&str>) -> Option<Destination> {
        Some(Destination {
            path: None,
            host: host.to_owned(),
            port,
            user: user.map(str::to_owned),
        })
    }

    #[test]
    fn reads_what_git_gives_to_ssh() {
        let git = Some("git");
        assert_eq!(
            place("git@a.example.com git-upload-pack 'x'"),
            to("a.example.com", 22, git)
        );
        assert_eq!(
            place("-o SendEnv=GIT_PROTOCOL -p 7999 git@a.example.com git-receive-pack 'x'"),
            to("a.example.com", 7999, git)
        );
        assert_eq!(
            place("-4 -p7999 -l git a.example.com"),
            to("a.example.com", 7999, git)
        );
        assert_eq!(
            place("-o Port=443 -oUser=git a.example.com"),
            to("a.example.com", 443, git)
        );
        assert_eq!(
            place("-o Port=443 -o Port=444 -p 22 a.example.com"),
            to("a.example.com", 22, None)
        );
    }

    #[test]
    fn reads_ssh_urls_and_addresses() {
        assert_eq!(
            place("ssh://git@a.example.com:7999/"),
            to("a.example.com", 7999, Some("git"))
        );
        assert_eq!(place("ssh://git@[::1]:7999"), to("::1", 7999, Some("git")));
        assert_eq!(place("git@::1"), to("::1", 22, Some("git")));
    }

    #[test]
    fn options_may_follow_the_destination() {
        assert_eq!(
            place("a.example.com -p 7999 true"),
            to("a.example.com", 7999, None)
        );
        assert_eq!(
            place("a.example.com true -p 7999"),
            to("a.example.com", 22, None)
        );
        assert_eq!(
            place("-- a.example.com -p 7999 true"),
            to("a.example.com", 7999, None)
        );
    }

    #[test]
    fn knows_when_ssh_will_not_connect() {
        for words in [
            "-G git@a.example.com",
            "-V",
            "-Q key",
            "-O exit a.example.com",
            "-vG a",
            "",
            "-p",
        ] {
            assert_eq!(place(words), None, "{words}");
        }
    }

    #[test]
    fn a_value_that_looks_like_an_option_is_a_value() {
        assert_eq!(place("-i -G a.example.com"), to("a.example.com", 22, None));
        assert_eq!(
            place("-vvi key a.example.com"),
            to("a.example.com", 22, None)
        );
    }

    proptest! {
        #[test]
        fn never_panics(words in prop::collection::vec(".{0,12}", 0..8)) {
            let _ = destination(&words.iter().map(OsString::from).collect::<Vec<_>>());
        }
    }
}
