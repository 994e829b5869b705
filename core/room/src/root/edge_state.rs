//! State that the root keeps of each edge: deltas applied, answers, and fans.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use wire::{FanId, Micros, Role, SessionId, StreamId, Visit, worker::Row};

use super::{Root, people::Stream, slab::Slab};
use crate::effects::Effects;

/// Value of [`Slot::stream`] if the fan has no stream yet.
pub(super) const NONE: u32 = u32::MAX;
/// Answers of an edge that are kept: as many as it can have deltas unanswered, and those of one long batch.
const MAX_ANSWERS: usize = 512;
/// Bytes of the answers of all edges. A delta whose answer is not kept is answered from its fans' streams.
const ANSWER_BYTES: usize = 3 << 20;
/// Fans that edges have in one room, at most.
const MAX_SLOTS: usize = 131_072;
/// Fans of a lost edge that are released in one tick.
const RELEASED: usize = 1000;

/// State of one edge.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EdgeState {
    incarnation: u64,
    /// The last delta that was applied; none before the first.
    pub(super) applied: Option<u64>,
    /// Answers that the edge may request again.
    answers: VecDeque<(u64, Vec<u8>)>,
    /// Fans of the edge, by session index.
    slots: Vec<Option<Slot>>,
    /// Time at which the connection was lost, if it is.
    pub(super) left_at: Option<Micros>,
}

/// A fan at an edge.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Slot {
    pub(super) fan: FanId,
    pub(super) role: Role,
    pub(super) stream_id: StreamId,
    /// Index of the stream, once the fan has acted.
    pub(super) stream: u32,
    /// True if the stream, with its history, was forgotten.
    pub(super) forgotten: bool,
    pub(super) visit: Visit,
    pub(super) interactions: u32,
}

impl Slot {
    pub(super) fn stayed(&mut self, visit: Visit) {
        let Visit { total_ms, watched_ms, active_ms } = &mut self.visit;
        *total_ms = total_ms.saturating_add(visit.total_ms);
        *watched_ms = watched_ms.saturating_add(visit.watched_ms);
        *active_ms = active_ms.saturating_add(visit.active_ms);
    }

    /// Returns whether a slot that was decoded from a snapshot is consistent.
    pub(super) fn is_sound(&self, streams: &Slab<Stream>) -> bool {
        self.stream == NONE || streams.get(self.stream).is_some()
    }
}

impl EdgeState {
    pub(super) fn new(incarnation: u64) -> Self {
        Self { incarnation, applied: None, answers: VecDeque::new(), slots: Vec::new(), left_at: None }
    }

    pub(super) fn incarnation(&self) -> u64 {
        self.incarnation
    }

    pub(super) fn join(&mut self) {
        self.left_at = None;
    }

    pub(super) fn leave(&mut self, now: Micros) {
        self.left_at.get_or_insert(now);
    }

    pub(super) fn is_here(&self) -> bool {
        self.left_at.is_none()
    }

    pub(super) fn left_at(&self) -> Option<Micros> {
        self.left_at
    }

    pub(super) fn has_slots(&self) -> bool {
        !self.slots.is_empty()
    }

    /// Returns whether a fan's slot takes no more memory than there is, beside `others` slots of other edges.
    pub(super) fn has_space(&self, session: SessionId, others: usize) -> bool {
        self.slots.len().max(session.0 as usize + 1) + others <= MAX_SLOTS
    }

    pub(super) fn slots_len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn slot(&mut self, session: SessionId) -> Option<&mut Slot> {
        self.slots.get_mut(session.0 as usize)?.as_mut()
    }

    pub(super) fn take_slot(&mut self, session: SessionId) -> Option<Slot> {
        self.slots.get_mut(session.0 as usize)?.take()
    }

    pub(super) fn set_slot(&mut self, session: SessionId, slot: Slot) {
        let at = session.0 as usize;
        if self.slots.len() <= at {
            // Growing to twice the size would leave up to half of it unused.
            if self.slots.capacity() <= at {
                self.slots.reserve_exact(at + at / 8 + 16 - self.slots.len());
            }
            self.slots.resize(at + 1, None);
        }
        self.slots[at] = Some(slot);
    }

    pub(super) fn slots(&mut self) -> impl Iterator<Item = &mut Slot> + '_ {
        self.slots.iter_mut().flatten()
    }

    pub(super) fn answer(&self, sequence: u64) -> Option<&[u8]> {
        self.answers.iter().find(|(other, _)| *other == sequence).map(|(_, answer)| &answer[..])
    }

    /// Stores an answer; drops those to deltas before `oldest`, which the edge has received, and the oldest if
    /// they are more than the share of one of `edges`.
    pub(super) fn keep_answer(&mut self, sequence: u64, oldest: u64, mut answer: Vec<u8>, edges: usize) {
        answer.shrink_to_fit();
        self.answers.push_back((sequence, answer));
        let mut bytes: usize = self.answers.iter().map(|(_, answer)| answer.len()).sum();
        while let Some((other, answer)) = self.answers.front()
            && (*other < oldest || self.answers.len() > MAX_ANSWERS || bytes > ANSWER_BYTES / edges)
        {
            bytes -= answer.len();
            self.answers.pop_front();
        }
    }
}

impl Root {
    /// Releases a fan who has left an edge.
    pub(super) fn release(&mut self, slot: Slot, fx: &mut Effects<'_>) {
        if slot.stream != NONE {
            let stream = &mut self.people.streams[slot.stream];
            stream.attached = stream.attached.saturating_sub(1);
            stream.last = self.now;
        }
        if !slot.forgotten && (slot.visit != Visit::default() || slot.interactions > 0) {
            let Slot { fan, visit, interactions, .. } = slot;
            fx.archive(Row::Visited { fan, at: self.now, visit, interactions });
        }
    }

    /// Lets all fans of an edge go, in the ticks to come: there may be too many for one call.
    pub(super) fn release_all(&mut self, edge: &mut EdgeState) {
        self.added.leaving.extend(std::mem::take(&mut edge.slots).into_iter().flatten());
    }

    /// Releases some of the fans of lost edges.
    pub(super) fn release_some(&mut self, fx: &mut Effects<'_>) {
        for _ in 0..RELEASED {
            match self.added.leaving.pop_front() {
                Some(slot) => self.release(slot, fx),
                None => return self.added.leaving.shrink_to_fit(),
            }
        }
    }
}
