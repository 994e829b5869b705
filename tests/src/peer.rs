//! Programs of other people, as they are published.

use std::{ffi::OsStr, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::watch,
    time::timeout,
};

use crate::{Door, House, ROOM};

/// How long a peer may take for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How long it may run that ends by itself, with timeouts of its own.
const LIFETIME: Duration = Duration::from_secs(80);

/// The folder that peers are installed in, beside this very program.
pub fn peers() -> Result<PathBuf> {
    /// The program, deps, the profile, maybe the platform, the target folder: whatever is called so above that is not ours.
    const DEPTH: usize = 5;
    std::env::current_exe()?
        .ancestors()
        .take(DEPTH)
        .map(|folder| folder.join("peers"))
        .find(|folder| folder.is_dir())
        .context("no peers are installed: `cargo xtask interop --install` does it")
}

/// The folder with `watch.js`, which is `@moq/watch` in one file.
pub fn moq_watch() -> Result<PathBuf> {
    let folder = peers()?.join("watch");
    if !folder.join("watch.js").is_file() {
        bail!("@moq/watch is not installed: `cargo xtask interop --install` does it");
    }
    Ok(folder)
}

/// A peer that runs. It ends when this is dropped.
#[derive(Debug)]
pub struct Peer {
    name: &'static str,
    process: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    /// What it wrote to stderr so far; the sender goes when that ends.
    said: watch::Receiver<Vec<String>>,
}

impl Peer {
    /// Starts it with the arguments.
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
            // What tests wait for is said at this level.
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

    /// Starts `moq`, which publishes its input or plays into its output, with a token of the house.
    pub fn moq(house: &House, door: Door, scheme: &str, command: &[&str]) -> Result<Self> {
        let url = format!("{scheme}://localhost:{}/?jwt={}", house.door(door).port(), house.token()?);
        let connect =
            ["--connect", &url, "--connect-tls-fingerprint", house.fingerprint(), "--broadcast", ROOM];
        Self::start("moq", connect.iter().chain(command))
    }

    /// Starts `moq-pub`, which publishes its input, and waits until its namespace is accepted.
    pub async fn moq_pub(house: &House, door: Door, scheme: &str) -> Result<Self> {
        let url = format!("{scheme}://localhost:{}/?jwt={}", house.door(door).port(), house.token()?);
        let peer = Self::start("moq-pub", ["--tls-disable-verify", "--name", ROOM, &url])?;
        peer.says(&["direction=\"recv\" msg_type=\"REQUEST_OK\""]).await?;
        Ok(peer)
    }

    /// Waits until one line that it wrote to stderr has all of these in it.
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

    /// Writes to its stdin.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = timeout(PATIENCE, async {
            self.stdin.write_all(bytes).await?;
            self.stdin.flush().await
        });
        let written = written.await.with_context(|| format!("{} does not read", self.name))?;
        written.with_context(|| format!("{} does not read: {}", self.name, self.last()))
    }

    /// Reads that many bytes of its stdout.
    pub async fn read(&mut self, len: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(len);
        let mut stdout = (&mut self.stdout).take(len as u64);
        let all = timeout(PATIENCE, stdout.read_to_end(&mut bytes)).await;
        if !matches!(all, Ok(Ok(_))) || bytes.len() < len {
            bail!("{} wrote {} bytes of {len}: {}", self.name, bytes.len(), self.last());
        }
        Ok(bytes)
    }

    /// Waits until it ends; whether it says that all went well, and all its stdout.
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

    /// What it said last.
    pub fn last(&self) -> String {
        const LINES: usize = 12;
        let said = self.said.borrow();
        said[said.len().saturating_sub(LINES)..].join("\n")
    }
}
