//! A real session that a test controls from outside: see [`Probe`].

use std::task::{Context, Poll};

use moqt::{App, Cx, Event, Micros, Session};
use tokio::sync::mpsc;

/// A call on the session.
pub type Word = Box<dyn FnOnce(&mut Session, Micros)>;

/// An application of one session: it makes the calls that a test sends, and sends all events to the test.
///
/// It ends when the test drops the sender of the calls.
pub struct Probe {
    words: mpsc::UnboundedReceiver<Word>,
    events: mpsc::UnboundedSender<Event>,
}

impl Probe {
    /// Creates a probe, with the sender of its calls and the receiver of its events.
    pub fn new() -> (Self, mpsc::UnboundedSender<Word>, mpsc::UnboundedReceiver<Event>) {
        let (say, words) = mpsc::unbounded_channel();
        let (events, hear) = mpsc::unbounded_channel();
        (Self { words, events }, say, hear)
    }
}

impl App for Probe {
    fn event(&mut self, _: &mut Cx<'_>, event: Event) {
        let _ = self.events.send(event);
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> Poll<()> {
        loop {
            match self.words.poll_recv(task) {
                Poll::Ready(Some(word)) => word(cx.session, cx.now),
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
