//! One session of the relay: events from its peer, and commands from the other sessions.

mod answer;
mod command;
mod publish;
mod standing;
mod subscribe;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    task::{Context, Poll},
};

use moqt::{
    App, Cx, DoneCode, Event, GoingAway, Misuse, Namespace, Params, Properties, RequestCode, SessionCode,
    message::{RequestError, Setup},
    session::RequestId,
};

use wire::names;

use super::{
    Relay,
    fetch::Fetch,
    fetch_proxy::{PendingFetch, ProxiedFetch, Step},
    hub::{Command, Kind},
    incoming::Incoming,
    subscription::Subscription,
    track::{State, Track, is_room_track, is_under},
};
use crate::{Admission, Guard, MAX_GROUP_BYTES, PeerId, Published, SessionService};

/// The purpose of a request that this node has sent.
enum OwnRequest {
    /// A track, and the milliseconds for which a publisher is waited for.
    Track(Rc<RefCell<Track>>, Option<u64>),
    /// An offer of a track. If a peer offered it to this node, that peer's request gets the answer.
    Offer(Option<(PeerId, RequestId)>),
    Namespace(Namespace, (PeerId, RequestId)),
    Fetch(Rc<ProxiedFetch>, Progress),
    Status(PeerId, RequestId),
    /// The status of this node's own track.
    Own,
    Namespaces,
    Tracks,
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
    behalf: Option<PeerId>,
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
    incoming: Incoming,
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
    pub(super) fn new(relay: Relay, id: PeerId, kind: Kind) -> Self {
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
            incoming: Incoming::default(),
            namespaces_changed: false,
            leaving: false,
            going_away: GoingAway::default(),
        }
    }

    fn send(&self, peer: PeerId, command: Command) {
        self.relay.0.borrow_mut().send(peer, command);
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

    fn failed(&mut self, own: OwnRequest, error: RequestError) {
        match own {
            OwnRequest::Track(track, patience) => {
                if track.borrow().source != Some(self.id) {
                    return;
                }
                let mut track = track.borrow_mut();
                track.source = None;
                if !track.is_live() && track.patience > patience {
                    // A later subscriber is willing to wait longer: request the track again.
                    drop(track);
                    self.relay.0.borrow_mut().reassign_orphans();
                } else {
                    // A track that was live and cannot be resumed is over for its subscribers.
                    let over = track.is_live();
                    track.set(if over { State::Ended(DoneCode::TRACK_ENDED) } else { State::Refused(error) });
                }
            }
            OwnRequest::Offer(Some((peer, request))) | OwnRequest::Namespace(_, (peer, request)) => {
                self.send(peer, Command::Answer(request, Err(error)));
            }
            OwnRequest::Fetch(fetch, _) => {
                fetch.push(Step::Error(error));
            }
            OwnRequest::Status(peer, request) => self.send(peer, Command::StatusAnswer(request, Err(error))),
            OwnRequest::Offer(None) | OwnRequest::Own | OwnRequest::Namespaces | OwnRequest::Tracks => {}
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
            if let Some(path) = setup.path {
                let path = String::from_utf8_lossy(&path).into_owned();
                credentials.query = path.split_once('?').map(|(_, query)| query.to_owned());
            }
            let credentials = credentials.clone();
            self.stand(&credentials);
            if let Some(admission) = &self.admission
                && let Err(reason) = admission.enter(self.id, &credentials, setup.implementation.as_deref())
            {
                cx.session.close(SessionCode::UNAUTHORIZED, &reason);
            }
        }
    }

    /// Ends a request of the peer, with everything that it started.
    fn ended(&mut self, request: RequestId) {
        self.subscriptions.retain(|subscription| subscription.request != request);
        self.fetches.retain(|fetch| fetch.request != request);
        self.proxied.retain(|proxied| proxied.request != request);
        self.watching.remove(&request);
        self.relay.0.borrow_mut().interests.retain(|(peer, of, _)| (*peer, *of) != (self.id, request));
        if let Some(namespace) = self.published.remove(&request) {
            self.withdraw(Published::Namespace(&namespace));
            let mut hub = self.relay.0.borrow_mut();
            hub.withdraw(&namespace, self.id);
            if let Some(behalf) = self.behalf {
                hub.send(behalf, Command::WithdrawNamespace(namespace));
            }
            hub.notify_namespaces();
        }
        if let Some(track) = self.offered.remove(&request) {
            self.incoming.forget_track(&track);
            self.withdraw(Published::Track(&track.borrow().name));
            self.lost(&track);
        }
    }

    /// Orphans a track whose source this session was, and looks for another publisher.
    fn lost(&self, track: &Rc<RefCell<Track>>) {
        if track.borrow().source == Some(self.id) {
            track.borrow_mut().orphaned();
            self.relay.0.borrow_mut().reassign_orphans();
        }
    }

    fn answered(&mut self, request: RequestId, params: Params, properties: Properties) {
        match self.requests.get(&request) {
            Some(OwnRequest::Offer(Some((peer, request))) | OwnRequest::Namespace(_, (peer, request))) => {
                self.send(*peer, Command::Answer(*request, Ok(())));
            }
            Some(OwnRequest::Status(peer, of)) => {
                self.send(*peer, Command::StatusAnswer(*of, Ok(Box::new((params, properties)))));
                self.requests.remove(&request);
            }
            _ => {}
        }
    }

    fn done(&mut self, request: RequestId, code: DoneCode) {
        let track = if let Some(OwnRequest::Track(track, _)) = self.requests.remove(&request) {
            Some(track)
        } else {
            let offered = self.offered.remove(&request);
            if let Some(track) = &offered {
                self.withdraw(Published::Track(&track.borrow().name));
            }
            offered
        };
        let Some(track) = track.filter(|track| track.borrow().source == Some(self.id)) else { return };
        match code {
            // A room's tracks go on when the room's root has been opened again.
            DoneCode::TRACK_ENDED | DoneCode::SUBSCRIPTION_ENDED
                if !is_room_track(track.borrow().name.namespace()) =>
            {
                track.borrow_mut().source = None;
                track.borrow_mut().set(State::Ended(code));
            }
            // Another publisher may have the track.
            _ => self.lost(&track),
        }
    }

    /// Returns the track that the peer sends for a request: a subscription of ours, or an offer of its own.
    fn track_of(&self, request: RequestId) -> Option<&Rc<RefCell<Track>>> {
        match self.requests.get(&request) {
            Some(OwnRequest::Track(track, _)) => Some(track),
            _ => self.offered.get(&request),
        }
    }

    /// Closes the session of a creator whose group exceeds [`MAX_GROUP_BYTES`]. For an upstream, only the track is ended.
    fn cut_off(&mut self, cx: &mut Cx<'_>, track: &Rc<RefCell<Track>>) {
        let Some(group) = track.borrow_mut().take_oversized() else { return };
        let name = track.borrow().name.clone();
        let max = MAX_GROUP_BYTES >> 20;
        let reason = format!("group {group} of track {name} is over {max} MiB; end groups sooner");
        tracing::warn!(peer = self.id.0, reason, "a group is too large");
        if self.is_upstream() {
            self.relay.0.borrow_mut().send(self.id, Command::Unsubscribe(Rc::clone(track)));
            track.borrow_mut().source = None;
            track.borrow_mut().set(State::Ended(DoneCode::EXCESSIVE_LOAD));
        } else {
            cx.session.close(SessionCode::UNAUTHORIZED, &reason);
        }
    }

    fn data(&mut self, cx: &mut Cx<'_>, event: Event) {
        match event {
            Event::Subgroup { stream, request, header } => {
                let track = self.track_of(request).filter(|track| track.borrow().source == Some(self.id));
                if let Some(track) = track.cloned() {
                    self.incoming.subgroup(stream, &track, header);
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
                let stream = match &event {
                    Event::Payload { stream, .. } => Some(*stream),
                    _ => None,
                };
                if let Some(track) = stream.and_then(|stream| self.incoming.track(stream)) {
                    self.cut_off(cx, &track);
                }
                if let Some(fetch) = self.incoming.data(event) {
                    self.fetch_progress(fetch, Progress::Delivered);
                }
            }
        }
    }
}

impl App for Session {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        tracing::trace!(peer = self.id.0, ?event);
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
        self.subscriptions.retain(|subscription| !subscription.is_over());
        self.fetches.retain_mut(|fetch| fetch.poll(task, cx));
        self.proxied.retain_mut(|proxied| proxied.poll(task.waker(), cx));
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
        if let Some(behalf) = self.behalf {
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
