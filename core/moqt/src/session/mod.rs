//! One end of one MoQ session.

mod answer;
mod ask;
mod config;
mod held;
mod io;
mod order;
mod peer;
mod receive;
mod request;
mod send;
mod setup;
mod timers;

pub use ask::Hold;
pub use config::{Config, Limits, Side, Transport};
pub use io::{Closer, Dir, Event, Input, Output, RequestId, StreamId};
pub use order::SendOrder;
pub use send::Delivery;

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};

use crate::{
    ControlReader, Message, Micros, Misuse, ResetCode, SessionCode, StreamReader, TrackName, Violation,
    message::{self, RequestError},
    token::TokenCache,
};
use held::{Held, Piece};
use peer::PeerIds;
use request::{FetchStream, Kind, Maker, Phase, Request, Role};
use send::Outgoing;
use timers::{Timer, Timers};

/// Aliases of ended subscriptions that are remembered, so that their late
/// objects are discarded rather than held (Section 11.1).
const RETIRED_ALIASES: usize = 256;
/// Bytes reserved at once for the messages that the session writes itself.
const SCRATCH: usize = 4096;
/// Places for outputs that an idle session keeps: those of a burst are given back.
const MAX_IDLE_OUTPUTS: usize = 64;
/// The most that the head of a stream or object takes, besides properties. No more
/// is asked for, so that memory is taken anew only once a piece is used up: what
/// was cut from it may still be on its way.
const HEAD: usize = 64;

/// One end of one MoQ session: publisher, subscriber or both, client or server,
/// on raw QUIC or WebTransport.
///
/// # Contract
///
/// * **Inputs.** The shell calls [`opened`](Self::opened) for each stream the
///   peer opens and passes all other events of the transport to
///   [`handle`](Self::handle). The application calls the other methods: requests
///   (`subscribe`, `publish`, …), answers (`accept_subscribe`, `reject`, …) and
///   objects (`open_subgroup`, `object`, `payload`, …). [`Input::Delivered`] is
///   owed for each data stream that the session finishes.
/// * **Outputs.** After any input, call [`poll`](Self::poll) until it returns
///   `None` and carry out the outputs in that order; then call
///   [`timeout`](Self::timeout) and come back with [`Input::Timeout`] at that
///   moment, if there is one.
/// * **Errors.** A [`Misuse`] is the caller's, and changes nothing. A peer's
///   violation closes the session: [`Output::Close`], then [`Event::Closed`].
///
/// The one invariant: the outputs are a function of the inputs.
#[derive(Debug)]
pub struct Session {
    config: Config,
    state: State,
    outputs: VecDeque<Output>,
    scratch: BytesMut,
    timers: Timers,
    next_stream: u64,
    next_request: u64,
    next_alias: u64,
    streams: BTreeMap<StreamId, Stream>,
    requests: BTreeMap<RequestId, Request>,
    peer_ids: PeerIds,
    tokens: TokenCache,
    /// Our subscriptions by track, one for each role (Section 5.1).
    published: BTreeMap<TrackName, RequestId>,
    subscribed: BTreeMap<TrackName, RequestId>,
    /// Requests by the peer's track alias.
    aliases: BTreeMap<u64, RequestId>,
    retired: VecDeque<u64>,
    held: Held,
    control: StreamId,
    peer_control: Option<StreamId>,
    /// Reason for which a control stream ended, if one did.
    control_lost: Option<&'static str>,
    goaway_sent: bool,
    goaway_received: bool,
    /// Requests of both sides that are over.
    requests_over: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The peer's SETUP is not here.
    Waiting,
    Ready,
    Closed,
}

/// Purpose of a stream.
#[derive(Debug)]
enum Stream {
    /// Ours, with our control messages.
    Control,
    /// The peer's control stream.
    PeerControl(ControlReader),
    Request(RequestStream),
    Incoming(Box<Incoming>),
    Outgoing(Outgoing),
    /// Ours, all written and of no request any more, but not all arrived.
    Finished,
    /// No longer needed: its data is dropped.
    Over,
}

#[derive(Debug)]
struct RequestStream {
    /// None until the first message of a stream of the peer's.
    request: Option<RequestId>,
    reader: ControlReader,
    /// Data that arrived before the peer's SETUP.
    early: Vec<Piece>,
    recv: Half,
    send: Half,
}

/// One direction of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Open,
    Closed,
}

#[derive(Debug)]
struct Incoming {
    reader: StreamReader,
    state: Claim,
}

/// Owner of one of the peer's streams.
#[derive(Debug)]
enum Claim {
    /// Its header is not here.
    Unknown,
    /// The request that its alias stands for is not here.
    Waiting { header: crate::data::SubgroupHeader, pieces: Vec<Piece> },
    /// The stream belongs to this request.
    Of(RequestId),
}

impl Session {
    /// A session on a transport that is connected.
    pub fn new(now: Micros, config: Config) -> Result<Self, Misuse> {
        let limits = config.limits;
        let first = match config.side {
            Side::Client => 0,
            Side::Server => 1,
        };
        let mut session = Self {
            state: State::Waiting,
            outputs: VecDeque::new(),
            scratch: BytesMut::with_capacity(SCRATCH),
            timers: Timers::default(),
            next_stream: 0,
            next_request: first,
            next_alias: 0,
            streams: BTreeMap::new(),
            requests: BTreeMap::new(),
            peer_ids: PeerIds::new(1 - first),
            tokens: TokenCache::new(limits.token_cache),
            published: BTreeMap::new(),
            subscribed: BTreeMap::new(),
            aliases: BTreeMap::new(),
            retired: VecDeque::new(),
            held: Held::default(),
            control: StreamId(0),
            peer_control: None,
            control_lost: None,
            goaway_sent: false,
            goaway_received: false,
            requests_over: 0,
            config,
        };
        session.start(now)?;
        Ok(session)
    }

    /// The peer opened a stream. What it is called from now on.
    pub fn opened(&mut self, dir: Dir) -> StreamId {
        let stream = self.new_stream();
        let kind = match dir {
            Dir::Bi => Stream::Request(RequestStream::new(self.config.version, None)),
            Dir::Uni => {
                Stream::Incoming(Box::new(Incoming { reader: StreamReader::new(), state: Claim::Unknown }))
            }
        };
        self.streams.insert(stream, kind);
        stream
    }

    /// Handles an event of the transport.
    pub fn handle(&mut self, now: Micros, input: Input) {
        if self.state == State::Closed {
            return;
        }
        let outcome = match input {
            Input::Data { stream, data } => self.on_data(now, stream, data),
            Input::Finished { stream } => self.on_finished(now, stream),
            Input::Reset { stream, code } => {
                self.on_reset(now, stream, code);
                Ok(())
            }
            Input::Stopped { stream, code } => {
                self.on_stopped(now, stream, code);
                Ok(())
            }
            Input::Delivered { stream } => {
                self.on_delivered(stream);
                Ok(())
            }
            Input::Datagram(datagram) => self.on_datagram(now, datagram),
            Input::Timeout => {
                self.on_timeout(now);
                Ok(())
            }
            Input::Closed { code, reason } => {
                self.over(code, reason, Closer::Peer);
                Ok(())
            }
        };
        if let Err(violation) = outcome {
            self.shut(violation.code, message::reason(violation.reason), Closer::Violation);
        }
    }

    /// The next thing to do or know.
    pub fn poll(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front();
        if output.is_none() && self.outputs.capacity() > MAX_IDLE_OUTPUTS {
            self.outputs = VecDeque::new();
        }
        output
    }

    /// Returns the time at which the session needs [`Input::Timeout`], if any.
    pub fn timeout(&self) -> Option<Micros> {
        self.timers.next()
    }

    /// Ends the session with a code.
    pub fn close(&mut self, code: SessionCode, reason: &str) {
        if self.state != State::Closed {
            self.shut(code, message::reason(reason), Closer::Us);
        }
    }

    /// Returns whether the session is over.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Open requests, of both sides.
    pub fn open_requests(&self) -> usize {
        self.requests.len()
    }

    /// Returns whether a request is open.
    pub fn is_open(&self, request: RequestId) -> bool {
        self.requests.contains_key(&request)
    }

    /// Counts the requests of both sides that are over: if it has not changed, the open ones are the same.
    pub fn requests_over(&self) -> u64 {
        self.requests_over
    }

    /// Data streams of ours that have not arrived in full.
    pub fn undelivered(&self) -> usize {
        let undelivered = |stream: &&Stream| matches!(stream, Stream::Outgoing(_) | Stream::Finished);
        self.streams.values().filter(undelivered).count()
    }

    /// Returns the version of the protocol.
    pub fn version(&self) -> crate::Version {
        self.config.version
    }

    fn new_stream(&mut self) -> StreamId {
        let stream = StreamId(self.next_stream);
        self.next_stream += 1;
        stream
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn shut(&mut self, code: SessionCode, reason: Bytes, by: Closer) {
        self.outputs.push_back(Output::Close { code, reason: reason.clone() });
        self.over(code, reason, by);
    }

    fn over(&mut self, code: SessionCode, reason: Bytes, by: Closer) {
        self.state = State::Closed;
        self.timers.clear();
        self.streams.clear();
        self.requests.clear();
        self.published.clear();
        self.subscribed.clear();
        self.aliases.clear();
        self.held = Held::default();
        self.tokens = TokenCache::new(0);
        self.event(Event::Closed { code, reason, by });
    }

    fn ready_for_calls(&self) -> Result<(), Misuse> {
        if self.state == State::Closed { Err(Misuse::Closed) } else { Ok(()) }
    }

    /// The bytes of a message, or why it cannot be one.
    fn encoded(&mut self, message: &Message) -> Result<Bytes, Misuse> {
        message.encode(self.config.version, &mut self.scratch)?;
        Ok(self.scratch.split().freeze())
    }

    fn write(&mut self, stream: StreamId, data: Bytes) {
        self.outputs.push_back(Output::Write { stream, data });
    }

    /// Says something on a request's stream, unless the peer has stopped listening.
    fn reply(&mut self, stream: StreamId, data: Bytes) {
        if self.may_write(stream) {
            self.write(stream, data);
        }
    }

    fn on_data(&mut self, now: Micros, id: StreamId, mut data: Bytes) -> Result<(), Violation> {
        loop {
            match self.streams.get_mut(&id) {
                Some(Stream::PeerControl(reader)) => {
                    let Some(message) = reader.read(&mut data)? else { return Ok(()) };
                    self.on_control(now, message)?;
                }
                Some(Stream::Request(stream)) => {
                    if self.state == State::Waiting {
                        if self.held.take(data.len(), self.config.limits.held_bytes) {
                            stream.early.push(Piece::Data(data));
                        } else {
                            self.abandon(id, ResetCode::EXCESSIVE_LOAD);
                        }
                        return Ok(());
                    }
                    let Some(message) = stream.reader.read(&mut data)? else { return Ok(()) };
                    self.on_message(now, id, message)?;
                }
                Some(Stream::Incoming(_)) => {
                    if self.on_uni(now, id, &mut data)? {
                        return Ok(());
                    }
                }
                _ => return Ok(()),
            }
            if self.state == State::Closed {
                return Ok(());
            }
        }
    }

    fn on_finished(&mut self, now: Micros, id: StreamId) -> Result<(), Violation> {
        match self.streams.get_mut(&id) {
            Some(Stream::PeerControl(_)) => {
                self.control_lost(now, "the control stream was closed");
                Ok(())
            }
            Some(Stream::Request(stream)) => {
                if self.state == State::Waiting {
                    stream.recv = Half::Closed;
                    stream.early.push(Piece::Finished);
                    return Ok(());
                }
                if !stream.reader.is_between_messages() {
                    return Err(Violation::protocol("a request stream that ends within a message"));
                }
                stream.recv = Half::Closed;
                match stream.request {
                    Some(request) => self.on_request_finished(request),
                    None => self.abandon(id, ResetCode::CANCELLED),
                }
                Ok(())
            }
            Some(Stream::Incoming(_)) => self.on_uni_finished(now, id),
            Some(Stream::Over) => {
                self.streams.remove(&id);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn on_reset(&mut self, now: Micros, id: StreamId, code: ResetCode) {
        match self.streams.get_mut(&id) {
            Some(Stream::PeerControl(_)) => self.control_lost(now, "the control stream was reset"),
            Some(Stream::Request(stream)) => {
                stream.recv = Half::Closed;
                match stream.request {
                    Some(request) => self.cancelled(request, code),
                    None => self.abandon(id, ResetCode::CANCELLED),
                }
            }
            Some(Stream::Incoming(_)) => self.on_uni_reset(id, code),
            Some(Stream::Over) => {
                self.streams.remove(&id);
            }
            _ => {}
        }
    }

    /// Schedules the end of the session after a control stream is gone: a peer that drops its whole
    /// connection may have sent its last messages on other streams, and these may still arrive.
    fn control_lost(&mut self, now: Micros, why: &'static str) {
        if self.control_lost.is_none() {
            self.control_lost = Some(why);
            self.timers.set(now + self.config.limits.control_linger, Timer::ControlLost);
        }
    }

    fn on_stopped(&mut self, now: Micros, id: StreamId, code: ResetCode) {
        match self.streams.get_mut(&id) {
            // The peer reads our control messages no more: it must be leaving.
            Some(Stream::Control) => self.control_lost(now, "the peer stopped our control stream"),
            Some(Stream::Request(stream)) => {
                let Some(request) = stream.request else {
                    self.abandon(id, ResetCode::CANCELLED);
                    return;
                };
                stream.send = Half::Closed;
                self.outputs.push_back(Output::Reset { stream: id, code: ResetCode::CANCELLED });
                // A publisher that stops our updates may still send objects, and a peer that has refused a
                // request may stop the stream before we have read the refusal.
                let goes_on = self.requests.get(&request).is_some_and(|request| match &request.kind {
                    _ if request.maker == Maker::Us && request.phase == Phase::Pending => true,
                    Kind::Subscription(subscription) => subscription.role == Role::Subscriber,
                    Kind::Fetch(fetch) => fetch.role == Role::Subscriber,
                    Kind::TrackStatus => true,
                    _ => false,
                });
                if !goes_on {
                    self.cancelled(request, code);
                }
            }
            Some(_) => self.cut_off(id, code, ResetCode::CANCELLED),
            None => {}
        }
    }

    fn on_timeout(&mut self, now: Micros) {
        while let Some(timer) = self.timers.due(now) {
            match timer {
                Timer::Setup if self.state == State::Waiting => {
                    let reason = message::reason("no SETUP came in time");
                    self.shut(SessionCode::CONTROL_MESSAGE_TIMEOUT, reason, Closer::Us);
                }
                Timer::Setup => {}
                Timer::ControlLost => {
                    let reason = message::reason(self.control_lost.unwrap_or_default());
                    self.shut(SessionCode::PROTOCOL_VIOLATION, reason, Closer::Violation);
                }
                Timer::GoAway => {
                    let (code, reason) = if self.requests.is_empty() {
                        (SessionCode::NO_ERROR, "")
                    } else {
                        (SessionCode::GOAWAY_TIMEOUT, "requests are open after the time given in GOAWAY")
                    };
                    self.shut(code, message::reason(reason), Closer::Us);
                }
                Timer::RequestGoAway(request) => self.drop_request(request, ResetCode::GOING_AWAY),
                Timer::Rendezvous(request) => self.on_rendezvous_timeout(request),
                Timer::DoneLinger(request) => self.on_done_linger(request),
                Timer::Held(stream) => self.on_held_too_long(stream),
                Timer::HeldDatagrams => self.held.datagrams.clear(),
                Timer::SubgroupDelivery(stream) => {
                    self.cut_off(stream, ResetCode::DELIVERY_TIMEOUT, ResetCode::DELIVERY_TIMEOUT);
                }
            }
        }
    }

    /// Breaks off both directions of a stream that belongs to no request.
    fn abandon(&mut self, id: StreamId, code: ResetCode) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if let Stream::Request(stream) = std::mem::replace(stream, Stream::Over) {
            self.held.give_back(&stream.early);
            self.close_directions(id, stream.recv, stream.send, code);
        }
    }

    fn close_directions(&mut self, stream: StreamId, recv: Half, send: Half, code: ResetCode) {
        if send == Half::Open {
            self.outputs.push_back(Output::Reset { stream, code });
        }
        if recv == Half::Open {
            self.outputs.push_back(Output::Stop { stream, code });
        } else {
            self.streams.remove(&stream);
        }
    }

    /// Ends our side of a request's stream in order; what still comes is dropped.
    fn finish_stream(&mut self, id: StreamId) {
        let Some(entry) = self.streams.get_mut(&id) else { return };
        if let Stream::Request(stream) = std::mem::replace(entry, Stream::Over) {
            if stream.send == Half::Open {
                self.outputs.push_back(Output::Finish { stream: id });
            }
            if stream.recv == Half::Closed {
                self.streams.remove(&id);
            }
        }
    }

    /// Forgets a request and its indices, and closes its data streams. The caller decides on its request
    /// stream.
    fn forget(&mut self, id: RequestId, code: ResetCode) -> Option<Request> {
        let request = self.requests.remove(&id)?;
        self.requests_over += 1;
        match &request.kind {
            Kind::Subscription(subscription) => {
                let index = match subscription.role {
                    Role::Publisher => &mut self.published,
                    Role::Subscriber => &mut self.subscribed,
                };
                if index.get(&subscription.track) == Some(&id) {
                    index.remove(&subscription.track);
                }
                for stream in &subscription.open {
                    self.close_data(*stream, code);
                }
                if let (Role::Subscriber, Some(alias)) = (subscription.role, subscription.alias) {
                    self.retire(alias, id);
                }
                for join in &subscription.joins {
                    self.refuse_join(*join, crate::RequestCode::INVALID_JOINING_REQUEST_ID);
                }
            }
            Kind::Fetch(fetch) => {
                if let FetchStream::Open(stream) = fetch.stream {
                    self.close_data(stream, code);
                }
            }
            _ => {}
        }
        Some(request)
    }

    fn close_data(&mut self, id: StreamId, code: ResetCode) {
        match self.streams.get_mut(&id) {
            Some(entry @ Stream::Incoming(_)) => {
                *entry = Stream::Over;
                self.outputs.push_back(Output::Stop { stream: id, code });
            }
            Some(Stream::Outgoing(_)) => {
                self.streams.remove(&id);
                self.outputs.push_back(Output::Reset { stream: id, code });
            }
            _ => {}
        }
    }

    fn retire(&mut self, alias: u64, request: RequestId) {
        if self.aliases.get(&alias) == Some(&request) {
            self.aliases.remove(&alias);
            if self.retired.len() == RETIRED_ALIASES {
                self.retired.pop_front();
            }
            self.retired.push_back(alias);
        }
    }

    /// Breaks off a request of either side.
    fn drop_request(&mut self, id: RequestId, code: ResetCode) {
        let Some(request) = self.forget(id, code) else { return };
        if let Some(entry) = self.streams.get_mut(&request.stream)
            && let Stream::Request(stream) = std::mem::replace(entry, Stream::Over)
        {
            self.close_directions(request.stream, stream.recv, stream.send, code);
        }
    }

    /// The peer ended a request without a last word.
    fn cancelled(&mut self, id: RequestId, code: ResetCode) {
        if self.requests.get(&id).is_some_and(request::Request::is_draining) {
            return;
        }
        if self.requests.contains_key(&id) {
            self.drop_request(id, ResetCode::CANCELLED);
            self.event(Event::Cancelled { request: id, code });
        }
    }

    /// Handles the end of the peer's side of a request's stream.
    fn on_request_finished(&mut self, id: RequestId) {
        let Some(request) = self.requests.get(&id) else { return };
        let goes_on = match (&request.kind, request.maker) {
            (_, _) if request.is_draining() => true,
            // A subscriber or fetcher may finish its side right after the request.
            (Kind::Subscription(subscription), Maker::Peer) => subscription.role == Role::Publisher,
            (Kind::Fetch(_) | Kind::TrackStatus, Maker::Peer) => true,
            (Kind::Fetch(_), Maker::Us) => request.phase == Phase::Established,
            _ => false,
        };
        if !goes_on {
            self.cancelled(id, ResetCode::CANCELLED);
        }
    }

    /// Answers a request of the peer's with an error, and is done with it.
    fn refuse(&mut self, stream: StreamId, error: RequestError) -> Result<(), Misuse> {
        let data = self.encoded(&Message::RequestError(error))?;
        self.reply(stream, data);
        self.finish_stream(stream);
        Ok(())
    }
}

impl RequestStream {
    fn new(version: crate::Version, request: Option<RequestId>) -> Self {
        Self {
            request,
            reader: ControlReader::new(version),
            early: Vec::new(),
            recv: Half::Open,
            send: Half::Open,
        }
    }
}
