//! Log entries of a worker: limited in rate and length.

use std::time::{Duration, Instant};

use wire::worker::Level;

/// Entries at once, after a rest.
const BURST: u32 = 20;
/// Time after which one more entry is allowed.
const EVERY: Duration = Duration::from_secs(1);
/// Bytes of an entry; the rest is cut off.
const ENTRY: usize = 500;

/// Writes a worker's entries to the node's log.
#[derive(Debug)]
pub(crate) struct GuestLog {
    room: String,
    enabled: bool,
    left: u32,
    /// Time up to which the allowance is counted.
    counted: Instant,
    dropped: u64,
}

impl GuestLog {
    pub(crate) fn new(room: &str) -> Self {
        Self { room: room.to_owned(), enabled: true, left: BURST, counted: Instant::now(), dropped: 0 }
    }

    pub(crate) fn set_enabled(&mut self, enabled: bool) {
        self.enabled = enabled;
    }

    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    pub(crate) fn write(&mut self, level: Level, text: &str) {
        if !self.enabled {
            return;
        }
        if !self.take_allowance() {
            self.dropped += 1;
            return;
        }
        let mut end = text.len().min(ENTRY);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        // Escaping keeps a worker's entry from looking like one of the node's.
        let text = text[..end].escape_debug();
        match level {
            Level::Info => tracing::info!(room = self.room, "worker: {text}"),
            Level::Warn => tracing::warn!(room = self.room, "worker: {text}"),
        }
    }

    fn take_allowance(&mut self) -> bool {
        if self.left == 0 {
            let rested = (self.counted.elapsed().as_nanos() / EVERY.as_nanos()) as u32;
            self.left = rested.min(BURST);
            self.counted += EVERY * rested;
        } else if self.left == BURST {
            self.counted = Instant::now();
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}
