//! A room's bounds: what crowds of strangers take of it, and what stays for others.

use std::cell::{Cell, RefCell};

use room::crowd::Crowd;
use room::rehearsal::{Batch, SplitMix64, root_config};
use room::{Config, Room};
use wire::worker::{Effect, Group, Identity, Input, Row, Seat};
use wire::{
    Act, Choice, Down, EdgeId, FanId, Frame, Frames, Gift, GiftId, List, Micros, Moderation, Modes, PollId,
    Reason, Role, Say, Screen, SessionId, Track, TrackItem, Up, Who,
};

use crate::harness::{Harness, Held, Rejected, Taken, identity, known};
use crate::net::packed;

/// A root that a crowd comes to, its last effects, and the cheers of its last pulse.
struct Visited {
    room: RefCell<Room>,
    effects: RefCell<Vec<u8>>,
    cheers: Cell<u64>,
}

impl Visited {
    fn new() -> Self {
        Self {
            room: RefCell::new(Room::new(root_config())),
            effects: RefCell::default(),
            cheers: Cell::default(),
        }
    }

    fn crowd(&self) -> Crowd<impl FnMut(Batch) + '_> {
        Crowd::new(move |batch: Batch| {
            let mut effects = self.effects.borrow_mut();
            effects.clear();
            let handled = self.room.borrow_mut().handle(batch.now, &batch.inputs, &mut effects);
            handled.expect("a batch of the crowd");
            for effect in known::<Effect<'_>>(&effects) {
                if let Effect::Publish { track: Track::Pulse, object, .. } = effect
                    && let Some(TrackItem::Pulse(pulse)) = known(object).next()
                {
                    self.cheers.set(pulse.cheers.first().copied().unwrap_or_default());
                }
            }
        })
    }

    fn snapshot(&self) -> Vec<u8> {
        self.room.borrow().snapshot()
    }
}

fn is_refused(effects: &[u8]) -> bool {
    known::<Effect<'_>>(effects).any(|effect| match effect {
        Effect::ToEdge { packet, .. } => Frames::<Down<'_>>::new(packet)
            .expect("a packet")
            .any(|down| matches!(down, Ok(Frame::Known(Down::Refused { .. })))),
        _ => false,
    })
}

fn stranger(id: u64) -> Identity<'static> {
    Identity { anonymous: true, ..identity(id) }
}

#[test]
fn a_room_at_all_its_bounds_is_restored_from_its_snapshot() {
    let room = Visited::new();
    room.crowd().fill();
    let snapshot = room.snapshot();
    assert!(snapshot.len() < 20 << 20, "{} bytes", snapshot.len());
    assert!(snapshot.len() > 8 << 20, "{} bytes are not all bounds", snapshot.len());
    let again = Room::restore(root_config(), &snapshot).expect("our own snapshot");
    assert!(again.snapshot() == snapshot);
}

#[test]
fn strangers_who_are_refused_leave_space_for_fans_with_a_name() {
    let room = Visited::new();
    let mut crowd = room.crowd();
    let mut refused = 0;
    for fan in 0..100_000 {
        let at = crowd.enter(fan, "guest-0123abcd", true);
        crowd.refuse(at, 1..=64);
        crowd.leave(at);
        refused += u32::from(is_refused(&room.effects.borrow()));
    }
    crowd.wait(1);
    assert!(refused > 0, "strangers are refused before others");
    let at = crowd.enter(1_000_001, "somebody", false);
    crowd.act(at, 1, Screen::Pass, Act::Cheer { kind: 0, count: 7 });
    crowd.wait(6);
    assert_eq!(room.cheers.get(), 7);
    let snapshot = room.snapshot();
    assert!(snapshot.len() < 16 << 20, "{} bytes", snapshot.len());
    // What strangers took comes back once no client can ask for it.
    crowd.wait(700 + 200);
    let after = room.snapshot();
    assert!(after.len() < snapshot.len() / 2, "{} of {} bytes", after.len(), snapshot.len());
}

#[test]
fn an_outcome_is_forgotten_once_no_client_can_ask_for_it() {
    let mut harness = Harness::new();
    let fan = harness.fan(1);
    for number in 1..=64 {
        harness.send(fan, &wire::FanMessage::Act { number, act: Act::Cheer { kind: 99, count: 1 } });
    }
    harness.tick();
    harness.leave(fan);
    harness.wait(1000);
    let before = harness.root.snapshot().len();
    // A client sends an act again for ten minutes: until then a refused one must not count as taken.
    harness.wait(630_000);
    assert!(harness.root.snapshot().len() + 64 > before);
    harness.wait(60_000);
    assert!(harness.root.snapshot().len() + 64 < before);
}

#[test]
fn gifts_of_strangers_keep_nobody_from_giving() {
    let mut harness = Harness::new();
    let rose = Gift { id: GiftId(1), name: "rose", icon: "r", value: 1 };
    harness.owner(Moderation::SetGifts(List(vec![rose])));
    let give = |key| Act::Gift { gift: GiftId(1), count: 1, key };
    let regular = harness.fan(1);
    assert_eq!(harness.act(regular, give(1)), Taken);
    for fan in 2..=2000 {
        let fan = harness.join(0, stranger(fan));
        for key in 0..8 {
            harness.begin(fan, give(key));
        }
        harness.leave(fan);
    }
    assert_eq!(harness.act(regular, give(1)), Rejected(Reason::AlreadyCounted));
    assert_eq!(harness.act(regular, give(2)), Taken);
    let size = harness.root.snapshot().len();
    // One fan's keys are bounded: the oldest go.
    for key in 100..1100 {
        assert_eq!(harness.act(regular, give(key)), Taken);
        harness.wait(450);
    }
    assert!(harness.root.snapshot().len() < size + 32 * 1024);
    assert_eq!(harness.act(regular, give(1099)), Rejected(Reason::AlreadyCounted));
}

#[test]
fn a_poll_of_named_fans_counts_no_stranger() {
    let mut harness = Harness::new();
    let options = List(vec!["yes", "no"]);
    harness.owner(Moderation::OpenPoll { question: "?", options, seconds: 60, choice: Choice::NamedFinal });
    let vote = Act::Vote { poll: PollId(1), option: 1 };
    let (named, other) = (harness.fan(1), harness.join(0, stranger(2)));
    assert_eq!(harness.act(named, vote.clone()), Taken);
    assert_eq!(harness.act(named, vote.clone()), Rejected(Reason::AlreadyVoted));
    assert_eq!(harness.act(other, vote), Rejected(Reason::NotAllowed));
    assert_eq!(harness.pulse().poll.expect("a poll").votes.0, [0, 1]);
    let shown = harness.stage().poll.expect("a poll").choice;
    assert!(shown.who() == Who::Named && shown.is_final(), "the result says who was counted");
}

#[test]
fn strangers_have_half_of_the_questions_and_of_the_held_lines() {
    let mut harness = Harness::new();
    let strangers: Vec<_> = (1..=150).map(|fan| harness.join(0, stranger(fan))).collect();
    let fan = harness.fan(1001);
    let asked = strangers.iter().filter(|fan| harness.act(**fan, Act::Ask { text: "why?" }) == Taken).count();
    assert_eq!(harness.act(fan, Act::Ask { text: "why?" }), Taken);
    harness.owner(Moderation::SetModes(Modes { hold_all: true, ..Modes::default() }));
    let held = strangers.iter().filter(|fan| harness.say(**fan, "hello") == Held).count();
    assert_eq!((asked, held), (50, 100));
    assert_eq!(harness.say(fan, "hello"), Held);
}

#[test]
fn strangers_have_half_of_the_lines_of_a_room() {
    let mut harness = Harness::new();
    let say =
        |harness: &mut Harness, fan| harness.begin(fan, Act::Say(Say { text: "hello", ..Say::default() }));
    let strangers: Vec<_> = (1..=300).map(|fan| harness.join(0, stranger(fan))).collect();
    let fan = harness.fan(1001);
    harness.wait(10_000);
    for fan in strangers {
        say(&mut harness, fan);
    }
    harness.tick();
    let taken = harness.texts().len();
    assert!((200..220).contains(&taken), "{taken} lines");
    assert_eq!(harness.say(fan, "hello, too"), Taken);
}

#[test]
fn names_of_moderators_are_reserved() {
    let mut harness = Harness::new();
    let creator = Identity { role: Role::Creator, name: "Ada Lovelace", ..identity(1) };
    let creator = harness.join(0, creator);
    assert_eq!(harness.act(creator, Act::Cheer { kind: 0, count: 1 }), Taken);
    let fan = harness.join(0, stranger(2));
    for name in ["Ada Lovelace", "ada  lovelace", "ＡＤＡ\u{a0}Lovelace", "AdaLovelace", "Ada_Lovelace!"] {
        let rejected = harness.act(fan, Act::Rename { name });
        assert_eq!(rejected, Rejected(Reason::NotAllowed), "{name}");
        harness.wait(600);
    }
    let restored = Room::restore(Config::new(Seat::Root), &harness.root.snapshot());
    harness.root = restored.expect("our own snapshot");
    assert_eq!(harness.act(fan, Act::Rename { name: "ADA LOVELACE" }), Rejected(Reason::NotAllowed));
    assert_eq!(harness.act(fan, Act::Rename { name: "Ada" }), Taken);
}

#[test]
fn names_of_moderators_who_only_watch_are_reserved() {
    let mut harness = Harness::new();
    let fan = harness.join(0, stranger(2));
    assert_eq!(harness.act(fan, Act::Rename { name: "Ada!" }), Taken);
    assert_eq!(harness.say(fan, "I am Ada"), Taken);
    harness.join(1, Identity { role: Role::Creator, name: "Ada", ..identity(1) });
    harness.wait(100);
    // The fan who has the name already loses it, and gets it back by no means.
    assert_eq!(harness.say(fan, "and still am"), Taken);
    let names: Vec<_> = harness.lines().iter().map(|line| line.name.to_owned()).collect();
    assert_eq!(names, ["Ada!", ""]);
    assert_eq!(harness.act(fan, Act::Rename { name: "ada" }), Rejected(Reason::NotAllowed));
}

#[test]
fn a_fan_acts_in_few_connections_at_once() {
    let mut harness = Harness::new();
    let cheer = Act::Cheer { kind: 0, count: 1 };
    for _ in 0..8 {
        let fan = harness.join(0, identity(1));
        assert_eq!(harness.act(fan, cheer.clone()), Taken);
    }
    let ninth = harness.join(0, identity(1));
    harness.begin(ninth, cheer.clone());
    harness.tick();
    assert_eq!(harness.closed[&ninth], wire::worker::Close::Full);
    harness.leave(crate::harness::At { edge: 0, session: SessionId(0) });
    let tenth = harness.join(0, identity(1));
    assert_eq!(harness.act(tenth, cheer), Taken);
}

/// Fans who leave with their edge are released a few at a time, and a fan who returns meanwhile stays.
#[test]
fn fans_of_a_lost_edge_are_released_in_parts() {
    let mut room = Room::new(root_config());
    let mut handle = |now: u64, inputs: &[Input<'_>]| {
        let mut effects = Vec::new();
        room.handle(Micros::from_secs(now), &packed(inputs), &mut effects).expect("a batch");
        known::<Effect<'_>>(&effects)
            .filter(|effect| matches!(effect, Effect::Archive(Row::Visited { .. })))
            .count()
    };
    let edge = EdgeId(1);
    handle(1, &[Input::Opened, Input::EdgeJoined { edge, incarnation: 1 }]);
    for sequence in 1..=50 {
        let head = Up::Head { edge, incarnation: 1, sequence, oldest: sequence, at: Micros(0) };
        let mut packet = wire::packet(&head);
        for at in (sequence - 1) * 1000..sequence * 1000 {
            let session = SessionId(at as u32);
            let (fan, stream) = (FanId(at + 1), wire::StreamId(at));
            wire::put(&mut packet, &Up::Attach { session, fan, stream, next: 1, role: Role::Fan });
            let visit = wire::Visit { total_ms: 5, ..Default::default() };
            wire::put(&mut packet, &Up::Stayed { session, visit });
        }
        handle(2, &[Input::Delta { edge, packet: &packet }]);
    }
    let mut released = vec![handle(3, &[Input::EdgeJoined { edge, incarnation: 2 }])];
    for _ in 0..60 {
        released.push(handle(3, &[Input::Tick]));
    }
    assert_eq!(released.iter().sum::<usize>(), 50_000);
    assert!(released.iter().all(|part| *part <= 1000), "{released:?}");
}

/// Snapshots of the first layout, as deployed rooms have them, stay readable.
#[test]
fn snapshots_of_the_first_layout_are_restored() {
    let first = include_bytes!("first_layout.snapshot");
    let mut room = Room::restore(root_config(), first).expect("a snapshot of the first layout");
    let now = snapshot_is_stable(&room);
    let mut effects = Vec::new();
    room.handle(Micros::from_secs(1_800_000_000), &packed(&[Input::Opened, Input::Tick]), &mut effects)
        .expect("a batch");
    let opened = known::<Effect<'_>>(&effects).any(|effect| {
        matches!(effect, Effect::Publish { track: Track::Chat, group: Group::New, object } if object.len() > 100)
    });
    assert!(opened, "its lines are there");
    // The state that the first layout has comes first, so that an older room reads it.
    let same = now.iter().zip(first).take_while(|(a, b)| a == b).count();
    assert!(same > 64, "{same} bytes");
}

fn snapshot_is_stable(room: &Room) -> Vec<u8> {
    let now = room.snapshot();
    let again = Room::restore(root_config(), &now).expect("our own snapshot");
    assert!(again.snapshot() == now);
    now
}

#[test]
fn a_clock_that_was_ahead_for_a_moment_stops_nothing() {
    let mut harness = Harness::new();
    let options = List(vec!["yes", "no"]);
    let fan = harness.fan(1);
    let year = 365 * 24 * 3600 * 1000;
    harness.now += year;
    harness.owner(Moderation::OpenPoll { question: "?", options, seconds: 60, choice: Choice::Final });
    harness.owner(Moderation::SetModes(Modes { slow_seconds: 10, ..Modes::default() }));
    assert_eq!(harness.say(fan, "from the future"), Taken);
    harness.now -= year;
    harness.tick();
    harness.owner(Moderation::SetTitle("now"));
    assert_eq!(harness.stage().title, "now");
    let vote = harness.act(fan, Act::Vote { poll: PollId(1), option: 0 });
    assert_eq!(vote, Taken);
    harness.wait(12_000);
    assert_eq!(harness.say(fan, "in time"), Taken);
    assert_eq!(harness.pulse().poll.expect("a poll").votes.0, [1, 0]);
    // The poll has lost its end, and gets the latest that it may have.
    harness.now += 24 * 3600 * 1000;
    harness.wait(500);
    assert!(!harness.pulse().poll.expect("a poll").open);
}

#[test]
fn an_answer_that_is_not_kept_is_given_again_from_the_streams() {
    let mut room = Room::new(root_config());
    let (edge, mut random) = (EdgeId(1), SplitMix64(1));
    let mut handle = |inputs: &[Input<'_>]| {
        let mut effects = Vec::new();
        room.handle(Micros::from_secs(1), &packed(inputs), &mut effects).expect("a batch");
        known::<Effect<'_>>(&effects)
            .filter_map(|effect| match effect {
                Effect::ToEdge { packet, .. } => Some(packet.to_vec()),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    handle(&[Input::Opened, Input::EdgeJoined { edge, incarnation: 1 }]);
    let delta = |sequence: u64, entries: &[Up<'_>]| {
        let mut packet = wire::packet(&Up::Head { edge, incarnation: 1, sequence, oldest: 1, at: Micros(0) });
        for entry in entries {
            wire::put(&mut packet, entry);
        }
        packet
    };
    let session = SessionId(0);
    let stream = wire::StreamId(random.number());
    let first = delta(
        1,
        &[
            Up::Attach { session, fan: FanId(1), stream, next: 1, role: Role::Fan },
            Up::Known { session, name: "somebody", anonymous: false },
            Up::Settle { session, number: 1, reason: Reason::Empty },
            Up::Act { session, number: 2, screen: Screen::Pass, act: Act::Cheer { kind: 0, count: 3 } },
        ],
    );
    let answer = handle(&[Input::Delta { edge, packet: &first }]);
    for sequence in 2..=600 {
        handle(&[Input::Delta { edge, packet: &delta(sequence, &[Up::Detach { session: SessionId(9) }]) }]);
    }
    let again = handle(&[Input::Delta { edge, packet: &first }]);
    let without_mark = |answer: &[Vec<u8>]| {
        known::<Down<'_>>(&answer[0]).filter(|down| !matches!(down, Down::Attached { .. })).count()
    };
    assert_eq!(without_mark(&again), without_mark(&answer));
    let downs: Vec<Down<'_>> = known(&again[0]).collect();
    assert!(downs.contains(&Down::Rejected { session, number: 1, reason: Reason::Empty }), "{downs:?}");
    assert!(downs.iter().any(|down| matches!(down, Down::Attached { mark: 2, .. })), "{downs:?}");
}
