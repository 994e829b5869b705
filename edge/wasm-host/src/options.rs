//! Limits of a worker.

use std::time::Duration;

/// Limits of one worker, and of its tolerated faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Processor time of a call of `handle` or `plan`. It is checked every [`TICK`](crate::TICK). The time
    /// that a thread waits for a processor does not count: a busy machine is not the worker's fault.
    pub call: Duration,
    /// Processor time of making an instance, and of a call of `configure`, `snapshot` or `restore`, which go
    /// through all of the state.
    pub state: Duration,
    /// Processor time that a call of `snapshot` or `restore` has beside, for each mebibyte of memory or snapshot: a
    /// large room is no fault of its worker.
    pub state_per_mib: Duration,
    /// Wall-clock time of restoring a room: the snapshot, and the batches since.
    pub revival: Duration,
    /// Bytes of all memories of an instance together.
    pub memory: usize,
    /// Bytes of the effects of one `handle`.
    pub effects: usize,
    /// Faults within the window after which the version is given up for this room.
    pub faults: usize,
    /// Time for which a fault counts against the version.
    pub window: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            call: Duration::from_millis(20),
            state: Duration::from_millis(500),
            state_per_mib: Duration::from_millis(20),
            revival: Duration::from_secs(10),
            memory: 96 << 20,
            effects: 16 << 20,
            faults: 3,
            window: Duration::from_mins(1),
        }
    }
}

impl Options {
    /// Returns the processor time of a call that goes through that many bytes of state.
    pub(crate) fn state_of(&self, bytes: usize) -> Duration {
        self.state + self.state_per_mib * u32::try_from(bytes >> 20).unwrap_or(u32::MAX)
    }
}
