//! A relay: one node's share of the tracks, between who publishes and who watches.
//!
//! All of a [`Relay`] lives in one thread: sessions and tracks share it without a
//! lock. A session's task takes what is new in the tracks that its peer subscribed
//! to whenever it is woken, and writes it at its own pace; so a slow peer holds up
//! nobody, and its old groups are broken off rather than queued.

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

/// How long the upstream may look for the publisher of a track that was live: a creator
/// comes back to an origin that was restarted no sooner than its edges do.
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
    /// The track that only this node has: an upstream that knows it leads back here.
    own_track: Option<TrackName>,
    services: Vec<Rc<dyn Service>>,
    admission: Option<Rc<dyn Admission>>,
    cache: Rc<Cache>,
    /// The time that a track stays without a taker.
    linger: Duration,
    tracks: BTreeMap<TrackName, Rc<RefCell<Track>>>,
    peers: BTreeMap<PeerId, Mailbox>,
    next_peer: u64,
    /// Whether there is somebody to ask for what is not here.
    has_upstream: bool,
    upstream: Option<PeerId>,
    upstream_at: Option<Rc<dyn Dial>>,
    /// Namespaces published to this node, each by one peer or more: the newest is last, and is asked.
    local: BTreeMap<Namespace, Vec<PeerId>>,
    /// Namespaces that the upstream knows of.
    remote: BTreeSet<Namespace>,
    wants_namespaces: bool,
    /// Who wants to be offered tracks under a prefix.
    interests: Vec<(PeerId, RequestId, Namespace)>,
    /// Tasks that wait until no client is left.
    wakers: Vec<Waker>,
}

/// What a session is told by the others.
#[derive(Default)]
struct Mailbox {
    commands: VecDeque<Command>,
    waker: Option<Waker>,
}

enum Command {
    Subscribe(Rc<RefCell<Track>>, Option<u64>),
    Unsubscribe(Rc<RefCell<Track>>),
    /// Offer a track; and if it was offered to this node, tell who did of the answer.
    Publish(Rc<RefCell<Track>>, Option<(PeerId, RequestId)>),
    PublishNamespace(Namespace, (PeerId, RequestId)),
    WithdrawNamespace(Namespace),
    Answer(RequestId, Result<(), RequestError>),
    Fetch(Rc<ProxiedFetch>),
    Status(TrackName, (PeerId, RequestId)),
    StatusAnswer(RequestId, Result<Box<(Params, Properties)>, RequestError>),
    WatchNamespaces,
    WatchTracks(Namespace),
    /// The namespaces that are known have changed.
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
    /// The JSON Web Tokens among them: the query's, then SETUP's.
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

    /// What it counts.
    pub fn figures(&self) -> Figures {
        self.0.borrow().figures.clone()
    }

    fn platform(&self) -> Rc<dyn Platform> {
        Rc::clone(&self.0.borrow().platform)
    }

    /// There will be an upstream: who asks for what is not here waits for it.
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

    /// A client comes: what its session is to be driven with, until it ends.
    pub fn enter(&self, credentials: Credentials) -> RelaySession {
        self.enter_as(Kind::Client(credentials))
    }

    /// Asks all clients to leave, and gives them so long to do it.
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

    /// Ends the tracks below a namespace that nobody publishes now, and drops what is kept of them: their publisher is
    /// no longer [expected](Admission::expects).
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

    /// Lets go of tracks that nobody has taken from for [`LINGER`]. To be run beside
    /// the sessions.
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

    /// Opens a session upstream on behalf of a creator, with what it said of itself.
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

    /// Says upstream what a creator publishes, for as long as the creator is there. Once it
    /// has been heard, it is said again to an upstream that comes back.
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

/// What a session of the relay's is driven with. Whoever is at its other end has left when this is dropped.
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
        // From here on it knows which publishers are to come back.
        if let Some(admission) = &self.admission {
            admission.leave(id);
        }
        self.reassign_orphans();
        self.notify_namespaces();
    }

    /// Has a session end by itself: it finds its mailbox gone when it is woken.
    fn end_session(&mut self, id: PeerId) {
        if let Some(waker) = self.peers.remove(&id).and_then(|mailbox| mailbox.waker) {
            waker.wake();
        }
    }

    /// A session gives nothing any more.
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

    /// Who publishes a track, of those who are not asking for it.
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

    /// Whether a publisher is expected for a track that nobody publishes now.
    fn expects(&self, name: &TrackName) -> bool {
        self.admission.as_ref().is_some_and(|admission| admission.expects(name))
    }

    /// The track of that name; a new one, if there was none or it is over.
    fn get_or_create(&mut self, name: &TrackName) -> Rc<RefCell<Track>> {
        if let Some(track) = self.tracks.get(name).filter(|track| !track.borrow().is_over()) {
            return Rc::clone(track);
        }
        let track = Rc::new(RefCell::new(self.new_track(name)));
        self.tracks.insert(name.clone(), Rc::clone(&track));
        self.figures.tracks.set(self.tracks.len() as i64);
        track
    }

    /// The track of that name, asked for if it is not here.
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
        // Asked back for what we asked for ourselves: somebody here has it, or nobody.
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
            // It waits until the upstream is back, or its publisher.
            None if (self.has_upstream && !from_upstream) || self.expects(name) => {}
            None if track.borrow().is_live() => {
                track.borrow_mut().set(State::Ended(DoneCode::TRACK_ENDED));
            }
            None => track.borrow_mut().set(State::Refused(absent())),
        }
        track
    }

    /// The track of that name, asked of one session only: it belongs to that session's client.
    fn get_or_request_from(&mut self, source: PeerId, name: &TrackName) -> Rc<RefCell<Track>> {
        let track = self.get_or_create(name);
        if track.borrow().source.is_none() {
            track.borrow_mut().reopen();
            track.borrow_mut().requested_from(source);
            self.send(source, Command::Subscribe(Rc::clone(&track), None));
        }
        track
    }

    /// Somebody came who may have what others have refused.
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
                // Nobody is left who could have it.
                None if !self.has_upstream && track.borrow().is_live() && !self.expects(&name) => {
                    track.borrow_mut().set(State::Ended(DoneCode::TRACK_ENDED));
                }
                None => {}
            }
        }
    }

    /// A peer publishes a track of its own accord, and may: whoever takes what another published
    /// under that name goes on with this.
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

    /// A peer has tracks in a namespace, and may.
    fn offer(&mut self, namespace: &Namespace, by: PeerId) {
        let peers = self.local.entry(namespace.clone()).or_default();
        peers.retain(|peer| *peer != by);
        peers.push(by);
        self.retry_refused();
        self.notify_namespaces();
    }

    /// A peer has none in that namespace any more.
    fn withdraw(&mut self, namespace: &Namespace, by: PeerId) {
        if let Some(peers) = self.local.get_mut(namespace) {
            peers.retain(|peer| *peer != by);
            if peers.is_empty() {
                self.local.remove(namespace);
            }
        }
    }

    /// Namespaces under a prefix.
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
        // What a creator here offers is its to end.
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

    /// The upstream cannot be reached on a creator's behalf: so it is told.
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

/// Names the track that only this node has. Without randomness it has none, and finds no loop.
fn own_track(platform: &dyn Platform) -> Option<TrackName> {
    let id = u128::from_be_bytes(platform.random().ok()?);
    let namespace = Namespace::new([names::NODE.to_owned(), format!("{id:032x}")]).ok()?;
    TrackName::new(namespace, names::SELF).ok()
}

fn absent() -> RequestError {
    RequestError::new(RequestCode::DOES_NOT_EXIST, "nobody publishes that track")
}
