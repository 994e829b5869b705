//! The root, at the origin: the room's one truth.

mod apply;
mod chat;
mod clock;
mod delta;
mod edge_state;
mod forget;
mod gift;
mod moderate;
mod outcomes;
mod pace;
mod people;
mod poll;
mod pulse;
mod question;
mod slab;
mod stage;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use wire::worker::{Effect, Input};
use wire::{Down, EdgeId, FanId, Micros, limits};

use crate::bucket::Bucket;
use crate::effects::Effects;
use crate::tally::{Rates, Tally, Top};
use crate::{Error, Limits};
use chat::{Chat, Renewal};
use edge_state::{EdgeState, Slot};
use gift::Gifts;
use pace::Paces;
use people::People;
use poll::{Polls, Strangers};
use pulse::Pulses;
use question::Questions;
use stage::Stage;

/// Edges of one room, at most.
const MAX_EDGES: usize = 256;
/// Time for which a lost edge may come back to its fans: as long as they resend unacked messages.
const EDGE_LINGER: Micros = Micros::from_secs(limits::RESEND_SECONDS);

/// State of a root.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Root {
    #[serde(skip)]
    limits: Limits,
    now: Micros,
    edges: BTreeMap<EdgeId, EdgeState>,
    people: People,
    chat: Chat,
    stage: Stage,
    polls: Polls,
    questions: Questions,
    gifts: Gifts,
    counts: Counts,
    rates: Rates,
    tally: Tally,
    top_cheerers: Top,
    top_gifters: Top,
    pulses: Pulses,
    /// Messages for all edges, sent after the current input.
    announced: Vec<u8>,
    #[serde(skip)]
    added: Added,
    #[serde(skip)]
    strangers: Strangers,
}

/// State that follows the root in a snapshot, part by part. Snapshots of earlier layouts end before a part.
#[derive(Debug, Default)]
pub(crate) struct Rest<'a> {
    pub(crate) added: Added,
    pub(crate) strangers: Strangers,
    /// Paces of fans, encoded.
    pub(crate) paces: &'a [u8],
}

/// State that the first layout of a root's snapshot lacks.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Added {
    /// Fans of edges that are gone, who are still to be released.
    leaving: VecDeque<Slot>,
    /// Keys of strangers' gifts, oldest first; those of other fans are in [`Gifts`].
    stranger_keys: VecDeque<(Micros, FanId, u64)>,
    /// Rate of all strangers' chat lines together.
    stranger_says: Bucket,
    renewal: Renewal,
}

/// Totals since the room opened.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Counts {
    says: u64,
    cheers: [u64; limits::CHEER_KINDS],
    /// All fans' messages that were taken.
    interactions: u64,
}

impl Root {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            now: Micros(0),
            edges: BTreeMap::new(),
            people: People::default(),
            chat: Chat::default(),
            stage: Stage::default(),
            polls: Polls::default(),
            questions: Questions::default(),
            gifts: Gifts::default(),
            counts: Counts::default(),
            rates: Rates::default(),
            tally: Tally::default(),
            top_cheerers: Top::default(),
            top_gifters: Top::default(),
            pulses: Pulses::default(),
            announced: Vec::new(),
            added: Added::default(),
            strangers: Strangers::default(),
        }
    }

    /// Returns the parts of the state that follow the root in a snapshot.
    pub(crate) fn rest(&self) -> impl Serialize + '_ {
        (&self.added, (&self.strangers, Paces(&self.people, self.now)))
    }

    /// Returns about as many bytes as a snapshot of a large room has.
    pub(crate) fn cost(&self) -> usize {
        self.people.cost()
    }

    /// Completes a decoded snapshot with the fields that it lacks, and checks that it is consistent.
    pub(crate) fn restored(mut self, rest: Rest<'_>, limits: Limits) -> Result<Self, Error> {
        self.limits = limits;
        (self.added, self.strangers) = (rest.added, rest.strangers);
        self.people.restored();
        self.people.read_paces(rest.paces)?;
        self.polls.count_strangers(&self.people, &mut self.strangers);
        let streams = &self.people.streams;
        let slots = self.edges.values_mut().flat_map(EdgeState::slots).chain(&mut self.added.leaving);
        let slots_are = { slots }.all(|slot| slot.is_sound(streams));
        let sound = slots_are && self.tally.uniques.is_sound() && self.people.is_sound();
        if sound { Ok(self) } else { Err(Error::Snapshot) }
    }

    pub(crate) fn input(&mut self, now: Micros, input: Input<'_>, fx: &mut Effects<'_>) {
        self.now = now;
        self.rates.advance(now);
        match input {
            Input::Tick => self.tick(fx),
            Input::Opened => {
                self.chat.reopen();
                self.pulses.reopen();
                self.stage.changed();
                // A restart ends every link; an edge that is gone for good never reports it.
                for edge in self.edges.values_mut() {
                    edge.leave(now);
                }
            }
            Input::EdgeJoined { edge, incarnation } => self.edge_joined(edge, incarnation, fx),
            Input::Delta { edge, packet } => self.delta(edge, packet, fx),
            Input::EdgeLeft { edge } => {
                if let Some(edge) = self.edges.get_mut(&edge) {
                    edge.leave(now);
                }
            }
            Input::Owner { act } => {
                if let Err(reason) = self.moderate(None, &act, fx) {
                    fx.warn(&format!("the owner's act was not taken: {reason}"));
                }
            }
            Input::Forget { fan } => self.forget(fan, fx),
            Input::FanJoined { .. }
            | Input::FanAddress { .. }
            | Input::FanPacket { .. }
            | Input::FanLeft { .. }
            | Input::RootConnected
            | Input::FromRoot { .. } => fx.warn("the root has received an input for a leaf"),
        }
        self.send_announced(fx);
    }

    fn tick(&mut self, fx: &mut Effects<'_>) {
        self.close_poll_in_time(fx);
        self.drop_lost_edges();
        self.release_some(fx);
        self.gifts.sweep(self.now, &mut self.added.stranger_keys);
        self.people.sweep(self.now, |fan| self.top_cheerers.contains(fan) || self.top_gifters.contains(fan));
        self.chat.tick(self.now, usize::from(self.limits.history), &mut self.added.renewal, fx);
        self.pulse(fx);
        self.show_stage(fx);
    }

    /// Queues a message for all edges.
    fn announce(&mut self, message: &Down<'_>) {
        wire::put(&mut self.announced, message);
    }

    fn send_announced(&mut self, fx: &mut Effects<'_>) {
        if self.announced.is_empty() {
            return;
        }
        let mut packet = Vec::with_capacity(self.announced.len() + 16);
        for (id, edge) in self.edges.iter().filter(|(_, edge)| edge.is_here()) {
            packet.clear();
            wire::start(&mut packet);
            wire::put(&mut packet, &Down::Head { incarnation: edge.incarnation() });
            packet.extend_from_slice(&self.announced);
            fx.edge(*id, &packet);
        }
        self.announced.clear();
    }

    fn edge_joined(&mut self, id: EdgeId, incarnation: u64, fx: &mut Effects<'_>) {
        if !self.edges.contains_key(&id) && self.edges.len() >= MAX_EDGES && !self.drop_an_edge() {
            fx.warn("the room has no space for another edge: its link is closed");
            return fx.put(&Effect::CloseEdge { edge: id });
        }
        let mut edge = self.edges.remove(&id).unwrap_or_else(|| EdgeState::new(incarnation));
        let is_lost = edge.left_at().is_some_and(|at| self.now - at >= EDGE_LINGER);
        if incarnation < edge.incarnation() && !is_lost {
            fx.warn("an edge has joined with an earlier incarnation: its clock has gone back");
            fx.put(&Effect::CloseEdge { edge: id });
        } else {
            if incarnation != edge.incarnation() {
                self.release_all(&mut edge);
                edge = EdgeState::new(incarnation);
            }
            edge.join();
            let mut packet = Vec::new();
            wire::start(&mut packet);
            wire::put(&mut packet, &Down::Head { incarnation });
            wire::put(&mut packet, &Down::Settings(self.stage.settings()));
            fx.edge(id, &packet);
        }
        self.edges.insert(id, edge);
    }

    /// Drops the edge that left first, to make room for another. Returns false if all are connected.
    fn drop_an_edge(&mut self) -> bool {
        let gone = self.edges.iter().filter_map(|(id, edge)| edge.left_at().map(|at| (at, *id))).min();
        let Some((_, id)) = gone else { return false };
        if let Some(mut edge) = self.edges.remove(&id) {
            self.release_all(&mut edge);
        }
        true
    }

    /// Releases the fans of edges that have not come back in time.
    fn drop_lost_edges(&mut self) {
        let late = |edge: &EdgeState| {
            edge.left_at().is_some_and(|at| self.now - at >= EDGE_LINGER) && edge.has_slots()
        };
        let lost: Vec<EdgeId> = self.edges.iter().filter(|(_, edge)| late(edge)).map(|(id, _)| *id).collect();
        for id in lost {
            if let Some(mut edge) = self.edges.remove(&id) {
                self.release_all(&mut edge);
                self.edges.insert(id, edge);
            }
        }
    }
}
