//! A form that is on its way does not go a second time.

use xtask::chromium::{Chromium, Script};
use xtask::world::{self, Build, World};

/// Sends the form of the page twice, and tells how often it would have gone and what its button says. What is
/// heard after the console's own script keeps the form from leaving the page.
const TWICE: &str = "
const form = document.querySelector('form[action=\"/login\"]');
form.name.value = form.password.value = 'x';
const button = form.querySelector('button');
let gone = 0;
document.addEventListener('submit', event => {
  if (!event.defaultPrevented) gone += 1;
  event.preventDefault();
});
form.requestSubmit(button);
form.requestSubmit(button);
return [gone, button.ariaBusy];";

#[test]
fn a_form_that_is_on_its_way_shows_it_and_does_not_go_twice() {
    let programs = world::build(Build::Debug).unwrap();
    let world = World::start(&programs).unwrap();
    let chromium = Chromium::start().unwrap();
    let window = chromium.window(Script::On).unwrap();
    window.open(&format!("{}/login", world.url)).unwrap();
    let seen = window.run(TWICE).unwrap();
    assert_eq!(seen, serde_json::json!([1, "true"]));
}
