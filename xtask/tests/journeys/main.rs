//! The whole journeys of a site manager and of a developer in a real browser: with the mouse, without script, and
//! with the keyboard alone.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod control;
mod developer;
mod keyboard;
mod manager;
mod person;
mod twice;
mod visible;

use person::Hand;

/// What people in these journeys sign in with.
const PASSWORD: &str = "a long enough pass phrase";

#[test]
fn a_site_manager_sets_a_server_up_with_the_mouse() {
    manager::journey(Hand::Mouse);
}

#[test]
fn a_site_manager_sets_a_server_up_without_script() {
    manager::journey(Hand::WithoutScript);
}

#[test]
fn a_site_manager_sets_a_server_up_by_keyboard() {
    manager::journey(Hand::Keyboard);
}

#[test]
fn a_developer_links_and_works_with_the_mouse() {
    developer::journey(Hand::Mouse);
}

#[test]
fn a_developer_links_and_works_without_script() {
    developer::journey(Hand::WithoutScript);
}

#[test]
fn a_developer_links_and_works_by_keyboard() {
    developer::journey(Hand::Keyboard);
}
