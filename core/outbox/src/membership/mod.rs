//! A fan's membership in a room: the track of the fan's acts, the track of the answers to them, and the three tracks
//! that all fans see. Their namespaces are reserved ones: see [`wire::names`].

mod reader;
mod request;

use std::collections::VecDeque;

use moqt::{
    Event, GroupOrder, Micros, Misuse, NameError, Namespace, Params, Properties, Session, TrackName,
    data::{ObjectHeader, Status, SubgroupHeader},
    message::RequestError,
    packet_track::Outflow,
    session::{RequestId, StreamId},
};
use wire::{Act, Playing, Track, limits, names};

use self::{
    reader::{Partial, Reader, Source},
    request::{Request, Requested},
};
use crate::{Fact, Outbox, Output as OutboxOutput, Ticket};

/// Pause before a track that has ended is requested again.
pub const ENDED_PAUSE: Micros = Micros::from_millis(500);
/// Pause before a track that the edge refused is requested again: an edge without rooms refuses each time.
pub const REFUSED_PAUSE: Micros = Micros::from_millis(5_000);
/// Time that an edge may hold a subscription until the room exists.
const RENDEZVOUS: Micros = Micros::from_millis(10_000);
/// Priority of the subscriptions: after the catalog, before sound.
const PRIORITY: u8 = 48;
/// The tracks that every fan of a room subscribes to.
const SHOWN: [Track; 3] = [Track::Chat, Track::Pulse, Track::Stage];

/// A change that the caller is to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The edge takes the fan's acts from now on.
    Joined,
    /// The edge takes no acts at present. The membership joins again after a pause.
    Left(Cause),
    /// A track that all fans see was requested; its objects begin anew.
    Subscribed(Track),
    /// An object of a track that all fans see: a packet of [`wire::TrackItem`]s.
    Shown {
        /// The track of the object.
        track: Track,
        /// The number of the object's group.
        group: u64,
        /// The number of the object in its group.
        object: u64,
        /// The object's payload.
        packet: Vec<u8>,
    },
    /// A fact about the fan or the fan's acts.
    Fact(Fact),
}

/// A reason for leaving the room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The edge refused the acts or the answers: it may run no rooms, or not this one.
    #[error("{}", .0.reason_text())]
    Refused(RequestError),
    /// An answer cannot be read. The edge may be replaced soon by one that speaks this version.
    #[error("the edge speaks another version")]
    Unreadable(wire::Error),
    /// The acts or the answers have ended, for this reason.
    #[error("{0}")]
    Ended(&'static str),
}

impl Cause {
    fn pause(&self) -> Micros {
        match self {
            Self::Refused(_) | Self::Unreadable(_) => REFUSED_PAUSE,
            Self::Ended(_) => ENDED_PAUSE,
        }
    }
}

/// A fan's membership in one room, as a state machine over MoQ sessions, one after the other. It owns the fan's
/// [`Outbox`], whose unacked acts pass from one session to the next.
///
/// # Contract
///
/// * **Inputs.** [`begin`](Self::begin) with each new session and [`end`](Self::end) with its end;
///   [`event`](Self::event) for each event of the session; [`act`](Self::act) and [`beat`](Self::beat) for what the fan
///   does.
/// * **Session.** After any input, and at the moment that [`timeout`](Self::timeout) gives, [`drive`](Self::drive):
///   no other call uses the session. Between sessions, [`tick`](Self::tick) takes its place.
/// * **Outputs.** After that, [`poll`](Self::poll) until it gives `None`.
///
/// The one invariant: the outbox is joined exactly while the edge has accepted both of the fan's tracks and neither has
/// ended.
#[derive(Debug)]
pub struct Membership {
    outbox: Outbox,
    /// The answers to the fan: one group, on one stream.
    answers: Requested,
    /// The fan's acts, published once the edge has accepted the subscription to the answers.
    acts: Requested,
    /// The stream of the acts, once the edge has accepted them.
    outflow: Option<Outflow>,
    /// The subscriptions to the tracks that all fans see, in the order of [`SHOWN`].
    shown: [Requested; SHOWN.len()],
    /// Open streams of the answers and the shown tracks.
    readers: Vec<Reader>,
    /// Requests that the next [`drive`](Self::drive) cancels.
    unwanted: Vec<RequestId>,
    outputs: VecDeque<Output>,
}

impl Membership {
    /// Creates the membership of the fan with this outbox. A room's name is too long if the names of its tracks would
    /// be.
    pub fn new(room: &Namespace, outbox: Outbox) -> Result<Self, NameError> {
        let of_fan = Namespace::new([names::FAN])?.join(room)?;
        let of_room = Namespace::new([names::ROOM])?.join(room)?;
        let requested =
            |namespace: &Namespace, name| TrackName::new(namespace.clone(), name).map(Requested::new);
        let [chat, pulse, stage] = SHOWN.map(|track| requested(&of_room, track.name()));
        Ok(Self {
            outbox,
            answers: requested(&of_fan, names::ANSWERS)?,
            acts: requested(&of_fan, names::ACTS)?,
            outflow: None,
            shown: [chat?, pulse?, stage?],
            readers: Vec::new(),
            unwanted: Vec::new(),
            outputs: VecDeque::new(),
        })
    }

    /// Returns whether the edge takes the fan's acts.
    pub fn is_joined(&self) -> bool {
        self.outbox.is_joined()
    }

    /// Queues an act of the fan; see [`Outbox::act`].
    pub fn act(&mut self, now: Micros, ticket: Ticket, act: Act<'_>) {
        self.outbox.act(now, ticket, act);
    }

    /// Sends a heartbeat; see [`Outbox::beat`].
    pub fn beat(&mut self, active_ms: u32, playing: Playing) {
        self.outbox.beat(active_ms, playing);
    }

    /// Begins a session: its tracks are requested at once.
    pub fn begin(&mut self, now: Micros) {
        self.end();
        self.answers.request = Request::Due(now);
        for shown in &mut self.shown {
            shown.request = Request::Due(now);
        }
    }

    /// Ends the session, and with it all its requests; unacked acts stay for the next one.
    pub fn end(&mut self) {
        self.outbox.left();
        self.outflow = None;
        self.readers.clear();
        self.unwanted.clear();
        for track in [&mut self.answers, &mut self.acts].into_iter().chain(&mut self.shown) {
            track.request = Request::Idle;
        }
    }

    /// Handles an event of the session. Returns an event that does not concern the membership.
    pub fn event(&mut self, now: Micros, event: Event) -> Option<Event> {
        match event {
            Event::SubscribeOk { request, .. } if self.answers.is(request) => {
                self.acts.request = Request::Due(now);
            }
            Event::SubscribeOk { request, .. } if self.is_of(request) => {}
            Event::RequestOk { request, .. } if self.acts.is(request) => {
                // The edge keeps no groups of acts, so that one group, on one stream, will do.
                self.outflow = Some(Outflow::new(request, u64::MAX));
                self.outbox.joined(now);
                self.outputs.push_back(Output::Joined);
            }
            Event::RequestError { request, error } if self.is_of(request) => {
                self.lost(now, request, Cause::Refused(error));
            }
            Event::Done { request, .. } if self.is_of(request) => {
                self.lost(now, request, Cause::Ended("the track has ended"));
            }
            Event::Cancelled { request, .. } if self.is_of(request) => {
                self.lost(now, request, Cause::Ended("the edge cancelled the track"));
            }
            Event::Subgroup { stream, request, header } if self.is_of(request) => {
                self.on_stream(now, stream, request, header);
            }
            Event::Object { stream, header } if self.reads(stream) => self.on_object(now, stream, &header),
            Event::Payload { stream, data } if self.reads(stream) => self.on_payload(now, stream, &data),
            Event::StreamEnded { stream } | Event::StreamReset { stream, .. } if self.reads(stream) => {
                if self.reader(stream).is_some_and(|reader| reader.source == Source::Answers) {
                    self.leave(now, Cause::Ended("the stream of answers has ended"));
                }
                self.readers.retain(|reader| reader.stream != stream);
            }
            Event::StreamStopped { stream, .. }
                if self.outflow.as_ref().is_some_and(|outflow| outflow.is(stream)) =>
            {
                self.leave(now, Cause::Ended("the edge stopped the stream of acts"));
            }
            event => return Some(event),
        }
        None
    }

    /// Sends the session what is due: the outbox's packets, and the requests that are missing.
    pub fn drive(&mut self, session: &mut Session, now: Micros) -> Result<(), Misuse> {
        self.flush(now, Some(session));
        for request in std::mem::take(&mut self.unwanted) {
            match session.cancel(request) {
                // The peer has ended it, too.
                Ok(()) | Err(Misuse::UnknownRequest(_)) => {}
                Err(misuse) => return Err(misuse),
            }
        }
        self.answers.send_if_due(now, |name| {
            session.subscribe(name, Params { priority: Some(PRIORITY), ..Params::default() })
        })?;
        self.acts.send_if_due(now, |name| session.publish(name, Params::default(), Properties::default()))?;
        for (shown, track) in self.shown.iter_mut().zip(SHOWN) {
            shown.send_if_due(now, |name| {
                let order = if track == Track::Chat { GroupOrder::Ascending } else { GroupOrder::Descending };
                let params = Params {
                    priority: Some(PRIORITY),
                    group_order: Some(order),
                    rendezvous_timeout: Some(RENDEZVOUS.as_millis()),
                    ..Params::default()
                };
                self.outputs.push_back(Output::Subscribed(track));
                session.subscribe(name, params)
            })?;
        }
        Ok(())
    }

    /// Settles the acts whose time is over, without a session.
    pub fn tick(&mut self, now: Micros) {
        self.flush(now, None);
    }

    /// Returns the next output; see the contract.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns the time at which [`drive`](Self::drive) has something to do.
    pub fn timeout(&self) -> Option<Micros> {
        let tracks = [&self.answers, &self.acts].into_iter().chain(&self.shown);
        tracks.filter_map(Requested::due).chain(self.outbox.timeout()).min()
    }

    fn flush(&mut self, now: Micros, mut session: Option<&mut Session>) {
        self.outbox.tick(now);
        while let Some(output) = self.outbox.poll() {
            match (output, session.as_deref_mut(), &mut self.outflow) {
                (OutboxOutput::Send(packet), Some(session), Some(outflow)) => {
                    // The peer may have stopped the stream already; the event for that is on its way.
                    if outflow.send_on(session, now, packet.into()).is_err() {
                        self.leave(now, Cause::Ended("the acts cannot be sent"));
                    }
                }
                (OutboxOutput::StartOver, _, Some(_)) => {
                    self.leave(now, Cause::Ended("an act was not answered in time"));
                }
                // The stream that this is for is over.
                (OutboxOutput::Send(_) | OutboxOutput::StartOver, ..) => {}
                (OutboxOutput::Fact(fact), ..) => self.outputs.push_back(Output::Fact(fact)),
            }
        }
    }

    fn is_of(&self, request: RequestId) -> bool {
        self.acts.is(request) || self.source_of(request).is_some()
    }

    fn source_of(&self, request: RequestId) -> Option<Source> {
        if self.answers.is(request) {
            return Some(Source::Answers);
        }
        let at = self.shown.iter().position(|shown| shown.is(request))?;
        Some(Source::Shown(SHOWN[at]))
    }

    fn reads(&self, stream: StreamId) -> bool {
        self.readers.iter().any(|reader| reader.stream == stream)
    }

    fn reader(&mut self, stream: StreamId) -> Option<&mut Reader> {
        self.readers.iter_mut().find(|reader| reader.stream == stream)
    }

    /// Handles the end of a request. A shown track is requested again by itself.
    fn lost(&mut self, now: Micros, request: RequestId, cause: Cause) {
        match self.shown.iter_mut().zip(SHOWN).find(|(shown, _)| shown.is(request)) {
            Some((shown, track)) => {
                shown.request = Request::Due(now + cause.pause());
                self.readers.retain(|reader| reader.source != Source::Shown(track));
            }
            None => self.leave(now, cause),
        }
    }

    /// Ends the fan's own two tracks; they are requested again after a pause.
    fn leave(&mut self, now: Micros, cause: Cause) {
        for track in [&mut self.answers, &mut self.acts] {
            self.unwanted.extend(track.take());
        }
        self.answers.request = Request::Due(now + cause.pause());
        self.outflow = None;
        self.readers.retain(|reader| reader.source != Source::Answers);
        self.outbox.left();
        self.outputs.push_back(Output::Left(cause));
    }

    fn on_stream(&mut self, now: Micros, stream: StreamId, request: RequestId, header: SubgroupHeader) {
        let Some(source) = self.source_of(request) else { return };
        if source == Source::Answers && self.readers.iter().any(|reader| reader.source == source) {
            return self.leave(now, Cause::Ended("the answers came on two streams"));
        }
        self.readers.push(Reader { stream, source, group: header.group, object: None });
    }

    fn on_object(&mut self, now: Micros, stream: StreamId, header: &ObjectHeader) {
        let Some(reader) = self.reader(stream) else { return };
        let fits = header.payload_len <= limits::FRAME as u64;
        if !fits && reader.source == Source::Answers {
            return self.leave(now, Cause::Ended("an answer is too long"));
        }
        let is_wanted = fits && header.status == Status::Normal;
        reader.object = is_wanted.then(|| Partial::new(header.id, header.payload_len));
        if header.payload_len == 0 {
            self.on_payload(now, stream, &[]);
        }
    }

    fn on_payload(&mut self, now: Micros, stream: StreamId, data: &[u8]) {
        let Some(reader) = self.reader(stream) else { return };
        let Some(Partial { id: object, packet, .. }) = reader.add(data) else { return };
        let group = reader.group;
        match reader.source {
            Source::Answers => {
                if let Err(error) = self.outbox.receive(now, &packet) {
                    self.leave(now, Cause::Unreadable(error));
                }
            }
            Source::Shown(track) => {
                self.outputs.push_back(Output::Shown { track, group, object, packet });
            }
        }
    }
}
