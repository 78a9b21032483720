//! Chromium, driven by WebDriver, and a strict reader of pages in it: axe-core, a narrow screen, the dark, paper.
//!
//! Debian's chromium and chromium-driver, and axe-core in `target/npm`; tests/run installs them.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use fantoccini::wd::{TimeoutConfiguration, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{PATIENCE, free_ports, listens};

/// A process and those that it began, killed when it is dropped.
pub struct Killed(Child);

impl Killed {
    pub fn start(command: &mut Command) -> Self {
        let what = format!("{command:?}");
        let child = command
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap_or_else(|error| {
            panic!("{what}: {error}: run tests/run, which installs what is missing")
        }))
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.0.wait();
    }
}

/// A command of Chromium's own, by its driver.
#[derive(Debug)]
struct Own(Value);

impl WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as FromStr>::Err> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.0.to_string()))
    }
}

/// How a page is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Light(u32),
    Dark(u32),
    /// A4 without its margins.
    Paper,
}

impl Look {
    fn of(self) -> (u32, &'static str, &'static str) {
        match self {
            Self::Light(width) => (width, "light", "screen"),
            Self::Dark(width) => (width, "dark", "screen"),
            Self::Paper => (700, "light", "print"),
        }
    }
}

/// A browser that knows nobody yet, and no machine but this one.
pub struct Chromium {
    client: Client,
    axe: String,
    _driver: Killed,
    _profile: TempDir,
}

impl Chromium {
    pub async fn start() -> Self {
        let [port] = free_ports();
        let profile = tempfile::tempdir().unwrap();
        let driver = Killed::start(Command::new("chromedriver").arg(format!("--port={port}")));
        assert!(listens(port), "chromedriver does not listen");
        let options = json!({ "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en-GB",
            "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            format!("--user-data-dir={}", profile.path().display()),
        ] });
        let Value::Object(wanted) = json!({ "goog:chromeOptions": options }) else {
            unreachable!()
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        // A page may still be on its way when something in it is looked for.
        let times = TimeoutConfiguration::new(Some(PATIENCE), Some(PATIENCE), Some(PATIENCE));
        client.update_timeouts(times).await.unwrap();
        let axe = std::fs::read_to_string(npm().join("node_modules/axe-core/axe.min.js"));
        Self {
            client,
            axe: axe.unwrap_or_else(|error| {
                panic!("axe-core: {error}: run tests/run, which installs what is missing")
            }),
            _driver: driver,
            _profile: profile,
        }
    }

    pub async fn go(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    pub async fn type_into(&self, css: &str, text: &str) {
        let field = self.client.find(Locator::Css(css)).await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    pub async fn press(&self, css: &str) {
        let button = self.client.find(Locator::Css(css)).await.unwrap();
        button.click().await.unwrap();
    }

    /// What an expression comes to in the page.
    pub async fn says(&self, expression: &str) -> Value {
        let script = format!("return {expression}");
        self.client.execute(&script, Vec::new()).await.unwrap()
    }

    /// What there is to read.
    pub async fn text(&self) -> String {
        let text = self.says("document.body.innerText").await;
        text.as_str().unwrap().to_owned()
    }

    /// Waits until an expression comes to this.
    pub async fn until(&self, expression: &str, expected: impl Into<Value>) {
        let expected = expected.into();
        let end = Instant::now() + PATIENCE;
        loop {
            let script = format!("return {expression}");
            // A page that is on its way has no answer.
            let found = self.client.execute(&script, Vec::new()).await;
            if found.as_ref().is_ok_and(|found| *found == expected) {
                return;
            }
            assert!(
                Instant::now() < end,
                "{expression} comes to {found:?}, not {expected}: {}",
                self.text().await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What the page is made of, but for who looks at it and when.
    pub async fn markup(&self) -> String {
        let parts =
            "[...document.querySelectorAll('h1, nav, main')].map((own) => own.outerHTML).join('')";
        let text = self.says(parts).await;
        let mut text = text.as_str().unwrap().to_owned();
        // A form's token is its session's.
        while let Some((before, rest)) = text.split_once(" name=\"form\" value=\"") {
            let after = rest.split_once('"').map_or("", |(_, after)| after);
            text = format!("{before}{after}");
        }
        text
    }

    /// The status that the page came with.
    pub async fn status(&self) -> u64 {
        let status = "performance.getEntriesByType('navigation')[0].responseStatus";
        self.says(status).await.as_u64().unwrap()
    }

    /// Has it forget who has signed in where.
    pub async fn forget(&self) {
        self.command("Network.clearBrowserCookies", json!({})).await;
    }

    async fn command(&self, name: &str, with: Value) -> Value {
        let asked = json!({ "cmd": name, "params": with });
        self.client.issue_cmd(Own(asked)).await.unwrap()
    }

    async fn screen(&self, width: u32, height: u64) {
        let screen =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.command("Emulation.setDeviceMetricsOverride", screen)
            .await;
    }

    pub async fn look(&self, look: Look) {
        let (width, scheme, media) = look.of();
        self.screen(width, 900).await;
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        let media = json!({ "media": media, "features": features });
        self.command("Emulation.setEmulatedMedia", media).await;
    }

    /// By how much the page is wider than what it is looked at with: what somebody would have to scroll for.
    pub async fn excess(&self) -> i64 {
        let excess = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        self.says(excess).await.as_i64().unwrap()
    }

    /// Keeps all of the page as a picture, which is build output.
    pub async fn keep(&self, name: &str, look: Look) {
        let height = self.says("document.documentElement.scrollHeight").await;
        self.screen(look.of().0, height.as_u64().unwrap().max(300))
            .await;
        let picture = self.client.screenshot().await.unwrap();
        write(&format!("{name}.png"), &picture);
    }

    /// Keeps it as it would be printed.
    pub async fn print(&self, name: &str) {
        let paper = json!({ "paperWidth": 8.27, "paperHeight": 11.69, "printBackground": false });
        let printed = self.command("Page.printToPDF", paper).await;
        let text = printed["data"].as_str().unwrap();
        write(
            &format!("{name}.pdf"),
            &BASE64.decode(text.as_bytes()).unwrap(),
        );
    }

    /// What axe-core objects to.
    pub async fn violations(&self) -> Vec<String> {
        self.client.execute(&self.axe, Vec::new()).await.unwrap();
        let script = "const done = arguments[arguments.length - 1];
            axe.run(document).then((found) => done(found.violations.map((one) =>
                `${one.id}: ${one.nodes.map((node) => node.html + ' ' + node.failureSummary).join(' | ')}`)));";
        let found = self.client.execute_async(script, Vec::new()).await.unwrap();
        serde_json::from_value(found).unwrap()
    }
}

/// Where tests/run puts what Debian does not have.
pub fn npm() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/npm")
}

fn write(name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), bytes).unwrap();
}
