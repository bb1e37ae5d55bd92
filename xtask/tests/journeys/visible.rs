//! The keyboard's hand refuses what nobody could do: a control that Tab passes by, and a focus that nobody sees.

use xtask::chromium::{Chromium, Script};

use crate::control::button;
use crate::keyboard;

/// What becomes of pressing *Save* by keyboard on a page of this HTML.
fn pressed(html: &str) -> Result<(), String> {
    let chromium = Chromium::start().unwrap();
    let window = chromium.window(Script::On).unwrap();
    window
        .open(&format!(
            "data:text/html,<title>x</title><a href=/>Home</a>{html}"
        ))
        .unwrap();
    let found = window.run(&button("Save").script()).unwrap();
    assert!(found.is_null(), "{found}");
    keyboard::press(&window).map_err(|error| format!("{error:#}"))
}

#[test]
fn a_button_with_a_ring_is_pressed() {
    assert_eq!(pressed("<button>Save</button>"), Ok(()));
}

#[test]
fn a_button_that_tab_passes_by_is_refused() {
    let refused = pressed("<button tabindex=-1>Save</button>").unwrap_err();
    assert!(refused.contains("Tab does not come to"), "{refused}");
}

#[test]
fn a_focus_without_a_ring_is_refused() {
    let refused =
        pressed("<style>:focus { outline: none }</style><button>Save</button>").unwrap_err();
    assert!(refused.contains("it has no ring"), "{refused}");
}

#[test]
fn a_focus_under_something_else_is_refused() {
    let cover = "<div style='position:fixed;inset:3rem 0 0 0;background:grey'></div>";
    let refused = pressed(&format!(
        "<p style='margin:5rem'><button>Save</button>{cover}"
    ))
    .unwrap_err();
    assert!(refused.contains("it is under"), "{refused}");
}
