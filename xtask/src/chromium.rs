//! A real browser: Chromium, driven by its own driver, for the console's tests and pictures.

use std::io::BufRead as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use thirtyfour::common::capabilities::chromium::ChromiumLikeCapabilities as _;
use thirtyfour::{
    By, CapabilitiesHelper as _, DesiredCapabilities, LoggingPrefsLogLevel, WebDriver, WebElement,
};
use tokio::runtime::Runtime;

pub use thirtyfour::Key;

use crate::world::{line_with, wait_until};

/// The driver, which starts a Chromium for each window.
pub struct Chromium {
    driver: Child,
    url: String,
    runtime: Runtime,
}

/// Whether pages may run script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// As most people have it.
    On,
    /// As with a strict browser.
    Off,
}

/// The colours that the person prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// Both of them.
pub const THEMES: [Theme; 2] = [Theme::Light, Theme::Dark];

/// A window with its own cookies.
pub struct Window<'a> {
    driver: WebDriver,
    runtime: &'a Runtime,
}

impl Chromium {
    /// Starts the driver on a free port.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub fn start() -> Result<Self> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start chromedriver\nhint: run `cargo xtask install`")?;
        let said = driver.stdout.take().context("chromedriver's output")?;
        let (port, rest) = line_with(said, |line| {
            let port = line.split_once("successfully on port ")?.1;
            port.trim_end().trim_end_matches('.').parse::<u16>().ok()
        })?;
        // Nobody reads the rest, and a closed pipe would end the driver.
        std::thread::spawn(move || rest.lines().for_each(drop));
        Ok(Self {
            driver,
            url: format!("http://127.0.0.1:{port}"),
            runtime: Runtime::new()?,
        })
    }

    /// Opens a window that nobody is signed in with. It takes the certificates of the stand-ins.
    ///
    /// # Errors
    /// When Chromium does not start.
    pub fn window(&self, script: Script) -> Result<Window<'_>> {
        let mut wanted = DesiredCapabilities::chrome();
        for argument in [
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
        ] {
            wanted.add_arg(argument)?;
        }
        if rustix::process::getuid().is_root() {
            // Chromium refuses to run as root with its sandbox.
            wanted.add_arg("--no-sandbox")?;
        }
        wanted.accept_insecure_certs(true)?;
        for log in ["browser", "performance"] {
            wanted.set_logging_prefs(log, LoggingPrefsLogLevel::All)?;
        }
        let driver = self
            .runtime
            .block_on(WebDriver::new(&self.url, wanted))
            .context("cannot start Chromium")?;
        let window = Window {
            driver,
            runtime: &self.runtime,
        };
        window.ask("Network.enable", json!({}))?;
        // What a page weighs is what a first visit transfers.
        window.ask("Network.setCacheDisabled", json!({ "cacheDisabled": true }))?;
        let off = script == Script::Off;
        window.ask(
            "Emulation.setScriptExecutionDisabled",
            json!({ "value": off }),
        )?;
        Ok(window)
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Nothing is left to tell: the process ends either way.
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}

impl Window<'_> {
    /// Loads a page.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub fn open(&self, url: &str) -> Result<()> {
        self.runtime
            .block_on(self.driver.goto(url))
            .with_context(|| format!("cannot open {url}"))
    }

    /// The address of the page that is shown.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn url(&self) -> Result<url::Url> {
        Ok(self.runtime.block_on(self.driver.current_url())?)
    }

    /// The page's own words, as they are shown.
    ///
    /// # Errors
    /// When there is no page.
    pub fn text(&self) -> Result<String> {
        let body = self.element("body")?;
        Ok(self.runtime.block_on(body.text())?)
    }

    /// The HTML as the server sent it, of the page loaded since this was asked last.
    ///
    /// # Errors
    /// When there is no such page.
    pub fn html(&self) -> Result<String> {
        // The page itself is `no-store`: only the network's own record of it has the words as sent.
        let events = self.runtime.block_on(self.driver.get_log("performance"))?;
        let request = events.iter().rev().find_map(|event| {
            let event: Value = serde_json::from_str(&event.message).ok()?;
            let event = &event["message"];
            let is_page = event["method"] == "Network.responseReceived"
                && event["params"]["type"] == "Document";
            is_page.then(|| event["params"]["requestId"].clone())
        });
        let request = request.context("no page was loaded since the last time")?;
        let answer = self.ask("Network.getResponseBody", json!({ "requestId": request }))?;
        let html = answer["body"].as_str().context("a page without HTML")?;
        Ok(html.to_owned())
    }

    /// Presses what `css` finds and stays on the page.
    ///
    /// # Errors
    /// When it is not there, hidden or covered.
    pub fn click(&self, css: &str) -> Result<()> {
        let element = self.element(css)?;
        self.runtime
            .block_on(element.click())
            .with_context(|| format!("cannot press {css} at {}", self.place()))
    }

    /// Presses the link or button that `css` finds and waits for the page it leads to.
    ///
    /// # Errors
    /// When it is not there, hidden or covered, or leads nowhere.
    pub fn follow(&self, css: &str) -> Result<()> {
        self.leave(css, || self.click(css))
    }

    /// Waits until what `act` does has led to another page, and that page is whole.
    ///
    /// # Errors
    /// As `act`; when the page stays; `what` names the act.
    pub fn leave(&self, what: &str, act: impl FnOnce() -> Result<()>) -> Result<()> {
        // The driver returns before a slow server has answered. No two documents began at one instant.
        let before = self.run("return performance.timeOrigin")?;
        act()?;
        wait_until(|| {
            // Between two pages there is none to ask.
            let after = self.run("return [performance.timeOrigin, document.readyState]");
            Ok(after.is_ok_and(|after| after[0] != before && after[1] == "complete"))
        })
        .with_context(|| {
            format!(
                "{what} leads nowhere from {}:\n{}",
                self.place(),
                self.text().unwrap_or_default()
            )
        })
    }

    /// Types into the field that `css` finds, in place of what is there.
    ///
    /// # Errors
    /// When it is not there or takes no text.
    pub fn fill(&self, css: &str, text: &str) -> Result<()> {
        let element = self.element(css)?;
        self.runtime.block_on(async {
            element.clear().await?;
            element.focus().await
        })?;
        self.paste(text)
    }

    /// Puts text where the cursor is, as pasting does.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn paste(&self, text: &str) -> Result<()> {
        // Keys of the driver stop at U+FFFF.
        self.ask("Input.insertText", json!({ "text": text }))
            .map(drop)
    }

    /// Presses keys on whatever has the focus.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn press(&self, keys: &str) -> Result<()> {
        let chain = self.driver.action_chain().send_keys(keys);
        Ok(self.runtime.block_on(chain.perform())?)
    }

    /// Presses keys on whatever has the focus while `held` is down, such as Shift with Tab.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn press_holding(&self, held: Key, keys: &str) -> Result<()> {
        let held = char::from(held);
        let chain = self.driver.action_chain().key_down(held);
        let chain = chain.send_keys(keys).key_up(held);
        Ok(self.runtime.block_on(chain.perform())?)
    }

    /// The text that the page copied.
    ///
    /// # Errors
    /// When it may not be read, or is no text.
    pub fn clipboard(&self) -> Result<String> {
        let read = json!({ "permission": { "name": "clipboard-read" }, "setting": "granted" });
        self.ask("Browser.setPermission", read)?;
        let text = self.run_until_called(
            "navigator.clipboard.readText().then(arguments[0], error => arguments[0](null))",
        )?;
        let text = text.as_str().context("the clipboard cannot be read")?;
        Ok(text.to_owned())
    }

    /// Lets links to files put them into `folder`, without asking.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn download_to(&self, folder: &Path) -> Result<()> {
        let how = json!({ "behavior": "allow", "downloadPath": folder });
        self.ask("Browser.setDownloadBehavior", how).map(drop)
    }

    /// Whether `css` finds anything.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn has(&self, css: &str) -> Result<bool> {
        let found = self.runtime.block_on(self.driver.find_all(By::Css(css)))?;
        Ok(!found.is_empty())
    }

    /// Waits until `css` finds something.
    ///
    /// # Errors
    /// When it never comes; the error holds what is shown instead.
    pub fn wait_for(&self, css: &str) -> Result<()> {
        wait_until(|| self.has(css)).with_context(|| {
            format!(
                "no {css} at {}:\n{}",
                self.place(),
                self.text().unwrap_or_default()
            )
        })
    }

    /// Runs the tests' own script, also where the page may not run any; `source` returns what it finds.
    ///
    /// # Errors
    /// When it throws.
    pub fn run(&self, source: &str) -> Result<Value> {
        let outcome = self
            .runtime
            .block_on(self.driver.execute(source, Vec::new()))?;
        Ok(outcome.json().clone())
    }

    /// The same for a script that ends with `arguments[0](what it finds)`.
    ///
    /// # Errors
    /// As [`Window::run`].
    pub fn run_until_called(&self, source: &str) -> Result<Value> {
        let outcome = self
            .runtime
            .block_on(self.driver.execute_async(source, Vec::new()))?;
        Ok(outcome.json().clone())
    }

    /// Makes the page this many CSS pixels wide and high.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn resize(&self, width: u64, height: u64) -> Result<()> {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.ask("Emulation.setDeviceMetricsOverride", size)
            .map(drop)
    }

    /// Shows the page in this theme.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn wear(&self, theme: Theme) -> Result<()> {
        let features = json!([
            { "name": "prefers-color-scheme", "value": theme.name() },
            // A picture in the middle of a transition shows colours that are nowhere in the theme.
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.ask(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        )
        .map(drop)
    }

    /// Writes what is shown as PNG.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn picture(&self, file: &Path) -> Result<()> {
        Ok(self.runtime.block_on(self.driver.screenshot(file))?)
    }

    /// What the browser complained about since the last time: errors of script, refused by policy, missing
    /// files. An error status of the page itself or of another host is no complaint about it.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn complaints(&self) -> Result<Vec<String>> {
        let entries = self.runtime.block_on(self.driver.browser_log())?;
        let page = self.url()?;
        let own = page.origin().ascii_serialization();
        let status = " - Failed to load resource: the server responded with a status of";
        let is_ours = |message: &String| match message.split_once(status) {
            Some((place, _)) => place.starts_with(&own) && place != page.as_str(),
            None => true,
        };
        Ok(entries
            .into_iter()
            .map(|entry| entry.message)
            .filter(is_ours)
            .collect())
    }

    fn element(&self, css: &str) -> Result<WebElement> {
        self.runtime
            .block_on(self.driver.find(By::Css(css)))
            .with_context(|| {
                format!(
                    "no {css} at {}:\n{}",
                    self.place(),
                    self.source().unwrap_or_default()
                )
            })
    }

    fn source(&self) -> Result<String> {
        Ok(self.runtime.block_on(self.driver.source())?)
    }

    fn place(&self) -> String {
        self.url().map(String::from).unwrap_or_default()
    }

    fn ask(&self, command: &str, parameters: Value) -> Result<Value> {
        let answer = self
            .runtime
            .block_on(self.driver.cdp().send_raw(command, parameters));
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => bail!("{command}: {error}"),
        }
    }
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        // Ends its Chromium, which would outlive the driver.
        drop(self.runtime.block_on(self.driver.clone().quit()));
    }
}

impl Theme {
    /// As it is called in files and by CSS.
    pub fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}
