//! `cargo xtask bench`: the benchmarks, one subject per run.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::peers;
use crate::process::{cargo, run};
use crate::wasm;
use crate::workspace::Workspace;

/// A folder in memory, not on a disk.
const MEMORY: &str = "/dev/shm";

/// Measure one subject of the benchmarks
#[derive(clap::Args)]
pub(crate) struct Bench {
    name: Name,

    /// Minutes that a soak takes
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,

    /// Further arguments for `cargo bench`, or for the test
    #[arg(last = true)]
    extra: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// Speed of MoQ Transport: messages, data streams, allocations
    Moqt,
    /// Size of MoQ Transport in a browser: what its codec and session add to a download
    MoqtSize,
    /// A room as a worker in wasmtime: cheers and lines a second, beside the same room natively
    Worker,
    /// Processes as they are run: chat to a thousand fans of an edge, an origin with fifty edges, media to a hundred
    /// subscribers of an edge and of an origin
    Room,
    /// What fans notice of two hundred strangers who do all that they can to an edge, over QUIC and over WebSockets
    Strangers,
    /// A room in a Durable Object, in workerd: chat and media, beside the least that a room there can be
    Cloudflare,
    /// Processes as they are run, while fans come and go: memory stays flat, and nothing of theirs is left
    Soak,
    /// A live stage in headless Chromium: first frame, latency, sound against picture, work
    Browser,
}

impl Bench {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        match self.name {
            Name::Moqt => run(cargo()
                .args(["bench", "--package", "fanfare-moqt"])
                .args(self.extra)
                .current_dir(workspace.root())),
            Name::Worker => {
                wasm::build_all(workspace)?;
                run(cargo()
                    .args(["bench", "--package", "fanfare-wasm-host", "--"])
                    .args(self.extra)
                    .current_dir(workspace.root()))
            }
            Name::Room | Name::Strangers => {
                let (tests, others) = match self.name {
                    Name::Strangers => ("load_strangers", "--nocapture"),
                    _ => ("load", "--skip=load_strangers"),
                };
                wasm::build_all(workspace)?;
                run(cargo()
                    .args(["test", "--workspace", "--test", "processes", tests, "--", others])
                    .args(["--ignored", "--nocapture", "--test-threads=1"])
                    .args(self.extra)
                    .current_dir(workspace.root()))
            }
            Name::Cloudflare => {
                wasm::build_all(workspace)?;
                peers::install_workerd(workspace)?;
                let mut bench = cargo();
                if Path::new(MEMORY).is_dir() {
                    // An object's messages wait until its writes are on the disk. The disk is not what is measured.
                    bench.env("TMPDIR", MEMORY);
                }
                run(bench
                    .args(["test", "--workspace", "--test", "load", "--"])
                    .args(["--ignored", "--nocapture", "--test-threads=1"])
                    .args(self.extra)
                    .current_dir(workspace.root()))
            }
            Name::Soak => {
                wasm::build_all(workspace)?;
                run(cargo()
                    .args(["test", "--workspace", "--test", "processes", "soak_for_long", "--"])
                    .args(["--ignored", "--nocapture"])
                    .args(self.extra)
                    .env("FANFARE_MINUTES", self.minutes.to_string())
                    .current_dir(workspace.root()))
            }
            Name::Browser => {
                wasm::build_all(workspace)?;
                run(cargo()
                    .args(["test", "--workspace", "--test", "browser", "playing", "--"])
                    .args(["--nocapture", "--test-threads=1"])
                    .args(self.extra)
                    .current_dir(workspace.root()))
            }
            Name::MoqtSize => weigh(workspace, "moqt-size"),
        }
    }
}

fn weigh(workspace: &Workspace, package: &str) -> Result<()> {
    let module = wasm::compile_stripped(workspace, package)?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&module)?;
    println!("{:<8}{:>9} bytes", "raw", module.len());
    println!("{:<8}{:>9} bytes", "gzip", gzip.finish()?.len());
    println!("{:<8}{:>9} bytes", "brotli", wasm::brotli_len(&module)?);
    Ok(())
}
