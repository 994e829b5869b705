//! Deltas: applies each once, in order, and answers it.

use wire::worker::Effect;
use wire::{
    Act, Down, EdgeId, Error, FanId, Frame, Frames, Micros, PollId, Reason, Review, Role, Screen, SessionId,
    StreamId, Up, Vote, limits,
};

use super::Root;
use super::apply::Made;
use super::edge_state::{EdgeState, NONE, Slot};
use super::outcomes::Outcome;
use super::poll::Address;
use crate::effects::Effects;
use crate::leaf::MAX_SESSIONS;
use crate::tally::Sketch;

/// First frame of a delta.
struct Head {
    sequence: u64,
    oldest: u64,
    at: Micros,
}

/// The edge that a delta came from, the answer to the delta, and the batch's effects.
struct Reply<'r, 'fx> {
    edge: &'r mut EdgeState,
    /// The address of a session whose vote follows.
    address: Option<(SessionId, Address)>,
    answer: &'r mut Vec<u8>,
    fx: &'r mut Effects<'fx>,
}

impl Root {
    pub(super) fn delta(&mut self, id: EdgeId, packet: &[u8], fx: &mut Effects<'_>) {
        let Some(mut edge) = self.edges.remove(&id) else {
            fx.warn("a delta from an edge that has not joined");
            return fx.put(&Effect::CloseEdge { edge: id });
        };
        if packet.len() > limits::DELTA || self.read_delta(id, &mut edge, packet, fx).is_err() {
            // The edge is closed, since its later deltas must not be applied either: they would be acked with
            // a hole.
            fx.warn("a delta does not decode: its edge's link is closed");
            fx.put(&Effect::CloseEdge { edge: id });
        }
        self.edges.insert(id, edge);
    }

    fn read_delta(
        &mut self,
        id: EdgeId,
        edge: &mut EdgeState,
        packet: &[u8],
        fx: &mut Effects<'_>,
    ) -> Result<(), Error> {
        let mut entries = Frames::<Up<'_>>::new(packet)?;
        let head = match entries.next() {
            Some(Ok(Frame::Known(Up::Head { edge: from, incarnation, sequence, oldest, at })))
                if from == id && sequence <= limits::NUMBER && (1..=sequence).contains(&oldest) =>
            {
                if incarnation != edge.incarnation() {
                    // The packet was still on its way from an earlier incarnation.
                    return Ok(());
                }
                Head { sequence, oldest, at: at.min(self.now) }
            }
            _ => return Err(Error::Malformed),
        };
        let applied = edge.applied.unwrap_or(head.oldest - 1);
        if head.sequence > applied + 1 {
            fx.edge(id, &packet_to(edge, &Down::Expect { sequence: applied + 1 }));
            return Ok(());
        }
        if head.sequence <= applied
            && let Some(answer) = edge.answer(head.sequence)
        {
            fx.edge(id, answer);
            return Ok(());
        }
        let is_again = head.sequence <= applied;
        // Decode all of the delta before anything is applied: a delta is applied whole or not at all.
        if let Some(error) = entries.clone().find_map(Result::err) {
            return Err(error);
        }
        let mut answer = packet_to(edge, &Down::Answer { sequence: head.sequence });
        let reply = &mut Reply { edge, address: None, answer: &mut answer, fx };
        for entry in entries {
            match entry? {
                Frame::Known(entry) if is_again => self.answer_again(&head, &entry, reply),
                Frame::Known(entry) => self.entry(id, &head, entry, reply),
                Frame::Unknown(frame) => {
                    if let Some((session, number)) = Up::number_of_unknown(frame) {
                        self.number(session, number, Err(Reason::Unsupported), head.at, reply);
                    }
                }
            }
        }
        fx.edge(id, &answer);
        if !is_again {
            edge.applied = Some(head.sequence);
            edge.keep_answer(head.sequence, head.oldest, answer, self.edges.len() + 1);
        }
        Ok(())
    }

    /// Answers an entry of a delta that was applied before, and whose answer is not kept, for a fan who is still
    /// there.
    fn answer_again(&mut self, head: &Head, entry: &Up<'_>, reply: &mut Reply<'_, '_>) {
        match *entry {
            Up::Attach { session, fan, stream, next, role } => {
                let slot = reply.edge.slot(session);
                if slot.is_some_and(|slot| slot.fan == fan && slot.stream_id == stream && !slot.forgotten) {
                    self.attach(session, (fan, role), (stream, next), reply);
                }
            }
            Up::Act { session, number, .. } | Up::Settle { session, number, .. } => {
                let slot = reply.edge.slot(session).filter(|slot| slot.stream != NONE);
                if slot.is_some_and(|slot| number <= self.people.streams[slot.stream].mark()) {
                    self.number(session, number, Err(Reason::Unsupported), head.at, reply);
                }
            }
            _ => {}
        }
    }

    fn entry(&mut self, id: EdgeId, head: &Head, entry: Up<'_>, reply: &mut Reply<'_, '_>) {
        match entry {
            Up::Act { session, number, screen, act } => {
                self.number(session, number, Ok((screen, &act)), head.at, reply);
            }
            Up::Settle { session, number, reason } => {
                self.number(session, number, Err(reason), head.at, reply);
            }
            Up::Attach { session, fan, stream, next, role } => {
                self.attach(session, (fan, role), (stream, next), reply);
            }
            Up::Known { session, name, anonymous } => {
                if !self.known(reply.edge, session, name, anonymous) {
                    wire::put(reply.answer, &Down::Refused { session });
                }
            }
            Up::Address { session, address } => reply.address = Some((session, (id, address))),
            Up::Stayed { session, visit } => {
                if let Some(slot) = reply.edge.slot(session) {
                    slot.stayed(visit);
                }
            }
            Up::Detach { session } => {
                if let Some(slot) = reply.edge.take_slot(session) {
                    self.release(slot, reply.fx);
                }
            }
            Up::Report(report) => self.tally.report(id, reply.edge.incarnation(), head.sequence, &report),
            Up::Latency(buckets) => {
                self.tally.latency(id, reply.edge.incarnation(), Sketch::from_wire(&buckets));
            }
            // The node has checked the proofs.
            Up::Head { .. } | Up::Proof { .. } => {}
        }
    }

    fn attach(
        &mut self,
        session: SessionId,
        (fan, role): (FanId, Role),
        (stream_id, next): (StreamId, u64),
        reply: &mut Reply<'_, '_>,
    ) {
        if session.0 as usize >= MAX_SESSIONS || !(1..=limits::NUMBER).contains(&next) {
            return;
        }
        self.tally.uniques.insert(fan);
        let record = self.people.find(fan);
        let found = record.and_then(|record| self.people.find_stream(record, stream_id));
        let stays = reply.edge.slot(session).is_some_and(|slot| {
            slot.fan == fan && slot.stream_id == stream_id && slot.stream == found.unwrap_or(NONE)
        });
        if !stays {
            if let Some(slot) = reply.edge.take_slot(session) {
                self.release(slot, reply.fx);
            }
            let others = self.edges.values().map(EdgeState::slots_len).sum::<usize>();
            let may = found.is_none() || record.is_none_or(|record| self.people.may_attach(record));
            if !may || !reply.edge.has_space(session, others + self.added.leaving.len()) {
                return wire::put(reply.answer, &Down::Refused { session });
            }
            // A stream that continues without a mark is one whose mark was forgotten.
            let forgotten = found.is_none() && next > 1;
            let stream = found.unwrap_or(NONE);
            let (visit, interactions) = Default::default();
            reply
                .edge
                .set_slot(session, Slot { fan, role, stream_id, stream, forgotten, visit, interactions });
            if forgotten {
                return wire::put(reply.answer, &Down::Forgotten { session });
            }
            if let Some(stream) = found {
                self.people.streams[stream].attached += 1;
            }
        }
        let mark = found.map_or(0, |stream| {
            // Numbers that the client has given up are settled: they cannot be applied any more.
            self.people.give_up(stream, next - 1);
            self.people.streams[stream].mark()
        });
        self.welcome(session, (fan, role), record, mark, reply.answer);
    }

    fn welcome(
        &self,
        session: SessionId,
        (fan, role): (FanId, Role),
        record: Option<u32>,
        mark: u64,
        answer: &mut Vec<u8>,
    ) {
        let record = record.map(|record| &self.people.fans[record]);
        let role = match record.and_then(|fan| fan.granted) {
            Some(granted) if role != Role::Creator => granted,
            _ => role,
        };
        let standing = match record {
            Some(fan) if role != Role::Creator => fan.standing(self.now),
            _ => wire::Standing::Clear,
        };
        let vote: Option<(PollId, u8)> = self.polls.vote_of(fan);
        let vote = vote.map(|(poll, option)| Vote { poll, option });
        wire::put(answer, &Down::Attached { session, mark, role, standing, vote });
        if role >= Role::Moderator {
            self.chat.each_held(|review: Review<'_>| {
                wire::put(answer, &Down::Moderator { session, review });
            });
        }
    }

    /// Creates the record of a fan who is about to act. Returns false if the room is full.
    fn known(&mut self, edge: &mut EdgeState, session: SessionId, name: &str, anonymous: bool) -> bool {
        let Some(slot) = edge.slot(session) else { return true };
        if slot.forgotten {
            return true;
        }
        let Some(at) = self.people.enter(slot.fan, anonymous, self.now) else { return false };
        let Some(stream) = self.people.enter_stream(at, slot.stream_id, self.now) else { return false };
        if slot.stream == NONE {
            if !self.people.may_attach(at) {
                return false;
            }
            slot.stream = stream;
            self.people.streams[stream].attached += 1;
        }
        let fan = &mut self.people.fans[at];
        fan.token_role = slot.role;
        fan.anonymous = anonymous;
        if !(fan.named_here && anonymous) {
            fan.named_here = false;
            self.people.rename(at, &name[..name.floor_char_boundary(limits::NAME)]);
        }
        self.people.reserve_name(at);
        true
    }

    /// Handles a numbered message: applies it if it is the next one, and answers it in any case.
    fn number(
        &mut self,
        session: SessionId,
        number: u64,
        act: Result<(Screen, &Act<'_>), Reason>,
        at: Micros,
        reply: &mut Reply<'_, '_>,
    ) {
        let slot = match reply.edge.slot(session) {
            Some(slot) if slot.stream != NONE => slot,
            Some(_) => return wire::put(reply.answer, &Down::Forgotten { session }),
            // The edge was away for so long that its fans were released. After its backlog it attaches them
            // again; then the root can take all that is not acked.
            None => return wire::put(reply.answer, &Down::Resend { session, from: 1 }),
        };
        let stream = &self.people.streams[slot.stream];
        let outcome = if number <= stream.mark() {
            stream.outcome(number)
        } else if number > stream.mark() + 1 {
            return wire::put(reply.answer, &Down::Resend { session, from: stream.mark() + 1 });
        } else {
            let outcome = match act {
                Ok((screen, act)) => {
                    let address = reply.address.filter(|(of, _)| *of == session).map(|(_, address)| address);
                    self.act(stream.fan, &Made { at, screen, address }, act, reply.fx)
                }
                Err(reason) => Outcome::Rejected(reason),
            };
            // The fan's own act cannot have removed the stream: only the owner forgets fans.
            self.people.settle(slot.stream, outcome);
            if !matches!(outcome, Outcome::Rejected(_)) {
                slot.interactions = slot.interactions.saturating_add(1);
                self.counts.interactions += 1;
            }
            outcome
        };
        match outcome {
            Outcome::Taken => {}
            Outcome::Said(chat) => wire::put(reply.answer, &Down::Said { session, number, chat }),
            Outcome::Held => wire::put(reply.answer, &Down::Held { session, number }),
            Outcome::Rejected(reason) => wire::put(reply.answer, &Down::Rejected { session, number, reason }),
        }
    }
}

/// Begins a packet for an edge with that message.
fn packet_to(edge: &EdgeState, message: &Down<'_>) -> Vec<u8> {
    let mut packet = wire::packet(&Down::Head { incarnation: edge.incarnation() });
    wire::put(&mut packet, message);
    packet
}
