//! One session on one WebSocket, for browsers without a WebTransport to rely on.

use std::{
    collections::{BTreeMap, VecDeque},
    future::{Future as _, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures_util::{Sink as _, Stream as _};
use moqt::{
    Event, Input, Micros, Misuse, Output, Session, SessionCode,
    mux::{Frame, Mux},
    session::{Config, SendOrder, StreamId},
};
use tokio::time::{Instant, Sleep};

use crate::{App, Clock, Cx, Ended};

/// What waits to go out: the most urgent stream first, as QUIC would have it.
#[derive(Default)]
pub(crate) struct Outbox {
    streams: BTreeMap<StreamId, Waiting>,
    /// What belongs to no stream.
    rest: VecDeque<Output>,
}

struct Waiting {
    order: SendOrder,
    outputs: VecDeque<Output>,
    bytes: usize,
}

impl Outbox {
    /// Bytes of a stream that have not reached the socket.
    pub(crate) fn backlog(&self, stream: StreamId) -> usize {
        self.streams.get(&stream).map_or(0, |waiting| waiting.bytes)
    }

    fn push(&mut self, output: Output) {
        let (stream, order, len) = match &output {
            Output::Open { stream, order, .. } => (*stream, *order, 0),
            Output::Write { stream, data } => (*stream, SendOrder::REQUEST, data.len()),
            Output::Finish { stream } => (*stream, SendOrder::REQUEST, 0),
            Output::Reset { stream, .. } => {
                if let Some(waiting) = self.streams.get_mut(stream) {
                    // A stream that was never opened is not broken off either.
                    let opened = !matches!(waiting.outputs.front(), Some(Output::Open { .. }));
                    waiting.outputs.clear();
                    waiting.bytes = 0;
                    if !opened {
                        self.streams.remove(stream);
                        return;
                    }
                }
                (*stream, SendOrder::REQUEST, 0)
            }
            Output::SetOrder { stream, order } => {
                if let Some(waiting) = self.streams.get_mut(stream) {
                    waiting.order = *order;
                }
                return;
            }
            Output::Stop { .. } | Output::Datagram(_) | Output::Close { .. } | Output::Event(_) => {
                self.rest.push_back(output);
                return;
            }
        };
        let waiting = self.streams.entry(stream).or_insert_with(|| Waiting {
            order,
            outputs: VecDeque::new(),
            bytes: 0,
        });
        waiting.bytes += len;
        waiting.outputs.push_back(output);
    }

    fn pop(&mut self) -> Option<Output> {
        if let Some(output) = self.rest.pop_front() {
            return Some(output);
        }
        let next = self
            .streams
            .iter_mut()
            .filter(|(_, waiting)| !waiting.outputs.is_empty())
            .max_by_key(|(id, waiting)| (waiting.order, std::cmp::Reverse(**id)));
        let (id, waiting) = next?;
        let output = waiting.outputs.pop_front()?;
        if let Output::Write { data, .. } = &output {
            waiting.bytes -= data.len();
        }
        if matches!(output, Output::Finish { .. } | Output::Reset { .. }) {
            let id = *id;
            self.streams.remove(&id);
        }
        Some(output)
    }
}

struct Driver<'a, A> {
    socket: WebSocket,
    session: Session,
    mux: Mux,
    app: &'a mut A,
    clock: Clock,
    outbox: Outbox,
    frames: VecDeque<Message>,
    sleep: Pin<Box<Sleep>>,
    ended: Option<Ended>,
}

/// Runs a session on a WebSocket until it ends.
pub(crate) async fn drive_socket(
    socket: WebSocket,
    config: Config,
    clock: Clock,
    app: &mut impl App,
) -> Result<Ended, Misuse> {
    let mux = Mux::new(config.side);
    let session = Session::new(clock.now(), config)?;
    let mut driver = Driver {
        socket,
        session,
        mux,
        app,
        clock,
        outbox: Outbox::default(),
        frames: VecDeque::new(),
        sleep: Box::pin(tokio::time::sleep_until(Instant::now())),
        ended: None,
    };
    Ok(poll_fn(|task| driver.poll(task)).await)
}

impl<A: App> Driver<'_, A> {
    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Ended> {
        loop {
            let now = self.clock.now();
            let mut busy = self.read(task, now);
            if self.app_poll(task, now).is_ready() {
                self.session.close(SessionCode::NO_ERROR, "");
            }
            if self.session.timeout().is_some_and(|at| at <= now) {
                self.session.handle(now, Input::Timeout);
            }
            busy |= self.drain(now);
            let open = self.write(task, now);
            if let Some(ended) = self.ended.take_if(|_| !open || self.frames.is_empty()) {
                return Poll::Ready(ended);
            }
            if !busy {
                break;
            }
        }
        if let Some(at) = self.session.timeout() {
            let at = Instant::from_std(self.clock.instant(at));
            if self.sleep.deadline() != at {
                self.sleep.as_mut().reset(at);
            }
            if self.sleep.as_mut().poll(task).is_ready() {
                task.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }

    /// Takes what has come. Whether anything has.
    fn read(&mut self, task: &mut Context<'_>, now: Micros) -> bool {
        let mut busy = false;
        while let Poll::Ready(message) = Pin::new(&mut self.socket).poll_next(task) {
            busy = true;
            let message = match message {
                Some(Ok(Message::Binary(message))) => message,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Text(_))) => {
                    self.session.close(SessionCode::PROTOCOL_VIOLATION, "text on a session of binary frames");
                    break;
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => {
                    let reason = Bytes::from_static(b"the WebSocket was closed");
                    self.session.handle(now, Input::Closed { code: SessionCode::NO_ERROR, reason });
                    return !self.session.is_closed() || self.ended.is_none();
                }
            };
            if let Err(violation) = self.mux.received(&mut self.session, now, message) {
                self.session.close(violation.code, violation.reason);
            }
        }
        busy
    }

    fn app_poll(&mut self, task: &mut Context<'_>, now: Micros) -> Poll<()> {
        let mut cx = Cx::on_socket(&mut self.session, now, &self.outbox);
        self.app.poll(task, &mut cx)
    }

    fn drain(&mut self, now: Micros) -> bool {
        let mut busy = false;
        while let Some(output) = self.session.poll() {
            busy = true;
            match output {
                Output::Event(event) => {
                    if let Event::Closed { code, reason, by } = &event {
                        let reason = String::from_utf8_lossy(reason).into_owned();
                        self.ended = Some(Ended { code: *code, reason, by: *by });
                    }
                    let mut cx = Cx::on_socket(&mut self.session, now, &self.outbox);
                    self.app.event(&mut cx, event);
                }
                output => self.outbox.push(output),
            }
        }
        busy
    }

    /// Writes what the socket takes. Whether it is still open.
    fn write(&mut self, task: &mut Context<'_>, now: Micros) -> bool {
        loop {
            match Pin::new(&mut self.socket).poll_ready(task) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return false,
                Poll::Pending => break,
            }
            let Some(message) = self.frames.pop_front() else {
                let Some(output) = self.outbox.pop() else { break };
                self.frame(now, output);
                continue;
            };
            if Pin::new(&mut self.socket).start_send(message).is_err() {
                return false;
            }
        }
        !matches!(Pin::new(&mut self.socket).poll_flush(task), Poll::Ready(Err(_)))
    }

    fn frame(&mut self, now: Micros, output: Output) {
        let frames = &mut self.frames;
        let mut closing = false;
        self.mux.send(&mut self.session, now, output, |frame| {
            closing |= matches!(frame, Frame::Close { .. });
            frames.push_back(Message::Binary(frame.encode()));
        });
        if closing {
            self.frames.push_back(Message::Close(None));
        }
    }
}
