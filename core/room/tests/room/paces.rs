//! Rates of one fan, over connections and edges.

use wire::worker::Identity;
use wire::{Act, Reason, Role};

use crate::harness::{At, Harness, Outcome, Rejected, Taken, identity};

fn cheer(count: u16) -> Act<'static> {
    Act::Cheer { kind: 0, count }
}

fn is_too_fast(outcome: Outcome) -> bool {
    matches!(outcome, Rejected(Reason::TooFast { .. }))
}

/// Connects a fan at both edges, four times each.
fn everywhere(harness: &mut Harness, fan: Identity<'_>) -> Vec<At> {
    (0..8).map(|at| harness.join(at % 2, fan)).collect()
}

#[test]
fn paces_of_a_fan_are_one_over_all_connections() {
    let mut harness = Harness::new();
    let all = everywhere(&mut harness, identity(1));
    let mut said = 0;
    for round in 0..3 {
        for (at, fan) in all.iter().enumerate() {
            said += usize::from(harness.say(*fan, &format!("{round} {at}")) == Taken);
        }
    }
    // 24 ticks of 50 ms: five at once, one more for clocks that differ, and one in a second.
    assert_eq!(said, 7);
    let other = harness.fan(2);
    assert_eq!(harness.say(other, "another fan has a pace of their own"), Taken);
    harness.restore();
    assert!(is_too_fast(harness.say(all[0], "a restart begins no other pace")));
    harness.wait(6000);
    assert_eq!(harness.say(all[1], "again"), Taken);
}

#[test]
fn paces_of_cheers_and_other_acts_are_apart() {
    let mut harness = Harness::new();
    let all = everywhere(&mut harness, identity(1));
    let cheered = all.iter().filter(|fan| harness.act(**fan, cheer(100)) == Taken).count();
    assert_eq!(cheered, 3, "300 at once, and 50 for clocks that differ");
    let upvote = Act::Upvote { question: wire::QuestionId(1) };
    let refused =
        (0..4).flat_map(|_| all.iter()).filter(|fan| is_too_fast(harness.act(**fan, upvote.clone()))).count();
    // 32 in 1.6 s: ten at once, two for clocks, and two in a second.
    assert_eq!(refused, 32 - 12 - 3);
    assert_eq!(harness.say(all[0], "a line"), Taken);
}

#[test]
fn paces_do_not_bind_moderators_but_for_cheers() {
    let mut harness = Harness::new();
    let all = everywhere(&mut harness, Identity { role: Role::Moderator, ..identity(1) });
    for (at, fan) in all.iter().enumerate() {
        assert_eq!(harness.say(*fan, &format!("order {at}")), Taken);
        assert_eq!(harness.say(*fan, &format!("and order {at}")), Taken);
    }
    let cheered = all.iter().filter(|fan| harness.act(**fan, cheer(100)) == Taken).count();
    assert_eq!(cheered, 3);
}

/// Acts that an edge let pass while its link was down come at once, and are refused no more than on a link that was up.
#[test]
fn paces_count_acts_when_the_edge_took_them() {
    let mut harness = Harness::new();
    let fan = harness.fan(2);
    assert_eq!(harness.say(fan, "before"), Taken);
    harness.cut(0);
    let numbers: Vec<_> = (0..10)
        .map(|at| {
            let text = format!("line {at}");
            let number = harness.begin(fan, Act::Say(wire::Say { text: &text, ..wire::Say::default() }));
            harness.wait(1000);
            number
        })
        .collect();
    harness.mend(0);
    harness.wait(200);
    for number in numbers {
        assert_eq!(harness.outcome(fan, number), Taken);
    }
}

#[test]
fn paces_survive_a_clock_that_was_ahead() {
    let mut harness = Harness::new();
    let fan = harness.fan(1);
    let year = 365 * 24 * 3600 * 1000;
    harness.now += year;
    assert_eq!(harness.act(fan, cheer(100)), Taken);
    harness.now -= year;
    harness.wait(10_000);
    assert_eq!(harness.act(fan, cheer(100)), Taken);
    harness.restore();
    assert_eq!(harness.act(fan, cheer(100)), Taken);
}
