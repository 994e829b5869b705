//! A transport and an application as far as the contract of `Session` goes, which
//! keep the peer to what QUIC lets it do and the session to what it promises.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use moqt::{
    Config, Event, Input, Micros, Misuse, Output, ResetCode, Session, SessionCode,
    session::{Dir, RequestId, Side, StreamId},
};

/// Requests that a choice may fall on; the newest.
const CHOICES: usize = 32;

pub struct Shell {
    pub session: Session,
    side: Side,
    /// Requests that the peer may have open.
    limit: usize,
    now: Micros,
    streams: BTreeMap<StreamId, Ends>,
    order: Vec<StreamId>,
    requests: Vec<RequestId>,
    /// Number of streams that we opened.
    made: usize,
    /// Requests whose end the session has reported to the application.
    over: BTreeSet<RequestId>,
    closed: bool,
    lent: Arc<AtomicUsize>,
}

/// Open directions of a stream.
#[derive(Clone, Copy, Debug)]
struct Ends {
    send: Send,
    /// True while the peer may still send.
    recv: bool,
    stop_asked: bool,
    stopped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Send {
    None,
    Open,
    /// All is written, and not all has arrived.
    Finished,
    Delivered,
    Reset,
}

/// Bytes from the peer, counted for as long as they are kept.
struct Lent {
    bytes: Vec<u8>,
    count: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.count.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

impl Shell {
    /// Creates a connected session; with `greeted`, the peer's SETUP has arrived.
    pub fn new(config: Config, greeted: bool) -> Self {
        let (side, limit) = (config.side, config.limits.requests);
        let session = Session::new(Micros(0), config).expect("a session");
        let mut shell = Self {
            session,
            side,
            limit,
            made: 0,
            now: Micros(0),
            streams: BTreeMap::new(),
            order: Vec::new(),
            requests: Vec::new(),
            over: BTreeSet::new(),
            closed: false,
            lent: Arc::default(),
        };
        shell.drain();
        if greeted {
            shell.opened(Dir::Uni);
            let stream = *shell.order.last().expect("a stream");
            shell.data(stream, &[0xAF, 0x00, 0x00, 0x00]);
            shell.drain();
        }
        shell
    }

    pub fn now(&self) -> Micros {
        self.now
    }

    pub fn peer_side(&self) -> Side {
        match self.side {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }

    /// A request to act on: one of the newest, or one that may not be.
    pub fn request(&self, choice: u8) -> RequestId {
        let back = usize::from(choice) % CHOICES;
        match self.requests.iter().rev().nth(back) {
            Some(request) if choice < 240 => *request,
            _ => RequestId(u64::from(choice)),
        }
    }

    pub fn stream(&self, choice: u8) -> StreamId {
        match self.order.iter().rev().nth(usize::from(choice) % CHOICES) {
            Some(stream) if choice < 250 => *stream,
            _ => StreamId(u64::from(choice)),
        }
    }

    pub fn opened(&mut self, dir: Dir) {
        let stream = self.session.opened(dir);
        let send = if dir == Dir::Bi { Send::Open } else { Send::None };
        self.add(stream, send, true);
    }

    fn add(&mut self, stream: StreamId, send: Send, recv: bool) {
        let ends = Ends { send, recv, stop_asked: false, stopped: false };
        assert!(self.streams.insert(stream, ends).is_none(), "{stream:?} was there before");
        self.order.push(stream);
    }

    pub fn handle(&mut self, input: Input) {
        self.session.handle(self.now, input);
    }

    fn lend(&self, bytes: &[u8]) -> Bytes {
        self.lent.fetch_add(bytes.len(), Ordering::Relaxed);
        Bytes::from_owner(Lent { bytes: bytes.to_vec(), count: Arc::clone(&self.lent) })
    }

    fn data(&mut self, stream: StreamId, bytes: &[u8]) {
        if self.streams.get(&stream).is_some_and(|ends| ends.recv) {
            let data = self.lend(bytes);
            self.handle(Input::Data { stream, data });
        }
    }

    /// Bytes on any stream.
    pub fn deliver(&mut self, choice: u8, bytes: &[u8]) {
        self.data(self.stream(choice), bytes);
    }

    /// Bytes on one of the streams for messages.
    pub fn say(&mut self, choice: u8, bytes: &[u8]) {
        if choice % 16 == 0 {
            self.opened(Dir::Bi);
        }
        self.data(self.stream(choice / 16), bytes);
    }

    pub fn finished(&mut self, choice: u8) {
        let stream = self.stream(choice);
        if let Some(ends) = self.streams.get_mut(&stream).filter(|ends| ends.recv) {
            ends.recv = false;
            self.handle(Input::Finished { stream });
        }
    }

    pub fn reset(&mut self, choice: u8, code: ResetCode) {
        let stream = self.stream(choice);
        if let Some(ends) = self.streams.get_mut(&stream).filter(|ends| ends.recv) {
            ends.recv = false;
            self.handle(Input::Reset { stream, code });
        }
    }

    pub fn stopped(&mut self, choice: u8, code: ResetCode) {
        let stream = self.stream(choice);
        let open = |ends: &&mut Ends| matches!(ends.send, Send::Open | Send::Finished) && !ends.stopped;
        if let Some(ends) = self.streams.get_mut(&stream).filter(open) {
            ends.stopped = true;
            self.handle(Input::Stopped { stream, code });
        }
    }

    pub fn delivered(&mut self, choice: u8) {
        let stream = self.stream(choice);
        if let Some(ends) = self.streams.get_mut(&stream).filter(|ends| ends.send == Send::Finished) {
            ends.send = Send::Delivered;
            self.handle(Input::Delivered { stream });
        }
    }

    pub fn datagram(&mut self, bytes: &[u8]) {
        let data = self.lend(bytes);
        self.handle(Input::Datagram(data));
    }

    pub fn wait(&mut self, time: Micros) {
        self.now = self.now + time;
        self.handle(Input::Timeout);
    }

    pub fn timeout(&mut self) {
        if let Some(at) = self.session.timeout() {
            self.now = self.now.max(at);
            self.handle(Input::Timeout);
        }
    }

    /// A request of ours.
    pub fn made(&mut self, request: Option<RequestId>) {
        self.made += usize::from(request.is_some());
        self.requests.extend(request);
    }

    /// Records the outcome of a call: a refused one must change nothing.
    pub fn called(&mut self, outcome: Result<(), Misuse>) {
        if self.closed {
            assert!(self.session.poll().is_none());
        }
        if let Err(misuse) = outcome {
            assert_eq!(self.session.poll(), None, "after {misuse:?}");
        }
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.session.poll() {
            assert!(!self.closed, "after Closed: {output:?}");
            self.output(output);
        }
        // A call's own request is counted once the call is over.
        assert!(self.session.open_requests() <= self.limit + self.made + 1);
        if self.closed {
            assert!(self.session.is_closed());
            assert_eq!(self.session.timeout(), None);
        }
    }

    fn sending(&mut self, stream: StreamId, output: &str) -> &mut Ends {
        let ends = self.streams.get_mut(&stream);
        let ends = ends.unwrap_or_else(|| panic!("{output} on {stream:?}, which was not opened"));
        assert!(matches!(ends.send, Send::Open), "{output} on {stream:?}, which is {ends:?}");
        ends
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Open { stream, dir, .. } => self.add(stream, Send::Open, dir == Dir::Bi),
            Output::SetOrder { stream, .. } => {
                let ends = self.streams.get(&stream).expect("a stream that was opened");
                assert!(matches!(ends.send, Send::Open | Send::Finished), "SetOrder of {stream:?}: {ends:?}");
            }
            Output::Write { stream, data } => {
                assert!(!data.is_empty());
                self.sending(stream, "Write");
            }
            Output::Finish { stream } => self.sending(stream, "Finish").send = Send::Finished,
            Output::Reset { stream, .. } => {
                let ends = self.streams.get_mut(&stream).expect("a stream that was opened");
                assert!(matches!(ends.send, Send::Open | Send::Finished), "Reset of {stream:?}: {ends:?}");
                ends.send = Send::Reset;
            }
            Output::Stop { stream, .. } => {
                let ends = self.streams.get_mut(&stream).expect("a stream that was opened");
                assert!(ends.recv && !ends.stop_asked, "Stop of {stream:?}: {ends:?}");
                ends.stop_asked = true;
            }
            Output::Datagram(_) => {}
            Output::Close { .. } => {
                assert!(matches!(self.session.poll(), Some(Output::Event(Event::Closed { .. }))));
                self.closed = true;
            }
            Output::Event(Event::Closed { .. }) => self.closed = true,
            Output::Event(event) => self.event(event),
        }
    }

    fn event(&mut self, event: Event) {
        let (request, over) = match &event {
            Event::Subscribe { request, .. }
            | Event::Publish { request, .. }
            | Event::PublishNamespace { request, .. }
            | Event::SubscribeNamespace { request, .. }
            | Event::SubscribeTracks { request, .. }
            | Event::TrackStatus { request, .. }
            | Event::Fetch { request, .. } => {
                assert!(!self.requests.contains(request), "{request:?} twice");
                self.requests.push(*request);
                (*request, false)
            }
            Event::Cancelled { request, .. }
            | Event::RendezvousTimeout { request }
            | Event::RequestError { request, .. }
            | Event::Done { request, .. } => (*request, true),
            Event::RequestGoAway { request, .. }
            | Event::Update { request, .. }
            | Event::SubscribeOk { request, .. }
            | Event::FetchOk { request, .. }
            | Event::RequestOk { request, .. }
            | Event::UpdateOk { request, .. }
            | Event::UpdateError { request, .. }
            | Event::Namespace { request, .. }
            | Event::NamespaceDone { request, .. }
            | Event::PublishBlocked { request, .. }
            | Event::Subgroup { request, .. }
            | Event::FetchStream { request, .. }
            | Event::Datagram { request, .. } => (*request, false),
            Event::Object { stream, .. }
            | Event::FetchObject { stream, .. }
            | Event::RangeEnd { stream, .. }
            | Event::Payload { stream, .. }
            | Event::StreamEnded { stream }
            | Event::StreamReset { stream, .. }
            | Event::StreamStopped { stream, .. } => {
                assert!(self.streams.contains_key(stream), "{event:?} of no stream");
                return;
            }
            _ => return,
        };
        assert!(!self.over.contains(&request), "{event:?}, though the request is over");
        if over {
            self.over.insert(request);
            let gone = self.session.cancel(request);
            assert!(matches!(gone, Err(Misuse::UnknownRequest(_) | Misuse::Closed)), "{event:?}: {gone:?}");
        }
    }

    /// Ends the session, which then holds nothing of the peer's.
    pub fn close(mut self) {
        self.session.close(SessionCode::NO_ERROR, "the end");
        self.drain();
        assert!(self.closed);
        assert_eq!(self.lent.load(Ordering::Relaxed), 0, "bytes of the peer's are kept");
    }
}
