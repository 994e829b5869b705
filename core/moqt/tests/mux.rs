//! Sessions over frames: what is written is read, whatever comes is survived.

use bytes::Bytes;
use moqt::{
    Event, Input, Micros, Namespace, Output, Params, Properties, RequestCode, ResetCode, Session,
    SessionCode, TrackName, Version,
    data::{ObjectHeader, Status, SubgroupHeader},
    message::RequestError,
    mux::{Frame, MAX_DATA, MAX_FRAME, MAX_STREAMS, Mux, TAKEN_EVERY, WINDOW, subprotocol, version},
    session::{Closer, Config, Delivery, Dir, RequestId, Side, StreamId, Transport},
};
use proptest::prelude::*;

const NOW: Micros = Micros(1);

fn id() -> impl Strategy<Value = u64> {
    prop_oneof![0..10u64, any::<u64>()]
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

fn frame() -> impl Strategy<Value = Frame> {
    let dir = prop_oneof![Just(Dir::Bi), Just(Dir::Uni)];
    prop_oneof![
        (id(), dir, any::<bool>(), bytes()).prop_map(|(id, dir, end, data)| Frame::Stream {
            id,
            dir,
            end,
            data
        }),
        (id(), id()).prop_map(|(id, code)| Frame::Reset { id, code: ResetCode(code) }),
        (id(), id()).prop_map(|(id, code)| Frame::Stop { id, code: ResetCode(code) }),
        bytes().prop_map(Frame::Datagram),
        (id(), bytes()).prop_map(|(code, reason)| Frame::Close { code: SessionCode(code), reason }),
        id().prop_map(Frame::Taken),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(frame in frame()) {
        let message = frame.encode();
        let decoded = Frame::decode(message.clone()).unwrap();
        prop_assert_eq!(&decoded, &frame);
        let at = decoded.payload().as_ptr();
        prop_assert!(decoded.payload().is_empty() || message.as_ptr_range().contains(&at), "copied");
        let mut head = Vec::new();
        frame.encode_head(&mut head);
        prop_assert_eq!([&head, frame.payload()].concat(), message);
    }

    #[test]
    fn any_bytes_are_a_frame_or_a_violation(message in bytes()) {
        if let Ok(frame) = Frame::decode(message) {
            prop_assert_eq!(Frame::decode(frame.encode()).unwrap(), frame);
        }
    }

    #[test]
    fn a_session_survives_any_frames(frames in prop::collection::vec(frame(), 0..60)) {
        let mut end = End::new(Side::Server);
        for frame in frames {
            if end.mux.received(&mut end.session, NOW, frame.encode()).is_err() {
                break;
            }
            end.drain(NOW);
        }
    }
}

/// One side of a WebSocket.
struct End {
    session: Session,
    mux: Mux,
    events: Vec<Event>,
}

impl End {
    fn new(side: Side) -> Self {
        let config = Config::new(side, Transport::WebTransport, Version::Draft18);
        Self { session: Session::new(NOW, config).unwrap(), mux: Mux::new(side), events: Vec::new() }
    }

    /// Returns the messages that it wants sent.
    fn drain(&mut self, now: Micros) -> Vec<Bytes> {
        let mut messages = Vec::new();
        while let Some(output) = self.session.poll() {
            match output {
                Output::Event(event) => self.events.push(event),
                output => {
                    let Self { session, mux, .. } = self;
                    mux.send(session, now, output, |frame| messages.push(frame.encode()));
                }
            }
        }
        messages
    }
}

/// Exchanges messages until both sides are silent.
fn settle(client: &mut End, server: &mut End) {
    loop {
        let to_server = client.drain(NOW);
        let to_client = server.drain(NOW);
        if to_server.is_empty() && to_client.is_empty() {
            return;
        }
        for message in to_server {
            assert!(message.len() <= MAX_FRAME);
            server.mux.received(&mut server.session, NOW, message).unwrap();
        }
        for message in to_client {
            assert!(message.len() <= MAX_FRAME);
            client.mux.received(&mut client.session, NOW, message).unwrap();
        }
    }
}

fn track() -> TrackName {
    TrackName::new(Namespace::from_path("room").unwrap(), "video").unwrap()
}

/// Two ends, of which the client has asked for a track; its request, and the stream that the server has opened.
fn subscribed() -> (End, End, RequestId, StreamId) {
    let (mut client, mut server) = (End::new(Side::Client), End::new(Side::Server));
    let subscription = client.session.subscribe(track(), Params::default()).unwrap();
    settle(&mut client, &mut server);
    let Some(Event::Subscribe { request, .. }) = server.events.last().cloned() else {
        panic!("{:?}", server.events)
    };
    server.session.accept_subscribe(request, Params::default(), Properties::NONE).unwrap();
    let stream = server.session.open_subgroup(request, SubgroupHeader::default()).unwrap();
    (client, server, subscription, stream)
}

/// A server that sends so many bytes of an object.
fn sending(bytes: usize) -> (End, End, StreamId) {
    let (client, mut server, _, stream) = subscribed();
    let header = ObjectHeader {
        id: 0,
        properties: Properties::NONE,
        payload_len: bytes as u64,
        status: Status::Normal,
    };
    assert_eq!(server.session.object(NOW, stream, &header, NOW).unwrap(), Delivery::Sent);
    server.session.payload(stream, Bytes::from(vec![7; bytes])).unwrap();
    (client, server, stream)
}

#[test]
fn who_sends_knows_what_was_taken() {
    let (mut client, mut server, _) = sending(WINDOW as usize);
    let messages = server.drain(NOW);
    assert!(server.mux.is_full(), "all of it is under way");
    let mut told = 0;
    for message in messages {
        client.mux.received(&mut client.session, NOW, message).unwrap();
        if let Some(taken) = client.mux.owed() {
            told += 1;
            server.mux.received(&mut server.session, NOW, taken.encode()).unwrap();
            assert!(!server.mux.is_full());
        }
        assert_eq!(client.mux.owed(), None, "nothing is said twice");
    }
    assert_eq!(told, WINDOW / TAKEN_EVERY);
}

#[test]
fn nobody_takes_more_than_was_sent_or_gives_it_back() {
    for words in [[1 << 40, 0], [1000, 999]] {
        let (_, mut server, _) = sending(10_000);
        server.drain(NOW);
        let said = words
            .map(|bytes| server.mux.received(&mut server.session, NOW, Frame::Taken(bytes).encode()).is_ok());
        assert_ne!(said, [true, true], "{words:?}");
    }
}

#[test]
fn a_large_object_goes_from_server_to_client() {
    let (mut client, mut server, stream) = sending(3 * MAX_DATA);
    server.session.finish(NOW, stream).unwrap();
    settle(&mut client, &mut server);
    let got: Vec<u8> = client
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Payload { data, .. } => Some(data.to_vec()),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(got, vec![7; 3 * MAX_DATA]);
    assert!(client.events.iter().any(|event| matches!(event, Event::StreamEnded { .. })));

    client.session.close(SessionCode::NO_ERROR, "bye");
    settle(&mut client, &mut server);
    assert!(matches!(server.events.last(), Some(Event::Closed { by: Closer::Peer, .. })));
}

#[test]
fn a_stream_that_is_stopped_is_reset_and_forgotten() {
    let (mut client, mut server, subscription, stream) = subscribed();
    settle(&mut client, &mut server);
    client.session.cancel(subscription).unwrap();
    settle(&mut client, &mut server);
    assert!(server.session.payload(stream, Bytes::new()).is_err(), "the stream is over");
    assert!(server.events.iter().any(|event| matches!(event, Event::Cancelled { .. })));
}

#[test]
fn a_peer_out_of_bounds_is_refused() {
    let stream = |id| Frame::Stream { id, dir: Dir::Uni, end: false, data: Bytes::new() }.encode();
    let mut server = End::new(Side::Server);
    let mut received = |message| server.mux.received(&mut server.session, NOW, message);
    assert!(received(stream(1)).is_err(), "a number of the server's own that it has not given");
    for id in 0..MAX_STREAMS as u64 {
        received(stream(2 * id)).unwrap();
    }
    assert!(received(stream(2 * MAX_STREAMS as u64)).is_err(), "one stream too many");
    assert!(received(Bytes::from(vec![DATAGRAM; MAX_FRAME + 1])).is_err(), "a frame too long");
    assert!(received(Bytes::from_static(&[8])).is_err(), "an unknown kind");
    assert!(received(Bytes::from_static(&[4, 0, 0, 0])).is_err(), "bytes after the last field");
    let both_ways = Frame::Stream { id: 0, dir: Dir::Bi, end: false, data: Bytes::new() };
    assert!(received(both_ways.encode()).is_err(), "a stream that changes its direction");
}

const DATAGRAM: u8 = 6;

#[test]
fn a_stream_that_is_over_stays_over() {
    let mut server = End::new(Side::Server);
    let frame = |end| Frame::Stream { id: 0, dir: Dir::Uni, end, data: Bytes::from_static(b"\x05") }.encode();
    server.mux.received(&mut server.session, NOW, frame(true)).unwrap();
    server.mux.received(&mut server.session, NOW, frame(false)).unwrap();
    server.session.handle(NOW, Input::Timeout);
    server
        .mux
        .received(&mut server.session, NOW, Frame::Stop { id: 0, code: ResetCode(0) }.encode())
        .unwrap();
}

#[test]
fn its_name_says_the_version() {
    assert_eq!(version(subprotocol(Version::Draft18)), Some(Version::Draft18));
    assert_eq!(version("moqt-18"), None);
}

/// A peer that has refused a request stops reading its stream, which may arrive before the refusal is read.
#[test]
fn a_refusal_counts_though_its_stream_was_stopped() {
    let (mut client, mut server) = (End::new(Side::Client), End::new(Side::Server));
    settle(&mut client, &mut server);
    let room = Namespace::from_path("room").unwrap();
    let asked = client.session.publish_namespace(room, Params::default()).unwrap();
    let asking = client.drain(NOW);
    let stop = asking.iter().find_map(|message| match Frame::decode(message.clone()).unwrap() {
        Frame::Stream { id, dir: Dir::Bi, .. } => Some(Frame::Stop { id, code: ResetCode(0) }),
        _ => None,
    });
    for message in asking {
        server.mux.received(&mut server.session, NOW, message).unwrap();
    }
    server.drain(NOW);
    let Some(Event::PublishNamespace { request, .. }) = server.events.last().cloned() else {
        panic!("{:?}", server.events)
    };
    server.session.reject(request, RequestError::new(RequestCode::UNAUTHORIZED, "no token")).unwrap();
    client.mux.received(&mut client.session, NOW, stop.unwrap().encode()).unwrap();
    settle(&mut client, &mut server);
    let refused = |event: &Event| match event {
        Event::RequestError { request, error } => {
            *request == asked && error.code == RequestCode::UNAUTHORIZED
        }
        _ => false,
    };
    assert!(client.events.iter().any(refused), "{:?}", client.events);
    assert_eq!((client.session.open_requests(), server.session.open_requests()), (0, 0));
}
