//! Memberships against an edge, over pairs of real sessions in memory and virtual time.

use std::task::{Context, Waker};

use moqt::{
    App, Cx, DoneCode, Event, Micros, Namespace, Params, Properties, RequestCode, ResetCode, TrackName,
    Version, WebSocketSession,
    message::RequestError,
    packet_track::Outflow,
    session::{Config, RequestId, Side, StreamId, Transport},
};
use outbox::{
    Fact, Membership, Outbox, Outcome,
    membership::{Cause, ENDED_PAUSE, Output, REFUSED_PAUSE},
};
use wire::{Act, EdgeMessage, FanMessage, Frame, Frames, Hello, Say, Track, names};

const START: Micros = Micros(1_000_000_000);
const MOMENT: Micros = Micros(1);
const SAY: Act<'static> =
    Act::Say(Say { text: "hello", reply: None, mentions: wire::List(Vec::new()), danmaku: None });

/// The client's end: a membership, and what it has put out.
struct Fan {
    membership: Membership,
    outputs: Vec<Output>,
    /// Events that the membership has passed on.
    passed: Vec<Event>,
}

impl App for Fan {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        self.passed.extend(self.membership.event(cx.now, event));
    }

    fn poll(&mut self, _: &mut Context<'_>, cx: &mut Cx<'_>) -> std::task::Poll<()> {
        self.membership.drive(cx.session, cx.now).expect("an open session");
        self.outputs.extend(std::iter::from_fn(|| self.membership.poll()));
        std::task::Poll::Pending
    }
}

/// The edge's answer to a subscription or a published track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Accept,
    Refuse,
}

/// A command for the edge's session.
type Deed = Box<dyn FnOnce(&mut Edge, &mut Cx<'_>)>;

/// The edge's end: it answers requests, and records them and the acts.
struct Edge {
    manner: Manner,
    deeds: Vec<Deed>,
    /// Names of the tracks that the fan has requested, since the last look.
    requested: Vec<String>,
    /// The open requests.
    tracks: Vec<(TrackName, RequestId)>,
    acts: Option<StreamId>,
    /// The fan's messages, since the last look.
    messages: Vec<String>,
    cancelled: usize,
}

impl Edge {
    /// Returns the open request for the track of this name.
    fn request(&self, name: &str) -> RequestId {
        let open = self.tracks.iter().rfind(|(track, _)| track.name() == name);
        open.expect("an open request").1
    }

    fn on_request(&mut self, track: TrackName, request: RequestId) {
        self.requested.push(String::from_utf8_lossy(track.name()).into_owned());
        self.tracks.push((track, request));
    }
}

impl App for Edge {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        let refusal = || RequestError::new(RequestCode::DOES_NOT_EXIST, "there is no such room");
        match event {
            Event::Subscribe { request, .. } | Event::Publish { request, .. }
                if self.manner == Manner::Refuse =>
            {
                cx.session.reject(request, refusal()).expect("open");
            }
            Event::Subscribe { request, track, .. } => {
                self.on_request(track, request);
                let (params, properties) = (Params::default(), Properties::default());
                cx.session.accept_subscribe(request, params, properties).expect("open");
            }
            Event::Publish { request, track, .. } => {
                self.on_request(track, request);
                cx.session.accept(request, Params::default(), Properties::default()).expect("open");
            }
            Event::Subgroup { stream, request, .. } if request == self.request(names::ACTS) => {
                self.acts = Some(stream);
            }
            // Each packet of these tests is short enough to come in one piece.
            Event::Payload { stream, data } if self.acts == Some(stream) => {
                for message in Frames::<FanMessage<'_>>::new(&data).expect("a packet") {
                    self.messages.push(match message {
                        Ok(Frame::Known(FanMessage::Hello(Hello { next, .. }))) => format!("hello {next}"),
                        Ok(Frame::Known(FanMessage::Act { number, .. })) => format!("act {number}"),
                        other => format!("{other:?}"),
                    });
                }
            }
            Event::Cancelled { .. } => self.cancelled += 1,
            _ => {}
        }
    }

    fn poll(&mut self, _: &mut Context<'_>, cx: &mut Cx<'_>) -> std::task::Poll<()> {
        for deed in std::mem::take(&mut self.deeds) {
            deed(self, cx);
        }
        std::task::Poll::Pending
    }
}

/// A fan and an edge, with a session between them.
struct Pair {
    now: Micros,
    fan: Fan,
    edge: Edge,
    client: WebSocketSession,
    server: WebSocketSession,
}

impl Pair {
    /// Connects a fan to an edge, and lets them exchange all that is due at once.
    fn connect(manner: Manner) -> Self {
        let room = Namespace::from_path("festival/main").expect("a room");
        let membership = Membership::new(&room, Outbox::new(1)).expect("a short name");
        let mut pair = Self {
            now: START,
            fan: Fan { membership, outputs: Vec::new(), passed: Vec::new() },
            edge: Edge {
                manner,
                deeds: Vec::new(),
                requested: Vec::new(),
                tracks: Vec::new(),
                acts: None,
                messages: Vec::new(),
                cancelled: 0,
            },
            client: session(Side::Client),
            server: session(Side::Server),
        };
        pair.fan.membership.begin(START);
        pair.settle();
        pair
    }

    /// Connects the fan to an edge anew.
    fn reconnect(&mut self) {
        (self.client, self.server) = (session(Side::Client), session(Side::Server));
        self.edge.tracks.clear();
        self.fan.membership.end();
        self.fan.membership.begin(self.now);
        self.settle();
    }

    /// Carries messages until neither side has any.
    fn settle(&mut self) {
        let mut task = Context::from_waker(Waker::noop());
        loop {
            let mut busy = self.client.run(&mut task, self.now, &mut self.fan);
            busy |= self.server.run(&mut task, self.now, &mut self.edge);
            while let Some(message) = self.client.pop(self.now) {
                busy = true;
                self.server.received(self.now, message);
            }
            while let Some(message) = self.server.pop(self.now) {
                busy = true;
                self.client.received(self.now, message);
            }
            if !busy {
                return;
            }
        }
    }

    /// Lets this time pass, with a look at what is due on the way.
    fn pass(&mut self, span: Micros) {
        let end = self.now + span;
        while let Some(due) = self.fan.membership.timeout().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    /// Has the edge do something, and carries the consequences.
    fn edge(&mut self, deed: impl FnOnce(&mut Edge, &mut Cx<'_>) + 'static) {
        self.edge.deeds.push(Box::new(deed));
        self.settle();
    }

    fn act(&mut self, ticket: u32) {
        self.fan.membership.act(self.now, ticket, SAY);
        self.settle();
    }

    /// Returns the names of the tracks that the fan requested since the last call.
    fn requested(&mut self) -> Vec<String> {
        std::mem::take(&mut self.edge.requested)
    }

    /// Returns the fan's messages since the last call.
    fn messages(&mut self) -> Vec<String> {
        std::mem::take(&mut self.edge.messages)
    }

    /// Returns the outputs since the last call.
    fn outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.fan.outputs)
    }

    /// Expects the fan to have left for this reason, and to join again once the pause is over, and not before.
    fn rejoins(&mut self, why: &'static str) {
        assert_eq!(self.outputs(), [Output::Left(Cause::Ended(why))]);
        assert!(!self.fan.membership.is_joined());
        self.messages();
        self.pass(ENDED_PAUSE - MOMENT);
        assert_eq!(self.requested(), [] as [&str; 0]);
        self.pass(MOMENT);
        assert_eq!(self.requested(), ["answers", "acts"]);
        assert_eq!(self.outputs(), [Output::Joined]);
        assert_eq!(self.messages(), ["hello 1", "act 1"], "the act was not acked");
        self.is_acked();
    }

    /// Has the edge ack the fan's first act, and expects the fan to settle it.
    fn is_acked(&mut self) {
        self.edge(|edge, cx| {
            send(edge, cx, names::ANSWERS, &[&wire::packet(&EdgeMessage::Acked { through: 1 })]);
        });
        let settled = Fact::Settled { ticket: 7, outcome: Outcome::Taken { line: None } };
        assert_eq!(self.outputs(), [Output::Fact(settled)]);
    }

    /// Connects a fan, and has the fan send an act.
    fn joined() -> Self {
        let mut pair = Self::connect(Manner::Accept);
        pair.act(7);
        assert_eq!(pair.messages(), ["hello 1", "act 1"]);
        pair.requested();
        pair.outputs();
        pair
    }
}

fn session(side: Side) -> WebSocketSession {
    let config = Config::new(side, Transport::WebTransport, Version::Draft18);
    WebSocketSession::new(START, config).expect("a session")
}

/// Sends packets of a track on a stream that stays open.
fn send(edge: &Edge, cx: &mut Cx<'_>, track: &str, packets: &[&[u8]]) {
    let mut outflow = Outflow::new(edge.request(track), u64::MAX);
    for packet in packets {
        outflow.send(cx, packet.to_vec().into()).expect("open");
    }
}

#[test]
fn a_fan_joins_and_an_act_is_settled() {
    let mut pair = Pair::connect(Manner::Accept);
    assert_eq!(pair.requested(), ["answers", "chat", "pulse", "stage", "acts"]);
    let subscribed = [Track::Chat, Track::Pulse, Track::Stage].map(Output::Subscribed);
    assert_eq!(pair.outputs(), [&subscribed[..], &[Output::Joined]].concat());
    pair.act(7);
    assert_eq!(pair.messages(), ["hello 1", "act 1"]);
    pair.is_acked();
    assert!(pair.fan.membership.is_joined());
    let is_other = |event: &Event| !matches!(event, Event::Ready(_));
    assert!(!pair.fan.passed.iter().any(is_other), "{:?}", pair.fan.passed);
}

#[test]
fn objects_of_shown_tracks_are_passed_on() {
    let mut pair = Pair::joined();
    let long = vec![7; 100_000];
    let (sent, empty) = (long.clone(), Vec::new());
    pair.edge(move |edge, cx| {
        send(edge, cx, "pulse", &[b"numbers", &empty, &sent]);
        send(edge, cx, "chat", &[b"line"]);
    });
    let shown =
        |track, object, packet: &[u8]| Output::Shown { track, group: 0, object, packet: packet.to_vec() };
    let outputs = pair.outputs();
    assert_eq!(outputs.len(), 4);
    for output in [
        shown(Track::Pulse, 0, b"numbers"),
        shown(Track::Pulse, 1, b""),
        shown(Track::Pulse, 2, &long),
        shown(Track::Chat, 0, b"line"),
    ] {
        assert!(outputs.contains(&output));
    }
}

#[test]
fn a_refused_fan_asks_again_after_the_pause() {
    let mut pair = Pair::connect(Manner::Refuse);
    let refusal = RequestError::new(RequestCode::DOES_NOT_EXIST, "there is no such room");
    let outputs = pair.outputs();
    let left: Vec<_> = outputs.iter().filter(|output| matches!(output, Output::Left(_))).collect();
    assert_eq!(left, [&Output::Left(Cause::Refused(refusal.clone()))]);
    assert_eq!(Cause::Refused(refusal).to_string(), "there is no such room");
    pair.edge.manner = Manner::Accept;
    pair.pass(REFUSED_PAUSE - MOMENT);
    assert_eq!(pair.requested(), [] as [&str; 0]);
    pair.pass(MOMENT);
    assert_eq!(pair.requested(), ["answers", "chat", "pulse", "stage", "acts"]);
    assert!(pair.fan.membership.is_joined());
    assert_eq!(pair.messages(), ["hello 1"]);
}

#[test]
fn refused_acts_end_the_answers_too() {
    let mut pair = Pair::connect(Manner::Accept);
    pair.edge(|edge, cx| {
        edge.manner = Manner::Refuse;
        cx.session.cancel(edge.request(names::ACTS)).expect("open");
    });
    pair.pass(ENDED_PAUSE);
    pair.outputs();
    assert_eq!(pair.edge.cancelled, 1, "the answers");
    pair.edge.manner = Manner::Accept;
    pair.pass(REFUSED_PAUSE);
    assert!(pair.fan.membership.is_joined());
}

/// The session stops a cancelled track's stream first.
#[test]
fn a_fan_whose_acts_are_cancelled_joins_again() {
    let mut pair = Pair::joined();
    pair.edge(|edge, cx| cx.session.cancel(edge.request(names::ACTS)).expect("open"));
    assert_eq!(pair.edge.cancelled, 1, "the answers");
    pair.rejoins("the edge stopped the stream of acts");
}

#[test]
fn a_fan_whose_answers_are_done_joins_again() {
    let mut pair = Pair::joined();
    pair.edge(|edge, cx| {
        cx.session.done(edge.request(names::ANSWERS), DoneCode::INTERNAL_ERROR, "").expect("open");
    });
    pair.rejoins("the track has ended");
}

#[test]
fn a_fan_whose_stream_of_acts_is_stopped_joins_again() {
    let mut pair = Pair::joined();
    pair.edge(|edge, cx| {
        cx.session.stop(edge.acts.expect("a stream"), ResetCode::CANCELLED).expect("open");
    });
    pair.rejoins("the edge stopped the stream of acts");
}

#[test]
fn a_fan_whose_stream_of_answers_ends_joins_again() {
    let mut pair = Pair::joined();
    pair.edge(|edge, cx| {
        let mut outflow = Outflow::new(edge.request(names::ANSWERS), 1);
        outflow.send(cx, wire::packet(&EdgeMessage::Acked { through: 0 }).into()).expect("open");
    });
    pair.rejoins("the stream of answers has ended");
}

#[test]
fn answers_on_two_streams_are_not_put_in_order() {
    let mut pair = Pair::joined();
    pair.edge(|edge, cx| {
        let packet = wire::packet(&EdgeMessage::Acked { through: 0 });
        send(edge, cx, names::ANSWERS, &[&packet]);
        send(edge, cx, names::ANSWERS, &[&packet]);
    });
    pair.rejoins("the answers came on two streams");
}

#[test]
fn an_unreadable_answer_is_a_longer_pause() {
    let mut pair = Pair::joined();
    pair.edge(|edge, cx| send(edge, cx, names::ANSWERS, &[&[255]]));
    let outputs = pair.outputs();
    let [Output::Left(cause @ Cause::Unreadable(_))] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(cause.to_string(), "the edge speaks another version");
    pair.pass(REFUSED_PAUSE - MOMENT);
    assert!(!pair.fan.membership.is_joined());
    pair.pass(MOMENT);
    assert!(pair.fan.membership.is_joined());
}

#[test]
fn a_shown_track_that_is_lost_is_requested_again_alone() {
    let mut pair = Pair::joined();
    pair.edge(|edge, cx| cx.session.done(edge.request("pulse"), DoneCode::TRACK_ENDED, "").expect("open"));
    assert_eq!(pair.outputs(), []);
    assert!(pair.fan.membership.is_joined());
    pair.pass(ENDED_PAUSE - MOMENT);
    assert_eq!(pair.requested(), [] as [&str; 0]);
    pair.pass(MOMENT);
    assert_eq!(pair.requested(), ["pulse"]);
    assert_eq!(pair.outputs(), [Output::Subscribed(Track::Pulse)]);
    pair.edge(|edge, cx| send(edge, cx, "pulse", &[b"numbers"]));
    assert_eq!(pair.outputs().len(), 1);
    assert!(pair.fan.membership.is_joined());
}

#[test]
fn an_act_that_is_never_answered_ends_the_membership() {
    let mut pair = Pair::joined();
    pair.pass(Micros::from_secs(wire::limits::RESEND_SECONDS));
    let outputs = pair.outputs();
    assert!(outputs.contains(&Output::Left(Cause::Ended("an act was not answered in time"))), "{outputs:?}");
    pair.messages();
    pair.pass(ENDED_PAUSE);
    assert_eq!(pair.outputs(), [Output::Joined]);
    assert_eq!(pair.messages(), ["hello 2"]);
}

#[test]
fn unacked_acts_pass_to_the_next_session() {
    let mut pair = Pair::joined();
    pair.fan.membership.end();
    assert_eq!(pair.fan.membership.timeout().filter(|at| *at <= pair.now + ENDED_PAUSE), None);
    pair.fan.membership.act(pair.now, 8, SAY);
    pair.fan.membership.tick(pair.now);
    pair.reconnect();
    assert_eq!(pair.requested(), ["answers", "chat", "pulse", "stage", "acts"]);
    assert_eq!(pair.messages(), ["hello 1", "act 1", "act 2"]);
}

#[test]
fn a_room_with_a_long_name_is_refused() {
    let room = Namespace::new(["x".repeat(4_090)]).expect("a room");
    assert!(Membership::new(&room, Outbox::new(1)).is_err());
}
