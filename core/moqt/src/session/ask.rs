//! Our requests, and the peer's answers to them.

use std::collections::BTreeSet;

use super::{
    Dir, Event, FetchStream, Half, Kind, Maker, Micros, Misuse, Output, Phase, Request, RequestId,
    RequestStream, Role, SendOrder, Session, Stream, StreamId, Timer,
    request::{Fetch, Subscription, Via},
};
use crate::{
    Filter, Location, Message, Namespace, Params, Properties, RequestCode, ResetCode, SessionCode, TrackName,
    TrackProperties, Violation,
    message::{self, FetchKind, FetchOk, RequestError, RequestOk, SubscribeOk},
    parameter::Scope,
};

const WRONG_PARAMS: Misuse = Misuse::BadField("a parameter that this message cannot carry");

impl Session {
    /// Asks for a track's objects from now on.
    pub fn subscribe(&mut self, track: TrackName, params: Params) -> Result<RequestId, Misuse> {
        check_params(&params, Scope::SUBSCRIBE)?;
        if self.subscribed.contains_key(&track) {
            return Err(Misuse::DuplicateSubscription(Box::new(track)));
        }
        let mut subscription = Subscription::new(track.clone(), Role::Subscriber, Via::Subscribe);
        subscription.apply(&params);
        let kind = Kind::Subscription(Box::new(subscription));
        let request_id = self.next_request;
        let message = Message::Subscribe(message::Subscribe { request_id, track: track.clone(), params });
        let id = self.ask(&message, kind)?;
        self.subscribed.insert(track, id);
        Ok(id)
    }

    /// Offers a track. Objects may be sent at once, unless `forward` is false.
    pub fn publish(
        &mut self,
        track: TrackName,
        params: Params,
        properties: Properties,
    ) -> Result<RequestId, Misuse> {
        check_params(&params, Scope::PUBLISH)?;
        if self.published.contains_key(&track) {
            return Err(Misuse::DuplicateSubscription(Box::new(track)));
        }
        let mut subscription = Subscription::new(track.clone(), Role::Publisher, Via::Publish);
        subscription.apply(&params);
        subscription.joining = params.largest;
        subscription.alias = Some(self.next_alias);
        subscription.properties = read_properties(&properties)?;
        let message = Message::Publish(message::Publish {
            request_id: self.next_request,
            track: track.clone(),
            track_alias: self.next_alias,
            params,
            properties,
        });
        let id = self.ask(&message, Kind::Subscription(Box::new(subscription)))?;
        self.next_alias += 1;
        self.published.insert(track, id);
        Ok(id)
    }

    /// Says that tracks are to be had in a namespace.
    pub fn publish_namespace(&mut self, namespace: Namespace, params: Params) -> Result<RequestId, Misuse> {
        check_params(&params, Scope::PUBLISH_NAMESPACE)?;
        let request_id = self.next_request;
        let body = message::PublishNamespace { request_id, namespace, params };
        self.ask(&Message::PublishNamespace(body), Kind::PublishNamespace)
    }

    /// Asks which namespaces are under a prefix.
    pub fn subscribe_namespace(&mut self, prefix: Namespace, params: Params) -> Result<RequestId, Misuse> {
        check_params(&params, Scope::SUBSCRIBE_NAMESPACE)?;
        let kind = Kind::SubscribeNamespace { prefix: prefix.clone(), announced: BTreeSet::new() };
        let body = message::SubscribeNamespace { request_id: self.next_request, prefix, params };
        self.ask(&Message::SubscribeNamespace(body), kind)
    }

    /// Asks for the tracks under a prefix, now and later.
    pub fn subscribe_tracks(&mut self, prefix: Namespace, params: Params) -> Result<RequestId, Misuse> {
        check_params(&params, Scope::SUBSCRIBE_TRACKS)?;
        let kind = Kind::SubscribeTracks { prefix: prefix.clone() };
        let body = message::SubscribeTracks { request_id: self.next_request, prefix, params };
        self.ask(&Message::SubscribeTracks(body), kind)
    }

    /// Asks what a `subscribe` would be answered.
    pub fn track_status(&mut self, track: TrackName, params: Params) -> Result<RequestId, Misuse> {
        check_params(&params, Scope::TRACK_STATUS)?;
        let body = message::TrackStatus { request_id: self.next_request, track, params };
        let id = self.ask(&Message::TrackStatus(body), Kind::TrackStatus)?;
        // "The first and only message" (Section 10.14).
        self.finish_our_half(id);
        Ok(id)
    }

    /// Asks for objects of the past.
    pub fn fetch(&mut self, kind: FetchKind, params: Params) -> Result<RequestId, Misuse> {
        check_params(&params, Scope::FETCH)?;
        let start = match &kind {
            FetchKind::Standalone { start, end, .. } => {
                if !is_range(*start, *end) {
                    return Err(Misuse::BadField("a fetch that ends before it starts"));
                }
                Some(*start)
            }
            FetchKind::Joining { request_id, .. } => {
                let id = RequestId(*request_id);
                let joined = self.requests.get(&id).ok_or(Misuse::UnknownRequest(id))?;
                if joined.subscription().is_none_or(|subscription| subscription.role != Role::Subscriber) {
                    return Err(Misuse::WrongState { id, what: "be joined: it is no subscription of ours" });
                }
                None
            }
        };
        let fetch = Fetch::new(Role::Subscriber, &params, start);
        let body = message::Fetch { request_id: self.next_request, kind, params };
        self.ask(&Message::Fetch(body), Kind::Fetch(Box::new(fetch)))
    }

    /// Changes a request of ours, or a subscription that the peer publishes to us.
    pub fn update(&mut self, request: RequestId, params: Params) -> Result<(), Misuse> {
        self.ready_for_calls()?;
        let entry = self.requests.get(&request).ok_or(Misuse::UnknownRequest(request))?;
        let scope = entry.update_scope();
        let ours = entry.maker == Maker::Us
            || entry.subscription().is_some_and(|subscription| subscription.role == Role::Subscriber);
        let stream = entry.stream;
        if !ours || !self.may_write(stream) {
            return Err(Misuse::WrongState { id: request, what: "be updated from this side" });
        }
        check_params(&params, scope)?;
        let update = RequestId(self.next_request);
        let body = message::RequestUpdate { request_id: update.0, params: params.clone() };
        let data = self.encoded(&Message::RequestUpdate(body))?;
        self.next_request += 2;
        self.write(stream, data);
        if let Some(entry) = self.requests.get_mut(&request) {
            entry.updates_sent.push_back(update);
            if let Some(subscription) = entry.subscription_mut() {
                subscription.apply(&params);
            }
        }
        Ok(())
    }

    /// Takes back a request of ours, or breaks off one of the peer's: unsubscribe,
    /// withdraw, give up. Outputs that wait to be polled still come.
    pub fn cancel(&mut self, request: RequestId) -> Result<(), Misuse> {
        self.ready_for_calls()?;
        if !self.requests.contains_key(&request) {
            return Err(Misuse::UnknownRequest(request));
        }
        self.drop_request(request, ResetCode::CANCELLED);
        Ok(())
    }

    /// Sends a request on a stream of its own.
    fn ask(&mut self, message: &Message, kind: Kind) -> Result<RequestId, Misuse> {
        self.ready_for_calls()?;
        if self.goaway_received {
            return Err(Misuse::GoingAway);
        }
        let data = self.encoded(message)?;
        let id = RequestId(self.next_request);
        self.next_request += 2;
        let stream = self.new_stream();
        let request_stream = RequestStream::new(self.config.version, Some(id));
        self.streams.insert(stream, Stream::Request(request_stream));
        self.requests.insert(id, Request::new(stream, Maker::Us, kind));
        self.outputs.push_back(Output::Open { stream, dir: Dir::Bi, order: SendOrder::REQUEST });
        self.write(stream, data);
        Ok(id)
    }

    pub(super) fn may_write(&self, stream: StreamId) -> bool {
        matches!(self.streams.get(&stream), Some(Stream::Request(stream)) if stream.send == Half::Open)
    }

    fn finish_our_half(&mut self, id: RequestId) {
        let Some(request) = self.requests.get(&id) else { return };
        let id = request.stream;
        if let Some(Stream::Request(stream)) = self.streams.get_mut(&id)
            && std::mem::replace(&mut stream.send, Half::Closed) == Half::Open
        {
            self.outputs.push_back(Output::Finish { stream: id });
        }
    }

    pub(super) fn on_subscribe_ok(
        &mut self,
        now: Micros,
        id: RequestId,
        ok: SubscribeOk,
    ) -> Result<(), Violation> {
        let request = self.pending_answer(id)?;
        let Some(subscription) =
            request.subscription_mut().filter(|subscription| subscription.via == Via::Subscribe)
        else {
            return Err(Violation::protocol("SUBSCRIBE_OK to what is no SUBSCRIBE"));
        };
        subscription.alias = Some(ok.track_alias);
        subscription.joining = ok.params.largest;
        subscription.properties = TrackProperties::read(&ok.properties)?;
        request.phase = Phase::Established;
        if ok.properties.mandatory().is_some() {
            self.drop_request(id, ResetCode::CANCELLED);
            self.event(Event::RequestError { request: id, error: not_understood() });
            return Ok(());
        }
        self.check_alias(ok.track_alias, id)?;
        self.event(Event::SubscribeOk {
            request: id,
            params: Box::new(ok.params),
            properties: ok.properties,
        });
        self.claim_alias(now, ok.track_alias, id)
    }

    /// An alias may stand for one track only (Section 11.1).
    pub(super) fn check_alias(&self, alias: u64, id: RequestId) -> Result<(), Violation> {
        match self.aliases.get(&alias) {
            Some(other) if *other != id => Err(Violation::new(
                SessionCode::DUPLICATE_TRACK_ALIAS,
                "a track alias that stands for another track",
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn on_fetch_ok(&mut self, id: RequestId, ok: FetchOk) -> Result<(), Violation> {
        let request = self.pending_answer(id)?;
        let Kind::Fetch(fetch) = &request.kind else {
            return Err(Violation::protocol("FETCH_OK to what is no FETCH"));
        };
        if fetch.start.is_some_and(|start| !is_range(start, ok.end)) {
            return Err(Violation::protocol("a FETCH_OK that ends before it starts"));
        }
        let over = fetch.stream == FetchStream::Over;
        request.phase = Phase::Established;
        if ok.properties.mandatory().is_some() {
            self.drop_request(id, ResetCode::CANCELLED);
            self.event(Event::RequestError { request: id, error: not_understood() });
            return Ok(());
        }
        self.event(Event::FetchOk { request: id, ok: Box::new(ok) });
        if over {
            self.end_in_order(id);
        }
        Ok(())
    }

    /// REQUEST_OK: to the request itself if it has not been answered, else to the
    /// oldest update.
    pub(super) fn on_request_ok(&mut self, id: RequestId, ok: RequestOk) -> Result<(), Violation> {
        const PROPERTIES: Violation = Violation::protocol("track properties where there are none");
        const PARAMS: Violation = Violation::protocol("a parameter in a message it may not be in");
        let Some(request) = self.requests.get_mut(&id) else { return Ok(()) };
        let first = request.maker == Maker::Us && request.phase == Phase::Pending;
        if !first {
            if request.updates_sent.pop_front().is_none() {
                return Err(Violation::protocol("an answer to nothing"));
            }
            if !ok.properties.is_empty() {
                return Err(PROPERTIES);
            }
            if !ok.params.within(Scope::UPDATE_OK) {
                return Err(PARAMS);
            }
            if let Some(subscription) = request.subscription_mut() {
                subscription.joining = ok.params.largest.or(subscription.joining);
            }
            self.event(Event::UpdateOk { request: id, params: Box::new(ok.params) });
            return Ok(());
        }
        let scope = match &request.kind {
            Kind::Subscription(subscription) if subscription.via == Via::Publish => Scope::PUBLISH_OK,
            Kind::TrackStatus => Scope::TRACK_STATUS_OK,
            Kind::PublishNamespace | Kind::SubscribeNamespace { .. } | Kind::SubscribeTracks { .. } => {
                Scope::BARE
            }
            Kind::Subscription(_) | Kind::Fetch(_) => {
                return Err(Violation::protocol("REQUEST_OK to SUBSCRIBE or FETCH"));
            }
        };
        if !ok.params.within(scope) {
            return Err(PARAMS);
        }
        if scope != Scope::TRACK_STATUS_OK && !ok.properties.is_empty() {
            return Err(PROPERTIES);
        }
        request.phase = Phase::Established;
        if let Some(subscription) = request.subscription_mut() {
            subscription.apply(&ok.params);
        }
        if scope == Scope::PUBLISH_OK {
            self.reorder(id);
        }
        self.event(Event::RequestOk { request: id, params: Box::new(ok.params), properties: ok.properties });
        if scope == Scope::TRACK_STATUS_OK {
            self.end_in_order(id);
        }
        Ok(())
    }

    pub(super) fn on_request_error(&mut self, id: RequestId, error: RequestError) -> Result<(), Violation> {
        let Some(request) = self.requests.get_mut(&id) else { return Ok(()) };
        if let Some(redirect) = &error.redirect {
            if self.config.side == super::Side::Server && !redirect.uri.is_empty() {
                return Err(Violation::protocol("a client that sends its server elsewhere"));
            }
            let namespace_scoped =
                matches!(request.kind, Kind::SubscribeNamespace { .. } | Kind::PublishNamespace);
            if namespace_scoped && !redirect.name.is_empty() {
                return Err(Violation::protocol("a namespace redirected to a track"));
            }
        }
        if request.maker == Maker::Us && request.phase == Phase::Pending {
            self.end_in_order(id);
            self.event(Event::RequestError { request: id, error });
            return Ok(());
        }
        if request.updates_sent.pop_front().is_none() {
            return Err(Violation::protocol("an answer to nothing"));
        }
        self.event(Event::UpdateError { request: id, error });
        Ok(())
    }

    pub(super) fn on_namespace(&mut self, id: RequestId, suffix: Namespace) -> Result<(), Violation> {
        let max = self.config.limits.namespaces;
        let announced = self.announced(id)?;
        if announced.len() >= max {
            // More than we are willing to know of: give up on all.
            self.drop_request(id, ResetCode::EXCESSIVE_LOAD);
            self.event(Event::Cancelled { request: id, code: ResetCode::EXCESSIVE_LOAD });
            return Ok(());
        }
        announced.insert(suffix.clone());
        self.event(Event::Namespace { request: id, suffix });
        Ok(())
    }

    pub(super) fn on_namespace_done(&mut self, id: RequestId, suffix: Namespace) -> Result<(), Violation> {
        if !self.announced(id)?.remove(&suffix) {
            return Err(Violation::protocol("NAMESPACE_DONE before NAMESPACE"));
        }
        self.event(Event::NamespaceDone { request: id, suffix });
        Ok(())
    }

    fn announced(&mut self, id: RequestId) -> Result<&mut BTreeSet<Namespace>, Violation> {
        match self.requests.get_mut(&id) {
            Some(Request {
                maker: Maker::Us,
                phase: Phase::Established,
                kind: Kind::SubscribeNamespace { announced, .. },
                ..
            }) => Ok(announced),
            _ => Err(Violation::protocol("NAMESPACE without an accepted SUBSCRIBE_NAMESPACE")),
        }
    }

    pub(super) fn on_publish_blocked(&mut self, id: RequestId, track: TrackName) -> Result<(), Violation> {
        match self.requests.get(&id) {
            Some(Request {
                maker: Maker::Us,
                phase: Phase::Established,
                kind: Kind::SubscribeTracks { .. },
                ..
            }) => {
                self.event(Event::PublishBlocked { request: id, track });
                Ok(())
            }
            _ => Err(Violation::protocol("PUBLISH_BLOCKED without an accepted SUBSCRIBE_TRACKS")),
        }
    }

    fn pending_answer(&mut self, id: RequestId) -> Result<&mut Request, Violation> {
        self.requests
            .get_mut(&id)
            .filter(|request| request.maker == Maker::Us && request.phase == Phase::Pending)
            .ok_or(Violation::protocol("an answer to nothing"))
    }

    /// A subscription on hold found no publisher in time.
    pub(super) fn on_rendezvous_timeout(&mut self, id: RequestId) {
        let pending = self.requests.get(&id).is_some_and(Request::is_pending_from_peer);
        if pending
            && self.reject(id, RequestError::new(RequestCode::TIMEOUT, "no publisher came in time")).is_ok()
        {
            self.event(Event::RendezvousTimeout { request: id });
        }
    }

    /// Holds a subscription of the peer until a publisher appears, for its RENDEZVOUS_TIMEOUT or our limit;
    /// then it is refused. A subscription without that timeout is refused at once.
    pub fn hold(&mut self, now: Micros, request: RequestId) -> Result<Hold, Misuse> {
        self.ready_for_calls()?;
        let entry = self.requests.get(&request).ok_or(Misuse::UnknownRequest(request))?;
        let pending = entry.is_pending_from_peer();
        let Some(subscription) =
            entry.subscription().filter(|subscription| pending && subscription.role == Role::Publisher)
        else {
            return Err(Misuse::WrongState { id: request, what: "wait: it is no open SUBSCRIBE" });
        };
        let wait = subscription.rendezvous.min(self.config.limits.rendezvous);
        if wait == Micros(0) {
            let error = RequestError::new(RequestCode::DOES_NOT_EXIST, "no such track");
            self.reject(request, error)?;
            return Ok(Hold::Refused);
        }
        self.timers.set(now + wait, Timer::Rendezvous(request));
        Ok(Hold::Waiting)
    }
}

/// Outcome of holding a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The subscription waits for a publisher.
    Waiting,
    /// It did not want to wait, and has been refused.
    Refused,
}

pub(super) fn read_properties(properties: &Properties) -> Result<TrackProperties, Misuse> {
    TrackProperties::read(properties).map_err(|_| Misuse::BadField("a track property outside of its range"))
}

fn not_understood() -> RequestError {
    RequestError::new(
        RequestCode::UNSUPPORTED_EXTENSION,
        "the track has a mandatory property that is not understood",
    )
}

/// Checks that a message can carry these parameters.
pub(super) fn check_params(params: &Params, scope: Scope) -> Result<(), Misuse> {
    if !params.within(scope) {
        return Err(WRONG_PARAMS);
    }
    match params.filter {
        Some(Filter::Range { start, end_group }) if end_group < start.group => {
            Err(Misuse::BadField("a filter that ends before it starts"))
        }
        _ => Ok(()),
    }
}

/// Returns whether an end in FETCH's encoding (one more than the last object, or 0 for all of the group) is
/// not before a start.
pub(super) fn is_range(start: Location, end: Location) -> bool {
    end.group > start.group || (end.group == start.group && (end.object == 0 || end.object > start.object))
}

impl Request {
    /// Returns the parameters that an update of it may carry.
    pub(super) fn update_scope(&self) -> Scope {
        match &self.kind {
            Kind::Subscription(_) => Scope::UPDATE,
            Kind::Fetch(_) => Scope::UPDATE_FETCH,
            Kind::SubscribeNamespace { .. } | Kind::SubscribeTracks { .. } => Scope::UPDATE_PREFIX,
            Kind::PublishNamespace | Kind::TrackStatus => Scope::BARE,
        }
    }
}
