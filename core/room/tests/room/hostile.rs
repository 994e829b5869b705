//! Fans and edges that violate the protocol harm nobody else.

use proptest::prelude::*;
use room::{Config, Error, Room};
use wire::worker::{Close, Effect, Input, Seat};
use wire::{
    Act, EdgeId, EdgeMessage, FanId, FanMessage, Hello, Micros, Moderation, Reason, Role, Say, Screen,
    SessionId, StreamId, Subject, Up, limits,
};

use crate::harness::{Harness, Rejected, Taken, identity, known};
use crate::net::packed;

#[test]
fn hostile_malformed_packets_end_the_session() {
    let mut harness = Harness::new();
    let other = harness.fan(1);
    let mut long = wire::packet(&FanMessage::Act { number: 1, act: Act::Cheer { kind: 0, count: 1 } });
    long.resize(limits::FAN_PACKET + 1, 0);
    for packet in [&[][..], &[9, 1], &[1, 200], &[1, 0], &[1, 3, 2, 1], &long] {
        let fan = harness.fan(3);
        harness.send_bytes(fan, packet);
        assert_eq!(harness.closed.get(&fan), Some(&Close::Malformed), "{packet:?}");
        harness.send_bytes(fan, packet);
        harness.leave(fan);
    }
    assert_eq!(harness.say(other, "still here"), Taken);
}

#[test]
fn hostile_before_and_after_hello() {
    let mut harness = Harness::new();
    let hello = |next| FanMessage::Hello(Hello { stream: StreamId(5), next });
    let silent = harness.connect(0, identity(1));
    harness.send(silent, &FanMessage::Act { number: 1, act: Act::Cheer { kind: 0, count: 1 } });
    assert_eq!(harness.closed[&silent], Close::OutOfOrder);
    let twice = harness.connect(0, identity(2));
    harness.send(twice, &hello(1));
    harness.send(twice, &hello(1));
    assert_eq!(harness.closed[&twice], Close::OutOfOrder);
    for (id, next) in [(3, 0), (4, limits::NUMBER + 1), (5, u64::MAX)] {
        let odd = harness.connect(0, identity(id));
        harness.send(odd, &hello(next));
        assert_eq!(harness.closed[&odd], Close::OutOfOrder);
    }
}

#[test]
fn hostile_flooding() {
    let mut harness = Harness::new();
    let (fan, other) = (harness.fan(1), harness.fan(3));
    for _ in 0..=limits::UNACKED {
        harness.begin(fan, Act::Say(Say { text: "spam", ..Say::default() }));
    }
    assert_eq!(harness.closed[&fan], Close::Flooding);
    assert_eq!(harness.say(other, "still here"), Taken);
    assert_eq!(harness.texts(), ["spam", "still here"]);
}

#[test]
fn hostile_numbers() {
    let mut harness = Harness::new();
    let fan = harness.fan(1);
    let cheer = Act::Cheer { kind: 0, count: 1 };
    let send =
        |harness: &mut Harness, number| harness.send(fan, &FanMessage::Act { number, act: cheer.clone() });
    for number in [5, 0, 3, 1, 1, 1, 2] {
        send(&mut harness, number);
    }
    harness.tick();
    for number in [1, 2] {
        send(&mut harness, number);
    }
    assert_eq!(harness.pulse().cheers.0, [2]);
    let asked = harness
        .received(fan)
        .into_iter()
        .filter(|word| matches!(word, EdgeMessage::Resend { from: 1, .. }))
        .count();
    assert_eq!(asked, 1, "once for a gap, not for each message after it");
    send(&mut harness, u64::MAX);
    assert_eq!(harness.closed[&fan], Close::Flooding);
}

/// Replays the messages of another connection of the same fan.
#[test]
fn hostile_replay_at_another_edge() {
    let mut harness = Harness::new();
    let stream = StreamId(99);
    for edge in [0, 1, 0] {
        let fan = harness.connect(edge, identity(1));
        harness.send(fan, &FanMessage::Hello(Hello { stream, next: 1 }));
        for number in 1..=10 {
            harness.send(fan, &FanMessage::Act { number, act: Act::Cheer { kind: 0, count: 2 } });
        }
        harness.tick();
        assert_eq!(harness.outcome(fan, 10), Taken);
    }
    // The same stream number under another identity is another stream.
    let other = harness.connect(1, identity(2));
    harness.send(other, &FanMessage::Hello(Hello { stream, next: 1 }));
    harness.send(other, &FanMessage::Act { number: 1, act: Act::Cheer { kind: 0, count: 3 } });
    harness.tick();
    assert_eq!(harness.pulse().cheers.0, [23]);
}

#[test]
fn hostile_stream_that_never_was() {
    let mut harness = Harness::new();
    let fan = harness.connect(0, identity(1));
    harness.send(fan, &FanMessage::Hello(Hello { stream: StreamId(1), next: 50 }));
    harness.send(fan, &FanMessage::Act { number: 50, act: Act::Cheer { kind: 0, count: 1 } });
    harness.tick();
    assert!(harness.received(fan).contains(&EdgeMessage::Restart));
    assert!(harness.pulse().cheers.is_empty());
    harness.send(fan, &FanMessage::Hello(Hello { stream: StreamId(2), next: 1 }));
    harness.send(fan, &FanMessage::Act { number: 1, act: Act::Cheer { kind: 0, count: 1 } });
    assert_eq!(harness.pulse().cheers.0, [1]);
}

#[test]
fn hostile_forged_role() {
    let mut harness = Harness::new();
    let (fan, victim) = (harness.fan(1), harness.fan(2));
    let bad: [Moderation<'_>; 4] = [
        Moderation::Ban(Subject::Fan(FanId(2))),
        Moderation::SetTitle("mine"),
        Moderation::SetRole { subject: Subject::Fan(FanId(1)), role: Role::Moderator },
        Moderation::Unpin,
    ];
    for act in bad.clone() {
        assert_eq!(harness.moderate(fan, act), Rejected(Reason::NotAllowed));
    }
    // The root rejects bad acts even if a leaf lets them pass.
    for (number, act) in (10..).zip(bad) {
        let entries = [
            Up::Head { edge: EdgeId(9), incarnation: 1, sequence: number - 9, oldest: 1, at: Micros(0) },
            Up::Attach {
                session: SessionId(0),
                fan: FanId(1),
                stream: StreamId(number),
                next: 1,
                role: Role::Fan,
            },
            Up::Known { session: SessionId(0), name: "fan 1", anonymous: false },
            Up::Act { session: SessionId(0), number: 1, screen: Screen::Pass, act: Act::Moderate(act) },
        ];
        let (delta, mut effects) = (delta(&entries), Vec::new());
        let join = packed(&[Input::EdgeJoined { edge: EdgeId(9), incarnation: 1 }]);
        let now = harness.moment();
        harness.root.handle(now, &join, &mut Vec::new()).expect("a batch");
        let batch = packed(&[Input::Delta { edge: EdgeId(9), packet: &delta }]);
        harness.root.handle(now, &batch, &mut effects).expect("a batch");
        assert!(!effects.windows(9).any(|bytes| bytes == b"moderator"));
    }
    assert_eq!(harness.say(victim, "unharmed"), Taken);
    assert_eq!(harness.stage().title, "");
}

fn delta(entries: &[Up<'_>]) -> Vec<u8> {
    let mut delta = Vec::new();
    wire::start(&mut delta);
    for entry in entries {
        wire::put(&mut delta, entry);
    }
    delta
}

/// Returns a root with one edge, which has joined.
fn root() -> Room {
    let mut root = Room::new(Config::new(Seat::Root));
    let join = packed(&[Input::Opened, Input::EdgeJoined { edge: EdgeId(1), incarnation: 1 }]);
    root.handle(Micros(1), &join, &mut Vec::new()).expect("a batch");
    root
}

/// A delta is applied whole or not at all.
#[test]
fn hostile_delta_cut_short() {
    let entries = [
        Up::Head { edge: EdgeId(1), incarnation: 1, sequence: 1, oldest: 1, at: Micros(0) },
        Up::Attach { session: SessionId(0), fan: FanId(1), stream: StreamId(1), next: 1, role: Role::Fan },
        Up::Known { session: SessionId(0), name: "fan 1", anonymous: false },
        Up::Act {
            session: SessionId(0),
            number: 1,
            screen: Screen::Pass,
            act: Act::Cheer { kind: 0, count: 9 },
        },
    ];
    let whole = delta(&entries);
    let heads = wire::packet(&entries[0]).len();
    for len in heads + 1..whole.len() {
        let mut root = root();
        let before = root.snapshot();
        let boundary =
            wire::Frames::<Up<'_>>::new(&whole[..len]).is_ok_and(|mut frames| frames.all(|f| f.is_ok()));
        let batch = packed(&[Input::Delta { edge: EdgeId(1), packet: &whole[..len] }]);
        root.handle(Micros(1), &batch, &mut Vec::new()).expect("a batch");
        assert_eq!(root.snapshot() == before, !boundary, "{len} bytes");
    }
}

#[test]
fn hostile_delta_of_another() {
    let mut root = root();
    let before = root.snapshot();
    let head = |edge, incarnation, sequence, oldest| Up::Head {
        edge: EdgeId(edge),
        incarnation,
        sequence,
        oldest,
        at: Micros(0),
    };
    for head in [head(2, 1, 1, 1), head(1, 2, 1, 1), head(1, 1, 0, 0), head(1, 1, 3, 4)] {
        let packet = delta(&[head]);
        for edge in [1, 7] {
            let batch = packed(&[Input::Delta { edge: EdgeId(edge), packet: &packet }]);
            root.handle(Micros(1), &batch, &mut Vec::new()).expect("a batch");
        }
    }
    assert_eq!(root.snapshot(), before);
}

/// A lost delta is resent once, with those after it: not once for each of them.
#[test]
fn hostile_loss_is_not_amplified() {
    let mut harness = Harness::new();
    let fan = harness.fan(1);
    let now = harness.moment();
    let (mut sent, mut effects) = (Vec::new(), Vec::new());
    for number in 1..=20 {
        let act = wire::packet(&FanMessage::Act { number, act: Act::Cheer { kind: 0, count: 1 } });
        let batch = packed(&[Input::FanPacket { session: fan.session, packet: &act }, Input::Tick]);
        effects.clear();
        harness.leaves[fan.edge].handle(now, &batch, &mut effects).expect("a batch of ours");
        sent.extend(known::<Effect<'_>>(&effects).filter_map(|effect| match effect {
            Effect::ToRoot { packet } => Some(packet.to_vec()),
            _ => None,
        }));
    }
    let mut again = 0;
    for packet in &sent[1..] {
        effects.clear();
        let edge = EdgeId(fan.edge as u64);
        harness
            .root
            .handle(now, &packed(&[Input::Delta { edge, packet }]), &mut effects)
            .expect("a batch of ours");
        let answers = effects.clone();
        for effect in known::<Effect<'_>>(&answers) {
            let Effect::ToEdge { packet, .. } = effect else { continue };
            effects.clear();
            let batch = packed(&[Input::FromRoot { packet }]);
            harness.leaves[fan.edge].handle(now, &batch, &mut effects).expect("a batch of ours");
            again += known::<Effect<'_>>(&effects)
                .filter(|effect| matches!(effect, Effect::ToRoot { .. }))
                .count();
        }
    }
    assert_eq!((sent.len(), again), (20, 20));
}

/// Pages loaded over and over: streams that nobody can ask for any more make room.
#[test]
fn hostile_streams_without_end() {
    let mut harness = Harness::new();
    let act = Act::Cheer { kind: 0, count: 1 };
    let mut largest = 0;
    for n in 1..=300u64 {
        let fan = harness.join(0, identity(1));
        if n == 1 || n > 200 {
            assert_eq!(harness.act(fan, act.clone()), Taken, "{n}");
        } else {
            harness.begin(fan, act.clone());
            harness.tick();
        }
        harness.leave(fan);
        if n == 200 {
            assert!(harness.closed.values().any(|why| *why == Close::Full), "all of them are kept");
            harness.now += limits::RESEND_SECONDS * 1000;
        }
        largest = largest.max(harness.root.snapshot().len());
    }
    assert!(largest < 16 * 1024, "{largest} bytes");
    assert_eq!(harness.pulse().cheers.0, [128 + 100]);
    // Everything about a fan who never comes back is forgotten in the end.
    harness.now += 25 * 3600 * 1000;
    harness.wait(5000);
    assert!(harness.root.snapshot().len() < 3000, "{} bytes", harness.root.snapshot().len());
}

/// Session indices that would take memory for nothing.
#[test]
fn hostile_indices() {
    let mut root = root();
    let session = SessionId(u32::MAX);
    let attach = Up::Attach { session, fan: FanId(1), stream: StreamId(1), next: 1, role: Role::Fan };
    let head = Up::Head { edge: EdgeId(1), incarnation: 1, sequence: 1, oldest: 1, at: Micros(0) };
    let packet = delta(&[head, attach, Up::Detach { session }]);
    let batch = packed(&[Input::Delta { edge: EdgeId(1), packet: &packet }]);
    root.handle(Micros(1), &batch, &mut Vec::new()).expect("a batch");
    assert!(root.snapshot().len() < 4096);
    let mut harness = Harness::new();
    let fan = identity(1);
    harness.leaf(0, &[Input::FanJoined { session, fan }]);
    assert_eq!(harness.closed.values().next(), Some(&Close::Full));
}

#[test]
fn hostile_snapshots() {
    let config = Config::new(Seat::Root);
    let snapshot = root().snapshot();
    assert!(matches!(Room::restore(config, &[]), Err(Error::Snapshot)));
    assert!(matches!(Room::restore(config, &[77]), Err(Error::SnapshotVersion(77))));
    assert!(matches!(Room::restore(config, &snapshot[..snapshot.len() - 1]), Err(Error::Snapshot)));
    let leaf = Config::new(Seat::Leaf { edge: EdgeId(1), incarnation: 1 });
    assert!(matches!(Room::restore(leaf, &snapshot), Err(Error::Seat)));
    // Each byte of the snapshot is replaced in turn.
    for at in 0..snapshot.len() {
        for value in [0, 1, 2, 0x7f, 0x80, 0xff] {
            let mut changed = snapshot.clone();
            changed[at] = value;
            let _ = Room::restore(config, &changed);
        }
    }
    let other = Config::new(Seat::Leaf { edge: EdgeId(1), incarnation: 2 });
    assert!(matches!(Room::restore(other, &Room::new(leaf).snapshot()), Err(Error::Seat)));
}

/// An edge that cannot reach the root for long keeps a bounded amount, and loses nothing that it has taken.
#[test]
fn hostile_silence_of_the_root() {
    let mut leaf = Room::new(Config::new(Seat::Leaf { edge: EdgeId(1), incarnation: 1 }));
    let mut now = 1_700_000_000_000;
    let mut handle = |leaf: &mut Room, inputs: &[Input<'_>]| {
        now += 50;
        let mut effects = Vec::new();
        leaf.handle(Micros::from_millis(now), &packed(inputs), &mut effects).expect("a batch");
        effects
    };
    let text = "x".repeat(300);
    let mut largest = 0;
    for id in 0..20_000u32 {
        let (session, fan) = (SessionId(id % 100), identity(u64::from(id)));
        let hello = wire::packet(&FanMessage::Hello(Hello { stream: StreamId(id.into()), next: 1 }));
        let say = Act::Say(Say { text: &text, ..Say::default() });
        let act = wire::packet(&FanMessage::Act { number: 1, act: say });
        handle(
            &mut leaf,
            &[
                Input::FanJoined { session, fan },
                Input::FanPacket { session, packet: &hello },
                Input::FanPacket { session, packet: &act },
                Input::Tick,
            ],
        );
        if id % 1000 == 0 {
            largest = largest.max(leaf.snapshot().len());
        }
    }
    assert!(largest < 1024 * 1024, "{largest} bytes");
}

proptest! {
    #[test]
    fn hostile_packets_of_fans(packets in prop::collection::vec(prop::collection::vec(0u8..40, 0..60), 1..20)) {
        let mut harness = Harness::new();
        let (fan, other) = (harness.fan(1), harness.fan(3));
        for mut packet in packets {
            packet.insert(0, wire::VERSION);
            harness.send_bytes(fan, &packet);
        }
        prop_assert_eq!(harness.say(other, "still here"), Taken);
    }

    #[test]
    fn hostile_packets_of_edges(packets in prop::collection::vec(prop::collection::vec(0u8..20, 0..60), 1..20)) {
        let mut root = root();
        for body in packets {
            let head = Up::Head { edge: EdgeId(1), incarnation: 1, sequence: 1, oldest: 1, at: Micros(0) };
            let mut packet = wire::packet(&head);
            packet.extend(body);
            let batch = packed(&[Input::Delta { edge: EdgeId(1), packet: &packet }, Input::Tick]);
            root.handle(Micros(1), &batch, &mut Vec::new()).expect("a batch");
        }
        let snapshot = root.snapshot();
        prop_assert_eq!(Room::restore(Config::new(Seat::Root), &snapshot).expect("our own").snapshot(), snapshot);
    }

    #[test]
    fn hostile_batches(bytes in prop::collection::vec(0u8..20, 0..80)) {
        for seat in [Seat::Root, Seat::Leaf { edge: EdgeId(1), incarnation: 1 }] {
            let mut room = Room::new(Config::new(seat));
            let mut batch = vec![wire::VERSION];
            batch.extend(&bytes);
            // The room may refuse or handle the batch; it must not panic.
            let _ = room.handle(Micros(1), &batch, &mut Vec::new());
            prop_assert!(room.handle(Micros(2), &packed(&[Input::Tick]), &mut Vec::new()).is_ok());
        }
    }
}
