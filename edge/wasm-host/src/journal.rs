//! The batches since the last snapshot.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use wire::Micros;

/// A batch that a worker was handed, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// When.
    pub now: Micros,
    /// A packet of [`Input`](wire::worker::Input)s.
    pub inputs: Bytes,
}

/// Batches of the log, at most, before there is a snapshot whatever it costs.
pub(crate) const BATCHES: usize = 4096;
/// Bytes of the log, likewise.
pub(crate) const BYTES: usize = 4 << 20;
/// A snapshot is due when handling has taken this many times as long as the last snapshot did: five
/// percent are spent on snapshots, and bringing a room back takes as long as twenty of them.
const SHARE: u32 = 20;
/// The first snapshot, which tells what one takes, is made after so many batches.
const FIRST: usize = 64;
/// Snapshots that fail are tried again when the log has once more its bounds; so often.
const ATTEMPTS: usize = 3;

/// What has to be handled again when an instance is lost.
#[derive(Debug, Default)]
pub(crate) struct Log {
    batches: VecDeque<Batch>,
    bytes: usize,
    /// Time spent on handling them.
    worked: Duration,
    /// What the last snapshot took; nothing, before there was one.
    cost: Option<Duration>,
    /// Snapshots that failed since the last that did not.
    failures: usize,
}

/// Whether there should be a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    No,
    Yes,
    /// It was due several times and there is none: the log cannot go on like this.
    Over,
}

impl Log {
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
            Some(cost) if self.failures == 0 && self.worked >= cost * SHARE => Due::Yes,
            None if self.failures == 0 && self.batches.len() >= FIRST => Due::Yes,
            _ => Due::No,
        }
    }

    /// There is a snapshot of all this.
    pub(crate) fn clear(&mut self, cost: Duration) {
        *self = Self { cost: Some(cost), ..Self::default() };
    }

    /// There is none.
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
