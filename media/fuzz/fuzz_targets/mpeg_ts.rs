//! A transport stream is read or refused: no panic, no endless loop, no more memory than the input is worth.
#![no_main]

mod demux;

use libfuzzer_sys::fuzz_target;
use media::Container;

/// Bytes of a packet, and the byte that each begins with.
const PACKET: usize = 188;
const SYNC: u8 = 0x47;

fuzz_target!(|input: &[u8]| {
    let mut input = input.to_vec();
    input.iter_mut().step_by(PACKET).for_each(|sync| *sync = SYNC);
    demux::demux(&input, &[Container::MpegTs]);
});
