//! The request IDs of the peer.

use std::collections::BTreeSet;

use super::RequestId;
use crate::{SessionCode, Violation};

/// IDs that may be ahead of one that is missing: a peer counts up by two, and
/// only reordering of streams makes gaps.
const MAX_AHEAD: usize = 16 * 1024;

/// IDs that the peer has used. They come in any order, as streams do.
#[derive(Debug)]
pub(super) struct PeerIds {
    /// All of the right parity below this have been used.
    next: u64,
    ahead: BTreeSet<u64>,
}

impl PeerIds {
    pub(super) fn new(first: u64) -> Self {
        Self { next: first, ahead: BTreeSet::new() }
    }

    /// Uses up an ID (Section 10.1).
    pub(super) fn use_up(&mut self, id: u64) -> Result<RequestId, Violation> {
        const INVALID: SessionCode = SessionCode::INVALID_REQUEST_ID;
        if id % 2 != self.next % 2 {
            return Err(Violation::new(INVALID, "a request ID of the wrong parity"));
        }
        if id < self.next || self.ahead.contains(&id) {
            return Err(Violation::new(INVALID, "a request ID used twice"));
        }
        if id == self.next {
            self.next = self.next.saturating_add(2);
            while self.ahead.remove(&self.next) {
                self.next = self.next.saturating_add(2);
            }
        } else if self.ahead.len() == MAX_AHEAD {
            return Err(Violation::new(INVALID, "request IDs with gaps"));
        } else {
            self.ahead.insert(id);
        }
        Ok(RequestId(id))
    }

    /// The lowest ID that has not been used, nor any above it.
    pub(super) fn unused(&self) -> u64 {
        self.ahead.last().map_or(self.next, |last| last.saturating_add(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_in_any_order_and_once() {
        let mut ids = PeerIds::new(1);
        assert_eq!(ids.unused(), 1);
        for id in [1, 7, 3, 5] {
            assert_eq!(ids.use_up(id), Ok(RequestId(id)));
        }
        assert_eq!(ids.unused(), 9);
        assert!(ids.ahead.is_empty());
        for id in [0, 1, 5, 7, 10] {
            assert_eq!(ids.use_up(id).unwrap_err().code, SessionCode::INVALID_REQUEST_ID, "{id}");
        }
    }
}
