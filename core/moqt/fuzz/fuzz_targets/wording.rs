//! Turns a fuzzer's bytes into choices, and into messages of a peer.

use bytes::{BufMut as _, BytesMut};
use moqt::{
    DoneCode, FetchOk, Location, Message, Namespace, Params, Properties, RequestCode, Token, TrackName,
    Version,
    data::{
        Datagram, DatagramBody, FetchHeader, FetchObject, FetchWriter, ObjectHeader, RangeEnd, Status,
        SubgroupHeader, SubgroupId, SubgroupWriter,
    },
    message::{
        Fetch, FetchKind, GoAway, JoiningStart, Publish, PublishBlocked, PublishDone, PublishNamespace,
        RequestError, RequestOk, RequestUpdate, Setup, Subscribe, SubscribeNamespace, SubscribeOk,
        SubscribeTracks, TrackStatus,
    },
    session::Side,
};

/// The rest of a fuzzer's input. Once it is used up, all choices are 0.
pub struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    pub fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    fn int(&mut self) -> u64 {
        u64::from(self.byte())
    }

    /// Bytes as they are.
    pub fn some(&mut self) -> Vec<u8> {
        let len = usize::from(self.byte()).min(self.0.len());
        let (some, rest) = self.0.split_at(len);
        self.0 = rest;
        some.to_vec()
    }

    pub fn namespace(&mut self) -> Namespace {
        let path = match self.byte() % 8 {
            0 => "",
            1 | 2 => "a",
            3 => "a/b",
            4 => "a/b/c",
            5 => ".",
            6 => ".session",
            _ => "z",
        };
        Namespace::from_path(path).expect("a namespace")
    }

    pub fn track(&mut self) -> TrackName {
        let namespace = self.namespace();
        TrackName::new(namespace, vec![b'a' + self.byte() % 3]).expect("a track name")
    }

    fn place(&mut self) -> Location {
        Location::new(self.int(), self.int())
    }

    fn tokens(&mut self) -> Vec<Token> {
        let alias = self.int();
        let value = vec![7; usize::from(self.byte() % 32)].into();
        vec![match self.byte() % 4 {
            0 => Token::Delete { alias },
            1 => Token::UseAlias { alias },
            2 => Token::UseValue { kind: 1, value },
            _ => Token::Register { alias, kind: 0, value },
        }]
    }

    fn peer_params(&mut self) -> Params {
        let which = self.byte();
        let mut params = Params::default();
        if which >= 64 {
            return params;
        }
        if which & 1 != 0 {
            params.tokens = self.tokens();
        }
        if which & 2 != 0 {
            params.forward = Some(self.flag());
        }
        if which & 4 != 0 {
            params.largest = Some(self.place());
        }
        if which & 8 != 0 {
            params.priority = Some(self.byte());
        }
        if which & 16 != 0 {
            params.rendezvous_timeout = Some(self.int());
        }
        if which & 32 != 0 {
            params.namespace_prefix = Some(self.namespace());
        }
        params
    }

    fn track_properties(&mut self) -> Properties {
        match self.byte() {
            0 => Properties::builder().int(0x0E, 9).int(0x30, 1).build(),
            1 => Properties::builder().int(0x4002, 9).build(),
            _ => Properties::NONE,
        }
    }

    /// A message that a peer on that side may send; request IDs have its parity
    /// unless the bytes want otherwise.
    pub fn message(&mut self, side: Side) -> Vec<u8> {
        let request_id = match self.byte() {
            wild @ 128.. => u64::from(wild),
            id => u64::from(id % 16) * 2 + u64::from(side == Side::Server),
        };
        let message = match self.byte() % 20 {
            0 => {
                Message::Subscribe(Subscribe { request_id, track: self.track(), params: self.peer_params() })
            }
            1 => Message::SubscribeOk(SubscribeOk {
                track_alias: self.int() % 4,
                params: self.peer_params(),
                properties: self.track_properties(),
            }),
            2 => Message::RequestUpdate(RequestUpdate { request_id, params: self.peer_params() }),
            3 => Message::RequestError(RequestError::new(RequestCode(self.int()), "no")),
            4 => Message::PublishNamespace(PublishNamespace {
                request_id,
                namespace: self.namespace(),
                params: self.peer_params(),
            }),
            5 | 6 => Message::RequestOk(RequestOk {
                params: self.peer_params(),
                properties: self.track_properties(),
            }),
            7 => Message::Namespace(self.namespace()),
            8 => Message::NamespaceDone(self.namespace()),
            9 => Message::PublishDone(PublishDone {
                code: DoneCode(self.int()),
                stream_count: self.int() % 8,
                reason: "over".into(),
            }),
            10 => Message::TrackStatus(TrackStatus {
                request_id,
                track: self.track(),
                params: self.peer_params(),
            }),
            11 => Message::PublishBlocked(PublishBlocked { track: self.track() }),
            12 => Message::GoAway(GoAway {
                uri: if side == Side::Server && self.flag() { "moqt://x/".into() } else { "".into() },
                timeout: self.int(),
                request_id: self.flag().then(|| self.int()),
            }),
            13 => Message::Fetch(Fetch {
                request_id,
                kind: FetchKind::Standalone { track: self.track(), start: self.place(), end: self.place() },
                params: self.peer_params(),
            }),
            14 => {
                let start = self.int();
                let start = if start % 2 == 0 {
                    JoiningStart::Relative(start)
                } else {
                    JoiningStart::Absolute(start)
                };
                let joined = u64::from(self.byte() % 16) * 2 + u64::from(side == Side::Server);
                let kind = FetchKind::Joining { request_id: joined, start };
                Message::Fetch(Fetch { request_id, kind, params: self.peer_params() })
            }
            15 => Message::FetchOk(FetchOk {
                end_of_track: self.flag(),
                end: self.place(),
                params: Params::default(),
                properties: self.track_properties(),
            }),
            16 => Message::Publish(Publish {
                request_id,
                track: self.track(),
                track_alias: self.int() % 4,
                params: self.peer_params(),
                properties: self.track_properties(),
            }),
            17 => Message::SubscribeNamespace(SubscribeNamespace {
                request_id,
                prefix: self.namespace(),
                params: self.peer_params(),
            }),
            18 => Message::SubscribeTracks(SubscribeTracks {
                request_id,
                prefix: self.namespace(),
                params: self.peer_params(),
            }),
            _ => Message::Setup(Setup {
                path: self.flag().then(|| "/live".into()),
                tokens: if self.flag() { self.tokens() } else { Vec::new() },
                ..Setup::default()
            }),
        };
        let mut out = BytesMut::new();
        let _ = message.encode(Version::Draft18, &mut out);
        out.to_vec()
    }

    /// The start of a data stream, or what may follow one.
    pub fn data(&mut self) -> Vec<u8> {
        let mut out = BytesMut::new();
        match self.byte() % 4 {
            0 => {
                let header = self.subgroup_header();
                header.encode(&mut out);
                let mut writer = SubgroupWriter::new(&header);
                for id in 0..u64::from(self.byte() % 4) {
                    let payload = self.byte() % 8;
                    let object = ObjectHeader { id, payload_len: payload.into(), ..ObjectHeader::default() };
                    let _ = writer.encode(&object, &mut out);
                    out.put_bytes(9, payload.into());
                }
            }
            1 => {
                FetchHeader { request_id: self.int() % 32 }.encode(&mut out);
                let mut writer = FetchWriter::new(moqt::GroupOrder::Ascending);
                for object in 0..u64::from(self.byte() % 4) {
                    let payload = self.byte() % 8;
                    let object = FetchObject {
                        location: Location::new(1, object),
                        subgroup: Some(0),
                        payload_len: payload.into(),
                        ..FetchObject::default()
                    };
                    let _ = writer.encode(&object, &mut out);
                    out.put_bytes(9, payload.into());
                }
                if self.flag() {
                    writer.encode_range_end(RangeEnd::Unknown(Location::new(9, 9)), &mut out);
                }
            }
            2 => moqt::varint::put(&mut out, 0x132B_3E28),
            _ => {
                let mut writer = SubgroupWriter::new(&SubgroupHeader::default());
                let object =
                    ObjectHeader { id: self.int(), status: Status::EndOfGroup, ..ObjectHeader::default() };
                let _ = writer.encode(&object, &mut out);
            }
        }
        out.to_vec()
    }

    fn subgroup_header(&mut self) -> SubgroupHeader {
        let flags = self.byte();
        SubgroupHeader {
            track_alias: self.int() % 4,
            group: self.int(),
            subgroup: if flags & 1 == 0 { SubgroupId::Zero } else { SubgroupId::Id(5) },
            priority: (flags & 2 == 0).then_some(9),
            properties: false,
            end_of_group: flags & 4 != 0,
            first_object: flags & 8 != 0,
        }
    }

    /// An object in a datagram.
    pub fn datagram(&mut self) -> Vec<u8> {
        let mut out = BytesMut::new();
        let datagram = Datagram {
            track_alias: self.int() % 4,
            group: self.int(),
            object: self.int(),
            priority: None,
            properties: Properties::NONE,
            end_of_group: false,
            body: DatagramBody::Payload("payload".into()),
        };
        let _ = datagram.encode(&mut out);
        out.to_vec()
    }
}
