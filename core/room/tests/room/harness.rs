//! A root and two edges, connected without latency: every message is answered at once.

use std::collections::BTreeMap;

use room::{Config, Room};
use wire::worker::{Close, Effect, Group, Identity, Input, Row, Seat};
use wire::{
    Act, ChatId, EdgeId, EdgeMessage, FanId, FanMessage, Frame, Frames, Hello, Line, Micros, Moderation,
    PollStrangers, Pulse, Reason, Role, Say, SessionId, Stage, StreamId, Track, TrackItem,
};

use crate::net::packed;

const EDGES: usize = 2;
const TICK: u64 = 50;

/// A fan's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At {
    pub(crate) edge: usize,
    pub(crate) session: SessionId,
}

/// Outcome of a message, as its fan received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Taken,
    Held,
    Rejected(Reason),
}

pub(crate) use Outcome::{Held, Rejected, Taken};

pub(crate) struct Harness {
    pub(crate) now: u64,
    pub(crate) root: Room,
    pub(crate) leaves: Vec<Room>,
    /// Edges whose link to the root is down.
    cut: [bool; EDGES],
    free: [u32; EDGES],
    numbers: BTreeMap<At, u64>,
    received: BTreeMap<At, Vec<Vec<u8>>>,
    pub(crate) closed: BTreeMap<At, Close>,
    rows: Vec<Vec<u8>>,
    /// Items of the chat track, without those that open groups.
    items: Vec<Vec<u8>>,
    /// Groups of the chat track, each with all of its objects.
    pub(crate) groups: Vec<Vec<u8>>,
    /// The object that opened the last group.
    pub(crate) opening: Vec<u8>,
    pulse: Vec<u8>,
    stage: Vec<u8>,
    pub(crate) warnings: Vec<String>,
}

pub(crate) fn identity(id: u64) -> Identity<'static> {
    Identity { id: FanId(id), name: "somebody", role: Role::Fan, anonymous: false, follower: false }
}

impl Harness {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl Fn(&mut Config)) -> Self {
        let config = |seat| {
            let mut config = Config::new(seat);
            change(&mut config);
            config
        };
        let leaf = |at: usize| Room::new(config(Seat::Leaf { edge: EdgeId(at as u64), incarnation: 1 }));
        let mut harness = Self {
            now: 1_700_000_000_000,
            root: Room::new(config(Seat::Root)),
            leaves: (0..EDGES).map(leaf).collect(),
            cut: [false; EDGES],
            free: [0; EDGES],
            numbers: BTreeMap::new(),
            received: BTreeMap::new(),
            closed: BTreeMap::new(),
            rows: Vec::new(),
            items: Vec::new(),
            groups: Vec::new(),
            opening: Vec::new(),
            pulse: Vec::new(),
            stage: Vec::new(),
            warnings: Vec::new(),
        };
        harness.root(&[Input::Opened]);
        for at in 0..EDGES {
            harness.root(&[Input::EdgeJoined { edge: EdgeId(at as u64), incarnation: 1 }]);
        }
        harness.tick();
        harness
    }

    // Actions of fans, edges and the owner.

    pub(crate) fn join(&mut self, edge: usize, fan: Identity<'_>) -> At {
        let at = self.connect(edge, fan);
        self.send(
            at,
            &FanMessage::Hello(Hello { stream: StreamId(self.now + u64::from(at.session.0)), next: 1 }),
        );
        self.tick();
        at
    }

    /// Connects a fan without a name of their own, from an address.
    pub(crate) fn stranger(&mut self, edge: usize, id: u64, address: u64) -> At {
        let at = self.join(edge, Identity { anonymous: true, name: "", ..identity(id) });
        self.leaf(edge, &[Input::FanAddress { session: at.session, address }]);
        at
    }

    /// Connects a fan without a hello.
    pub(crate) fn connect(&mut self, edge: usize, fan: Identity<'_>) -> At {
        let at = At { edge, session: SessionId(self.free[edge]) };
        self.free[edge] += 1;
        self.leaf(edge, &[Input::FanJoined { session: at.session, fan }]);
        at
    }

    pub(crate) fn fan(&mut self, id: u64) -> At {
        self.join(id as usize % EDGES, identity(id))
    }

    pub(crate) fn moderator(&mut self, id: u64) -> At {
        self.join(id as usize % EDGES, Identity { role: Role::Moderator, ..identity(id) })
    }

    pub(crate) fn leave(&mut self, at: At) {
        self.leaf(at.edge, &[Input::FanLeft { session: at.session }]);
        self.tick();
    }

    pub(crate) fn send(&mut self, at: At, message: &FanMessage<'_>) {
        self.send_bytes(at, &wire::packet(message));
    }

    pub(crate) fn send_bytes(&mut self, at: At, packet: &[u8]) {
        self.leaf(at.edge, &[Input::FanPacket { session: at.session, packet }]);
    }

    /// Sends a message; returns its number.
    pub(crate) fn begin(&mut self, at: At, act: Act<'_>) -> u64 {
        let number = self.numbers.entry(at).or_default();
        *number += 1;
        let number = *number;
        self.send(at, &FanMessage::Act { number, act });
        number
    }

    /// Sends a message; returns its outcome after a tick.
    pub(crate) fn act(&mut self, at: At, act: Act<'_>) -> Outcome {
        let number = self.begin(at, act);
        self.tick();
        self.outcome(at, number)
    }

    /// Continues after the numbers that a restored fan has used.
    pub(crate) fn begun(&mut self, at: At, used: u64) {
        self.numbers.insert(at, used);
    }

    pub(crate) fn say(&mut self, at: At, text: &str) -> Outcome {
        self.act(at, Act::Say(Say { text, ..Say::default() }))
    }

    /// Sends a chat line; returns its number in the room.
    pub(crate) fn line(&mut self, at: At, text: &str) -> ChatId {
        let number = self.begin(at, Act::Say(Say { text, ..Say::default() }));
        self.tick();
        let said = self.received(at).into_iter().find_map(|message| match message {
            EdgeMessage::Said { number: of, chat } if of == number => Some(chat),
            _ => None,
        });
        said.unwrap_or_else(|| panic!("{text:?} is no line: {:?}", self.outcome(at, number)))
    }

    pub(crate) fn moderate(&mut self, at: At, act: Moderation<'_>) -> Outcome {
        self.act(at, Act::Moderate(act))
    }

    /// Cuts an edge's link to the root.
    pub(crate) fn cut(&mut self, edge: usize) {
        self.cut[edge] = true;
        self.root(&[Input::EdgeLeft { edge: EdgeId(edge as u64) }]);
    }

    /// Restores an edge's link to the root.
    pub(crate) fn mend(&mut self, edge: usize) {
        self.cut[edge] = false;
        self.root(&[Input::EdgeJoined { edge: EdgeId(edge as u64), incarnation: 1 }]);
        self.leaf(edge, &[Input::RootConnected]);
    }

    /// Replaces root and leaves by what their snapshots restore.
    pub(crate) fn restore(&mut self) {
        let restored = |room: &Room, seat| Room::restore(Config::new(seat), &room.snapshot());
        self.root = restored(&self.root, Seat::Root).expect("our own snapshot");
        for (at, leaf) in (0..).zip(&mut self.leaves) {
            let seat = Seat::Leaf { edge: EdgeId(at), incarnation: 1 };
            *leaf = restored(leaf, seat).expect("our own snapshot");
        }
    }

    pub(crate) fn owner(&mut self, act: Moderation<'_>) {
        self.root(&[Input::Owner { act }]);
        self.tick();
    }

    pub(crate) fn tick(&mut self) {
        self.now += TICK;
        for edge in 0..EDGES {
            self.leaf(edge, &[Input::Tick]);
        }
        self.root(&[Input::Tick]);
    }

    pub(crate) fn wait(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(TICK) {
            self.tick();
        }
    }

    pub(crate) fn moment(&self) -> Micros {
        Micros::from_millis(self.now)
    }

    pub(crate) fn leaf(&mut self, edge: usize, inputs: &[Input<'_>]) {
        let (now, mut effects) = (self.moment(), Vec::new());
        self.leaves[edge].handle(now, &packed(inputs), &mut effects).expect("a batch of ours");
        for effect in known(&effects) {
            match effect {
                Effect::ToRoot { .. } if self.cut[edge] => {}
                Effect::ToRoot { packet } => self.root(&[Input::Delta { edge: EdgeId(edge as u64), packet }]),
                Effect::ToFan { session, packet } => {
                    let messages = known::<EdgeMessage<'_>>(packet).map(|message| wire::packet(&message));
                    self.received.entry(At { edge, session }).or_default().extend(messages);
                }
                Effect::CloseFan { session, why } => {
                    assert!(self.closed.insert(At { edge, session }, why).is_none(), "closed twice");
                }
                Effect::Log { text, .. } => self.warnings.push(text.to_owned()),
                other => panic!("{other:?} from a leaf"),
            }
        }
    }

    pub(crate) fn root(&mut self, inputs: &[Input<'_>]) {
        let (now, mut effects) = (self.moment(), Vec::new());
        self.root.handle(now, &packed(inputs), &mut effects).expect("a batch of ours");
        for effect in known(&effects) {
            match effect {
                Effect::ToEdge { edge, packet } => {
                    self.leaf(edge.0 as usize, &[Input::FromRoot { packet }]);
                }
                Effect::Archive(row) => self.rows.push(wire::packet(&row)),
                Effect::Publish { track: Track::Chat, group: Group::New, object } => {
                    self.opening = object.to_vec();
                    self.groups.push(object.to_vec());
                }
                Effect::Publish { track: Track::Chat, group: Group::Same, object } => {
                    assert!(object.len() <= wire::limits::OBJECT, "an object of {} bytes", object.len());
                    if let Some(group) = self.groups.last_mut() {
                        group.extend_from_slice(object);
                    }
                    self.items.extend(known::<TrackItem<'_>>(object).map(|item| wire::packet(&item)));
                }
                Effect::Publish { track: Track::Pulse, object, .. } => self.pulse = object.to_vec(),
                Effect::Publish { track: Track::Stage, object, .. } => self.stage = object.to_vec(),
                Effect::Log { text, .. } => self.warnings.push(text.to_owned()),
                other => panic!("{other:?} from the root"),
            }
        }
    }

    // Views of the published state.

    pub(crate) fn received(&self, at: At) -> Vec<EdgeMessage<'_>> {
        self.received.get(&at).into_iter().flatten().flat_map(|packet| known(packet)).collect()
    }

    pub(crate) fn outcome(&self, at: At, number: u64) -> Outcome {
        let received = self.received(at);
        let acked =
            received.iter().any(|word| matches!(word, EdgeMessage::Acked { through } if *through >= number));
        assert!(acked, "{number} is not acked: {received:?}");
        let exception = received.iter().find_map(|word| match word {
            EdgeMessage::Rejected { number: of, reason } if *of == number => Some(Rejected(*reason)),
            EdgeMessage::Held { number: of } if *of == number => Some(Held),
            _ => None,
        });
        exception.unwrap_or(Taken)
    }

    pub(crate) fn rows(&self) -> Vec<Row<'_>> {
        self.rows.iter().flat_map(|packet| known(packet)).collect()
    }

    pub(crate) fn items(&self) -> Vec<TrackItem<'_>> {
        self.items.iter().flat_map(|packet| known(packet)).collect()
    }

    /// Returns the lines of the chat track.
    pub(crate) fn lines(&self) -> Vec<Line<'_>> {
        lines(self.items())
    }

    pub(crate) fn texts(&self) -> Vec<&str> {
        self.lines().into_iter().map(|line| line.text).collect()
    }

    /// Returns the lines that a fan would read who joined now.
    pub(crate) fn history(&self) -> Vec<&str> {
        lines(known(&self.opening).collect()).into_iter().map(|line| line.text).collect()
    }

    /// Returns the current pulse.
    pub(crate) fn pulse(&mut self) -> Pulse<'_> {
        self.wait(1500);
        match known(&self.pulse).last() {
            Some(TrackItem::Pulse(pulse)) => pulse,
            other => panic!("{other:?} on the pulse track"),
        }
    }

    /// Returns the votes of strangers in the current pulse.
    pub(crate) fn strangers(&mut self) -> PollStrangers {
        self.wait(1500);
        match known(&self.pulse).next() {
            Some(TrackItem::Strangers(strangers)) => strangers,
            other => panic!("{other:?} before the pulse"),
        }
    }

    /// Returns the current programme.
    pub(crate) fn stage(&mut self) -> Stage<'_> {
        self.wait(500);
        match known(&self.stage).next() {
            Some(TrackItem::Stage(stage)) => stage,
            other => panic!("{other:?} on the stage track"),
        }
    }
}

fn lines(items: Vec<TrackItem<'_>>) -> Vec<Line<'_>> {
    let line = |item| match item {
        TrackItem::Said(line) => Some(line),
        _ => None,
    };
    items.into_iter().filter_map(line).collect()
}

/// Decodes a packet in which every message is known.
pub(crate) fn known<'a, T: serde::Deserialize<'a> + std::fmt::Debug>(
    packet: &'a [u8],
) -> impl Iterator<Item = T> {
    Frames::<T>::new(packet).expect("a packet").map(|frame| match frame {
        Ok(Frame::Known(message)) => message,
        other => panic!("{other:?}"),
    })
}
