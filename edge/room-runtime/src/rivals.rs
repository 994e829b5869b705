//! Two nodes with one edge's number, as copies of one data directory have it.

use std::cell::Cell;

use moqt::Namespace;
use token::EdgeNumber;
use wire::{EdgeId, Micros};

/// The least time between two warnings that two nodes have one number.
const RIVALS_EVERY: Micros = Micros::from_secs(60);

/// The warnings that two nodes link with one edge's number: one now and then, for all sessions of the node.
#[derive(Default)]
pub(crate) struct Rivals {
    warned_at: Cell<Option<Micros>>,
}

impl Rivals {
    /// Warns, unless there was a warning a short time ago.
    pub(crate) fn warn(&self, now: Micros, edge: EdgeId, room: &Namespace) {
        if self.warned_at.get().is_some_and(|at| now - at < RIVALS_EVERY) {
            return;
        }
        self.warned_at.set(Some(now));
        let edge = EdgeNumber(edge);
        tracing::warn!(
            %edge, %room,
            "two nodes link with one edge's number, and the one started first is refused: \
             give each node a data directory of its own"
        );
    }
}
