//! A simulated net of a root, edges and fans: loses, duplicates and delays packets, and crashes nodes.

use std::collections::{BTreeMap, VecDeque};

use room::rehearsal::SplitMix64;
use room::{Config, Room};
use wire::worker::{Effect, Group, Identity, Input, Row, Seat, Seen};
use wire::{
    Act, Choice, EdgeId, EdgeMessage, FanId, FanMessage, Frame, Frames, Gift, GiftId, Hello, List, Micros,
    Moderation, OnMatch, Pattern, PollId, Pulse, Reason, Role, Say, SessionId, StreamId, Track, TrackItem,
    limits,
};

/// Faults that a run injects.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Percent of packets between edges and the root.
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    /// Number of moves of fans; the next fields likewise, all at random times.
    pub(crate) fan_moves: u64,
    pub(crate) link_breaks: u64,
    pub(crate) edge_crashes: u64,
    pub(crate) root_crashes: u64,
    /// Number of workers that are replaced by their own snapshot while running.
    pub(crate) swaps: u64,
}

pub(crate) const EDGES: usize = 3;
const FANS: u64 = 8;
const ACTS: usize = 14;
/// Milliseconds within which faults and acts occur.
const BUSY: u64 = 12_000;
/// Milliseconds by which everything must be settled.
const LONG: u64 = 120_000;
const TICK: u64 = 50;
const EPOCH: u64 = 1_700_000_000_000;

/// An action of a fan.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Say(String),
    Cheer(u16),
    Gift { count: u16, key: u64 },
    Vote(u8),
}

/// Outcome of an action, as its fan received it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    Taken,
    Rejected(Reason),
}

pub(crate) struct Fan {
    pub(crate) id: FanId,
    stream: StreamId,
    next: u64,
    unacked: VecDeque<(u64, Action)>,
    rejected: BTreeMap<u64, Reason>,
    /// The fan's current edge, session and connection number.
    at: Option<(usize, SessionId, u64)>,
    connections: u64,
    pub(crate) results: Vec<(Action, Fate)>,
}

/// State of a reader of the chat track at an edge.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) lines: BTreeMap<u64, String>,
    waits: bool,
    last: u64,
}

struct Edge {
    id: EdgeId,
    leaf: Option<Room>,
    incarnation: u64,
    sessions: Vec<Option<(usize, u64)>>,
    /// Number of the connection to the root, if there is one.
    link: Option<u64>,
    links: u64,
    view: View,
}

/// Storage that outlives the root: it is written before any answer is sent.
#[derive(Default)]
struct Disk {
    snapshot: Option<Vec<u8>>,
    journal: Vec<(Micros, Vec<u8>)>,
}

#[derive(Debug)]
enum Event {
    Tick,
    Act { fan: usize, action: Action },
    Connect { fan: usize },
    FromFan { fan: usize, connection: u64, packet: Vec<u8> },
    ToFan { fan: usize, connection: u64, packet: Vec<u8> },
    Up { edge: usize, link: u64, packet: Vec<u8> },
    Down { edge: usize, link: u64, packet: Vec<u8> },
    Object { edge: usize, link: u64, group: Group, object: Vec<u8> },
    Link { edge: usize },
    StartEdge { edge: usize },
    StartRoot,
    FanMoves { fan: usize },
    LinkBreaks { edge: usize },
    EdgeCrashes { edge: usize },
    RootCrashes,
    Swap { which: usize },
}

pub(crate) struct Net {
    rng: SplitMix64,
    faults: Faults,
    now: u64,
    order: u64,
    queue: BTreeMap<(u64, u64), Event>,
    /// Arrival time of the last packet on each channel: channels keep their order.
    arrivals: BTreeMap<(u8, usize, u64), u64>,
    root: Option<Room>,
    disk: Disk,
    edges: Vec<Edge>,
    pub(crate) fans: Vec<Fan>,
    /// Text of each archived line.
    pub(crate) said: BTreeMap<u64, (FanId, String)>,
    pub(crate) voted: u64,
    pub(crate) gifted: u64,
    /// A fingerprint of all effects.
    pub(crate) trace: u64,
    pulse: Vec<u8>,
    /// Objects of the chat track's current group: a relay serves them to a new reader.
    group: Vec<Vec<u8>>,
}

impl Net {
    pub(crate) fn run(seed: u64, faults: Faults) -> Self {
        let mut net = Self::new(seed, faults);
        net.plan();
        while let Some(((at, _), event)) = net.queue.pop_first() {
            net.now = at;
            net.happen(event);
            if at > BUSY && net.fans.iter().all(|fan| fan.unacked.is_empty()) && net.is_calm() {
                break;
            }
            assert!(
                at < LONG,
                "not settled: {:?}",
                net.fans.iter().map(|fan| &fan.unacked).collect::<Vec<_>>()
            );
        }
        for _ in 0..20 {
            net.now += TICK;
            net.root_input(&[Input::Tick]);
            net.deliver_objects();
        }
        net
    }

    fn new(seed: u64, faults: Faults) -> Self {
        let edge = |at: usize| Edge {
            id: EdgeId(at as u64 + 1),
            leaf: None,
            incarnation: 0,
            sessions: Vec::new(),
            link: None,
            links: 0,
            view: View { waits: true, ..View::default() },
        };
        let fan = |id: u64| Fan {
            id: FanId(id),
            stream: StreamId(id * 1000),
            next: 1,
            unacked: VecDeque::new(),
            rejected: BTreeMap::new(),
            at: None,
            connections: 0,
            results: Vec::new(),
        };
        Self {
            rng: SplitMix64(seed),
            faults,
            now: 0,
            order: 0,
            queue: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            root: None,
            disk: Disk::default(),
            edges: (0..EDGES).map(edge).collect(),
            fans: (1..=FANS).map(fan).collect(),
            said: BTreeMap::new(),
            voted: 0,
            gifted: 0,
            trace: 0,
            pulse: Vec::new(),
            group: Vec::new(),
        }
    }

    /// Schedules all actions and faults.
    fn plan(&mut self) {
        self.start_root();
        self.root_input(&[
            Input::Owner {
                act: Moderation::SetGifts(List(vec![Gift {
                    id: GiftId(1),
                    name: "rose",
                    icon: "🌹",
                    value: 5,
                }])),
            },
            Input::Owner {
                act: Moderation::SetPatterns(List(vec![Pattern {
                    text: "blocked",
                    action: OnMatch::Reject,
                }])),
            },
            Input::Owner {
                act: Moderation::OpenPoll {
                    question: "Encore?",
                    options: List(vec!["yes", "no", "maybe"]),
                    seconds: 3600,
                    choice: Choice::Final,
                },
            },
        ]);
        for edge in 0..EDGES {
            self.start_edge(edge);
        }
        for fan in 0..self.fans.len() {
            self.at(1, Event::Connect { fan });
            for nth in 0..ACTS {
                let action = self.action(fan, nth);
                let at = self.rng.between(100, BUSY);
                self.at(at, Event::Act { fan, action });
            }
        }
        let faults = self.faults;
        let some = |count, net: &mut Self, event: &dyn Fn(&mut Self) -> Event| {
            for _ in 0..count {
                let (at, event) = (net.rng.between(200, BUSY), event(net));
                net.at(at, event);
            }
        };
        some(faults.fan_moves, self, &|net| Event::FanMoves { fan: net.rng.below(FANS) as usize });
        some(faults.link_breaks, self, &|net| Event::LinkBreaks {
            edge: net.rng.below(EDGES as u64) as usize,
        });
        some(faults.edge_crashes, self, &|net| Event::EdgeCrashes {
            edge: net.rng.below(EDGES as u64) as usize,
        });
        some(faults.root_crashes, self, &|_| Event::RootCrashes);
        some(faults.swaps, self, &|net| Event::Swap { which: net.rng.below(EDGES as u64 + 1) as usize });
        self.at(TICK, Event::Tick);
    }

    fn action(&mut self, fan: usize, nth: usize) -> Action {
        let id = self.fans[fan].id;
        match self.rng.below(10) {
            0..3 => Action::Say(format!("{id} says {nth}")),
            3 => Action::Say(format!("{id} blocked {nth}")),
            4..7 => Action::Cheer(self.rng.between(1, 130) as u16),
            // Some gifts reuse the key of another one.
            7 => Action::Gift { count: self.rng.between(1, 9) as u16, key: self.rng.below(4) },
            _ => Action::Vote(self.rng.below(4) as u8),
        }
    }

    fn at(&mut self, time: u64, event: Event) {
        self.order += 1;
        self.queue.insert((time, self.order), event);
    }

    /// Sends a packet over a channel, which keeps its order.
    fn send(&mut self, channel: (u8, usize, u64), event: Event) {
        let latency = self.rng.between(5, 60);
        let last = self.arrivals.entry(channel).or_default();
        *last = (*last).max(self.now + latency);
        let at = *last;
        self.at(at, event);
    }

    fn is_calm(&self) -> bool {
        self.root.is_some() && self.edges.iter().all(|edge| edge.leaf.is_some() && edge.link.is_some())
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Tick => {
                for edge in 0..EDGES {
                    self.leaf_input(edge, &[Input::Tick]);
                }
                self.root_input(&[Input::Tick]);
                self.at(self.now + TICK, Event::Tick);
            }
            Event::Act { fan, action } => self.perform(fan, action),
            Event::Connect { fan } => self.connect(fan),
            Event::FromFan { fan, connection, packet } => {
                if let Some((edge, session, now)) = self.fans[fan].at
                    && now == connection
                {
                    self.leaf_input(edge, &[Input::FanPacket { session, packet: &packet }]);
                }
            }
            Event::ToFan { fan, connection, packet } => {
                if self.fans[fan].at.is_some_and(|(_, _, now)| now == connection) {
                    self.receive(fan, &packet);
                }
            }
            Event::Up { edge, link, packet } => {
                if self.edges[edge].link == Some(link) {
                    self.root_input(&[Input::Delta { edge: self.edges[edge].id, packet: &packet }]);
                }
            }
            Event::Down { edge, link, packet } => {
                if self.edges[edge].link == Some(link) {
                    self.leaf_input(edge, &[Input::FromRoot { packet: &packet }]);
                }
            }
            Event::Object { edge, link, group, object } => {
                if self.edges[edge].link == Some(link) {
                    self.edges[edge].view.see(group, &object);
                }
            }
            Event::Link { edge } => self.link(edge),
            Event::StartEdge { edge } => self.start_edge(edge),
            Event::StartRoot => self.start_root(),
            Event::FanMoves { fan } => self.leave(fan, true),
            Event::LinkBreaks { edge } => self.unlink(edge),
            Event::EdgeCrashes { edge } => self.crash_edge(edge),
            Event::RootCrashes => self.crash_root(),
            Event::Swap { which } => self.swap(which),
        }
    }

    // The root's part.

    fn start_root(&mut self) {
        if self.root.is_some() {
            return;
        }
        let config = Config::new(Seat::Root);
        let mut root = match &self.disk.snapshot {
            Some(snapshot) => Room::restore(config, snapshot).expect("our own snapshot"),
            None => Room::new(config),
        };
        for (now, batch) in &self.disk.journal {
            root.handle(*now, batch, &mut Vec::new()).expect("our own journal");
        }
        self.root = Some(root);
        self.root_input(&[Input::Opened, Input::Tick]);
    }

    fn crash_root(&mut self) {
        if self.root.take().is_none() {
            return;
        }
        for edge in 0..EDGES {
            self.unlink(edge);
        }
        let back = self.now + self.rng.between(50, 3000);
        self.at(back, Event::StartRoot);
    }

    fn root_input(&mut self, inputs: &[Input<'_>]) {
        let Some(root) = &mut self.root else { return };
        let now = Micros::from_millis(EPOCH + self.now);
        let (batch, mut effects) = (packed(inputs), Vec::new());
        root.handle(now, &batch, &mut effects).expect("a batch of ours");
        self.disk.journal.push((now, batch));
        if self.rng.below(400) == 0 {
            self.disk = Disk { snapshot: Some(root.snapshot()), journal: Vec::new() };
        }
        self.trace(&effects);
        self.archive(&effects);
        // The root crashes after the write and before any effect is sent.
        if self.faults.root_crashes > 0 && (1..BUSY).contains(&self.now) && self.rng.below(800) == 0 {
            return self.crash_root();
        }
        for effect in Frames::<Effect<'_>>::new(&effects).expect("effects") {
            let Ok(Frame::Known(effect)) = effect else { panic!("an effect of another kind") };
            self.root_effect(&effect);
        }
    }

    fn root_effect(&mut self, effect: &Effect<'_>) {
        match effect {
            Effect::ToEdge { edge, packet } => {
                let edge = edge.0 as usize - 1;
                let Some(link) = self.edges[edge].link else { return };
                self.send_some((1, edge, link), || Event::Down { edge, link, packet: packet.to_vec() });
            }
            Effect::Publish { track: Track::Chat, group, object } => {
                if *group == Group::New {
                    self.group.clear();
                }
                self.group.push(object.to_vec());
                for edge in 0..EDGES {
                    let Some(link) = self.edges[edge].link else { continue };
                    let object = object.to_vec();
                    self.send((2, edge, link), Event::Object { edge, link, group: *group, object });
                }
            }
            Effect::Publish { track: Track::Pulse, object, .. } => self.pulse = object.to_vec(),
            Effect::Publish { .. } | Effect::Archive(_) => {}
            // An effect may still name an edge of an earlier incarnation.
            other => panic!("{other:?} from the root"),
        }
    }

    /// Records the archive's rows, from effects stored with their batch.
    fn archive(&mut self, effects: &[u8]) {
        for effect in Frames::<Effect<'_>>::new(effects).expect("effects") {
            match effect {
                Ok(Frame::Known(Effect::Archive(Row::Said {
                    id, fan, text, seen: Seen::Everyone, ..
                }))) => {
                    let before = self.said.insert(id.0, (fan, text.to_owned()));
                    assert_eq!(before, None, "two lines have one place");
                }
                Ok(Frame::Known(Effect::Archive(Row::Voted { .. }))) => self.voted += 1,
                Ok(Frame::Known(Effect::Archive(Row::Gifted { count, .. }))) => {
                    self.gifted += u64::from(count);
                }
                _ => {}
            }
        }
    }

    /// Delivers all objects on their way to readers of the chat.
    fn deliver_objects(&mut self) {
        let objects: Vec<_> = self
            .queue
            .iter()
            .filter(|(_, event)| matches!(event, Event::Object { .. }))
            .map(|(at, _)| *at)
            .collect();
        for at in objects {
            if let Some(event) = self.queue.remove(&at) {
                self.happen(event);
            }
        }
    }

    /// Sends over a channel that may lose or duplicate.
    fn send_some(&mut self, channel: (u8, usize, u64), event: impl Fn() -> Event) {
        let heals = self.now < BUSY;
        if heals && self.rng.percent(self.faults.lost) {
            return;
        }
        self.send(channel, event());
        if heals && self.rng.percent(self.faults.doubled) {
            self.send(channel, event());
        }
    }

    // The edges' part.

    fn start_edge(&mut self, at: usize) {
        let edge = &mut self.edges[at];
        if edge.leaf.is_none() {
            edge.incarnation = self.now + 1;
            edge.leaf =
                Some(Room::new(Config::new(Seat::Leaf { edge: edge.id, incarnation: edge.incarnation })));
            self.link(at);
        }
    }

    fn crash_edge(&mut self, at: usize) {
        if self.edges[at].leaf.is_none() {
            return;
        }
        self.unlink(at);
        self.edges[at].leaf = None;
        for (fan, connection) in std::mem::take(&mut self.edges[at].sessions).into_iter().flatten() {
            if self.fans[fan].at.is_some_and(|(_, _, now)| now == connection) {
                self.leave(fan, false);
            }
        }
        let back = self.now + self.rng.between(100, 4000);
        self.at(back, Event::StartEdge { edge: at });
    }

    fn link(&mut self, at: usize) {
        let edge = &mut self.edges[at];
        if edge.link.is_some() || edge.leaf.is_none() {
            return;
        }
        if self.root.is_none() {
            return self.at(self.now + 200, Event::Link { edge: at });
        }
        edge.links += 1;
        edge.link = Some(edge.links);
        edge.view.waits = true;
        let link = edge.links;
        let (id, incarnation) = (edge.id, edge.incarnation);
        for (nth, object) in self.group.clone().into_iter().enumerate() {
            let group = if nth == 0 { Group::New } else { Group::Same };
            self.send((2, at, link), Event::Object { edge: at, link, group, object });
        }
        self.root_input(&[Input::EdgeJoined { edge: id, incarnation }]);
        self.leaf_input(at, &[Input::RootConnected]);
    }

    fn unlink(&mut self, at: usize) {
        if self.edges[at].link.take().is_none() {
            return;
        }
        self.root_input(&[Input::EdgeLeft { edge: self.edges[at].id }]);
        let back = self.now + self.rng.between(20, 1500);
        self.at(back, Event::Link { edge: at });
    }

    fn leaf_input(&mut self, at: usize, inputs: &[Input<'_>]) {
        let edge = &mut self.edges[at];
        let Some(leaf) = &mut edge.leaf else { return };
        let mut effects = Vec::new();
        let now = Micros::from_millis(EPOCH + self.now);
        leaf.handle(now, &packed(inputs), &mut effects).expect("a batch of ours");
        self.trace(&effects);
        for effect in Frames::<Effect<'_>>::new(&effects).expect("effects") {
            let Ok(Frame::Known(effect)) = effect else { panic!("an effect of another kind") };
            self.leaf_effect(at, &effect);
        }
    }

    fn leaf_effect(&mut self, at: usize, effect: &Effect<'_>) {
        match effect {
            Effect::ToRoot { packet } => {
                let Some(link) = self.edges[at].link else { return };
                self.send_some((0, at, link), || Event::Up { edge: at, link, packet: packet.to_vec() });
            }
            Effect::ToFan { session, packet } => {
                if let Some(Some((fan, connection))) =
                    self.edges[at].sessions.get(session.0 as usize).copied()
                {
                    let packet = packet.to_vec();
                    self.send((3, fan, connection), Event::ToFan { fan, connection, packet });
                }
            }
            other => panic!("{other:?} from a leaf"),
        }
    }

    /// Replaces a worker by one that restores its snapshot.
    fn swap(&mut self, which: usize) {
        if which == EDGES {
            if let Some(root) = &self.root {
                let snapshot = root.snapshot();
                let restored = Room::restore(Config::new(Seat::Root), &snapshot).expect("our own snapshot");
                assert_eq!(restored.snapshot(), snapshot, "not the same root");
                self.root = Some(restored);
            }
            return;
        }
        let edge = &mut self.edges[which];
        let config = Config::new(Seat::Leaf { edge: edge.id, incarnation: edge.incarnation });
        if let Some(leaf) = &edge.leaf {
            let snapshot = leaf.snapshot();
            let restored = Room::restore(config, &snapshot).expect("our own snapshot");
            assert_eq!(restored.snapshot(), snapshot, "not the same leaf");
            edge.leaf = Some(restored);
        }
    }

    fn trace(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    // The fans' part.

    fn connect(&mut self, fan: usize) {
        let up: Vec<usize> = (0..EDGES).filter(|edge| self.edges[*edge].leaf.is_some()).collect();
        if up.is_empty() || self.fans[fan].at.is_some() {
            return self.at(self.now + 100, Event::Connect { fan });
        }
        let edge = up[self.rng.below(up.len() as u64) as usize];
        self.fans[fan].connections += 1;
        let connection = self.fans[fan].connections;
        let sessions = &mut self.edges[edge].sessions;
        let free = sessions.iter().position(Option::is_none).unwrap_or(sessions.len());
        sessions.resize(sessions.len().max(free + 1), None);
        sessions[free] = Some((fan, connection));
        let session = SessionId(free as u32);
        self.fans[fan].at = Some((edge, session, connection));
        let id = Identity {
            id: self.fans[fan].id,
            name: "somebody",
            role: Role::Fan,
            anonymous: false,
            follower: false,
        };
        self.leaf_input(edge, &[Input::FanJoined { session, fan: id }]);
        self.greet(fan);
    }

    /// Sends a hello, and all unanswered messages.
    fn greet(&mut self, fan: usize) {
        let Fan { stream, next, unacked, .. } = &self.fans[fan];
        let next = unacked.front().map_or(*next, |(number, _)| *number);
        let hello = wire::packet(&FanMessage::Hello(Hello { stream: *stream, next }));
        self.fan_sends(fan, hello);
        self.resend(fan, 0);
    }

    fn resend(&mut self, fan: usize, from: u64) {
        let again: Vec<_> =
            self.fans[fan].unacked.iter().filter(|(number, _)| *number >= from).cloned().collect();
        for (number, action) in again {
            self.fan_sends(fan, action.packet(number));
        }
    }

    fn fan_sends(&mut self, fan: usize, packet: Vec<u8>) {
        if let Some((_, _, connection)) = self.fans[fan].at {
            self.send((4, fan, connection), Event::FromFan { fan, connection, packet });
        }
    }

    /// Ends the fan's connection. The edge notices, unless the edge itself has crashed.
    fn leave(&mut self, fan: usize, noticed: bool) {
        let Some((edge, session, _)) = self.fans[fan].at.take() else { return };
        if noticed {
            self.edges[edge].sessions[session.0 as usize] = None;
            self.leaf_input(edge, &[Input::FanLeft { session }]);
        }
        let back = self.now + self.rng.between(10, 800);
        self.at(back, Event::Connect { fan });
    }

    fn perform(&mut self, at: usize, action: Action) {
        let fan = &mut self.fans[at];
        if fan.unacked.len() as u64 >= limits::UNACKED {
            return self.at(self.now + 100, Event::Act { fan: at, action });
        }
        let number = fan.next;
        fan.next += 1;
        let packet = action.packet(number);
        fan.unacked.push_back((number, action));
        self.fan_sends(at, packet);
    }

    fn receive(&mut self, at: usize, packet: &[u8]) {
        for message in Frames::<EdgeMessage<'_>>::new(packet).expect("a packet") {
            let Ok(Frame::Known(message)) = message else { panic!("a message of another kind") };
            let fan = &mut self.fans[at];
            match message {
                EdgeMessage::Welcome { mark, .. } => {
                    assert!(mark < fan.next, "a mark of what was never sent");
                }
                EdgeMessage::Acked { through } => {
                    while fan.unacked.front().is_some_and(|(number, _)| *number <= through) {
                        let (number, action) = fan.unacked.pop_front().expect("a first one");
                        let fate = fan.rejected.get(&number).map_or(Fate::Taken, |why| Fate::Rejected(*why));
                        fan.results.push((action, fate));
                    }
                }
                EdgeMessage::Rejected { number, reason } => {
                    let retry = |reason| {
                        matches!(
                            reason,
                            Reason::TooFast { .. } | Reason::SlowMode { .. } | Reason::Busy { .. }
                        )
                    };
                    let before = fan.rejected.insert(number, reason);
                    assert!(
                        before.is_none_or(|before| before == reason || retry(before)),
                        "{before:?}, {reason:?}"
                    );
                }
                EdgeMessage::Resend { from, after_ms } => {
                    assert_eq!(after_ms, 0, "nothing is full");
                    self.resend(at, from);
                }
                EdgeMessage::Said { number, chat } => {
                    let said = &self.said[&chat.0];
                    let own = self.fans[at].unacked.iter().find(|(other, _)| *other == number);
                    let same = |(_, action): &(u64, Action)| *action == Action::Say(said.1.clone());
                    assert!(own.is_none_or(same), "{number} is not line {chat:?}");
                }
                other => panic!("{other:?} to a fan"),
            }
        }
    }

    // Results of the run.

    pub(crate) fn views(&self) -> impl Iterator<Item = &View> {
        self.edges.iter().map(|edge| &edge.view)
    }

    pub(crate) fn with_pulse<T>(&self, read: impl FnOnce(&Pulse<'_>) -> T) -> T {
        match Frames::<TrackItem<'_>>::new(&self.pulse).expect("a pulse").last() {
            Some(Ok(Frame::Known(TrackItem::Pulse(pulse)))) => read(&pulse),
            other => panic!("{other:?} on the pulse track"),
        }
    }
}

impl Action {
    fn packet(&self, number: u64) -> Vec<u8> {
        let act = match self {
            Self::Say(text) => Act::Say(Say { text, ..Say::default() }),
            Self::Cheer(count) => Act::Cheer { kind: 1, count: *count },
            Self::Gift { count, key } => Act::Gift { gift: GiftId(1), count: *count, key: *key },
            Self::Vote(option) => Act::Vote { poll: PollId(1), option: *option },
        };
        wire::packet(&FanMessage::Act { number, act })
    }
}

impl View {
    fn see(&mut self, group: Group, object: &[u8]) {
        if group == Group::New {
            (self.waits, self.last) = (false, 0);
        }
        if self.waits {
            return;
        }
        for item in Frames::<TrackItem<'_>>::new(object).expect("an object") {
            match item {
                Ok(Frame::Known(TrackItem::Said(line))) => {
                    let known = self.lines.insert(line.id.0, line.text.to_owned());
                    assert!(known.is_none_or(|known| known == line.text), "one place, two lines");
                    assert!(line.id.0 > self.last || self.lines.contains_key(&line.id.0), "out of order");
                    self.last = self.last.max(line.id.0);
                }
                Ok(Frame::Known(TrackItem::Gifted { .. })) => {}
                other => panic!("{other:?} on the chat track"),
            }
        }
    }
}

pub(crate) fn packed(inputs: &[Input<'_>]) -> Vec<u8> {
    let mut batch = Vec::new();
    wire::start(&mut batch);
    for input in inputs {
        wire::put(&mut batch, input);
    }
    batch
}
