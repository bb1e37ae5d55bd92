//! A person before a browser: one way to act, and what they see.

use std::panic::Location;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use xtask::chromium::{Chromium, Script, Window};
use xtask::world::wait_until;

use crate::control::{Control, FOUND, button, section_script};
use crate::keyboard;

/// How a person acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hand {
    /// With the mouse, as most people do.
    Mouse,
    /// With the mouse, in a browser that runs no script.
    WithoutScript,
    /// With keys alone.
    Keyboard,
}

/// Somebody before a window of their own.
pub(crate) struct Person<'a> {
    pub(crate) hand: Hand,
    pub(crate) window: Window<'a>,
}

/// Says where in the journey it went wrong.
#[track_caller]
fn must<T>(outcome: Result<T>) -> T {
    match outcome {
        Ok(it) => it,
        Err(error) => panic!("{}: {error:#}", Location::caller()),
    }
}

impl<'a> Person<'a> {
    /// Opens a window for somebody who acts like this.
    #[track_caller]
    pub(crate) fn new(chromium: &'a Chromium, hand: Hand) -> Self {
        let script = match hand {
            Hand::WithoutScript => Script::Off,
            Hand::Mouse | Hand::Keyboard => Script::On,
        };
        let window = must(chromium.window(script));
        must(window.resize(1280, 900));
        Self { hand, window }
    }

    /// Enters an address.
    #[track_caller]
    pub(crate) fn open(&self, url: &str) {
        must(self.window.open(url));
    }

    /// Presses a control and stays on the page.
    #[track_caller]
    pub(crate) fn press(&self, control: Control<'_>) {
        must(self.find(control));
        must(self.act().with_context(|| format!("{control:?}")));
    }

    /// Presses a link or button and waits for the page it leads to.
    #[track_caller]
    pub(crate) fn follow(&self, control: Control<'_>) {
        must(self.find(control));
        must(self.window.leave(control.name, || self.act()));
    }

    /// Puts text into a field, in place of what is there.
    #[track_caller]
    pub(crate) fn fill(&self, control: Control<'_>, text: &str) {
        must(self.find(control));
        must(match self.hand {
            Hand::Mouse | Hand::WithoutScript => self.window.fill(FOUND, text),
            Hand::Keyboard => keyboard::fill(&self.window, text),
        });
        let entered = must(self.value_of_found());
        assert_eq!(entered.as_str(), Some(text), "{control:?}");
    }

    /// Ticks a box, or clears it.
    #[track_caller]
    pub(crate) fn tick(&self, control: Control<'_>) {
        must(self.find(control));
        let is_ticked = || {
            self.window
                .run(&format!("return document.querySelector('{FOUND}').checked"))
        };
        let before = must(is_ticked());
        must(match self.hand {
            Hand::Mouse | Hand::WithoutScript => self.window.click(FOUND),
            Hand::Keyboard => keyboard::tick(&self.window),
        });
        assert_ne!(must(is_ticked()), before, "{control:?} does not change");
    }

    /// Chooses one of several radio buttons.
    #[track_caller]
    pub(crate) fn pick(&self, control: Control<'_>) {
        must(self.find(control));
        must(match self.hand {
            Hand::Mouse | Hand::WithoutScript => self.window.click(FOUND),
            Hand::Keyboard => keyboard::pick(&self.window),
        });
        assert!(self.has_picked(control), "{control:?} is not chosen");
    }

    /// Whether a box or radio button is on.
    #[track_caller]
    pub(crate) fn has_picked(&self, control: Control<'_>) -> bool {
        must(self.find(control));
        must(self.window.has(&format!("{FOUND}:checked")))
    }

    /// Chooses an entry of a list by its text.
    #[track_caller]
    pub(crate) fn choose(&self, control: Control<'_>, option: &str) {
        must(self.find(control));
        must(match self.hand {
            Hand::Mouse | Hand::WithoutScript => self.click_option(option),
            Hand::Keyboard => keyboard::choose(&self.window, option),
        });
        let chosen = format!("return document.querySelector('{FOUND}').selectedOptions[0]?.text");
        assert_eq!(must(self.window.run(&chosen)), option, "{control:?}");
    }

    /// What a field holds.
    #[track_caller]
    pub(crate) fn entered(&self, control: Control<'_>) -> String {
        must(self.find(control));
        let held = must(self.value_of_found());
        held.as_str().unwrap_or_default().to_owned()
    }

    /// Where a link leads.
    #[track_caller]
    pub(crate) fn leads_to(&self, control: Control<'_>) -> String {
        must(self.find(control));
        let address = must(
            self.window
                .run(&format!("return document.querySelector('{FOUND}').href")),
        );
        address.as_str().unwrap_or_default().to_owned()
    }

    /// Takes a value elsewhere: by its button, or by selecting it where no script runs.
    #[track_caller]
    pub(crate) fn copy(&self, of: Control<'_>) -> String {
        let text = must(match self.hand {
            Hand::WithoutScript => self.select(of),
            Hand::Mouse | Hand::Keyboard => self.copy_by_button(of),
        });
        assert!(!text.is_empty(), "{of:?} copies nothing");
        text
    }

    /// Presses a button that asks first: once to say no, and once to go through with it.
    #[track_caller]
    pub(crate) fn confirm(&self, control: Control<'_>, question: &str) {
        // The question is a convenience of the script; without it the form is just sent.
        if self.hand == Hand::WithoutScript {
            return self.follow(control);
        }
        self.press(control);
        must(self.window.wait_for("dialog[open]"));
        self.sees(&[question]);
        self.press(button("Cancel"));
        must(wait_until(|| Ok(!self.window.has("dialog")?)));
        must(self.find(control));
        // Whoever says no with the keyboard is where they were.
        let is_back = must(self.window.has(&format!("{FOUND}:focus")));
        assert!(is_back || self.hand != Hand::Keyboard, "the focus is lost");
        self.press(control);
        must(self.window.wait_for("dialog[open]"));
        self.follow(button(control.name));
    }

    /// Waits until the page shows all these words.
    #[track_caller]
    pub(crate) fn sees(&self, words: &[&str]) {
        let missing = || -> Result<Vec<&str>> {
            let shown = self.window.text()?;
            Ok(words
                .iter()
                .copied()
                .filter(|word| !shown.contains(word))
                .collect())
        };
        // Between two pages there is none to read.
        if wait_until(|| Ok(missing().is_ok_and(|missing| missing.is_empty()))).is_err() {
            let at = self.path();
            panic!("{:?} is missing at {at}:\n{}", must(missing()), self.text());
        }
    }

    /// Waits until the section under this heading shows all these words.
    #[track_caller]
    pub(crate) fn sees_in(&self, heading: &str, words: &[&str]) {
        let holds = |shown: String| words.iter().all(|word| shown.contains(word));
        let seen = wait_until(|| Ok(self.section(heading).is_ok_and(holds)));
        assert!(
            seen.is_ok(),
            "{words:?} in:\n{}",
            must(self.section(heading))
        );
    }

    /// Loads the page again and again until what the section under this heading shows is as `wanted`.
    #[track_caller]
    pub(crate) fn reloads_until(&self, heading: &str, wanted: impl Fn(&str) -> bool) {
        let url = must(self.window.url());
        let mut shown = String::new();
        let seen = wait_until(|| {
            shown = self.section(heading)?;
            if wanted(&shown) {
                return Ok(true);
            }
            self.window.open(url.as_str()).map(|()| false)
        });
        must(seen.with_context(|| format!("{heading} stays as it is:\n{shown}")));
    }

    /// The page must not show these words.
    #[track_caller]
    pub(crate) fn misses(&self, words: &str) {
        let shown = self.text();
        assert!(!shown.contains(words), "`{words}` is shown:\n{shown}");
    }

    /// All that the page shows.
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        must(self.window.text())
    }

    /// The path of the page that is shown.
    #[track_caller]
    pub(crate) fn path(&self) -> String {
        must(self.window.url()).path().to_owned()
    }

    /// The HTML of the page as the server sent it.
    #[track_caller]
    pub(crate) fn source(&self) -> String {
        must(self.window.html())
    }

    fn act(&self) -> Result<()> {
        match self.hand {
            Hand::Mouse | Hand::WithoutScript => self.window.click(FOUND),
            Hand::Keyboard => keyboard::press(&self.window),
        }
    }

    /// Marks the control; waits for it, since a page may be on its way.
    fn find(&self, control: Control<'_>) -> Result<()> {
        let script = control.script();
        let mut instead = None;
        let found = wait_until(|| {
            // Between two pages there is none to look at.
            instead = self.window.run(&script).ok();
            Ok(instead == Some(Value::Null))
        });
        found.with_context(|| {
            let at = self.window.url().map(String::from).unwrap_or_default();
            let shown = self.window.text().unwrap_or_default();
            format!("no {control:?} at {at}, {instead:?}:\n{shown}")
        })
    }

    fn section(&self, heading: &str) -> Result<String> {
        let shown = self.window.run(&section_script(heading))?;
        let shown = shown
            .as_str()
            .with_context(|| format!("no section {heading}"))?;
        Ok(shown.to_owned())
    }

    fn value_of_found(&self) -> Result<Value> {
        self.window.run(&format!(
            "return document.querySelector('{FOUND}').value.replaceAll('\\r\\n', '\\n')"
        ))
    }

    fn click_option(&self, option: &str) -> Result<()> {
        let mark = format!(
            "const option = [...document.querySelector('{FOUND}').options].find(it => it.text === {});
             option?.setAttribute('data-option', ''); return Boolean(option)",
            Value::from(option)
        );
        ensure!(self.window.run(&mark)? == true, "no {option} to choose");
        self.window.click("[data-option]")
    }

    /// One click selects the whole value; its button stays away, since it could do nothing.
    fn select(&self, of: Control<'_>) -> Result<String> {
        ensure!(
            !self.window.has("[data-copy]:not([hidden])")?,
            "a copy button is shown that cannot work"
        );
        self.find(of.value())?;
        self.window.click(FOUND)?;
        let text = self.window.run("return getSelection().toString()")?;
        Ok(text.as_str().unwrap_or_default().trim().to_owned())
    }

    fn copy_by_button(&self, of: Control<'_>) -> Result<String> {
        self.find(of)?;
        // The word is there for two seconds only, so the page notes what it was shown.
        self.window.run(&format!(
            "const button = document.querySelector('{FOUND}');
             button.said = [];
             const note = () => button.said.push(button.textContent);
             new MutationObserver(note).observe(button, {{ childList: true }});"
        ))?;
        self.act()?;
        let said = format!("return document.querySelector('{FOUND}').said.includes('Copied')");
        wait_until(|| Ok(self.window.run(&said)? == true)).context("nothing is copied")?;
        self.window.clipboard()
    }
}
