//! `cargo xtask fuzz`: the fuzz targets, for everything that a peer may send.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::process::{cargo, output, run, say, which};
use crate::tools::Tool;
use crate::workspace::Workspace;

/// Run every fuzz target for a moment; a finding lands in fuzz/artifacts and is an error
///
/// The targets are those of the packages' folders fuzz/, laid out for cargo-fuzz, which works on them as usual.
/// This command needs neither it nor a nightly compiler: it leaves out the sanitizers,
/// which code that forbids `unsafe` has no use for. New inputs stay in target/fuzz/corpus.
#[derive(clap::Args)]
pub(crate) struct Fuzz {
    /// Seconds to run each target
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,

    /// Run only these targets, by name
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

/// The flags of cargo-fuzz without the sanitizer: edge coverage and comparisons, for libFuzzer.
const RUSTFLAGS: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
];

/// The compiler of libFuzzer, which is C++.
const COMPILER: Tool = Tool { program: "g++", variable: "CXX", why: "compiles libFuzzer" };

/// The seconds above which an input is a finding.
const INPUT_SECONDS: u32 = 10;

/// The memory of the target above which an input is a finding.
const MEMORY_MB: u32 = 2048;

/// The part of a cargo-fuzz folder's manifest that is read here.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    bin: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

impl Fuzz {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let chosen = |name: &String| self.targets.is_empty() || self.targets.contains(name);
        let folders = folders(workspace.root())?;
        if let Some(unknown) =
            self.targets.iter().find(|t| !folders.iter().any(|(_, names)| names.contains(t)))
        {
            let known: Vec<_> = folders.into_iter().flat_map(|(_, names)| names).collect();
            bail!("no fuzz target is called {unknown:?}; there are: {}", known.join(", "));
        }
        let mut found = Vec::new();
        for (folder, names) in &folders {
            let names: Vec<_> = names.iter().filter(|name| chosen(name)).collect();
            if names.is_empty() {
                continue;
            }
            let binaries = build(folder, workspace.target())?;
            for name in names {
                let session = Session { folder, name, target: workspace.target(), seconds: self.seconds };
                if let Err(error) = session.run(&binaries.join(name)) {
                    say(format!("{name}: {error:#}"));
                    found.push(name.as_str());
                }
            }
        }
        if !found.is_empty() {
            bail!("fuzzing failed: {}", found.join(", "));
        }
        Ok(())
    }
}

/// Returns the cargo-fuzz folders and the names of their targets.
fn folders(root: &Path) -> Result<Vec<(PathBuf, Vec<String>)>> {
    let mut folders = Vec::new();
    for parent in [root.to_path_buf(), root.join("core")] {
        for entry in fs::read_dir(parent)? {
            let folder = entry?.path().join("fuzz");
            let path = folder.join("Cargo.toml");
            if path.is_file() {
                let manifest: Manifest = toml::from_str(&fs::read_to_string(&path)?)
                    .with_context(|| path.display().to_string())?;
                folders.push((folder, manifest.bin.into_iter().map(|target| target.name).collect()));
            }
        }
    }
    folders.sort();
    Ok(folders)
}

/// Builds all targets of a folder, and returns the folder of the programs.
fn build(folder: &Path, target: &Path) -> Result<PathBuf> {
    say(format!("building the fuzz targets of {}", folder.display()));
    let host = output(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let target = target.join("fuzz");
    if std::env::var_os(COMPILER.variable).is_none() && which("c++").is_none() {
        COMPILER.ensure()?;
    }
    run(cargo()
        .args(["build", "--quiet", "--release", "--bins", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        // With a target named, the flags spare build scripts and procedural macros.
        .args(["--target", &host])
        .env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS.join("\x1f")))?;
    Ok(target.join(host).join("release"))
}

/// One run of one target.
struct Session<'a> {
    folder: &'a Path,
    name: &'a str,
    target: &'a Path,
    seconds: u32,
}

impl Session<'_> {
    fn run(&self, binary: &Path) -> Result<()> {
        let Self { folder, name, target, seconds } = self;
        let grown = target.join("fuzz/corpus").join(name);
        let committed = folder.join("corpus").join(name);
        let artifacts = folder.join("artifacts").join(name);
        for folder in [&grown, &committed, &artifacts] {
            fs::create_dir_all(folder)?;
        }
        let log = target.join("fuzz").join(format!("{name}.log"));
        let status = Command::new(binary)
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-timeout={INPUT_SECONDS}"))
            .arg(format!("-rss_limit_mb={MEMORY_MB}"))
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            // The first folder is the one that new inputs are written to.
            .args([&grown, &committed])
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?)
            .status()?;
        let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        if !status.success() {
            eprint!("{}", finding(&text));
            bail!("{status}; the input is in {}, the log is {}", artifacts.display(), log.display());
        }
        say(format!("{name}: {}", summary(&text)));
        Ok(())
    }
}

/// Returns the log from the panic or from libFuzzer's report on.
fn finding(log: &str) -> &str {
    let start =
        [" panicked at ", "==ERROR", "== ERROR", "ALARM"].iter().filter_map(|mark| log.find(mark)).min();
    let start = start.map_or(0, |mark| log[..mark].rfind('\n').map_or(0, |newline| newline + 1));
    &log[start..]
}

/// Returns the coverage at the start and at the end, and the number of inputs that were run.
fn summary(log: &str) -> String {
    let coverage = |line: &str| {
        let (_, rest) = line.split_once(" cov: ")?;
        rest.split(' ').next().map(str::to_owned)
    };
    let mut covered = log.lines().filter_map(coverage);
    let first = covered.next().unwrap_or_else(|| "0".to_owned());
    let last = covered.next_back().unwrap_or_else(|| first.clone());
    let done = log.lines().rfind(|line| line.starts_with("Done ")).unwrap_or("ended early");
    format!("{done}, coverage {first} to {last}")
}
