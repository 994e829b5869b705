//! Gifts: from the catalogue, never counted twice, never lost.

use wire::worker::Row;
use wire::{Act, Gift, GiftId, List, Moderation, Reason, TrackItem};

use crate::harness::{Harness, Rejected, Taken, identity};

const ROSE: Gift<'_> = Gift { id: GiftId(1), name: "rose", icon: "🌹", value: 10 };
const ROCKET: Gift<'_> = Gift { id: GiftId(7), name: "rocket", icon: "🚀", value: 500 };

fn give(gift: u16, count: u16, key: u64) -> Act<'static> {
    Act::Gift { gift: GiftId(gift), count, key }
}

#[test]
fn gifts_of_the_catalogue() {
    let mut harness = Harness::new();
    let (a, b) = (harness.fan(1), harness.fan(2));
    assert_eq!(harness.act(a, give(1, 1, 1)), Rejected(Reason::NotFound), "there is no catalogue");
    harness.owner(Moderation::SetGifts(List(vec![ROSE, ROCKET])));
    assert_eq!(harness.stage().gifts.0, [ROSE, ROCKET]);
    assert_eq!(harness.act(a, give(1, 30, 2)), Taken);
    assert_eq!(harness.act(b, give(7, 1, 2)), Taken, "keys are the fan's own");
    assert_eq!(harness.act(b, give(1, 0, 3)), Rejected(Reason::OutOfRange));
    let pulse = harness.pulse();
    assert_eq!(pulse.gifts.0, [(GiftId(1), 30), (GiftId(7), 1)]);
    let top: Vec<_> = pulse.top_gifters.iter().map(|top| (top.fan.0, top.amount)).collect();
    assert_eq!(top, [(2, 500), (1, 300)], "by value");
    let shown = harness.items().into_iter().filter(|item| matches!(item, TrackItem::Gifted { .. })).count();
    let kept = harness.rows().into_iter().filter(|row| matches!(row, Row::Gifted { .. })).count();
    assert_eq!((shown, kept), (2, 2));
}

#[test]
fn gifts_once_by_key() {
    let mut harness = Harness::new();
    harness.owner(Moderation::SetGifts(List(vec![ROSE])));
    let first = harness.fan(1);
    assert_eq!(harness.act(first, give(1, 5, 77)), Taken);
    harness.leave(first);
    // The page was reloaded, and does not know whether the gift was taken.
    let again = harness.join(0, identity(1));
    assert_eq!(harness.act(again, give(1, 5, 77)), Rejected(Reason::AlreadyCounted));
    assert_eq!(harness.act(again, give(1, 5, 78)), Taken);
    assert_eq!(harness.pulse().gifts.0, [(GiftId(1), 10)]);
}

#[test]
fn gifts_catalogue_is_the_creators() {
    let mut harness = Harness::new();
    let moderator = harness.moderator(1);
    let set = |gifts| Moderation::SetGifts(List(gifts));
    assert_eq!(harness.moderate(moderator, set(vec![ROSE])), Rejected(Reason::NotAllowed));
    harness.owner(set(vec![ROSE, ROSE]));
    assert_eq!(harness.warnings.len(), 1, "one number, two gifts");
    assert!(harness.stage().gifts.is_empty());
}
