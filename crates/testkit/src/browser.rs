//! Debian's Chromium, driven as a person drives it, by the WebDriver protocol (W3C): JSON over HTTP to chromedriver on loopback. Three
//! lines of HTTP of our own: a client crate would bring other features of hyper into everything that the program is built of.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The key of an element in answers (WebDriver, "Elements").
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// A page is waited for as long.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Whether a page is drawn as on a desk or on a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// 1400 pixels wide.
    Desk,
    /// 390 pixels wide, touched with a finger.
    Phone,
}

/// A browser with one window. Its process ends with it, and what it wrote goes.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    /// Profile, sockets and whatever else it would leave in the folder of everybody's temporary files.
    _folder: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _closed = self.try_ask("DELETE", "", &Value::Null);
        let _dead = self.driver.kill();
        let _reaped = self.driver.wait();
    }
}

impl Browser {
    /// Starts it; certificates that nobody issued are believed. `script`: whether pages may run any.
    ///
    /// # Panics
    /// When chromedriver is not there: `make test-packages` installs it.
    #[must_use]
    pub fn start(script: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut driver = Command::new("chromedriver");
        driver.arg("--port=0").env("TMPDIR", folder.path()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = driver.spawn().expect("chromedriver starts: `make test-packages` installs it");
        let mut lines = BufReader::new(driver.stdout.take().expect("standard output is piped")).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("started successfully on port ")?;
            rest.trim_end_matches('.').parse().ok()
        });
        std::thread::spawn(move || lines.for_each(drop));
        let port = port.expect("chromedriver says its port");
        let mut browser = Self { driver, port, session: String::new(), _folder: folder };
        let mut options = json!({"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1400,950"]});
        if !script {
            options["prefs"] = json!({"profile.managed_default_content_settings.javascript": 2});
        }
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "acceptInsecureCerts": true, "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}
        }}});
        let made = browser.try_ask("POST", "/session", &wanted).expect("a session begins");
        browser.session = format!("/session/{}", made["sessionId"].as_str().expect("it has an id"));
        browser
    }

    fn try_ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let wrong = |error: std::io::Error| error.to_string();
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).map_err(wrong)?;
        socket.set_read_timeout(Some(PATIENCE * 2)).map_err(wrong)?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let path = format!("{}{path}", self.session);
        write!(
            socket,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .map_err(wrong)?;
        let mut answer = Vec::new();
        let mut reader = BufReader::new(socket);
        let mut length = None;
        for line in reader.by_ref().lines().map_while(Result::ok) {
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse::<u64>().ok();
            }
        }
        reader.take(length.unwrap_or(u64::MAX)).read_to_end(&mut answer).map_err(wrong)?;
        let answer: Value = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
        match answer["value"].get("error") {
            Some(_) => Err(answer["value"].to_string()),
            None => Ok(answer["value"].clone()),
        }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        self.try_ask(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Opens an address, and waits until it is there.
    pub fn go(&self, to: &str) {
        self.ask("POST", "/url", &json!({ "url": to }));
    }

    /// What a script gives. Scripts of tests run also where those of pages do not.
    #[must_use]
    pub fn run(&self, script: &str) -> Value {
        self.ask("POST", "/execute/sync", &json!({"script": script, "args": []}))
    }

    /// What an element says, as a person sees it.
    #[must_use]
    pub fn text(&self, css: &str) -> String {
        let text = self.of(css, "GET", "text", &Value::Null);
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an element says that; what it says then.
    ///
    /// # Panics
    /// When it does not come to say it.
    pub fn says(&self, css: &str, wanted: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = self.text(css);
            if text.contains(wanted) {
                return text;
            }
            assert!(Instant::now() < deadline, "{css} does not come to say {wanted:?} at {}: {text}", self.address());
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Asks for something of an element; again when the page went away under it.
    fn of(&self, css: &str, method: &str, what: &str, body: &Value) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let element = self.wait(css);
            match self.try_ask(method, &format!("/element/{element}/{what}"), body) {
                Err(error) if error.contains("stale element") && Instant::now() < deadline => {
                    std::thread::sleep(LOOK_AGAIN);
                }
                Err(error) => panic!("{what} of {css}: {error}"),
                Ok(value) => return value,
            }
        }
    }

    /// The address of now.
    #[must_use]
    pub fn address(&self) -> String {
        self.ask("GET", "/url", &Value::Null).as_str().unwrap_or_default().to_owned()
    }

    /// Whether there is such an element now.
    #[must_use]
    pub fn has(&self, css: &str) -> bool {
        self.find(css).is_some()
    }

    fn find(&self, css: &str) -> Option<String> {
        let found = self.try_ask("POST", "/element", &json!({"using": "css selector", "value": css})).ok()?;
        Some(found[ELEMENT].as_str()?.to_owned())
    }

    /// Waits for an element.
    ///
    /// # Panics
    /// When it does not come; with what the page says.
    pub fn wait(&self, css: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.find(css) {
                return found;
            }
            if Instant::now() > deadline {
                let page = self.ask("GET", "/source", &Value::Null);
                panic!("{css} does not come at {}: {}", self.address(), page.as_str().unwrap_or_default());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Presses what is there.
    pub fn click(&self, css: &str) {
        self.of(css, "POST", "click", &json!({}));
    }

    /// Types into a field, in place of what is in it.
    pub fn fill(&self, css: &str, text: &str) {
        self.of(css, "POST", "clear", &json!({}));
        self.of(css, "POST", "value", &json!({ "text": text }));
    }

    /// Presses keys, wherever the focus is: WebDriver's `\u{e004}` is Tab, `\u{e007}` Enter, `\u{e00c}` Escape.
    pub fn keys(&self, keys: &str) {
        let press = |key: char| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})];
        let actions: Vec<Value> = keys.chars().flat_map(press).collect();
        self.ask("POST", "/actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}));
    }

    /// What the console of the page said since it was asked last: what the policy of the page refused stands there.
    #[must_use]
    pub fn console(&self) -> Vec<String> {
        let lines = self.ask("POST", "/se/log", &json!({"type": "browser"}));
        lines.as_array().into_iter().flatten().filter_map(|line| line["message"].as_str().map(str::to_owned)).collect()
    }

    /// Forgets who is signed in.
    pub fn forget_cookies(&self) {
        self.ask("DELETE", "/cookie", &Value::Null);
    }

    fn developer(&self, command: &str, parameters: &Value) -> Value {
        self.ask("POST", "/goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// Looks like this from now on.
    pub fn look(&self, screen: Screen, dark: bool) {
        let (width, height, mobile) = if screen == Screen::Phone { (390, 800, true) } else { (1400, 950, false) };
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile});
        self.developer("Emulation.setDeviceMetricsOverride", &metrics);
        let scheme = if dark { "dark" } else { "light" };
        let feature = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.developer("Emulation.setEmulatedMedia", &feature);
    }

    /// Writes a picture of the page (PNG).
    pub fn picture(&self, to: &Path) {
        let taken = self.developer("Page.captureScreenshot", &json!({"format": "png", "captureBeyondViewport": true}));
        let octets = decoded(taken["data"].as_str().unwrap_or_default());
        std::fs::write(to, octets).expect("the picture is written");
    }
}

/// Base 64 (RFC 4648 §4).
fn decoded(text: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let (mut out, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        held = (held << 6) | u32::from(value(letter));
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits & 255) as u8);
            held &= (1 << bits) - 1;
        }
    }
    out
}
