//! Runs programs from other projects, in the versions that those publish.

use std::{ffi::OsStr, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::watch,
    time::timeout,
};

use crate::{Node, ROOM, Stack};

/// The longest that a peer may take for one step.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The longest that a peer may run if it ends by itself: it has timeouts of its own.
const LIFETIME: Duration = Duration::from_secs(80);

/// The folder in which peers are installed, beside the running test program.
pub fn peers() -> Result<PathBuf> {
    /// The levels to search: the program, `deps`, the profile, perhaps the platform, the target folder. A folder
    /// `peers` further up is not ours.
    const DEPTH: usize = 5;
    std::env::current_exe()?
        .ancestors()
        .take(DEPTH)
        .map(|folder| folder.join("peers"))
        .find(|folder| folder.is_dir())
        .context("no peers are installed: `cargo xtask interop --install` does it")
}

/// The folder of `watch.js`, the one-file bundle of `@moq/watch`.
pub fn moq_watch() -> Result<PathBuf> {
    let folder = peers()?.join("watch");
    if !folder.join("watch.js").is_file() {
        bail!("@moq/watch is not installed: `cargo xtask interop --install` does it");
    }
    Ok(folder)
}

/// A running peer. Dropping it ends the process.
#[derive(Debug)]
pub struct Peer {
    name: &'static str,
    process: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    /// The lines of stderr so far. The sender is dropped when stderr ends.
    said: watch::Receiver<Vec<String>>,
}

impl Peer {
    /// Starts the program `name` with arguments.
    pub fn start<A: AsRef<OsStr>>(
        name: &'static str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        let program = peers()?.join("bin").join(name).with_extension(std::env::consts::EXE_EXTENSION);
        if !program.is_file() {
            bail!("{name} is not installed: `cargo xtask interop --install` does it");
        }
        let mut process = Command::new(&program)
            .args(arguments)
            .env("NO_COLOR", "1")
            .env("RUST_BACKTRACE", "0")
            // Tests wait for messages of this level.
            .env("RUST_LOG", "info,moq_transport=debug")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let stdin = process.stdin.take().context("no stdin")?;
        let stdout = process.stdout.take().context("no stdout")?;
        let mut lines = BufReader::new(process.stderr.take().context("no stderr")?).lines();
        let (saying, said) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                saying.send_modify(|said| said.push(line));
            }
        });
        Ok(Self { name, process, stdin, stdout, said })
    }

    /// Starts `moq`, which publishes its input or plays into its output, with a token of the stack.
    pub fn moq(stack: &Stack, node: Node, scheme: &str, command: &[&str]) -> Result<Self> {
        let url = format!("{scheme}://localhost:{}/?jwt={}", stack.addr_of(node).port(), stack.token()?);
        let connect =
            ["--connect", &url, "--connect-tls-fingerprint", stack.fingerprint(), "--broadcast", ROOM];
        Self::start("moq", connect.iter().chain(command))
    }

    /// Starts `moq-pub`, which publishes its input, and waits until its namespace is accepted.
    pub async fn moq_pub(stack: &Stack, node: Node, scheme: &str) -> Result<Self> {
        let url = format!("{scheme}://localhost:{}/?jwt={}", stack.addr_of(node).port(), stack.token()?);
        let peer = Self::start("moq-pub", ["--tls-disable-verify", "--name", ROOM, &url])?;
        peer.says(&["direction=\"recv\" msg_type=\"REQUEST_OK\""]).await?;
        Ok(peer)
    }

    /// Waits until one line of stderr contains all of `words`.
    pub async fn says(&self, words: &[&str]) -> Result<()> {
        let has = |line: &String| words.iter().all(|word| line.contains(word));
        let mut said = self.said.clone();
        let heard = timeout(PATIENCE, said.wait_for(|said| said.iter().any(has))).await;
        match heard {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => bail!("{} ended before it said {words:?}: {}", self.name, self.last()),
            Err(_) => bail!("{} does not say {words:?}: {}", self.name, self.last()),
        }
    }

    /// Writes to the peer's stdin, and flushes it.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = timeout(PATIENCE, async {
            self.stdin.write_all(bytes).await?;
            self.stdin.flush().await
        });
        let written = written.await.with_context(|| format!("{} does not read", self.name))?;
        written.with_context(|| format!("{} does not read: {}", self.name, self.last()))
    }

    /// Reads `len` bytes of the peer's stdout.
    pub async fn read(&mut self, len: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(len);
        let mut stdout = (&mut self.stdout).take(len as u64);
        let all = timeout(PATIENCE, stdout.read_to_end(&mut bytes)).await;
        if !matches!(all, Ok(Ok(_))) || bytes.len() < len {
            bail!("{} wrote {} bytes of {len}: {}", self.name, bytes.len(), self.last());
        }
        Ok(bytes)
    }

    /// Waits until the peer ends. Returns whether it exited with success, and the rest of its stdout.
    pub async fn end(&mut self) -> Result<(bool, String)> {
        let mut text = String::new();
        let ended = timeout(LIFETIME, async {
            self.stdout.read_to_string(&mut text).await?;
            self.process.wait().await
        });
        let Ok(status) = ended.await else {
            bail!("{} does not end; it wrote {text:?} and {}", self.name, self.last());
        };
        Ok((status?.success(), text))
    }

    /// The last lines of stderr, for error messages.
    pub fn last(&self) -> String {
        const LINES: usize = 12;
        let said = self.said.borrow();
        said[said.len().saturating_sub(LINES)..].join("\n")
    }
}
