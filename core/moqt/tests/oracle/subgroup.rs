//! Subgroup streams (Section 11.4.2).

use bytes::{Bytes, BytesMut};
use moq_transport::{
    coding::{Decode as _, Encode as _},
    data::{
        ObjectStatus, StreamHeader, StreamHeaderType, SubgroupHeader as MtHeader, SubgroupIdMode,
        SubgroupObject as MtObject, SubgroupObjectExt as MtObjectExt,
    },
};
use moqt::{
    StreamReader,
    data::{Item, ObjectHeader, Status, SubgroupHeader, SubgroupId, SubgroupWriter},
};
use moqtap_codec::{
    draft18::{data_stream as moqtap, types::ObjectStatus as MoqtapStatus},
    error::CodecError,
};
use proptest::{collection::vec, option, prelude::*};

use crate::{disagreements, generate, moq_transport_forms, moqtap_forms};

pub(crate) type Object = (ObjectHeader, Bytes);

pub(crate) fn header() -> impl Strategy<Value = SubgroupHeader> {
    let subgroup = prop_oneof![
        Just(SubgroupId::Zero),
        Just(SubgroupId::FirstObject),
        generate::int().prop_map(SubgroupId::Id)
    ];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (generate::int(), generate::int(), subgroup, option::of(any::<u8>()), flags).prop_map(
        |(track_alias, group, subgroup, priority, (properties, end_of_group, first_object))| SubgroupHeader {
            track_alias,
            group,
            subgroup,
            priority,
            properties,
            end_of_group,
            first_object,
        },
    )
}

pub(crate) fn status() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Normal), Just(Status::EndOfGroup), Just(Status::EndOfTrack)]
}

/// Generates objects with ascending IDs, below 2^62, which is the most that moqtap supports.
pub(crate) fn objects(properties: bool) -> impl Strategy<Value = Vec<Object>> {
    let gap = prop_oneof![4 => 0u64..3, 1 => any::<u64>().prop_map(|gap| gap >> 8)];
    let object = (gap, generate::properties(), generate::bytes(40), status());
    vec(object, 0..6).prop_map(move |objects| {
        let mut next = 0u64;
        let object = |(gap, own, payload, status): (u64, moqt::Properties, Bytes, Status)| {
            let id = next + gap;
            next = id + 1;
            let status = if payload.is_empty() { status } else { Status::Normal };
            let properties =
                if properties && status == Status::Normal { own } else { moqt::Properties::NONE };
            (ObjectHeader { id, properties, payload_len: payload.len() as u64, status }, payload)
        };
        objects.into_iter().map(object).collect()
    })
}

pub(crate) fn stream() -> impl Strategy<Value = (SubgroupHeader, Vec<Object>)> {
    header().prop_flat_map(|header| (Just(header), objects(header.properties)))
}

pub(crate) fn written(header: &SubgroupHeader, objects: &[Object]) -> Bytes {
    let mut out = BytesMut::new();
    header.encode(&mut out);
    let mut writer = SubgroupWriter::new(header);
    for (object, payload) in objects {
        writer.encode(object, &mut out).expect("an object that can be written");
        out.extend_from_slice(payload);
    }
    out.freeze()
}

/// Reads a complete stream with our codec; returns none if it is refused.
fn read(bytes: &[u8]) -> Option<(SubgroupHeader, Vec<Object>)> {
    let mut reader = StreamReader::new();
    let mut rest = Bytes::copy_from_slice(bytes);
    let Some(Item::Subgroup(header)) = reader.read(&mut rest).ok()? else { return None };
    let mut objects: Vec<Object> = Vec::new();
    while let Some(item) = reader.read(&mut rest).ok()? {
        match item {
            Item::Object(object) => objects.push((object, Bytes::new())),
            Item::Payload(payload) => objects.last_mut()?.1 = payload,
            _ => return None,
        }
    }
    reader.finish().ok()?;
    Some((header, objects))
}

fn moqtap_header(header: &SubgroupHeader, kind: u8) -> moqtap::SubgroupHeader {
    let subgroup = match header.subgroup {
        SubgroupId::Id(id) => id,
        SubgroupId::Zero | SubgroupId::FirstObject => 0,
    };
    moqtap::SubgroupHeader {
        header_type: kind,
        track_alias: moqtap_forms::int(header.track_alias),
        group_id: moqtap_forms::int(header.group),
        subgroup_id: moqtap_forms::int(subgroup),
        publisher_priority: header.priority,
    }
}

fn moqtap_object((object, payload): &Object) -> moqtap::SubgroupObject {
    let status = match object.status {
        Status::Normal => MoqtapStatus::Normal,
        Status::EndOfGroup => MoqtapStatus::EndOfGroup,
        Status::EndOfTrack => MoqtapStatus::EndOfTrack,
    };
    moqtap::SubgroupObject {
        object_id: moqtap_forms::int(object.id),
        extension_headers: object.properties.as_wire().to_vec(),
        payload_length: moqtap_forms::int(object.payload_len),
        object_status: payload.is_empty().then_some(status),
        payload: payload.to_vec(),
    }
}

fn moqtap_written(header: &SubgroupHeader, kind: u8, objects: &[Object]) -> Vec<u8> {
    let head = moqtap_header(header, kind);
    let mut out = Vec::new();
    head.encode_checked(&mut out).expect("a header");
    let mut writer = moqtap::SubgroupObjectReader::new(&head);
    for object in objects {
        writer.write_object(&moqtap_object(object), &mut out).expect("an object");
    }
    out
}

/// Reads a stream with moqtap and encodes it anew; returns none if it is refused.
fn moqtap_read(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let header = moqtap::SubgroupHeader::decode(&mut bytes).ok()?;
    let mut out = Vec::new();
    header.encode_checked(&mut out).ok()?;
    let mut reader = moqtap::SubgroupObjectReader::new(&header);
    let mut writer = moqtap::SubgroupObjectReader::new(&header);
    while !bytes.is_empty() {
        let object = reader.read_object(&mut bytes).ok()?;
        // Section 11.2.1.2, which it leaves to its caller.
        if !object.properties_permitted() {
            return None;
        }
        writer.write_object(&object, &mut out).ok()?;
    }
    Some(out)
}

fn mt_kind(header: &SubgroupHeader) -> StreamHeaderType {
    let mode = match header.subgroup {
        SubgroupId::Zero => SubgroupIdMode::Zero,
        SubgroupId::FirstObject => SubgroupIdMode::FirstObject,
        SubgroupId::Id(_) => SubgroupIdMode::Explicit,
    };
    let SubgroupHeader { properties, end_of_group, first_object, priority, .. } = *header;
    StreamHeaderType::subgroup(mode, properties, end_of_group, priority.is_none(), first_object)
}

fn mt_header(header: &SubgroupHeader) -> MtHeader {
    MtHeader {
        header_type: mt_kind(header),
        track_alias: header.track_alias,
        group_id: header.group,
        subgroup_id: match header.subgroup {
            SubgroupId::Id(id) => Some(id),
            SubgroupId::Zero | SubgroupId::FirstObject => None,
        },
        // Its stand-in for the track's priority.
        publisher_priority: header.priority.unwrap_or(128),
    }
}

fn mt_status(status: Status) -> ObjectStatus {
    match status {
        Status::Normal => ObjectStatus::NormalObject,
        Status::EndOfGroup => ObjectStatus::EndOfGroup,
        Status::EndOfTrack => ObjectStatus::EndOfTrack,
    }
}

fn mt_object(delta: u64, (object, payload): &Object) -> MtObjectExt {
    MtObjectExt {
        object_id_delta: delta,
        extension_headers: moq_transport_forms::properties(&object.properties),
        payload_length: payload.len(),
        status: payload.is_empty().then(|| mt_status(object.status)),
    }
}

fn mt_written(header: &SubgroupHeader, objects: &[Object]) -> Vec<u8> {
    let mut out = Vec::new();
    mt_header(header).encode(&mut out).expect("a header");
    let mut previous = None;
    for object in objects {
        let delta = previous.map_or(object.0.id, |previous| object.0.id - previous - 1);
        previous = Some(object.0.id);
        let with = mt_object(delta, object);
        if header.properties {
            with.encode(&mut out).expect("an object");
        } else {
            let MtObjectExt { object_id_delta, payload_length, status, .. } = with;
            MtObject { object_id_delta, payload_length, status }.encode(&mut out).expect("an object");
        }
        out.extend_from_slice(&object.1);
    }
    out
}

/// Reads a stream with `moq-transport` and encodes it anew; returns none if it is refused.
fn mt_read(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let header = StreamHeader::decode(&mut bytes).ok()?.subgroup_header?;
    let mut out = Vec::new();
    header.encode(&mut out).ok()?;
    let mut previous: Option<u64> = None;
    while !bytes.is_empty() {
        let (delta, len) = if header.header_type.has_properties() {
            let object = MtObjectExt::decode(&mut bytes).ok()?;
            object.encode(&mut out).ok()?;
            (object.object_id_delta, object.payload_length)
        } else {
            let object = MtObject::decode(&mut bytes).ok()?;
            object.encode(&mut out).ok()?;
            (object.object_id_delta, object.payload_length)
        };
        // Its session adds up the IDs.
        let first = previous.map_or(Some(0), |previous| previous.checked_add(1))?;
        previous = Some(first.checked_add(delta)?);
        let (payload, rest) = bytes.split_at_checked(len)?;
        out.extend_from_slice(payload);
        bytes = rest;
    }
    Some(out)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn all_three_write_and_read_the_same((header, objects) in stream()) {
        let ours = written(&header, &objects);
        prop_assert_eq!(&moqtap_written(&header, ours[0], &objects), &ours);
        prop_assert_eq!(&mt_written(&header, &objects), &ours);
        prop_assert_eq!(read(&ours), Some((header, objects)));
        prop_assert_eq!(moqtap_read(&ours), Some(ours.to_vec()));
        prop_assert_eq!(mt_read(&ours), Some(ours.to_vec()));
    }

    #[test]
    fn what_one_refuses_all_refuse((header, objects) in stream(), spoil in spoil()) {
        let mut bytes = written(&header, &objects).to_vec();
        spoil.apply(&mut bytes);
        let ours = read(&bytes);
        let any = |is: fn(&ObjectHeader) -> bool| {
            ours.iter().flat_map(|(_, objects)| objects).any(|(object, _)| is(object))
        };
        let apart = any(|object| object.id >= disagreements::MOQTAP_MAX_OBJECT)
            || any(|object| disagreements::has_odd_immutable(&object.properties));
        if !apart {
            let anew = ours.as_ref().map(|(header, objects)| written(header, objects).to_vec());
            prop_assert_eq!(moqtap_read(&bytes), anew, "{:02x?}", bytes);
        }
        // It writes properties anew, with integers of the fewest bytes.
        let anew = ours.map(|(header, mut objects)| {
            for (object, _) in &mut objects {
                object.properties = generate::rebuilt(&object.properties);
            }
            written(&header, &objects).to_vec()
        });
        prop_assert_eq!(mt_read(&bytes), anew, "{:02x?}", bytes);
    }
}

/// A way to spoil a stream.
#[derive(Clone, Debug)]
pub(crate) enum Spoil {
    Kind(u8),
    Cut(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Set(prop::sample::Index, u8),
    Trail(Vec<u8>),
}

pub(crate) fn spoil() -> impl Strategy<Value = Spoil> {
    use prop::sample::Index;
    prop_oneof![
        any::<u8>().prop_map(Spoil::Kind),
        any::<Index>().prop_map(Spoil::Cut),
        (any::<Index>(), 0u8..8).prop_map(|(at, bit)| Spoil::Flip(at, bit)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Spoil::Set(at, byte)),
        vec(any::<u8>(), 1..6).prop_map(Spoil::Trail),
    ]
}

impl Spoil {
    pub(crate) fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Kind(kind) => bytes[0] = *kind,
            Self::Cut(at) => bytes.truncate(at.index(bytes.len()).max(1)),
            Self::Flip(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Self::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Trail(more) => bytes.extend_from_slice(more),
        }
    }
}

#[test]
fn the_types_are_those_of_the_draft() {
    for kind in 0..=u8::MAX {
        let taken = matches!(kind & 0x90, 0x10) && kind & 0x06 != 0x06;
        let bytes = [kind, 1, 2, 3, 4];
        assert_eq!(
            read(&bytes[..5 - usize::from(kind & 0x20 != 0) - usize::from(kind & 0x06 != 0x04)]).is_some(),
            taken,
            "{kind:#x}"
        );
    }
}

/// Our own codec reads streams because moqtap's reader counts an object before it knows that all of it is
/// there, and offers no way back. Read again once the rest has come, the object has another ID.
#[test]
fn moqtap_miscounts_an_object_that_arrives_in_two_pieces() {
    let header = SubgroupHeader { priority: Some(0), ..SubgroupHeader::default() };
    let object = ObjectHeader { id: 7, payload_len: 4, ..ObjectHeader::default() };
    let stream = written(&header, &[(object.clone(), Bytes::from_static(b"abcd"))]);

    let mut rest = &stream[..];
    let head = moqtap::SubgroupHeader::decode(&mut rest).expect("a header");
    for meta in [false, true] {
        let mut reader = moqtap::SubgroupObjectReader::new(&head);
        let mut read = |mut bytes: &[u8]| {
            if meta {
                reader.read_object_meta(&mut bytes).map(|object| object.object_id)
            } else {
                reader.read_object(&mut bytes).map(|object| object.object_id.into_inner())
            }
        };
        assert!(matches!(read(&rest[..3]), Err(CodecError::UnexpectedEnd)));
        assert_eq!(read(rest).expect("all of the object"), 15, "7 on top of the 7 that was counted");
    }

    let mut reader = StreamReader::new();
    let mut ids = Vec::new();
    for mut piece in [stream.slice(..7), stream.slice(7..)] {
        while let Some(item) = reader.read(&mut piece).expect("no violation") {
            if let Item::Object(object) = item {
                ids.push(object.id);
            }
        }
    }
    assert_eq!(ids, [object.id]);
}
