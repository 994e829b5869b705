//! Trust: what an edge learns from its origin about private rooms, revocations, and other edges' public keys.
//!
//! The origin publishes it to each edge on the track `trust` in `.edge/EDGE`, as one JSON object per change. An edge that
//! knows it asks its clients for a token in private rooms, and says so in its own token, so that the origin lets it have
//! such rooms. Until the origin has answered, the edge shows nothing.

mod link;
mod service;

pub use service::TrustService;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::Waker,
};

use moqt::{Connected, Later, Namespace, RequestCode, Token, message::RequestError};
use relay::{Credentials, Dial, DialError, Guard, IMPLEMENTATION, Platform};
use serde::{Deserialize, Serialize};
use token::{Claims, Revocations, Role, Verified};
use tokio::sync::Notify;
use wire::names;

use crate::{RoomPatterns, RoomsConfig, uplink::TOKEN_LIFE};

/// The content of the track.
#[derive(Serialize, Deserialize)]
struct Told {
    /// Patterns of the private rooms.
    private: Vec<String>,
    /// The public halves of edges' keys, a JWK Set.
    keys: serde_json::Value,
    revoked: Revocations,
}

/// The progress of an edge in learning which rooms are private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The origin has not answered yet.
    Unknown,
    /// The origin does not tell this edge. It refuses such an edge its private rooms.
    Untold,
    /// The private rooms are known.
    Known,
}

/// An edge's knowledge of its origin's rules: the guard of its clients.
pub struct Trust {
    platform: Rc<dyn Platform>,
    config: RoomsConfig,
    state: Cell<State>,
    private: RefCell<RoomPatterns>,
    generation: Cell<u64>,
    wakers: RefCell<Vec<Waker>>,
    /// Notified when the state changes.
    changed: Notify,
}

impl Trust {
    /// Creates the guard of an edge, which knows nothing before [`follow`](Self::follow) has learned it.
    pub fn new(platform: Rc<dyn Platform>, config: RoomsConfig) -> Rc<Self> {
        Rc::new(Self {
            platform,
            config,
            state: Cell::new(State::Unknown),
            private: RefCell::default(),
            generation: Cell::new(0),
            wakers: RefCell::default(),
            changed: Notify::new(),
        })
    }

    /// Returns the way to the origin in the name of this edge: with its token, once the origin has told it the private
    /// rooms.
    pub fn dial(self: &Rc<Self>, origin: Rc<dyn Dial>) -> Rc<dyn Dial> {
        Rc::new(Known { trust: Rc::clone(self), origin })
    }

    /// Resolves once the private rooms are known, if the origin did not tell them at first: sessions that were opened
    /// before are not in the name of this edge.
    pub async fn known_late(&self) {
        self.until(|state| state == State::Untold).await;
        self.until(|state| state == State::Known).await;
    }

    async fn until(&self, wanted: impl Fn(State) -> bool) {
        loop {
            let changed = self.changed.notified();
            if wanted(self.state.get()) {
                return;
            }
            changed.await;
        }
    }

    /// Returns whether the private rooms are known, so that this edge may have them.
    pub(crate) fn is_known(&self) -> bool {
        self.state.get() == State::Known
    }

    /// The origin does not tell this edge. What it told before stays.
    fn untold(&self) {
        if self.state.get() == State::Unknown {
            self.change(State::Untold);
        }
    }

    fn told(&self, text: &[u8]) -> Result<(), String> {
        let told: Told = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let keys = told.keys.to_string();
        self.config.keys.adopt(&keys, told.revoked).map_err(|error| error.to_string())?;
        self.private.replace(told.private.into());
        self.change(State::Known);
        Ok(())
    }

    fn change(&self, state: State) {
        self.state.set(state);
        self.generation.set(self.generation.get() + 1);
        self.wakers.take().into_iter().for_each(Waker::wake);
        self.changed.notify_waiters();
    }

    /// Signs a token of this edge for the origin; on behalf of a client, it gives none of the edge's rights.
    fn token(&self, behalf: bool) -> Result<Token, DialError> {
        let now = self.platform.wall();
        let end = now + wire::Micros::from_secs(TOKEN_LIFE.as_secs());
        let claims =
            Claims { guards: self.is_known(), behalf, ..Claims::for_edge(self.config.edge, now, end) };
        let token = self.config.keys.mint(&claims).map_err(|error| DialError::Token(error.to_string()))?;
        Ok(Token::value(token))
    }
}

impl Guard for Trust {
    fn generation(&self) -> u64 {
        self.generation.get()
    }

    fn wake_later(&self, waker: &Waker) {
        let mut wakers = self.wakers.borrow_mut();
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }

    fn watch(&self, tokens: &[Verified], namespace: &Namespace) -> Result<(), RequestError> {
        // A namespace that is not text has no room, and nothing is ever published there.
        let Some(room) = room_of(namespace).path() else { return Ok(()) };
        if !self.private.borrow().cover(&room) {
            return Ok(());
        }
        let now = self.platform.wall();
        let allows = |token: &Verified| {
            let claims = &token.claims;
            // The token of an edge that follows this one lets it have the room only if it asks its own clients.
            let is_for_watching = claims.role != Role::Edge || (claims.guards && !claims.behalf);
            is_for_watching && self.config.keys.stands(token, now).is_ok() && claims.check(&room, now).is_ok()
        };
        if tokens.iter().any(allows) {
            return Ok(());
        }
        let why = "this room is private: present a token for it, in SETUP or as ?jwt= in the URL";
        Err(RequestError::new(RequestCode::UNAUTHORIZED, why))
    }
}

/// Returns the room that a namespace belongs to: that of its media, of its chat, or of a fan's own tracks.
fn room_of(namespace: &Namespace) -> Namespace {
    let below = |prefix: &str| namespace.strip_prefix(&Namespace::new([prefix.to_owned()]).ok()?);
    below(names::ROOM).or_else(|| below(names::FAN)).unwrap_or_else(|| namespace.clone())
}

/// The way to the origin of an edge that knows the private rooms.
struct Known {
    trust: Rc<Trust>,
    origin: Rc<dyn Dial>,
}

impl Dial for Known {
    fn dial(&self, client: Option<&Credentials>) -> Later<'_, Result<Box<dyn Connected>, DialError>> {
        let client = client.cloned();
        Box::pin(async move {
            let mut connection = self.origin.dial(client.as_ref()).await?;
            self.trust.until(|state| state != State::Unknown).await;
            if self.trust.is_known() {
                connection.config().setup.tokens = vec![self.trust.token(client.is_some())?];
            }
            connection.config().setup.implementation = Some(IMPLEMENTATION.into());
            Ok(connection)
        })
    }

    fn name(&self) -> &str {
        self.origin.name()
    }
}
