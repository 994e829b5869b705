//! Admission: what the clients of a relay may do.

use std::sync::Arc;

use moqt::{Namespace, TrackName, message::RequestError};

use crate::{Credentials, TrackStats};

/// Names a session of a relay. Later sessions have higher numbers; none is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u64);

/// Something that a client publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published<'a> {
    /// All tracks of a namespace, on request.
    Namespace(&'a Namespace),
    /// One track, offered by PUBLISH.
    Track(&'a TrackName),
}

impl Published<'_> {
    /// Returns the namespace, or that of the track.
    pub fn namespace(&self) -> &Namespace {
        match self {
            Self::Namespace(namespace) => namespace,
            Self::Track(track) => track.namespace(),
        }
    }
}

/// A session whose publications another takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// The session, which is closed.
    pub peer: PeerId,
    /// The reason that its session is closed with.
    pub reason: String,
}

/// Decides what clients may do, and receives what they have done.
///
/// A relay without one, such as an edge's, admits every client and leaves the decision to its upstream. No method may
/// call back into the relay: it is being used.
pub trait Admission {
    /// Admits a client whose SETUP has come. The error is the reason that its session is closed with.
    fn enter(
        &self,
        peer: PeerId,
        credentials: &Credentials,
        implementation: Option<&[u8]>,
    ) -> Result<(), String>;

    /// A client's session has ended.
    fn leave(&self, peer: PeerId);

    /// Lets a client publish something, perhaps instead of another session, which is then closed.
    fn publish(&self, peer: PeerId, what: Published<'_>) -> Result<Option<Replaced>, RequestError>;

    /// A client has ended something that it published.
    fn withdraw(&self, peer: PeerId, what: Published<'_>);

    /// Lets a client watch the tracks of a namespace.
    fn watch(&self, peer: PeerId, namespace: &Namespace) -> Result<(), RequestError>;

    /// A client subscribed to a track.
    fn subscribed(&self, peer: PeerId, track: &TrackName);

    /// A client's subscription to a track has ended.
    fn unsubscribed(&self, peer: PeerId, track: &TrackName);

    /// A track is no longer kept: it had no subscription for the linger time.
    fn dropped(&self, track: &TrackName);

    /// Returns whether a publisher is expected for a track that has none now. Its subscribers wait until it comes, or
    /// until [`Relay::release`](crate::Relay::release).
    fn expects(&self, track: &TrackName) -> bool;

    /// Returns the counters of a track, the same for all its publications. Refuses a track beyond the limit.
    fn stats(&self, track: &TrackName) -> Result<Arc<TrackStats>, RequestError>;
}
