//! Samples of the processes of a soak: their memory, open files and figures.

use std::{collections::BTreeMap, fmt, fs, net::SocketAddr, time::Duration};

use crate::parts::{Part, get, memory_of};
use anyhow::{Context as _, Result, ensure};

/// The part of the samples, from the beginning, in which processes warm up: one of so many.
const WARM_UP: usize = 5;
/// The growth of memory from the first third of the samples to the last that counts as none: an allocator's and SQLite's
/// caches fill, and the test card's encoder is no part of the nodes.
const TOLERANCE_PERCENT: u64 = 15;
const TOLERANCE_KIB: u64 = 12 << 10;
/// Open files that a process may have more at the end than at the beginning.
const MORE_FILES: u64 = 8;
/// The pause between two looks at what is still in use.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A process that is sampled.
pub(super) struct Node {
    name: String,
    pid: u32,
    admin: Option<SocketAddr>,
}

/// One reading.
#[derive(Clone, Debug, Default)]
struct Sample {
    /// Resident memory.
    kib: u64,
    /// The part of it that is media, kept for fans who rewind: it grows with the show, up to a limit for each track.
    kept_kib: u64,
    files: u64,
    sessions: u64,
    subscriptions: u64,
    /// Fans who take part in rooms.
    fans: u64,
    /// Amounts that fans and arriving sessions have in use, by kind.
    budget: BTreeMap<String, u64>,
}

/// The readings of all processes, in order.
pub(super) struct Course {
    nodes: Vec<Node>,
    before: Vec<Sample>,
    during: Vec<Vec<Sample>>,
    after: Vec<Sample>,
}

impl Node {
    pub(super) async fn new(part: &Part) -> Result<Self> {
        let admin = Some(part.admin().await?);
        Ok(Self { name: part.name.clone(), pid: part.pid()?, admin })
    }

    pub(super) fn without_figures(name: &str, pid: u32) -> Self {
        Self { name: name.to_owned(), pid, admin: None }
    }

    async fn sample(&self) -> Result<Sample> {
        let kib = memory_of(self.pid).with_context(|| self.name.clone())?;
        let files = fs::read_dir(format!("/proc/{}/fd", self.pid))?.count() as u64;
        let sample = Sample { kib, files, ..Sample::default() };
        match self.admin {
            Some(admin) => Ok(sample.with_figures(&get(admin, "/metrics").await?)),
            None => Ok(sample),
        }
    }
}

impl Sample {
    fn with_figures(mut self, text: &str) -> Self {
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse() else { continue };
            let name = name.trim_start_matches("fanfare_edge_").trim_start_matches("fanfare_origin_");
            match name {
                "sessions" => self.sessions = value,
                "subscriptions" => self.subscriptions = value,
                "fans" => self.fans = value,
                "kept_bytes" => self.kept_kib = value >> 10,
                _ if name.starts_with("budget_used") && is_of_fans(name) => {
                    self.budget.insert(name.to_owned(), value);
                }
                _ => {}
            }
        }
        self
    }

    /// Returns the memory besides kept media.
    fn own_kib(&self) -> u64 {
        self.kib.saturating_sub(self.kept_kib)
    }

    fn in_use(&self) -> u64 {
        self.budget.values().sum()
    }
}

fn is_of_fans(name: &str) -> bool {
    [r#"role="fan""#, r#"role="arriving""#].iter().any(|role| name.contains(role))
}

impl Course {
    pub(super) fn new(nodes: Vec<Node>) -> Self {
        let during = nodes.iter().map(|_| Vec::new()).collect();
        Self { nodes, before: Vec::new(), during, after: Vec::new() }
    }

    async fn all(&self) -> Result<Vec<Sample>> {
        let mut all = Vec::new();
        for node in &self.nodes {
            all.push(node.sample().await?);
        }
        Ok(all)
    }

    /// Takes the reading of the time before the fans, once nothing is in use.
    pub(super) async fn begin(&mut self) -> Result<()> {
        loop {
            self.before = self.all().await?;
            if self.before.iter().all(|sample| sample.in_use() == 0) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Reads all processes.
    pub(super) async fn sample(&mut self) -> Result<()> {
        let all = self.all().await?;
        for (course, sample) in self.during.iter_mut().zip(all) {
            course.push(sample);
        }
        Ok(())
    }

    /// Waits until nothing of the fans is in use any more.
    pub(super) async fn emptied(&mut self) -> Result<()> {
        loop {
            self.after = self.all().await?;
            if self.left().is_ok() {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Checks that the last reading has nothing of the fans, and no subscription or session that was not there before them.
    pub(super) fn left(&self) -> Result<()> {
        for ((node, before), after) in self.nodes.iter().zip(&self.before).zip(&self.after) {
            let name = &node.name;
            ensure!(after.in_use() == 0, "{name}: in use after all fans have left: {:?}", after.budget);
            ensure!(after.fans == 0, "{name}: {} fans after all have left", after.fans);
            for (what, before, after) in [
                ("sessions", before.sessions, after.sessions),
                ("subscriptions", before.subscriptions, after.subscriptions),
                ("open files", before.files + MORE_FILES, after.files),
            ] {
                ensure!(after <= before, "{name}: {after} {what}, where {before} may be left");
            }
        }
        Ok(())
    }

    /// Checks that no process has grown.
    pub(super) fn is_flat(&self) -> Result<()> {
        for (node, course) in self.nodes.iter().zip(&self.during) {
            let [first, last] = ends(course);
            let most = first + (first * TOLERANCE_PERCENT / 100).max(TOLERANCE_KIB);
            ensure!(last <= most, "{} has grown from {first} KiB to {last} KiB, beyond {most}", node.name);
        }
        Ok(())
    }
}

/// Returns the medians of memory besides kept media, in the first and in the last third after the warm-up.
fn ends(course: &[Sample]) -> [u64; 2] {
    let warm = &course[course.len() / WARM_UP..];
    let third = warm.len().div_ceil(3);
    [&warm[..third], &warm[warm.len() - third..]].map(|samples| {
        let mut kib: Vec<_> = samples.iter().map(Sample::own_kib).collect();
        kib.sort_unstable();
        kib.get(kib.len() / 2).copied().unwrap_or_default()
    })
}

impl fmt::Display for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>8}{:>8}{:>10}{:>8}{:>8}{:>8}{:>8}",
            "process",
            "first MiB",
            "last MiB",
            "most MiB",
            "after",
            "kept MiB",
            "files",
            "after",
            "sessions",
            "after",
            "subs",
            "after",
            "in use"
        )?;
        let mib = |kib: u64| format!("{:.1}", kib as f64 / 1024.0);
        let nobody = Sample::default();
        for (at, (node, course)) in self.nodes.iter().zip(&self.during).enumerate() {
            let [first, last] = ends(course);
            let most = |of: fn(&Sample) -> u64| course.iter().map(of).max().unwrap_or_default();
            let after = self.after.get(at).unwrap_or(&nobody);
            writeln!(
                f,
                "{:<10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>8}{:>8}{:>10}{:>8}{:>8}{:>8}{:>8}",
                node.name,
                mib(first),
                mib(last),
                mib(most(Sample::own_kib)),
                mib(after.own_kib()),
                mib(after.kept_kib),
                most(|sample| sample.files),
                after.files,
                most(|sample| sample.sessions),
                after.sessions,
                most(|sample| sample.subscriptions),
                after.subscriptions,
                after.in_use(),
            )?;
        }
        Ok(())
    }
}
