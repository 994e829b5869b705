//! Native rooms with fans, a leaf and a root, and batches of their messages.

use room::{Config, Limits, Room};
use wire::worker::{Effect, Identity, Input, Seat};
use wire::{
    Act, EdgeId, FanId, FanMessage, Frame, Frames, Hello, Links, Micros, Moderation, Modes, OnMatch, Pattern,
    Say, SessionId, StreamId,
};

/// Fans connected to the edge.
pub(crate) const FANS: u32 = 10_000;
const EDGE: EdgeId = EdgeId(1);
/// Microseconds between two batches: within every rate limit.
const STEP: u64 = 2_000_000;

/// Kinds of message that fans send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Cheer,
    /// Chat lines checked against a hundred blocked words and a ban on links.
    Say,
    /// Chat lines in a room that blocks nothing.
    SayUnmoderated,
}

pub(crate) struct Rooms {
    pub(crate) leaf: Room,
    pub(crate) root: Room,
    now: u64,
    number: u64,
}

pub(crate) fn leaf() -> Config {
    Config::new(Seat::Leaf { edge: EDGE, incarnation: 1 })
}

pub(crate) fn root() -> Config {
    let mut config = Config::new(Seat::Root);
    config.limits = Limits::default();
    config.limits.room_says = room::Rate { every: Micros(0), burst: 1 };
    config
}

pub(crate) fn packed<'a>(inputs: impl IntoIterator<Item = Input<'a>>) -> Vec<u8> {
    let mut batch = Vec::new();
    wire::start(&mut batch);
    for input in inputs {
        wire::put(&mut batch, &input);
    }
    batch
}

/// Returns a leaf's deltas as a root's batch.
pub(crate) fn deltas(effects: &[u8]) -> Vec<u8> {
    packed(known(effects).filter_map(|effect| match effect {
        Effect::ToRoot { packet } => Some(Input::Delta { edge: EDGE, packet }),
        _ => None,
    }))
}

/// Returns a root's answers as a leaf's batch.
pub(crate) fn answers(effects: &[u8]) -> Vec<u8> {
    packed(known(effects).filter_map(|effect| match effect {
        Effect::ToEdge { packet, .. } => Some(Input::FromRoot { packet }),
        _ => None,
    }))
}

fn known(effects: &[u8]) -> impl Iterator<Item = Effect<'_>> {
    Frames::<Effect<'_>>::new(effects).expect("effects").map(|effect| match effect {
        Ok(Frame::Known(effect)) => effect,
        other => panic!("{other:?}"),
    })
}

impl Rooms {
    pub(crate) fn new(kind: Kind) -> Self {
        let mut rooms = Self { leaf: Room::new(leaf()), root: Room::new(root()), now: STEP, number: 0 };
        let words: Vec<String> = (0..100).map(|n| format!("*blocked{n}*")).collect();
        let patterns = words.iter().map(|text| Pattern { text, action: OnMatch::Reject }).collect();
        let modes = Modes { links: Links::Reject, ..Modes::default() };
        let mut opening = vec![Input::Opened];
        if kind != Kind::SayUnmoderated {
            opening.push(Input::Owner { act: Moderation::SetPatterns(patterns) });
            opening.push(Input::Owner { act: Moderation::SetModes(modes) });
        }
        opening.push(Input::EdgeJoined { edge: EDGE, incarnation: 1 });
        let opened = rooms.handle_root(&packed(opening));
        rooms.handle(&opened);
        for session in (0..FANS).map(SessionId) {
            let fan = Identity { id: FanId(session.0.into()), name: "fan 7", ..Identity::default() };
            let hello = Hello { stream: StreamId(session.0.into()), next: 1 };
            let packet = wire::packet(&FanMessage::Hello(hello));
            let batch =
                packed([Input::FanJoined { session, fan }, Input::FanPacket { session, packet: &packet }]);
            rooms.leaf_batch(&batch);
        }
        rooms.leaf_batch(&packed([Input::Tick]));
        rooms
    }

    /// Returns the time of the last messages.
    pub(crate) fn now(&self) -> Micros {
        Micros(self.now)
    }

    /// Returns one message of each fan, as a leaf's batch.
    pub(crate) fn messages(&mut self, kind: Kind) -> Vec<u8> {
        self.number += 1;
        self.now += STEP;
        let number = self.number;
        let text = format!("this is what a fan says for the {number}th time, and it is not short");
        let act = match kind {
            Kind::Cheer => Act::Cheer { kind: 3, count: 5 },
            Kind::Say | Kind::SayUnmoderated => Act::Say(Say { text: &text, ..Say::default() }),
        };
        let packet = wire::packet(&FanMessage::Act { number, act });
        let inputs =
            (0..FANS).map(|session| Input::FanPacket { session: SessionId(session), packet: &packet });
        packed(inputs.chain([Input::Tick]))
    }

    fn handle(&mut self, batch: &[u8]) -> Vec<u8> {
        let mut effects = Vec::new();
        self.leaf.handle(Micros(self.now), batch, &mut effects).expect("a batch");
        effects
    }

    fn handle_root(&mut self, batch: &[u8]) -> Vec<u8> {
        let mut effects = Vec::new();
        self.root.handle(Micros(self.now), batch, &mut effects).expect("a batch");
        answers(&effects)
    }

    fn leaf_batch(&mut self, batch: &[u8]) {
        let effects = self.handle(batch);
        let answers = self.handle_root(&deltas(&effects));
        self.handle(&answers);
    }
}
