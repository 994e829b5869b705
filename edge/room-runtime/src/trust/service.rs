//! The service by which an origin tells its edges the rules.

use std::{rc::Rc, task::Context, time::Duration};

use bytes::Bytes;
use moqt::{
    Cx, DoneCode, Event, Later, Params, Properties, RequestCode, TrackName, message::RequestError,
    packet_track::Outflow, session::RequestId,
};
use relay::{Credentials, Platform, Service, SessionService};
use token::{EVERY_ROOM, EdgeNumber, Keys};
use wire::{limits, names};

use super::Told;
use crate::RoomPatterns;

/// The time until an edge is told of a change of keys.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Tokens of one session that are looked at.
const MAX_TOKENS: usize = 4;

/// Tells edges the private rooms, the revocations, and the public halves of edges' keys. Comes before the
/// [`HubService`](crate::HubService) among a node's services.
pub struct TrustService {
    keys: Keys,
    private: RoomPatterns,
    platform: Rc<dyn Platform>,
}

impl TrustService {
    /// Creates the service. Edges present a token that `keys` verify.
    pub fn new(keys: Keys, private: RoomPatterns, platform: Rc<dyn Platform>) -> Self {
        Self { keys, private, platform }
    }
}

impl Service for TrustService {
    fn session(&self) -> Box<dyn SessionService> {
        Box::new(TrustSession {
            keys: self.keys.clone(),
            private: self.private.clone(),
            platform: Rc::clone(&self.platform),
            track: None,
            look: None,
        })
    }
}

/// The part of one session.
struct TrustSession {
    keys: Keys,
    private: RoomPatterns,
    platform: Rc<dyn Platform>,
    track: Option<Track>,
    /// Runs out when the keys are to be looked at again.
    look: Option<Later<'static, ()>>,
}

struct Track {
    request: RequestId,
    outflow: Outflow,
    /// The generation of the keys that the edge has been told.
    told: Option<u64>,
}

impl SessionService for TrustSession {
    fn event(&mut self, cx: &mut Cx<'_>, event: &Event, credentials: &Credentials) -> bool {
        match event {
            Event::Subscribe { request, track, .. } if edge_of(track).is_some() => {
                let accepted = self.authorize(track, credentials).and_then(|()| {
                    let accepted = cx.session.accept_subscribe(*request, Params::default(), Properties::NONE);
                    accepted
                        .map_err(|error| RequestError::new(RequestCode::INTERNAL_ERROR, &error.to_string()))
                });
                match accepted {
                    Ok(()) => {
                        // One group: an edge reads it from the start, in order.
                        let outflow = Outflow::new(*request, u64::MAX);
                        self.track = Some(Track { request: *request, outflow, told: None });
                    }
                    Err(error) => drop(cx.session.reject(*request, error)),
                }
                true
            }
            Event::Cancelled { request, .. }
                if self.track.as_ref().is_some_and(|track| track.request == *request) =>
            {
                self.track = None;
                true
            }
            _ => false,
        }
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) {
        let Some(track) = &mut self.track else { return };
        let generation = self.keys.generation();
        if track.told != Some(generation) {
            track.told = Some(generation);
            let told = told(&self.keys, &self.private);
            let len = told.len();
            if len > limits::FRAME {
                tracing::error!(len, "the private rooms and the keys of edges are too many for one frame");
            }
            // Without the track the edge knows that it is not told. A session that is ending refuses it, too.
            if len > limits::FRAME || track.outflow.send(cx, told).is_err() {
                tracing::debug!("an edge cannot be told the keys of the others");
                let _ = cx.session.done(track.request, DoneCode::INTERNAL_ERROR, "ask again");
                self.track = None;
                return;
            }
        }
        loop {
            let look = self.look.get_or_insert_with(|| self.platform.sleep(LOOK_EVERY));
            if look.as_mut().poll(task).is_pending() {
                return;
            }
            self.look = None;
            if self.keys.generation() != generation {
                return task.waker().wake_by_ref();
            }
        }
    }
}

impl TrustSession {
    fn authorize(&self, track: &TrackName, credentials: &Credentials) -> Result<(), RequestError> {
        let denied = |why: &str| Err(RequestError::new(RequestCode::UNAUTHORIZED, why));
        let Some(edge) = edge_of(track) else { return denied("there is no such edge") };
        let now = self.platform.wall();
        let is_it = |jwt: &str| {
            let claims = self.keys.verify(jwt, now)?;
            claims.check_number(edge.0, EVERY_ROOM, now)
        };
        let jwts = credentials.jwts();
        if jwts.iter().take(MAX_TOKENS).any(|jwt| is_it(jwt).is_ok()) {
            return Ok(());
        }
        denied("the origin's rules are told to an edge, with a token of that edge")
    }
}

/// Returns the edge that a track of this service is for.
fn edge_of(track: &TrackName) -> Option<EdgeNumber> {
    let [first, edge] = track.namespace().fields() else { return None };
    let is_ours = first[..] == *names::EDGE.as_bytes() && track.name() == names::TRUST.as_bytes();
    is_ours.then(|| std::str::from_utf8(edge).ok()?.parse().ok()).flatten()
}

fn told(keys: &Keys, private: &RoomPatterns) -> Bytes {
    let told = Told {
        private: private.texts().to_vec(),
        keys: serde_json::from_str(&keys.edges_json()).unwrap_or_default(),
        revoked: keys.revocations(),
    };
    serde_json::to_vec(&told).unwrap_or_default().into()
}
