//! Deltas to the root: the one being collected, and those without an answer.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use wire::worker::Effect;
use wire::{Act, EdgeId, Micros, Screen, SessionId, Up};

use super::session::Session;
use crate::effects::Effects;

/// Deltas without an answer, at most. At 20 a second, the root may be away for 12 seconds before fans are
/// asked to retry later.
const MAX_SENT: usize = 256;
/// Bytes of the deltas without an answer, at most.
const MAX_SENT_BYTES: usize = 8 * 1024 * 1024;
/// Length at which a delta is closed: the root handles it in a fraction of the time that a call has, and the
/// longest message still fits.
const LONG: usize = 48 * 1024;
/// Time between two resends of a missing delta: the root reports the gap for each delta that follows it.
const EXPECTED_EVERY: Micros = Micros::from_millis(500);
/// Age of the oldest delta without an answer at which it, or its answer, counts as lost.
const RESEND_AFTER: Micros = Micros::from_secs(5);

/// Deltas on their way to the root.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outbox {
    /// Frames of the next delta.
    pending: Vec<u8>,
    /// Sessions with messages in the next delta.
    touched: Vec<Touched>,
    /// The next delta's number.
    sequence: u64,
    sent: VecDeque<Sent>,
    sent_bytes: usize,
    /// Time at which the oldest delta without an answer was last sent.
    sent_at: Micros,
    /// The delta that the root last reported as missing, and the time of the resend.
    expected: (u64, Micros),
}

/// A delta without an answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Sent {
    pub(super) sequence: u64,
    pub(super) packet: Vec<u8>,
    pub(super) touched: Vec<Touched>,
}

/// Messages of one session in a delta.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Touched {
    pub(super) session: SessionId,
    /// The highest number among them.
    pub(super) through: u64,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            pending: Vec::new(),
            touched: Vec::new(),
            sequence: 1,
            sent: VecDeque::new(),
            sent_bytes: 0,
            sent_at: Micros(0),
            expected: (0, Micros(0)),
        }
    }
}

impl Outbox {
    /// Brings the times of sent deltas back to `now`.
    pub(super) fn set_back(&mut self, now: Micros) {
        self.sent_at = self.sent_at.min(now);
        self.expected.1 = self.expected.1.min(now);
    }

    /// Returns the number of the delta that is being collected.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Returns whether so much awaits an answer that fans must wait.
    pub(super) fn is_full(&self) -> bool {
        self.sent.len() >= MAX_SENT || self.sent_bytes >= MAX_SENT_BYTES
    }

    pub(super) fn put(&mut self, entry: &Up<'_>) {
        wire::put(&mut self.pending, entry);
    }

    /// Appends an act, with its text as checked.
    pub(super) fn put_act(
        &mut self,
        session: SessionId,
        number: u64,
        screen: Screen,
        act: Act<'_>,
        text: Option<&str>,
    ) {
        let act = match (act, text) {
            (Act::Say(mut say), Some(text)) => {
                say.text = text;
                Act::Say(say)
            }
            (Act::Ask { .. }, Some(text)) => Act::Ask { text },
            (Act::Rename { .. }, Some(name)) => Act::Rename { name },
            (act, _) => act,
        };
        self.put(&Up::Act { session, number, screen, act });
    }

    /// Records that the delta has a message of this session.
    #[inline]
    pub(super) fn touch(&mut self, id: SessionId, session: &mut Session, number: u64) {
        if session.touched.0 == self.sequence
            && let Some(touched) = self.touched.get_mut(session.touched.1 as usize)
        {
            touched.through = number;
            return;
        }
        session.touched = (self.sequence, self.touched.len() as u32);
        self.touched.push(Touched { session: id, through: number });
    }

    pub(super) fn seal_if_long(&mut self, edge: EdgeId, incarnation: u64, at: Micros, fx: &mut Effects<'_>) {
        if self.pending.len() >= LONG {
            self.seal(edge, incarnation, at, fx);
        }
    }

    pub(super) fn tick(&mut self, edge: EdgeId, incarnation: u64, at: Micros, fx: &mut Effects<'_>) {
        if !self.is_full() {
            self.seal(edge, incarnation, at, fx);
        }
        if !self.sent.is_empty() && at - self.sent_at >= RESEND_AFTER {
            self.sent_at = at;
            self.resend(fx);
        }
    }

    /// Numbers the collected frames, if there are any, and sends them.
    pub(super) fn seal(&mut self, edge: EdgeId, incarnation: u64, at: Micros, fx: &mut Effects<'_>) {
        if self.pending.is_empty() {
            return;
        }
        if self.sent.is_empty() {
            self.sent_at = at;
        }
        let oldest = self.sent.front().map_or(self.sequence, |sent| sent.sequence);
        let mut packet = Vec::with_capacity(self.pending.len() + 40);
        wire::start(&mut packet);
        wire::put(&mut packet, &Up::Head { edge, incarnation, sequence: self.sequence, oldest, at });
        packet.extend_from_slice(&self.pending);
        self.pending.clear();
        fx.put(&Effect::ToRoot { packet: &packet });
        self.sent_bytes += packet.len();
        let touched = std::mem::take(&mut self.touched);
        self.sent.push_back(Sent { sequence: self.sequence, packet, touched });
        self.sequence += 1;
    }

    /// Sends all deltas without an answer again.
    pub(super) fn resend(&mut self, fx: &mut Effects<'_>) {
        self.resend_from(0, fx);
    }

    /// Handles the root's report of a missing delta.
    pub(super) fn expected(&mut self, sequence: u64, now: Micros, fx: &mut Effects<'_>) {
        let (last, at) = self.expected;
        if last != sequence || now - at >= EXPECTED_EVERY {
            self.expected = (sequence, now);
            self.resend_from(sequence, fx);
        }
    }

    /// Sends the deltas without an answer again, from that number on.
    fn resend_from(&mut self, sequence: u64, fx: &mut Effects<'_>) {
        for sent in self.sent.iter().filter(|sent| sent.sequence >= sequence) {
            fx.put(&Effect::ToRoot { packet: &sent.packet });
        }
    }

    /// Removes and returns the delta that an answer is for, if it is the oldest.
    pub(super) fn answered(&mut self, sequence: u64, now: Micros) -> Option<Sent> {
        if self.sent.front()?.sequence != sequence {
            return None;
        }
        self.sent_at = now;
        let sent = self.sent.pop_front()?;
        self.sent_bytes -= sent.packet.len();
        Some(sent)
    }

    /// Returns whether the delta awaits an answer.
    pub(super) fn awaits(&self, sequence: u64) -> bool {
        self.sent.front().is_some_and(|sent| sent.sequence == sequence)
    }
}
