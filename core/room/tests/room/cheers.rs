//! Cheers: any number of likes and emoji, each counted.

use wire::{Act, Reason, limits};

use crate::harness::{Harness, Rejected, Taken};

#[test]
fn cheers_are_counted_by_kind_and_fan() {
    let mut harness = Harness::new();
    let (a, b) = (harness.fan(1), harness.fan(2));
    for _ in 0..3 {
        assert_eq!(harness.act(a, Act::Cheer { kind: 0, count: 5 }), Taken);
    }
    assert_eq!(harness.act(b, Act::Cheer { kind: 3, count: 100 }), Taken);
    let pulse = harness.pulse();
    assert_eq!(pulse.cheers.0, [15, 0, 0, 100]);
    let top: Vec<_> = pulse.top_cheerers.iter().map(|top| (top.fan.0, top.amount)).collect();
    assert_eq!(top, [(2, 100), (1, 15)]);
    assert_eq!(pulse.rates.cheers, 115);
    harness.wait(12_000);
    assert_eq!(harness.pulse().rates.cheers, 0);
}

#[test]
fn cheers_out_of_range() {
    let mut harness = Harness::new();
    let fan = harness.fan(1);
    for (kind, count) in [(0, 0), (0, limits::CHEERS + 1), (limits::CHEER_KINDS as u8, 1), (255, 1)] {
        assert_eq!(harness.act(fan, Act::Cheer { kind, count }), Rejected(Reason::OutOfRange));
    }
    assert!(harness.pulse().cheers.is_empty());
}

#[test]
fn cheers_rate_is_of_cheers_not_of_messages() {
    let mut harness = Harness::new();
    let fan = harness.fan(1);
    let outcomes: Vec<_> = (0..5).map(|_| harness.act(fan, Act::Cheer { kind: 0, count: 100 })).collect();
    assert_eq!(outcomes[..3], [Taken, Taken, Taken]);
    assert!(matches!(outcomes[3], Rejected(Reason::TooFast { .. })));
    assert_eq!(harness.pulse().cheers.0, [300]);
}
