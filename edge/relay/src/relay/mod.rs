//! The relay: one node's tracks, between their publishers and their subscribers.
//!
//! A [`Relay`] lives in one thread: sessions and tracks use it without a lock. A session's task, whenever it is woken,
//! reads what is new in the tracks that its peer subscribed to and writes it at the peer's pace. A slow peer therefore
//! delays no other, and its old groups are reset rather than queued.

mod fetch;
mod fetch_proxy;
mod incoming;
mod publication;
mod session;
mod subscription;
mod track;

pub use fetch_proxy::FETCH_BACKLOG;
pub use publication::Publication;
pub use subscription::{FAN_BACKLOG, FAN_LAG};

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use moqt::{
    App, Connected, Cx, DoneCode, Ended, Event, Micros, Namespace, Params, Properties, RequestCode,
    SessionCode, Token, TrackName, message::RequestError, session::RequestId,
};

use crate::{Admission, CacheLimits, Dial, Figures, PeerId, Platform, Service, cache::Cache, platform::wait};
use fetch_proxy::{ProxiedFetch, Step};
use session::{Kind, Session};
use timing::Backoff;
use track::{State, Track};
use wire::names;

/// The time that the upstream may wait for the publisher of a track that was live: after a restart of the origin, a
/// creator may reconnect later than the edges do.
const RESUME: Micros = Micros::from_millis(15_000);

/// The time that a track without a subscription is kept.
pub const LINGER: Micros = Micros::from_millis(5_000);

/// The name by which a relay introduces itself to its upstream.
pub const IMPLEMENTATION: &str = concat!("fanfare-edge/", env!("CARGO_PKG_VERSION"));

/// The node itself, as the source of the tracks that it publishes without a session.
const NODE: PeerId = PeerId(u64::MAX - 1);

/// A node's tracks and sessions. A clone is the same relay.
#[derive(Clone)]
pub struct Relay(Rc<RefCell<Hub>>);

struct Hub {
    platform: Rc<dyn Platform>,
    figures: Figures,
    /// A track that only this node has: an upstream that can serve it leads back to this node.
    own_track: Option<TrackName>,
    services: Vec<Rc<dyn Service>>,
    admission: Option<Rc<dyn Admission>>,
    cache: Rc<Cache>,
    /// The time that a track stays without a taker.
    linger: Duration,
    tracks: BTreeMap<TrackName, Rc<RefCell<Track>>>,
    peers: BTreeMap<PeerId, Mailbox>,
    next_peer: u64,
    /// Set if there is, or will be, an upstream for tracks that this node does not have.
    has_upstream: bool,
    /// The session with the upstream, while it is connected.
    upstream: Option<PeerId>,
    /// The way to the upstream, for the sessions on behalf of creators.
    upstream_at: Option<Rc<dyn Dial>>,
    /// Namespaces published to this node, each by one peer or more. The newest is last, and serves the subscriptions.
    local: BTreeMap<Namespace, Vec<PeerId>>,
    /// Namespaces that the upstream has announced.
    remote: BTreeSet<Namespace>,
    /// Set once a client has subscribed to namespaces, so that the upstream's are needed too.
    wants_namespaces: bool,
    /// Subscriptions to tracks under a prefix (SUBSCRIBE_TRACKS).
    interests: Vec<(PeerId, RequestId, Namespace)>,
    /// Tasks that wait until the last client has left.
    wakers: Vec<Waker>,
}

/// Commands to a session from the other sessions and the relay.
#[derive(Default)]
struct Mailbox {
    commands: VecDeque<Command>,
    waker: Option<Waker>,
}

/// A command to a session. An address `(peer, request)` is the request of the peer that gets the answer.
enum Command {
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

/// The credentials that a client presented, which its upstream session presents on its behalf.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The query of the URL that it connected to.
    pub query: Option<String>,
    /// The tokens of its SETUP.
    pub tokens: Vec<Token>,
}

/// The configuration of a relay. By default it is an edge's, without services.
#[derive(Clone)]
pub struct Config {
    /// The services for clients beside tracks. An event goes to the first that takes it.
    pub services: Vec<Rc<dyn Service>>,
    /// The rules for clients. Without them, clients may do everything, or what the upstream allows.
    pub admission: Option<Rc<dyn Admission>>,
    /// The bounds of the groups that it keeps.
    pub cache: CacheLimits,
    /// The time that a track stays without a subscriber.
    pub linger: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            services: Vec::new(),
            admission: None,
            cache: CacheLimits::default(),
            linger: Duration::from_micros(LINGER.0),
        }
    }
}

impl Credentials {
    /// Returns the JSON Web Tokens: those of the query, then those of SETUP.
    pub fn jwts(&self) -> Vec<Cow<'_, str>> {
        let in_setup = self.tokens.iter().filter_map(|token| match token {
            Token::UseValue { value, .. } | Token::Register { value, .. } => {
                String::from_utf8(value.to_vec()).ok()
            }
            Token::Delete { .. } | Token::UseAlias { .. } => None,
        });
        let in_query = form_urlencoded::parse(self.query.as_deref().unwrap_or_default().as_bytes());
        let in_query = in_query.filter(|(key, _)| key == "jwt").map(|(_, value)| value);
        in_query.chain(in_setup.map(Into::into)).collect()
    }
}

impl Relay {
    /// Creates a relay without an upstream: a track that is not published to it does not exist. Its clients may use
    /// the services.
    pub fn new(platform: Rc<dyn Platform>, figures: Figures, config: Config) -> Self {
        let Config { services, admission, cache, linger } = config;
        Self(Rc::new(RefCell::new(Hub {
            own_track: own_track(&*platform),
            platform,
            figures,
            services,
            admission,
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
        })))
    }

    /// Returns the relay's metrics, sharing their values.
    pub fn figures(&self) -> Figures {
        self.0.borrow().figures.clone()
    }

    fn platform(&self) -> Rc<dyn Platform> {
        Rc::clone(&self.0.borrow().platform)
    }

    /// Announces an upstream: subscriptions to tracks that are not here wait for it.
    pub fn expect_upstream(&self) {
        self.0.borrow_mut().has_upstream = true;
    }

    /// Connects to an upstream, again and again, until the relay is dropped.
    pub async fn follow(&self, upstream: Rc<dyn Dial>) {
        {
            let mut hub = self.0.borrow_mut();
            hub.has_upstream = true;
            hub.upstream_at = Some(Rc::clone(&upstream));
        }
        let (platform, url) = (self.platform(), upstream.name());
        let mut backoff = Backoff::default();
        loop {
            let started = platform.now();
            match upstream.dial(None).await {
                Ok(connection) => {
                    tracing::info!(url, "connected upstream");
                    let ended = self.run(connection, Kind::Upstream).await;
                    tracing::warn!(url, ?ended, "lost the upstream");
                }
                Err(error) => tracing::warn!(url, %error, "no upstream"),
            }
            wait(&*platform, &mut backoff, started).await;
        }
    }

    /// Starts the session of a client. The caller runs it until it ends.
    pub fn enter(&self, credentials: Credentials) -> RelaySession {
        self.enter_as(Kind::Client(credentials))
    }

    /// Sends GOAWAY to all clients. They have to leave `within` that time.
    pub fn drain(&self, within: Duration) {
        let mut hub = self.0.borrow_mut();
        let peers: Vec<_> = hub.peers.keys().copied().filter(|id| Some(*id) != hub.upstream).collect();
        for id in peers {
            hub.send(id, Command::GoAway(within));
        }
    }

    /// Closes the sessions of all clients.
    pub fn close_all(&self, reason: &str) {
        let mut hub = self.0.borrow_mut();
        let peers: Vec<_> = hub.peers.keys().copied().filter(|id| Some(*id) != hub.upstream).collect();
        for id in peers {
            hub.send(id, Command::Close(SessionCode::NO_ERROR, reason.to_owned()));
        }
    }

    /// Ends the tracks below a namespace that have no publisher now, and drops their kept groups: the publisher is no
    /// longer [expected](Admission::expects).
    pub fn release(&self, namespace: &Namespace) {
        let mut hub = self.0.borrow_mut();
        let over: Vec<_> = hub
            .tracks
            .iter()
            .filter(|(name, track)| {
                namespace.is_prefix_of(name.namespace())
                    && (track.borrow().source.is_none() || track.borrow().is_over())
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in over {
            let Some(track) = hub.tracks.remove(&name) else { continue };
            let mut track = track.borrow_mut();
            match track.state {
                State::Live => track.set(State::Ended(DoneCode::TRACK_ENDED)),
                State::Pending => track.set(State::Refused(absent())),
                State::Refused(_) | State::Ended(_) => {}
            }
        }
        hub.figures.tracks.set(hub.tracks.len() as i64);
    }

    /// Resolves once no client is left.
    pub async fn emptied(&self) {
        poll_fn(|task| {
            let mut hub = self.0.borrow_mut();
            if hub.has_clients() {
                hub.wakers.push(task.waker().clone());
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }

    /// Drops tracks that have had no subscription for the linger time of the configuration. To be run beside the sessions.
    pub async fn housekeep(&self) {
        let mut idle: BTreeSet<TrackName> = BTreeSet::new();
        let platform = self.platform();
        loop {
            let linger = self.0.borrow().linger;
            platform.sleep(linger).await;
            let mut hub = self.0.borrow_mut();
            let unused: BTreeSet<TrackName> = hub
                .tracks
                .iter()
                .filter(|(_, track)| track.borrow().takers == 0)
                .map(|(name, _)| name.clone())
                .collect();
            for name in unused.intersection(&idle) {
                hub.drop_unused(name);
            }
            idle = unused;
        }
    }

    async fn run(&self, mut connection: Box<dyn Connected>, kind: Kind) -> Option<Ended> {
        connection.config().setup.implementation = Some(IMPLEMENTATION.into());
        let mut session = self.enter_as(kind);
        connection.run(&mut session).await.ok()
    }

    fn enter_as(&self, kind: Kind) -> RelaySession {
        let id = self.0.borrow_mut().enter(&kind);
        RelaySession { relay: self.clone(), id, session: Some(Session::new(self.clone(), id, kind)) }
    }

    /// Opens a session upstream on behalf of a creator, with the creator's credentials.
    fn open_on_behalf(&self, credentials: Credentials) -> PeerId {
        let (id, upstream) = {
            let mut hub = self.0.borrow_mut();
            let id = hub.enter(&Kind::OnBehalf);
            (id, hub.upstream_at.clone())
        };
        let relay = self.clone();
        self.platform().spawn(Box::pin(async move {
            if let Some(upstream) = upstream {
                relay.publish_for(id, &credentials, &*upstream).await;
            }
            relay.0.borrow_mut().leave(id);
        }));
        id
    }

    /// Publishes upstream what a creator publishes here, until the creator leaves. After the first connection, it
    /// reconnects and publishes again; if the first fails, the creator gets the error.
    async fn publish_for(&self, id: PeerId, credentials: &Credentials, upstream: &dyn Dial) {
        let platform = self.platform();
        let mut has_connected = false;
        let mut backoff = Backoff::default();
        while self.0.borrow().peers.contains_key(&id) {
            let started = platform.now();
            match upstream.dial(Some(credentials)).await {
                Ok(mut connection) => {
                    has_connected = true;
                    let setup = &mut connection.config().setup;
                    setup.implementation = Some(IMPLEMENTATION.into());
                    setup.tokens.clone_from(&credentials.tokens);
                    let mut peer = Session::new(self.clone(), id, Kind::OnBehalf);
                    let Ok(ended) = connection.run(&mut peer).await else {
                        return;
                    };
                    if ended.code == SessionCode::UNAUTHORIZED {
                        return peer.refuse_all(&ended.reason, true);
                    }
                    let publications = peer.take_publications();
                    let mut hub = self.0.borrow_mut();
                    hub.drop_source(id);
                    let Some(mailbox) = hub.peers.get_mut(&id) else { return };
                    for command in publications.into_iter().rev() {
                        mailbox.commands.push_front(command);
                    }
                }
                Err(error) if !has_connected => {
                    return self.0.borrow_mut().unreachable(id, &error.to_string());
                }
                Err(error) => tracing::warn!(url = upstream.name(), %error, "no upstream for a creator"),
            }
            wait(&*platform, &mut backoff, started).await;
        }
    }
}

/// A session of the relay, as the [`App`] that a connection runs. Dropping it removes the peer from the relay.
pub struct RelaySession {
    relay: Relay,
    id: PeerId,
    session: Option<Session>,
}

impl App for RelaySession {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        if let Some(session) = &mut self.session {
            session.event(cx, event);
        }
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> Poll<()> {
        self.session.as_mut().map_or(Poll::Ready(()), |session| session.poll(task, cx))
    }
}

impl Drop for RelaySession {
    fn drop(&mut self) {
        drop(self.session.take());
        self.relay.0.borrow_mut().leave(self.id);
    }
}

impl Hub {
    fn enter(&mut self, kind: &Kind) -> PeerId {
        let id = PeerId(self.next_peer);
        self.next_peer += 1;
        self.peers.insert(id, Mailbox::default());
        self.figures.sessions.set(self.peers.len() as i64);
        if matches!(kind, Kind::Upstream) {
            self.upstream = Some(id);
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

    fn has_clients(&self) -> bool {
        self.peers.keys().any(|id| Some(*id) != self.upstream)
    }

    fn leave(&mut self, id: PeerId) {
        self.peers.remove(&id);
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
    fn end_session(&mut self, id: PeerId) {
        if let Some(waker) = self.peers.remove(&id).and_then(|mailbox| mailbox.waker) {
            waker.wake();
        }
    }

    /// Orphans all tracks that come from a session.
    fn drop_source(&mut self, id: PeerId) {
        for track in self.tracks.values() {
            let mut track = track.borrow_mut();
            if track.source == Some(id) {
                track.orphaned();
            }
        }
    }

    fn send(&mut self, id: PeerId, command: Command) {
        if let Some(mailbox) = self.peers.get_mut(&id) {
            mailbox.commands.push_back(command);
            if let Some(waker) = mailbox.waker.take() {
                waker.wake();
            }
        }
    }

    fn notify_namespaces(&mut self) {
        let peers: Vec<_> = self.peers.keys().copied().collect();
        for id in peers {
            self.send(id, Command::NamespacesChanged);
        }
    }

    /// Returns the publisher of a track: the peer with the longest matching namespace, else the upstream. Never `asking`.
    fn source(&self, name: &TrackName, asking: PeerId) -> Option<PeerId> {
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
    fn new_track(&self, name: &TrackName) -> Track {
        let stats =
            self.admission.as_ref().map_or_else(|| Ok(Arc::default()), |admission| admission.stats(name));
        let stats = stats.unwrap_or_default();
        Track::new(name.clone(), self.figures.clone(), Rc::clone(&self.cache), stats)
    }

    /// Returns whether the admission expects a publisher for a track that has none now.
    fn expects(&self, name: &TrackName) -> bool {
        self.admission.as_ref().is_some_and(|admission| admission.expects(name))
    }

    /// Returns the track of that name, or a new one if there is none or it is over.
    fn get_or_create(&mut self, name: &TrackName) -> Rc<RefCell<Track>> {
        if let Some(track) = self.tracks.get(name).filter(|track| !track.borrow().is_over()) {
            return Rc::clone(track);
        }
        let track = Rc::new(RefCell::new(self.new_track(name)));
        self.tracks.insert(name.clone(), Rc::clone(&track));
        self.figures.tracks.set(self.tracks.len() as i64);
        track
    }

    /// Returns the track of that name, and requests it from a publisher or the upstream if it has no source.
    fn get_or_request(
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
    fn get_or_request_from(&mut self, source: PeerId, name: &TrackName) -> Rc<RefCell<Track>> {
        let track = self.get_or_create(name);
        if track.borrow().source.is_none() {
            track.borrow_mut().reopen();
            track.borrow_mut().requested_from(source);
            self.send(source, Command::Subscribe(Rc::clone(&track), None));
        }
        track
    }

    /// Requests refused and orphaned tracks again: a new peer may have them.
    fn retry_refused(&mut self) {
        for track in self.tracks.values().filter(|track| track.borrow().source.is_none()) {
            track.borrow_mut().reopen();
        }
        self.reassign_orphans();
    }

    /// Finds publishers for tracks that have lost theirs, or found none yet.
    fn reassign_orphans(&mut self) {
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
    fn install(&mut self, track: &Rc<RefCell<Track>>, by: PeerId) {
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
    fn offer(&mut self, namespace: &Namespace, by: PeerId) {
        let peers = self.local.entry(namespace.clone()).or_default();
        peers.retain(|peer| *peer != by);
        peers.push(by);
        self.retry_refused();
        self.notify_namespaces();
    }

    /// Removes a peer from the publishers of a namespace.
    fn withdraw(&mut self, namespace: &Namespace, by: PeerId) {
        if let Some(peers) = self.local.get_mut(namespace) {
            peers.retain(|peer| *peer != by);
            if peers.is_empty() {
                self.local.remove(namespace);
            }
        }
    }

    /// Returns the suffixes of all namespaces under a prefix, local and remote.
    fn namespaces(&self, prefix: &Namespace) -> BTreeSet<Namespace> {
        self.local.keys().chain(&self.remote).filter_map(|namespace| namespace.strip_prefix(prefix)).collect()
    }

    fn drop_unused(&mut self, name: &TrackName) {
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

    /// Refuses all waiting commands of a session on behalf of a creator: the upstream cannot be reached.
    fn unreachable(&mut self, id: PeerId, error: &str) {
        let commands = self.peers.get_mut(&id).map(|mailbox| std::mem::take(&mut mailbox.commands));
        for command in commands.into_iter().flatten() {
            self.refuse(command, error);
        }
    }

    fn refuse(&mut self, command: Command, why: &str) {
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
fn own_track(platform: &dyn Platform) -> Option<TrackName> {
    let id = u128::from_be_bytes(platform.random().ok()?);
    let namespace = Namespace::new([names::NODE.to_owned(), format!("{id:032x}")]).ok()?;
    TrackName::new(namespace, names::SELF).ok()
}

fn absent() -> RequestError {
    RequestError::new(RequestCode::DOES_NOT_EXIST, "nobody publishes that track")
}
