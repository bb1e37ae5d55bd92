//! Controls of a page, called by what people read on them.

use serde_json::json;

/// The mark that a found control carries, so that the driver can name it.
pub(crate) const FOUND: &str = "[data-found]";

/// A control: what it is, what people read on it, and in which section it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Control<'a> {
    sort: &'static str,
    pub(crate) name: &'a str,
    section: Option<&'a str>,
}

/// A link of this text.
pub(crate) fn link(name: &str) -> Control<'_> {
    control("a[href]", name)
}

/// A button of this text.
pub(crate) fn button(name: &str) -> Control<'_> {
    control("button", name)
}

/// A field, box or list with this label.
pub(crate) fn field(name: &str) -> Control<'_> {
    control("input, select, textarea", name)
}

/// The head of a folded part.
pub(crate) fn fold(name: &str) -> Control<'_> {
    control("summary", name)
}

/// An entry of the navigation.
pub(crate) fn menu(name: &str) -> Control<'_> {
    link(name).within("Main")
}

fn control<'a>(sort: &'static str, name: &'a str) -> Control<'a> {
    let section = None;
    Control {
        sort,
        name,
        section,
    }
}

impl<'a> Control<'a> {
    /// The same in the section or navigation whose title contains `heading`.
    pub(crate) fn within(self, heading: &'a str) -> Self {
        let section = Some(heading);
        Self { section, ..self }
    }

    /// The value that this button copies; the button itself need not be shown.
    pub(crate) fn value(self) -> Self {
        let sort = "[data-copy]";
        Self { sort, ..self }
    }

    /// Script that marks the one control meant and returns null; else it returns what there is instead.
    pub(crate) fn script(self) -> String {
        let wanted = json!([self.sort, self.name, self.section]);
        format!("const [sort, name, section] = {wanted};\n{SECTIONS}{FIND}")
    }
}

/// Script that returns what is shown in the section under a heading that contains `heading`.
pub(crate) fn section_script(heading: &str) -> String {
    let section = json!(heading);
    format!("const section = {section};\n{SECTIONS}return sections[0]?.innerText ?? null;")
}

/// Sections and navigation are called by their title.
const SECTIONS: &str = r"
const words = it => it.textContent.replace(/\s+/g, ' ').trim();
const title = it => it.hasAttribute('aria-labelledby')
  ? it.getAttribute('aria-labelledby').split(' ').map(id => words(document.getElementById(id))).join(' ')
  : it.getAttribute('aria-label') ?? words(it.querySelector('h1, h2, h3') ?? it);
const sections = [...document.querySelectorAll('section, nav')].filter(it => title(it).includes(section));
";

/// The whole name goes before its beginning: hints and remarks follow it in labels.
const FIND: &str = r"
const call = it => it.labels ? [...it.labels].map(words).join(' ') || words(it) : words(it);
for (const it of document.querySelectorAll('[data-found]')) it.removeAttribute('data-found');
let root = document.querySelector('dialog[open]') ?? document;
if (section !== null) {
  if (sections.length !== 1) return `${sections.length} sections are called ${section}`;
  root = sections[0];
}
const isValue = sort === '[data-copy]';
const all = [...root.querySelectorAll(sort)].filter(it => isValue || it.checkVisibility({ visibilityProperty: true }));
const exact = all.filter(it => call(it) === name);
const found = exact.length ? exact : all.filter(it => call(it).startsWith(name));
if (found.length !== 1) return `${found.length} of: ` + all.map(call).join(' | ');
const one = isValue ? document.getElementById(found[0].dataset.copy) : found[0];
one.setAttribute('data-found', '');
return null;";
