//! MoQ sessions on the WebSockets of an object.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use moqt::{
    App, Ended, Misuse, Version, WebSocketSession,
    session::{Config, Side, Transport},
};
use relay::{Deadline, Platform, RelaySession};
use worker::WebSocket;

use crate::send_batch::{SendBatch, Slot};

/// An event of a WebSocket.
pub(crate) enum SocketEvent {
    Binary(Bytes),
    Text,
    /// The WebSocket was closed. The reason may be empty.
    Closed(String),
}

/// The events of one WebSocket that its session has not handled yet. The object pushes, the session takes.
#[derive(Default)]
pub(crate) struct SocketInbox {
    events: RefCell<VecDeque<SocketEvent>>,
    waker: RefCell<Option<Waker>>,
    over: Cell<bool>,
}

impl SocketInbox {
    /// Adds an event and wakes the session.
    pub(crate) fn push(&self, event: SocketEvent) {
        self.events.borrow_mut().push_back(event);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.get()
    }
}

/// The sending side of a WebSocket.
pub(crate) trait MessageSink {
    /// Sends a binary message. Returns whether the WebSocket took it.
    fn send(&self, message: &Bytes) -> bool;
    fn close(&self, code: u16, why: &str);
}

impl MessageSink for WebSocket {
    fn send(&self, message: &Bytes) -> bool {
        self.send_with_bytes(message).is_ok()
    }

    fn close(&self, code: u16, why: &str) {
        let _ = WebSocket::close(self, Some(code), Some(why));
    }
}

/// A WebSocket that a client opened to this object. Its messages are sent in batches with those of all others.
struct BatchedSocket<'a> {
    batch: &'a SendBatch,
    slot: Slot,
    socket: WebSocket,
}

impl MessageSink for BatchedSocket<'_> {
    fn send(&self, message: &Bytes) -> bool {
        self.batch.push(self.slot, message);
        true
    }

    fn close(&self, code: u16, why: &str) {
        self.batch.flush();
        let _ = self.socket.close(Some(code), Some(why));
    }
}

impl Drop for BatchedSocket<'_> {
    fn drop(&mut self) {
        self.batch.remove(self.slot);
    }
}

/// Runs the session of a client until it ends.
pub(crate) async fn run(
    inbox: Rc<SocketInbox>,
    socket: WebSocket,
    batch: &SendBatch,
    version: Version,
    mut session: RelaySession,
    platform: Rc<dyn Platform>,
) {
    let config = Config::new(Side::Server, Transport::WebTransport, version);
    let next = |task: &mut Context<'_>| {
        inbox.waker.replace(Some(task.waker().clone()));
        inbox.events.borrow_mut().pop_front()
    };
    let transport = BatchedSocket { batch, slot: batch.add(&socket), socket };
    let _ = drive(platform, &transport, config, &mut session, next).await;
    inbox.over.set(true);
}

/// Runs a session on a WebSocket until it ends. `next` returns the next event, or has the task woken when there is one.
pub(crate) async fn drive(
    platform: Rc<dyn Platform>,
    transport: &dyn MessageSink,
    config: Config,
    app: &mut dyn App,
    next: impl FnMut(&mut Context<'_>) -> Option<SocketEvent>,
) -> Result<Ended, Misuse> {
    let socket = WebSocketSession::new(platform.now(), config)?;
    let mut running = Running { next, transport, socket, app, platform, deadline: Deadline::default() };
    Ok(poll_fn(|task| running.poll(task)).await)
}

struct Running<'a, N> {
    next: N,
    transport: &'a dyn MessageSink,
    socket: WebSocketSession,
    app: &'a mut dyn App,
    platform: Rc<dyn Platform>,
    deadline: Deadline,
}

impl<N: FnMut(&mut Context<'_>) -> Option<SocketEvent>> Running<'_, N> {
    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Ended> {
        loop {
            let now = self.platform.now();
            let mut busy = false;
            while let Some(event) = (self.next)(task) {
                busy = true;
                match event {
                    SocketEvent::Binary(message) => self.socket.received(now, message),
                    SocketEvent::Text => self.socket.violated("text on a session of binary frames"),
                    SocketEvent::Closed(why) => self.socket.closed(now, &why),
                }
            }
            busy |= self.socket.run(task, now, self.app);
            while let Some(message) = self.socket.pop(now) {
                if !self.transport.send(&message) {
                    self.socket.closed(now, "");
                    busy = true;
                    break;
                }
            }
            if let Some(ended) = self.socket.ended() {
                self.transport.close(ended.close_code(), ended.close_reason());
                return Poll::Ready(ended.clone());
            }
            if !busy {
                break;
            }
        }
        self.deadline.wake(&*self.platform, task, self.socket.timeout());
        Poll::Pending
    }
}
