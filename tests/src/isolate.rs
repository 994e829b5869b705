//! The rooms on Cloudflare, on the real platform: workerd, with the Durable Objects' data in a folder.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use moqt::{Version, mux};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use token::Keys;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::{Child, ChildStdout, Command},
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue},
};
use url::Url;

use crate::{
    peer::{PATIENCE, peers},
    site::{built, root},
    stack::{Node, Stack},
};

/// A WebSocket of ours.
pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A Worker, on a platform that runs until it is killed, or this is dropped.
#[derive(Debug)]
pub struct Isolate {
    options: Value,
    data: TempDir,
    process: Child,
    /// The lines that it prints, read no further than needed.
    said: BufReader<ChildStdout>,
    port: u16,
}

/// The configuration that a Worker is deployed with.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// The keys that sign tokens.
    pub keys: Keys,
    /// The origin's HTTP address, if there is an origin.
    pub origin: Option<Url>,
    /// WebSockets of one object, at most, if not as many as it has otherwise.
    pub sockets: Option<usize>,
    /// The address of more keys.
    pub jwks: Option<Url>,
    /// Set if the module panics when a WebSocket sends `panic`.
    pub panics: bool,
}

impl Deployed {
    /// With these keys, and all else as it is by default.
    pub fn with(keys: Keys) -> Self {
        Self { keys, origin: None, sockets: None, jwks: None, panics: false }
    }
}

impl Isolate {
    /// The deployed Worker.
    pub async fn start(deployed: Deployed) -> Result<Self> {
        let Deployed { keys, origin, sockets, jwks, panics } = deployed;
        let mut bindings = json!({ "FANFARE_KEYS": keys.private_json() });
        let more = [
            ("FANFARE_ORIGIN", origin.map(|url| url.to_string())),
            ("FANFARE_SOCKETS", sockets.map(|sockets| sockets.to_string())),
            ("FANFARE_JWKS", jwks.map(|url| url.to_string())),
        ];
        for (name, value) in more {
            // What is not set is not there.
            if let Some(value) = value {
                bindings[name] = value.into();
            }
        }
        let config = root()?.join("wrangler.toml");
        let mut options = json!({ "config": config, "target": target()?, "bindings": bindings });
        if panics {
            options["main"] = json!(target()?.join("wasm-out/panics/fanfare-cloudflare/index.js"));
        }
        Self::run(options).await
    }

    /// The Worker as deployed for that stack, with its origin.
    pub async fn beside(stack: &Stack) -> Result<Self> {
        let mut deployed = Deployed::with(stack.keys().clone());
        deployed.origin =
            Some(Url::parse(&format!("http://127.0.0.1:{}", stack.addr_of(Node::Origin).port()))?);
        Self::start(deployed).await
    }

    /// One in which a room rehearses.
    pub async fn rehearsing() -> Result<Self> {
        let config = target()?.join("wasm-out/fanfare-rehearsal/wrangler.toml");
        Self::run(json!({ "config": config })).await
    }

    /// Another Worker, the least that can be a room: what somebody sends goes to all, at once or tick by tick.
    pub async fn plain(tick: Option<Duration>) -> Result<Self> {
        let bindings = json!({ "TICK_MS": tick.map_or(0, |tick| tick.as_millis()) as u64 });
        Self::run(
            json!({ "config": root()?.join("tests/cloudflare/plain/wrangler.toml"), "bindings": bindings }),
        )
        .await
    }

    async fn run(mut options: Value) -> Result<Self> {
        let data = TempDir::new()?;
        options["data"] = json!(data.path());
        let (process, said, port) = run(&options).await?;
        Ok(Self { options, data, process, said, port })
    }

    /// Asks it something over HTTP, with a token or without; the answer, head and body.
    pub async fn ask(&self, method: &str, path: &str, token: Option<&str>) -> Result<String> {
        let shown = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        self.ask_with(method, path, &shown).await
    }

    /// The same, with these lines in the head.
    pub async fn ask_with(&self, method: &str, path: &str, lines: &str) -> Result<String> {
        let mut stream = BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?);
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut answer = String::new();
        while !answer.ends_with("\r\n\r\n") {
            ensure!(stream.read_line(&mut answer).await? > 0, "half an answer: {answer:?}");
        }
        if method != "HEAD" && !answer.starts_with("HTTP/1.1 204") {
            let head = answer.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length = length.with_context(|| format!("of what length? {answer}"))?.parse()?;
            // The connection stays open.
            stream.take(length).read_to_string(&mut answer).await?;
        }
        Ok(answer)
    }

    /// Returns the body at a path, for the owner of a token.
    pub async fn get(&self, path: &str, token: &str) -> Result<String> {
        let answer = self.ask("GET", path, Some(token)).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("half an answer")?;
        ensure!(head.starts_with("HTTP/1.1 200"), "{answer}");
        Ok(body.to_owned())
    }

    /// The address of its WebSockets.
    pub fn url(&self) -> Result<Url> {
        Ok(Url::parse(&format!("ws://127.0.0.1:{}/moq", self.port))?)
    }

    /// Objects of rooms that have kept something, or might.
    pub fn objects(&self) -> Result<usize> {
        let mut objects = 0;
        for entry in walk(self.data.path())? {
            let name = entry.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            let of = entry.parent().and_then(|folder| folder.file_name()).and_then(|name| name.to_str());
            objects += usize::from(of.is_some_and(|of| of.ends_with("Stage")) && name.ends_with(".sqlite"));
        }
        Ok(objects)
    }

    /// A WebSocket to a room, on which nothing has been said.
    pub async fn open(&self, room: &str, token: Option<&str>) -> Result<Socket> {
        let mut url = self.url()?;
        url.query_pairs_mut().append_pair("room", room);
        if let Some(token) = token {
            url.query_pairs_mut().append_pair("jwt", token);
        }
        let mut request = url.as_str().into_client_request()?;
        let protocol = HeaderValue::from_static(mux::subprotocol(Version::Draft18));
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        Ok(tokio_tungstenite::connect_async(request).await?.0)
    }

    /// Has the module panic in a room's object, if it is made for that.
    pub async fn say_panic(&self, room: &str) -> Result<()> {
        let mut socket = self.open(room, None).await?;
        socket.send(Message::text("panic")).await?;
        while let Some(Ok(_)) = socket.next().await {}
        Ok(())
    }

    /// Kills all of it, at once.
    pub async fn kill(&mut self) -> Result<()> {
        self.signal();
        self.process.wait().await?;
        Ok(())
    }

    /// Starts it again, with what it has kept, at the same address.
    pub async fn restart(&mut self) -> Result<()> {
        self.options["port"] = self.port.into();
        (self.process, self.said, self.port) = run(&self.options).await?;
        Ok(())
    }

    /// The CPU time of workerd, without the process that started it.
    pub fn work(&self) -> Result<Duration> {
        let node = self.process.id().context("it does not run")?;
        let children = std::fs::read_to_string(format!("/proc/{node}/task/{node}/children"))?;
        let mut work = None;
        for child in children.split_whitespace() {
            let name = std::fs::read_to_string(format!("/proc/{child}/comm"))?;
            if name.trim() == "workerd" {
                *work.get_or_insert(Duration::ZERO) += worked(child)?;
            }
        }
        work.context("workerd does not run")
    }

    fn signal(&self) {
        let group = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Isolate {
    fn drop(&mut self) {
        self.signal();
    }
}

/// Cargo's target folder, which has what is deployed.
pub fn target() -> Result<PathBuf> {
    let worker = built("wasm-out/fanfare-cloudflare").context("no Worker: run `cargo xtask wasm`")?;
    Ok(worker.ancestors().nth(2).context("no target folder")?.to_owned())
}

/// The CPU time of a process.
pub fn worked(process: &str) -> Result<Duration> {
    /// The unit of Linux's counters, the same on every machine.
    const TICK: Duration = Duration::from_millis(10);
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").context("no figures")?;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    Ok(TICK * ticks)
}

async fn run(options: &Value) -> Result<(Child, BufReader<ChildStdout>, u16)> {
    let folder = peers()?.join("cloudflare");
    if !folder.join("serve.mjs").is_file() {
        bail!("workerd is not installed: `cargo xtask test` does it");
    }
    let mut process = Command::new("node")
        .arg("serve.mjs")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .context("cannot run node")?;
    let input = process.stdin.as_mut().context("no input")?;
    input.write_all(format!("{options}\n").as_bytes()).await?;
    let mut said = BufReader::new(process.stdout.take().context("no output")?);
    let mut line = String::new();
    timeout(PATIENCE, said.read_line(&mut line)).await.context("workerd does not come up")??;
    let port =
        line.trim().strip_prefix("ready ").with_context(|| format!("workerd said {line:?}"))?.parse()?;
    Ok((process, said, port))
}

/// All files below a folder.
fn walk(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files.extend(walk(&entry.path())?);
        } else {
            files.push(entry.path());
        }
    }
    Ok(files)
}
