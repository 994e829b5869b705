//! MP4 in one piece or in fragments is read or refused: no panic, no endless loop, no more memory than the input is
//! worth.
#![no_main]

mod demux;

use libfuzzer_sys::fuzz_target;
use media::Container;

fuzz_target!(|input: &[u8]| {
    demux::demux(input, &[Container::FragmentedMp4, Container::ProgressiveMp4]);
});
