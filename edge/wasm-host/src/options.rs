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
            revival: Duration::from_secs(10),
            memory: 64 << 20,
            effects: 16 << 20,
            faults: 3,
            window: Duration::from_mins(1),
        }
    }
}
