//! Every page and state of the console, shown in a real browser: what screenshots and checks of pages see.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use server::app::{PAGES, Who};
use testforge::{Endpoint, Fault, Shape};

use crate::chromium::{Chromium, Script, Window};
use crate::demo::{DEVELOPER, Demo, PROVIDERS, Row, link, link_as};
use crate::world::{self, Build, World};
use crate::{shell, workspace::Workspace};

/// What is called by the names that people enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Words that people use.
    Ordinary,
    /// Markup, 200 characters without a space, right-to-left text, emoji.
    Hostile,
}

/// A route that answers with a file to keep, and no page.
const FILES: &[&str] = &["/manage/audit/export"];

const PASSWORD: &str = "a long enough pass phrase";
const MARKUP: &str = "<script>document.title='hit'</script>\"'&amp;";
const RIGHT_TO_LEFT: &str = "\u{202e}مرحبا بالعالم \u{2067}abc";
const EMOJI: &str = "👩‍👩‍👧‍👦🏴‍☠️ \u{0301}\u{0301}\u{0301}";
/// The longest name that a provider takes, without a place to break it.
const LONG: &str = "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW";

/// What is done at each sight: its name, and the window that shows it.
pub type See<'a> = &'a mut dyn FnMut(&str, &Window<'_>) -> Result<()>;

/// Shows every page of the route table, and every state that has words of its own.
///
/// # Errors
/// When a page cannot be shown, `see` fails, or a route of the table was not met.
pub fn tour(names: Names, see: See<'_>) -> Result<()> {
    let chromium = Chromium::start()?;
    let mut tour = Tour {
        see,
        met: BTreeSet::new(),
    };
    tour.unset(&chromium, &world::build(Build::Debug)?)?;
    tour.in_use(&chromium, names)?;
    tour.nothing_missed()
}

struct Tour<'a> {
    see: See<'a>,
    /// Routes that were shown.
    met: BTreeSet<&'static str>,
}

impl Tour<'_> {
    /// A server from its first start until it has everything but people and providers.
    fn unset(&mut self, chromium: &Chromium, programs: &Path) -> Result<()> {
        let world = World::start_unset(programs, None)?;
        let window = chromium.window(Script::On)?;
        self.visit(&window, &world, "/login", "first-run")?;
        window.open(&world.setup_link()?)?;
        self.show(&window, "set-up")?;
        window.fill("#name", "root")?;
        window.fill("#password", PASSWORD)?;
        window.follow("form[action='/setup'] button")?;
        self.show(&window, "no-providers-home")?;
        for (path, name) in [
            ("/preferences/linked-accounts", "no-providers-to-link"),
            ("/preferences/ssh-keys", "no-keys"),
            ("/preferences/workspaces", "no-workspaces"),
            ("/manage/overview", "no-providers-overview"),
            ("/manage/admin/git-oauth", "no-providers"),
        ] {
            self.visit(&window, &world, path, name)?;
        }
        self.add_each_kind(&window, &world)
    }

    /// *Add provider* with each kind, and the report of a test that fails.
    fn add_each_kind(&mut self, window: &Window<'_>, world: &World) -> Result<()> {
        const CHOOSE: &str = "/manage/admin/git-oauth/add";
        self.visit(window, world, CHOOSE, "add-provider-kind")?;
        let kinds = window.run(
            "return [...document.querySelectorAll('button[name=kind]')].map(it => it.value)",
        )?;
        for kind in kinds.as_array().context("no kinds to choose")? {
            let kind = kind.as_str().context("a kind without an id")?;
            window.open(&format!("{}{CHOOSE}", world.url))?;
            window.follow(&format!("button[value='{kind}']"))?;
            self.show(window, &format!("add-provider-{kind}"))?;
        }
        self.ask_for_the_version(window, world)?;
        window.fill("#name", "Git")?;
        window.fill("#url", "https://git.invalid")?;
        window.follow("button[value=test]")?;
        self.show(window, "add-provider-test-failed")
    }

    /// What an installation of Bitbucket Server answers, and the two ways that one may choose instead.
    fn ask_for_the_version(&mut self, window: &Window<'_>, world: &World) -> Result<()> {
        const ASK: &str = "/manage/admin/git-oauth/add/version?kind=bitbucket-server";
        for kind in ["bitbucket-server", "bitbucket-server-oauth1"] {
            window.open(&format!("{}{ASK}", world.url))?;
            window.follow(&format!("button[value='{kind}']"))?;
            self.show(window, &format!("add-provider-{kind}-chosen"))?;
        }
        let runtime = tokio::runtime::Runtime::new()?;
        let forge = runtime.block_on(testforge::start(Shape::BitbucketServerOAuth1))?;
        window.open(&format!("{}{ASK}", world.url))?;
        window.fill("#url", forge.url())?;
        window.follow("button.first")?;
        self.show(window, "version-not-told")?;
        window.click("#internal")?;
        window.click("summary")?;
        window.fill("#ca_pem", &forge.ca_pem())?;
        window.follow("button.first")?;
        self.show(window, "version-proposed")
    }

    /// A server that people use, with what can go wrong there.
    fn in_use(&mut self, chromium: &Chromium, names: Names) -> Result<()> {
        let mut demo = Demo::start(Build::Debug, &rows(names))?;
        let manager = chromium.window(Script::On)?;
        let developer = chromium.window(Script::On)?;
        self.visit(&developer, &demo.world, "/login", "login")?;
        let no_code = "/invitation?token=nonsense";
        self.visit(&developer, &demo.world, no_code, "invitation-over")?;
        self.accept(&manager, &demo.world, "root", None)?;
        self.accept(&developer, &demo.world, DEVELOPER, Some("invitation"))?;
        let accounts = "/preferences/linked-accounts";
        self.visit(&developer, &demo.world, accounts, "no-links")?;

        // The new password has ended every other session of theirs.
        let page = demo.browser.open(&format!("{}/login", demo.world.url))?;
        let fields = [("name", DEVELOPER), ("password", PASSWORD)];
        demo.browser.submit(&page.form("/login")?, &fields)?;
        fill(&mut demo, names)?;
        self.pages(&developer, &demo.world, "developer", |who| who == Who::User)?;
        self.pages(&manager, &demo.world, "manager", |who| who != Who::User)?;
        self.forms(&developer, &demo, names)?;
        self.broken(&developer, &demo, names)?;
        self.refused(&developer, &manager, &demo.world)
    }

    /// Follows a one-time link and chooses a password.
    fn accept(
        &mut self,
        window: &Window<'_>,
        world: &World,
        user: &str,
        name: Option<&str>,
    ) -> Result<()> {
        let link = world.server_command(&["user", "invite", user])?;
        window.open(link.trim())?;
        if let Some(name) = name {
            self.show(window, name)?;
        }
        window.fill("#password", PASSWORD)?;
        window.follow("form[action='/invitation'] button")?;
        window.wait_for("form[action='/logout']")
    }

    /// Every page that one comes to by links from the home page, one of each route.
    fn pages(
        &mut self,
        window: &Window<'_>,
        world: &World,
        whose: &str,
        wanted: impl Fn(Who) -> bool,
    ) -> Result<()> {
        let mut waiting = VecDeque::from(["/", "/preferences", "/manage"].map(str::to_owned));
        let mut seen = BTreeSet::new();
        while let Some(path) = waiting.pop_front() {
            let Some(route) = route(&path) else {
                bail!("{whose}: a link leads to {path}, which is no page");
            };
            let ours = wanted(route.who) || route.path == "/";
            if !ours || FILES.contains(&route.path) || !seen.insert(route.path) {
                continue;
            }
            self.met.insert(route.path);
            window.open(&format!("{}{path}", world.url))?;
            let shown = window.url()?.path().to_owned();
            if shown != path.split('?').next().unwrap_or_default() {
                // It only leads on.
                waiting.push_back(shown);
                continue;
            }
            let name = format!("{whose}{}", route.path.replace(['/', '{', '}'], "-"));
            self.show(window, name.trim_end_matches('-'))?;
            let links = window.run(
                "return [...document.querySelectorAll('a[href]')].map(it => it.getAttribute('href'))",
            )?;
            let links = links.as_array().into_iter().flatten();
            let links = links.filter_map(|link| link.as_str());
            waiting.extend(
                links
                    .filter(|link| link.starts_with('/'))
                    .map(str::to_owned),
            );
        }
        Ok(())
    }

    /// Pages that only a form or an address from elsewhere leads to.
    fn forms(&mut self, developer: &Window<'_>, demo: &Demo, names: Names) -> Result<()> {
        let world = &demo.world;
        self.visit(developer, world, "/device", "device")?;
        self.visit(developer, world, "/device?code=XXXX-XXXX", "device-unknown")?;
        let name = if names == Names::Hostile {
            MARKUP
        } else {
            "laptop"
        };
        let laptop = Workspace::new(world, "l")?;
        let code = laptop.ask_to_sign_in(world, name)?;
        developer.open(&code.address)?;
        self.show(developer, "device-approve")?;
        drop(code);
        self.visit(developer, world, "/preferences/workspaces", "workspaces")?;
        developer.click("summary#token")?;
        developer.fill("#name", if names == Names::Hostile { EMOJI } else { "ci" })?;
        developer.follow("form[action='/preferences/workspaces'] button.first")?;
        self.show(developer, "workspace-token")?;
        self.visit(developer, world, "/preferences/sign-in", "sign-in")?;
        developer.fill("form[action$='/tokens'] input[name=name]", name)?;
        developer.follow("form[action$='/tokens'] button")?;
        self.show(developer, "api-token")
    }

    /// What people see when something at a provider is broken.
    fn broken(&mut self, developer: &Window<'_>, demo: &Demo, names: Names) -> Result<()> {
        let url = demo.world.url.clone();
        let accounts = format!("{url}/preferences/linked-accounts");
        let gitlab = &demo.providers[1];
        let press = format!("form[action='/link/{}'] button", gitlab.id);
        developer.open(&accounts)?;
        developer.follow(&press)?;
        developer.wait_for("button[value=deny]")?;
        developer.follow("button[value=deny]")?;
        self.show(developer, "consent-denied")?;
        developer.open(&accounts)?;
        developer.follow(&press)?;
        developer.wait_for("button[value=approve]")?;
        gitlab
            .forge
            .fail_times(Endpoint::Token, Fault::ServerError, 5);
        developer.follow("button[value=approve]")?;
        self.show(developer, "provider-down")?;
        gitlab.forge.clear_faults();
        let (again, key) = (Fault::Status { status: 400 }, Endpoint::AddKey);
        gitlab.forge.fail_next(key, again);
        regenerate(developer, &url, gitlab.row.name)?;
        self.visit(
            developer,
            &demo.world,
            "/preferences/ssh-keys",
            "key-refused",
        )?;
        gitlab.forge.revoke_tokens(second_login(names));
        regenerate(developer, &url, gitlab.row.name)?;
        developer.open(&accounts)?;
        self.show(developer, "link-dead")
    }

    /// What people see where the server itself says no.
    fn refused(
        &mut self,
        developer: &Window<'_>,
        manager: &Window<'_>,
        world: &World,
    ) -> Result<()> {
        self.visit(developer, world, "/nothing-here", "not-found")?;
        self.visit(developer, world, "/manage/users", "not-allowed")?;
        self.visit(
            developer,
            world,
            "/oauth/callback?state=x&code=y",
            "callback-unknown",
        )?;
        suspend(world, DEVELOPER)?;
        self.visit(developer, world, "/preferences", "session-ended")?;
        manager.open(&format!("{}/manage/users", world.url))?;
        self.show(manager, "user-suspended")?;
        // Nothing that people do breaks the server; a value that no version writes does.
        let database = world.data_folder().join("forgepass.db");
        let mut python = Command::new("python3");
        python.arg("-c").arg(
            "import sqlite3, sys\nbase = sqlite3.connect(sys.argv[1])\n\
             base.execute(\"INSERT OR REPLACE INTO settings VALUES ('ssh.algorithm', 'x')\")\n\
             base.commit()",
        );
        shell::run(python.arg(database))?;
        self.visit(manager, world, "/manage/admin/security/ssh", "server-error")
    }

    fn visit(&mut self, window: &Window<'_>, world: &World, path: &str, name: &str) -> Result<()> {
        window.open(&format!("{}{path}", world.url))?;
        self.show(window, name)
    }

    fn show(&mut self, window: &Window<'_>, name: &str) -> Result<()> {
        let url = window.url()?;
        if let Some(route) = route(url.path()) {
            self.met.insert(route.path);
        }
        (self.see)(name, window).with_context(|| format!("{name}: {}", url.path()))
    }

    fn nothing_missed(&self) -> Result<()> {
        let pages = PAGES.iter().filter(|route| route.method == "get");
        let missed: Vec<&str> = pages
            .map(|route| route.path)
            .filter(|path| !FILES.contains(path) && !self.met.contains(path))
            .collect();
        if !missed.is_empty() {
            bail!("no sight of {}: lead the tour there", missed.join(", "));
        }
        Ok(())
    }
}

/// The page that answers to `path`; a path in so many words goes before one with a place for an id.
fn route(path: &str) -> Option<&'static server::app::PageRoute> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let pages = || PAGES.iter().filter(|route| route.method == "get");
    pages().find(|route| route.path == path).or_else(|| {
        pages().find(|route| {
            let mut given = path.split('/');
            let fits = route.path.split('/').all(|part| {
                given
                    .next()
                    .is_some_and(|it| part == it || part.starts_with('{'))
            });
            fits && given.next().is_none()
        })
    })
}

/// Presses *Regenerate* for the key at `provider` and confirms it.
fn regenerate(window: &Window<'_>, url: &str, provider: &str) -> Result<()> {
    window.open(&format!("{url}/preferences/ssh-keys"))?;
    let find = format!(
        "return [...document.querySelectorAll('a[href$=\"/regenerate\"]')]\
         .find(it => it.textContent.includes({})).getAttribute('href')",
        serde_json::Value::from(provider)
    );
    let path = window.run(&find)?;
    let path = path.as_str().context("no key to regenerate")?;
    window.open(&format!("{url}{path}"))?;
    window.follow(&format!("form[action='{path}'] button"))
}

fn suspend(world: &World, name: &str) -> Result<()> {
    let users = world.manage.get("/api/v1/users")?;
    let listed = users["users"].as_array().or_else(|| users.as_array());
    let user = listed
        .into_iter()
        .flatten()
        .find(|user| user["name"] == name);
    let id = world::text(user.context("no such user")?, "id")?;
    let body = serde_json::json!({ "suspended": true });
    world
        .manage
        .ask("PATCH", &format!("/api/v1/users/{id}"), Some(&body))
        .map(drop)
}

/// The account at the second provider.
fn second_login(names: Names) -> &'static str {
    match names {
        Names::Ordinary => "octo",
        Names::Hostile => MARKUP,
    }
}

/// The providers of the tour: each way to link, and one that has none.
fn rows(names: Names) -> Vec<Row> {
    let named = |at: usize, hostile| match names {
        Names::Ordinary => PROVIDERS[at],
        Names::Hostile => Row {
            name: hostile,
            ..PROVIDERS[at]
        },
    };
    vec![
        named(0, MARKUP),
        named(2, LONG),
        named(5, RIGHT_TO_LEFT),
        named(6, EMOJI),
    ]
}

/// Links accounts, and enters everything else that pages show.
fn fill(demo: &mut Demo, names: Names) -> Result<()> {
    let long = "w".repeat(200);
    let first = if names == Names::Hostile {
        &long
    } else {
        "ann-work"
    };
    let accounts = [first, second_login(names)];
    for (provider, login) in demo.providers.iter().zip(accounts) {
        provider.forge.add_account(login);
        link_as(login, provider, &mut demo.browser, &demo.world)?;
    }
    link(&demo.providers[0], &mut demo.browser, &demo.world)?;
    link(&demo.providers[2], &mut demo.browser, &demo.world)?;
    let page = format!("{}/preferences/linked-accounts", demo.world.url);
    let page = demo.browser.open(&page)?;
    let pattern = format!(
        "github.com/{}",
        if names == Names::Hostile {
            &long
        } else {
            "acme"
        }
    );
    let links = page.html.split_once("<option value=\"lnk_");
    let link = links.and_then(|(_, rest)| rest.split('"').next());
    let link = format!("lnk_{}", link.context("no link to choose for a rule")?);
    let rules = page.form("/preferences/linked-accounts/rules")?;
    demo.browser
        .submit(&rules, &[("pattern", &pattern), ("link", &link)])?;
    for name in ["bob", "carl", &long[..64]] {
        let user = serde_json::json!({ "name": name, "role": "member" });
        demo.world.manage.post("/api/v1/users", &user)?;
    }
    let repository = demo.providers[0]
        .forge
        .create_repository(DEVELOPER, "seen")?;
    demo.workspace.credential(&repository.https)?;
    Ok(())
}
