//! A simulated net of outboxes and real rooms: a root, edges, and the packets between them, all drawn from one seed.

use std::collections::{BTreeMap, VecDeque};

use moqt::Micros;
use outbox::{Fact, Failure, Outbox, Outcome, Output, Ticket};
use room::rehearsal::SplitMix64;
use room::{Config, Room};
use wire::worker::{Effect, Identity, Input, Row, Seat, Seen};
use wire::{
    Act, Choice, EdgeId, FanId, Frame, Frames, Gift, GiftId, List, Moderation, PollId, Pulse, Role, Say,
    SessionId, Track, TrackItem,
};

pub(crate) const EDGES: usize = 2;
const FANS: u64 = 4;
const DEEDS: usize = 40;
const TICK: u64 = 50;
/// The longest time for which a fan who has left is away, in milliseconds.
const FAN_AWAY: u64 = 5_000;
const EPOCH: u64 = 1_700_000_000_000;

/// Numbers of faults of each kind, which come at random times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    pub(crate) fan_moves: u64,
    pub(crate) link_breaks: u64,
    pub(crate) edge_crashes: u64,
    pub(crate) root_crashes: u64,
    /// The longest time for which a crashed or cut-off part is away, in milliseconds; fans come back sooner.
    pub(crate) away: u64,
    /// Time within which deeds and faults come, in milliseconds.
    pub(crate) busy: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self { fan_moves: 0, link_breaks: 0, edge_crashes: 0, root_crashes: 0, away: 1_000, busy: 20_000 }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deed {
    Say(String),
    Cheer(u8, u16),
    Gift(u16, u64),
    Vote(u8),
}

pub(crate) struct Fan {
    id: FanId,
    pub(crate) outbox: Outbox,
    /// The fan's edge, session and connection number, while connected.
    at: Option<(usize, SessionId, u64)>,
    connections: u64,
    /// The time at which the fan's outbox is ticked next.
    wake: Option<u64>,
    deeds: Vec<Deed>,
    pub(crate) outcomes: BTreeMap<Ticket, Outcome>,
}

struct Edge {
    leaf: Option<Room>,
    incarnation: u64,
    sessions: Vec<Option<(usize, u64)>>,
    link: Option<u64>,
    links: u64,
}

#[derive(Debug)]
enum Event {
    Tick,
    Deed { fan: usize },
    Wake { fan: usize },
    Connect { fan: usize },
    FromFan { fan: usize, connection: u64, packet: Vec<u8> },
    ToFan { fan: usize, connection: u64, packet: Vec<u8> },
    Up { edge: usize, link: u64, packet: Vec<u8> },
    Down { edge: usize, link: u64, packet: Vec<u8> },
    Link { edge: usize },
    StartEdge { edge: usize },
    StartRoot,
    FanMoves { fan: usize },
    LinkBreaks { edge: usize },
    EdgeCrashes { edge: usize },
    RootCrashes,
}

/// A fault that hits a part drawn at random.
type Mishap = fn(&mut Net) -> Event;

pub(crate) struct Net {
    roll: SplitMix64,
    faults: Faults,
    pub(crate) now: u64,
    order: u64,
    queue: BTreeMap<(u64, u64), Event>,
    /// Arrival time of the last packet on each path: packets on one path keep their order.
    paths: BTreeMap<(u8, usize, u64), u64>,
    root: Option<Room>,
    /// The root's batches, which outlive it.
    journal: Vec<(wire::Micros, Vec<u8>)>,
    edges: Vec<Edge>,
    pub(crate) fans: Vec<Fan>,
    pub(crate) said: Vec<String>,
    pub(crate) gifts: BTreeMap<(FanId, u64), u64>,
    pub(crate) votes: BTreeMap<FanId, u64>,
    pulse: Vec<u8>,
}

impl Net {
    /// Runs a whole scenario, until every act is settled; a client gives up in the end, so it ends.
    pub(crate) fn run(seed: u64, faults: Faults) -> Self {
        let mut net = Self::new(seed, faults);
        net.plan();
        net.play(faults.busy + wire::limits::RESEND_SECONDS * 1000 + 10_000);
        // The counts can be read only while there is a root.
        while net.root.is_none() {
            net.pass(1_000);
        }
        for _ in 0..20 {
            net.now += TICK;
            net.root_input(&[Input::Tick]);
        }
        net
    }

    /// Creates a net in which fans connect and nothing else is planned.
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        let edge = |_| Edge { leaf: None, incarnation: 0, sessions: Vec::new(), link: None, links: 0 };
        let fan = |id: u64| Fan {
            id: FanId(id),
            outbox: Outbox::new(seed ^ id << 32),
            at: None,
            connections: 0,
            wake: None,
            deeds: Vec::new(),
            outcomes: BTreeMap::new(),
        };
        let mut net = Self {
            roll: SplitMix64(seed),
            faults,
            now: 0,
            order: 0,
            queue: BTreeMap::new(),
            paths: BTreeMap::new(),
            root: None,
            journal: Vec::new(),
            edges: (0..EDGES).map(edge).collect(),
            fans: (1..=FANS).map(fan).collect(),
            said: Vec::new(),
            gifts: BTreeMap::new(),
            votes: BTreeMap::new(),
            pulse: Vec::new(),
        };
        net.start_root();
        let gifts = List(vec![Gift { id: GiftId(1), name: "rose", icon: "🌹", value: 5 }]);
        let options = List(vec!["yes", "no"]);
        net.root_input(&[
            Input::Owner { act: Moderation::SetGifts(gifts) },
            Input::Owner {
                act: Moderation::OpenPoll {
                    question: "Encore?",
                    options,
                    seconds: 3600,
                    choice: Choice::Final,
                },
            },
        ]);
        for edge in 0..EDGES {
            net.start_edge(edge);
        }
        for fan in 0..net.fans.len() {
            net.at(1, Event::Connect { fan });
        }
        net.at(TICK, Event::Tick);
        net
    }

    fn plan(&mut self) {
        for fan in 0..self.fans.len() {
            for _ in 0..DEEDS {
                let at = 10 + self.below(self.faults.busy);
                self.at(at, Event::Deed { fan });
            }
        }
        let Faults { fan_moves, link_breaks, edge_crashes, root_crashes, busy, .. } = self.faults;
        let kinds: [(u64, Mishap); 4] = [
            (fan_moves, |net| Event::FanMoves { fan: net.below(FANS) as usize }),
            (link_breaks, |net| Event::LinkBreaks { edge: net.below(EDGES as u64) as usize }),
            (edge_crashes, |net| Event::EdgeCrashes { edge: net.below(EDGES as u64) as usize }),
            (root_crashes, |_| Event::RootCrashes),
        ];
        for (count, event) in kinds {
            for _ in 0..count {
                let (at, event) = (100 + self.below(busy), event(self));
                self.at(at, event);
            }
        }
    }

    /// Lets time pass until every act is settled, but at most for `most` milliseconds.
    pub(crate) fn play(&mut self, most: u64) {
        let end = self.now + most;
        while let Some(((at, _), event)) = self.queue.pop_first() {
            self.now = at;
            self.happen(event);
            let deeds_are_left = self.queue.values().any(|event| matches!(event, Event::Deed { .. }));
            let is_settled = |fan: &Fan| fan.outcomes.len() == fan.deeds.len();
            if !deeds_are_left && self.fans.iter().all(is_settled) || at > end {
                return;
            }
        }
    }

    /// Lets this many milliseconds pass.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some(entry) = self.queue.first_entry()
            && entry.key().0 <= end
        {
            let ((at, _), event) = entry.remove_entry();
            self.now = at;
            self.happen(event);
        }
        self.now = end;
    }

    fn below(&mut self, end: u64) -> u64 {
        self.roll.below(end)
    }

    fn at(&mut self, time: u64, event: Event) {
        self.order += 1;
        self.queue.insert((time, self.order), event);
    }

    fn send(&mut self, path: (u8, usize, u64), event: Event) {
        let latency = 5 + self.below(60);
        let last = self.paths.entry(path).or_default();
        *last = (*last).max(self.now + latency);
        let at = *last;
        self.at(at, event);
    }

    fn back(&mut self, most: u64, event: Event) {
        let at = self.now + 20 + self.below(self.faults.away.clamp(1, most));
        self.at(at, event);
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
            Event::Deed { fan } => {
                let deed = self.deed(fan);
                self.act(fan, deed);
            }
            // A wake event counts only if the fan's timeout has not moved since.
            Event::Wake { fan } if self.fans[fan].wake == Some(self.now) => {
                let now = self.moment();
                self.fans[fan].wake = None;
                self.fans[fan].outbox.tick(now);
                self.drain(fan);
                let due = self.fans[fan].outbox.timeout();
                assert!(due.is_none_or(|due| due > now), "fan {fan} is due at {due:?}, and woken at {now:?}");
            }
            Event::Connect { fan } => self.connect(fan),
            Event::FromFan { fan, connection, packet } => {
                if let Some((edge, session, here)) = self.fans[fan].at
                    && here == connection
                {
                    self.leaf_input(edge, &[Input::FanPacket { session, packet: &packet }]);
                }
            }
            Event::ToFan { fan, connection, packet } => {
                if self.fans[fan].at.is_some_and(|(_, _, here)| here == connection) {
                    let now = self.moment();
                    self.fans[fan].outbox.receive(now, &packet).expect("an edge's packet");
                    self.drain(fan);
                }
            }
            Event::Up { edge, link, packet } if self.edges[edge].link == Some(link) => {
                self.root_input(&[Input::Delta { edge: EdgeId(edge as u64), packet: &packet }]);
            }
            Event::Down { edge, link, packet } if self.edges[edge].link == Some(link) => {
                self.leaf_input(edge, &[Input::FromRoot { packet: &packet }]);
            }
            Event::Up { .. } | Event::Down { .. } | Event::Wake { .. } => {}
            Event::Link { edge } => self.link(edge),
            Event::StartEdge { edge } => self.start_edge(edge),
            Event::StartRoot => self.start_root(),
            Event::FanMoves { fan } => self.leave(fan, true),
            Event::LinkBreaks { edge } => self.unlink(edge, true),
            Event::EdgeCrashes { edge } => self.crash_edge(edge),
            Event::RootCrashes => self.crash_root(),
        }
    }

    pub(crate) fn moment(&self) -> Micros {
        Micros::from_millis(EPOCH + self.now)
    }

    // Fans: acts, connections and what they receive.

    fn deed(&mut self, fan: usize) -> Deed {
        let nth = self.fans[fan].deeds.len();
        match self.below(8) {
            0..2 => Deed::Say(format!("fan {fan} says {nth}")),
            2 => Deed::Gift(1 + self.below(9) as u16, (fan * 1000 + nth) as u64),
            3 => Deed::Vote(self.below(2) as u8),
            _ => Deed::Cheer(self.below(3) as u8, 1 + self.below(30) as u16),
        }
    }

    pub(crate) fn act(&mut self, at: usize, deed: Deed) -> Ticket {
        let now = self.moment();
        let fan = &mut self.fans[at];
        let ticket = fan.deeds.len() as Ticket;
        let act = match &deed {
            Deed::Say(text) => Act::Say(Say { text, ..Say::default() }),
            Deed::Cheer(kind, count) => Act::Cheer { kind: *kind, count: *count },
            Deed::Gift(count, key) => Act::Gift { gift: GiftId(1), count: *count, key: *key },
            Deed::Vote(option) => Act::Vote { poll: PollId(1), option: *option },
        };
        fan.outbox.act(now, ticket, act);
        fan.deeds.push(deed);
        self.drain(at);
        ticket
    }

    /// Carries out the outputs of a fan's outbox.
    fn drain(&mut self, at: usize) {
        while let Some(output) = self.fans[at].outbox.poll() {
            match output {
                Output::Send(packet) => {
                    let (_, _, connection) = self.fans[at].at.expect("a connection");
                    assert!(packet.len() <= wire::limits::FAN_PACKET, "{} bytes", packet.len());
                    self.send((4, at, connection), Event::FromFan { fan: at, connection, packet });
                }
                Output::StartOver => self.leave(at, true),
                Output::Fact(Fact::Settled { ticket, outcome }) => {
                    let before = self.fans[at].outcomes.insert(ticket, outcome);
                    assert_eq!(before, None, "{ticket} is settled twice");
                }
                Output::Fact(Fact::Identity(identity)) => assert_eq!(identity.fan, self.fans[at].id),
                Output::Fact(fact) => panic!("{fact:?} to a fan"),
            }
        }
        let due = self.fans[at].outbox.timeout();
        let due = due.map(|due| due.0.div_ceil(1000).saturating_sub(EPOCH).max(self.now));
        if std::mem::replace(&mut self.fans[at].wake, due) != due
            && let Some(due) = due
        {
            self.at(due, Event::Wake { fan: at });
        }
    }

    fn connect(&mut self, at: usize) {
        let up: Vec<usize> = (0..EDGES).filter(|edge| self.edges[*edge].leaf.is_some()).collect();
        if self.fans[at].at.is_some() {
            return;
        }
        if up.is_empty() {
            return self.at(self.now + 100, Event::Connect { fan: at });
        }
        let edge = up[self.below(up.len() as u64) as usize];
        let fan = &mut self.fans[at];
        fan.connections += 1;
        let (id, connection) = (fan.id, fan.connections);
        let sessions = &mut self.edges[edge].sessions;
        let free = sessions.iter().position(Option::is_none).unwrap_or(sessions.len());
        sessions.resize(sessions.len().max(free + 1), None);
        sessions[free] = Some((at, connection));
        let session = SessionId(free as u32);
        self.fans[at].at = Some((edge, session, connection));
        let fan = Identity { id, name: "somebody", role: Role::Fan, anonymous: true, follower: false };
        self.leaf_input(edge, &[Input::FanJoined { session, fan }]);
        let now = self.moment();
        self.fans[at].outbox.joined(now);
        self.drain(at);
    }

    /// Ends the fan's connection. The edge notices, unless the edge itself has crashed.
    pub(crate) fn leave(&mut self, at: usize, noticed: bool) {
        let Some((edge, session, _)) = self.fans[at].at.take() else { return };
        self.fans[at].outbox.left();
        self.drain(at);
        if noticed {
            self.edges[edge].sessions[session.0 as usize] = None;
            self.leaf_input(edge, &[Input::FanLeft { session }]);
        }
        self.back(FAN_AWAY, Event::Connect { fan: at });
    }

    // Edges: starts, crashes and their links to the root.

    fn start_edge(&mut self, at: usize) {
        let edge = &mut self.edges[at];
        if edge.leaf.is_none() {
            edge.incarnation = self.now + 1;
            let seat = Seat::Leaf { edge: EdgeId(at as u64), incarnation: edge.incarnation };
            edge.leaf = Some(Room::new(Config::new(seat)));
            self.link(at);
        }
    }

    pub(crate) fn crash_edge(&mut self, at: usize) {
        if self.edges[at].leaf.take().is_none() {
            return;
        }
        self.unlink(at, false);
        for (fan, connection) in std::mem::take(&mut self.edges[at].sessions).into_iter().flatten() {
            if self.fans[fan].at.is_some_and(|(_, _, here)| here == connection) {
                self.leave(fan, false);
            }
        }
        self.back(u64::MAX, Event::StartEdge { edge: at });
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
        let incarnation = edge.incarnation;
        self.root_input(&[Input::EdgeJoined { edge: EdgeId(at as u64), incarnation }]);
        self.leaf_input(at, &[Input::RootConnected]);
    }

    pub(crate) fn unlink(&mut self, at: usize, comes_back: bool) {
        if self.edges[at].link.take().is_some() {
            self.root_input(&[Input::EdgeLeft { edge: EdgeId(at as u64) }]);
            if comes_back {
                self.back(u64::MAX, Event::Link { edge: at });
            }
        }
    }

    fn leaf_input(&mut self, at: usize, inputs: &[Input<'_>]) {
        let now = wire::Micros(self.moment().0);
        let edge = &mut self.edges[at];
        let Some(leaf) = &mut edge.leaf else { return };
        let mut effects = Vec::new();
        leaf.handle(now, &packed(inputs), &mut effects).expect("a batch of ours");
        for effect in known::<Effect<'_>>(&effects) {
            match effect {
                Effect::ToRoot { packet } => {
                    let Some(link) = self.edges[at].link else { continue };
                    let packet = packet.to_vec();
                    self.send((0, at, link), Event::Up { edge: at, link, packet });
                }
                Effect::ToFan { session, packet } => {
                    let Some(Some((fan, connection))) = self.edges[at].sessions.get(session.0 as usize)
                    else {
                        continue;
                    };
                    let (fan, connection, packet) = (*fan, *connection, packet.to_vec());
                    self.send((3, fan, connection), Event::ToFan { fan, connection, packet });
                }
                // A full edge turns fans away; they come again.
                Effect::CloseFan { session, why: wire::worker::Close::Full } => {
                    if let Some(Some((fan, _))) = self.edges[at].sessions.get(session.0 as usize) {
                        self.leave(*fan, true);
                    }
                }
                other => panic!("{other:?} from a leaf"),
            }
        }
    }

    // The root: starts, crashes and its journal.

    fn start_root(&mut self) {
        if self.root.is_none() {
            let mut root = Room::new(Config::new(Seat::Root));
            for (now, batch) in &self.journal {
                root.handle(*now, batch, &mut Vec::new()).expect("our own journal");
            }
            self.root = Some(root);
            self.root_input(&[Input::Opened, Input::Tick]);
        }
    }

    pub(crate) fn crash_root(&mut self) {
        if self.root.take().is_some() {
            for edge in 0..EDGES {
                self.unlink(edge, true);
            }
            self.back(u64::MAX, Event::StartRoot);
        }
    }

    /// Has the root lose its journal as well.
    pub(crate) fn forget_all(&mut self) {
        self.crash_root();
        self.journal.clear();
        self.start_root();
    }

    fn root_input(&mut self, inputs: &[Input<'_>]) {
        let now = wire::Micros(self.moment().0);
        let Some(root) = &mut self.root else { return };
        let (batch, mut effects) = (packed(inputs), Vec::new());
        root.handle(now, &batch, &mut effects).expect("a batch of ours");
        self.journal.push((now, batch));
        for effect in known::<Effect<'_>>(&effects) {
            match effect {
                Effect::ToEdge { edge, packet } => {
                    let edge = edge.0 as usize;
                    let Some(link) = self.edges[edge].link else { continue };
                    let packet = packet.to_vec();
                    self.send((1, edge, link), Event::Down { edge, link, packet });
                }
                Effect::Archive(Row::Said { text, seen: Seen::Everyone, .. }) => {
                    self.said.push(text.to_owned());
                }
                Effect::Archive(Row::Gifted { fan, key, count, .. }) => {
                    *self.gifts.entry((fan, key)).or_default() += u64::from(count);
                }
                Effect::Archive(Row::Voted { fan, .. }) => *self.votes.entry(fan).or_default() += 1,
                Effect::Publish { track: Track::Pulse, object, .. } => self.pulse = object.to_vec(),
                _ => {}
            }
        }
    }

    pub(crate) fn with_pulse<T>(&self, read: impl FnOnce(&Pulse<'_>) -> T) -> T {
        let pulse = |item| match item {
            TrackItem::Pulse(pulse) => Some(pulse),
            _ => None,
        };
        read(&known(&self.pulse).find_map(pulse).expect("a pulse on its track"))
    }

    /// Returns each deed with its fan and its outcome.
    pub(crate) fn fates(&self) -> impl Iterator<Item = (FanId, &Deed, Outcome)> {
        self.fans.iter().flat_map(|fan| {
            let fate = |(ticket, deed)| {
                let outcome = fan.outcomes.get(&(ticket as Ticket));
                (fan.id, deed, *outcome.unwrap_or_else(|| panic!("{deed:?} is not settled")))
            };
            fan.deeds.iter().enumerate().map(fate)
        })
    }

    /// Checks that every taken act is counted once, an unknown one at most once, and nothing else at all.
    pub(crate) fn check(&self) {
        let mut cheers = (0, 0);
        let mut votes: BTreeMap<FanId, (u64, u64)> = BTreeMap::new();
        for (fan, deed, outcome) in self.fates() {
            let least = u64::from(matches!(outcome, Outcome::Taken { .. }));
            let most = least + u64::from(outcome == Outcome::Failed(Failure::Unknown));
            match deed {
                Deed::Say(text) => {
                    let count = self.said.iter().filter(|said| *said == text).count() as u64;
                    assert!(
                        (least..=most).contains(&count),
                        "{text:?} is there {count} times, was {outcome:?}"
                    );
                }
                Deed::Gift(count, key) => {
                    let given = self.gifts.get(&(fan, *key)).copied().unwrap_or(0);
                    let times = given / u64::from(*count);
                    assert!((least..=most).contains(&times), "{deed:?} was {outcome:?}, and {given} given");
                }
                Deed::Cheer(_, count) => {
                    cheers.0 += least * u64::from(*count);
                    cheers.1 += most * u64::from(*count);
                }
                Deed::Vote(_) => {
                    let (taken, unknown) = votes.entry(fan).or_default();
                    *taken += least;
                    *unknown += most;
                }
            }
        }
        for (fan, (least, most)) in votes {
            let count = self.votes.get(&fan).copied().unwrap_or(0);
            assert!(
                (least..=most.min(1)).contains(&count),
                "{count} votes of {fan:?}, {least} to {most} taken"
            );
        }
        let counted = self.with_pulse(|pulse| pulse.cheers.iter().sum::<u64>());
        assert!((cheers.0..=cheers.1).contains(&counted), "{counted} cheers, {cheers:?} taken");
    }
}

fn packed(inputs: &[Input<'_>]) -> Vec<u8> {
    let mut batch = Vec::new();
    wire::start(&mut batch);
    for input in inputs {
        wire::put(&mut batch, input);
    }
    batch
}

fn known<'a, T: serde::Deserialize<'a> + std::fmt::Debug>(packet: &'a [u8]) -> VecIter<T> {
    let known = |frame| match frame {
        Ok(Frame::Known(message)) => message,
        other => panic!("{other:?}"),
    };
    Frames::<T>::new(packet).expect("a packet").map(known).collect::<VecDeque<T>>().into_iter()
}

type VecIter<T> = std::collections::vec_deque::IntoIter<T>;
