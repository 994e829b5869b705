//! An initialisation segment and an object of CMAF are read or refused, and a frame's bytes are the object's.
//!
//! The input is an initialisation segment and an object, one after the other: the first moof begins the object.
#![no_main]

use bytes::Bytes;
use fanfare_client::cmaf::{MAX_SAMPLES, MAX_TRACKS, tracks};
use libfuzzer_sys::fuzz_target;

/// Bytes of a box before its name.
const SIZE: usize = 4;

fuzz_target!(|input: &[u8]| {
    let moof = input.windows(SIZE).position(|name| name == b"moof").unwrap_or(input.len());
    let input = Bytes::copy_from_slice(input);
    let object = input.slice(moof.saturating_sub(SIZE)..);
    // Boxes are searched for, so a segment may have the object behind it.
    let Ok(tracks) = tracks(&input) else { return };
    assert!(tracks.len() <= MAX_TRACKS);
    for track in tracks {
        let Ok(frames) = track.frames(&object) else { continue };
        assert!(frames.len() <= MAX_SAMPLES);
        assert!(frames.iter().all(|frame| !frame.data.is_empty()));
    }
});
