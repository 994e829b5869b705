//! Streams decode alike in whatever pieces they arrive.

use bytes::{Bytes, BytesMut};
use moqt::{
    ControlReader, Message, StreamReader, Version, Violation,
    data::{FetchHeader, FetchObject, FetchWriter, Item, RangeEnd},
};
use proptest::{collection::vec, prelude::*};

use crate::{generate, subgroup};

/// `stream` in pieces of these lengths, used in turn.
fn pieces(stream: &[u8], lengths: &[usize]) -> Vec<Bytes> {
    let mut rest = stream;
    let mut pieces = Vec::new();
    for length in lengths.iter().cycle() {
        let (piece, after) = rest.split_at((*length).clamp(1, rest.len().max(1)).min(rest.len()));
        pieces.push(Bytes::copy_from_slice(piece));
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    pieces
}

fn messages(pieces: Vec<Bytes>) -> (Vec<Message>, Option<Violation>) {
    let mut reader = ControlReader::new(Version::Draft18);
    let mut messages = Vec::new();
    for mut piece in pieces {
        loop {
            match reader.read(&mut piece) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(violation) => return (messages, Some(violation)),
            }
        }
        assert!(piece.is_empty());
    }
    (messages, None)
}

/// The items of a stream, with the pieces of each payload put together; and that
/// no payload was copied.
fn items(pieces: Vec<Bytes>) -> (Vec<Item>, Option<Violation>) {
    let mut reader = StreamReader::new();
    let mut items: Vec<Item> = Vec::new();
    for mut piece in pieces {
        let chunk = piece.as_ptr_range();
        loop {
            match reader.read(&mut piece) {
                Ok(Some(Item::Payload(payload))) => {
                    let range = payload.as_ptr_range();
                    assert!(chunk.start <= range.start && range.end <= chunk.end, "a payload was copied");
                    match items.last_mut() {
                        Some(Item::Payload(before)) => *before = [&before[..], &payload].concat().into(),
                        _ => items.push(Item::Payload(payload)),
                    }
                }
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(violation) => return (items, Some(violation)),
            }
        }
        assert!(piece.is_empty());
    }
    (items, reader.finish().err())
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![1 => Just(vec![1]), 3 => vec(1usize..40, 1..8)]
}

fn fetch_stream() -> impl Strategy<Value = Bytes> {
    vec((0u64..4, generate::properties(), generate::bytes(40), any::<bool>()), 0..6).prop_map(|objects| {
        let mut out = BytesMut::new();
        FetchHeader { request_id: 2 }.encode(&mut out);
        let mut writer = FetchWriter::new(moqt::GroupOrder::Ascending);
        let mut at = moqt::Location::default();
        for (step, properties, payload, range) in objects {
            at.group += step;
            at.object += 1 + step;
            if range {
                writer.encode_range_end(RangeEnd::Unknown(at), &mut out);
                continue;
            }
            let payload_len = payload.len() as u64;
            let object =
                FetchObject { location: at, subgroup: Some(step), priority: 1, properties, payload_len };
            writer.encode(&object, &mut out).expect("an object that can be written");
            out.extend_from_slice(&payload);
        }
        out.freeze()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn control_streams(messages_in in vec(generate::message(), 0..5), lengths in lengths(), cut in 0usize..8) {
        let stream: Vec<u8> = messages_in.iter().flat_map(crate::written).collect();
        prop_assert_eq!(messages(pieces(&stream, &[usize::MAX])), (messages_in.clone(), None));
        prop_assert_eq!(messages(pieces(&stream, &lengths)), (messages_in, None));
        let cut = &stream[..stream.len() - cut.min(stream.len())];
        prop_assert_eq!(messages(pieces(cut, &lengths)), messages(pieces(cut, &[usize::MAX])));
    }

    #[test]
    fn subgroup_streams(
        (header, objects) in subgroup::stream(),
        lengths in lengths(),
        spoil in prop::option::of(subgroup::spoil()),
    ) {
        let mut stream = subgroup::written(&header, &objects).to_vec();
        if let Some(spoil) = spoil {
            spoil.apply(&mut stream);
        }
        prop_assert_eq!(items(pieces(&stream, &lengths)), items(pieces(&stream, &[usize::MAX])));
    }

    #[test]
    fn fetch_streams(
        stream in fetch_stream(),
        lengths in lengths(),
        spoil in prop::option::of(subgroup::spoil()),
    ) {
        let mut stream = stream.to_vec();
        if let Some(spoil) = spoil {
            spoil.apply(&mut stream);
        }
        prop_assert_eq!(items(pieces(&stream, &lengths)), items(pieces(&stream, &[usize::MAX])));
    }
}
