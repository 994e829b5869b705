//! Counters of a worker's life.

use std::time::Duration;

use crate::Fault;

/// Counts since the worker was started, and current sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// Batches handled.
    pub batches: u64,
    /// Plans made.
    pub plans: u64,
    /// Calls skipped because they had ended their instances.
    pub skipped: u64,
    /// Calls refused because too many waited.
    pub shed: u64,
    /// Faults that ended instances.
    pub faults: Faults,
    /// Times that the room was restored after a fault.
    pub revivals: u64,
    /// Batches replayed for that.
    pub replayed: u64,
    /// Times that a version was given up for its fallback.
    pub fallbacks: u64,
    /// Times that another version took over on request.
    pub swaps: u64,
    /// Snapshots made.
    pub snapshots: u64,
    /// Wall-clock time spent in all of these calls.
    pub busy: Duration,
    /// Log entries of the worker that were dropped.
    pub entries_dropped: u64,
    /// Bytes of the last snapshot.
    pub snapshot_bytes: usize,
    /// Batches in the journal since the last snapshot.
    pub journal_batches: usize,
    /// Bytes of those batches.
    pub journal_bytes: usize,
    /// Bytes of the instance's memory.
    pub memory_bytes: usize,
}

/// Faults by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Faults {
    /// Traps, panics among them.
    pub trap: u64,
    /// Calls that took too long.
    pub deadline: u64,
    /// Calls that needed too much memory.
    pub memory: u64,
    /// Calls that overflowed the stack.
    pub stack: u64,
    /// Results that were too long.
    pub too_long: u64,
    /// Effects that did not decode.
    pub garbage: u64,
}

impl Faults {
    /// Returns the number of all faults.
    pub fn total(&self) -> u64 {
        self.by_kind().iter().map(|(_, count)| count).sum()
    }

    /// Returns each kind's name, as a label of a metric, and its count.
    pub fn by_kind(&self) -> [(&'static str, u64); 6] {
        [
            ("trap", self.trap),
            ("deadline", self.deadline),
            ("memory", self.memory),
            ("stack", self.stack),
            ("too_long", self.too_long),
            ("garbage", self.garbage),
        ]
    }

    pub(crate) fn count(&mut self, fault: &Fault) {
        *match fault {
            Fault::Trap(_) => &mut self.trap,
            Fault::Deadline(_) | Fault::Revival(_) => &mut self.deadline,
            Fault::Memory(_) => &mut self.memory,
            Fault::Stack => &mut self.stack,
            Fault::TooLong(_) => &mut self.too_long,
            Fault::Garbage(_) => &mut self.garbage,
        } += 1;
    }
}
