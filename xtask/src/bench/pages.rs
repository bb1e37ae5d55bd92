//! Every page of the console at 10,000 users, beside a bare handler that renders one template from one row of SQLite.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use server::app::PAGES;

use super::load::Connection;
use super::yardstick::{Bare, example};
use super::{Figures, Line};
use crate::browser::Browser;
use crate::demo::Demo;
use crate::shell;
use crate::world::{World, text};

/// How many users the site has; the site manager who looks has as much as each of them.
const USERS: &str = "10000";
const ROUNDS: usize = 300;
/// Rounds before the measured ones, until everything that is read has been read once.
const WARM_UP: usize = 20;

/// Pages that are not measured, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("/login", "leads on, for whoever is signed in"),
    ("/setup", "needs a one-time token"),
    ("/invitation", "needs a one-time token"),
    (
        "/oauth/callback",
        "needs a state that works once, and writes",
    ),
    ("/preferences", "leads on to the first of its pages"),
    ("/manage", "leads on to the first of its pages"),
    (
        "/manage/audit/export",
        "is a file of all events, not a page",
    ),
];

/// Where the API lists what `{…}` stands for in a page's path.
const LISTS: &[(&str, &str)] = &[
    ("/links/{id}/unlink", "/links"),
    ("/preferences/ssh-keys/{id}/regenerate", "/keys"),
    ("/manage/users/{id}", "/users?search=developer-005000"),
    ("/manage/admin/git-oauth/{id}", "/providers"),
    ("/manage/admin/git-oauth/{id}/delete", "/providers"),
];

/// What a page must be asked for.
const ASKED: &[(&str, &str)] = &[(
    "/manage/admin/git-oauth/add/version",
    "?kind=bitbucket-server",
)];

/// Pages once more, asked for something in particular; there is no budget for them.
const SEARCHES: &[&str] = &[
    "/manage/users?search=developer-0099",
    "/manage/audit?user=developer-005000",
    "/manage/audit?action=credential.refuse",
];

/// The latency of each page in turn with that of the bare one.
pub(super) fn measure(demo: &Demo) -> Result<Vec<Line>> {
    let mut world = World::start(&demo.world.programs)?;
    fill(&mut world)?;
    let cookies = sign_in(&world, &demo.providers[0].forge.ca_pem())?;
    let ours = world.url.trim_start_matches("http://").to_owned();
    let ours = ours.replace("localhost", "127.0.0.1");
    let bare = Bare::start()?;
    let mut connections = [Connection::open(&ours)?, Connection::open(&bare.address)?];
    let mut lines = Vec::new();
    for (name, path) in pages(&world)? {
        let requests = [
            request(&ours, &path, &format!("cookie: {cookies}\r\n")),
            request(&bare.address, "/", ""),
        ];
        let mut turns =
            |rounds| Figures::take_turns(rounds, |which| connections[which].ask(&requests[which]));
        let _: [Figures; 2] = turns(WARM_UP).with_context(|| path.clone())?;
        let [page, yardstick] = turns(ROUNDS)?;
        lines.push(Line {
            what: format!("GET {name}"),
            ours: page.quantile_ms(0.5),
            yardstick: Some(yardstick.quantile_ms(0.5)),
            unit: "ms",
            budget: if SEARCHES.contains(&name) {
                ""
            } else {
                "≤ 3×"
            },
        });
    }
    Ok(lines)
}

/// Puts the users and what is theirs into the database, while the server does not run.
fn fill(world: &mut World) -> Result<()> {
    world.stop_server()?;
    let file = world.data_folder().join("forgepass.db");
    shell::run(Command::new(example("fill")?).arg(file).arg(USERS))?;
    world.start_server()
}

/// Signs the site manager in, and returns the cookies of that session.
fn sign_in(world: &World, ca_pem: &str) -> Result<String> {
    let mut browser = Browser::new(ca_pem)?;
    let link = world.server_command(&["user", "invite", "root"])?;
    world.follow_invitation("root", link.trim(), &mut browser)?;
    browser
        .cookies("localhost")
        .context("the console sets no cookie")
}

/// What to call each page that is measured, and its address.
fn pages(world: &World) -> Result<Vec<(&'static str, String)>> {
    let read = PAGES.iter().filter(|page| page.method == "get");
    let measured = read.filter(|page| LEFT_OUT.iter().all(|(path, _)| *path != page.path));
    let mut pages = measured
        .map(|page| Ok((page.path, address(world, page.path)?)))
        .collect::<Result<Vec<_>>>()?;
    pages.extend(SEARCHES.iter().map(|path| (*path, (*path).to_owned())));
    Ok(pages)
}

/// The path of a page with an id that exists in place of `{…}`.
fn address(world: &World, path: &str) -> Result<String> {
    let Some((before, rest)) = path.split_once('{') else {
        let query = ASKED.iter().find(|(page, _)| *page == path);
        return Ok(format!("{path}{}", query.map_or("", |(_, query)| query)));
    };
    let (_, after) = rest.split_once('}').context("a path that does not end")?;
    let found = match LISTS.iter().find(|(page, _)| *page == path) {
        Some((_, list)) => world.manage.get(&format!("/api/v1{list}"))?[0].take(),
        None => draft(world)?,
    };
    let id = text(&found, "id").with_context(|| format!("no id for {path}"))?;
    Ok(format!("{before}{id}{after}"))
}

/// What the form of a new provider needs.
fn draft(world: &World) -> Result<Value> {
    let kind = json!({ "kind": "gitlab" });
    world.manage.post("/api/v1/provider-drafts", &kind)
}

fn request(host: &str, path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_that_exist_are_left_out_or_listed() {
        let named = LEFT_OUT
            .iter()
            .chain(LISTS)
            .chain(ASKED)
            .map(|(path, _)| *path);
        let searches = SEARCHES.iter().filter_map(|path| path.split('?').next());
        for path in named.chain(searches) {
            let exists = PAGES
                .iter()
                .any(|page| page.method == "get" && page.path == path);
            assert!(exists, "{path}");
        }
    }
}
