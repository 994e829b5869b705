//! Every message decodes to the value that was encoded.

use std::fmt::Debug;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use wire::{
    Act, ChatId, Danmaku, DanmakuSize, Down, EdgeMessage, FanId, FanMessage, Frame, Frames, GiftId, Lane,
    Line, List, Micros, PollId, Role, Say, TrackItem, Up, packet, put, start,
};

use crate::samples;

fn same<'a, T: Deserialize<'a> + PartialEq + Debug>(written: &'a [u8], was: &[T]) {
    let read: Vec<_> = Frames::<T>::new(written).expect("our version").collect();
    assert_eq!(read.len(), was.len());
    for (read, was) in read.into_iter().zip(was) {
        match read {
            Ok(Frame::Known(read)) => assert_eq!(&read, was),
            other => panic!("{other:?} for {was:?}"),
        }
    }
}

fn all<T: Serialize>(messages: &[T]) -> Vec<u8> {
    let mut out = Vec::new();
    start(&mut out);
    for message in messages {
        put(&mut out, message);
    }
    out
}

#[test]
fn round_trip_samples() {
    same::<FanMessage<'_>>(&all(&samples::fan()), &samples::fan());
    same::<EdgeMessage<'_>>(&all(&samples::edge()), &samples::edge());
    same::<Up<'_>>(&all(&samples::up()), &samples::up());
    same::<Down<'_>>(&all(&samples::down()), &samples::down());
    same::<TrackItem<'_>>(&all(&samples::track()), &samples::track());
    same::<wire::worker::Input<'_>>(&all(&samples::input()), &samples::input());
    same::<wire::worker::Effect<'_>>(&all(&samples::effect()), &samples::effect());
}

fn danmaku() -> impl Strategy<Value = Option<Danmaku>> {
    let lane = prop_oneof![Just(Lane::Any), any::<u8>().prop_map(Lane::At)];
    let size = prop_oneof![Just(DanmakuSize::Small), Just(DanmakuSize::Normal), Just(DanmakuSize::Large)];
    prop::option::of((lane, any::<u8>(), size).prop_map(|(lane, colour, size)| Danmaku {
        lane,
        colour,
        size,
    }))
}

fn mentions() -> impl Strategy<Value = List<FanId>> {
    prop::collection::vec(any::<u64>().prop_map(FanId), 0..20).prop_map(List)
}

proptest! {
    #[test]
    fn round_trip_say(
        text in ".{0,400}",
        number: u64,
        reply in prop::option::of(any::<u64>().prop_map(ChatId)),
        mentions in mentions(),
        danmaku in danmaku(),
    ) {
        let act = Act::Say(Say { text: &text, reply, mentions, danmaku });
        let message = FanMessage::Act { number, act };
        same(&packet(&message), &[message]);
    }

    #[test]
    fn round_trip_numbers(number: u64, kind: u8, count: u16, gift: u16, key: u64, poll: u32, option: u8) {
        let acts = [
            Act::Cheer { kind, count },
            Act::Gift { gift: GiftId(gift), count, key },
            Act::Vote { poll: PollId(poll), option },
        ];
        let messages = acts.map(|act| FanMessage::Act { number, act });
        same(&all(&messages), &messages);
    }

    #[test]
    fn round_trip_line(
        id: u64, at: u64, fan: u64, name in ".{0,40}", text in ".{0,400}", mentions in mentions(), danmaku in danmaku(),
    ) {
        let line = Line {
            id: ChatId(id), at: Micros(at), fan: FanId(fan), name: &name, role: Role::Creator, text: &text,
            reply: None, mentions, danmaku,
        };
        let item = TrackItem::Said(line);
        same(&packet(&item), &[item]);
    }

    /// Frames whose length takes one, two and three bytes round-trip.
    #[test]
    fn round_trip_lengths(len in prop_oneof![0usize..300, 16_370usize..16_400, 60_000usize..60_010]) {
        let token = "x".repeat(len);
        let messages = [EdgeMessage::Token { token: &token }, EdgeMessage::Restart];
        same(&all(&messages), &messages);
    }
}
