//! A person without a mouse: Tab as far as the control, then the key that works it.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use xtask::chromium::{Key, Window};

use crate::control::FOUND;

/// The key that goes on to the next control.
pub(crate) const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const HOME: &str = "\u{e011}";
const DOWN: &str = "\u{e015}";
const DELETE: &str = "\u{e017}";

/// Longer text is pasted: nobody types a certificate.
const TYPED: usize = 120;

/// Presses the control that was found.
pub(crate) fn press(window: &Window<'_>) -> Result<()> {
    reach(window)?;
    window.press(ENTER)
}

/// Turns the box that was found on or off.
pub(crate) fn tick(window: &Window<'_>) -> Result<()> {
    reach(window)?;
    window.press(" ")
}

/// Puts text into the field that was found.
pub(crate) fn fill(window: &Window<'_>, text: &str) -> Result<()> {
    reach(window)?;
    window.press_holding(Key::Control, "a")?;
    window.press(DELETE)?;
    if text.len() > TYPED || text.contains('\n') {
        return window.paste(text);
    }
    window.press(text)
}

/// Chooses the radio button that was found: Tab comes to its group, arrow keys go through it.
pub(crate) fn pick(window: &Window<'_>) -> Result<()> {
    reach(window)?;
    arrow_until(
        window,
        &format!("return document.querySelector('{FOUND}').checked"),
    )
}

/// Chooses an entry of the list that was found.
pub(crate) fn choose(window: &Window<'_>, option: &str) -> Result<()> {
    reach(window)?;
    window.press(HOME)?;
    let chosen = format!(
        "return document.querySelector('{FOUND}').selectedOptions[0]?.text === {}",
        Value::from(option)
    );
    arrow_until(window, &chosen)
}

fn arrow_until(window: &Window<'_>, done: &str) -> Result<()> {
    for _ in 0..20 {
        if window.run(done)? == true {
            return look(window).map(drop);
        }
        window.press(DOWN)?;
    }
    bail!("arrow keys do not come to it")
}

/// Presses Tab, or Shift and Tab where the control stands before, until it has the focus.
fn reach(window: &Window<'_>) -> Result<()> {
    let mut place = look(window)?;
    let most = 2 * number(&place, "controls")? + 10;
    let mut pressed = 0;
    while place["there"] != true {
        ensure!(
            pressed < most,
            "Tab does not come to {}; it is at {} now",
            place["wanted"],
            place["at"]
        );
        let steps = number(&place, "steps")?;
        pressed += steps;
        let tabs = TAB.repeat(steps);
        match place["back"].as_bool() {
            Some(true) => window.press_holding(Key::Shift, &tabs)?,
            _ => window.press(&tabs)?,
        }
        place = look(window)?;
    }
    Ok(())
}

fn number(place: &Value, what: &str) -> Result<usize> {
    let number = place[what]
        .as_u64()
        .with_context(|| format!("no number of {what}"))?;
    Ok(usize::try_from(number)?)
}

/// Where the focus is; wherever that is, a person must see it.
fn look(window: &Window<'_>) -> Result<Value> {
    let place = window.run(&format!(
        "const wanted = document.querySelector('{FOUND}');\n{LOOK}"
    ))?;
    let unseen = &place["unseen"];
    ensure!(
        unseen.is_null(),
        "the focus cannot be seen at {}: {unseen}",
        place["at"]
    );
    Ok(place)
}

/// Looks at the focus, and counts how often Tab has to be pressed.
///
/// A ring that is nothing, clear or of the page's own colour shows nothing; nor does a control off the page or
/// under another.
const LOOK: &str = r"
const at = document.activeElement;
const ring = getComputedStyle(at);
const clear = color => /^rgba\(.*, 0\)$|^transparent$/.test(color);
const box = at.getClientRects()[0];
const x = box ? box.left + box.width / 2 : -1, y = box ? box.top + box.height / 2 : -1;
const top = document.elementFromPoint(x, y);
const begun = at === document.body;
// The calendar's button in a date field is the browser's own, and so is its ring.
const foreign = begun || !at.matches(':focus');
let unseen = null;
if (foreign) unseen = null;
else if (ring.outlineStyle === 'none' || parseFloat(ring.outlineWidth) < 1) unseen = 'it has no ring';
else if (clear(ring.outlineColor) || ring.outlineColor === getComputedStyle(document.body).backgroundColor)
  unseen = `its ring is ${ring.outlineColor}`;
else if (!top) unseen = `it is at ${x}, ${y}, off the screen`;
else if (!at.contains(top)) unseen = `it is under ${top.outerHTML.slice(0, 100)}`;

// Tab comes to one radio button of a group: the one that is on.
const group = it => it.type === 'radio' ? [...document.getElementsByName(it.name)].filter(one => one.form === it.form) : [it];
const stop = it => group(it).find(one => one.checked) ?? it;
const root = document.querySelector('dialog[open]') ?? document;
const controls = [...root.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')]
  .filter(it => it.tabIndex >= 0 && !it.matches(':disabled') && it.checkVisibility({ visibilityProperty: true }) && stop(it) === it);
const follows = (one, other) => Boolean(one.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING);
const goal = stop(wanted);
const back = !begun && follows(goal, at);
const between = controls.filter(it => back
  ? follows(it, at) && !follows(it, goal)
  : (begun || follows(at, it)) && !follows(goal, it));
const text = it => it.outerHTML.slice(0, 200);
return { there: group(wanted).includes(at), back, unseen, at: text(at), wanted: text(wanted),
  controls: controls.length, steps: Math.max(1, between.length) };";
