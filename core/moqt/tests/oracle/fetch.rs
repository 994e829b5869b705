//! Fetch streams (Section 11.4.4). `moq-transport` keeps its reader of these to
//! itself, so only its header is here.

use bytes::{Bytes, BytesMut};
use moq_transport::{coding::Decode as _, data::StreamHeader};
use moqt::{
    GroupOrder, Location, Properties, StreamReader,
    data::{FetchHeader, FetchObject, FetchWriter, Item, RangeEnd},
};
use moqtap_codec::draft18::data_stream as moqtap;
use proptest::{collection::vec, option, prelude::*};

use crate::{generate, moqtap_forms, subgroup::spoil};

#[derive(Clone, Debug, PartialEq)]
enum Record {
    Object(FetchObject, Bytes),
    RangeEnd(RangeEnd),
}

/// Distance of an object from the one before: in groups, in objects, in a jump.
type Step = (u64, u64, u8);
/// Its subgroup, priority, properties and payload.
type Shape = (Option<u64>, u8, Option<Properties>, Bytes);

/// Objects and range ends in the order of their groups. Integers stay within the
/// 62 bits that moqtap writes.
fn records(order: GroupOrder) -> impl Strategy<Value = Vec<Record>> {
    let step = (0u64..3, 1u64..4, any::<u8>());
    let subgroup = prop_oneof![
        Just(None),
        Just(Some(0)),
        Just(Some(1)),
        Just(Some(2)),
        generate::int().prop_map(|id| Some(id >> 2))
    ];
    let object = (
        subgroup,
        prop_oneof![Just(128), any::<u8>()],
        option::of(generate::properties()),
        generate::bytes(30),
    );
    let record = (step, object, 0u8..8);
    (1u64 << 20..1 << 40, vec(record, 0..7)).prop_map(move |(mut group, records)| {
        let mut object = 0;
        let record = |(step, shape, kind): (Step, Shape, u8)| {
            let ((groups, objects, jump), (subgroup, priority, properties, payload)) = (step, shape);
            if groups > 1 {
                let groups = groups + u64::from(jump);
                group = if order == GroupOrder::Ascending { group + groups } else { group - groups };
                object = u64::from(jump);
            } else {
                object += objects;
            }
            let location = Location { group, object };
            match kind {
                0 => Record::RangeEnd(RangeEnd::NonExistent(location)),
                1 => Record::RangeEnd(RangeEnd::Unknown(location)),
                _ => {
                    let properties = properties.unwrap_or_default();
                    let payload_len = payload.len() as u64;
                    Record::Object(
                        FetchObject { location, subgroup, priority, properties, payload_len },
                        payload,
                    )
                }
            }
        };
        records.into_iter().map(record).collect()
    })
}

fn order() -> impl Strategy<Value = GroupOrder> {
    prop_oneof![Just(GroupOrder::Ascending), Just(GroupOrder::Descending)]
}

fn stream() -> impl Strategy<Value = (GroupOrder, Vec<Record>)> {
    order().prop_flat_map(|order| (Just(order), records(order)))
}

const HEADER: FetchHeader = FetchHeader { request_id: 4 };

fn written(order: GroupOrder, records: &[Record]) -> Bytes {
    let mut out = BytesMut::new();
    HEADER.encode(&mut out);
    let mut writer = FetchWriter::new(order);
    for record in records {
        match record {
            Record::Object(object, payload) => {
                writer.encode(object, &mut out).expect("an object that can be written");
                out.extend_from_slice(payload);
            }
            Record::RangeEnd(end) => writer.encode_range_end(*end, &mut out),
        }
    }
    out.freeze()
}

fn read(order: GroupOrder, bytes: &[u8]) -> Option<Vec<Record>> {
    let mut reader = StreamReader::new();
    reader.set_group_order(order);
    let mut rest = Bytes::copy_from_slice(bytes);
    let Some(Item::Fetch(_)) = reader.read(&mut rest).ok()? else { return None };
    let mut records = Vec::new();
    while let Some(item) = reader.read(&mut rest).ok()? {
        match (item, records.last_mut()) {
            (Item::FetchObject(object), _) => records.push(Record::Object(object, Bytes::new())),
            (Item::RangeEnd(end), _) => records.push(Record::RangeEnd(end)),
            (Item::Payload(payload), Some(Record::Object(_, all))) => *all = payload,
            _ => return None,
        }
    }
    reader.finish().ok()?;
    Some(records)
}

fn moqtap_order(order: GroupOrder) -> moqtap::GroupOrder {
    match order {
        GroupOrder::Ascending => moqtap::GroupOrder::Ascending,
        GroupOrder::Descending => moqtap::GroupOrder::Descending,
    }
}

/// moqtap puts a payload's length behind the end of a range. Section 11.4.4.2 lists
/// the group and object as what there is, and a range has no payload; the other
/// implementations of the draft have none either. So the length is put in for
/// moqtap, and taken out of what it writes.
fn moqtap_read(order: GroupOrder, bytes: &[u8]) -> Option<Vec<Record>> {
    let mut rest = bytes;
    moqtap::FetchHeader::decode(&mut rest).ok()?;
    let mut reader = moqtap::FetchObjectReader::new(moqtap_order(order));
    let mut records = Vec::new();
    while !rest.is_empty() {
        let with_len = with_range_len(rest)?;
        let mut frame = &with_len[..];
        let object = reader.read_object_header(&mut frame).ok()?;
        let location = Location { group: object.group_id, object: object.object_id };
        rest = &rest[rest.len() - frame.len()..];
        match object.header.end_of_range() {
            Some(moqtap::EndOfRange::NonExistent) => {
                records.push(Record::RangeEnd(RangeEnd::NonExistent(location)));
            }
            Some(moqtap::EndOfRange::Unknown) => records.push(Record::RangeEnd(RangeEnd::Unknown(location))),
            None => {
                let len = usize::try_from(object.header.payload_length.into_inner()).ok()?;
                let (payload, after) = rest.split_at_checked(len)?;
                rest = after;
                let object = FetchObject {
                    location,
                    subgroup: object.subgroup_id,
                    priority: object.publisher_priority?,
                    properties: Properties::from_wire(object.header.properties.into()).ok()?,
                    payload_len: len as u64,
                };
                records.push(Record::Object(object, Bytes::copy_from_slice(payload)));
            }
        }
    }
    Some(records)
}

/// Returns the rest of a stream, with the length that moqtap wants if a range ends here.
fn with_range_len(rest: &[u8]) -> Option<Vec<u8>> {
    let (flags, mut at) = moqt::varint::get(rest)?;
    if flags != 0x8C && flags != 0x10C {
        return Some(rest.to_vec());
    }
    for _ in 0..2 {
        at += moqt::varint::get(&rest[at..])?.1;
    }
    Some([&rest[..at], &[0], &rest[at..]].concat())
}

fn moqtap_written(order: GroupOrder, records: &[Record]) -> Vec<u8> {
    let mut out = Vec::new();
    moqtap::FetchHeader { request_id: moqtap_forms::int(HEADER.request_id) }.encode(&mut out);
    let mut writer = moqtap::FetchObjectWriter::new(moqtap_order(order));
    for record in records {
        let (flags, location, object, payload) = match record {
            Record::RangeEnd(RangeEnd::NonExistent(at)) => (0x8C, *at, None, &[][..]),
            Record::RangeEnd(RangeEnd::Unknown(at)) => (0x10C, *at, None, &[][..]),
            Record::Object(object, payload) => {
                let datagram = if object.subgroup.is_none() { 0x40 } else { 0 };
                let properties = if object.properties.is_empty() { 0 } else { 0x20 };
                (datagram | properties, object.location, Some(object), &payload[..])
            }
        };
        let frame = moqtap::FetchObject {
            header: moqtap::FetchObjectHeader {
                serialization_flags: flags,
                group_id_delta: None,
                subgroup_id: None,
                object_id_delta: None,
                publisher_priority: None,
                properties: object.map(|object| object.properties.as_wire().to_vec()).unwrap_or_default(),
                payload_length: moqtap_forms::int(payload.len() as u64),
            },
            group_id: location.group,
            subgroup_id: object.and_then(|object| object.subgroup),
            object_id: location.object,
            publisher_priority: object.map(|object| object.priority),
        };
        writer.write_object_header(&frame, &mut out).expect("a record");
        if object.is_none() {
            assert_eq!(out.pop(), Some(0), "the length of no payload");
        }
        out.extend_from_slice(payload);
    }
    out
}

/// moqtap encodes an object's subgroup against the last object that had one, the others against the last
/// object: after one that was published as a datagram they do not agree. "The prior Object's Subgroup ID"
/// (Section 11.4.4.1) of an object that has none is nothing to refer to.
fn refers_past_a_datagram(records: &[Record]) -> bool {
    let mut objects = records.iter().filter_map(|record| match record {
        Record::Object(object, _) => Some(object),
        Record::RangeEnd(_) => None,
    });
    objects.any(|object| object.subgroup.is_none())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_header_is_the_same_in_all_three(request_id in generate::int()) {
        let mut ours = BytesMut::new();
        FetchHeader { request_id }.encode(&mut ours);
        let mut theirs = Vec::new();
        moqtap::FetchHeader { request_id: moqtap_forms::int(request_id) }.encode(&mut theirs);
        prop_assert_eq!(&theirs, &ours);
        let header = StreamHeader::decode(&mut &ours[..]).expect("a header").fetch_header;
        prop_assert_eq!(header.map(|header| header.request_id), Some(request_id));
        let mut rest = ours.freeze();
        let item = StreamReader::new().read(&mut rest).expect("a header");
        prop_assert_eq!(item, Some(Item::Fetch(FetchHeader { request_id })));
    }

    #[test]
    fn moqtap_reads_what_we_write_and_we_read_what_it_writes((order, records) in stream()) {
        let ours = written(order, &records);
        prop_assert_eq!(read(order, &ours), Some(records.clone()));
        prop_assert_eq!(moqtap_read(order, &ours), Some(records.clone()));
        let theirs = moqtap_written(order, &records);
        if !refers_past_a_datagram(&records) {
            prop_assert_eq!(read(order, &theirs), Some(records.clone()));
        }
    }

    #[test]
    fn what_one_refuses_the_other_refuses((order, records) in stream(), spoil in spoil()) {
        let mut bytes = written(order, &records).to_vec();
        spoil.apply(&mut bytes);
        let (ours, moqtap) = (read(order, &bytes), moqtap_read(order, &bytes));
        if ours != moqtap {
            let records = moqtap.as_deref().or(ours.as_deref()).unwrap_or_default();
            prop_assert!(refers_past_a_datagram(records), "{:?} {:?} {:02x?}", ours, moqtap, bytes);
        }
    }
}

#[test]
fn a_range_end_has_no_payload_length_though_moqtap_wants_one() {
    let end = RangeEnd::NonExistent(Location { group: 3, object: 4 });
    let records = [Record::RangeEnd(end)];
    let ours = written(GroupOrder::Ascending, &records);
    assert_eq!(&ours[2..], [0x80, 0x8C, 3, 4]);
    let mut reader = moqtap::FetchObjectReader::new(moqtap::GroupOrder::Ascending);
    assert!(reader.read_object_header(&mut &ours[2..]).is_err());
}

#[test]
fn a_subgroup_told_against_an_object_without_one_is_refused_though_moqtap_looks_further_back() {
    // Subgroup 7; one published as a datagram; "the same subgroup as the one before".
    let records = [0x1F, 0, 7, 0, 9, 0, 0x40, 0, 0x01, 0];
    let bytes = [&[0x05, 4][..], &records].concat();
    assert_eq!(read(GroupOrder::Ascending, &bytes), None);
    let records = moqtap_read(GroupOrder::Ascending, &bytes).expect("three objects");
    assert!(matches!(&records[2], Record::Object(object, _) if object.subgroup == Some(7)));
}
