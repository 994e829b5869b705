//! The state that all sessions of a relay share: its tracks, its peers, and the commands between them.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
    task::Waker,
    time::Duration,
};

use moqt::{
    Namespace, Params, Properties, RequestCode, SessionCode, TrackName, message::RequestError,
    session::RequestId,
};
use wire::names;

use super::{
    Config,
    fetch_proxy::{ProxiedFetch, Step},
    interests::Interests,
    quarantine::Quarantine,
    refusals::Refusals,
    track::{State, Track},
};
use crate::{
    Admission, Credentials, Dial, Figures, Guard, PeerId, Platform, Service, budget::Budget, cache::Cache,
};

pub(super) struct Hub {
    pub(super) platform: Rc<dyn Platform>,
    pub(super) figures: Figures,
    pub(super) budget: Rc<Budget>,
    /// The keys that verify clients' tokens.
    pub(super) keys: Option<token::Keys>,
    /// A track that only this node has: an upstream that can serve it leads back to this node.
    pub(super) own_track: Option<TrackName>,
    pub(super) services: Vec<Rc<dyn Service>>,
    pub(super) admission: Option<Rc<dyn Admission>>,
    pub(super) guard: Option<Rc<dyn Guard>>,
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
    pub(super) interests: Interests,
    /// Names that were refused a moment ago.
    pub(super) refusals: Refusals,
    /// Names whose request may have ended a session with the upstream.
    pub(super) quarantine: Quarantine,
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
    /// Set once it has been asked for a track, or has published one.
    is_source: bool,
    /// Set if namespaces that it watches have changed.
    pub(super) namespaces_changed: bool,
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
    /// Subscribe to namespaces, or no longer.
    WatchNamespaces(bool),
    /// Subscribe to all tracks under a prefix, or no longer.
    WatchTracks(Namespace, bool),
    /// The relay is being shut down.
    GoAway(Duration),
    Close(SessionCode, String),
}

impl Command {
    /// Returns whether it makes a request that can be refused.
    pub(super) fn is_request(&self) -> bool {
        matches!(self, Self::Subscribe(..) | Self::Fetch(_) | Self::Status(..))
    }
}

impl Hub {
    pub(super) fn new(platform: Rc<dyn Platform>, figures: Figures, config: Config) -> Self {
        let Config { services, admission, guard, keys, cache, linger, limits } = config;
        Self {
            own_track: own_track(&*platform),
            platform,
            budget: Budget::new(&limits, figures.clone()),
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
            interests: Interests::default(),
            refusals: Refusals::default(),
            quarantine: Quarantine::default(),
            wakers: Vec::new(),
        }
    }

    pub(super) fn enter(&mut self, kind: &Kind) -> PeerId {
        let id = PeerId(self.next_peer);
        self.next_peer += 1;
        let is_client = matches!(kind, Kind::Client(_));
        self.peers.insert(id, Mailbox { is_client, is_source: !is_client, ..Mailbox::default() });
        self.figures.sessions.set(self.peers.len() as i64);
        if matches!(kind, Kind::Upstream) {
            self.upstream = Some(id);
            self.remote.clear();
            self.figures.upstream.set(1);
            let commands = self.interests.begin();
            self.send_upstream(commands);
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
        let was_source = self.peers.remove(&id).is_none_or(|mailbox| mailbox.is_source);
        self.standing.remove(&id);
        if !self.has_clients() {
            for waker in self.wakers.drain(..) {
                waker.wake();
            }
        }
        self.figures.sessions.set(self.peers.len() as i64);
        let commands = self.interests.leave(id);
        self.send_upstream(commands);
        if was_source {
            self.source_leaves(id);
        }
        // Before the orphans are reassigned, since it decides which publishers the admission expects back.
        if let Some(admission) = &self.admission {
            admission.leave(id);
        }
        if was_source {
            self.reassign_orphans();
            self.notify_namespaces();
        }
    }

    /// Removes all that a session publishes, or the upstream. What only watched leaves the other sessions alone.
    fn source_leaves(&mut self, id: PeerId) {
        let published = self.local.iter().filter(|(_, peers)| peers.contains(&id));
        let namespaces: Vec<_> = published.map(|(namespace, _)| namespace.clone()).collect();
        for namespace in namespaces {
            self.withdraw(&namespace, id);
        }
        if self.upstream == Some(id) {
            self.upstream = None;
            self.figures.upstream.set(0);
            self.remote.clear();
        }
        self.drop_source(id);
    }

    /// Marks a session as the source of a track.
    pub(super) fn is_source(&mut self, id: PeerId) {
        if let Some(mailbox) = self.peers.get_mut(&id) {
            mailbox.is_source = true;
        }
    }

    /// Sends commands to the upstream, if there is one.
    pub(super) fn send_upstream(&mut self, commands: Vec<Command>) {
        let Some(upstream) = self.upstream else { return };
        for command in commands {
            self.send(upstream, command);
        }
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

    /// Wakes the sessions that watch namespaces: some have come or gone.
    pub(super) fn notify_namespaces(&mut self) {
        for id in self.interests.in_namespaces() {
            if let Some(mailbox) = self.peers.get_mut(&id) {
                mailbox.namespaces_changed = true;
                if let Some(waker) = mailbox.waker.take() {
                    waker.wake();
                }
            }
        }
    }

    /// Installs a track that a peer has offered and may publish. Subscriptions to an earlier track of that name move to
    /// it.
    pub(super) fn install(&mut self, track: &Rc<RefCell<Track>>, by: PeerId) {
        let name = track.borrow().name.clone();
        track.borrow_mut().install();
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
        self.is_source(by);
        let interested = self.interests.in_tracks(name.namespace());
        let interested: Vec<_> = interested.filter(|peer| *peer != by).collect();
        for peer in interested {
            self.send(peer, Command::Publish(Rc::clone(track), None));
        }
    }

    /// Adds a peer as a publisher of a namespace, once it may be.
    pub(super) fn offer(&mut self, namespace: &Namespace, by: PeerId) {
        let peers = self.local.entry(namespace.clone()).or_default();
        peers.retain(|peer| *peer != by);
        peers.push(by);
        self.is_source(by);
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

    /// Drops a track that was refused, if nobody subscribes to it any more: names that do not exist are made up easily.
    pub(super) fn drop_refused(&mut self, track: &Rc<RefCell<Track>>) {
        let name = {
            let track = track.borrow();
            let is_unused = track.takers == 0 && matches!(track.state, State::Refused(_));
            is_unused.then(|| track.name.clone())
        };
        if let Some(name) = name
            && self.tracks.get(&name).is_some_and(|known| Rc::ptr_eq(known, track))
        {
            self.drop_unused(&name);
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

/// The refusal of a name that may have ended the session with the upstream.
pub(super) fn quarantined() -> RequestError {
    let reason = "the upstream ended its session while this was requested; it is not requested again for one \
                  client alone";
    RequestError::new(RequestCode::EXCESSIVE_LOAD, reason)
}

/// Returns whether an error means that nobody publishes a track, which may change.
pub(super) fn is_absence(error: &RequestError) -> bool {
    matches!(error.code, RequestCode::DOES_NOT_EXIST | RequestCode::TIMEOUT | RequestCode::GOING_AWAY)
}

pub(super) fn absent() -> RequestError {
    RequestError::new(RequestCode::DOES_NOT_EXIST, "nobody publishes that track")
}
