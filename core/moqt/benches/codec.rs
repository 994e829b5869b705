//! Costs of messages, streams of objects and the way through a relay, beside the same with `moqtap-codec`.
//!
//! Run with `cargo bench -p fanfare-moqt`. Counts of objects are per iteration, so that allocations per
//! object are an iteration's by [`OBJECTS`].
#![allow(missing_docs)]

use bytes::{Bytes, BytesMut};
use divan::{AllocProfiler, Bencher, black_box, counter::ItemsCount};
use moqt::{
    Config, ControlReader, Event, Filter, GroupOrder, Input, Location, Message, Micros, Namespace, Output,
    Params, Properties, Session, StreamReader, Token, TrackName, Version,
    data::{ObjectHeader, SubgroupHeader, SubgroupWriter},
    message::{Fetch, FetchKind, Publish, RequestOk, Setup, Subscribe, SubscribeOk},
    session::{Delivery, Dir, RequestId, Side, StreamId, Transport},
};
use moqtap_codec::{
    draft18::{data_stream as moqtap, message::ControlMessage},
    error::CodecError,
};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// Objects in a stream.
const OBJECTS: u64 = 1000;
/// Bytes in a payload: a frame of audio, and one of video.
const PAYLOADS: [usize; 2] = [300, 8 * 1024];
/// Bytes of a stream that a packet brings.
const PACKET: usize = 1200;
/// The bytes of a SETUP without options.
const SETUP: &[u8] = &[0xAF, 0x00, 0x00, 0x00];

fn main() {
    println!("Output: {} bytes, Event: {} bytes", size_of::<Output>(), size_of::<Event>());
    divan::main();
}

fn track() -> TrackName {
    let namespace = Namespace::from_path("live.example/concert/stage-2").expect("a namespace");
    TrackName::new(namespace, "video/1080p").expect("a track")
}

fn messages() -> [(&'static str, Message); 6] {
    let largest = Some(Location::new(4711, 29));
    let properties = Properties::builder().int(0x02, 500).int(0x0E, 64).build();
    let subscribe = Params {
        tokens: vec![Token::value(vec![7; 64])],
        forward: Some(true),
        priority: Some(64),
        filter: Some(Filter::NextGroup),
        group_order: Some(GroupOrder::Descending),
        ..Params::default()
    };
    let answer = Params { largest, expires: Some(0), ..Params::default() };
    let fetch =
        FetchKind::Standalone { track: track(), start: Location::new(4700, 0), end: Location::new(4711, 30) };
    let params = Params { priority: Some(64), ..Params::default() };
    let publish = Params { largest, forward: Some(true), ..Params::default() };
    let setup = Setup {
        path: Some("/live".into()),
        max_auth_token_cache_size: Some(4096),
        authority: Some("live.example".into()),
        implementation: Some("fanfare/0.1.0".into()),
        ..Setup::default()
    };
    let (track_alias, request_id) = (7, 4);
    [
        ("SUBSCRIBE", Message::Subscribe(Subscribe { request_id, track: track(), params: subscribe })),
        (
            "SUBSCRIBE_OK",
            Message::SubscribeOk(SubscribeOk { track_alias, params: answer, properties: properties.clone() }),
        ),
        (
            "PUBLISH",
            Message::Publish(Publish {
                request_id,
                track: track(),
                track_alias,
                params: publish,
                properties,
            }),
        ),
        ("FETCH", Message::Fetch(Fetch { request_id, kind: fetch, params })),
        ("REQUEST_OK", Message::RequestOk(RequestOk::default())),
        ("SETUP", Message::Setup(setup)),
    ]
}

fn message(name: &str) -> Message {
    let found = messages().into_iter().find(|(other, _)| *other == name);
    found.expect("one of the messages").1
}

fn written(message: &Message) -> Bytes {
    let mut out = BytesMut::new();
    message.encode(Version::Draft18, &mut out).expect("a message that fits");
    out.freeze()
}

const NAMES: [&str; 6] = ["SUBSCRIBE", "SUBSCRIBE_OK", "PUBLISH", "FETCH", "REQUEST_OK", "SETUP"];

#[divan::bench_group]
mod decode {
    use super::{Bencher, ControlMessage, ControlReader, NAMES, Version, black_box, message, written};

    #[divan::bench(args = NAMES)]
    fn fanfare(bencher: Bencher<'_, '_>, name: &str) {
        let bytes = written(&message(name));
        let mut reader = ControlReader::new(Version::Draft18);
        bencher.bench_local(|| reader.read(&mut black_box(&bytes).clone()).expect("a message"));
    }

    #[divan::bench(args = NAMES)]
    fn moqtap(bencher: Bencher<'_, '_>, name: &str) {
        let bytes = written(&message(name));
        bencher.bench_local(|| ControlMessage::decode(&mut &black_box(&bytes)[..]).expect("a message"));
    }
}

#[divan::bench_group]
mod encode {
    use super::{Bencher, BytesMut, ControlMessage, NAMES, Version, black_box, message, written};

    #[divan::bench(args = NAMES)]
    fn fanfare(bencher: Bencher<'_, '_>, name: &str) {
        let message = message(name);
        let mut out = BytesMut::with_capacity(4096);
        bencher.bench_local(|| {
            out.clear();
            black_box(&message).encode(Version::Draft18, &mut out)
        });
    }

    #[divan::bench(args = NAMES)]
    fn moqtap(bencher: Bencher<'_, '_>, name: &str) {
        let message = ControlMessage::decode(&mut &written(&message(name))[..]).expect("a message");
        let mut out = Vec::with_capacity(4096);
        bencher.bench_local(|| {
            out.clear();
            black_box(&message).encode(&mut out)
        });
    }
}

/// A subgroup with payloads of that size.
fn stream(alias: u64, payload: usize) -> Bytes {
    let header = SubgroupHeader { track_alias: alias, group: 4711, priority: Some(64), ..Default::default() };
    let mut out = BytesMut::new();
    header.encode(&mut out);
    let mut writer = SubgroupWriter::new(&header);
    for id in 0..OBJECTS {
        let object = ObjectHeader { id, payload_len: payload as u64, ..ObjectHeader::default() };
        writer.encode(&object, &mut out).expect("an object");
        out.resize(out.len() + payload, 7);
    }
    out.freeze()
}

fn packets(mut stream: Bytes) -> Vec<Bytes> {
    let mut packets = Vec::new();
    while !stream.is_empty() {
        packets.push(stream.split_to(stream.len().min(PACKET)));
    }
    packets
}

/// Reads a subgroup of 1,000 objects, in packets unless the name differs.
#[divan::bench_group(counters = [ItemsCount::new(OBJECTS)])]
mod subgroup {
    use bytes::Buf as _;

    use super::{Bencher, BytesMut, CodecError, PAYLOADS, StreamReader, black_box, moqtap, packets, stream};

    #[divan::bench(args = PAYLOADS)]
    fn fanfare(bencher: Bencher<'_, '_>, payload: usize) {
        let stream = stream(1, payload);
        bencher.with_inputs(|| packets(stream.clone())).bench_local_values(|packets| {
            let mut reader = StreamReader::new();
            for mut packet in packets {
                while let Some(item) = reader.read(&mut packet).expect("no violation") {
                    black_box(item);
                }
            }
        });
    }

    #[divan::bench(args = PAYLOADS)]
    fn fanfare_at_once(bencher: Bencher<'_, '_>, payload: usize) {
        let stream = stream(1, payload);
        bencher.with_inputs(|| stream.clone()).bench_local_values(|mut stream| {
            let mut reader = StreamReader::new();
            while let Some(item) = reader.read(&mut stream).expect("no violation") {
                black_box(item);
            }
        });
    }

    /// It needs all of an object, and forgets where it was if it is not there: so
    /// packets are gathered, and each try is made with a copy of the reader.
    #[divan::bench(args = PAYLOADS)]
    fn moqtap(bencher: Bencher<'_, '_>, payload: usize) {
        let stream = stream(1, payload);
        bencher.with_inputs(|| packets(stream.clone())).bench_local_values(|packets| {
            let mut gathered = BytesMut::new();
            let mut reader: Option<moqtap::SubgroupObjectReader> = None;
            for packet in packets {
                gathered.extend_from_slice(&packet);
                loop {
                    let mut rest = &gathered[..];
                    let Some(at) = &reader else {
                        let header = moqtap::SubgroupHeader::decode(&mut rest).expect("a header");
                        reader = Some(moqtap::SubgroupObjectReader::new(&header));
                        let used = gathered.len() - rest.len();
                        gathered.advance(used);
                        continue;
                    };
                    let mut next = at.clone();
                    match next.read_object(&mut rest) {
                        Ok(object) => black_box(object),
                        Err(CodecError::UnexpectedEnd | CodecError::VarInt(_)) => break,
                        Err(error) => panic!("{error}"),
                    };
                    reader = Some(next);
                    let used = gathered.len() - rest.len();
                    gathered.advance(used);
                }
            }
        });
    }

    #[divan::bench(args = PAYLOADS)]
    fn moqtap_at_once(bencher: Bencher<'_, '_>, payload: usize) {
        let stream = stream(1, payload);
        bencher.bench_local(|| {
            let mut rest = &black_box(&stream)[..];
            let header = moqtap::SubgroupHeader::decode(&mut rest).expect("a header");
            let mut reader = moqtap::SubgroupObjectReader::new(&header);
            while !rest.is_empty() {
                black_box(reader.read_object(&mut rest).expect("an object"));
            }
        });
    }

    /// Without the payloads: where objects start and end.
    #[divan::bench(args = PAYLOADS)]
    fn moqtap_at_once_meta(bencher: Bencher<'_, '_>, payload: usize) {
        let stream = stream(1, payload);
        bencher.bench_local(|| {
            let mut rest = &black_box(&stream)[..];
            let header = moqtap::SubgroupHeader::decode(&mut rest).expect("a header");
            let mut reader = moqtap::SubgroupObjectReader::new(&header);
            while !rest.is_empty() {
                black_box(reader.read_object_meta(&mut rest).expect("an object"));
            }
        });
    }
}

const NOW: Micros = Micros(1_000_000);

fn session(side: Side) -> Session {
    let config = Config::new(side, Transport::Quic, Version::Draft18);
    let mut session = Session::new(NOW, config).expect("a session");
    let control = session.opened(Dir::Uni);
    session.handle(NOW, Input::Data { stream: control, data: Bytes::from_static(SETUP) });
    while session.poll().is_some() {}
    session
}

/// A relay between a publisher and a subscriber, with a subgroup open on either side.
struct Relay {
    upstream: Session,
    /// The stream of the publisher's subgroup.
    from: StreamId,
    downstream: Session,
    /// The same for the subscriber.
    to: StreamId,
}

impl Relay {
    fn new() -> Self {
        let mut upstream = session(Side::Client);
        upstream.subscribe(track(), Params::default()).expect("a subscription");
        let mut request = None;
        while let Some(output) = upstream.poll() {
            if let Output::Open { stream, .. } = output {
                request = Some(stream);
            }
        }
        let ok = Message::SubscribeOk(SubscribeOk { track_alias: 7, ..SubscribeOk::default() });
        let stream = request.expect("a stream");
        upstream.handle(NOW, Input::Data { stream, data: written(&ok) });
        while upstream.poll().is_some() {}
        let from = upstream.opened(Dir::Uni);

        let mut downstream = session(Side::Server);
        let stream = downstream.opened(Dir::Bi);
        let subscribe =
            Message::Subscribe(Subscribe { request_id: 0, track: track(), params: Params::default() });
        downstream.handle(NOW, Input::Data { stream, data: written(&subscribe) });
        let request = RequestId(0);
        downstream.accept_subscribe(request, Params::default(), Properties::NONE).expect("a subscription");
        let header = SubgroupHeader { group: 4711, ..SubgroupHeader::default() };
        let to = downstream.open_subgroup(request, header).expect("a subgroup");
        while downstream.poll().is_some() {}
        Self { upstream, from, downstream, to }
    }

    /// Passes a packet on as a shell does; returns the number of objects in it.
    fn pass_on(&mut self, packet: Bytes) -> u64 {
        let mut objects = 0;
        self.upstream.handle(NOW, Input::Data { stream: self.from, data: packet });
        while let Some(output) = self.upstream.poll() {
            match output {
                Output::Event(Event::Object { header, .. }) => {
                    objects += 1;
                    let sent = self.downstream.object(NOW, self.to, &header, NOW);
                    assert_eq!(sent, Ok(Delivery::Sent));
                }
                Output::Event(Event::Payload { data, .. }) => {
                    self.downstream.payload(self.to, data).expect("a payload");
                }
                Output::Event(Event::Subgroup { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
        while let Some(output) = self.downstream.poll() {
            black_box(output);
        }
        objects
    }
}

/// From a packet of the publisher's to what is written to one subscriber.
#[divan::bench(args = PAYLOADS, counters = [ItemsCount::new(OBJECTS)])]
fn relay(bencher: Bencher<'_, '_>, payload: usize) {
    let stream = stream(7, payload);
    bencher.with_inputs(|| (Relay::new(), packets(stream.clone()))).bench_local_refs(|(relay, packets)| {
        let objects: u64 = packets.drain(..).map(|packet| relay.pass_on(packet)).sum();
        assert_eq!(objects, OBJECTS);
    });
}
