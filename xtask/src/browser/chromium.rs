//! A headless Chromium, driven over its `DevTools` protocol.
//!
//! The protocol goes through the browser's file descriptors 3 and 4, one JSON message after the other with a zero byte
//! behind each, so that no port is opened and no library is needed. A shell lays them over the child's standard input
//! and output.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// What Debian, Fedora, Google and others call it.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// No window, no network of its own, nothing kept.
const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--mute-audio",
    "--remote-debugging-pipe",
];

/// An answer that takes longer will never come.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running browser with one page. It ends when this is dropped.
pub(crate) struct Chromium {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    next_id: u64,
    session: Option<String>,
    events: Vec<Value>,
}

/// The browser's program, if one is installed.
pub(crate) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|file| file.is_file())
}

impl Chromium {
    /// Starts a browser that keeps its files in `profile`, and opens an empty page.
    pub(crate) fn start(program: &Path, profile: &Path) -> Result<Self> {
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 >/dev/null 2>&1 </dev/null"])
            .arg(program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("could not start a shell")?;
        let input = child.stdin.take().context("the browser has no input")?;
        let messages = listen(child.stdout.take().context("the browser has no output")?);
        let mut browser = Self { child, input, messages, next_id: 1, session: None, events: Vec::new() };
        let target = browser.ask("Target.createTarget", &json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.ask("Target.attachToTarget", &attach)?;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), &json!({}))?;
        }
        Ok(browser)
    }

    /// Sends a command and waits for its answer; what the page reports in the meantime is kept.
    pub(crate) fn ask(&mut self, method: &str, parameters: &Value) -> Result<Value> {
        let id = self.next_id;
        self.next_id += 1;
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&message)?;
        bytes.push(0);
        self.input.write_all(&bytes).with_context(|| format!("the browser is gone ({method})"))?;
        let until = Instant::now() + PATIENCE;
        loop {
            let message = self.message(until).with_context(|| format!("no answer to {method}"))?;
            if message["id"] != json!(id) {
                self.events.push(message);
            } else if message["error"].is_null() {
                return Ok(message["result"].clone());
            } else {
                bail!("the browser refused {method}: {}", message["error"]["message"]);
            }
        }
    }

    /// Waits until the page reports an event of that name.
    pub(crate) fn wait_for(&mut self, event: &str) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while !self.events.iter().any(|message| message["method"] == json!(event)) {
            let message = self.message(until).with_context(|| format!("no {event}"))?;
            self.events.push(message);
        }
        Ok(())
    }

    /// Everything that the page has reported since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events)
    }

    fn message(&self, until: Instant) -> Result<Value> {
        match self.messages.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(message) => Ok(message),
            Err(RecvTimeoutError::Timeout) => bail!("the browser is silent"),
            Err(RecvTimeoutError::Disconnected) => bail!("the browser ended"),
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // It closes by itself when asked; a browser that hangs is ended, and nothing more can be done about either.
        self.session = None;
        let closed = self.ask("Browser.close", &json!({})).is_ok();
        if !closed {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Messages as they come, until the browser ends.
fn listen(output: ChildStdout) -> Receiver<Value> {
    let (sender, messages) = channel();
    std::thread::spawn(move || {
        for bytes in BufReader::new(output).split(0) {
            let Some(message) = bytes.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) else {
                return;
            };
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    messages
}
