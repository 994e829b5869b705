//! Acked means counted, once: through loss, duplication, crashes and moves.

use std::collections::BTreeMap;

use wire::worker::{Effect, Input, Row};
use wire::{Act, Down, EdgeId, EdgeMessage, FanId, FanMessage, Hello, Role, Screen, SessionId, StreamId, Up};

use crate::harness::{Harness, Taken, identity, known};
use crate::net::{Action, Fate, Faults, Net, packed};
use crate::seeds::seeds;

fn check(net: &Net) {
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, text) in net.said.values() {
        *lines.entry(text).or_default() += 1;
    }
    let (mut cheers, mut gifts, mut votes) = (0, 0, 0);
    for fan in &net.fans {
        let mut own_votes = 0;
        for (action, fate) in &fan.results {
            let taken = *fate == Fate::Taken;
            match action {
                Action::Say(text) => {
                    let count = lines.get(text.as_str()).copied().unwrap_or(0);
                    assert_eq!(count, usize::from(taken), "{text:?} was {fate:?}");
                }
                Action::Cheer(count) if taken => cheers += u64::from(*count),
                Action::Gift { count, .. } if taken => gifts += u64::from(*count),
                Action::Vote(_) if taken => own_votes += 1,
                _ => {}
            }
        }
        assert!(own_votes <= 1, "{own_votes} votes of one fan");
        votes += own_votes;
        // A fan's lines are in the order in which the fan sent them.
        let said: Vec<&str> =
            net.said.values().filter(|(id, _)| *id == fan.id).map(|(_, text)| text.as_str()).collect();
        let meant: Vec<&str> = fan
            .results
            .iter()
            .filter_map(|(action, fate)| match action {
                Action::Say(text) if *fate == Fate::Taken => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(said, meant);
    }
    assert_eq!((votes, gifts), (net.voted, net.gifted), "what is archived");
    net.with_pulse(|pulse| {
        assert_eq!(pulse.cheers.iter().sum::<u64>(), cheers);
        assert_eq!(pulse.gifts.iter().map(|(_, count)| count).sum::<u64>(), gifts);
        let counted =
            pulse.poll.as_ref().expect("the poll").votes.iter().map(|votes| u64::from(*votes)).sum::<u64>();
        assert_eq!(counted, votes);
        assert_eq!(pulse.says, net.said.len() as u64);
        assert_eq!(pulse.uniques, net.fans.len() as u64);
        assert_eq!(
            pulse.top_cheerers.iter().map(|top| top.amount).sum::<u64>(),
            cheers,
            "fewer fans than places"
        );
    });
    for view in net.views() {
        for (id, text) in &view.lines {
            assert_eq!(text, &net.said[id].1, "a reader sees another line");
        }
    }
    let seen: BTreeMap<u64, &str> =
        net.views().flat_map(|view| &view.lines).map(|(id, text)| (*id, text.as_str())).collect();
    assert!(seen.len() * 10 >= net.said.len() * 9, "readers saw {} of {}", seen.len(), net.said.len());
}

fn run(range: std::ops::Range<u64>, faults: Faults) {
    seeds(range, |seed| check(&Net::run(seed, faults)));
}

#[test]
fn exactly_once_in_peace() {
    seeds(0..200, |seed| {
        let net = Net::run(seed, Faults::default());
        check(&net);
        for view in net.views() {
            let whole = net.said.iter().map(|(id, (_, text))| (id, text));
            assert!(view.lines.iter().eq(whole), "a reader has not seen all");
        }
    });
}

#[test]
fn exactly_once_through_loss_and_doubling() {
    run(0..500, Faults { lost: 15, doubled: 15, ..Faults::default() });
}

#[test]
fn exactly_once_while_fans_move() {
    run(0..500, Faults { fan_moves: 40, ..Faults::default() });
}

#[test]
fn exactly_once_while_edges_crash() {
    run(0..500, Faults { edge_crashes: 8, link_breaks: 8, fan_moves: 10, ..Faults::default() });
}

#[test]
fn exactly_once_while_the_root_crashes() {
    run(0..500, Faults { root_crashes: 4, fan_moves: 5, ..Faults::default() });
}

#[test]
fn exactly_once_through_all_of_it() {
    let faults = Faults {
        lost: 8,
        doubled: 8,
        fan_moves: 25,
        link_breaks: 6,
        edge_crashes: 6,
        root_crashes: 3,
        swaps: 8,
    };
    run(0..1000, faults);
}

fn cheer(number: u64) -> FanMessage<'static> {
    FanMessage::Act { number, act: Act::Cheer { kind: 0, count: 1 } }
}

fn hello(next: u64) -> FanMessage<'static> {
    FanMessage::Hello(Hello { stream: StreamId(7), next })
}

/// A message that the client has given up and reported as unknown is not counted afterwards.
#[test]
fn exactly_once_or_given_up() {
    let mut harness = Harness::new();
    let here = harness.connect(0, identity(1));
    harness.send(here, &hello(1));
    (1..=3).for_each(|number| harness.send(here, &cheer(number)));
    harness.tick();
    harness.send(here, &cheer(4));
    // The message is still at this edge when the fan, at another one, continues without it.
    let there = harness.connect(1, identity(1));
    harness.send(there, &hello(5));
    harness.leaf(1, &[Input::Tick]);
    harness.send(there, &cheer(5));
    harness.tick();
    assert_eq!(harness.outcome(there, 5), Taken);
    assert_eq!(harness.pulse().cheers.0, [4], "1, 2, 3 and 5");
}

/// Messages taken by an edge that could not reach the root are counted once it can, however late.
#[test]
fn exactly_once_after_an_edge_was_away() {
    let away = wire::limits::RESEND_SECONDS;
    for (seconds, is_asked) in [(away - 10, false), (away + 10, true)] {
        let mut harness = Harness::new();
        let fan = harness.connect(0, identity(1));
        harness.send(fan, &hello(1));
        harness.send(fan, &cheer(1));
        harness.tick();
        assert_eq!(harness.outcome(fan, 1), Taken);
        harness.cut(0);
        (2..=4).for_each(|number| {
            harness.send(fan, &cheer(number));
            harness.tick();
        });
        harness.now += seconds * 1000;
        harness.tick();
        harness.mend(0);
        let resend = EdgeMessage::Resend { from: 2, after_ms: 0 };
        let asked = harness.received(fan).into_iter().filter(|word| *word == resend).count();
        assert_eq!(asked, usize::from(is_asked), "after {seconds} seconds, once");
        if is_asked {
            (2..=4).for_each(|number| harness.send(fan, &cheer(number)));
        }
        harness.send(fan, &cheer(5));
        harness.tick();
        assert_eq!(harness.outcome(fan, 5), Taken);
        assert_eq!(harness.pulse().cheers.0, [5], "after {seconds} seconds");
        assert!(!harness.received(fan).contains(&EdgeMessage::Restart));
        harness.leave(fan);
        let told = |row: &Row<'_>| match row {
            Row::Visited { fan: FanId(1), visit, .. } => visit.total_ms,
            _ => 0,
        };
        let told: u64 = harness.rows().iter().map(told).sum();
        assert!(told <= (seconds + 10) * 1000, "{told} ms of a visit of {seconds} s: no time is told twice");
    }
}

/// A stream and its successor are not in one delta: the mark of one would be taken for the other's.
#[test]
fn exactly_once_two_streams_are_two_deltas() {
    let mut harness = Harness::new();
    let fan = harness.connect(0, identity(1));
    harness.send(fan, &hello(1));
    harness.send(fan, &cheer(1));
    harness.tick();
    harness.send(fan, &cheer(2));
    assert_eq!(undelivered_delta(&mut harness), (2, vec![2]));
    // The edge reconnects to a root that has forgotten the stream, and the fan begins another at once.
    let mut deltas = undelivered(&mut harness, &[Input::RootConnected]);
    let mut answer = wire::packet(&Down::Head { incarnation: 1 });
    wire::put(&mut answer, &Down::Answer { sequence: 2 });
    wire::put(&mut answer, &Down::Forgotten { session: fan.session });
    harness.leaf(0, &[Input::FromRoot { packet: &answer }]);
    assert_eq!(harness.received(fan).last(), Some(&EdgeMessage::Restart));
    let packet = wire::packet(&FanMessage::Hello(Hello { stream: StreamId(8), next: 1 }));
    deltas.extend(undelivered(&mut harness, &[Input::FanPacket { session: fan.session, packet: &packet }]));
    deltas.extend(undelivered(&mut harness, &[Input::Tick]));
    let attached = |delta: &Vec<u8>| {
        let streams = known::<Up<'_>>(delta).filter_map(|entry| match entry {
            Up::Attach { stream, .. } => Some(stream),
            _ => None,
        });
        streams.collect::<Vec<_>>()
    };
    let attached: Vec<_> = deltas.iter().map(attached).filter(|streams| !streams.is_empty()).collect();
    assert_eq!(attached, [[StreamId(7)], [StreamId(8)]]);
}

/// A leaf acks neither a message that the root requests again, nor one after it.
#[test]
fn exactly_once_no_ack_over_a_gap() {
    let mut harness = Harness::with(|config| config.limits.cheers.burst = 3);
    let fan = harness.connect(0, identity(1));
    harness.send(fan, &hello(1));
    (1..=3).for_each(|number| harness.send(fan, &cheer(number)));
    assert_eq!(undelivered_delta(&mut harness), (1, vec![1, 2, 3]));
    let mut answer = wire::packet(&Down::Head { incarnation: 1 });
    wire::put(&mut answer, &Down::Answer { sequence: 1 });
    wire::put(&mut answer, &Down::Resend { session: fan.session, from: 2 });
    harness.leaf(0, &[Input::FromRoot { packet: &answer }]);
    let told = [EdgeMessage::Resend { from: 2, after_ms: 0 }, EdgeMessage::Acked { through: 1 }];
    assert_eq!(harness.received(fan), told);
    (2..=3).for_each(|number| harness.send(fan, &cheer(number)));
    assert_eq!(undelivered_delta(&mut harness), (2, vec![2, 3]), "they go up again, whatever the rate");
}

/// Returns the first leaf's next delta, which never reaches the root: its number, and its messages' numbers.
fn undelivered_delta(harness: &mut Harness) -> (u64, Vec<u64>) {
    let (mut delta, mut numbers) = (0, Vec::new());
    for packet in undelivered(harness, &[Input::Tick]) {
        for entry in known::<Up<'_>>(&packet) {
            match entry {
                Up::Head { sequence, .. } => delta = sequence,
                Up::Act { number, .. } => numbers.push(number),
                _ => {}
            }
        }
    }
    (delta, numbers)
}

/// Returns the deltas that the first leaf sends on these inputs, which never reach the root.
fn undelivered(harness: &mut Harness, inputs: &[Input<'_>]) -> Vec<Vec<u8>> {
    let (now, mut effects) = (harness.moment(), Vec::new());
    harness.leaves[0].handle(now, &packed(inputs), &mut effects).expect("a batch of ours");
    let deltas = known::<Effect<'_>>(&effects).filter_map(|effect| match effect {
        Effect::ToRoot { packet } => Some(packet.to_vec()),
        _ => None,
    });
    deltas.collect()
}

/// The root takes no message before its predecessors.
#[test]
fn exactly_once_no_number_is_jumped_over() {
    let mut harness = Harness::new();
    let (edge, session) = (EdgeId(0), SessionId(0));
    let mut delta =
        wire::packet(&Up::Head { edge, incarnation: 1, sequence: 1, oldest: 1, at: harness.moment() });
    let act =
        |number| Up::Act { session, number, screen: Screen::Pass, act: Act::Cheer { kind: 0, count: 1 } };
    for entry in [
        Up::Attach { session, fan: FanId(1), stream: StreamId(7), next: 1, role: Role::Fan },
        Up::Known { session, name: "fan 1", anonymous: false },
        act(1),
        act(3),
    ] {
        wire::put(&mut delta, &entry);
    }
    let (now, mut effects) = (harness.moment(), Vec::new());
    let batch = packed(&[Input::Delta { edge, packet: &delta }]);
    harness.root.handle(now, &batch, &mut effects).expect("a batch of ours");
    let asked = known::<Effect<'_>>(&effects).any(|effect| match effect {
        Effect::ToEdge { packet, .. } => {
            known::<Down<'_>>(packet).any(|word| word == Down::Resend { session, from: 2 })
        }
        _ => false,
    });
    assert!(asked);
    assert_eq!(harness.pulse().cheers.0, [1]);
}
