//! A control stream decodes alike in whatever pieces it arrives, and decoded messages encode in one form,
//! which decodes to the same.
#![no_main]

mod splits;

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use moqt::{ControlReader, Message, Version, Violation};
use splits::{Splits, parse};

fuzz_target!(|input: &[u8]| {
    let Some((splits, stream)) = parse(input) else { return };
    let whole = read(stream, Splits(&[]));
    assert_eq!(whole, read(stream, splits));
    for message in whole.messages {
        let mut written = BytesMut::new();
        message.encode(Version::Draft18, &mut written).expect("what was read can be written");
        let again = read(&written, Splits(&[]));
        assert_eq!(again.messages, [message.clone()]);
        let mut twice = BytesMut::new();
        again.messages[0].encode(Version::Draft18, &mut twice).expect("what was read can be written");
        assert_eq!(written, twice);
    }
});

#[derive(Debug, PartialEq)]
struct Read {
    messages: Vec<Message>,
    violation: Option<Violation>,
    between: bool,
}

fn read(stream: &[u8], splits: Splits<'_>) -> Read {
    let mut reader = ControlReader::new(Version::Draft18);
    let mut messages = Vec::new();
    for mut piece in splits.pieces(stream) {
        loop {
            match reader.read(&mut piece) {
                Err(violation) => return Read { messages, violation: Some(violation), between: false },
                Ok(None) => break,
                Ok(Some(message)) => messages.push(message),
            }
        }
        assert!(piece.is_empty(), "a reader that wants more has taken all there was");
    }
    Read { messages, violation: None, between: reader.is_between_messages() }
}
