//! Links in virtual time, and the clock.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque},
};

use bytes::{Bytes, BytesMut};
use moqt::{
    Input, Micros, Output, ResetCode, Session, SessionCode,
    session::{Dir, SendOrder, StreamId},
};

use crate::{Rng, Weather};

/// Names one end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndId(usize);

impl EndId {
    /// The end's number, in the order in which links were made.
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

/// The event that the caller has to handle next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A packet has arrived at an end: call [`Net::deliver`].
    Arrived(EndId),
    /// The time passed to [`Net::set_timer`] for an end has come.
    Timer(EndId),
    /// The time passed to [`Net::alarm`] with this tag has come.
    Alarm(u64),
}

/// Links, the packets on them, and the clock.
///
/// The caller passes in every output of a session ([`output`](Self::output)), and has what [becomes due](Self::step)
/// delivered.
pub struct Net {
    /// The current virtual time.
    pub now: Micros,
    /// The generator of all delays, losses and sizes.
    pub rng: Rng,
    ends: Vec<End>,
    heap: BinaryHeap<Reverse<Entry>>,
    next: u64,
}

/// One end of a link, and the streams that it sends.
struct End {
    peer: EndId,
    weather: Weather,
    /// The peer's ID for each stream, once the peer has one.
    names: BTreeMap<StreamId, StreamId>,
    sending: BTreeMap<StreamId, Sending>,
    /// Streams with data to send.
    ready: BTreeSet<StreamId>,
    inbox: VecDeque<Packet>,
    state: EndState,
    pumping: bool,
    stalled_until: Micros,
    timer: Option<Micros>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EndState {
    Open,
    /// The link is cut; the end has not noticed yet.
    Dark,
    Closed,
}

/// One direction of a stream, at its sender.
struct Sending {
    dir: Dir,
    order: SendOrder,
    ours: bool,
    queue: VecDeque<Bytes>,
    bytes: usize,
    finished: bool,
    /// Nothing more leaves: the stream was reset, or its end has been sent.
    over: bool,
    /// The arrival time of the last packet: a stream keeps its order.
    last_due: Micros,
}

#[derive(Debug)]
enum Packet {
    Stream { stream: StreamId, dir: Dir, ours: bool, data: Bytes, finished: bool },
    Reset { stream: StreamId, dir: Dir, ours: bool, code: ResetCode },
    Stop { stream: StreamId, code: ResetCode },
    Delivered { stream: StreamId },
    Datagram(Bytes),
    Close { code: SessionCode, reason: Bytes },
}

struct Entry {
    at: Micros,
    number: u64,
    happening: Happening,
}

enum Happening {
    Pump(EndId),
    Arrive(EndId, Packet),
    Timer(EndId),
    Alarm(u64),
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl Net {
    /// Makes a net without links. Its clock starts at one second.
    pub fn new(seed: u64) -> Self {
        Self {
            now: Micros(1_000_000),
            rng: Rng::new(seed),
            ends: Vec::new(),
            heap: BinaryHeap::new(),
            next: 0,
        }
    }

    /// Makes a link. Returns its two ends.
    pub fn link(&mut self, weather: Weather) -> (EndId, EndId) {
        let (near, far) = (EndId(self.ends.len()), EndId(self.ends.len() + 1));
        self.ends.extend([End::new(far, weather), End::new(near, weather)]);
        (near, far)
    }

    /// Sets the quality of one direction of a link from now on.
    pub fn set_weather(&mut self, from: EndId, weather: Weather) {
        self.ends[from.0].weather = weather;
    }

    /// Holds back all stream data of an end until `until`.
    pub fn stall(&mut self, from: EndId, until: Micros) {
        self.ends[from.0].stalled_until = until;
    }

    /// Cuts a link: nothing arrives any more, and each end's session closes after a time of its own.
    pub fn cut(&mut self, end: EndId, after: [Micros; 2]) {
        for (id, after) in [end, self.ends[end.0].peer].into_iter().zip(after) {
            let end = &mut self.ends[id.0];
            if end.state == EndState::Open {
                end.state = EndState::Dark;
                end.inbox.clear();
                let reason = Bytes::from_static(b"the link is gone");
                let packet = Packet::Close { code: SessionCode::INTERNAL_ERROR, reason };
                self.at(self.now + after, Happening::Arrive(id, packet));
            }
        }
    }

    /// Drops an end without notice: the peer's session closes after a time.
    pub fn abandon(&mut self, end: EndId, after: Micros) {
        self.cut(end, [after; 2]);
        self.ends[end.0].state = EndState::Closed;
    }

    /// Returns whether a link carries anything.
    pub fn is_open(&self, end: EndId) -> bool {
        self.ends[end.0].state == EndState::Open
    }

    /// Schedules an alarm with a tag.
    pub fn alarm(&mut self, at: Micros, tag: u64) {
        self.at(at.max(self.now), Happening::Alarm(tag));
    }

    /// Sets the timer of an end, in place of the one before.
    pub fn set_timer(&mut self, end: EndId, timer: Option<Micros>) {
        if self.ends[end.0].timer != timer {
            self.ends[end.0].timer = timer;
            if let Some(at) = timer {
                self.at(at.max(self.now), Happening::Timer(end));
            }
        }
    }

    /// Counts the bytes of a stream that have not been sent.
    pub fn backlog(&self, end: EndId, stream: StreamId) -> usize {
        self.ends[end.0].sending.get(&stream).map_or(0, |sending| sending.bytes)
    }

    /// Counts the bytes of messages, on all streams of an end that carry such, that have not been sent.
    pub fn unread(&self, end: EndId) -> usize {
        let sending = self.ends[end.0].sending.values();
        sending.filter(|sending| sending.order >= SendOrder::REQUEST).map(|sending| sending.bytes).sum()
    }

    /// Advances to the next due event, if that is no later than `until`.
    pub fn step(&mut self, until: Micros) -> Option<Due> {
        loop {
            if self.heap.peek().is_none_or(|Reverse(entry)| entry.at > until) {
                self.now = self.now.max(until);
                return None;
            }
            let Reverse(entry) = self.heap.pop()?;
            self.now = self.now.max(entry.at);
            match entry.happening {
                Happening::Pump(end) => self.pump(end),
                Happening::Arrive(id, packet) => {
                    let end = &mut self.ends[id.0];
                    let taken = match end.state {
                        EndState::Open => true,
                        EndState::Dark => matches!(packet, Packet::Close { .. }),
                        EndState::Closed => false,
                    };
                    if taken {
                        end.inbox.push_back(packet);
                        return Some(Due::Arrived(id));
                    }
                }
                Happening::Timer(id) => {
                    let end = &mut self.ends[id.0];
                    if end.timer.is_some_and(|at| at <= self.now) {
                        end.timer = None;
                        return Some(Due::Timer(id));
                    }
                }
                Happening::Alarm(tag) => return Some(Due::Alarm(tag)),
            }
        }
    }

    fn at(&mut self, at: Micros, happening: Happening) {
        self.heap.push(Reverse(Entry { at, number: self.next, happening }));
        self.next += 1;
    }

    /// Carries out an output of a session. Events are the caller's, and panic here.
    pub fn output(&mut self, id: EndId, output: Output) {
        let now = self.now;
        let end = &mut self.ends[id.0];
        assert_ne!(end.state, EndState::Closed, "{output:?} after the end");
        match output {
            Output::Open { stream, dir, order } => {
                let sending = Sending::new(dir, order, true, now);
                assert!(end.sending.insert(stream, sending).is_none(), "{stream:?} opened twice");
            }
            Output::SetOrder { stream, order } => {
                end.sending.get_mut(&stream).expect("order of an open stream").order = order;
            }
            Output::Write { stream, data } => {
                let sending = end.sending.get_mut(&stream).expect("a write on an open stream");
                assert!(!sending.finished && !sending.over, "a write after the end of {stream:?}");
                sending.bytes += data.len();
                sending.queue.push_back(data);
                end.ready.insert(stream);
                self.wake_pump(id);
            }
            Output::Finish { stream } => {
                let sending = end.sending.get_mut(&stream).expect("the end of an open stream");
                assert!(!sending.finished && !sending.over, "two ends of {stream:?}");
                sending.finished = true;
                end.ready.insert(stream);
                self.wake_pump(id);
            }
            Output::Reset { stream, code } => {
                let sending = end.sending.get_mut(&stream).expect("a reset of an open stream");
                sending.queue.clear();
                sending.bytes = 0;
                end.ready.remove(&stream);
                if !std::mem::replace(&mut sending.over, true) {
                    let (dir, ours) = (sending.dir, sending.ours);
                    // A reset may overtake the data before it.
                    self.send(id, None, Packet::Reset { stream, dir, ours, code });
                }
            }
            Output::Stop { stream, code } => {
                self.send(id, None, Packet::Stop { stream, code });
            }
            Output::Datagram(data) => {
                let loss = end.weather.loss;
                if !self.rng.chance(loss) {
                    self.send(id, None, Packet::Datagram(data));
                }
            }
            Output::Close { code, reason } => {
                self.send(id, None, Packet::Close { code, reason });
                self.ends[id.0].state = EndState::Closed;
            }
            Output::Event(event) => panic!("{event:?} is for the app"),
        }
    }

    fn wake_pump(&mut self, id: EndId) {
        let end = &mut self.ends[id.0];
        if !std::mem::replace(&mut end.pumping, true) {
            let at = (self.now + end.weather.pace).max(end.stalled_until);
            self.at(at, Happening::Pump(id));
        }
    }

    /// Sends one packet of the most urgent stream.
    fn pump(&mut self, id: EndId) {
        let mtu = self.ends[id.0].weather.mtu;
        let budget = self.rng.of(1..mtu + 1) as usize;
        let end = &mut self.ends[id.0];
        end.pumping = false;
        if end.stalled_until > self.now {
            return self.wake_pump(id);
        }
        let sending = &end.sending;
        let Some(stream) = end.ready.iter().copied().max_by_key(|id| (sending[id].order, Reverse(*id)))
        else {
            return;
        };
        let sending = end.sending.get_mut(&stream).expect("a stream that is ready");
        // A single chunk that fits goes without a copy.
        let whole =
            sending.queue.front().is_some_and(|front| front.len() <= budget) && sending.queue.len() == 1;
        let data = if whole { sending.queue.pop_front().unwrap_or_default() } else { sending.take(budget) };
        sending.bytes -= data.len();
        let is_empty = sending.queue.is_empty();
        let finished = sending.finished && is_empty;
        sending.over = finished;
        let packet = Packet::Stream { stream, dir: sending.dir, ours: sending.ours, data, finished };
        if is_empty {
            end.ready.remove(&stream);
        }
        self.send(id, Some(stream), packet);
        if !self.ends[id.0].ready.is_empty() {
            self.wake_pump(id);
        }
    }

    fn send(&mut self, from: EndId, in_order: Option<StreamId>, packet: Packet) {
        let end = &self.ends[from.0];
        let (weather, to, state) = (end.weather, end.peer, end.state);
        if state != EndState::Open {
            return;
        }
        let mut due = self.now + weather.latency + Micros(self.rng.of(0..weather.jitter.0.max(1)));
        while self.rng.chance(weather.loss) {
            due = due + weather.latency + weather.latency + Micros(1_000);
        }
        let end = &mut self.ends[from.0];
        if let Some(sending) = in_order.and_then(|stream| end.sending.get_mut(&stream)) {
            due = due.max(sending.last_due + Micros(1));
            sending.last_due = due;
        }
        self.at(due, Happening::Arrive(to, packet));
    }

    /// Returns the receiver's ID for a stream, and opens the stream there if it is new.
    fn name(
        &mut self,
        to: EndId,
        session: &mut Session,
        stream: StreamId,
        dir: Dir,
        ours: bool,
    ) -> Option<StreamId> {
        let from = self.ends[to.0].peer;
        if let Some(name) = self.ends[from.0].names.get(&stream) {
            return Some(*name);
        }
        if !ours {
            return None;
        }
        let name = session.opened(dir);
        self.ends[from.0].names.insert(stream, name);
        self.ends[to.0].names.insert(name, stream);
        if dir == Dir::Bi {
            let sending = Sending::new(dir, SendOrder::REQUEST, false, self.now);
            self.ends[to.0].sending.insert(name, sending);
        }
        Some(name)
    }

    /// Delivers the next arrived packet to the session at that end. Returns whether there was one.
    pub fn deliver(&mut self, to: EndId, session: &mut Session) -> bool {
        let Some(packet) = self.ends[to.0].inbox.pop_front() else { return false };
        if self.ends[to.0].state == EndState::Closed {
            return false;
        }
        let now = self.now;
        match packet {
            Packet::Stream { stream, dir, ours, data, finished } => {
                let Some(name) = self.name(to, session, stream, dir, ours) else { return true };
                if !data.is_empty() {
                    session.handle(now, Input::Data { stream: name, data });
                }
                if finished {
                    session.handle(now, Input::Finished { stream: name });
                    self.send(to, None, Packet::Delivered { stream: name });
                }
            }
            Packet::Reset { stream, dir, ours, code } => {
                let Some(name) = self.name(to, session, stream, dir, ours) else { return true };
                session.handle(now, Input::Reset { stream: name, code });
            }
            // `Stop` and `Delivered` carry the sender's stream ID, of a stream that the receiver sends.
            Packet::Stop { stream, code } => {
                let Some(name) = self.own_name(to, stream) else { return true };
                let over = self.ends[to.0].sending.get(&name).is_none_or(|sending| sending.over);
                if !over {
                    session.handle(now, Input::Stopped { stream: name, code });
                }
            }
            Packet::Delivered { stream } => {
                let Some(name) = self.own_name(to, stream) else { return true };
                session.handle(now, Input::Delivered { stream: name });
            }
            Packet::Datagram(data) => session.handle(now, Input::Datagram(data)),
            Packet::Close { code, reason } => {
                self.ends[to.0].state = EndState::Closed;
                session.handle(now, Input::Closed { code, reason });
            }
        }
        true
    }

    /// Returns the ID at `end` of the stream that its peer calls `stream`.
    fn own_name(&self, end: EndId, stream: StreamId) -> Option<StreamId> {
        let from = self.ends[end.0].peer;
        self.ends[from.0].names.get(&stream).copied()
    }
}

impl End {
    fn new(peer: EndId, weather: Weather) -> Self {
        Self {
            peer,
            weather,
            names: BTreeMap::new(),
            sending: BTreeMap::new(),
            ready: BTreeSet::new(),
            inbox: VecDeque::new(),
            state: EndState::Open,
            pumping: false,
            stalled_until: Micros(0),
            timer: None,
        }
    }
}

impl Sending {
    fn new(dir: Dir, order: SendOrder, ours: bool, now: Micros) -> Self {
        Self {
            dir,
            order,
            ours,
            queue: VecDeque::new(),
            bytes: 0,
            finished: false,
            over: false,
            last_due: now,
        }
    }

    /// Takes up to `budget` bytes off the queue.
    fn take(&mut self, budget: usize) -> Bytes {
        let mut data = BytesMut::new();
        while data.len() < budget {
            let Some(chunk) = self.queue.front_mut() else { break };
            let take = (budget - data.len()).min(chunk.len());
            data.extend_from_slice(&chunk.split_to(take));
            if chunk.is_empty() {
                self.queue.pop_front();
            }
        }
        data.freeze()
    }
}
