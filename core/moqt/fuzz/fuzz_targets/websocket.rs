//! Messages of a WebSocket reach a session or end it, and one that was read is written so that it reads the same.
//!
//! The input is a series of messages: two bytes for the length, and the message.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use moqt::mux::{Frame, Mux};
use moqt::session::{Side, Transport};
use moqt::{Config, Micros, Session, Version};

fuzz_target!(|input: &[u8]| {
    for side in [Side::Server, Side::Client] {
        run(side, input);
    }
});

fn run(side: Side, input: &[u8]) {
    let now = Micros(1_700_000_000_000_000);
    let config = Config::new(side, Transport::WebTransport, Version::Draft18);
    let mut session = Session::new(now, config).expect("a session");
    let mut mux = Mux::new(side);
    let mut rest = input;
    while let [high, low, after @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let (message, after) = after.split_at(after.len().min(len));
        rest = after;
        let message = Bytes::copy_from_slice(message);
        if let Ok(frame) = Frame::decode(message.clone()) {
            assert_eq!(Frame::decode(frame.encode()), Ok(frame));
        }
        if mux.received(&mut session, now, message).is_err() {
            return;
        }
        while let Some(output) = session.poll() {
            mux.send(&mut session, now, output, |frame| {
                assert_eq!(Frame::decode(frame.encode()), Ok(frame), "what is sent can be read");
            });
        }
        let _ = mux.owed();
    }
}
