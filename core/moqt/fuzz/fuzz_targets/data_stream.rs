//! A data stream decodes alike in whatever pieces it arrives, and decoded items survive encoding and decoding
//! again.
#![no_main]

mod splits;

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use moqt::{
    GroupOrder, StreamReader, Violation,
    data::{FetchWriter, Item, SubgroupWriter},
};
use splits::{Splits, parse};

fuzz_target!(|input: &[u8]| {
    let Some((splits, stream)) = parse(input) else { return };
    let whole = read(stream, Splits(&[]));
    let split = read(stream, splits);
    assert_eq!(whole, split);
    if let Some(written) = write(&whole.items) {
        assert_eq!(read(&written, Splits(&[])).items, whole.items);
    }
});

#[derive(Debug, PartialEq)]
struct Read {
    /// With the pieces of each payload put together.
    items: Vec<Item>,
    violation: Option<Violation>,
    finish: Option<Violation>,
}

/// Groups of odd requests descend.
fn order(request: u64) -> GroupOrder {
    if request % 2 == 1 { GroupOrder::Descending } else { GroupOrder::Ascending }
}

fn read(stream: &[u8], splits: Splits<'_>) -> Read {
    let mut reader = StreamReader::new();
    let mut items: Vec<Item> = Vec::new();
    for mut piece in splits.pieces(stream) {
        let chunk = piece.as_ptr_range();
        loop {
            match reader.read(&mut piece) {
                Err(violation) => return Read { items, violation: Some(violation), finish: None },
                Ok(None) => break,
                Ok(Some(Item::Payload(payload))) => {
                    let payload_range = payload.as_ptr_range();
                    assert!(!payload.is_empty());
                    assert!(chunk.start <= payload_range.start && payload_range.end <= chunk.end);
                    match items.last_mut() {
                        Some(Item::Payload(before)) => *before = [&before[..], &payload].concat().into(),
                        _ => items.push(Item::Payload(payload)),
                    }
                }
                Ok(Some(item)) => {
                    if let Item::Fetch(header) = item {
                        reader.set_group_order(order(header.request_id));
                    }
                    items.push(item);
                }
            }
        }
        assert!(piece.is_empty(), "a reader that wants more has taken all there was");
    }
    Read { items, violation: None, finish: reader.finish().err() }
}

/// Encodes these items as a stream, if a writer can express them: a reader accepts fetched objects in an
/// order that no publisher should send.
fn write(items: &[Item]) -> Option<Bytes> {
    let mut out = BytesMut::new();
    let mut subgroup = None;
    let mut fetch = None;
    for item in items {
        match item {
            Item::Control | Item::Padding => return None,
            Item::Subgroup(header) => {
                header.encode(&mut out);
                subgroup = Some(SubgroupWriter::new(header));
            }
            Item::Fetch(header) => {
                header.encode(&mut out);
                fetch = Some(FetchWriter::new(order(header.request_id)));
            }
            Item::Object(object) => {
                subgroup.as_mut()?.encode(object, &mut out).expect("what was read can be written");
            }
            Item::FetchObject(object) => fetch.as_mut()?.encode(object, &mut out).ok()?,
            Item::RangeEnd(end) => fetch.as_mut()?.encode_range_end(*end, &mut out),
            Item::Payload(payload) => out.extend_from_slice(payload),
        }
    }
    Some(out.freeze())
}
