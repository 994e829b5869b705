//! The rooms of an origin: their owners, tracks and viewers. Shared by the relay's thread and HTTP.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime},
};

use moqt::{Namespace, TrackName};
use relay::{Credentials, PeerId, Published, Replaced, TrackStats};
use token::{Claims, EVERY_ROOM, Role};
use tokio::sync::{Notify, watch};
use wire::names;

use crate::{
    Config, Error, RoomView, TrackView,
    ownership::{Claim, Creator, Ownership},
    view::{Entry, Rate, rfc3339},
};

/// The most tracks in one room.
pub const MAX_TRACKS: usize = 1024;
/// The prefix of an edge's implementation name in its SETUP.
pub const EDGE_IMPLEMENTATION: &str = "fanfare-edge";

/// The rooms of the origin. All methods may be called on any thread.
pub(crate) struct Rooms {
    config: Config,
    inner: Mutex<Inner>,
    /// Changes with every change of rooms, tracks and viewers.
    changes: watch::Sender<u64>,
    /// Notified when the time to [`poll`](Self::poll) may have come nearer.
    due: Notify,
}

pub(crate) struct Inner {
    pub(crate) ownership: Ownership,
    pub(crate) tracks: HashMap<TrackName, Entry>,
    peers: HashMap<PeerId, Peer>,
    /// The namespaces and tracks that creators publish now.
    published: BTreeMap<PeerId, Vec<Publication>>,
    /// The rooms that have a journal.
    journalled: BTreeSet<String>,
}

/// A session, with the rights that its token gives.
struct Peer {
    claims: Option<Claims>,
    /// The claims of the edge that this session comes through, if it asks its own clients for a token in private rooms.
    guard: Option<Claims>,
    takeover: bool,
    is_edge: bool,
}

/// A publication of a creator, and the room that it counts for.
struct Publication {
    room: String,
    namespace: Namespace,
    track: Option<TrackName>,
}

impl Publication {
    fn is(&self, what: Published<'_>) -> bool {
        match what {
            Published::Namespace(namespace) => self.track.is_none() && self.namespace == *namespace,
            Published::Track(track) => self.track.as_ref() == Some(track),
        }
    }
}

fn claims_of(proof: &relay::Proof) -> Result<Claims, Error> {
    Ok(proof.outcome.as_ref().map_err(Clone::clone)?.claims.clone())
}

impl Rooms {
    pub(crate) fn new(config: Config) -> Arc<Self> {
        let inner = Inner {
            ownership: Ownership::new(config.grace),
            tracks: HashMap::new(),
            peers: HashMap::new(),
            published: BTreeMap::new(),
            journalled: BTreeSet::new(),
        };
        Arc::new(Self {
            config,
            inner: Mutex::new(inner),
            changes: watch::Sender::new(0),
            due: Notify::new(),
        })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Wakes all receivers of changes, and the task that polls.
    pub(crate) fn changed(&self) {
        self.due.notify_one();
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Advances to now, and returns the time of the next call. `release` drops the groups of a room that has ended,
    /// before the room is shown as ended.
    pub(crate) fn poll(&self, release: impl Fn(&str)) -> Option<Instant> {
        let mut inner = self.inner();
        let (ended, next) = inner.ownership.poll(Instant::now());
        inner.tracks.retain(|_, entry| !ended.contains(&entry.room));
        for room in &ended {
            release(room);
        }
        drop(inner);
        if !ended.is_empty() {
            self.changed();
        }
        next
    }

    /// Waits until the time to [`poll`](Self::poll) again, or until that may have come nearer.
    pub(crate) async fn due(&self, next: Option<Instant>) {
        let sleep = async {
            match next {
                Some(next) => tokio::time::sleep_until(next.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => {}
            () = self.due.notified() => {}
        }
    }

    /// Admits a session whose SETUP has come.
    pub(crate) fn enter(
        &self,
        peer: PeerId,
        credentials: &Credentials,
        implementation: Option<&[u8]>,
    ) -> Result<(), Error> {
        let query = credentials.query.as_deref().unwrap_or_default();
        let takeover = url::form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == "takeover")
            .is_some_and(|(_, value)| value != "0");
        let jwts = credentials.jwts();
        if jwts.is_empty() && !credentials.tokens.is_empty() {
            return Err(Error::Token(token::Error::Malformed("it is not a JWT".into())));
        }
        if self.config.keys.is_none() && !jwts.is_empty() {
            return Err(Error::NoKeys);
        }
        let is_guard = |proof: &&relay::Proof| {
            proof.outcome.as_ref().is_ok_and(|token| token.claims.role == Role::Edge && token.claims.guards)
        };
        // The other tokens beside an edge's are those of the creator that it speaks for.
        let (guards, others): (Vec<_>, Vec<_>) = credentials.proofs().iter().partition(is_guard);
        let guard = guards.last().map(|proof| claims_of(proof)).transpose()?;
        let claims = match others.last() {
            None => guard.clone().filter(|guard| !guard.behalf),
            Some(proof) => Some(claims_of(proof)?),
        };
        let is_edge = implementation.is_some_and(|name| name.starts_with(EDGE_IMPLEMENTATION.as_bytes()));
        self.inner().peers.insert(peer, Peer { claims, guard, takeover, is_edge });
        Ok(())
    }

    /// Removes a session that has ended. Its rooms are held for its return, unless it had finished them.
    pub(crate) fn leave(&self, peer: PeerId) {
        let mut inner = self.inner();
        inner.peers.remove(&peer);
        inner.published.remove(&peer);
        inner.ownership.leave(Instant::now(), peer);
        drop(inner);
        self.changed();
    }

    /// Claims a room for a publication of a session.
    pub(crate) fn publish(&self, peer: PeerId, what: Published<'_>) -> Result<Option<Replaced>, Error> {
        let mut inner = self.inner();
        let (room, creator) = self.may_publish(&inner, peer, what.namespace())?;
        if let Published::Track(track) = what {
            inner.has_space_for(track, &room)?;
        }
        let claim = inner.ownership.publish(Instant::now(), &room, &creator)?;
        let publication = Publication {
            room: room.clone(),
            namespace: what.namespace().clone(),
            track: match what {
                Published::Namespace(_) => None,
                Published::Track(track) => Some(track.clone()),
            },
        };
        inner.published.entry(peer).or_default().push(publication);
        let replaced = match claim {
            Claim::Granted => None,
            Claim::TakenFrom(old) => {
                if let Some(published) = inner.published.get_mut(&old) {
                    published.retain(|publication| publication.room != room);
                }
                let by = creator.name.as_deref().unwrap_or("another creator");
                Some(Replaced { peer: old, reason: format!("room {room:?} was taken over by {by}") })
            }
        };
        drop(inner);
        self.changed();
        Ok(replaced)
    }

    /// Withdraws a publication of a session.
    pub(crate) fn withdraw(&self, peer: PeerId, what: Published<'_>) {
        let mut inner = self.inner();
        let Some(published) = inner.published.get_mut(&peer) else { return };
        let Some(at) = published.iter().position(|publication| publication.is(what)) else { return };
        let room = published.swap_remove(at).room;
        inner.ownership.withdraw(Instant::now(), &room, peer);
        drop(inner);
        self.changed();
    }

    /// Returns the room into which a session may publish a namespace, and the session's creator.
    fn may_publish(
        &self,
        inner: &Inner,
        session: PeerId,
        namespace: &Namespace,
    ) -> Result<(String, Creator), Error> {
        let room = namespace.path().filter(|room| !room.is_empty());
        let room = room.ok_or_else(|| Error::BadNamespace(namespace.to_string()))?;
        if room.as_bytes().first() == Some(&names::RESERVED) {
            return Err(Error::Reserved(room));
        }
        let peer = inner.peers.get(&session);
        let takeover = peer.is_some_and(|peer| peer.takeover);
        if peer.is_some_and(|peer| peer.is_edge && peer.guard.is_none()) && self.config.is_private(&room) {
            return Err(Error::Unguarded { room });
        }
        let creator = |name| Creator { session, name, takeover };
        match peer.and_then(|peer| peer.claims.as_ref()) {
            Some(claims) => {
                claims.check(&room, token::now())?;
                if claims.role != Role::Creator {
                    return Err(Error::WrongRole { role: claims.role });
                }
                let room = if claims.room == EVERY_ROOM { room } else { claims.room.clone() };
                Ok((room, creator(Some(claims.name.clone()))))
            }
            None if self.config.open_publish => Ok((room, creator(None))),
            None => Err(Error::NoToken("publishing")),
        }
    }

    /// Checks that a session may watch a namespace.
    pub(crate) fn may_watch(&self, session: PeerId, namespace: &Namespace) -> Result<(), Error> {
        // A namespace that is not text has no room, and a creator above it may still have tracks in it.
        let Some(room) = shown_room(namespace).unwrap_or_else(|| namespace.clone()).path() else {
            return Err(Error::BadNamespace(namespace.to_string()));
        };
        if !self.config.is_private(&room) {
            return Ok(());
        }
        let inner = self.inner();
        // An edge's token for every room identifies the edge. It allows its fans to watch only if the edge asks them for a
        // token.
        let is_for_watching = |claims: &&Claims| {
            (claims.role, claims.room.as_str()) != (Role::Edge, EVERY_ROOM) || claims.guards
        };
        match inner.peers.get(&session).and_then(|peer| peer.claims.as_ref()).filter(is_for_watching) {
            Some(claims) => Ok(claims.check(&room, token::now())?),
            None => Err(Error::NoToken("watching a private room")),
        }
    }

    /// Counts a session's subscription to a track.
    pub(crate) fn subscribed(&self, session: PeerId, track: &TrackName) {
        let mut inner = self.inner();
        let is_edge = inner.peers.get(&session).is_some_and(|peer| peer.is_edge);
        if let Some(entry) = inner.tracks.get_mut(track) {
            let viewer = entry.viewers.entry(session).or_insert((0, is_edge));
            viewer.0 += 1;
            drop(inner);
            self.changed();
        }
    }

    /// Undoes one call of [`subscribed`](Self::subscribed).
    pub(crate) fn unsubscribed(&self, session: PeerId, track: &TrackName) {
        let mut inner = self.inner();
        if let Some(entry) = inner.tracks.get_mut(track)
            && let Some(viewer) = entry.viewers.get_mut(&session)
        {
            viewer.0 -= 1;
            if viewer.0 == 0 {
                entry.viewers.remove(&session);
            }
            drop(inner);
            self.changed();
        }
    }

    /// A track is no longer kept. If nothing was ever published in it, a subscriber has made its name up, and it takes no
    /// place among the room's tracks.
    pub(crate) fn dropped(&self, track: &TrackName) {
        let mut inner = self.inner();
        let is_made_up = inner.tracks.get(track).is_some_and(|entry| {
            entry.viewers.is_empty() && entry.stats.groups() == 0 && !entry.stats.is_live()
        });
        if is_made_up {
            inner.tracks.remove(track);
        }
        drop(inner);
        self.changed();
    }

    /// Returns whether the track is in a room that is held for its creator, who may publish it.
    pub(crate) fn is_held(&self, track: &TrackName) -> bool {
        let inner = self.inner();
        let room = track.namespace().path();
        let room = room.as_deref().and_then(|name| inner.ownership.containing(name));
        room.is_some_and(|(_, room)| room.held_until().is_some())
    }

    /// The counters of a track. A track outside any room gets counters that nothing reads.
    pub(crate) fn stats(&self, track: &TrackName) -> Result<Arc<TrackStats>, Error> {
        let mut inner = self.inner();
        if let Some(entry) = inner.tracks.get(track) {
            return Ok(Arc::clone(&entry.stats));
        }
        let room = track.namespace().path();
        let room = room.as_deref().and_then(|name| inner.ownership.containing(name));
        let Some(room) = room.map(|(name, _)| name.clone()) else { return Ok(Arc::default()) };
        inner.has_space_for(track, &room)?;
        let stats = Arc::<TrackStats>::default();
        let entry = Entry {
            room,
            stats: Arc::clone(&stats),
            viewers: HashMap::new(),
            rate: Rate::new(Instant::now()),
        };
        inner.tracks.insert(track.clone(), entry);
        Ok(stats)
    }

    /// Returns whether the room exists or has existed, so that fans may take part in it.
    pub(crate) fn has_room(&self, name: &str) -> bool {
        self.inner().journalled.contains(name) || self.has_show(name)
    }

    /// Returns whether the room has a show now: a creator publishes in it, or may return.
    pub(crate) fn has_show(&self, name: &str) -> bool {
        let Ok(namespace) = Namespace::from_path(name) else { return false };
        let inner = self.inner();
        inner.ownership.get(name).is_some()
            || inner.published.values().flatten().any(|publication| publication.namespace == namespace)
    }

    /// Records that a room's journal is gone.
    pub(crate) fn remove_journal(&self, room: &str) {
        self.inner().journalled.remove(room);
        self.changed();
    }

    /// The names of the rooms that have a show or a publication now.
    pub(crate) fn shows(&self) -> Vec<String> {
        let inner = self.inner();
        let owned = inner.ownership.iter().map(|(name, _)| name.clone());
        let published = inner.published.values().flatten();
        owned.chain(published.filter_map(|publication| publication.namespace.path())).collect()
    }

    /// Records that a room has a journal.
    pub(crate) fn add_journal(&self, room: &str) {
        self.inner().journalled.insert(room.to_owned());
        self.changed();
    }

    /// The views of all rooms, by name.
    pub(crate) fn views(&self) -> Vec<RoomView> {
        let mut inner = self.inner();
        let names: Vec<_> = inner.ownership.iter().map(|(name, _)| name.clone()).collect();
        names.iter().filter_map(|name| inner.view(name)).collect()
    }

    /// The view of one room.
    pub(crate) fn view(&self, name: &str) -> Option<RoomView> {
        self.inner().view(name)
    }
}

impl Inner {
    /// Makes the view of one room.
    pub(crate) fn view(&mut self, name: &str) -> Option<RoomView> {
        let room = self.ownership.get(name)?;
        let (state, creator, since) = (room.state, room.creator.clone(), room.since);
        let now = Instant::now();
        let mut sessions: HashMap<PeerId, bool> = HashMap::new();
        let mut tracks = Vec::new();
        for (track, entry) in self.tracks.iter_mut().filter(|(_, entry)| entry.room == name) {
            sessions.extend(entry.viewers.iter().map(|(session, (_, is_edge))| (*session, *is_edge)));
            let stats = &entry.stats;
            tracks.push(TrackView {
                namespace: track.namespace().path().unwrap_or_default(),
                name: String::from_utf8_lossy(track.name()).into_owned(),
                live: stats.is_live(),
                bitrate: entry.rate.measure(now, stats.bytes()),
                groups: stats.groups(),
                objects: stats.objects(),
                newest_group: stats.newest_group(),
                kept_bytes: stats.kept(),
                subscribers: entry.viewers.values().map(|(count, _)| count).sum(),
            });
        }
        tracks.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        let edges = sessions.values().filter(|is_edge| **is_edge).count();
        Some(RoomView {
            name: name.to_owned(),
            state,
            creator,
            since: rfc3339(SystemTime::now() - since.elapsed()),
            viewers: sessions.len() - edges,
            edges,
            tracks,
        })
    }

    fn has_space_for(&self, track: &TrackName, room: &str) -> Result<(), Error> {
        let known = self.tracks.contains_key(track);
        if !known && self.tracks.values().filter(|entry| entry.room == room).count() >= MAX_TRACKS {
            return Err(Error::TooManyTracks { room: room.to_owned(), max: MAX_TRACKS });
        }
        Ok(())
    }
}

/// Returns the room that a namespace of chat, pulse and stage belongs to.
pub(crate) fn shown_room(namespace: &Namespace) -> Option<Namespace> {
    let prefix = Namespace::new([names::ROOM]).ok()?;
    namespace.strip_prefix(&prefix).filter(|room| !room.is_empty())
}
