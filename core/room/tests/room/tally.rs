//! Measurements: right even if reports arrive twice, late or in another order.

use proptest::prelude::*;
use room::rehearsal::SplitMix64;
use room::tally::{Sketch, Tally, Uniques};
use wire::worker::{Input, Row};
use wire::{Act, Beat, EdgeId, FanId, FanMessage, Playing, Report, Visit};

use crate::harness::{Harness, Taken, identity};

/// Returns an edge's reports in order, across incarnations.
fn history(rng: &mut SplitMix64, edge: u64) -> Vec<impl Fn(&mut Tally) + Clone + use<>> {
    let (mut incarnation, mut sequence, mut time, mut said) = (1, 0, Visit::default(), Vec::new());
    let mut latency = Sketch::default();
    for _ in 0..rng.between(1, 12) {
        if rng.percent(20) {
            (incarnation, sequence, time) = (incarnation + 1, 0, Visit::default());
            latency = Sketch::default();
        }
        sequence += 1;
        time.total_ms += rng.below(1000);
        time.watched_ms += rng.below(500);
        time.active_ms += rng.below(100);
        latency.insert(rng.below(3000) as u32);
        let report = Report { viewers: rng.below(100) as u32, time };
        let (sketch, fan) = (latency.clone(), FanId(rng.below(40)));
        said.push((edge, incarnation, sequence, report, sketch, fan));
    }
    let apply =
        |(edge, incarnation, sequence, report, sketch, fan): (u64, u64, u64, Report, Sketch, FanId)| {
            move |tally: &mut Tally| {
                tally.report(EdgeId(edge), incarnation, sequence, &report);
                tally.latency(EdgeId(edge), incarnation, sketch.clone());
                tally.uniques.insert(fan);
            }
        };
    said.into_iter().map(apply).collect()
}

fn tally(seed: u64) -> Tally {
    let mut rng = SplitMix64(seed);
    let mut tally = Tally::default();
    for edge in 0..rng.between(1, 5) {
        for say in history(&mut rng, edge) {
            say(&mut tally);
        }
    }
    tally
}

fn merged(a: &Tally, b: &Tally) -> Tally {
    let mut sum = a.clone();
    sum.merge(b);
    sum
}

proptest! {
    #[test]
    fn tally_merge_is_commutative(a: u64, b: u64) {
        let (a, b) = (tally(a), tally(b));
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
    }

    #[test]
    fn tally_merge_is_associative(a: u64, b: u64, c: u64) {
        let (a, b, c) = (tally(a), tally(b), tally(c));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
    }

    #[test]
    fn tally_merge_is_idempotent(a: u64, b: u64) {
        let (a, b) = (tally(a), tally(b));
        prop_assert_eq!(&merged(&a, &a), &a);
        let once = merged(&a, &b);
        prop_assert_eq!(&merged(&once, &b), &once);
    }

    /// Reports of several edges arrive interleaved, and some again.
    #[test]
    fn tally_of_any_interleaving(seed: u64) {
        let mut rng = SplitMix64(seed);
        let edges: Vec<_> = (0..4).map(|edge| history(&mut rng, edge)).collect();
        let mut in_turn = Tally::default();
        edges.iter().flatten().for_each(|say| say(&mut in_turn));
        let mut mixed = Tally::default();
        let mut said = [0; 4];
        while (0..4).any(|edge| said[edge] < edges[edge].len()) {
            let edge = rng.below(4) as usize;
            if said[edge] < edges[edge].len() {
                edges[edge][said[edge]](&mut mixed);
                said[edge] += 1;
            }
            // A report arrives again; within the same incarnation it adds nothing.
            if said[edge] > 0 {
                edges[edge][said[edge] - 1](&mut mixed);
            }
        }
        prop_assert_eq!(in_turn, mixed);
    }

    #[test]
    fn tally_uniques_merge_is_that_of_all(a in prop::collection::vec(any::<u64>(), 0..4000), split: usize) {
        let split = split % (a.len() + 1);
        let count = |fans: &[u64]| {
            let mut uniques = Uniques::default();
            for fan in fans {
                uniques.insert(FanId(*fan));
            }
            uniques
        };
        let (mut left, right, all) = (count(&a[..split]), count(&a[split..]), count(&a));
        left.merge(&right);
        prop_assert_eq!(&left, &all);
        let mut other = right;
        other.merge(&count(&a[..split]));
        prop_assert_eq!(&other, &all);
    }
}

/// Estimates lie within one percent: more than one in a thousand beyond 2.5 standard errors would be a fault
/// in the code.
#[test]
fn tally_uniques_within_a_percent() {
    let mut squares = 0.0;
    let mut measured = 0;
    for run in 0..12u64 {
        let mut uniques = Uniques::default();
        let mut next = 1;
        for n in 1..=200_000u64 {
            // Consecutive numbers: the worst that a host can supply.
            uniques.insert(FanId(run * 1_000_000 + n));
            if n == next {
                let error = (uniques.estimate() as f64 - n as f64) / n as f64;
                assert!(error.abs() < 0.033, "{n} are taken for {}", uniques.estimate());
                if n >= 1000 {
                    squares += error * error;
                    measured += 1;
                }
                next = next * 3 / 2 + 1;
            }
        }
    }
    let error = (squares / f64::from(measured)).sqrt();
    assert!(error < 0.01, "the standard error is {error}");
}

#[test]
fn tally_uniques_of_few_are_exact() {
    let mut uniques = Uniques::default();
    assert_eq!(uniques.estimate(), 0);
    for n in 1..=50 {
        uniques.insert(FanId(n));
        uniques.insert(FanId(n));
        assert_eq!(uniques.estimate(), n);
    }
}

#[test]
fn tally_viewers_and_time() {
    let mut harness = Harness::new();
    let (a, b) = (harness.fan(1), harness.fan(2));
    let beat = |active_ms, playing| FanMessage::Beat(Beat { active_ms, playing, latency_ms: Some(80) });
    for _ in 0..10 {
        harness.wait(5000);
        harness.send(a, &beat(4000, Playing::Playing));
        harness.send(b, &beat(0, Playing::Paused));
    }
    harness.leave(b);
    let pulse = harness.pulse();
    assert_eq!((pulse.viewers, pulse.uniques), (1, 2));
    assert!((100..106).contains(&pulse.total_seconds), "{}", pulse.total_seconds);
    assert_eq!(pulse.watched_seconds, 50);
    assert!((380..=400).contains(&pulse.activity_permille), "{}", pulse.activity_permille);
    assert!(pulse.latency_p50_ms.abs_diff(80) <= 5);
    let row = harness.rows().into_iter().find_map(|row| match row {
        Row::Visited { fan: FanId(2), visit, .. } => Some(visit),
        _ => None,
    });
    let visit = row.expect("a visit");
    assert!(
        (50_000..51_000).contains(&visit.total_ms) && visit.active_ms == 0 && visit.watched_ms == 0,
        "{visit:?}"
    );
}

/// Interactions ÷ total time, of a fan and of the room.
#[test]
fn tally_interaction_frequency() {
    let mut harness = Harness::new();
    let fan = harness.fan(1);
    for _ in 0..30 {
        assert_eq!(harness.act(fan, Act::Cheer { kind: 0, count: 2 }), Taken);
        harness.wait(1950);
    }
    harness.leave(fan);
    let row = harness.rows().into_iter().find_map(|row| match row {
        Row::Visited { visit, interactions, .. } => Some((visit.total_ms, interactions)),
        _ => None,
    });
    let (total_ms, interactions) = row.expect("a visit");
    assert!((60_000..60_200).contains(&total_ms) && interactions == 30, "{total_ms}, {interactions}");
    let frequency = harness.pulse().interactions_per_1000_minutes;
    assert!((29_800..=30_000).contains(&frequency), "{frequency}");
}

/// Active time never exceeds the time in the room.
#[test]
fn tally_believes_no_impossible_beat() {
    let mut harness = Harness::new();
    let fan = harness.fan(1);
    harness.fan(2);
    harness.wait(10_000);
    for _ in 0..50 {
        let beat = Beat { active_ms: u32::MAX, playing: Playing::Playing, latency_ms: Some(u32::MAX) };
        harness.send(fan, &FanMessage::Beat(beat));
    }
    let pulse = harness.pulse();
    assert!(pulse.watched_seconds <= 10 && pulse.total_seconds >= 20, "one of two played");
    assert!(pulse.activity_permille <= 500, "{} ‰", pulse.activity_permille);
    assert!(pulse.latency_p99_ms <= 70_000);
}

/// Milliseconds after which the root no longer waits for an edge.
const EDGE_LINGER: u64 = wire::limits::RESEND_SECONDS * 1000;

#[test]
fn tally_of_an_edge_that_is_lost() {
    let mut harness = Harness::new();
    let fan = harness.fan(1);
    harness.fan(2);
    assert_eq!(harness.act(fan, Act::Cheer { kind: 0, count: 1 }), Taken);
    harness.wait(2000);
    assert_eq!(harness.pulse().viewers, 2);
    harness.root(&[Input::EdgeLeft { edge: EdgeId(fan.edge as u64) }]);
    assert_eq!(harness.pulse().viewers, 1, "the fans of an edge that is away are not counted");
    // The edge stays away: the root archives its fans' visits.
    harness.now += EDGE_LINGER;
    harness.root(&[Input::Tick]);
    let visited = |row: &Row<'_>| matches!(row, Row::Visited { fan: FanId(1), interactions: 1, .. });
    assert!(harness.rows().iter().any(visited));
}

/// A restored root counts the fans of an edge once it is linked again, or releases them: it may never come
/// back.
#[test]
fn tally_of_a_root_that_comes_back() {
    let mut harness = Harness::new();
    let fan = harness.fan(1);
    harness.fan(2);
    assert_eq!(harness.act(fan, Act::Cheer { kind: 0, count: 1 }), Taken);
    harness.wait(2000);
    harness.root(&[Input::Opened, Input::EdgeJoined { edge: EdgeId(0), incarnation: 1 }]);
    assert_eq!(harness.pulse().viewers, 1);
    harness.now += EDGE_LINGER;
    harness.root(&[Input::Tick]);
    let visited = |row: &Row<'_>| matches!(row, Row::Visited { fan: FanId(1), interactions: 1, .. });
    assert!(harness.rows().iter().any(visited));
}

#[test]
fn tally_counts_a_fan_with_two_tabs_once() {
    let mut harness = Harness::new();
    for edge in [0, 1, 0] {
        let tab = harness.join(edge, identity(7));
        assert_eq!(harness.act(tab, Act::Cheer { kind: 1, count: 3 }), Taken);
    }
    harness.wait(1000);
    let pulse = harness.pulse();
    assert_eq!((pulse.uniques, pulse.viewers, pulse.cheers.0.clone()), (1, 3, vec![0, 9]));
    assert_eq!(pulse.top_cheerers[0].amount, 9);
}
