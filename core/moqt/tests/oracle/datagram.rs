//! Objects in datagrams (Section 11.3.1).

use bytes::{Bytes, BytesMut};
use moq_transport::{
    coding::{Decode as _, Encode as _},
    data::{Datagram as MtDatagram, DatagramType, ObjectStatus},
};
use moqt::{
    Properties,
    data::{Datagram, DatagramBody, Status},
};
use moqtap_codec::draft18::{data_stream as moqtap, types::ObjectStatus as MoqtapStatus};
use proptest::{option, prelude::*};

use crate::{
    disagreements, generate, moq_transport_forms, moqtap_forms,
    subgroup::{spoil, status},
};

fn datagram() -> impl Strategy<Value = Datagram> {
    let body = prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 1..60).prop_map(|payload| DatagramBody::Payload(payload.into())),
        1 => status().prop_map(DatagramBody::Status),
    ];
    let object = prop_oneof![Just(0), generate::int()];
    let ids = (generate::int(), generate::int(), object, option::of(any::<u8>()));
    (ids, generate::properties(), any::<bool>(), body).prop_map(
        |((track_alias, group, object, priority), properties, end_of_group, body)| {
            let normal = matches!(body, DatagramBody::Payload(_) | DatagramBody::Status(Status::Normal));
            let properties = if normal { properties } else { Properties::NONE };
            let end_of_group = end_of_group && matches!(body, DatagramBody::Payload(_));
            Datagram { track_alias, group, object, priority, properties, end_of_group, body }
        },
    )
}

fn written(datagram: &Datagram) -> Vec<u8> {
    let mut out = BytesMut::new();
    datagram.encode(&mut out).expect("a datagram that can be written");
    out.to_vec()
}

fn read(bytes: &[u8]) -> Option<Datagram> {
    Datagram::decode(Bytes::copy_from_slice(bytes)).ok()?
}

fn moqtap_written(kind: u8, datagram: &Datagram) -> Vec<u8> {
    let (status, payload) = match &datagram.body {
        DatagramBody::Payload(payload) => (None, &payload[..]),
        DatagramBody::Status(Status::Normal) => (Some(MoqtapStatus::Normal), &[][..]),
        DatagramBody::Status(Status::EndOfGroup) => (Some(MoqtapStatus::EndOfGroup), &[][..]),
        DatagramBody::Status(Status::EndOfTrack) => (Some(MoqtapStatus::EndOfTrack), &[][..]),
    };
    let header = moqtap::DatagramHeader {
        datagram_type: kind,
        track_alias: moqtap_forms::int(datagram.track_alias),
        group_id: moqtap_forms::int(datagram.group),
        object_id: moqtap_forms::int(datagram.object),
        publisher_priority: datagram.priority,
        properties: datagram.properties.as_wire().to_vec(),
        object_status: status,
    };
    let mut out = Vec::new();
    header.encode_checked(&mut out).expect("a datagram");
    out.extend_from_slice(payload);
    out
}

fn moqtap_read(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let (header, payload) = moqtap::DatagramHeader::decode_object(&mut bytes).ok()?;
    let mut out = Vec::new();
    header.encode_checked(&mut out).ok()?;
    out.extend_from_slice(&payload);
    Some(out)
}

fn mt_written(kind: u8, datagram: &Datagram) -> Vec<u8> {
    let (status, payload) = match &datagram.body {
        DatagramBody::Payload(payload) => (None, Some(payload.clone())),
        DatagramBody::Status(Status::Normal) => (Some(ObjectStatus::NormalObject), None),
        DatagramBody::Status(Status::EndOfGroup) => (Some(ObjectStatus::EndOfGroup), None),
        DatagramBody::Status(Status::EndOfTrack) => (Some(ObjectStatus::EndOfTrack), None),
    };
    let headers = moq_transport_forms::properties(&datagram.properties);
    let theirs = MtDatagram {
        datagram_type: DatagramType::decode(&mut &[kind][..]).expect("a type"),
        track_alias: datagram.track_alias,
        group_id: datagram.group,
        object_id: (datagram.object != 0).then_some(datagram.object),
        publisher_priority: datagram.priority,
        extension_headers: (!headers.is_empty()).then_some(headers),
        status,
        payload,
    };
    let mut out = Vec::new();
    theirs.encode(&mut out).expect("a datagram");
    out
}

fn mt_read(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let datagram = MtDatagram::decode(&mut bytes).ok()?;
    let mut out = Vec::new();
    datagram.encode(&mut out).ok()?;
    Some(out)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn all_three_write_and_read_the_same(datagram in datagram()) {
        let ours = written(&datagram);
        prop_assert_eq!(&moqtap_written(ours[0], &datagram), &ours);
        prop_assert_eq!(&mt_written(ours[0], &datagram), &ours);
        prop_assert_eq!(moqtap_read(&ours), Some(ours.clone()));
        prop_assert_eq!(mt_read(&ours), Some(ours.clone()));
        prop_assert_eq!(read(&ours), Some(datagram));
    }

    #[test]
    fn what_one_refuses_all_refuse(datagram in datagram(), spoil in spoil()) {
        let mut bytes = written(&datagram);
        spoil.apply(&mut bytes);
        let ours = read(&bytes);
        let status = matches!(ours, Some(Datagram { body: DatagramBody::Status(_), .. }))
            || bytes[0] & 0x20 != 0;
        let empty = matches!(&ours, Some(Datagram { body: DatagramBody::Payload(payload), .. }) if payload.is_empty());
        let odd = ours.as_ref().is_some_and(|ours| disagreements::has_odd_immutable(&ours.properties));
        if bytes[0] < 0x80 && !odd && !status {
            prop_assert_eq!(moqtap_read(&bytes).is_some(), ours.is_some(), "{:02x?}", bytes);
        }
        if !empty {
            prop_assert_eq!(mt_read(&bytes).is_some(), ours.is_some(), "{:02x?}", bytes);
        }
    }
}

#[test]
fn the_types_are_those_of_the_draft() {
    for kind in 0..0x80u8 {
        let taken = kind & 0xD0 == 0 && kind & 0x22 != 0x22;
        let mut bytes = vec![kind, 1, 2];
        if kind & 0x04 == 0 {
            bytes.push(9);
        }
        if kind & 0x08 == 0 {
            bytes.push(1);
        }
        if kind & 0x01 != 0 {
            bytes.extend([2, 0x38, 1]);
        }
        bytes.push(0);
        assert_eq!(read(&bytes).is_some(), taken, "{kind:#x}");
        assert_eq!(moqtap_read(&bytes).is_some(), taken, "{kind:#x}");
        assert_eq!(mt_read(&bytes).is_some(), taken, "{kind:#x}");
    }
}
