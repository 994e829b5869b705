//! GOAWAY, between the session that receives it and the task that opens another connection.

use std::{
    cell::RefCell,
    rc::Rc,
    task::{Context, Poll, Waker},
};

/// The GOAWAY of a session's peer, between the session and the task that runs it: the session sets it, the task opens
/// another connection, and then has the session leave.
#[derive(Clone, Debug, Default)]
pub struct GoingAway(Rc<RefCell<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    state: State,
    wakers: Vec<Waker>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// The peer stays.
    #[default]
    Staying,
    /// The peer has sent GOAWAY.
    Received,
    /// Another connection is open.
    Leaving,
}

impl GoingAway {
    /// Records a GOAWAY.
    pub fn set(&self) {
        self.advance(State::Received);
    }

    /// Returns whether the peer has sent GOAWAY.
    pub fn is_set(&self) -> bool {
        self.0.borrow().state >= State::Received
    }

    /// Ready once the session is to end. To be called from [`App::poll`](crate::App::poll).
    pub fn poll_leave(&self, task: &mut Context<'_>) -> Poll<()> {
        self.poll_for(State::Leaving, task)
    }

    /// Ready once the peer has sent GOAWAY.
    pub fn poll_received(&self, task: &mut Context<'_>) -> Poll<()> {
        self.poll_for(State::Received, task)
    }

    /// Has the session end: another connection is open.
    pub fn leave(&self) {
        self.advance(State::Leaving);
    }

    fn poll_for(&self, state: State, task: &mut Context<'_>) -> Poll<()> {
        let mut shared = self.0.borrow_mut();
        if shared.state >= state {
            return Poll::Ready(());
        }
        if !shared.wakers.iter().any(|known| known.will_wake(task.waker())) {
            shared.wakers.push(task.waker().clone());
        }
        Poll::Pending
    }

    fn advance(&self, state: State) {
        let mut shared = self.0.borrow_mut();
        shared.state = shared.state.max(state);
        for waker in shared.wakers.drain(..) {
            waker.wake();
        }
    }
}
