//! A session on one WebSocket of the object's.

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
use relay::{Credentials, Deadline, Platform, Relay};
use worker::WebSocket;

use crate::mail::{Mail, Place};

/// What has come.
pub(crate) enum Came {
    Binary(Bytes),
    Text,
    /// With why, if that is said.
    Closed(String),
}

/// What the object has of it.
#[derive(Default)]
pub(crate) struct Line {
    came: RefCell<VecDeque<Came>>,
    waker: RefCell<Option<Waker>>,
    over: Cell<bool>,
}

impl Line {
    /// Something has come.
    pub(crate) fn came(&self, what: Came) {
        self.came.borrow_mut().push_back(what);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.get()
    }
}

/// How messages leave.
pub(crate) trait Send {
    /// Whether it is taken.
    fn send(&self, message: &Bytes) -> bool;
    fn close(&self, code: u16, why: &str);
}

impl Send for WebSocket {
    fn send(&self, message: &Bytes) -> bool {
        self.send_with_bytes(message).is_ok()
    }

    fn close(&self, code: u16, why: &str) {
        let _ = WebSocket::close(self, Some(code), Some(why));
    }
}

/// One of the object's sockets.
struct Posted<'a> {
    mail: &'a Mail,
    place: Place,
    socket: WebSocket,
}

impl Send for Posted<'_> {
    fn send(&self, message: &Bytes) -> bool {
        self.mail.put(self.place, message);
        true
    }

    fn close(&self, code: u16, why: &str) {
        self.mail.post();
        let _ = self.socket.close(Some(code), Some(why));
    }
}

impl Drop for Posted<'_> {
    fn drop(&mut self) {
        self.mail.leave(self.place);
    }
}

/// Runs the session of a client until it ends.
pub(crate) async fn run(
    line: Rc<Line>,
    socket: WebSocket,
    mail: &Mail,
    version: Version,
    query: String,
    relay: &Relay,
    platform: Rc<dyn Platform>,
) {
    let mut guest = relay.enter(Credentials { query: Some(query), tokens: Vec::new() });
    let config = Config::new(Side::Server, Transport::WebTransport, version);
    let next = |task: &mut Context<'_>| {
        line.waker.replace(Some(task.waker().clone()));
        line.came.borrow_mut().pop_front()
    };
    let transport = Posted { mail, place: mail.enter(&socket), socket };
    let _ = drive(platform, &transport, config, &mut guest, next).await;
    line.over.set(true);
}

/// Runs a session on a WebSocket until it ends. `next` is what comes, and has the task woken when there is more.
pub(crate) async fn drive(
    platform: Rc<dyn Platform>,
    transport: &dyn Send,
    config: Config,
    app: &mut dyn App,
    next: impl FnMut(&mut Context<'_>) -> Option<Came>,
) -> Result<Ended, Misuse> {
    let socket = WebSocketSession::new(platform.now(), config)?;
    let mut running = Running { next, transport, socket, app, platform, deadline: Deadline::default() };
    Ok(poll_fn(|task| running.poll(task)).await)
}

struct Running<'a, N> {
    next: N,
    transport: &'a dyn Send,
    socket: WebSocketSession,
    app: &'a mut dyn App,
    platform: Rc<dyn Platform>,
    deadline: Deadline,
}

impl<N: FnMut(&mut Context<'_>) -> Option<Came>> Running<'_, N> {
    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Ended> {
        loop {
            let now = self.platform.now();
            let mut busy = false;
            while let Some(came) = (self.next)(task) {
                busy = true;
                match came {
                    Came::Binary(message) => self.socket.received(now, message),
                    Came::Text => self.socket.violated("text on a session of binary frames"),
                    Came::Closed(why) => self.socket.closed(now, &why),
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
