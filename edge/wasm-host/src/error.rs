//! Errors of calls, and faults of instances.

use std::path::PathBuf;
use std::time::Duration;

/// Reason for which a call was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// wasmtime does not run on this machine.
    #[error("workers cannot run here: {0}")]
    Unsupported(String),
    /// The folder for compiled workers is unusable.
    #[error("the folder for compiled workers, {}: {why}", folder.display())]
    Cache {
        /// Path of the folder.
        folder: PathBuf,
        /// The reason, and the remedy.
        why: String,
    },
    /// A worker's file cannot be read.
    #[error("the worker {}: {why}", path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// The operating system's reason.
        why: String,
    },
    /// The component does not fit the worker's world.
    #[error("not a worker: {0}; a worker is a component of the world in wit/worker.wit")]
    NotAWorker(String),
    /// The worker refused the call: a batch that does not decode (inputs before the fault are handled), or a
    /// snapshot that it does not understand.
    #[error("the worker refuses: {0}")]
    Refused(String),
    /// The call ended its instance each time it was tried. The room is as it was before.
    #[error("the call was skipped, since the worker does not survive it: {0}")]
    Skipped(Fault),
    /// The worker's queue is full. The call was not taken: drop it, or try again later.
    #[error("the worker's queue is full: {waiting} calls wait")]
    Busy {
        /// Number of waiting calls.
        waiting: usize,
    },
    /// No version restores the room. The worker is useless: drop it.
    #[error("the worker is lost: {0}")]
    Lost(String),
    /// The worker was dropped before it reached this call.
    #[error("the worker was dropped")]
    Gone,
}

/// Way in which an instance ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It trapped, as a Rust worker does that panics.
    #[error("it trapped: {0}")]
    Trap(String),
    /// A call took longer than allowed.
    #[error("a call took more than {0:?} of processor time")]
    Deadline(Duration),
    /// Restoring the room took longer than allowed.
    #[error("restoring the room took more than {0:?}")]
    Revival(Duration),
    /// It needed more memory than allowed.
    #[error("it needed more than {0} bytes of memory")]
    Memory(usize),
    /// Its calls nested too deeply for the stack.
    #[error("its stack overflowed")]
    Stack,
    /// Its result is longer than allowed.
    #[error("its result is longer than {0} bytes")]
    TooLong(usize),
    /// Its effects do not decode.
    #[error("its effects do not decode: {0}")]
    Garbage(wire::Error),
}
