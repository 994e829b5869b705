//! Applications on a session, and what they see of the transport that carries it.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    Event, Micros, Misuse, Session, SessionCode,
    session::{Closer, Config, StreamId},
};

/// An application on top of a session.
pub trait App {
    /// Handles an event of the session.
    fn event(&mut self, cx: &mut Cx<'_>, event: Event);

    /// Called whenever the connection's task runs. The application does its own work here and arranges
    /// for the task to be woken when there is more. Returning ready closes the session without an error.
    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> Poll<()> {
        let _ = (task, cx);
        Poll::Pending
    }
}

impl<A: App + ?Sized> App for &mut A {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        (**self).event(cx, event);
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> Poll<()> {
        (**self).poll(task, cx)
    }
}

/// The transport under a session, as far as an application needs to know it.
pub trait Transit {
    /// Bytes written to a stream that the transport has not sent yet.
    fn backlog(&self, stream: StreamId) -> usize;

    /// Bytes of messages, such as answers to requests, that the transport has not taken because the peer does not read.
    fn unread(&self) -> usize;

    /// The round-trip time, where the transport knows it.
    fn rtt(&self) -> Option<Duration>;

    /// Reads no more of one of the peer's streams, so that its flow control holds the peer back. A transport without
    /// flow control for each stream reads on: an application still needs a bound.
    fn pause(&self, stream: StreamId) {
        let _ = stream;
    }

    /// Lets the peer have so many bidirectional and unidirectional streams open, where the transport has a limit of its
    /// own and that is lower.
    fn allow_streams(&self, bidirectional: u32, unidirectional: u32) {
        let _ = (bidirectional, unidirectional);
    }

    /// Reads a paused stream again.
    fn resume(&self, stream: StreamId) {
        let _ = stream;
    }
}

/// A boxed future that stays on its thread.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A connection that a client has established and on which a session can begin.
pub trait Connected {
    /// The configuration that the session will start with.
    fn config(&mut self) -> &mut Config;

    /// Runs the session until it ends.
    fn run(self: Box<Self>, app: &mut dyn App) -> Later<'_, Result<Ended, Misuse>>;
}

/// A session during one call of its application.
pub struct Cx<'a> {
    /// The session that the application uses.
    pub session: &'a mut Session,
    /// The time, by the clock of the connection.
    pub now: Micros,
    transit: &'a dyn Transit,
}

impl<'a> Cx<'a> {
    /// Wraps a session for one call.
    pub fn new(session: &'a mut Session, now: Micros, transit: &'a dyn Transit) -> Self {
        Self { session, now, transit }
    }

    /// Bytes written to a stream that the transport has not taken.
    pub fn backlog(&self, stream: StreamId) -> usize {
        self.transit.backlog(stream)
    }

    /// Bytes of messages that the transport has not taken.
    pub fn unread(&self) -> usize {
        self.transit.unread()
    }

    /// The round-trip time, where the transport knows it.
    pub fn rtt(&self) -> Option<Duration> {
        self.transit.rtt()
    }

    /// Reads no more of one of the peer's streams, where the transport can do that.
    pub fn pause(&self, stream: StreamId) {
        self.transit.pause(stream);
    }

    /// Lets the peer have so many bidirectional and unidirectional streams open.
    pub fn allow_streams(&self, bidirectional: u32, unidirectional: u32) {
        self.transit.allow_streams(bidirectional, unidirectional);
    }

    /// Reads a paused stream again.
    pub fn resume(&self, stream: StreamId) {
        self.transit.resume(stream);
    }
}

/// The end of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The code it was closed with.
    pub code: SessionCode,
    /// The reason, as text for people.
    pub reason: String,
    /// The side that closed it.
    pub by: Closer,
}

impl Ended {
    /// The WebSocket close code: 1000 without an error, else 4000 plus the session's code.
    pub fn close_code(&self) -> u16 {
        match self.code {
            SessionCode::NO_ERROR => 1000,
            SessionCode(code) => 4000 + u16::try_from(code).unwrap_or(999).min(999),
        }
    }

    /// The close reason, cut to the length that a WebSocket allows.
    pub fn close_reason(&self) -> &str {
        &self.reason[..self.reason.floor_char_boundary(123)]
    }
}
