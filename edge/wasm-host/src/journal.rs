//! Batches since the last snapshot.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use wire::Micros;

/// A batch that a worker received, with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Time of the batch.
    pub now: Micros,
    /// The packet of [`Input`](wire::worker::Input)s.
    pub inputs: Bytes,
}

/// Batches in the journal, at most: then a snapshot is due whatever it costs.
pub(crate) const BATCHES: usize = 4096;
/// Bytes in the journal, at most: then a snapshot is due whatever it costs.
pub(crate) const BYTES: usize = 4 << 20;
/// A snapshot is due when handling has taken this many times as long as the last snapshot did: five percent
/// of the time goes into snapshots, and restoring a room takes as long as twenty of them.
const WORK_PER_SNAPSHOT: u32 = 20;
/// Batches before the first snapshot, which measures the cost of one.
const FIRST: usize = 64;
/// Attempts at a snapshot, each when the journal has grown by its bounds again.
const ATTEMPTS: usize = 3;

/// Batches to replay when an instance is lost.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    batches: VecDeque<Batch>,
    bytes: usize,
    /// Time spent on handling them.
    worked: Duration,
    /// Duration of the last snapshot; none before the first.
    cost: Option<Duration>,
    /// Snapshots that failed since the last success.
    failures: usize,
}

/// Need for a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    No,
    Yes,
    /// Several snapshots were due and all failed: the journal cannot grow any further.
    Over,
}

impl Journal {
    pub(crate) fn push(&mut self, batch: Batch, worked: Duration) {
        self.bytes += batch.inputs.len();
        self.worked += worked;
        self.batches.push_back(batch);
    }

    pub(crate) fn due(&self) -> Due {
        let bounds = 1 + self.failures;
        if self.batches.len() >= BATCHES * bounds || self.bytes >= BYTES * bounds {
            return if self.failures >= ATTEMPTS { Due::Over } else { Due::Yes };
        }
        match self.cost {
            Some(cost) if self.failures == 0 && self.worked >= cost * WORK_PER_SNAPSHOT => Due::Yes,
            None if self.failures == 0 && self.batches.len() >= FIRST => Due::Yes,
            _ => Due::No,
        }
    }

    /// Clears the journal: a snapshot covers all of it.
    pub(crate) fn clear(&mut self, cost: Duration) {
        *self = Self { cost: Some(cost), ..Self::default() };
    }

    /// Records that a snapshot failed.
    pub(crate) fn failed(&mut self) {
        self.failures += 1;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Batch> {
        self.batches.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.batches.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
