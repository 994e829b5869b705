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
/// The file in the data directory with the incarnation of the edge's last start.
const INCARNATION_FILE: &str = "edge-incarnation";
/// The most leaves that an edge opens between two starts.
const LEAVES_OF_A_LIFE: u64 = 1 << 32;
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

/// Returns the incarnation of the first leaf of an edge that starts with this data directory: the clock's, but higher than
/// in any earlier start, also of one whose clock was ahead.
pub(crate) fn incarnation(dir: &Path) -> Result<u64, Failure> {
    let path = dir.join(INCARNATION_FILE);
    let failed =
        |error| Failure::run(format!("{}: {error}; choose another directory with --data", path.display()));
    let last = match fs::read_to_string(&path) {
        Ok(text) => u64::from_str_radix(text.trim(), 16).map_err(|_| {
            Failure::run(format!("{}: {:?} is not a number; delete the file", path.display(), text.trim()))
        })?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(failed(error)),
    };
    let incarnation = ::token::now().0.max(last.saturating_add(LEAVES_OF_A_LIFE));
    // A crash between the two leaves one file or the other, and both are whole.
    let new = path.with_extension("new");
    fs::write(&new, format!("{incarnation:016x}\n"))
        .and_then(|()| fs::rename(&new, &path))
        .map_err(failed)?;
    Ok(incarnation)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incarnation_is_higher_than_one_of_a_clock_that_was_ahead() {
        let dir = tempfile::tempdir().expect("a folder");
        let now = ::token::now().0;
        let first = incarnation(dir.path()).expect("a number");
        assert!(first >= now);
        let ahead = now + 365 * 86_400_000_000;
        fs::write(dir.path().join(INCARNATION_FILE), format!("{ahead:x}\n")).expect("written");
        assert_eq!(incarnation(dir.path()).expect("a number"), ahead + LEAVES_OF_A_LIFE);
        assert!(incarnation(dir.path()).expect("a number") > ahead + LEAVES_OF_A_LIFE);
        fs::write(dir.path().join(INCARNATION_FILE), "what?").expect("written");
        assert!(incarnation(dir.path()).is_err());
    }
}
