//! The decoder reads or refuses any packet, and the encoder writes what was read in one form, which decodes
//! to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::worker::{Effect, Input};
use wire::{Down, EdgeMessage, FanMessage, Frame, Frames, TrackItem, Up};

macro_rules! check {
    ($packet:expr, $($kind:ty),*) => {$(
        for frame in Frames::<$kind>::new($packet).into_iter().flatten() {
            match frame {
                Ok(Frame::Known(message)) => {
                    let written = wire::packet(&message);
                    let again: Vec<_> = Frames::<$kind>::new(&written).expect("our version").collect();
                    assert_eq!(again, [Ok(Frame::Known(message))]);
                }
                Ok(Frame::Unknown(frame)) => {
                    let _ = (FanMessage::number_of_unknown(frame), Up::number_of_unknown(frame));
                }
                Err(_) => {}
            }
        }
    )*};
}

fuzz_target!(|packet: &[u8]| {
    check!(packet, FanMessage<'_>, EdgeMessage<'_>, Up<'_>, Down<'_>, TrackItem<'_>, Input<'_>, Effect<'_>);
});
