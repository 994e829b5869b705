//! An object's frame is found or refused in each format, also with properties that no publisher of ours sends.
//!
//! The input is the length of the track's properties, those of the object's, both, and the payload.
#![no_main]

use std::rc::Rc;

use bytes::Bytes;
use fanfare_client::cmaf::tracks;
use fanfare_client::frame::{Format, Reader};
use libfuzzer_sys::fuzz_target;
use moqt::Properties;

/// A fragmented file: its initialisation segment has the tracks, and the payload of the seed its fragments.
const FILE: &[u8] = include_bytes!("../../../media/tests/fixtures/h264-aac.frag.mp4");

fuzz_target!(|input: &[u8]| {
    let [track, object, rest @ ..] = input else { return };
    let (track, rest) = rest.split_at(rest.len().min(usize::from(*track)));
    let (object, payload) = rest.split_at(rest.len().min(usize::from(*object)));
    let properties = |bytes: &[u8]| Properties::from_wire(Bytes::copy_from_slice(bytes));
    let (Ok(track), Ok(object)) = (properties(track), properties(object)) else { return };
    let payload = Bytes::copy_from_slice(payload);
    let cmaf =
        tracks(&Bytes::from_static(FILE)).expect("a good file").into_iter().map(Rc::new).map(Format::Cmaf);
    for format in [Format::Loc, Format::HangLoc, Format::HangLegacy].into_iter().chain(cmaf) {
        let mut reader = Reader::new(format);
        for number in 0..2 {
            if let Ok(frames) = reader.read(number, &object, payload.clone()) {
                assert!(frames.iter().all(|frame| !frame.data.is_empty()));
            }
            reader.described(&track);
        }
    }
});
