//! `cargo xtask up --cloudflare`: the Cloudflare Worker in workerd, beside the origin and the edge of `fanfare up`.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::peers;
use crate::workspace::Workspace;

/// The last line that `fanfare up` prints once all of it is open.
const OPEN: &str = "Ctrl-C ends it.";
/// The time that a child process may take to end by itself.
const ENDING: Duration = Duration::from_secs(10);

/// The parameters of workerd, before it runs.
pub(crate) struct Platform {
    port: u16,
    root: PathBuf,
    target: PathBuf,
}

impl Platform {
    /// Installs workerd and checks the port.
    pub(crate) fn prepare(workspace: &Workspace, port: u16) -> Result<Self> {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| {
            format!("port {port} of 127.0.0.1 cannot be had: choose another with --cloudflare=PORT")
        })?;
        peers::install_workerd(workspace)?;
        Ok(Self { port, root: workspace.root().to_owned(), target: workspace.target().to_owned() })
    }

    /// Runs both until Ctrl-C or until one has ended.
    pub(crate) fn up(&self, fanfare: std::process::Command) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            let mut hangup = signal(SignalKind::hangup())?;
            let interrupted = async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
            };
            self.until(interrupted, fanfare, |line| println!("{line}")).await
        })
    }

    /// Runs both until `end` or until one has ended; then ends workerd, and `fanfare up` after it.
    async fn until(
        &self,
        end: impl Future<Output = ()>,
        fanfare: std::process::Command,
        tell: impl Fn(&str),
    ) -> Result<()> {
        let mut node = Part::start("fanfare up", Command::from(fanfare).stdin(Stdio::null()))?;
        let mut workerd = None;
        let outcome = tokio::select! {
            outcome = self.run(&mut node, &mut workerd, tell) => outcome,
            () = end => Ok(()),
        };
        if let Some(workerd) = workerd {
            workerd.end().await?;
        }
        let ended = node.end().await;
        outcome.and(ended)
    }

    /// Waits until `fanfare up` is open, then starts workerd, and waits for the end of either.
    async fn run(&self, node: &mut Part, workerd: &mut Option<Part>, tell: impl Fn(&str)) -> Result<()> {
        let mut said = Vec::new();
        while said.last().is_none_or(|line| line != OPEN) {
            said.push(node.says().await?);
        }
        let facts = Facts::read(&said)?;
        let workerd = workerd.insert(self.start(&facts).await?);
        let ready = workerd.says().await?;
        if !ready.starts_with("ready ") {
            bail!("workerd does not come up: {ready}");
        }
        for line in self.adjusted(&said, &facts) {
            tell(&line);
        }
        loop {
            tokio::select! {
                said = node.says() => tell(&said?),
                said = workerd.says() => tell(&said?),
            }
        }
    }

    async fn start(&self, facts: &Facts) -> Result<Part> {
        let keys = facts.data.join("keys.json");
        let keys = fs::read_to_string(&keys).with_context(|| format!("cannot read {}", keys.display()))?;
        let options = json!({
            "config": self.root.join("wrangler.toml"),
            "target": self.target,
            "data": facts.objects()?,
            "port": self.port,
            "bindings": {
                "FANFARE_KEYS": keys,
                "FANFARE_ORIGIN": facts.origin,
            },
        });
        let mut node = Command::new("node");
        node.stdin(Stdio::piped()).arg(self.target.join("peers/cloudflare/serve.mjs"));
        let mut part = Part::start("workerd", &mut node)?;
        let input = part.child.stdin.as_mut().context("node has no input")?;
        input.write_all(format!("{options}\n").as_bytes()).await?;
        Ok(part)
    }

    /// Returns the lines of `fanfare up`, with the addresses of rooms in workerd.
    fn adjusted(&self, said: &[String], facts: &Facts) -> Vec<String> {
        let (port, edge) = (self.port, facts.edge);
        let lines = said.iter().map(|line| match line.split_whitespace().next() {
            Some("Rooms") => format!("Rooms      http://localhost:{port}/api/rooms"),
            Some("Watch" | "Moderate") => {
                line.replace(&format!("http://localhost:{edge}/"), &format!("http://localhost:{port}/"))
            }
            Some("Chat") => format!("Chat       fanfare chat demo ws://localhost:{port}"),
            _ => line.clone(),
        });
        lines.collect()
    }
}

/// The facts of `fanfare up` that the Cloudflare Worker needs.
struct Facts {
    /// The port of the edge.
    edge: u16,
    /// The URL of the origin's HTTP API.
    origin: String,
    /// The data directory of `fanfare up`.
    data: PathBuf,
}

impl Facts {
    fn read(said: &[String]) -> Result<Self> {
        let find = |name: &str| said.iter().find_map(|line| line.trim_start().strip_prefix(name));
        let missing = |what: &str| format!("`fanfare up` does not say {what}: {said:?}");
        let edge = find("moqt://localhost:").and_then(|rest| rest.split(' ').next()?.parse().ok());
        let origin = find("Rooms ").and_then(|url| url.trim_start().strip_suffix("/api/rooms"));
        let data = find("Data ").map(|path| PathBuf::from(path.trim_start()));
        Ok(Self {
            edge: edge.with_context(|| missing("where its edge is"))?,
            origin: origin.with_context(|| missing("where its origin is"))?.to_owned(),
            data: data.with_context(|| missing("where its data is"))?,
        })
    }

    /// Returns the folder of the objects' data, created if missing.
    fn objects(&self) -> Result<PathBuf> {
        let folder = self.data.join("cloudflare");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(fs::canonicalize(folder)?)
    }
}

/// A child process that Ctrl-C does not reach, so that the processes end in order.
struct Part {
    name: &'static str,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Part {
    fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let program = Path::new(command.as_std().get_program()).display().to_string();
        let mut child = command
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let stdout = child.stdout.take().context("a child without output")?;
        Ok(Self { name, child, lines: BufReader::new(stdout).lines() })
    }

    /// Returns the next line that the process prints.
    async fn says(&mut self) -> Result<String> {
        let Some(line) = self.lines.next_line().await? else {
            bail!("{} has ended: {}", self.name, self.child.wait().await?);
        };
        Ok(line)
    }

    /// Ends the process: one with an input by closing that, another by SIGINT, and by force after [`ENDING`].
    async fn end(mut self) -> Result<()> {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        match (self.child.stdin.take(), id) {
            (None, Some(id)) => drop(kill_process(id, Signal::INT)),
            (input, _) => drop(input),
        }
        match tokio::time::timeout(ENDING, self.child.wait()).await {
            Ok(status) => drop(status?),
            Err(_) => self.child.kill().await?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, Write};
    use std::net::TcpStream;
    use std::sync::mpsc;

    use super::*;
    use crate::up;

    /// Returns the first line of an HTTP answer.
    fn ask(port: u16, path: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        std::io::BufReader::new(stream).lines().next().unwrap().unwrap()
    }

    #[test]
    fn it_says_where_the_rooms_are_and_ends() {
        let workspace = Workspace::load().unwrap();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let (root, target) = (workspace.root().to_owned(), workspace.target().to_owned());
        let platform = Platform { port: free, root, target };
        let data = workspace.target().join("tmp/up-cloudflare");
        // `cargo xtask test` has built and installed everything. The test does neither.
        let built = std::process::Command::new(workspace.target().join("debug/fanfare"));
        let mut fanfare = up::up(built, &workspace);
        fanfare.args(["--port", "0", "--no-demo", "--data"]).arg(&data);
        let (telling, told) = mpsc::channel();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let fan = std::thread::spawn(move || {
            let told: Vec<String> = told.into_iter().take_while(|line| line != OPEN).collect();
            let answers = ["/healthz", "/demo"].map(|path| ask(free, path));
            end.send(()).unwrap();
            (told, answers)
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ended = async { drop(ended.await) };
        runtime.block_on(platform.until(ended, fanfare, |line| drop(telling.send(line.to_owned())))).unwrap();
        let (told, answers) = fan.join().unwrap();
        assert_eq!(answers, ["HTTP/1.1 200 OK"; 2]);
        let watch = format!("Watch      http://localhost:{free}/demo");
        assert!(told.contains(&watch), "{told:?}");
        assert!(data.join("cloudflare").is_dir());
        TcpListener::bind((Ipv4Addr::LOCALHOST, free)).expect("it has ended");
    }
}
