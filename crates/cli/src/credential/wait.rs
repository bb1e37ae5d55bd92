//! `wait-for-link`: shows where to link the account, waits, and lets the same Git command go on.

use std::time::{Duration, Instant};

use qrcodegen::{QrCode, QrCodeEcc};

use crate::control::{self, Answer, Ask, Get};
use crate::env;
use crate::failure::Result;
use crate::places::Places;
use crate::say;
use crate::settings::Settings;

/// How long a person may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(2);

/// What to tell the person.
pub(super) struct Offer {
    pub(super) hint: String,
    pub(super) page: Option<String>,
}

/// Without `wait-for-link`: one hint line on a terminal, and Git goes on without us. With it: shows the
/// page and asks again until there is a link.
pub(super) fn for_link(places: &Places, get: &Get, offer: Offer) -> Result<Option<Answer>> {
    let wait = Settings::load(places)?.wait_for_link && !env::quiet();
    let (true, Some(page)) = (wait, &offer.page) else {
        say::hint(say::clean(&offer.hint));
        return Ok(Some(Answer::NotOurs));
    };
    let page = say::clean(page);
    say::err(format_args!("forgepass: {}", say::clean(&offer.hint)));
    say::err(format_args!(
        "Open {page} and link the account; this command then goes on."
    ));
    if let Some(picture) = qr_code(&page) {
        say::err(picture);
    }
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        std::thread::sleep(INTERVAL);
        match control::ask(places, &Ask::Get(get.clone()))? {
            Some(Answer::NotLinked { .. }) => {}
            other => return Ok(other),
        }
    }
    say::err("forgepass: nobody linked the account within ten minutes; going on without it");
    Ok(Some(Answer::NotOurs))
}

/// The address as a picture of half blocks, dark on light as most readers want it.
fn qr_code(text: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Low).ok()?;
    let edge = code.size() + 2;
    let mut picture = String::new();
    for y in (-2..edge).step_by(2) {
        for x in -2..edge {
            picture.push(match (code.get_module(x, y), code.get_module(x, y + 1)) {
                (true, true) => ' ',
                (true, false) => '▄',
                (false, true) => '▀',
                (false, false) => '█',
            });
        }
        picture.push('\n');
    }
    Some(picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_a_square_with_a_quiet_zone() {
        let picture = qr_code("https://forgepass.example.com/preferences/linked-accounts").unwrap();
        let widths: Vec<usize> = picture.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]));
        assert!(picture.lines().next().unwrap().chars().all(|c| c == '█'));
    }
}
