//! What happened to a worker, in numbers.

use std::time::Duration;

use crate::Fault;

/// Counts since the worker was started, and a few sizes as they are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// Batches that were handled.
    pub batches: u64,
    /// Plans that were made.
    pub plans: u64,
    /// Calls that were skipped after they had ended their instances.
    pub skipped: u64,
    /// Calls that were not taken, for too many waited.
    pub shed: u64,
    /// How instances ended.
    pub faults: Faults,
    /// Times that the room was brought back.
    pub revivals: u64,
    /// Batches that were handled again for it.
    pub replayed: u64,
    /// Times that a version was given up for the one before.
    pub fallbacks: u64,
    /// Times that another version was put in its place on request.
    pub swaps: u64,
    /// Snapshots that were made.
    pub snapshots: u64,
    /// Time in all of these calls, as the wall has it.
    pub busy: Duration,
    /// Lines of the worker's that the log was spared.
    pub lines_dropped: u64,
    /// Bytes of the last snapshot.
    pub snapshot_bytes: usize,
    /// Batches since then.
    pub log_batches: usize,
    /// Their bytes.
    pub log_bytes: usize,
    /// Bytes of the instance's memory.
    pub memory_bytes: usize,
}

/// Faults by their kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Faults {
    /// Traps.
    pub trap: u64,
    /// Calls that took too long.
    pub deadline: u64,
    /// Calls that wanted too much memory.
    pub memory: u64,
    /// Stacks that overflowed.
    pub stack: u64,
    /// Results that were too long.
    pub too_long: u64,
    /// Effects that could not be read.
    pub garbage: u64,
}

impl Faults {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.by_kind().iter().map(|(_, count)| count).sum()
    }

    /// Each kind's name, as a label of a metric, and count.
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
