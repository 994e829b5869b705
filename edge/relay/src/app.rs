//! What runs on a session.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use moqt::{
    Event, Micros, Session, SessionCode,
    session::{Closer, StreamId},
};

/// What runs on top of a session.
pub trait App {
    /// The session said something.
    fn event(&mut self, cx: &mut Cx<'_>, event: Event);

    /// Called whenever the connection's task runs: the app does what it has to do
    /// by itself, and sees to it that the task is woken when there is more. When
    /// it is ready, the session is closed without an error.
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

/// What carries a session, as far as an app has to know it.
pub trait Transit {
    /// Bytes written to a stream that have not left.
    fn backlog(&self, stream: StreamId) -> usize;

    /// How long a word and its answer take, where that is known.
    fn rtt(&self) -> Option<Duration>;
}

/// What an app works with.
pub struct Cx<'a> {
    /// The session.
    pub session: &'a mut Session,
    /// Now, by the clock of the connection.
    pub now: Micros,
    transit: &'a dyn Transit,
}

impl<'a> Cx<'a> {
    /// What there is of a session at the moment.
    pub fn new(session: &'a mut Session, now: Micros, transit: &'a dyn Transit) -> Self {
        Self { session, now, transit }
    }

    /// Bytes written to a stream that the transport has not taken.
    pub fn backlog(&self, stream: StreamId) -> usize {
        self.transit.backlog(stream)
    }

    /// How long a word and its answer take, where the transport knows.
    pub fn rtt(&self) -> Option<Duration> {
        self.transit.rtt()
    }
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The code it was closed with.
    pub code: SessionCode,
    /// For people.
    pub reason: String,
    /// Who closed it.
    pub by: Closer,
}

impl Ended {
    /// The code that a WebSocket is closed with: 1000, or 4000 and the session's.
    pub fn close_code(&self) -> u16 {
        match self.code {
            SessionCode::NO_ERROR => 1000,
            SessionCode(code) => 4000 + u16::try_from(code).unwrap_or(999).min(999),
        }
    }

    /// The reason that goes with it, as long as it may be.
    pub fn close_reason(&self) -> &str {
        &self.reason[..self.reason.floor_char_boundary(123)]
    }
}
