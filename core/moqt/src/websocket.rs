//! A session on something that carries messages, one after another: a WebSocket.

use std::{
    collections::{BTreeMap, VecDeque},
    task::Context,
    time::Duration,
};

use crate::{
    App, Cx, Ended, Event, Input, Micros, Misuse, Output, Session, SessionCode, Transit,
    mux::{Frame, MAX_DATA, Mux},
    session::{Config, SendOrder, StreamId},
};
use bytes::Bytes;

/// Datagrams that wait while the WebSocket takes nothing; the oldest is dropped for one more.
const DATAGRAMS: usize = 64;

/// The cost of an output that waits without any bytes.
const OUTPUT_BYTES: usize = 32;

/// Outputs that wait to be sent: the most urgent stream first, as with QUIC.
#[derive(Default)]
struct Outbox {
    streams: BTreeMap<StreamId, Waiting>,
    /// The bytes of those streams that carry messages.
    messages: usize,
    /// Outputs that belong to no stream.
    rest: VecDeque<Output>,
}

/// Outputs of one stream that wait.
struct Waiting {
    order: SendOrder,
    /// The output that opens the stream, if it is not sent yet.
    open: Option<Output>,
    data: VecDeque<Bytes>,
    bytes: usize,
    /// End of the stream after that data.
    end: Option<Output>,
}

/// The next output to send.
enum Next {
    Output(Output),
    /// Data of a stream that fits into one message, and whether the stream ends with it: a message has a cost
    /// beyond its bytes.
    Data(StreamId, Vec<Bytes>, bool),
}

impl Outbox {
    fn push(&mut self, output: Output) {
        match output {
            Output::Open { stream, order, .. } => self.waiting(stream, order).open = Some(output),
            Output::Write { stream, data } => {
                let (waiting, bytes) = (self.waiting(stream, SendOrder::REQUEST), data.len());
                waiting.bytes += bytes;
                waiting.data.push_back(data);
                self.messages += if waiting.carries_messages() { bytes } else { 0 };
            }
            Output::Finish { stream } => self.waiting(stream, SendOrder::REQUEST).end = Some(output),
            Output::Reset { stream, .. } => {
                let waiting = self.waiting(stream, SendOrder::REQUEST);
                waiting.data.clear();
                let bytes = std::mem::take(&mut waiting.bytes);
                waiting.end = Some(output);
                let (carries_messages, is_unopened) = (waiting.carries_messages(), waiting.open.is_some());
                self.messages -= if carries_messages { bytes } else { 0 };
                // A stream that was never opened is not broken off either.
                if is_unopened {
                    self.streams.remove(&stream);
                }
            }
            Output::SetOrder { stream, order } => {
                if let Some(waiting) = self.streams.get_mut(&stream) {
                    waiting.order = order;
                }
            }
            Output::Datagram(_) => {
                let is_datagram = |output: &Output| matches!(output, Output::Datagram(_));
                if self.rest.len() >= DATAGRAMS
                    && self.rest.iter().filter(|output| is_datagram(output)).count() >= DATAGRAMS
                    && let Some(oldest) = self.rest.iter().position(is_datagram)
                {
                    self.rest.remove(oldest);
                }
                self.rest.push_back(output);
            }
            Output::Stop { .. } | Output::Close { .. } | Output::Event(_) => {
                self.rest.push_back(output);
            }
        }
    }

    fn waiting(&mut self, stream: StreamId, order: SendOrder) -> &mut Waiting {
        self.streams.entry(stream).or_insert_with(|| Waiting {
            order,
            open: None,
            data: VecDeque::new(),
            bytes: 0,
            end: None,
        })
    }

    /// Returns the next output; none of a stream if the window is full.
    fn pop(&mut self, is_full: bool) -> Option<Next> {
        if let Some(output) = self.rest.pop_front() {
            return Some(Next::Output(output));
        }
        if is_full {
            return None;
        }
        let next = self
            .streams
            .iter_mut()
            .filter(|(_, waiting)| waiting.is_some())
            .max_by_key(|(id, waiting)| (waiting.order, std::cmp::Reverse(**id)));
        let (stream, waiting) = next?;
        let stream = *stream;
        if let Some(open) = waiting.open.take() {
            return Some(Next::Output(open));
        }
        if waiting.data.is_empty() {
            let end = waiting.end.take();
            self.streams.remove(&stream);
            return end.map(Next::Output);
        }
        let before = waiting.bytes;
        let data = waiting.take();
        self.messages -= if waiting.carries_messages() { before - waiting.bytes } else { 0 };
        let ends = waiting.data.is_empty() && matches!(waiting.end, Some(Output::Finish { .. }));
        if ends {
            self.streams.remove(&stream);
        }
        Some(Next::Data(stream, data, ends))
    }
}

impl Waiting {
    fn is_some(&self) -> bool {
        self.open.is_some() || !self.data.is_empty() || self.end.is_some()
    }

    /// Returns whether the stream carries messages, not objects.
    fn carries_messages(&self) -> bool {
        self.order >= SendOrder::REQUEST
    }

    /// Takes as much data as fits into a message.
    fn take(&mut self) -> Vec<Bytes> {
        let (mut taken, mut room) = (Vec::new(), MAX_DATA);
        while let Some(data) = self.data.front_mut().filter(|_| room > 0) {
            let fits = data.split_to(data.len().min(room));
            room -= fits.len();
            self.bytes -= fits.len();
            if data.is_empty() {
                self.data.pop_front();
            }
            taken.push(fits);
        }
        taken
    }
}

impl Transit for Outbox {
    fn backlog(&self, stream: StreamId) -> usize {
        self.streams.get(&stream).map_or(0, |waiting| waiting.bytes)
    }

    fn unread(&self) -> usize {
        self.messages + OUTPUT_BYTES * (self.rest.len() + self.streams.len())
    }

    fn rtt(&self) -> Option<Duration> {
        None
    }
}

/// A session and what waits to go out of it. Whoever has the WebSocket hands over what comes, has it [run](Self::run),
/// and sends what [waits](Self::pop), until it has ended and nothing waits.
pub struct WebSocketSession {
    session: Session,
    mux: Mux,
    outbox: Outbox,
    frames: VecDeque<Bytes>,
    ended: Option<Ended>,
}

impl WebSocketSession {
    /// Creates a session that begins now.
    pub fn new(now: Micros, config: Config) -> Result<Self, Misuse> {
        let mux = Mux::new(config.side);
        let session = Session::new(now, config)?;
        let (outbox, frames) = (Outbox::default(), VecDeque::new());
        Ok(Self { session, mux, outbox, frames, ended: None })
    }

    /// Handles a binary message.
    pub fn received(&mut self, now: Micros, message: Bytes) {
        if let Err(violation) = self.mux.received(&mut self.session, now, message) {
            self.session.close(violation.code, violation.reason);
        }
        self.frames.extend(self.mux.owed().map(|frame| frame.encode()));
    }

    /// Handles a message that no session sends.
    pub fn violated(&mut self, why: &'static str) {
        self.session.close(SessionCode::PROTOCOL_VIOLATION, why);
    }

    /// Handles the close of the WebSocket: nothing more arrives. The peer may have sent its reason before.
    pub fn closed(&mut self, now: Micros, why: &str) {
        let reason = if why.is_empty() { "the WebSocket was closed" } else { why };
        let reason = Bytes::copy_from_slice(reason.as_bytes());
        self.session.handle(now, Input::Closed { code: SessionCode::NO_ERROR, reason });
    }

    /// Has the session and its app do what is to be done. Whether anything was.
    pub fn run(&mut self, task: &mut Context<'_>, now: Micros, app: &mut dyn App) -> bool {
        let mut cx = Cx::new(&mut self.session, now, &self.outbox);
        if app.poll(task, &mut cx).is_ready() {
            self.session.close(SessionCode::NO_ERROR, "");
        }
        if self.session.timeout().is_some_and(|at| at <= now) {
            self.session.handle(now, Input::Timeout);
        }
        let mut busy = false;
        while let Some(output) = self.session.poll() {
            busy = true;
            match output {
                Output::Event(event) => {
                    if let Event::Closed { code, reason, by } = &event {
                        let reason = String::from_utf8_lossy(reason).into_owned();
                        self.ended = Some(Ended { code: *code, reason, by: *by });
                    }
                    let mut cx = Cx::new(&mut self.session, now, &self.outbox);
                    app.event(&mut cx, event);
                }
                output => self.outbox.push(output),
            }
        }
        busy
    }

    /// The next message to be sent.
    pub fn pop(&mut self, now: Micros) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Some(frame);
            }
            match self.outbox.pop(self.mux.is_full())? {
                Next::Data(stream, data, ends) => {
                    self.frames.extend(self.mux.write(&mut self.session, now, stream, &data, ends));
                }
                Next::Output(output) => {
                    if matches!(output, Output::Close { .. }) {
                        // Nobody reads what would come after it.
                        self.outbox = Outbox::default();
                    }
                    let frames = &mut self.frames;
                    let each = |frame: Frame| frames.push_back(frame.encode());
                    self.mux.send(&mut self.session, now, output, each);
                }
            }
        }
    }

    /// Returns the time at which it must run again, without any other event.
    pub fn timeout(&self) -> Option<Micros> {
        self.session.timeout()
    }

    /// Returns the end of the session, if it ended. Waiting outputs may still be sent; then close the
    /// WebSocket.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }
}
