//! Lines over the picture: lanes, and no more than there is room for.

use wire::{Act, Danmaku, DanmakuSize, Lane, Reason, Say, limits};

use crate::house::{At, House, Outcome, Rejected, Taken};

fn fly(house: &mut House, fan: At, text: &str, danmaku: Danmaku) -> Outcome {
    house.act(fan, Act::Say(Say { text, danmaku: Some(danmaku), ..Say::default() }))
}

#[test]
fn danmaku_lanes() {
    let mut house = House::new();
    let fan = house.fan(1);
    let third = Danmaku { lane: Lane::At(3), colour: 2, size: DanmakuSize::Small };
    assert_eq!(fly(&mut house, fan, "one", third), Taken);
    assert_eq!(fly(&mut house, fan, "two", third), Taken);
    house.wait(600);
    assert_eq!(fly(&mut house, fan, "three", third), Taken);
    let flown: Vec<_> = house.lines().iter().map(|line| line.danmaku).collect();
    assert_eq!(flown, [Some(third), None, Some(third)], "the lane was taken: a chat line only");
}

#[test]
fn danmaku_density() {
    let mut house = House::new();
    let fans: Vec<_> = (0..40).map(|id| house.fan(id)).collect();
    let say = |text| Act::Say(Say { text, danmaku: Some(Danmaku::default()), ..Say::default() });
    for fan in &fans {
        house.begin(*fan, say("wow"));
    }
    house.tick();
    let mut lanes: Vec<_> =
        house.lines().iter().filter_map(|line| line.danmaku).map(|danmaku| danmaku.lane).collect();
    assert_eq!(house.texts().len(), 40, "all are said");
    lanes.sort_by_key(|lane| format!("{lane:?}"));
    lanes.dedup();
    assert_eq!(lanes.len(), usize::from(limits::LANES), "each lane once");
}

#[test]
fn danmaku_out_of_range() {
    let mut house = House::new();
    let (fan, moderator) = (house.fan(1), house.moderator(2));
    let lane = Danmaku { lane: Lane::At(limits::LANES), ..Danmaku::default() };
    let colour = Danmaku { colour: limits::COLOURS, ..Danmaku::default() };
    let large = Danmaku { size: DanmakuSize::Large, ..Danmaku::default() };
    assert_eq!(fly(&mut house, fan, "a", lane), Rejected(Reason::OutOfRange));
    assert_eq!(fly(&mut house, fan, "b", colour), Rejected(Reason::OutOfRange));
    assert_eq!(fly(&mut house, fan, "c", large), Rejected(Reason::NotAllowed));
    assert_eq!(fly(&mut house, moderator, "d", large), Taken);
}
