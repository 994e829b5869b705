//! What can go wrong.

use std::path::PathBuf;
use std::time::Duration;

/// Why a call was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// wasmtime does not run on this machine.
    #[error("workers cannot run here: {0}")]
    Unsupported(String),
    /// The folder for compiled workers is of no use.
    #[error("the folder for compiled workers, {}: {why}", folder.display())]
    Cache {
        /// Which.
        folder: PathBuf,
        /// Why, and what to do.
        why: String,
    },
    /// A file that cannot be read.
    #[error("the worker {}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Not a component of the worker's world.
    #[error("not a worker: {0}; a worker is a component of the world in wit/worker.wit")]
    NotAWorker(String),
    /// The worker has taken the call and says no: a batch that cannot be read (what came before the
    /// fault in it is handled), or a snapshot that it does not understand.
    #[error("the worker refuses: {0}")]
    Refused(String),
    /// The call ended its instance each time that it was tried. The room is as it was before.
    #[error("skipped, for the worker does not survive it: {0}")]
    Skipped(Fault),
    /// The worker has as much to do as is kept for it. Nothing was taken: drop it, or try again later.
    #[error("the worker is behind: {waiting} calls wait")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// No version brings the room back. There is nothing to be done with this worker but to drop it.
    #[error("the worker is lost: {0}")]
    Lost(String),
    /// The worker was dropped before it came to this call.
    #[error("the worker is gone")]
    Gone,
}

/// How an instance ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It gave up, as a Rust worker does that panics.
    #[error("it trapped: {0}")]
    Trap(String),
    /// It took longer than a call may.
    #[error("a call took more than {0:?} of processor time")]
    Deadline(Duration),
    /// Bringing the room back took longer than it may.
    #[error("bringing the room back took more than {0:?}")]
    Revival(Duration),
    /// It could not do with the memory that it may have.
    #[error("it wanted more than {0} bytes of memory")]
    Memory(usize),
    /// It called itself too deeply.
    #[error("its stack overflowed")]
    Stack,
    /// What it gave is longer than allowed.
    #[error("what it gave is longer than {0} bytes")]
    TooLong(usize),
    /// What it gave as effects are none.
    #[error("its effects are no packet: {0}")]
    Garbage(wire::Error),
}
