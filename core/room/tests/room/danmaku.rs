//! Danmaku: lanes, and no more lines over the picture than lanes are free.

use wire::{Act, Danmaku, DanmakuSize, Lane, Reason, Say, limits};

use crate::harness::{At, Harness, Outcome, Rejected, Taken};

fn fly(harness: &mut Harness, fan: At, text: &str, danmaku: Danmaku) -> Outcome {
    harness.act(fan, Act::Say(Say { text, danmaku: Some(danmaku), ..Say::default() }))
}

#[test]
fn danmaku_lanes() {
    let mut harness = Harness::new();
    let fan = harness.fan(1);
    let third = Danmaku { lane: Lane::At(3), colour: 2, size: DanmakuSize::Small };
    assert_eq!(fly(&mut harness, fan, "one", third), Taken);
    assert_eq!(fly(&mut harness, fan, "two", third), Taken);
    harness.wait(600);
    assert_eq!(fly(&mut harness, fan, "three", third), Taken);
    let flown: Vec<_> = harness.lines().iter().map(|line| line.danmaku).collect();
    assert_eq!(flown, [Some(third), None, Some(third)], "the lane was taken: a chat line only");
}

#[test]
fn danmaku_density() {
    let mut harness = Harness::new();
    let fans: Vec<_> = (0..40).map(|id| harness.fan(id)).collect();
    let say = |text| Act::Say(Say { text, danmaku: Some(Danmaku::default()), ..Say::default() });
    for fan in &fans {
        harness.begin(*fan, say("wow"));
    }
    harness.tick();
    let mut lanes: Vec<_> =
        harness.lines().iter().filter_map(|line| line.danmaku).map(|danmaku| danmaku.lane).collect();
    assert_eq!(harness.texts().len(), 40, "all are said");
    lanes.sort_by_key(|lane| format!("{lane:?}"));
    lanes.dedup();
    assert_eq!(lanes.len(), usize::from(limits::LANES), "each lane once");
}

#[test]
fn danmaku_out_of_range() {
    let mut harness = Harness::new();
    let (fan, moderator) = (harness.fan(1), harness.moderator(2));
    let lane = Danmaku { lane: Lane::At(limits::LANES), ..Danmaku::default() };
    let colour = Danmaku { colour: limits::COLOURS, ..Danmaku::default() };
    let large = Danmaku { size: DanmakuSize::Large, ..Danmaku::default() };
    assert_eq!(fly(&mut harness, fan, "a", lane), Rejected(Reason::OutOfRange));
    assert_eq!(fly(&mut harness, fan, "b", colour), Rejected(Reason::OutOfRange));
    assert_eq!(fly(&mut harness, fan, "c", large), Rejected(Reason::NotAllowed));
    assert_eq!(fly(&mut harness, moderator, "d", large), Taken);
}
