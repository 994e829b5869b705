//! The workers that run rooms: flags that several commands share.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ::origin::keep::{FILE, Keep, Retention};
use clap::Args as ClapArgs;
use wasm_host::{Engine, Version};
use wire::EdgeId;

use crate::Failure;

/// Name of the file with an edge's ID, in the data directory.
const EDGE_FILE: &str = "edge-id";
/// Name of the folder with compiled workers, in the data directory.
const COMPILED: &str = "workers";

/// The flags for workers.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct WorkerArgs {
    /// The worker that runs the rooms, a component as `cargo xtask wasm` makes it; without it there are no rooms, only
    /// media
    #[arg(long, value_name = "FILE", env = "FANFARE_WORKER")]
    worker: Option<PathBuf>,

    /// The worker that takes over a room in which the first one keeps failing
    #[arg(long, value_name = "FILE", requires = "worker")]
    fallback_worker: Option<PathBuf>,
}

/// The engine and the compiled workers.
#[derive(Clone)]
pub(crate) struct Workers {
    pub(crate) engine: Engine,
    pub(crate) worker: Version,
    pub(crate) fallback: Option<Version>,
}

impl WorkerArgs {
    /// Compiles the workers, or loads them compiled from the data directory.
    pub(crate) fn load(&self, dir: &Path) -> Result<Option<Workers>, Failure> {
        let Some(worker) = &self.worker else { return Ok(None) };
        let engine = Engine::new(Some(dir.join(COMPILED))).map_err(Failure::run)?;
        let load = |path: &PathBuf| engine.load_file(path).map_err(Failure::run);
        let worker = load(worker)?;
        let fallback = self.fallback_worker.as_ref().map(load).transpose()?;
        Ok(Some(Workers { engine, worker, fallback }))
    }
}

/// Returns the ID of the edge with this data directory, which is the same after a restart.
pub(crate) fn edge_id(dir: &Path) -> Result<EdgeId, Failure> {
    let path = dir.join(EDGE_FILE);
    let failed =
        |error| Failure::run(format!("{}: {error}; choose another directory with --data", path.display()));
    match fs::read_to_string(&path) {
        Ok(text) => u64::from_str_radix(text.trim(), 16).map(EdgeId).map_err(|_| {
            Failure::run(format!("{}: {:?} is not an edge ID; delete the file", path.display(), text.trim()))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let id = u64::from_be_bytes(::token::random().map_err(Failure::run)?);
            fs::write(&path, format!("{id:016x}\n")).map_err(failed)?;
            Ok(EdgeId(id))
        }
        Err(error) => Err(failed(error)),
    }
}

/// Returns an origin's configuration for rooms; `None` without a worker.
pub(crate) async fn origin_rooms(
    workers: Option<Workers>,
    dir: &Path,
) -> Result<Option<::origin::RoomsConfig>, Failure> {
    let Some(Workers { engine, worker, fallback }) = workers else { return Ok(None) };
    let keep = Keep::open(&dir.join(FILE)).await.map_err(Failure::run)?;
    Ok(Some(::origin::RoomsConfig { keep, engine, worker, fallback, retention: Retention::default() }))
}
