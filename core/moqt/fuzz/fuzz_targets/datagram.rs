//! A datagram is read or refused, and one that was read is written so that it reads the same.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use moqt::data::Datagram;

fuzz_target!(|input: &[u8]| {
    let Ok(Some(datagram)) = Datagram::decode(Bytes::copy_from_slice(input)) else { return };
    let mut written = BytesMut::new();
    datagram.encode(&mut written).expect("what was read can be written");
    assert_eq!(Datagram::decode(written.freeze()), Ok(Some(datagram)));
});
