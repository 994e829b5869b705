//! Deltas: each applied once, in order, and answered.

use wire::worker::Effect;
use wire::{
    Act, Down, EdgeId, Error, FanId, Frame, Frames, Micros, PollId, Reason, Review, Role, Screen, SessionId,
    StreamId, Up, Vote, limits,
};

use super::Root;
use super::edge::{Edge, NONE, Slot};
use super::people::Outcome;
use crate::effects::Effects;
use crate::leaf::MAX_SESSIONS;
use crate::tally::Sketch;

/// A delta's head.
struct Head {
    sequence: u64,
    oldest: u64,
    at: Micros,
}

impl Root {
    pub(super) fn delta(&mut self, id: EdgeId, packet: &[u8], fx: &mut Effects<'_>) {
        let Some(mut edge) = self.edges.remove(&id) else {
            fx.warn("a delta from an edge that has not joined");
            return fx.put(&Effect::CloseEdge { edge: id });
        };
        if packet.len() > limits::DELTA || self.read_delta(id, &mut edge, packet, fx).is_err() {
            // Its deltas after this one are not applied either: they would be acked with a hole.
            fx.warn("a delta that cannot be read");
            fx.put(&Effect::CloseEdge { edge: id });
        }
        self.edges.insert(id, edge);
    }

    fn read_delta(
        &mut self,
        id: EdgeId,
        edge: &mut Edge,
        packet: &[u8],
        fx: &mut Effects<'_>,
    ) -> Result<(), Error> {
        let mut entries = Frames::<Up<'_>>::new(packet)?;
        let head = match entries.next() {
            Some(Ok(Frame::Known(Up::Head { edge: from, incarnation, sequence, oldest, at })))
                if from == id && sequence <= limits::NUMBER && (1..=sequence).contains(&oldest) =>
            {
                if incarnation != edge.incarnation() {
                    // What a connection of before still had on its way.
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
        if head.sequence <= applied {
            if let Some(answer) = edge.answer(head.sequence) {
                fx.edge(id, answer);
            }
            return Ok(());
        }
        // Before anything is applied, all of it must be there to apply.
        if let Some(error) = entries.clone().find_map(Result::err) {
            return Err(error);
        }
        let mut answer = packet_to(edge, &Down::Answer { sequence: head.sequence });
        for entry in entries {
            match entry? {
                Frame::Known(entry) => self.entry(id, edge, &head, entry, &mut answer, fx),
                Frame::Unknown(frame) => {
                    if let Some((session, number)) = Up::number_of_unknown(frame) {
                        let unknown = Err(Reason::Unsupported);
                        self.number(edge, session, number, unknown, head.at, &mut answer, fx);
                    }
                }
            }
        }
        edge.applied = Some(head.sequence);
        fx.edge(id, &answer);
        edge.keep_answer(head.sequence, head.oldest, answer);
        Ok(())
    }

    fn entry(
        &mut self,
        id: EdgeId,
        edge: &mut Edge,
        head: &Head,
        entry: Up<'_>,
        answer: &mut Vec<u8>,
        fx: &mut Effects<'_>,
    ) {
        match entry {
            Up::Act { session, number, screen, act } => {
                self.number(edge, session, number, Ok((screen, &act)), head.at, answer, fx);
            }
            Up::Settle { session, number, reason } => {
                self.number(edge, session, number, Err(reason), head.at, answer, fx);
            }
            Up::Attach { session, fan, stream, next, role } => {
                self.attach(edge, session, (fan, role), (stream, next), answer, fx);
            }
            Up::Known { session, name, anonymous } => {
                if !self.known(edge, session, name, anonymous) {
                    wire::put(answer, &Down::Refused { session });
                }
            }
            Up::Stayed { session, visit } => {
                if let Some(slot) = edge.slot(session) {
                    slot.stayed(visit);
                }
            }
            Up::Detach { session } => {
                if let Some(slot) = edge.take_slot(session) {
                    self.release(slot, fx);
                }
            }
            Up::Report(report) => self.tally.report(id, edge.incarnation(), head.sequence, &report),
            Up::Latency(buckets) => self.tally.latency(id, edge.incarnation(), Sketch::from_wire(&buckets)),
            Up::Head { .. } => {}
        }
    }

    fn attach(
        &mut self,
        edge: &mut Edge,
        session: SessionId,
        (fan, role): (FanId, Role),
        (stream_id, next): (StreamId, u64),
        answer: &mut Vec<u8>,
        fx: &mut Effects<'_>,
    ) {
        if session.0 as usize >= MAX_SESSIONS || !(1..=limits::NUMBER).contains(&next) {
            return;
        }
        self.tally.uniques.insert(fan);
        let record = self.people.find(fan);
        let found = record.and_then(|record| self.people.find_stream(record, stream_id));
        let stays = edge.slot(session).is_some_and(|slot| {
            slot.fan == fan && slot.stream_id == stream_id && slot.stream == found.unwrap_or(NONE)
        });
        if !stays {
            if let Some(slot) = edge.take_slot(session) {
                self.release(slot, fx);
            }
            // A stream that has no mark and goes on is one whose mark was forgotten.
            let forgotten = found.is_none() && next > 1;
            let stream = found.unwrap_or(NONE);
            let (visit, interactions) = Default::default();
            edge.set_slot(session, Slot { fan, role, stream_id, stream, forgotten, visit, interactions });
            if forgotten {
                return wire::put(answer, &Down::Forgotten { session });
            }
            if let Some(stream) = found {
                self.people.streams[stream].attached += 1;
            }
        }
        let mark = found.map_or(0, |stream| {
            let stream = &mut self.people.streams[stream];
            // What the client has given up is settled: it cannot be applied any more.
            stream.mark = stream.mark.max(next - 1);
            stream.mark
        });
        self.welcome(session, (fan, role), record, mark, answer);
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

    /// A fan is about to do something: from here on they have a record. False if there is no room.
    fn known(&mut self, edge: &mut Edge, session: SessionId, name: &str, anonymous: bool) -> bool {
        let Some(slot) = edge.slot(session) else { return true };
        if slot.forgotten {
            return true;
        }
        let Some(at) = self.people.enter(slot.fan, self.now) else { return false };
        let Some(stream) = self.people.enter_stream(at, slot.stream_id, self.now) else { return false };
        if slot.stream == NONE {
            slot.stream = stream;
            self.people.streams[stream].attached += 1;
        }
        let fan = &mut self.people.fans[at];
        fan.token_role = slot.role;
        fan.anonymous = anonymous;
        if !(fan.named_here && anonymous) {
            fan.name.clear();
            fan.name.push_str(&name[..name.floor_char_boundary(limits::NAME)]);
            fan.named_here = false;
        }
        true
    }

    /// A numbered message: applied if it is the next one, answered in any case.
    #[expect(clippy::too_many_arguments, reason = "the parts of one entry, on the hottest path")]
    fn number(
        &mut self,
        edge: &mut Edge,
        session: SessionId,
        number: u64,
        act: Result<(Screen, &Act<'_>), Reason>,
        at: Micros,
        answer: &mut Vec<u8>,
        fx: &mut Effects<'_>,
    ) {
        let slot = match edge.slot(session) {
            Some(slot) if slot.stream != NONE => slot,
            Some(_) => return wire::put(answer, &Down::Forgotten { session }),
            // Of an edge that was away for so long that its fans were let go. After what it has kept it says who they
            // are; then all that is not acked can be taken.
            None => return wire::put(answer, &Down::Resend { session, from: 1 }),
        };
        let stream = &self.people.streams[slot.stream];
        let outcome = if number <= stream.mark {
            stream.outcome(number)
        } else if number > stream.mark + 1 {
            return wire::put(answer, &Down::Resend { session, from: stream.mark + 1 });
        } else {
            let outcome = match act {
                Ok((screen, act)) => self.act(stream.fan, at, screen, act, fx),
                Err(reason) => Outcome::Rejected(reason),
            };
            // A fan who is forgotten by their own act does not exist: only the owner forgets.
            self.people.streams[slot.stream].settle(outcome);
            if !matches!(outcome, Outcome::Rejected(_)) {
                slot.interactions = slot.interactions.saturating_add(1);
                self.counts.interactions += 1;
            }
            outcome
        };
        match outcome {
            Outcome::Taken => {}
            Outcome::Said(chat) => wire::put(answer, &Down::Said { session, number, chat }),
            Outcome::Held => wire::put(answer, &Down::Held { session, number }),
            Outcome::Rejected(reason) => wire::put(answer, &Down::Rejected { session, number, reason }),
        }
    }
}

/// A packet for an edge, begun with that message.
fn packet_to(edge: &Edge, message: &Down<'_>) -> Vec<u8> {
    let mut packet = wire::packet(&Down::Head { incarnation: edge.incarnation() });
    wire::put(&mut packet, message);
    packet
}
