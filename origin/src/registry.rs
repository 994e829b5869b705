use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use moq_transport::{
    coding::{TrackNamespace, TrackNamespacePrefix},
    serve::{FullTrackName, ServeError, Track, TrackReader, TrackWriter},
    session::{Subscriber, transport::Session as Transport},
};
use tokio::sync::{Notify, mpsc, watch};

use crate::{
    Error,
    feed::Feed,
    room::{Claim, Creator, Rooms, SessionKey, Withdrawal},
    session::{CLOSE_UNAUTHORIZED, room_name},
    store::{Store, TrackStore},
};

mod publication;
mod view;

pub(crate) use publication::Publication;
use publication::Published;
pub use view::{RoomView, TrackView};

/// Tracks a room may have.
pub const MAX_TRACKS: usize = 1024;

/// Whether a track's objects are coming.
#[derive(Clone, Debug)]
pub(crate) enum Ready {
    /// The creator has not answered yet.
    Pending,
    /// They are, or will.
    Up,
    /// The creator refused.
    Failed(ServeError),
}

/// A creator that serves every track below a namespace on request.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) session: SessionKey,
    pub(crate) subscriber: Subscriber,
    pub(crate) pulls: mpsc::Sender<Pull>,
}

/// A track that a source is asked for.
pub(crate) struct Pull {
    pub(crate) live: LiveKey,
    pub(crate) writer: TrackWriter,
    pub(crate) feed: Arc<Feed>,
    pub(crate) ready: watch::Sender<Ready>,
    /// How many are subscribed.
    pub(crate) interest: watch::Receiver<usize>,
    pub(crate) new_group: Option<u64>,
}

/// One publication of a track, from its start to its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LiveKey {
    pub(crate) name: FullTrackName,
    serial: u64,
}

struct Live {
    serial: u64,
    session: SessionKey,
    feed: Arc<Feed>,
    ready: watch::Receiver<Ready>,
    interest: watch::Sender<usize>,
    /// The creator published it of its own accord.
    pushed: bool,
    closing: bool,
}

struct Entry {
    room: String,
    store: Arc<TrackStore>,
    live: Option<Live>,
    /// Subscriptions by session, and whether that is an edge.
    viewers: HashMap<SessionKey, (usize, bool)>,
}

struct Inner {
    rooms: Rooms,
    namespaces: HashMap<TrackNamespace, (String, Source)>,
    tracks: HashMap<FullTrackName, Entry>,
    sessions: HashMap<SessionKey, Transport>,
    serial: u64,
}

/// Who subscribes.
#[derive(Clone, Copy)]
pub(crate) struct Viewer {
    pub(crate) session: SessionKey,
    pub(crate) edge: bool,
}

/// What a name leads to.
pub(crate) enum Lookup {
    /// The track, or one that was just asked for.
    Found(Attached),
    /// Its last publication is still being cleared away: look again after a change.
    Closing,
    /// Nobody publishes it; in a room that waits for its creator, until when.
    Absent { held_until: Option<Instant> },
    /// It cannot be asked for.
    Refused(ServeError),
}

/// A subscription to a track, counted until it is dropped.
pub(crate) struct Attached {
    pub(crate) feed: Arc<Feed>,
    pub(crate) ready: watch::Receiver<Ready>,
    /// Nobody else is subscribed.
    pub(crate) first: bool,
    _interest: Interest,
}

struct Interest {
    registry: Arc<Registry>,
    live: LiveKey,
    session: SessionKey,
}

impl Drop for Interest {
    fn drop(&mut self) {
        let mut inner = self.registry.inner();
        let Some(entry) = inner.tracks.get_mut(&self.live.name) else {
            return;
        };
        if let Some((count, _)) = entry.viewers.get_mut(&self.session) {
            *count -= 1;
            if *count == 0 {
                entry.viewers.remove(&self.session);
            }
        }
        if let Some(live) = entry.live.as_ref().filter(|live| live.serial == self.live.serial) {
            live.interest.send_modify(|count| *count = count.saturating_sub(1));
        }
        self.registry.bump();
    }
}

/// A track found for FETCH.
pub(crate) struct Fetchable {
    pub(crate) store: Option<Arc<TrackStore>>,
    pub(crate) feed: Option<Arc<Feed>>,
    pub(crate) upstream: Option<Subscriber>,
}

/// Every room, namespace and track of the origin. The lock is held for look-ups
/// only, never while objects flow.
pub(crate) struct Registry {
    inner: Mutex<Inner>,
    changed: watch::Sender<u64>,
    due: Notify,
    store: Arc<Store>,
}

impl Registry {
    pub(crate) fn new(rooms: Rooms, store: Arc<Store>) -> Arc<Self> {
        let inner = Inner {
            rooms,
            namespaces: HashMap::new(),
            tracks: HashMap::new(),
            sessions: HashMap::new(),
            serial: 0,
        };
        let inner = Mutex::new(inner);
        Arc::new(Self { inner, changed: watch::Sender::new(0), due: Notify::new(), store })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bump(&self) {
        self.changed.send_modify(|version| *version = version.wrapping_add(1));
    }

    /// A receiver that wakes at every change of rooms, namespaces, tracks and viewers.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Ends rooms in time, for ever.
    pub(crate) async fn keep_time(&self) {
        loop {
            let next = {
                let mut inner = self.inner();
                let (ended, next) = inner.rooms.poll(Instant::now());
                if !ended.is_empty() {
                    inner.tracks.retain(|_, entry| !ended.contains(&entry.room));
                    self.bump();
                }
                next
            };
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! { () = due => {}, () = self.due.notified() => {} }
        }
    }

    /// A session begins; it may be closed through `transport`.
    pub(crate) fn enter(&self, session: SessionKey, transport: Transport) {
        self.inner().sessions.insert(session, transport);
        self.bump();
    }

    /// A session is over.
    pub(crate) fn leave(&self, session: SessionKey) {
        let mut inner = self.inner();
        inner.sessions.remove(&session);
        inner.rooms.leave(Instant::now(), session);
        inner.remove_publications(session, None);
        drop(inner);
        self.due.notify_one();
        self.bump();
    }

    /// The sessions now served.
    pub(crate) fn sessions(&self) -> Vec<Transport> {
        self.inner().sessions.values().cloned().collect()
    }

    pub(crate) fn session_count(&self) -> usize {
        self.inner().sessions.len()
    }

    /// A creator offers all tracks below a namespace.
    pub(crate) fn publish_namespace(
        self: &Arc<Self>,
        room: &str,
        creator: &Creator,
        namespace: &TrackNamespace,
        source: Source,
    ) -> Result<Publication, Error> {
        let mut inner = self.inner();
        let publication = self.claim(&mut inner, room, creator)?;
        if let Some((other, _)) = inner
            .namespaces
            .get(namespace)
            .filter(|(other, source)| other != room && source.session != creator.session)
        {
            let taken = other.clone();
            drop(inner);
            publication.withdraw(Withdrawal::Said);
            return Err(Error::Duplicate(format!("{namespace} of room {taken:?}")));
        }
        inner.namespaces.insert(namespace.clone(), (room.to_owned(), source));
        Ok(publication.of(Published::Namespace(namespace.clone())))
    }

    /// A creator publishes one track.
    pub(crate) fn publish_track(
        self: &Arc<Self>,
        room: &str,
        creator: &Creator,
        reader: TrackReader,
    ) -> Result<(Publication, Arc<Feed>), Error> {
        let name = full_name(&reader);
        let mut inner = self.inner();
        let publication = self.claim(&mut inner, room, creator)?;
        let taken = inner.tracks.get(&name).is_some_and(|entry| entry.live.is_some());
        let added = if taken {
            Err(Error::Duplicate(format!("{}/{}", name.namespace.to_utf8_path(), name.name)))
        } else {
            let (_, ready) = watch::channel(Ready::Up);
            inner.add_live(&self.store, room, reader, creator.session, ready)
        };
        match added {
            Ok((serial, feed, _)) => {
                let live = LiveKey { name, serial };
                Ok((publication.of(Published::Track(live)), feed))
            }
            Err(err) => {
                drop(inner);
                publication.withdraw(Withdrawal::Said);
                Err(err)
            }
        }
    }

    /// The house itself publishes a track.
    pub(crate) fn open_track(self: &Arc<Self>, room: &str, reader: TrackReader) -> Result<LiveKey, Error> {
        let name = full_name(&reader);
        let mut inner = self.inner();
        if inner.tracks.get(&name).is_some_and(|entry| entry.live.is_some()) {
            return Err(Error::Duplicate(format!("{}/{}", name.namespace.to_utf8_path(), name.name)));
        }
        let (_, ready) = watch::channel(Ready::Up);
        let (serial, feed, _) = inner.add_live(&self.store, room, reader, SessionKey::HOUSE, ready)?;
        if let Some(live) = inner.tracks.get_mut(&name).and_then(|entry| entry.live.as_mut()) {
            // It is asked for by name only.
            live.pushed = false;
        }
        drop(inner);
        tokio::spawn(async move { feed.fill().await });
        self.bump();
        Ok(LiveKey { name, serial })
    }

    fn claim(
        self: &Arc<Self>,
        inner: &mut Inner,
        room: &str,
        creator: &Creator,
    ) -> Result<Publication, Error> {
        let claim = inner.rooms.publish(Instant::now(), room, creator)?;
        if let Claim::TakenFrom(old) = claim {
            inner.remove_publications(old, Some(room));
            if let Some(transport) = inner.sessions.get(&old) {
                let by = creator.name.as_deref().unwrap_or("another creator");
                let reason = format!("room {room:?} was taken over by {by}");
                transport.close(CLOSE_UNAUTHORIZED, &reason);
            }
        }
        self.due.notify_one();
        self.bump();
        Ok(Publication::new(Arc::clone(self), room, creator.session))
    }

    /// Subscribes to a track, asking its creator for it if need be.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        name: &FullTrackName,
        viewer: Viewer,
        new_group: Option<u64>,
    ) -> Lookup {
        let mut inner = self.inner();
        let live = inner.tracks.get(name).and_then(|entry| entry.live.as_ref());
        if live.is_some_and(|live| live.closing || live.feed.reader().is_closed()) {
            return Lookup::Closing;
        }
        if live.is_none() {
            match inner.pull(&self.store, name, new_group) {
                Ok(true) => self.bump(),
                Ok(false) => {
                    let room = room_name(&name.namespace).ok();
                    let found = room.as_ref().and_then(|room| inner.rooms.containing(room));
                    let held_until = found.and_then(|(_, room)| room.held_until());
                    return Lookup::Absent { held_until };
                }
                Err(refused) => return Lookup::Refused(refused),
            }
        }
        let attached = inner.tracks.get_mut(name).and_then(|entry| {
            let live = entry.live.as_ref()?;
            let first = *live.interest.borrow() == 0;
            live.interest.send_modify(|count| *count += 1);
            entry.viewers.entry(viewer.session).or_insert((0, viewer.edge)).0 += 1;
            let live_key = LiveKey { name: name.clone(), serial: live.serial };
            let interest = Interest { registry: Arc::clone(self), live: live_key, session: viewer.session };
            Some(Attached {
                feed: Arc::clone(&live.feed),
                ready: live.ready.clone(),
                first,
                _interest: interest,
            })
        });
        drop(inner);
        self.bump();
        attached.map_or(Lookup::Closing, Lookup::Found)
    }

    /// What is known of a track for FETCH.
    pub(crate) fn fetchable(&self, name: &FullTrackName) -> Fetchable {
        let inner = self.inner();
        let entry = inner.tracks.get(name);
        let live = entry.and_then(|entry| entry.live.as_ref());
        Fetchable {
            store: entry.map(|entry| Arc::clone(&entry.store)),
            feed: live.map(|live| Arc::clone(&live.feed)),
            upstream: inner.source(&name.namespace).map(|(_, source)| source.subscriber.clone()),
        }
    }

    /// Begins the end of a pulled track, unless somebody subscribed meanwhile.
    pub(crate) fn release(&self, key: &LiveKey) -> bool {
        let mut inner = self.inner();
        let live = inner.tracks.get_mut(&key.name).and_then(|entry| entry.live.as_mut());
        match live.filter(|live| live.serial == key.serial) {
            Some(live) if *live.interest.borrow() == 0 => {
                live.closing = true;
                true
            }
            Some(_) => false,
            None => true,
        }
    }

    /// A track's publication is over.
    pub(crate) fn remove_live(&self, key: &LiveKey) {
        self.inner().remove_live(key);
        self.bump();
    }

    /// The namespaces offered below a prefix.
    pub(crate) fn namespaces(&self, prefix: &TrackNamespacePrefix) -> Vec<TrackNamespace> {
        let inner = self.inner();
        let all = inner.namespaces.keys();
        all.filter(|namespace| prefix.is_prefix_of(namespace)).cloned().collect()
    }

    /// The tracks published below a prefix by others than `session`.
    pub(crate) fn published(&self, prefix: &TrackNamespacePrefix, session: SessionKey) -> Vec<LiveKey> {
        let inner = self.inner();
        let below = inner.tracks.iter().filter(|(name, _)| prefix.is_prefix_of(&name.namespace));
        below
            .filter_map(|(name, entry)| Some((name, entry.live.as_ref()?)))
            .filter(|(_, live)| live.pushed && live.session != session && !live.feed.reader().is_closed())
            .map(|(name, live)| LiveKey { name: name.clone(), serial: live.serial })
            .collect()
    }

    /// All rooms, by name.
    pub(crate) fn rooms(&self) -> Vec<RoomView> {
        let inner = self.inner();
        inner.rooms.iter().map(|(name, _)| name).filter_map(|name| inner.view(name)).collect()
    }

    pub(crate) fn room(&self, name: &str) -> Option<RoomView> {
        self.inner().view(name)
    }

    /// Whether there is a show of that name: a room, or what a creator publishes in a part of one.
    pub(crate) fn has_show(&self, name: &str) -> bool {
        let namespace = TrackNamespace::from_utf8_path(name);
        let inner = self.inner();
        inner.view(name).is_some()
            || inner.namespaces.contains_key(&namespace)
            || inner.tracks.iter().any(|(track, entry)| entry.live.is_some() && track.namespace == namespace)
    }
}

impl Inner {
    /// The nearest namespace above or at `namespace` that a creator offers.
    fn source(&self, namespace: &TrackNamespace) -> Option<&(String, Source)> {
        (1..=namespace.fields.len()).rev().find_map(|fields| {
            let above = TrackNamespace { fields: namespace.fields[..fields].to_vec() };
            self.namespaces.get(&above)
        })
    }

    /// Asks the creator for a track. Returns false if nobody offers it.
    fn pull(
        &mut self,
        store: &Arc<Store>,
        name: &FullTrackName,
        new_group: Option<u64>,
    ) -> Result<bool, ServeError> {
        let Some((room, source)) = self.source(&name.namespace).cloned() else {
            return Ok(false);
        };
        let busy = || ServeError::Closed(crate::session::REQUEST_EXCESSIVE_LOAD);
        let permit = match source.pulls.try_reserve() {
            Ok(permit) => permit,
            Err(mpsc::error::TrySendError::Full(())) => return Err(busy()),
            Err(mpsc::error::TrySendError::Closed(())) => return Ok(false),
        };
        let track = Track { namespace: name.namespace.clone(), name: name.name.clone() };
        let (writer, reader) = track.produce();
        let (ready, ready_rx) = watch::channel(Ready::Pending);
        let (serial, feed, interest) =
            self.add_live(store, &room, reader, source.session, ready_rx).map_err(|_| busy())?;
        if let Some(live) = self.tracks.get_mut(name).and_then(|entry| entry.live.as_mut()) {
            live.pushed = false;
        }
        let live = LiveKey { name: name.clone(), serial };
        permit.send(Pull { live, writer, feed, ready, interest, new_group });
        Ok(true)
    }

    fn add_live(
        &mut self,
        store: &Arc<Store>,
        room: &str,
        reader: TrackReader,
        session: SessionKey,
        ready: watch::Receiver<Ready>,
    ) -> Result<(u64, Arc<Feed>, watch::Receiver<usize>), Error> {
        let name = full_name(&reader);
        if !self.tracks.contains_key(&name) {
            let tracks = self.tracks.values().filter(|entry| entry.room == room).count();
            if tracks >= MAX_TRACKS {
                return Err(Error::TooManyTracks { room: room.to_owned(), max: MAX_TRACKS });
            }
        }
        self.serial += 1;
        let serial = self.serial;
        let (interest, interest_rx) = watch::channel(0);
        let entry = self.tracks.entry(name).or_insert_with(|| Entry {
            room: room.to_owned(),
            store: store.track(),
            live: None,
            viewers: HashMap::new(),
        });
        room.clone_into(&mut entry.room);
        let feed = Feed::new(reader, Arc::clone(&entry.store));
        entry.live = Some(Live {
            serial,
            session,
            feed: Arc::clone(&feed),
            ready,
            interest,
            pushed: true,
            closing: false,
        });
        Ok((serial, feed, interest_rx))
    }

    fn remove_live(&mut self, key: &LiveKey) {
        if let Some(entry) = self.tracks.get_mut(&key.name) {
            entry.live.take_if(|live| live.serial == key.serial);
        }
        self.prune();
    }

    /// Forgets tracks of which there is nothing.
    fn prune(&mut self) {
        self.tracks.retain(|_, entry| entry.live.is_some() || entry.store.stats().objects > 0);
    }

    /// Forgets what a session publishes, in one room or in all.
    fn remove_publications(&mut self, session: SessionKey, room: Option<&str>) {
        let hit = |at: &str| room.is_none_or(|room| room == at);
        self.namespaces.retain(|_, (at, source)| !(source.session == session && hit(at)));
        for entry in self.tracks.values_mut() {
            if hit(&entry.room) {
                entry.live.take_if(|live| live.session == session);
            }
        }
        self.prune();
    }
}

fn full_name(track: &Track) -> FullTrackName {
    FullTrackName { namespace: track.namespace.clone(), name: track.name.clone() }
}
