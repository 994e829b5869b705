//! The same inputs give the same effects and snapshots.

use std::collections::BTreeSet;

use room::rehearsal::{Batch, Script, SplitMix64, leaf_config, perform, root_config};
use room::{Config, Room};
use wire::worker::{Effect, Row};
use wire::{EdgeMessage, Micros, TrackItem};

use crate::harness::known;
use crate::net::{Faults, Net};
use crate::seeds::seeds;

const TICKS: u32 = 400;

fn handle(room: &mut Room, now: Micros, inputs: &[u8]) -> Vec<u8> {
    let mut effects = Vec::new();
    room.handle(now, inputs, &mut effects).expect("a batch of the rehearsal");
    effects
}

fn digest(config: Config, log: &[Batch]) -> u64 {
    perform(log, &mut Room::new(config), handle, |room| room.snapshot())
}

#[test]
fn determinism_of_a_log() {
    seeds(0..20, |seed| {
        let (once, again) = (Script::new(seed, TICKS), Script::new(seed, TICKS));
        let digests =
            |script: &Script| [digest(leaf_config(), &script.leaf), digest(root_config(), &script.root)];
        assert_eq!(digests(&once), digests(&again));
        let other = Script::new(seed + 1000, TICKS);
        assert_ne!(digests(&once)[0], digests(&other)[0]);
        assert_ne!(digests(&once)[1], digests(&other)[1]);
    });
}

/// A room that is repeatedly replaced by its restored snapshot continues as one that is not.
#[test]
fn determinism_through_snapshots() {
    seeds(0..20, |seed| {
        let script = Script::new(seed, TICKS);
        for (config, log) in [(leaf_config(), &script.leaf), (root_config(), &script.root)] {
            let mut rng = SplitMix64(seed);
            let exchanged = |room: &mut Room, now: Micros, inputs: &[u8]| {
                if rng.percent(10) {
                    *room = Room::restore(config, &room.snapshot()).expect("our own snapshot");
                }
                handle(room, now, inputs)
            };
            let through = perform(log, &mut Room::new(config), exchanged, |room| room.snapshot());
            assert_eq!(through, digest(config, log));
        }
    });
}

#[test]
fn determinism_of_a_whole_net() {
    let faults = Faults {
        lost: 10,
        doubled: 10,
        fan_moves: 20,
        edge_crashes: 4,
        root_crashes: 2,
        ..Faults::default()
    };
    seeds(0..50, |seed| assert_eq!(Net::run(seed, faults).trace, Net::run(seed, faults).trace));
}

/// The log covers enough: one in which little happens would prove little.
#[test]
fn determinism_is_of_everything() {
    let mut seen = BTreeSet::new();
    let mut see = |thing: String| {
        let kind: String = thing.chars().take_while(|c| c.is_alphanumeric()).collect();
        seen.insert(kind);
    };
    for seed in 0..8 {
        let script = Script::new(seed, TICKS);
        for (config, log) in [(leaf_config(), &script.leaf), (root_config(), &script.root)] {
            let mut room = Room::new(config);
            for batch in log {
                for effect in known::<Effect<'_>>(&handle(&mut room, batch.now, &batch.inputs)) {
                    match effect {
                        Effect::Archive(row) => see(format!("{row:?}")),
                        Effect::ToFan { packet, .. } => {
                            for word in known::<EdgeMessage<'_>>(packet) {
                                see(format!("{word:?}"));
                                if let EdgeMessage::Rejected { reason, .. } = word {
                                    see(format!("{reason:?}"));
                                }
                            }
                        }
                        Effect::Publish { object, .. } => {
                            known::<TrackItem<'_>>(object).for_each(|item| see(format!("{item:?}")));
                        }
                        other => see(format!("{other:?}")),
                    }
                }
            }
        }
    }
    let expected = "Acked Asked AlreadyCounted AlreadyVoted Audit Banned Blocked Characters CloseFan Deleted Empty \
        EmojiOnly FollowersOnly Forgotten Gifted Held Links Log NotAllowed NotFound OutOfRange PollClosed PollOpened \
        PollOption Pulse Purged QuestionDone Rejected Repeated Restart Review Said Seen SlowMode Stage Standing \
        TimedOut ToEdge ToRoot TooFast Visited Voted Welcome";
    let missing: Vec<&str> = expected.split_whitespace().filter(|kind| !seen.contains(*kind)).collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
}

/// The numbers of archived lines only increase.
#[test]
fn determinism_of_the_archive() {
    let script = Script::new(3, TICKS);
    let mut room = Room::new(root_config());
    let mut last = 0;
    for batch in &script.root {
        for effect in known::<Effect<'_>>(&handle(&mut room, batch.now, &batch.inputs)) {
            if let Effect::Archive(Row::Said { id, .. }) = effect {
                assert!(id.0 > last, "places only go up");
                last = id.0;
            }
        }
    }
    assert!(last > 50, "{last} lines");
}
