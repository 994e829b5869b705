//! The relay: one node's tracks, between their publishers and their subscribers.
//!
//! A [`Relay`] lives in one thread: sessions and tracks use it without a lock. A session's task, whenever it is woken,
//! reads what is new in the tracks that its peer subscribed to and writes it at the peer's pace. A slow peer therefore
//! delays no other, and its old groups are reset rather than queued.

mod fetch;
mod fetch_proxy;
mod hub;
mod incoming;
mod interests;
mod publication;
mod quarantine;
mod refusals;
mod session;
mod sourcing;
mod subscription;
mod track;

pub use publication::Publication;
pub use subscription::{FAN_BACKLOG, FAN_LAG};

use std::{
    cell::RefCell,
    collections::BTreeSet,
    future::poll_fn,
    net::IpAddr,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use moqt::{App, Cx, DoneCode, Event, GoingAway, Micros, Namespace, SessionCode, TrackName};

use crate::{
    Admission, CacheLimits, Credentials, Dial, Figures, Guard, Limits, PeerId, Platform, Role, Service,
    budget::Payer,
    moved::{Moved, run_until_moved},
    platform::wait,
};
use hub::{Command, Hub, Kind, absent};
use quarantine::is_violation;
use session::Session;
use timing::Backoff;
use track::State;

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

/// The configuration of a relay. By default it is an edge's, without services.
#[derive(Clone)]
pub struct Config {
    /// The services for clients beside tracks. An event goes to the first that takes it.
    pub services: Vec<Rc<dyn Service>>,
    /// The rules for clients. Without them, clients may do everything, or what the upstream allows.
    pub admission: Option<Rc<dyn Admission>>,
    /// What clients may watch, on a node whose upstream has the admission.
    pub guard: Option<Rc<dyn Guard>>,
    /// The keys that verify clients' tokens, once for each session: it ends when its token expires or is revoked. Without
    /// keys, a session is an edge's if it says so.
    pub keys: Option<token::Keys>,
    /// The bounds of the groups that it keeps.
    pub cache: CacheLimits,
    /// The time that a track stays without a subscriber.
    pub linger: Duration,
    /// The limits of what clients may have in use.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            services: Vec::new(),
            admission: None,
            guard: None,
            keys: None,
            cache: CacheLimits::default(),
            linger: Duration::from_micros(LINGER.0),
            limits: Limits::default(),
        }
    }
}

impl Relay {
    /// Creates a relay without an upstream: a track that is not published to it does not exist. Its clients may use
    /// the services.
    pub fn new(platform: Rc<dyn Platform>, figures: Figures, config: Config) -> Self {
        Self(Rc::new(RefCell::new(Hub::new(platform, figures, config))))
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
        let mut next = None;
        loop {
            let started = platform.now();
            let dialled = match next.take() {
                Some(connection) => Ok(connection),
                None => upstream.dial(None).await,
            };
            match dialled {
                Ok(mut connection) => {
                    tracing::info!(url, "connected upstream");
                    connection.config().setup.implementation = Some(IMPLEMENTATION.into());
                    let payer = Rc::new(self.0.borrow().budget.open_own(started));
                    let mut session = self.enter_as(Kind::Upstream, payer);
                    let going_away = session.going_away();
                    let way = (&*upstream, None);
                    match run_until_moved(&*platform, connection, &mut session, &going_away, way).await {
                        Moved::To(connection) => {
                            next = Some(connection);
                            continue;
                        }
                        Moved::Ended(_) if going_away.is_set() => {
                            tracing::info!(url, "the upstream has gone away");
                            backoff.reset();
                        }
                        Moved::Ended(ended) => {
                            tracing::warn!(url, ?ended, "lost the upstream");
                            match ended {
                                Ok(ended) if is_violation(ended.code) => session.suspect_requests(),
                                _ => {}
                            }
                        }
                    }
                }
                Err(error) => tracing::warn!(url, %error, "no upstream"),
            }
            wait(&*platform, &mut backoff, started).await;
        }
    }

    /// Starts the session of a client at an address, if the platform knows one. The caller runs it until it ends: at
    /// once, if there is no place for it.
    pub fn enter(&self, credentials: Credentials, address: Option<IpAddr>) -> RelaySession {
        let opened = {
            let hub = self.0.borrow();
            hub.budget.open(hub.platform.now(), address, Role::Arriving)
        };
        match opened {
            Ok(payer) => {
                let payer = Rc::new(payer);
                let credentials = credentials.paid_by(&payer, &self.platform());
                self.enter_as(Kind::Client(credentials), payer)
            }
            Err(excess) => {
                RelaySession { relay: self.clone(), session: None, refusal: Some(excess.to_string()) }
            }
        }
    }

    /// Sends GOAWAY to all clients. They have to leave `within` that time.
    pub fn drain(&self, within: Duration) {
        self.0.borrow_mut().send_to_clients(|| Command::GoAway(within));
    }

    /// Closes the sessions of all clients.
    pub fn close_all(&self, reason: &str) {
        let close = || Command::Close(SessionCode::NO_ERROR, reason.to_owned());
        self.0.borrow_mut().send_to_clients(close);
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

    /// Drops tracks that have had no subscription for the linger time of the configuration, and ends sessions whose token
    /// no longer stands. To be run beside the sessions.
    pub async fn housekeep(&self) {
        let mut idle: BTreeSet<TrackName> = BTreeSet::new();
        let platform = self.platform();
        loop {
            let linger = self.0.borrow().linger;
            platform.sleep(linger).await;
            let mut hub = self.0.borrow_mut();
            hub.end_fallen();
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

    fn enter_as(&self, kind: Kind, payer: Rc<Payer>) -> RelaySession {
        let id = self.0.borrow_mut().enter(&kind);
        let session = Session::new(self.clone(), id, kind, payer);
        RelaySession { relay: self.clone(), session: Some(session), refusal: None }
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
        let mut next = None;
        while self.0.borrow().peers.contains_key(&id) {
            let started = platform.now();
            let dialled = match next.take() {
                Some(connection) => Ok(connection),
                None => upstream.dial(Some(credentials)).await,
            };
            match dialled {
                Ok(mut connection) => {
                    has_connected = true;
                    let setup = &mut connection.config().setup;
                    setup.implementation = Some(IMPLEMENTATION.into());
                    // After the token by which the node itself is known, if it has one.
                    setup.tokens.extend(credentials.passed_on());
                    let payer = Rc::new(self.0.borrow().budget.open_own(started));
                    let mut peer = Session::new(self.clone(), id, Kind::OnBehalf, payer);
                    let going_away = peer.going_away.clone();
                    let way = (upstream, Some(credentials));
                    match run_until_moved(&*platform, connection, &mut peer, &going_away, way).await {
                        Moved::To(connection) => next = Some(connection),
                        Moved::Ended(Ok(ended)) if ended.code == SessionCode::UNAUTHORIZED => {
                            return peer.refuse_all(&ended.reason, true);
                        }
                        Moved::Ended(Ok(_)) => {}
                        Moved::Ended(Err(_)) => return,
                    }
                    self.0.borrow_mut().publish_again(id, peer.take_publications());
                    if next.is_some() {
                        continue;
                    }
                    if going_away.is_set() {
                        backoff.reset();
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
    session: Option<Session>,
    /// The reason for which there is no place for it, until the session is closed with it.
    refusal: Option<String>,
}

impl RelaySession {
    /// Suspects what the peer, an upstream, had not answered when it ended the session.
    fn suspect_requests(&self) {
        if let Some(session) = &self.session {
            session.suspect_requests();
        }
    }

    fn going_away(&self) -> GoingAway {
        self.session.as_ref().map(|session| session.going_away.clone()).unwrap_or_default()
    }
}

impl App for RelaySession {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        if let Some(session) = &mut self.session {
            session.event(cx, event);
        }
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> Poll<()> {
        if let Some(reason) = self.refusal.take() {
            // The draft has no code for it among those of sessions.
            cx.session.close(SessionCode::INTERNAL_ERROR, &reason);
            return Poll::Pending;
        }
        self.session.as_mut().map_or(Poll::Ready(()), |session| session.poll(task, cx))
    }
}

impl Drop for RelaySession {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            let id = session.id();
            drop(session);
            self.relay.0.borrow_mut().leave(id);
        }
    }
}
