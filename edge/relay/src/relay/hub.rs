//! The state that all sessions of a relay share: its tracks, its peers, and the commands between them.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
    sync::Arc,
    task::Waker,
    time::Duration,
};

use moqt::{
    DoneCode, Namespace, Params, Properties, RequestCode, SessionCode, TrackName, message::RequestError,
    session::RequestId,
};
use wire::names;

use super::{
    Config, Credentials, RESUME,
    fetch_proxy::{ProxiedFetch, Step},
    track::{State, Track},
};
use crate::{Admission, Dial, Figures, Guard, PeerId, Platform, Service, cache::Cache};

pub(super) struct Hub {
    pub(super) platform: Rc<dyn Platform>,
    pub(super) figures: Figures,
    /// A track that only this node has: an upstream that can serve it leads back to this node.
    pub(super) own_track: Option<TrackName>,
    pub(super) services: Vec<Rc<dyn Service>>,
    pub(super) admission: Option<Rc<dyn Admission>>,
    pub(super) guard: Option<Rc<dyn Guard>>,
    pub(super) keys: Option<token::Keys>,
    /// The valid tokens of the clients that presented one.
    pub(super) standing: BTreeMap<PeerId, Rc<[token::Verified]>>,
    pub(super) cache: Rc<Cache>,
    /// The time that a track stays without a taker.
    pub(super) linger: Duration,
    pub(super) tracks: BTreeMap<TrackName, Rc<RefCell<Track>>>,
    pub(super) peers: BTreeMap<PeerId, Mailbox>,
    pub(super) next_peer: u64,
    /// Set if there is, or will be, an upstream for tracks that this node does not have.
    pub(super) has_upstream: bool,
    /// The session with the upstream, while it is connected.
    pub(super) upstream: Option<PeerId>,
    /// The way to the upstream, for the sessions on behalf of creators.
    pub(super) upstream_at: Option<Rc<dyn Dial>>,
    /// Namespaces published to this node, each by one peer or more. The newest is last, and serves the subscriptions.
    pub(super) local: BTreeMap<Namespace, Vec<PeerId>>,
    /// Namespaces that the upstream has announced.
    pub(super) remote: BTreeSet<Namespace>,
    /// Set once a client has subscribed to namespaces, so that the upstream's are needed too.
    pub(super) wants_namespaces: bool,
    /// Subscriptions to tracks under a prefix (SUBSCRIBE_TRACKS).
    pub(super) interests: Vec<(PeerId, RequestId, Namespace)>,
    /// Tasks that wait until the last client has left.
    pub(super) wakers: Vec<Waker>,
}

/// The kind of a session, by the peer at its other end.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// The upstream, for tracks that this node does not have.
    Upstream,
    /// The upstream, for what one creator publishes.
    OnBehalf,
    /// A fan, a creator, or another node.
    Client(Credentials),
}

/// Commands to a session from the other sessions and the relay.
#[derive(Default)]
pub(super) struct Mailbox {
    /// Set for fans, creators and nodes that connected here.
    is_client: bool,
    pub(super) commands: VecDeque<Command>,
    pub(super) waker: Option<Waker>,
}

/// A command to a session. An address `(peer, request)` is the request of the peer that gets the answer.
pub(super) enum Command {
    Subscribe(Rc<RefCell<Track>>, Option<u64>),
    Unsubscribe(Rc<RefCell<Track>>),
    /// Offer a track to the peer. If another peer offered it to this node, that peer's request gets the answer.
    Publish(Rc<RefCell<Track>>, Option<(PeerId, RequestId)>),
    PublishNamespace(Namespace, (PeerId, RequestId)),
    WithdrawNamespace(Namespace),
    Answer(RequestId, Result<(), RequestError>),
    Fetch(Rc<ProxiedFetch>),
    Status(TrackName, (PeerId, RequestId)),
    StatusAnswer(RequestId, Result<Box<(Params, Properties)>, RequestError>),
    WatchNamespaces,
    WatchTracks(Namespace),
    /// The local or remote namespaces have changed.
    NamespacesChanged,
    /// The relay is being shut down.
    GoAway(Duration),
    Close(SessionCode, String),
}

impl Hub {
    pub(super) fn new(platform: Rc<dyn Platform>, figures: Figures, config: Config) -> Self {
        let Config { services, admission, guard, keys, cache, linger } = config;
        Self {
            own_track: own_track(&*platform),
            platform,
            figures,
            services,
            admission,
            guard,
            keys,
            standing: BTreeMap::new(),
            cache: Rc::new(Cache { limits: cache, ..Cache::default() }),
            linger,
            tracks: BTreeMap::new(),
            peers: BTreeMap::new(),
            next_peer: 0,
            has_upstream: false,
            upstream: None,
            upstream_at: None,
            local: BTreeMap::new(),
            remote: BTreeSet::new(),
            wants_namespaces: false,
            interests: Vec::new(),
            wakers: Vec::new(),
        }
    }

    pub(super) fn enter(&mut self, kind: &Kind) -> PeerId {
        let id = PeerId(self.next_peer);
        self.next_peer += 1;
        let is_client = matches!(kind, Kind::Client(_));
        self.peers.insert(id, Mailbox { is_client, ..Mailbox::default() });
        self.figures.sessions.set(self.peers.len() as i64);
        if matches!(kind, Kind::Upstream) {
            self.upstream = Some(id);
            self.remote.clear();
            self.figures.upstream.set(1);
            if self.wants_namespaces {
                self.send(id, Command::WatchNamespaces);
            }
            let prefixes: Vec<_> = self.interests.iter().map(|(_, _, prefix)| prefix.clone()).collect();
            for prefix in prefixes {
                self.send(id, Command::WatchTracks(prefix));
            }
            self.retry_refused();
        }
        id
    }

    pub(super) fn has_clients(&self) -> bool {
        self.peers.values().any(|mailbox| mailbox.is_client)
    }

    /// Sends a command to each client.
    pub(super) fn send_to_clients(&mut self, command: impl Fn() -> Command) {
        let clients: Vec<_> =
            self.peers.iter().filter(|(_, mailbox)| mailbox.is_client).map(|(id, _)| *id).collect();
        for id in clients {
            self.send(id, command());
        }
    }

    /// Sends no more requests to an upstream that is going away. What it sends goes on until it is replaced.
    pub(super) fn upstream_goes_away(&mut self, id: PeerId) {
        if self.upstream == Some(id) {
            self.upstream = None;
            self.figures.upstream.set(0);
        }
    }

    pub(super) fn leave(&mut self, id: PeerId) {
        self.peers.remove(&id);
        self.standing.remove(&id);
        if !self.has_clients() {
            for waker in self.wakers.drain(..) {
                waker.wake();
            }
        }
        self.figures.sessions.set(self.peers.len() as i64);
        self.interests.retain(|(peer, ..)| *peer != id);
        let namespaces: Vec<_> = self.local.keys().cloned().collect();
        for namespace in namespaces {
            self.withdraw(&namespace, id);
        }
        if self.upstream == Some(id) {
            self.upstream = None;
            self.figures.upstream.set(0);
            self.remote.clear();
        }
        self.drop_source(id);
        // Before the orphans are reassigned, since it decides which publishers the admission expects back.
        if let Some(admission) = &self.admission {
            admission.leave(id);
        }
        self.reassign_orphans();
        self.notify_namespaces();
    }

    /// Ends a session by removing its mailbox: the session ends when it is woken and finds none.
    pub(super) fn end_session(&mut self, id: PeerId) {
        if let Some(waker) = self.peers.remove(&id).and_then(|mailbox| mailbox.waker) {
            waker.wake();
        }
    }

    /// Orphans all tracks that come from a session.
    pub(super) fn drop_source(&mut self, id: PeerId) {
        for track in self.tracks.values() {
            let mut track = track.borrow_mut();
            if track.source == Some(id) {
                track.orphaned();
            }
        }
    }

    pub(super) fn send(&mut self, id: PeerId, command: Command) {
        if let Some(mailbox) = self.peers.get_mut(&id) {
            mailbox.commands.push_back(command);
            if let Some(waker) = mailbox.waker.take() {
                waker.wake();
            }
        }
    }

    pub(super) fn notify_namespaces(&mut self) {
        let peers: Vec<_> = self.peers.keys().copied().collect();
        for id in peers {
            self.send(id, Command::NamespacesChanged);
        }
    }

    /// Returns the publisher of a track: the peer with the longest matching namespace, else the upstream. Never `asking`.
    pub(super) fn source(&self, name: &TrackName, asking: PeerId) -> Option<PeerId> {
        let local = self
            .local
            .iter()
            .filter(|(namespace, _)| namespace.is_prefix_of(name.namespace()))
            .filter_map(|(namespace, peers)| {
                let peer = peers.iter().rev().find(|peer| **peer != asking)?;
                Some((namespace.fields().len(), *peer))
            })
            .max_by_key(|(fields, _)| *fields)
            .map(|(_, peer)| peer);
        local.or(self.upstream.filter(|upstream| *upstream != asking))
    }

    /// Creates a track without a source.
    pub(super) fn new_track(&self, name: &TrackName) -> Track {
        let stats =
            self.admission.as_ref().map_or_else(|| Ok(Arc::default()), |admission| admission.stats(name));
        let stats = stats.unwrap_or_default();
        Track::new(name.clone(), self.figures.clone(), Rc::clone(&self.cache), stats)
    }

    /// Returns whether the admission expects a publisher for a track that has none now.
    pub(super) fn expects(&self, name: &TrackName) -> bool {
        self.admission.as_ref().is_some_and(|admission| admission.expects(name))
    }

    /// Returns the track of that name, or a new one if there is none or it is over.
    pub(super) fn get_or_create(&mut self, name: &TrackName) -> Rc<RefCell<Track>> {
        if let Some(track) = self.tracks.get(name).filter(|track| !track.borrow().is_over()) {
            return Rc::clone(track);
        }
        let track = Rc::new(RefCell::new(self.new_track(name)));
        self.tracks.insert(name.clone(), Rc::clone(&track));
        self.figures.tracks.set(self.tracks.len() as i64);
        track
    }

    /// Returns the track of that name, and requests it from a publisher or the upstream if it has no source.
    pub(super) fn get_or_request(
        &mut self,
        name: &TrackName,
        asking: PeerId,
        from_upstream: bool,
        patience: Option<u64>,
    ) -> Rc<RefCell<Track>> {
        let track = self.get_or_create(name);
        {
            let mut track = track.borrow_mut();
            track.patience = track.patience.max(patience);
        }
        // Our upstream is asking us for a track that we asked it for: a loop. Take our request back; if no local peer
        // publishes the track, it does not exist.
        let upstream =
            self.upstream.filter(|upstream| from_upstream && track.borrow().source == Some(*upstream));
        if let Some(upstream) = upstream {
            self.send(upstream, Command::Unsubscribe(Rc::clone(&track)));
            track.borrow_mut().source = None;
        }
        if track.borrow().source.is_some() {
            return track;
        }
        track.borrow_mut().reopen();
        let source =
            self.source(name, asking).filter(|source| !(from_upstream && self.upstream == Some(*source)));
        match source {
            Some(source) => {
                track.borrow_mut().requested_from(source);
                self.send(source, Command::Subscribe(Rc::clone(&track), patience));
            }
            // The track waits until the upstream or its publisher is back.
            None if (self.has_upstream && !from_upstream) || self.expects(name) => {}
            None if track.borrow().is_live() => {
                track.borrow_mut().set(State::Ended(DoneCode::TRACK_ENDED));
            }
            None => track.borrow_mut().set(State::Refused(absent())),
        }
        track
    }

    /// Returns the track of that name, and requests it from one session only: it belongs to that session's client.
    pub(super) fn get_or_request_from(&mut self, source: PeerId, name: &TrackName) -> Rc<RefCell<Track>> {
        let track = self.get_or_create(name);
        if track.borrow().source.is_none() {
            track.borrow_mut().reopen();
            track.borrow_mut().requested_from(source);
            self.send(source, Command::Subscribe(Rc::clone(&track), None));
        }
        track
    }

    /// Requests refused and orphaned tracks again: a new peer may have them.
    pub(super) fn retry_refused(&mut self) {
        for track in self.tracks.values().filter(|track| track.borrow().source.is_none()) {
            track.borrow_mut().reopen();
        }
        self.reassign_orphans();
    }

    /// Finds publishers for tracks that have lost theirs, or found none yet.
    pub(super) fn reassign_orphans(&mut self) {
        let orphans: Vec<_> = self
            .tracks
            .values()
            .filter(|track| {
                let track = track.borrow();
                track.source.is_none() && matches!(track.state, State::Pending | State::Live)
            })
            .cloned()
            .collect();
        for track in orphans {
            let name = track.borrow().name.clone();
            match self.source(&name, PeerId(u64::MAX)) {
                Some(source) => {
                    track.borrow_mut().requested_from(source);
                    let resume = track.borrow().is_live().then(|| RESUME.as_millis());
                    let patience = track.borrow().patience.max(resume);
                    self.send(source, Command::Subscribe(track, patience));
                }
                // No peer is left that could have the track.
                None if !self.has_upstream && track.borrow().is_live() && !self.expects(&name) => {
                    track.borrow_mut().set(State::Ended(DoneCode::TRACK_ENDED));
                }
                None => {}
            }
        }
    }

    /// Installs a track that a peer has offered and may publish. Subscriptions to an earlier track of that name move to
    /// it.
    pub(super) fn install(&mut self, track: &Rc<RefCell<Track>>, by: PeerId) {
        let name = track.borrow().name.clone();
        if let Some(before) = self.tracks.insert(name.clone(), Rc::clone(track)) {
            if Rc::ptr_eq(&before, track) {
                return;
            }
            let source = before.borrow_mut().source.take();
            if let Some(source) = source.filter(|source| *source != by) {
                self.send(source, Command::Unsubscribe(Rc::clone(&before)));
            }
            let mut before = before.borrow_mut();
            before.successor = Some(Rc::clone(track));
            before.wake();
        }
        self.figures.tracks.set(self.tracks.len() as i64);
        let interested: Vec<_> = self
            .interests
            .iter()
            .filter(|(peer, _, prefix)| *peer != by && prefix.is_prefix_of(name.namespace()))
            .map(|(peer, ..)| *peer)
            .collect();
        for peer in interested {
            self.send(peer, Command::Publish(Rc::clone(track), None));
        }
    }

    /// Adds a peer as a publisher of a namespace, once it may be.
    pub(super) fn offer(&mut self, namespace: &Namespace, by: PeerId) {
        let peers = self.local.entry(namespace.clone()).or_default();
        peers.retain(|peer| *peer != by);
        peers.push(by);
        self.retry_refused();
        self.notify_namespaces();
    }

    /// Removes a peer from the publishers of a namespace.
    pub(super) fn withdraw(&mut self, namespace: &Namespace, by: PeerId) {
        if let Some(peers) = self.local.get_mut(namespace) {
            peers.retain(|peer| *peer != by);
            if peers.is_empty() {
                self.local.remove(namespace);
            }
        }
    }

    /// Returns the suffixes of all namespaces under a prefix, local and remote.
    pub(super) fn namespaces(&self, prefix: &Namespace) -> BTreeSet<Namespace> {
        self.local.keys().chain(&self.remote).filter_map(|namespace| namespace.strip_prefix(prefix)).collect()
    }

    pub(super) fn drop_unused(&mut self, name: &TrackName) {
        let Some(track) = self.tracks.get(name) else { return };
        let source = track.borrow().source;
        let may_go_on = matches!(track.borrow().state, State::Pending | State::Live);
        if source.is_none() && may_go_on && self.expects(name) {
            return;
        }
        // A track that a local creator offers is ended by that creator alone.
        let is_offered = source.is_some() && source != self.upstream && track.borrow().is_offered();
        if !is_offered && let Some(track) = self.tracks.remove(name) {
            self.figures.tracks.set(self.tracks.len() as i64);
            track.borrow_mut().orphaned();
            if let Some(admission) = &self.admission {
                admission.dropped(name);
            }
            if let Some(source) = source {
                self.send(source, Command::Unsubscribe(track));
            }
        }
    }

    /// Orphans the tracks of a session on behalf of a creator, and has its next session repeat its publications.
    pub(super) fn publish_again(&mut self, id: PeerId, publications: Vec<Command>) {
        self.drop_source(id);
        let Some(mailbox) = self.peers.get_mut(&id) else { return };
        for command in publications.into_iter().rev() {
            mailbox.commands.push_front(command);
        }
    }

    /// Refuses all waiting commands of a session on behalf of a creator: the upstream cannot be reached.
    pub(super) fn unreachable(&mut self, id: PeerId, error: &str) {
        let commands = self.peers.get_mut(&id).map(|mailbox| std::mem::take(&mut mailbox.commands));
        for command in commands.into_iter().flatten() {
            self.refuse(command, error);
        }
    }

    pub(super) fn refuse(&mut self, command: Command, why: &str) {
        let error = RequestError::new(RequestCode::INTERNAL_ERROR, why);
        match command {
            Command::Publish(_, Some((peer, request))) | Command::PublishNamespace(_, (peer, request)) => {
                self.send(peer, Command::Answer(request, Err(error)));
            }
            Command::Fetch(fetch) => {
                fetch.push(Step::Error(error));
            }
            Command::Status(_, (peer, request)) => {
                self.send(peer, Command::StatusAnswer(request, Err(error)));
            }
            Command::Subscribe(track, _) => track.borrow_mut().set(State::Refused(error)),
            _ => {}
        }
    }
}

/// Returns the name of the track that only this node has. Without randomness there is none, and no loop is detected.
pub(super) fn own_track(platform: &dyn Platform) -> Option<TrackName> {
    let id = u128::from_be_bytes(platform.random().ok()?);
    let namespace = Namespace::new([names::NODE.to_owned(), format!("{id:032x}")]).ok()?;
    TrackName::new(namespace, names::SELF).ok()
}

pub(super) fn absent() -> RequestError {
    RequestError::new(RequestCode::DOES_NOT_EXIST, "nobody publishes that track")
}
