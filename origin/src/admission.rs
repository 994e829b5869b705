//! The origin's admission: rooms belong to creators, and some of them to people with a token.

use std::{rc::Rc, sync::Arc};

use moqt::{Namespace, RequestCode, TrackName, message::RequestError};
use relay::{Admission, Credentials, PeerId, Published, Replaced, TrackStats};
use wire::Track;

use crate::{
    Error,
    rooms::{Rooms, shown_room},
    roots::Roots,
};

/// The admission of the relay.
pub(crate) struct RoomAdmission {
    rooms: Arc<Rooms>,
    roots: Option<Rc<Roots>>,
}

impl RoomAdmission {
    pub(crate) fn new(rooms: Arc<Rooms>, roots: Option<Rc<Roots>>) -> Self {
        Self { rooms, roots }
    }
}

impl Admission for RoomAdmission {
    fn enter(
        &self,
        peer: PeerId,
        credentials: &Credentials,
        implementation: Option<&[u8]>,
    ) -> Result<(), String> {
        self.rooms.enter(peer, credentials, implementation).map_err(|error| error.to_string())
    }

    fn leave(&self, peer: PeerId) {
        self.rooms.leave(peer);
    }

    fn publish(&self, peer: PeerId, what: Published<'_>) -> Result<Option<Replaced>, RequestError> {
        let published = self.rooms.publish(peer, what).map_err(|error| refusal(&error))?;
        if let Some(roots) = &self.roots {
            roots.wake();
        }
        Ok(published)
    }

    fn withdraw(&self, peer: PeerId, what: Published<'_>) {
        self.rooms.withdraw(peer, what);
    }

    fn watch(&self, peer: PeerId, namespace: &Namespace) -> Result<(), RequestError> {
        self.rooms.may_watch(peer, namespace).map_err(|error| refusal(&error))
    }

    fn subscribed(&self, peer: PeerId, track: &TrackName) {
        self.rooms.subscribed(peer, track);
    }

    fn unsubscribed(&self, peer: PeerId, track: &TrackName) {
        self.rooms.unsubscribed(peer, track);
    }

    fn dropped(&self, track: &TrackName) {
        self.rooms.dropped(track);
    }

    fn expects(&self, track: &TrackName) -> bool {
        let Some(room) = shown_room(track.namespace()) else { return self.rooms.is_held(track) };
        let is_shown = [Track::Chat, Track::Pulse, Track::Stage]
            .iter()
            .any(|shown| track.name() == shown.name().as_bytes());
        // A root publishes its tracks once it is open.
        is_shown && self.roots.as_ref().is_some_and(|roots| roots.want(&room))
    }

    fn stats(&self, track: &TrackName) -> Result<Arc<TrackStats>, RequestError> {
        self.rooms.stats(track).map_err(|error| refusal(&error))
    }
}

/// The draft's code and the reason for refusing a request (Section 15.10.2).
fn refusal(error: &Error) -> RequestError {
    let code = match error {
        Error::Token(token::Error::Malformed(_)) => RequestCode::MALFORMED_AUTH_TOKEN,
        Error::Token(token::Error::Expired { .. }) => RequestCode::EXPIRED_AUTH_TOKEN,
        Error::RoomTaken { .. } => RequestCode::UNINTERESTED,
        Error::TooManyRooms(_) | Error::TooManyTracks { .. } => RequestCode::EXCESSIVE_LOAD,
        Error::BadNamespace(_) => RequestCode::NOT_SUPPORTED,
        _ => RequestCode::UNAUTHORIZED,
    };
    RequestError::new(code, &error.to_string())
}
