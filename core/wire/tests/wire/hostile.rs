//! Hostile bytes: the reader refuses them without a panic and without memory.

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use wire::{
    Down, EdgeMessage, Error, FanMessage, Frame, Frames, List, TrackItem, Up, VERSION, limits, packet,
};

use crate::samples;

/// Reads all frames; checks that they are as long as the input, and that the iterator ends.
fn drain<'a, T: Deserialize<'a>>(bytes: &'a [u8]) {
    if let Ok(frames) = Frames::<T>::new(bytes) {
        assert!(frames.count() <= bytes.len());
    }
}

fn drain_all(bytes: &[u8]) {
    drain::<FanMessage<'_>>(bytes);
    drain::<EdgeMessage<'_>>(bytes);
    drain::<Up<'_>>(bytes);
    drain::<Down<'_>>(bytes);
    drain::<TrackItem<'_>>(bytes);
    drain::<wire::worker::Input<'_>>(bytes);
    drain::<wire::worker::Effect<'_>>(bytes);
}

fn packets() -> Vec<Vec<u8>> {
    fn all<T: Serialize>(samples: Vec<T>) -> impl Iterator<Item = Vec<u8>> {
        samples.into_iter().map(|sample| packet(&sample))
    }
    all(samples::fan())
        .chain(all(samples::edge()))
        .chain(all(samples::up()))
        .chain(all(samples::down()))
        .chain(all(samples::track()))
        .chain(all(samples::input()))
        .chain(all(samples::effect()))
        .collect()
}

#[test]
fn hostile_cut_short() {
    for packet in packets() {
        for len in 2..packet.len() {
            let mut frames = Frames::<FanMessage<'_>>::new(&packet[..len]).expect("our version");
            assert!(matches!(frames.next(), Some(Err(Error::Truncated { .. } | Error::Length))));
            assert!(frames.next().is_none(), "something after an error");
        }
    }
}

#[test]
fn hostile_one_byte_changed() {
    for mut packet in packets() {
        for at in 0..packet.len() {
            let was = packet[at];
            for value in [0, 1, 0x7f, 0x80, 0xff, was ^ 1, was ^ 0x10] {
                packet[at] = value;
                drain_all(&packet);
            }
            packet[at] = was;
        }
    }
}

#[test]
fn hostile_lengths() {
    assert_eq!(Frames::<FanMessage<'_>>::new(&[]).err(), Some(Error::Empty));
    assert_eq!(Frames::<FanMessage<'_>>::new(&[9]).err(), Some(Error::Version(9)));
    let read =
        |bytes: &[u8]| Frames::<FanMessage<'_>>::new(bytes).expect("our version").next().map(Result::err);
    assert_eq!(read(&[VERSION]), None);
    assert_eq!(read(&[VERSION, 0]), Some(Some(Error::Malformed)));
    assert_eq!(read(&[VERSION, 0xff, 0xff, 0xff, 0xff, 0x0f]), Some(Some(Error::Length)));
    assert_eq!(read(&[VERSION, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Some(Some(Error::Length)));
    assert_eq!(read(&[VERSION, 2, 0]), Some(Some(Error::Truncated { frame: 2, left: 1 })));
    // The text is not UTF-8.
    assert_eq!(read(&[VERSION, 6, 2, 1, 4, 2, 0xc3, 0x28]), Some(Some(Error::Malformed)));
}

#[test]
fn hostile_list_of_nothing() {
    // Units take no bytes: the length is the whole claim, and the reader must not believe it.
    let read = |claimed: u32| {
        let bytes = packet(&claimed);
        Frames::<List<()>>::new(&bytes)
            .expect("our version")
            .next()
            .map(|read| matches!(read, Ok(Frame::Known(_))))
    };
    assert_eq!(read(limits::LIST as u32), Some(true));
    assert_eq!(read(limits::LIST as u32 + 1), Some(false));
    assert_eq!(read(u32::MAX), Some(false));
}

proptest! {
    #[test]
    fn hostile_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drain_all(&bytes);
        if let Some(first) = bytes.first_mut() {
            *first = VERSION;
        }
        drain_all(&bytes);
    }

    #[test]
    fn hostile_frames(bodies in prop::collection::vec(prop::collection::vec(0u8..24, 0..40), 0..8)) {
        let mut bytes = vec![VERSION];
        for body in &bodies {
            bytes.push(body.len() as u8);
            bytes.extend(body);
        }
        drain_all(&bytes);
    }
}
