//! Readers skip messages, fields and values that are newer than they are.

use serde::{Deserialize, Serialize};
use wire::{Act, Down, EdgeMessage, FanMessage, Frame, Frames, SessionId, TrackItem, Up, packet, put, start};

use crate::samples;

/// Checks that the samples cover every kind from 0 on, and that the kind after the last is unknown.
fn whole_and_open<T: Serialize>(samples: &[T], unknown: impl Fn(&[u8]) -> bool) {
    let mut kinds: Vec<u8> = samples.iter().map(|sample| packet(sample)[..].to_vec()).map(kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert!(kinds.iter().copied().eq(0..kinds.len() as u8), "kinds without a sample: {kinds:?}");
    let newer = [1, 3, kinds.len() as u8, 7, 7];
    assert!(unknown(&newer), "kind {} is known, and has no sample", kinds.len());
}

/// Returns the kind of a packet's first message: the byte after the version and the length.
fn kind(packet: Vec<u8>) -> u8 {
    let length = packet[1..].iter().take_while(|byte| **byte >= 0x80).count() + 1;
    packet[1 + length]
}

macro_rules! unknown {
    ($kind:ty) => {
        |bytes: &[u8]| {
            let mut frames = Frames::<$kind>::new(bytes).expect("our version");
            let unknown = matches!(frames.next(), Some(Ok(Frame::Unknown(_))));
            unknown && frames.next().is_none()
        }
    };
}

#[test]
fn newer_kinds_are_unknown_and_all_others_have_samples() {
    whole_and_open(&samples::fan(), unknown!(FanMessage<'_>));
    whole_and_open(&samples::edge(), unknown!(EdgeMessage<'_>));
    whole_and_open(&samples::up(), unknown!(Up<'_>));
    whole_and_open(&samples::down(), unknown!(Down<'_>));
    whole_and_open(&samples::track(), unknown!(TrackItem<'_>));
    whole_and_open(&samples::input(), unknown!(wire::worker::Input<'_>));
    whole_and_open(&samples::effect(), unknown!(wire::worker::Effect<'_>));
    whole_and_open(&samples::moderation(), unknown!(wire::Moderation<'_>));
    whole_and_open(&samples::reasons(), unknown!(wire::Reason));
}

#[test]
fn a_newer_act_still_has_a_number() {
    // Kind 2, number 300, and act 200, which is unknown.
    let mut frames = vec![1];
    put(&mut frames, &(2u32, 300u64, 200u32, "what?"));
    put(&mut frames, &FanMessage::Act { number: 301, act: Act::Cheer { kind: 0, count: 1 } });
    let mut read = Frames::<FanMessage<'_>>::new(&frames).expect("our version");
    let Some(Ok(Frame::Unknown(frame))) = read.next() else { panic!("an act that is not known") };
    assert_eq!(FanMessage::number_of_unknown(frame), Some(300));
    let next = read.next().expect("a frame").expect("that can be read");
    assert_eq!(next, Frame::Known(FanMessage::Act { number: 301, act: Act::Cheer { kind: 0, count: 1 } }));

    let delta = packet(&(3u32, SessionId(9), 300u64, 0u32, 200u32));
    let mut read = Frames::<Up<'_>>::new(&delta).expect("our version");
    let Some(Ok(Frame::Unknown(frame))) = read.next() else { panic!("an act that is not known") };
    assert_eq!(Up::number_of_unknown(frame), Some((SessionId(9), 300)));
    assert_eq!(Up::number_of_unknown(&[9, 1, 1]), None, "no act");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Older {
    Ping { a: u8 },
}

#[derive(Serialize)]
enum Newer {
    Ping { a: u8, b: &'static str },
}

#[test]
fn newer_fields_are_not_seen() {
    let mut frames = Vec::new();
    start(&mut frames);
    put(&mut frames, &Newer::Ping { a: 1, b: "new" });
    put(&mut frames, &Newer::Ping { a: 2, b: "" });
    let read: Vec<_> = Frames::<Older>::new(&frames).expect("our version").map(Result::unwrap).collect();
    assert_eq!(read, [Frame::Known(Older::Ping { a: 1 }), Frame::Known(Older::Ping { a: 2 })]);
}
