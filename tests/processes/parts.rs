//! Runs an origin and its edges as processes that can be killed and started again.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use fanfare_tests::room_component;
use token::{Algorithm, Keys};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::{Child, ChildStderr, Command},
    sync::watch,
};
use url::Url;

use crate::crowd::Access;

/// The program under test.
pub(crate) const FANFARE: &str = env!("CARGO_BIN_EXE_fanfare");
/// The longest until a process listens: on its first start it compiles the room.
const OPEN: Duration = Duration::from_mins(1);
/// The text before the address, in the line that a process prints once it listens.
const LISTENS: [&str; 2] = ["origin: media on udp ", "edge: on "];
const ADMIN: &str = ": admin side on ";
const CERTIFICATE: &str = "origin: self-signed certificate ";

/// Returns the body at a path of an HTTP server.
pub(crate) async fn get(addr: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("half an answer")?;
    ensure!(head.starts_with("HTTP/1.0 200"), "{answer}");
    Ok(body.to_owned())
}

/// The memory of a process that is in RAM, in KiB.
pub(crate) fn memory_of(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("it has ended")?;
    Ok(rss.trim().trim_end_matches(" kB").parse()?)
}

/// A process that can be started again, with all that it has on disk.
pub(crate) struct Part {
    pub(crate) name: String,
    program: PathBuf,
    args: Vec<String>,
    /// The listening address. The first start chooses it, later ones use it again.
    pub(crate) addr: SocketAddr,
    child: Option<Child>,
    /// The certificate's fingerprint, which an origin prints.
    fingerprint: Option<String>,
    /// The lines of its stderr, of all its starts.
    pub(crate) said: watch::Sender<Vec<String>>,
}

/// The origin and its edges.
pub(crate) struct Parts {
    pub(crate) keys: Keys,
    /// All processes; the first is the origin.
    pub(crate) all: Vec<Part>,
}

impl Parts {
    /// Starts them, with a folder in `dir` for each.
    pub(crate) async fn open(dir: &Path, edges: usize) -> Result<Self> {
        Self::open_with(Path::new(FANFARE), dir, edges, &[]).await
    }

    /// Starts them from another build of the program, or with further arguments.
    pub(crate) async fn open_with(program: &Path, dir: &Path, edges: usize, more: &[String]) -> Result<Self> {
        let keys = Keys::generate(Algorithm::EdDSA)?;
        let file = dir.join("keys.json");
        keys.save_private(&file)?;
        let (file, room) = (file.display().to_string(), room_component()?.display().to_string());
        let common = |name: &str, role: &str| {
            let data = dir.join(name).display().to_string();
            let args = [role, "--data", &data, "--keys", &file, "--worker", &room].map(str::to_owned);
            args.into_iter().chain(more.iter().cloned()).collect::<Vec<_>>()
        };
        let mut origin = Part::new(program, "origin", common("origin", "origin"))?;
        origin.start().await?;
        let fingerprint = origin.fingerprint.clone().context("the origin has no certificate")?;
        let url = origin.url()?.to_string();
        let mut all = vec![origin];
        for at in 1..=edges {
            let name = format!("edge{at}");
            let mut args = common(&name, "edge");
            args.extend(["--origin", &url, "--fingerprint", &fingerprint].map(str::to_owned));
            let mut edge = Part::new(program, &name, args)?;
            edge.start().await?;
            all.push(edge);
        }
        Ok(Self { keys, all })
    }

    /// Creates an edge with the flags of the last one, but another data directory. It is not started.
    pub(crate) fn edge_in(&self, name: &str, data: &Path) -> Result<Part> {
        let like = self.all.last().context("no edge")?;
        let mut args = like.args.clone();
        let at = args.iter().position(|arg| arg == "--data").context("no data directory")?;
        args[at + 1] = data.display().to_string();
        Part::new(&like.program, name, args)
    }

    /// The edges' URLs, for fans and creators.
    pub(crate) fn edges(&self) -> Result<Vec<Url>> {
        self.all[1..].iter().map(Part::url).collect()
    }

    /// The edges and keys, for fans to enter with.
    pub(crate) fn access(&self) -> Result<Access> {
        Ok(Access { edges: self.edges()?, keys: self.keys.clone() })
    }

    /// Checks that all processes run and that none has panicked.
    pub(crate) fn are_well(&mut self) -> Result<()> {
        for part in &mut self.all {
            if let Some(cry) = part.said.borrow().iter().find(|line| line.contains("panicked at")) {
                bail!("{}: {cry}", part.name);
            }
            let ended = part.child.as_mut().context("it does not run")?.try_wait()?;
            ensure!(ended.is_none(), "{} has ended by itself: {ended:?}", part.name);
        }
        Ok(())
    }
}

impl Part {
    fn new(program: &Path, name: &str, args: Vec<String>) -> Result<Self> {
        let (addr, said) = ("127.0.0.1:0".parse()?, watch::Sender::default());
        let program = program.to_owned();
        Ok(Self { name: name.to_owned(), program, args, addr, child: None, fingerprint: None, said })
    }

    pub(crate) fn url(&self) -> Result<Url> {
        Ok(Url::parse(&format!("moqt://127.0.0.1:{}/", self.addr.port()))?)
    }

    pub(crate) fn pid(&self) -> Result<u32> {
        self.child.as_ref().and_then(Child::id).context("it does not run")
    }

    /// Waits for the address of the admin side, which a node prints once it listens.
    pub(crate) async fn admin(&self) -> Result<SocketAddr> {
        let mut said = self.said.subscribe();
        let has_address = |lines: &Vec<String>| lines.iter().any(|line| line.contains(ADMIN));
        let lines =
            tokio::time::timeout(OPEN, said.wait_for(has_address)).await.context("no admin side")??;
        let admin = lines.iter().rev().find_map(|line| line.split_once(ADMIN)?.1.parse().ok());
        admin.context("no address")
    }

    /// The CPU time of the process since it was started.
    pub(crate) fn work(&self) -> Result<Duration> {
        /// The unit of `/proc/PID/stat`, which Linux fixes at 100 Hz for user space.
        const TICK: Duration = Duration::from_millis(10);
        let pid = self.pid()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, fields) = stat.rsplit_once(") ").context("no figures")?;
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u32>).sum::<Result<u32, _>>()?;
        Ok(TICK * ticks)
    }

    /// Kills the process, as `kill -9` does.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("it does not run")?;
        let ended = child.try_wait()?;
        ensure!(ended.is_none(), "{} has ended by itself: {ended:?}", self.name);
        Ok(child.kill().await?)
    }

    /// Runs the process, which is to end by itself. Returns its exit code and its stderr.
    pub(crate) async fn fail(&self) -> Result<(Option<i32>, String)> {
        let mut program = Command::new(&self.program);
        program.args(&self.args).args(["--listen", &self.addr.to_string()]).kill_on_drop(true);
        let ended = tokio::time::timeout(OPEN, program.output()).await;
        let ended = ended.with_context(|| format!("{} goes on", self.name))??;
        Ok((ended.status.code(), String::from_utf8(ended.stderr)?))
    }

    /// Starts the process, and returns once it listens.
    pub(crate) async fn start(&mut self) -> Result<()> {
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .args(["--listen", &self.addr.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let said = BufReader::new(child.stderr.take().context("no pipe")?);
        self.child = Some(child);
        let opened = tokio::time::timeout(OPEN, self.listen(said)).await;
        opened.with_context(|| format!("{} does not listen", self.name))?
    }

    /// Reads stderr up to the line with the address; a task reads the rest.
    async fn listen(&mut self, said: BufReader<ChildStderr>) -> Result<()> {
        let mut lines = said.lines();
        let wants_certificate = self.fingerprint.is_none() && self.name == "origin";
        let mut listens = false;
        while !listens || (wants_certificate && self.fingerprint.is_none()) {
            let line = lines.next_line().await?.with_context(|| format!("{} has ended", self.name))?;
            eprintln!("{}: {line}", self.name);
            self.said.send_modify(|lines| lines.push(line.clone()));
            if let Some(rest) = LISTENS.iter().find_map(|begins| line.strip_prefix(begins)) {
                self.addr = rest.split(',').next().unwrap_or_default().parse()?;
                listens = true;
            } else if let Some(fingerprint) = line.strip_prefix(CERTIFICATE) {
                self.fingerprint = Some(fingerprint.to_owned());
            }
        }
        let (name, said) = (self.name.clone(), self.said.clone());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                eprintln!("{name}: {line}");
                said.send_modify(|lines| lines.push(line));
            }
        });
        Ok(())
    }
}
