//! The worker of a room, wherever it runs.

use bytes::Bytes;
use moqt::{Later, Namespace};
use wire::{Micros, worker::Seat};

use crate::{Error, Kept};

/// Starts workers: in wasmtime, in an isolate, or in a test.
pub trait Workers {
    /// Starts the worker of a room, as a leaf or as the root.
    fn start(&self, room: &Namespace, role: Seat) -> Later<'_, Result<Box<dyn Worker>, Error>> {
        self.restore(room, role, Kept::default())
    }

    /// Starts a worker from a journal: its snapshot, and then each of its batches.
    fn restore(&self, room: &Namespace, role: Seat, kept: Kept) -> Later<'_, Result<Box<dyn Worker>, Error>>;
}

/// The worker of one room.
pub trait Worker {
    /// Hands it a packet of inputs; resolves to a packet of effects.
    fn handle(&self, now: Micros, inputs: Bytes) -> Later<'_, Result<Bytes, Error>>;

    /// Returns its state after the last batch.
    fn snapshot(&self) -> Later<'_, Result<Bytes, Error>>;

    /// Its counters since it was started.
    fn worked(&self) -> Worked;
}

/// Counters of one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worked {
    /// Batches that it handled.
    pub batches: u64,
    /// Times that it failed and was restored.
    pub faults: u64,
    /// Times that it was replaced by its fallback.
    pub fallbacks: u64,
}
