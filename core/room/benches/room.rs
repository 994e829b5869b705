//! Cost of one message at a leaf and at the root.
//!
//! Run with `cargo bench -p fanfare-room`. A leaf's figures include the whole way of a message: its check,
//! the delta, the root's answer and the fan's ack.
#![allow(missing_docs)]

use divan::{Bencher, counter::ItemsCount};
use room::{Config, Room};
use wire::worker::{Demand, Effect, Hint, Identity, Input, SKIP, Seat};
use wire::{
    Act, EdgeId, FanId, FanMessage, Frame, Frames, Hello, Micros, Moderation, Modes, OnMatch, Pattern, Say,
    SessionId, StreamId,
};

/// Fans connected to the edge.
const FANS: u32 = 10_000;
const EDGE: EdgeId = EdgeId(1);
/// Microseconds between two batches: within every rate limit.
const STEP: u64 = 2_000_000;

fn main() {
    divan::main();
}

/// Kinds of message that fans send.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Cheer,
    Say,
}

const KINDS: [Kind; 2] = [Kind::Cheer, Kind::Say];

/// A leaf and a root, with connected fans.
struct Harness {
    leaf: Room,
    root: Room,
    now: u64,
    number: u64,
}

fn packed<'a>(inputs: impl IntoIterator<Item = Input<'a>>) -> Vec<u8> {
    let mut batch = Vec::new();
    wire::start(&mut batch);
    for input in inputs {
        wire::put(&mut batch, &input);
    }
    batch
}

impl Harness {
    fn new() -> Self {
        let seat = Seat::Leaf { edge: EDGE, incarnation: 1 };
        let mut root = Config::new(Seat::Root);
        root.limits.room_says = room::Rate { every: Micros(0), burst: 1 };
        let mut harness =
            Self { leaf: Room::new(Config::new(seat)), root: Room::new(root), now: STEP, number: 0 };
        let patterns: Vec<String> = (0..100).map(|n| format!("*blocked{n}*")).collect();
        let patterns = patterns.iter().map(|text| Pattern { text, action: OnMatch::Reject }).collect();
        let links = wire::Links::Reject;
        let modes = Modes { links, ..Modes::default() };
        let setup = harness.handle_root(&packed([
            Input::Opened,
            Input::Owner { act: Moderation::SetPatterns(patterns) },
            Input::Owner { act: Moderation::SetModes(modes) },
            Input::EdgeJoined { edge: EDGE, incarnation: 1 },
        ]));
        harness.handle(&setup);
        let hello = |id| wire::packet(&FanMessage::Hello(Hello { stream: StreamId(id), next: 1 }));
        for session in (0..FANS).map(SessionId) {
            let fan = Identity { id: FanId(session.0.into()), name: "fan 7", ..Identity::default() };
            let packet = hello(session.0.into());
            harness.leaf_batch(&packed([
                Input::FanJoined { session, fan },
                Input::FanPacket { session, packet: &packet },
            ]));
        }
        harness.leaf_batch(&packed([Input::Tick]));
        harness
    }

    /// Returns one message of each fan, as a leaf's batch.
    fn messages(&mut self, kind: Kind) -> Vec<u8> {
        self.number += 1;
        self.now += STEP;
        let number = self.number;
        let text = format!("this is what a fan says for the {number}th time, and it is not short");
        let act = match kind {
            Kind::Cheer => Act::Cheer { kind: 3, count: 5 },
            Kind::Say => Act::Say(Say { text: &text, ..Say::default() }),
        };
        let packet = wire::packet(&FanMessage::Act { number, act });
        let inputs =
            (0..FANS).map(|session| Input::FanPacket { session: SessionId(session), packet: &packet });
        packed(inputs.chain([Input::Tick]))
    }

    fn handle(&mut self, batch: &[u8]) -> Vec<u8> {
        let mut effects = Vec::with_capacity(1 << 20);
        self.leaf.handle(Micros(self.now), batch, &mut effects).expect("a batch");
        effects
    }

    /// Passes deltas to the root; returns its answers as a leaf's batch.
    fn handle_root(&mut self, batch: &[u8]) -> Vec<u8> {
        let mut effects = Vec::with_capacity(1 << 20);
        self.root.handle(Micros(self.now), batch, &mut effects).expect("a batch");
        packed(frames(&effects).filter_map(|effect| match effect {
            Effect::ToEdge { packet, .. } => Some(Input::FromRoot { packet }),
            _ => None,
        }))
    }

    fn leaf_batch(&mut self, batch: &[u8]) {
        let effects = self.handle(batch);
        let answers = self.handle_root(&deltas(&effects));
        self.handle(&answers);
    }
}

fn frames(effects: &[u8]) -> impl Iterator<Item = Effect<'_>> {
    Frames::<Effect<'_>>::new(effects).expect("effects").map(|effect| match effect {
        Ok(Frame::Known(effect)) => effect,
        other => panic!("{other:?}"),
    })
}

/// Returns a leaf's deltas as a root's batch.
fn deltas(effects: &[u8]) -> Vec<u8> {
    packed(frames(effects).filter_map(|effect| match effect {
        Effect::ToRoot { packet } => Some(Input::Delta { edge: EDGE, packet }),
        _ => None,
    }))
}

#[divan::bench(args = KINDS)]
fn leaf(bencher: Bencher<'_, '_>, kind: Kind) {
    let harness = std::cell::RefCell::new(Harness::new());
    bencher
        .counter(ItemsCount::new(FANS))
        .with_inputs(|| {
            let harness = &mut *harness.borrow_mut();
            // The leaf is restored from its snapshot afterwards, so that the benchmark measures one leaf's
            // work only.
            let batch = harness.messages(kind);
            let snapshot = harness.leaf.snapshot();
            let effects = harness.handle(&batch);
            let answers = harness.handle_root(&deltas(&effects));
            let config = Config::new(Seat::Leaf { edge: EDGE, incarnation: 1 });
            harness.leaf = Room::restore(config, &snapshot).expect("our own snapshot");
            (batch, answers, Vec::with_capacity(4 << 20))
        })
        .bench_local_values(|(batch, answers, mut effects)| {
            let harness = &mut *harness.borrow_mut();
            let now = Micros(harness.now);
            harness.leaf.handle(now, &batch, &mut effects).expect("a batch");
            harness.leaf.handle(now, &answers, &mut effects).expect("a batch");
            effects
        });
}

#[divan::bench(args = KINDS)]
fn root(bencher: Bencher<'_, '_>, kind: Kind) {
    let harness = std::cell::RefCell::new(Harness::new());
    bencher
        .counter(ItemsCount::new(FANS))
        .with_inputs(|| {
            let harness = &mut *harness.borrow_mut();
            let batch = harness.messages(kind);
            let effects = harness.handle(&batch);
            (deltas(&effects), Vec::with_capacity(4 << 20))
        })
        .bench_local_values(|(batch, mut effects): (Vec<u8>, Vec<u8>)| {
            let harness = &mut *harness.borrow_mut();
            let now = Micros(harness.now);
            harness.root.handle(now, &batch, &mut effects).expect("a batch");
            let answers = packed(frames(&effects).filter_map(|effect| match effect {
                Effect::ToEdge { packet, .. } => Some(Input::FromRoot { packet }),
                _ => None,
            }));
            harness.handle(&answers);
        });
}

#[divan::bench]
fn plan(bencher: Bencher<'_, '_>) {
    let demands: Vec<Demand> = (0..FANS)
        .map(|fan| Demand {
            throughput_kbps: fan,
            backlog_ms: fan % 1000,
            hint: if fan % 5 == 0 { Hint::AtMost(1) } else { Hint::Auto },
            current: if fan % 7 == 0 { SKIP } else { (fan % 3) as u8 },
        })
        .collect();
    bencher.counter(ItemsCount::new(FANS)).bench_local(|| room::plan(&demands, &[400, 1200, 4500]));
}

#[divan::bench]
fn snapshot(bencher: Bencher<'_, '_>) {
    let mut harness = Harness::new();
    let batch = harness.messages(Kind::Cheer);
    harness.leaf_batch(&batch);
    bencher.counter(ItemsCount::new(FANS)).bench_local(|| harness.root.snapshot());
}
