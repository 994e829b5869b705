//! The journal of a room's root.

use bytes::Bytes;
use moqt::Later;
use wire::Micros;

use crate::Error;

/// One call of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The time that the worker was given.
    pub now: Micros,
    /// A packet of [`Input`](wire::worker::Input)s.
    pub inputs: Bytes,
}

/// The state of a room as its journal has it: a snapshot, and the batches after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The worker's state before the first of the batches; without one the room begins with them.
    pub snapshot: Option<Bytes>,
    /// The batches since, in order.
    pub batches: Vec<Batch>,
}

/// The durable log of one room: a root is a function of it.
///
/// After an error the root is ahead of its journal, and is opened again from what [`load`](Self::load) returns.
pub trait Journal {
    /// Reads the journal. Called once, before anything is appended.
    fn load(&self) -> Later<'_, Result<Kept, Error>>;

    /// Appends a batch, and archives the rows among its effects, in one transaction. Resolves once both would outlive a
    /// power cut, or nothing that the node sends from then on leaves it before they would.
    fn append(&self, batch: Batch, effects: Bytes) -> Later<'_, Result<(), Error>>;

    /// Replaces the journal by the worker's state after the last batch that was appended.
    fn snapshot(&self, state: Bytes) -> Later<'_, Result<(), Error>>;
}
