//! One session of the relay: events from its peer, and commands from the other sessions.

mod answer;
mod command;
mod intake;
mod outcome;
mod publish;
mod standing;
mod subscribe;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use moqt::{
    App, Cx, DoneCode, Event, GoingAway, Micros, Misuse, Namespace, Params, RequestCode, SessionCode,
    TrackName,
    message::{RequestError, Setup},
    session::RequestId,
};

use wire::names;

use intake::Intake;

use super::{
    Relay,
    fetch::Fetch,
    fetch_proxy::{Flow, PendingFetch, ProxiedFetch, Step},
    hub::{Command, Kind},
    incoming::{After, Incoming},
    subscription::Subscription,
    track::{State, Track, is_under},
};
use crate::{
    Admission, Guard, PeerId, Published, SessionService,
    budget::{Charge, Payer},
};

/// The purpose of a request that this node has sent.
enum OwnRequest {
    Track(Rc<RefCell<Track>>, Waiting),
    /// An offer of a track. If a peer offered it to this node, that peer's request gets the answer.
    Offer(Option<(PeerId, RequestId)>),
    Namespace(Namespace, (PeerId, RequestId)),
    Fetch(Rc<ProxiedFetch>, Progress),
    Status(TrackName, (PeerId, RequestId)),
    /// The status of this node's own track.
    Own,
    Namespaces,
    Tracks(Namespace),
}

/// The time for which the peer was requested to wait for a track's publisher.
#[derive(Clone, Copy)]
struct Waiting {
    since: Micros,
    /// In milliseconds, if it is to wait at all.
    patience: Option<u64>,
}

impl Waiting {
    /// Returns whether the peer has waited as long as it was requested to.
    fn is_over(self, now: Micros) -> bool {
        self.patience.is_some_and(|ms| now >= self.since + Micros::from_millis(ms))
    }
}

/// The progress of a fetch. FETCH_OK and the end of the stream may come in either order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Requested,
    Accepted,
    Delivered,
}

/// The answer to a FETCH: from the kept groups, from another node, or a refusal.
enum Held {
    Here,
    Elsewhere,
    Never(RequestError),
}

/// A session's state, for the [`App`] that its connection runs.
pub(super) struct Session {
    relay: Relay,
    id: PeerId,
    kind: Kind,
    /// The session that publishes upstream on this creator's behalf.
    behalf: Option<(PeerId, Charge)>,
    /// Requests that this node has sent, until they are over.
    requests: BTreeMap<RequestId, OwnRequest>,
    /// Tracks that the peer offered (PUBLISH).
    offered: BTreeMap<RequestId, Rc<RefCell<Track>>>,
    /// Namespaces that the peer publishes (PUBLISH_NAMESPACE).
    published: BTreeMap<RequestId, Namespace>,
    /// Prefixes that the peer watches, with the suffixes that it has been sent.
    watching: BTreeMap<RequestId, (Namespace, BTreeSet<Namespace>)>,
    subscriptions: Vec<Subscription>,
    fetches: Vec<Fetch>,
    proxied: Vec<PendingFetch>,
    /// Fetches of other peers that this one has been sent.
    fetching: Vec<RequestId>,
    incoming: Incoming,
    intake: Intake,
    services: Vec<Box<dyn SessionService>>,
    /// Set for clients, if the relay has one.
    admission: Option<Rc<dyn Admission>>,
    /// Set for clients, if the relay has one.
    guard: Option<Rc<dyn Guard>>,
    /// The tokens of the client's SETUP that were valid.
    tokens: Rc<[token::Verified]>,
    /// The guard's generation when this session last looked.
    guard_seen: u64,
    /// Events that wait until the guard is ready.
    waiting: Vec<Event>,
    namespaces_changed: bool,
    /// Set once the peer has been sent GOAWAY.
    leaving: bool,
    /// Set once the peer, an upstream, has sent GOAWAY.
    pub(super) going_away: GoingAway,
}

impl Session {
    pub(super) fn new(relay: Relay, id: PeerId, kind: Kind, payer: Rc<Payer>) -> Self {
        let (services, admission, guard) = match kind {
            Kind::Client(_) => {
                let hub = relay.0.borrow();
                let services = hub.services.iter().map(|service| service.session()).collect();
                (services, hub.admission.clone(), hub.guard.clone())
            }
            Kind::Upstream | Kind::OnBehalf => (Vec::new(), None, None),
        };
        Self {
            services,
            admission,
            guard,
            tokens: Rc::default(),
            guard_seen: 0,
            waiting: Vec::new(),
            relay,
            id,
            kind,
            behalf: None,
            requests: BTreeMap::new(),
            offered: BTreeMap::new(),
            published: BTreeMap::new(),
            watching: BTreeMap::new(),
            subscriptions: Vec::new(),
            fetches: Vec::new(),
            proxied: Vec::new(),
            fetching: Vec::new(),
            incoming: Incoming::default(),
            intake: Intake::new(payer),
            namespaces_changed: false,
            leaving: false,
            going_away: GoingAway::default(),
        }
    }

    fn send(&self, peer: PeerId, command: Command) {
        self.relay.0.borrow_mut().send(peer, command);
    }

    /// Returns the number of the session.
    pub(super) fn id(&self) -> PeerId {
        self.id
    }

    fn now(&self) -> Micros {
        self.relay.0.borrow().platform.now()
    }

    fn is_upstream(&self) -> bool {
        !matches!(self.kind, Kind::Client(_))
    }

    /// Refuses all requests and commands that the session has not answered: it has ended.
    pub(super) fn refuse_all(&mut self, why: &str, unauthorized: bool) {
        let code = if unauthorized { RequestCode::UNAUTHORIZED } else { RequestCode::INTERNAL_ERROR };
        for (_, own) in std::mem::take(&mut self.requests) {
            self.failed(own, RequestError::new(code, why));
        }
        let commands = self
            .relay
            .0
            .borrow_mut()
            .peers
            .get_mut(&self.id)
            .map(|mailbox| std::mem::take(&mut mailbox.commands));
        for command in commands.into_iter().flatten() {
            self.relay.0.borrow_mut().refuse(command, why);
        }
    }

    fn ready(&mut self, cx: &mut Cx<'_>, setup: Setup) {
        let own_track = self.relay.0.borrow().own_track.clone();
        if let (Kind::Upstream, Some(track)) = (&self.kind, own_track)
            && let Ok(request) = cx.session.track_status(track, Params::default())
        {
            self.requests.insert(request, OwnRequest::Own);
        }
        if let Kind::Client(credentials) = &mut self.kind {
            credentials.tokens.extend(setup.tokens);
            if let Some(path) = &setup.path {
                let path = String::from_utf8_lossy(path).into_owned();
                credentials.query = path.split_once('?').map(|(_, query)| query.to_owned());
            }
        }
        self.take_place(cx, setup.implementation.as_deref());
        self.stand();
        if let (Kind::Client(credentials), Some(admission)) = (&self.kind, &self.admission)
            && let Err(reason) = admission.enter(self.id, credentials, setup.implementation.as_deref())
        {
            cx.session.close(SessionCode::UNAUTHORIZED, &reason);
        }
    }

    /// Ends a request of the peer, with everything that it started.
    fn ended(&mut self, request: RequestId) {
        self.subscriptions.retain(|subscription| subscription.request != request);
        self.fetches.retain(|fetch| fetch.request != request);
        self.proxied.retain(|proxied| proxied.request != request);
        self.watching.remove(&request);
        {
            let mut hub = self.relay.0.borrow_mut();
            let commands = hub.interests.remove(self.id, request);
            hub.send_upstream(commands);
        }
        if let Some(namespace) = self.published.remove(&request) {
            self.withdraw(Published::Namespace(&namespace));
            let mut hub = self.relay.0.borrow_mut();
            hub.withdraw(&namespace, self.id);
            if let Some((behalf, _)) = &self.behalf {
                hub.send(*behalf, Command::WithdrawNamespace(namespace));
            }
            hub.notify_namespaces();
        }
        if let Some(track) = self.offered.remove(&request) {
            self.incoming.forget_track(&track);
            self.withdraw(Published::Track(&track.borrow().name));
            self.lost(&track);
        }
    }

    /// Drops the subscriptions that are over, and tracks that were refused and have no other.
    fn drop_over(&mut self) {
        for over in self.subscriptions.extract_if(.., |subscription| subscription.is_over()) {
            let track = Rc::clone(&over.track);
            drop(over);
            self.relay.0.borrow_mut().drop_refused(&track);
        }
    }

    /// Returns the track that the peer sends for a request: a subscription of ours, or an offer of its own.
    fn track_of(&self, request: RequestId) -> Option<&Rc<RefCell<Track>>> {
        match self.requests.get(&request) {
            Some(OwnRequest::Track(track, _)) => Some(track),
            _ => self.offered.get(&request),
        }
    }

    /// Closes the session of a creator that has more open than its share. For an upstream, only the track is ended.
    fn cut_off(&mut self, cx: &mut Cx<'_>, track: &Rc<RefCell<Track>>) {
        let Some((group, reason)) = track.borrow_mut().take_overflow() else { return };
        let name = track.borrow().name.clone();
        let reason = format!("group {group} of track {name} is too large: {reason}");
        tracing::warn!(peer = self.id.0, reason, "a group is too large");
        if self.is_upstream() {
            self.relay.0.borrow_mut().send(self.id, Command::Unsubscribe(Rc::clone(track)));
            self.incoming.forget_track(track);
            let mut track = track.borrow_mut();
            track.source = None;
            track.set(State::Ended(DoneCode::EXCESSIVE_LOAD));
            track.discard();
        } else {
            cx.session.close(SessionCode::UNAUTHORIZED, &reason);
        }
    }

    fn data(&mut self, cx: &mut Cx<'_>, event: Event) {
        match event {
            Event::Subgroup { stream, request, header } => {
                let track = self.track_of(request).filter(|track| track.borrow().source == Some(self.id));
                if let Some(track) = track.cloned() {
                    let after = self.incoming.subgroup(stream, &track, header, &self.intake.payer);
                    self.after(cx, after);
                }
            }
            Event::FetchStream { stream, request } => {
                if let Some(OwnRequest::Fetch(fetch, _)) = self.requests.get(&request) {
                    self.incoming.answer(stream, request, fetch);
                }
            }
            Event::Datagram { request, datagram } => {
                if let Some(track) = self.track_of(request) {
                    track.borrow_mut().datagram(datagram);
                }
            }
            event => {
                let after = self.incoming.data(cx, event);
                self.after(cx, after);
            }
        }
    }

    /// Cancels the fetches whose requesting peers are gone, or too slow.
    fn cancel_unwanted(&mut self, task: &Waker, cx: &mut Cx<'_>) {
        self.fetching.retain(|request| {
            let Some(OwnRequest::Fetch(fetch, _)) = self.requests.get(request) else { return false };
            fetch.watch(task);
            let is_wanted = fetch.flow() != Flow::Over;
            if !is_wanted {
                // Whatever is on its way is not read.
                let _ = cx.session.cancel(*request);
                self.incoming.forget_fetch(*request);
                self.requests.remove(request);
            }
            is_wanted
        });
    }

    /// Does what is to be done after data has come.
    fn after(&mut self, cx: &mut Cx<'_>, after: Option<After>) {
        match after {
            Some(After::Delivered(request)) => self.fetch_progress(request, Progress::Delivered),
            Some(After::Unwanted(request)) => {
                let _ = cx.session.cancel(request);
                self.requests.remove(&request);
            }
            Some(After::Overflow(track)) => self.cut_off(cx, &track),
            None => {}
        }
    }
}

impl App for Session {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        tracing::trace!(peer = self.id.0, ?event);
        if !self.admit(cx, &event) {
            return;
        }
        if let Kind::Client(credentials) = &self.kind
            && self.services.iter_mut().any(|service| service.event(cx, &event, credentials))
        {
            return;
        }
        let Some(event) = self.when_ready(cx, event) else { return };
        match event {
            Event::Subscribe { request, ref track, .. } | Event::Publish { request, ref track, .. }
                if is_under(track.namespace(), names::FAN) =>
            {
                let error = RequestError::new(RequestCode::NOT_SUPPORTED, "this node has no rooms");
                let _ = cx.session.reject(request, error);
            }
            Event::Ready(setup) => self.ready(cx, *setup),
            Event::Subscribe { request, track, params } => self.subscribe(cx, request, track, *params),
            Event::Publish { request, track, params, properties } => {
                self.publish(cx, request, &track, &params, properties);
            }
            Event::PublishNamespace { request, namespace, .. } => {
                self.publish_namespace(cx, request, namespace);
            }
            Event::SubscribeNamespace { request, prefix, .. } => {
                self.subscribe_namespace(cx, request, prefix);
            }
            Event::SubscribeTracks { request, prefix, .. } => self.subscribe_tracks(cx, request, prefix),
            Event::TrackStatus { request, track, .. } => self.track_status(cx, request, track),
            Event::Fetch { request, track, start, end, params } => {
                self.fetch(cx, request, track, (start, end), *params);
            }
            Event::Update { request, params } => self.update(cx, request, *params),
            Event::Cancelled { request, .. } | Event::RendezvousTimeout { request } => {
                self.cancelled(request);
            }
            Event::SubscribeOk { request, params, properties } => {
                if let Some(OwnRequest::Track(track, _)) = self.requests.get(&request) {
                    let mut track = track.borrow_mut();
                    self.relay.0.borrow_mut().quarantine.clear(&track.name);
                    if matches!(track.state, State::Live) {
                        track.resumed(params.largest);
                    } else {
                        track.accepted(properties, params.largest);
                    }
                }
            }
            Event::RequestOk { request, .. }
                if matches!(self.requests.get(&request), Some(OwnRequest::Own)) =>
            {
                tracing::error!(
                    "the upstream follows this node: an edge may not follow itself; change --origin"
                );
                cx.session.close(SessionCode::NO_ERROR, "this node follows itself");
            }
            Event::RequestOk { request, params, properties } => self.answered(request, *params, properties),
            Event::RequestError { request, error } => {
                if let Some(own) = self.requests.remove(&request) {
                    self.failed(own, error);
                }
                self.subscriptions.retain(|subscription| subscription.request != request);
            }
            Event::FetchOk { request, ok } => {
                if let Some(OwnRequest::Fetch(fetch, _)) = self.requests.get(&request) {
                    fetch.push(Step::Ok(*ok));
                    self.fetch_progress(request, Progress::Accepted);
                }
            }
            Event::Namespace { suffix, .. } => {
                self.relay.0.borrow_mut().remote.insert(suffix);
                self.relay.0.borrow_mut().notify_namespaces();
            }
            Event::NamespaceDone { suffix, .. } => {
                self.relay.0.borrow_mut().remote.remove(&suffix);
                self.relay.0.borrow_mut().notify_namespaces();
            }
            Event::Done { request, code, .. } => self.done(request, code),
            Event::StreamStopped { stream, .. } => {
                for subscription in &mut self.subscriptions {
                    subscription.stopped(stream);
                }
            }
            Event::GoAway { .. } => {
                self.relay.0.borrow_mut().upstream_goes_away(self.id);
                self.going_away.set();
            }
            event => self.data(cx, event),
        }
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> Poll<()> {
        loop {
            let command = {
                let mut hub = self.relay.0.borrow_mut();
                let Some(mailbox) = hub.peers.get_mut(&self.id) else { return Poll::Ready(()) };
                mailbox.waker = Some(task.waker().clone());
                self.namespaces_changed |= std::mem::take(&mut mailbox.namespaces_changed);
                mailbox.commands.pop_front()
            };
            match command {
                Some(command) => self.command(cx, command),
                None => break,
            }
        }
        for event in self.take_waiting(task.waker()) {
            self.event(cx, event);
        }
        if std::mem::take(&mut self.namespaces_changed) {
            self.send_namespaces(cx);
        }
        for subscription in &mut self.subscriptions {
            subscription.poll(task, cx);
        }
        self.drop_over();
        self.intake.sweep(cx);
        self.intake.charge_unread(cx);
        self.fetches.retain_mut(|fetch| fetch.poll(task, cx));
        self.proxied.retain_mut(|proxied| proxied.poll(task.waker(), cx));
        self.incoming.resume(cx);
        self.cancel_unwanted(task.waker(), cx);
        for service in &mut self.services {
            service.poll(task, cx);
        }
        if self.going_away.poll_leave(task).is_ready() {
            return Poll::Ready(());
        }
        // After GOAWAY, a peer without open requests has left.
        if self.leaving && cx.session.open_requests() == 0 { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some((behalf, _)) = self.behalf.take() {
            self.relay.0.borrow_mut().end_session(behalf);
        }
    }
}

fn misused(error: &Misuse) -> RequestError {
    let code = match error {
        Misuse::GoingAway => RequestCode::GOING_AWAY,
        Misuse::DuplicateSubscription(_) => RequestCode::DUPLICATE_SUBSCRIPTION,
        _ => RequestCode::INTERNAL_ERROR,
    };
    RequestError::new(code, &error.to_string())
}
