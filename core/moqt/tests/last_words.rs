//! A peer that drops its connection stops and resets all its streams at once; its earlier messages on other
//! streams still count.

use std::collections::BTreeMap;

use moqt::{
    Config, DoneCode, Event, Input, Micros, Namespace, Output, Params, Properties, ResetCode, Session,
    SessionCode, TrackName, Version,
    session::{Closer, RequestId, Side, StreamId, Transport},
};

const SOON: Micros = Micros::from_millis(10);
const LATE: Micros = Micros::from_millis(5_000);

/// A session, its names for the peer's streams, and its events.
struct End {
    session: Session,
    names: BTreeMap<StreamId, StreamId>,
    /// The first streams that are opened are the control streams.
    control: Option<StreamId>,
    peer_control: Option<StreamId>,
    events: Vec<Event>,
}

impl End {
    fn new(side: Side) -> Self {
        let session = Session::new(Micros(0), Config::new(side, Transport::Quic, Version::Draft18));
        Self {
            session: session.expect("a session"),
            names: BTreeMap::new(),
            control: None,
            peer_control: None,
            events: Vec::new(),
        }
    }

    /// Takes the session's outputs; stores its events.
    fn outputs(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some(output) = self.session.poll() {
            match output {
                Output::Event(event) => self.events.push(event),
                output => outputs.push(output),
            }
        }
        outputs
    }

    fn closed(&mut self) -> Option<(SessionCode, Closer)> {
        self.outputs();
        self.events.iter().find_map(|event| match event {
            Event::Closed { code, by, .. } => Some((*code, *by)),
            _ => None,
        })
    }
}

/// Carries all that `from` wants to send to `to`.
fn carry(from: &mut End, to: &mut End) {
    for output in from.outputs() {
        match output {
            Output::Open { stream, dir, .. } => {
                let theirs = to.session.opened(dir);
                to.names.insert(theirs, stream);
                from.names.insert(stream, theirs);
                from.control.get_or_insert(stream);
                to.peer_control.get_or_insert(theirs);
            }
            Output::Write { stream, data } => {
                let stream = from.names[&stream];
                to.session.handle(SOON, Input::Data { stream, data });
            }
            Output::Finish { stream } => {
                let stream = from.names[&stream];
                to.session.handle(SOON, Input::Finished { stream });
            }
            _ => {}
        }
    }
}

/// A publisher and its relay, once a track has been offered and accepted.
fn offered() -> (End, End, RequestId) {
    let (mut publisher, mut relay) = (End::new(Side::Client), End::new(Side::Server));
    carry(&mut relay, &mut publisher);
    carry(&mut publisher, &mut relay);
    let namespace = Namespace::from_path("room").expect("a namespace");
    let track = TrackName::new(namespace, "video").expect("a name");
    let request = publisher.session.publish(track, Params::default(), Properties::NONE).expect("a request");
    carry(&mut publisher, &mut relay);
    relay.session.accept(request, Params::default(), Properties::NONE).expect("accepted");
    carry(&mut relay, &mut publisher);
    (publisher, relay, request)
}

#[test]
fn what_was_said_before_the_control_stream_went_is_heard_after_it() {
    for stopped_first in [true, false] {
        let (mut publisher, mut relay, request) = offered();
        let control = relay.control.expect("a control stream");
        publisher.session.done(request, DoneCode::TRACK_ENDED, "").expect("done");
        let stop = Input::Stopped { stream: control, code: ResetCode::CANCELLED };
        if stopped_first {
            relay.session.handle(SOON, stop);
            carry(&mut publisher, &mut relay);
        } else {
            carry(&mut publisher, &mut relay);
            relay.session.handle(SOON, stop);
        }
        relay.outputs();
        let done = |event: &Event| matches!(event, Event::Done { code: DoneCode::TRACK_ENDED, .. });
        assert!(relay.events.iter().any(done), "{:?}", relay.events);
    }
}

#[test]
fn a_session_without_a_control_stream_does_not_last() {
    for how in 0..3 {
        let (_publisher, mut relay, _) = offered();
        let control = relay.control.expect("a control stream");
        let peer_control = relay.peer_control.expect("the peer's");
        relay.session.handle(
            SOON,
            match how {
                0 => Input::Stopped { stream: control, code: ResetCode::CANCELLED },
                1 => Input::Finished { stream: peer_control },
                _ => Input::Reset { stream: peer_control, code: ResetCode::CANCELLED },
            },
        );
        assert_eq!(relay.closed(), None);
        assert!(relay.session.timeout().is_some_and(|at| at < LATE));
        relay.session.handle(LATE, Input::Timeout);
        assert_eq!(relay.closed(), Some((SessionCode::PROTOCOL_VIOLATION, Closer::Violation)));
    }
}
