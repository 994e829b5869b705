//! How much a worker may.

use std::time::Duration;

/// How much one worker may, and how much is kept for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Processor time of a call of `handle` or `plan`. It is looked at every [`TICK`](crate::TICK). The time that a
    /// thread waits for a processor does not count: a busy machine is not a fault of the worker's.
    pub call: Duration,
    /// Processor time of a call of `configure`, `snapshot` or `restore`, which go through all of the state, and of
    /// making an instance.
    pub state: Duration,
    /// How long it may take to bring a room back: restoring, and handling again what came since.
    pub revival: Duration,
    /// Bytes of memory, of all memories of an instance together.
    pub memory: usize,
    /// Bytes of what one `handle` gives.
    pub effects: usize,
    /// After so many faults within the window, the version is given up for this room.
    pub faults: usize,
    /// For how long a fault is held against the version.
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
