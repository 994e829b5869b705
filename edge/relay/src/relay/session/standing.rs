//! The tokens of a client: the sessions that end when theirs no longer stands, and the requests that wait until the guard
//! knows the private rooms.

use std::rc::Rc;

use moqt::{Cx, Event, Namespace, RequestCode, SessionCode, message::RequestError, session::RequestId};
use token::{Error, Role, Verified};

use super::Session;
use crate::relay::hub::{Command, Hub, Kind};

/// Requests of a session that may wait for the guard.
const MAX_WAITING: usize = 64;

impl Session {
    /// Keeps the valid tokens of the client, so that its session can end with them.
    pub(super) fn stand(&mut self) {
        let Kind::Client(credentials) = &self.kind else { return };
        self.tokens = credentials.valid().cloned().collect();
        if !self.tokens.is_empty() {
            self.relay.0.borrow_mut().standing.insert(self.id, Rc::clone(&self.tokens));
        }
    }

    /// Returns an error if the guard does not let the client watch a namespace.
    pub(super) fn guarded(&self, namespace: &Namespace) -> Result<(), RequestError> {
        self.guard.as_ref().map_or(Ok(()), |guard| {
            if guard.generation() > 0 { guard.watch(&self.tokens, namespace) } else { Err(not_yet()) }
        })
    }

    /// Lets an event pass, or keeps it until the guard is ready.
    pub(super) fn when_ready(&mut self, cx: &mut Cx<'_>, event: Event) -> Option<Event> {
        if let Event::Cancelled { request, .. } | Event::RendezvousTimeout { request } = &event {
            self.waiting.retain(|waiting| request_of(waiting) != Some(*request));
        }
        let Some(request) = request_of(&event) else { return Some(event) };
        if self.guard.as_ref().is_none_or(|guard| guard.generation() > 0) {
            return Some(event);
        }
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push(event);
        } else {
            let _ = cx.session.reject(request, not_yet());
        }
        None
    }

    /// Takes the events that waited for the guard, once it is ready.
    pub(super) fn take_waiting(&mut self, waker: &std::task::Waker) -> Vec<Event> {
        let Some(guard) = &self.guard else { return Vec::new() };
        if !self.waiting.is_empty() || !self.watching.is_empty() {
            guard.wake_later(waker);
        }
        let generation = guard.generation();
        if generation == self.guard_seen {
            return Vec::new();
        }
        self.guard_seen = generation;
        // A room that was private may be so no longer.
        self.namespaces_changed = true;
        std::mem::take(&mut self.waiting)
    }
}

impl Hub {
    /// Closes the sessions whose token has expired or was revoked.
    pub(in crate::relay) fn end_fallen(&mut self) {
        let Some(keys) = self.keys.clone() else { return };
        let now = self.platform.wall();
        let fallen: Vec<_> = self
            .standing
            .iter()
            .filter_map(|(peer, tokens)| {
                Some((*peer, tokens.iter().find_map(|token| fall(&keys, token, now))?))
            })
            .collect();
        for (peer, error) in fallen {
            let code = match error {
                Error::Expired { .. } => SessionCode::EXPIRED_AUTH_TOKEN,
                _ => SessionCode::UNAUTHORIZED,
            };
            tracing::info!(peer = peer.0, %error, "a session ends with its token");
            self.standing.remove(&peer);
            self.send(peer, Command::Close(code, error.to_string()));
        }
    }
}

/// Returns the reason why a token that was valid no longer is. An edge's token does not end with its time: the edge mints
/// them itself, and a session that all its fans share would break off each day.
fn fall(keys: &token::Keys, token: &Verified, now: wire::Micros) -> Option<Error> {
    match keys.stands(token, now) {
        Err(Error::Expired { .. }) if token.claims.role == Role::Edge => None,
        outcome => outcome.err(),
    }
}

/// Returns the request of an event that asks for what may be private.
fn request_of(event: &Event) -> Option<RequestId> {
    match event {
        Event::Subscribe { request, .. }
        | Event::SubscribeNamespace { request, .. }
        | Event::SubscribeTracks { request, .. }
        | Event::TrackStatus { request, .. }
        | Event::Fetch { request, .. } => Some(*request),
        _ => None,
    }
}

fn not_yet() -> RequestError {
    let why = "this node does not know yet which rooms are private: ask again";
    RequestError::new(RequestCode::EXCESSIVE_LOAD, why)
}
