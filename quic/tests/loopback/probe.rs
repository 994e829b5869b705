//! What runs on a session that does what a test says and tells all it hears.

use std::task::{Context, Poll};

use moqt::{App, Cx};
use moqt::{Event, Micros, Session};
use tokio::sync::mpsc;

/// Something that the session is to do.
pub(crate) type Word = Box<dyn FnOnce(&mut Session, Micros)>;

pub(crate) struct Probe {
    words: mpsc::UnboundedReceiver<Word>,
    events: mpsc::UnboundedSender<Event>,
}

impl Probe {
    /// One, whom to tell what to do, and where to hear what has come.
    pub(crate) fn new() -> (Self, mpsc::UnboundedSender<Word>, mpsc::UnboundedReceiver<Event>) {
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
