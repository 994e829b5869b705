//! Services: protocols beside tracks that a node offers to its clients, such as taking part in rooms.

use std::task::Context;

use moqt::{Cx, Event};

use crate::Credentials;

/// A service of a node.
pub trait Service {
    /// Creates the service's part of a client's new session.
    fn session(&self) -> Box<dyn SessionService>;
}

/// A service's part of one session. It ends when this is dropped.
pub trait SessionService {
    /// Handles an event. Returns whether the event belonged to this service; if not, it goes on to the next one and
    /// at last to the relay's tracks.
    fn event(&mut self, cx: &mut Cx<'_>, event: &Event, credentials: &Credentials) -> bool;

    /// Called whenever the session's task runs.
    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>);
}
