//! Drives headless Chromium over its DevTools protocol.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::{MutexGuard, mpsc, oneshot},
};
use tokio_tungstenite::tungstenite::Message;

const FLAGS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    // Nobody clicks in a headless browser, and without a click it would not play sound.
    "--autoplay-policy=no-user-gesture-required",
];

/// The longest that one command of the DevTools protocol may take.
const PATIENCE: Duration = Duration::from_secs(100);

/// A running browser. Dropping it ends the process.
#[derive(Debug)]
pub struct Browser {
    wire: Arc<Wire>,
    _process: Child,
    _profile: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// Lets one browser run at a time, even where all tests share a process: two would distort each other's measurements.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// One page of a [`Browser`].
#[derive(Debug)]
pub struct Page {
    wire: Arc<Wire>,
    session: String,
    log: Arc<Mutex<Vec<String>>>,
}

/// A frame in a [`Page`].
#[derive(Clone, Debug)]
pub struct Frame {
    id: String,
    /// Set if its content may not be framed here, or cannot be had.
    pub is_refused: bool,
}

/// The error of a call to a page whose process in the browser crashed.
const CRASHED: &str = "the browser's process of the page crashed";

type Answer = oneshot::Sender<Result<Value>>;

#[derive(Debug)]
struct Wire {
    next: AtomicU64,
    commands: mpsc::UnboundedSender<String>,
    waiting: Mutex<HashMap<u64, Answer>>,
    logs: Mutex<HashMap<String, Arc<Mutex<Vec<String>>>>>,
}

impl Browser {
    /// Starts the browser. Without one on the machine, the test fails.
    pub async fn start() -> Result<Self> {
        let turn = TURN.lock().await;
        let program = std::env::var_os("CHROMIUM").map_or_else(|| PathBuf::from("chromium"), PathBuf::from);
        let profile = tempfile::tempdir()?;
        let mut process = Command::new(&program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| missing(&program, &error))?;
        let stderr = process.stderr.take().context("the browser has no stderr")?;
        let mut lines = BufReader::new(stderr).lines();
        let url = loop {
            let line = lines.next_line().await?.context("the browser ended before it listened")?;
            if let Some(url) = line.strip_prefix("DevTools listening on ") {
                break url.to_owned();
            }
        };
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.contains("FATAL") || line.contains("Received signal") || line.contains("Check failed")
                {
                    eprintln!("the browser: {line}");
                }
            }
        });
        let wire = Wire::connect(&url).await?;
        Ok(Self { wire, _process: process, _profile: profile, _turn: turn })
    }

    /// Opens a page with a viewport of `width` by `height` pixels.
    pub async fn open(&self, url: &str, width: u32, height: u32) -> Result<Page> {
        let target = self.wire.call(None, "Target.createTarget", json!({ "url": "about:blank" })).await?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = self.wire.call(None, "Target.attachToTarget", attach).await?;
        let session = attached["sessionId"].as_str().context("no session")?.to_owned();
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        lock(&self.wire.logs).insert(session.clone(), Arc::clone(&log));
        let page = Page { wire: Arc::clone(&self.wire), session, log };
        page.call("Inspector.enable", json!({})).await?;
        page.call("Runtime.enable", json!({})).await?;
        page.call("Log.enable", json!({})).await?;
        page.call("Page.enable", json!({})).await?;
        page.resize(width, height).await?;
        page.call("Page.navigate", json!({ "url": url })).await?;
        Ok(page)
    }
}

impl Page {
    /// Sends a command of the DevTools protocol.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value> {
        self.wire.call(Some(&self.session), method, params).await
    }

    /// Gives the page another size.
    pub async fn resize(&self, width: u32, height: u32) -> Result<()> {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", metrics).await.map(drop)
    }

    /// Sets the page's preferred colour scheme: `dark` or `light`.
    pub async fn prefer(&self, scheme: &str) -> Result<()> {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", features).await.map(drop)
    }

    /// Runs an expression, awaits its promise and returns the value.
    pub async fn eval(&self, expression: &str) -> Result<Value> {
        self.eval_with(expression, json!({})).await
    }

    async fn eval_with(&self, expression: &str, mut params: Value) -> Result<Value> {
        params["expression"] = expression.into();
        for option in ["awaitPromise", "returnByValue", "userGesture"] {
            params[option] = true.into();
        }
        let mut result = self.call("Runtime.evaluate", params).await?;
        if let Some(exception) = result.get("exceptionDetails") {
            let text = exception["exception"]["description"].as_str().unwrap_or_default();
            bail!("{text} in {expression}");
        }
        Ok(result["result"]["value"].take())
    }

    /// Returns the first frame in the page, once it has loaded something: its URL, or the one that it was refused.
    pub async fn frame(&self) -> Result<Frame> {
        let tree = self.call("Page.getFrameTree", json!({})).await?;
        let frame = &tree["frameTree"]["childFrames"][0]["frame"];
        let text = |name: &str| frame[name].as_str().map(str::to_owned);
        Ok(Frame { id: text("id").context("no frame")?, is_refused: text("unreachableUrl").is_some() })
    }

    /// Runs an expression, as [`eval`](Self::eval), in a frame. It sees the frame's elements, and not what scripts made.
    pub async fn eval_in(&self, frame: &Frame, expression: &str) -> Result<Value> {
        let world = self.call("Page.createIsolatedWorld", json!({ "frameId": frame.id })).await?;
        self.eval_with(expression, json!({ "contextId": world["executionContextId"] })).await
    }

    /// Writes a screenshot of the page to a file, as PNG.
    pub async fn screenshot(&self, file: &Path) -> Result<()> {
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png" })).await?;
        let png = BASE64_STANDARD.decode(shot["data"].as_str().context("no picture")?)?;
        Ok(std::fs::write(file, png)?)
    }

    /// The console output of the page and its Workers so far, with uncaught exceptions.
    pub fn log(&self) -> Vec<String> {
        lock(&self.log).clone()
    }
}

impl Wire {
    async fn connect(url: &str) -> Result<Arc<Self>> {
        let (socket, _) = tokio_tungstenite::connect_async(url).await?;
        let (mut sender, mut receiver) = socket.split();
        let (commands, mut queue) = mpsc::unbounded_channel::<String>();
        let wire = Arc::new(Self {
            next: AtomicU64::new(1),
            commands,
            waiting: Mutex::default(),
            logs: Mutex::default(),
        });
        tokio::spawn(async move {
            while let Some(command) = queue.recv().await {
                if sender.send(Message::text(command)).await.is_err() {
                    return;
                }
            }
        });
        let weak = Arc::downgrade(&wire);
        tokio::spawn(async move {
            while let Some(Ok(message)) = receiver.next().await {
                let Some(wire) = weak.upgrade() else { return };
                if let Message::Text(text) = message
                    && let Ok(message) = serde_json::from_str::<Value>(&text)
                {
                    wire.take(message);
                }
            }
            if let Some(wire) = weak.upgrade() {
                lock(&wire.waiting).clear();
            }
        });
        Ok(wire)
    }

    fn take(&self, mut message: Value) {
        if let Some(id) = message["id"].as_u64() {
            let Some(waiting) = lock(&self.waiting).remove(&id) else { return };
            let answer = match message.get("error") {
                Some(error) => Err(anyhow!("{error}")),
                None => Ok(message["result"].take()),
            };
            let _ = waiting.send(answer);
            return;
        }
        let params = &message["params"];
        let line = match message["method"].as_str() {
            // Nothing that the page was asked will be answered.
            Some("Inspector.targetCrashed") => {
                for (_, waiting) in lock(&self.waiting).drain() {
                    let _ = waiting.send(Err(anyhow!(CRASHED)));
                }
                "the page crashed".to_owned()
            }
            Some("Runtime.consoleAPICalled") => {
                let words = params["args"].as_array().into_iter().flatten();
                let words: Vec<String> = words
                    .map(|word| match &word["value"] {
                        Value::String(text) => text.clone(),
                        Value::Null => word["description"].as_str().unwrap_or("null").to_owned(),
                        other => other.to_string(),
                    })
                    .collect();
                words.join(" ")
            }
            Some("Runtime.exceptionThrown") => params["exceptionDetails"]["exception"]["description"]
                .as_str()
                .unwrap_or("exception")
                .to_owned(),
            Some("Log.entryAdded") => params["entry"]["text"].as_str().unwrap_or_default().to_owned(),
            _ => return,
        };
        if let Some(log) =
            message["sessionId"].as_str().and_then(|session| lock(&self.logs).get(session).cloned())
        {
            lock(&log).push(line);
        }
    }

    async fn call(&self, session: Option<&str>, method: &str, params: Value) -> Result<Value> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        lock(&self.waiting).insert(id, answer);
        let mut command = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        self.commands.send(command.to_string())?;
        let what = || format!("{method} {}", command["params"]);
        let answered = tokio::time::timeout(PATIENCE, answered).await;
        let answered = answered.with_context(|| format!("no answer to {}", what()))?;
        answered.context("the browser is gone")?.with_context(what)
    }
}

/// The error of a test that finds no browser, in one line.
fn missing(program: &Path, error: &std::io::Error) -> anyhow::Error {
    anyhow!(
        "cannot start the browser {}: {error}; `cargo xtask test` installs it (CHROMIUM names another), \
         and `cargo xtask test --no-browser` leaves out the tests that need it",
        program.display()
    )
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
