//! A worker's lines in the node's log: not too many, not too long.

use std::time::{Duration, Instant};

use wire::worker::Level;

/// Lines at once, after a rest.
const BURST: u32 = 20;
/// One more in so long.
const EVERY: Duration = Duration::from_secs(1);
/// Bytes of a line; what is longer is cut.
const LINE: usize = 500;

/// What a worker says, on its way to the log.
#[derive(Debug)]
pub(crate) struct Lines {
    room: String,
    aloud: bool,
    left: u32,
    /// The moment up to which lines are given.
    given: Instant,
    dropped: u64,
}

impl Lines {
    pub(crate) fn new(room: &str) -> Self {
        Self { room: room.to_owned(), aloud: true, left: BURST, given: Instant::now(), dropped: 0 }
    }

    pub(crate) fn speak(&mut self, aloud: bool) {
        self.aloud = aloud;
    }

    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    pub(crate) fn line(&mut self, level: Level, text: &str) {
        if !self.aloud {
            return;
        }
        if !self.may() {
            self.dropped += 1;
            return;
        }
        let mut end = text.len().min(LINE);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        // No line of a worker's looks like one of the node's.
        let text = text[..end].escape_debug();
        match level {
            Level::Info => tracing::info!(room = self.room, "worker: {text}"),
            Level::Warn => tracing::warn!(room = self.room, "worker: {text}"),
        }
    }

    fn may(&mut self) -> bool {
        if self.left == 0 {
            let rested = (self.given.elapsed().as_nanos() / EVERY.as_nanos()) as u32;
            self.left = rested.min(BURST);
            self.given += EVERY * rested;
        } else if self.left == BURST {
            self.given = Instant::now();
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}
