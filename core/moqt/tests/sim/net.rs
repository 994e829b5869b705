//! Sessions over a network that exists only in virtual time: seeded, lossy,
//! reordering, and splitting what is sent where it likes.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
};

use bytes::{Bytes, BytesMut};
use moqt::{
    Config, Event, Input, Micros, Output, ResetCode, Session, SessionCode, Version,
    session::{Dir, SendOrder, Side, StreamId, Transport},
};

/// SplitMix64: small, and the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// One of `range`.
    pub(crate) fn of(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.of(0..100) < percent
    }
}

/// What a link does to what is sent over it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// One way.
    pub(crate) latency: Micros,
    /// On top of it, at random.
    pub(crate) jitter: Micros,
    /// Percent of packets that have to be sent again (or, datagrams, are gone).
    pub(crate) loss: u64,
    /// Between two packets.
    pub(crate) pace: Micros,
    /// Bytes of one stream in a packet, at most; the rest is random.
    pub(crate) mtu: u64,
}

impl Weather {
    pub(crate) fn fair() -> Self {
        Self { latency: Micros(5_000), jitter: Micros(1), loss: 0, pace: Micros(10), mtu: 1200 }
    }

    pub(crate) fn at_random(rng: &mut Rng) -> Self {
        let mtu = [3, 40, 300, 1200, 60_000][rng.of(0..5) as usize];
        Self {
            latency: Micros(rng.of(0..50_000)),
            jitter: Micros(rng.of(1..30_000)),
            loss: [0, 1, 5, 30][rng.of(0..4) as usize],
            // Small packets come faster, so that every link carries megabytes a second.
            pace: Micros(1 + rng.of(1..200) * mtu / 1200),
            mtu,
        }
    }
}

/// One end of a link: a session, and the streams it sends on.
struct End {
    session: Session,
    node: usize,
    peer: usize,
    weather: Weather,
    /// The peer's name for each of our streams, once it has one; and whose
    /// stream it is.
    names: BTreeMap<StreamId, StreamId>,
    sending: BTreeMap<StreamId, Sending>,
    pumping: bool,
    closed: bool,
    timer: Option<Micros>,
}

/// One direction of a stream, at its sender.
struct Sending {
    dir: Dir,
    order: SendOrder,
    ours: bool,
    queue: VecDeque<Bytes>,
    finished: bool,
    /// Nothing more leaves: it was reset, or its end has left.
    over: bool,
    /// When the last of it arrives: streams keep their order.
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

#[derive(Debug)]
enum Happening {
    Pump(usize),
    Arrive(usize, Packet),
    Timer(usize),
    Wake(usize),
}

/// What runs on a node.
pub(crate) trait App {
    fn start(&mut self, _cx: &mut Cx<'_>) {}
    fn event(&mut self, cx: &mut Cx<'_>, session: usize, event: Event);
    fn wake(&mut self, _cx: &mut Cx<'_>) {}
    fn as_any(&self) -> &dyn std::any::Any;
}

/// What an app can do.
pub(crate) struct Cx<'a> {
    pub(crate) now: Micros,
    pub(crate) rng: &'a mut Rng,
    sessions: Vec<&'a mut Session>,
    wake: &'a mut Option<Micros>,
}

impl Cx<'_> {
    pub(crate) fn session(&mut self, index: usize) -> &mut Session {
        self.sessions[index]
    }

    /// Have `wake` called then.
    pub(crate) fn wake_at(&mut self, at: Micros) {
        *self.wake = Some(self.wake.map_or(at, |before| before.min(at)));
    }
}

struct Node {
    app: Box<dyn App>,
    ends: Vec<usize>,
    wake: Option<Micros>,
}

pub(crate) struct World {
    pub(crate) now: Micros,
    pub(crate) rng: Rng,
    ends: Vec<End>,
    nodes: Vec<Node>,
    heap: BinaryHeap<Reverse<(Micros, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    next: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now: Micros(1_000_000),
            rng: Rng::new(seed),
            ends: Vec::new(),
            nodes: Vec::new(),
            heap: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            next: 0,
        }
    }

    pub(crate) fn node(&mut self, app: impl App + 'static) -> usize {
        self.nodes.push(Node { app: Box::new(app), ends: Vec::new(), wake: None });
        self.nodes.len() - 1
    }

    /// Connects a client node to a server node. Each numbers its sessions in the
    /// order of its links.
    pub(crate) fn link(&mut self, client: usize, server: usize, weather: Weather) {
        let transport = if self.rng.chance(50) { Transport::Quic } else { Transport::WebTransport };
        let first = self.ends.len();
        for (side, node, peer) in [(Side::Client, client, first + 1), (Side::Server, server, first)] {
            let config = Config::new(side, transport, Version::Draft18);
            let session = Session::new(self.now, config).unwrap();
            self.nodes[node].ends.push(self.ends.len());
            self.ends.push(End {
                session,
                node,
                peer,
                weather,
                names: BTreeMap::new(),
                sending: BTreeMap::new(),
                pumping: false,
                closed: false,
                timer: None,
            });
        }
    }

    /// Runs until nothing more happens, or at most to `limit` from the start.
    pub(crate) fn run(&mut self, limit: Micros) {
        for node in 0..self.nodes.len() {
            self.call(node, |app, cx| app.start(cx));
            self.drain(node);
        }
        let end = self.now + limit;
        while let Some(Reverse((at, id))) = self.heap.pop() {
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            if let Some(happening) = self.happenings.remove(&id) {
                self.happen(happening);
            }
        }
    }

    pub(crate) fn app<T: 'static>(&self, node: usize) -> &T {
        self.nodes[node].app.as_any().downcast_ref().unwrap()
    }

    pub(crate) fn session(&self, node: usize, index: usize) -> &Session {
        &self.ends[self.nodes[node].ends[index]].session
    }

    fn at(&mut self, at: Micros, happening: Happening) {
        self.heap.push(Reverse((at, self.next)));
        self.happenings.insert(self.next, happening);
        self.next += 1;
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Pump(end) => self.pump(end),
            Happening::Arrive(end, packet) => self.arrive(end, packet),
            Happening::Timer(end) => {
                if self.ends[end].timer.is_some_and(|at| at <= self.now) {
                    self.ends[end].timer = None;
                    self.ends[end].session.handle(self.now, Input::Timeout);
                    self.drain(self.ends[end].node);
                }
            }
            Happening::Wake(node) => {
                if self.nodes[node].wake.is_some_and(|at| at <= self.now) {
                    self.nodes[node].wake = None;
                    self.call(node, |app, cx| app.wake(cx));
                    self.drain(node);
                }
            }
        }
    }

    fn call(&mut self, node: usize, f: impl FnOnce(&mut dyn App, &mut Cx<'_>)) {
        let entry = &mut self.nodes[node];
        let wake_before = entry.wake;
        let mut sessions: Vec<(usize, &mut Session)> = self
            .ends
            .iter_mut()
            .enumerate()
            .filter(|(_, end)| end.node == node)
            .map(|(i, end)| (i, &mut end.session))
            .collect();
        sessions.sort_by_key(|(i, _)| entry.ends.iter().position(|end| end == i));
        let mut cx = Cx {
            now: self.now,
            rng: &mut self.rng,
            sessions: sessions.into_iter().map(|(_, session)| session).collect(),
            wake: &mut entry.wake,
        };
        f(entry.app.as_mut(), &mut cx);
        if let Some(at) = self.nodes[node].wake.filter(|at| Some(*at) != wake_before) {
            self.at(at.max(self.now), Happening::Wake(node));
        }
    }

    /// Does what a node's sessions say, until they say nothing more.
    fn drain(&mut self, node: usize) {
        loop {
            let mut quiet = true;
            for (index, end) in self.nodes[node].ends.clone().into_iter().enumerate() {
                while let Some(output) = self.ends[end].session.poll() {
                    quiet = false;
                    if let Output::Event(event) = output {
                        self.call(node, |app, cx| app.event(cx, index, event));
                    } else {
                        self.output(end, output);
                    }
                }
            }
            if quiet {
                break;
            }
        }
        for end in self.nodes[node].ends.clone() {
            let timer = self.ends[end].session.timeout();
            if timer != self.ends[end].timer {
                self.ends[end].timer = timer;
                if let Some(at) = timer {
                    self.at(at.max(self.now), Happening::Timer(end));
                }
            }
        }
    }

    fn output(&mut self, id: usize, output: Output) {
        let now = self.now;
        let end = &mut self.ends[id];
        assert!(!end.closed, "{output:?} after Close");
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
                sending.queue.push_back(data);
                self.wake_pump(id);
            }
            Output::Finish { stream } => {
                let sending = end.sending.get_mut(&stream).expect("the end of an open stream");
                assert!(!sending.finished && !sending.over, "two ends of {stream:?}");
                sending.finished = true;
                self.wake_pump(id);
            }
            Output::Reset { stream, code } => {
                let sending = end.sending.get_mut(&stream).expect("a reset of an open stream");
                sending.queue.clear();
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
                end.closed = true;
                self.send(id, None, Packet::Close { code, reason });
            }
            Output::Event(_) => unreachable!(),
        }
    }

    fn wake_pump(&mut self, end: usize) {
        if !std::mem::replace(&mut self.ends[end].pumping, true) {
            let at = self.now + self.ends[end].weather.pace;
            self.at(at, Happening::Pump(end));
        }
    }

    /// Sends one packet of the most urgent stream.
    fn pump(&mut self, id: usize) {
        let mtu = self.ends[id].weather.mtu;
        let budget = if mtu == 1 { 1 } else { self.rng.of(1..mtu + 1) } as usize;
        let end = &mut self.ends[id];
        end.pumping = false;
        let next = end
            .sending
            .iter()
            .filter(|(_, sending)| !sending.over && (sending.finished || !sending.queue.is_empty()))
            .max_by_key(|(id, sending)| (sending.order, Reverse(**id)))
            .map(|(id, _)| *id);
        let Some(stream) = next else { return };
        let sending = end.sending.get_mut(&stream).unwrap();
        let mut data = BytesMut::new();
        while data.len() < budget {
            let Some(chunk) = sending.queue.front_mut() else { break };
            let take = (budget - data.len()).min(chunk.len());
            data.extend_from_slice(&chunk.split_to(take));
            if chunk.is_empty() {
                sending.queue.pop_front();
            }
        }
        let finished = sending.finished && sending.queue.is_empty();
        sending.over = finished;
        let packet =
            Packet::Stream { stream, dir: sending.dir, ours: sending.ours, data: data.freeze(), finished };
        self.send(id, Some(stream), packet);
        self.wake_pump(id);
    }

    fn send(&mut self, from: usize, in_order: Option<StreamId>, packet: Packet) {
        let end = &mut self.ends[from];
        let weather = end.weather;
        let mut due = self.now + weather.latency + Micros(self.rng.of(0..weather.jitter.0.max(1)));
        while self.rng.chance(weather.loss) {
            due = due + weather.latency + weather.latency + Micros(1_000);
        }
        let end = &mut self.ends[from];
        if let Some(sending) = in_order.and_then(|stream| end.sending.get_mut(&stream)) {
            due = due.max(sending.last_due + Micros(1));
            sending.last_due = due;
        }
        let to = end.peer;
        self.at(due, Happening::Arrive(to, packet));
    }

    /// The receiver's name for a stream, opening it there if it is new.
    fn name(&mut self, to: usize, stream: StreamId, dir: Dir, ours: bool) -> Option<StreamId> {
        let from = self.ends[to].peer;
        if let Some(name) = self.ends[from].names.get(&stream) {
            return Some(*name);
        }
        if !ours {
            return None;
        }
        let name = self.ends[to].session.opened(dir);
        self.ends[from].names.insert(stream, name);
        self.ends[to].names.insert(name, stream);
        if dir == Dir::Bi {
            let sending = Sending::new(dir, SendOrder::REQUEST, false, self.now);
            self.ends[to].sending.insert(name, sending);
        }
        Some(name)
    }

    fn arrive(&mut self, to: usize, packet: Packet) {
        if self.ends[to].closed {
            return;
        }
        let now = self.now;
        match packet {
            Packet::Stream { stream, dir, ours, data, finished } => {
                let Some(name) = self.name(to, stream, dir, ours) else { return };
                if !data.is_empty() {
                    self.ends[to].session.handle(now, Input::Data { stream: name, data });
                }
                if finished {
                    self.ends[to].session.handle(now, Input::Finished { stream: name });
                    self.send(to, None, Packet::Delivered { stream: name });
                }
            }
            Packet::Reset { stream, dir, ours, code } => {
                let Some(name) = self.name(to, stream, dir, ours) else { return };
                self.ends[to].session.handle(now, Input::Reset { stream: name, code });
            }
            // These two are told by the receiver's name.
            Packet::Stop { stream, code } => {
                let from = self.ends[to].peer;
                let Some(name) = self.ends[from].names.get(&stream).copied() else { return };
                let over = self.ends[to].sending.get(&name).is_none_or(|sending| sending.over);
                if !over {
                    self.ends[to].session.handle(now, Input::Stopped { stream: name, code });
                }
            }
            Packet::Delivered { stream } => {
                let from = self.ends[to].peer;
                let Some(name) = self.ends[from].names.get(&stream).copied() else { return };
                self.ends[to].session.handle(now, Input::Delivered { stream: name });
            }
            Packet::Datagram(data) => self.ends[to].session.handle(now, Input::Datagram(data)),
            Packet::Close { code, reason } => {
                self.ends[to].closed = true;
                self.ends[to].session.handle(now, Input::Closed { code, reason });
            }
        }
        self.drain(self.ends[to].node);
    }
}

impl Sending {
    fn new(dir: Dir, order: SendOrder, ours: bool, now: Micros) -> Self {
        Self { dir, order, ours, queue: VecDeque::new(), finished: false, over: false, last_due: now }
    }
}
