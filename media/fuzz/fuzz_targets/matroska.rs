//! Matroska and WebM are read or refused: no panic, no endless loop, no more memory than the input is worth.
#![no_main]

mod demux;

use libfuzzer_sys::fuzz_target;
use media::Container;

/// The number of the EBML header, by which the container is recognised.
const EBML: [u8; 4] = [0x1A, 0x45, 0xDF, 0xA3];

fuzz_target!(|input: &[u8]| {
    let mut input = input.to_vec();
    if let Some(start) = input.first_chunk_mut() {
        *start = EBML;
    }
    demux::demux(&input, &[Container::Matroska]);
});
