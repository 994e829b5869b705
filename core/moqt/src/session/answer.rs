//! The peer's requests, and our answers to them.

use std::collections::BTreeSet;

use super::{
    Event, FetchStream, Kind, Maker, Micros, Misuse, Output, Phase, Request, RequestId, Role, Session,
    Stream, StreamId,
    ask::{check_params, is_range, read_properties},
    request::{Fetch, Subscription, Via},
};
use crate::{
    DoneCode, FetchOk, Location, Message, Namespace, Params, Properties, RequestCode, ResetCode, TrackName,
    TrackProperties, Violation,
    message::{self, FetchKind, JoiningStart, RequestError, RequestOk, SubscribeOk},
    parameter::Scope,
};

impl Session {
    /// A message on a request's stream.
    pub(super) fn on_message(
        &mut self,
        now: Micros,
        stream: StreamId,
        message: Message,
    ) -> Result<(), Violation> {
        let Some(Stream::Request(entry)) = self.streams.get(&stream) else { return Ok(()) };
        let Some(id) = entry.request else { return self.on_request(now, stream, message) };
        if self.requests.get(&id).is_some_and(Request::is_draining) {
            return Err(Violation::protocol("a message after PUBLISH_DONE"));
        }
        match message {
            Message::SubscribeOk(ok) => self.on_subscribe_ok(now, id, ok),
            Message::FetchOk(ok) => self.on_fetch_ok(id, ok),
            Message::RequestOk(ok) => self.on_request_ok(id, ok),
            Message::RequestError(error) => self.on_request_error(id, error),
            Message::PublishDone(done) => self.on_done(now, id, done),
            Message::Namespace(suffix) => self.on_namespace(id, suffix),
            Message::NamespaceDone(suffix) => self.on_namespace_done(id, suffix),
            Message::PublishBlocked(blocked) => self.on_publish_blocked(id, blocked.track),
            Message::GoAway(goaway) => self.on_request_goaway(id, goaway),
            Message::RequestUpdate(update) => {
                self.peer_ids.use_up(update.request_id)?;
                self.on_update(id, update.params)
            }
            Message::Unsubscribe(_) => {
                let ours = |request: &Request| {
                    request.subscription().is_some_and(|subscription| subscription.role == Role::Publisher)
                };
                if !self.requests.get(&id).is_some_and(ours) {
                    return Err(Violation::protocol("UNSUBSCRIBE from what is no subscription"));
                }
                self.cancelled(id, ResetCode::CANCELLED);
                Ok(())
            }
            Message::Setup(_) => Err(Violation::protocol("SETUP on a request stream")),
            _ => Err(Violation::protocol("a second request on one stream")),
        }
    }

    /// The first message of a stream that the peer opened.
    fn on_request(&mut self, now: Micros, stream: StreamId, message: Message) -> Result<(), Violation> {
        let (request_id, params) = match &message {
            Message::Subscribe(body) => (body.request_id, &body.params),
            Message::Publish(body) => (body.request_id, &body.params),
            Message::Fetch(body) => (body.request_id, &body.params),
            Message::TrackStatus(body) => (body.request_id, &body.params),
            Message::PublishNamespace(body) => (body.request_id, &body.params),
            Message::SubscribeNamespace(body) => (body.request_id, &body.params),
            Message::SubscribeTracks(body) => (body.request_id, &body.params),
            _ => return Err(Violation::protocol("a stream that does not start with a request")),
        };
        let id = self.peer_ids.use_up(request_id)?;
        let mut params = params.clone();
        let tokens = self.tokens.resolve(&mut params.tokens)?;
        let refusal = if self.goaway_sent {
            Some((RequestCode::GOING_AWAY, "this session is being left"))
        } else if self.requests.len() >= self.config.limits.requests {
            Some((RequestCode::EXCESSIVE_LOAD, "too many open requests"))
        } else if tokens.is_err() {
            // REQUEST_ERROR has no code for an unknown alias; this is the nearest.
            Some((RequestCode::MALFORMED_AUTH_TOKEN, "a token alias that nobody registered"))
        } else {
            self.refusal(&message)
        };
        if let Some((code, reason)) = refusal {
            self.refuse_now(stream, code, reason);
            return Ok(());
        }
        if let Some(Stream::Request(entry)) = self.streams.get_mut(&stream) {
            entry.request = Some(id);
        }
        let (kind, event) = match message {
            Message::Subscribe(body) => {
                let mut subscription = Subscription::new(body.track.clone(), Role::Publisher, Via::Subscribe);
                subscription.apply(&params);
                subscription.rendezvous = Micros::from_millis(params.rendezvous_timeout.unwrap_or_default());
                self.published.insert(body.track.clone(), id);
                (
                    Kind::Subscription(Box::new(subscription)),
                    Event::Subscribe { request: id, track: body.track, params: Box::new(params) },
                )
            }
            Message::Publish(body) => return self.on_publish(now, stream, id, body, params),
            Message::Fetch(body) => {
                self.on_fetch(stream, id, body.kind, params);
                return Ok(());
            }
            Message::TrackStatus(body) => (
                Kind::TrackStatus,
                Event::TrackStatus { request: id, track: body.track, params: Box::new(params) },
            ),
            Message::PublishNamespace(body) => (
                Kind::PublishNamespace,
                Event::PublishNamespace { request: id, namespace: body.namespace, params: Box::new(params) },
            ),
            Message::SubscribeNamespace(body) => (
                Kind::SubscribeNamespace { prefix: body.prefix.clone(), announced: BTreeSet::new() },
                Event::SubscribeNamespace { request: id, prefix: body.prefix, params: Box::new(params) },
            ),
            Message::SubscribeTracks(body) => (
                Kind::SubscribeTracks { prefix: body.prefix.clone() },
                Event::SubscribeTracks { request: id, prefix: body.prefix, params: Box::new(params) },
            ),
            _ => return Ok(()),
        };
        self.requests.insert(id, Request::new(stream, Maker::Peer, kind));
        self.event(event);
        Ok(())
    }

    /// Returns the reason to refuse a request without asking the application, if there is one.
    fn refusal(&self, message: &Message) -> Option<(RequestCode, &'static str)> {
        const DUPLICATE: (RequestCode, &str) =
            (RequestCode::DUPLICATE_SUBSCRIPTION, "there is a subscription to this track in this role");
        let (namespace, duplicate) = match message {
            Message::Subscribe(body) => {
                (body.track.namespace(), self.published.contains_key(&body.track).then_some(DUPLICATE))
            }
            Message::Publish(body) => {
                let duplicate = match self.subscribed.get(&body.track).and_then(|id| self.requests.get(id)) {
                    Some(_) => Some(DUPLICATE),
                    None if body.properties.mandatory().is_some() => Some((
                        RequestCode::UNSUPPORTED_EXTENSION,
                        "the track has a mandatory property that is not understood",
                    )),
                    None => None,
                };
                (body.track.namespace(), duplicate)
            }
            Message::Fetch(body) => match &body.kind {
                FetchKind::Standalone { track, start, end } => {
                    let range = (!is_range(*start, *end))
                        .then_some((RequestCode::INVALID_RANGE, "the range ends before it starts"));
                    (track.namespace(), range)
                }
                FetchKind::Joining { .. } => return None,
            },
            Message::TrackStatus(body) => (body.track.namespace(), None),
            Message::PublishNamespace(body) => (&body.namespace, None),
            Message::SubscribeNamespace(body) => {
                let overlap = self.overlaps(None, &body.prefix, PrefixOf::Namespaces);
                (&body.prefix, overlap.then_some(OVERLAP))
            }
            Message::SubscribeTracks(body) => {
                let overlap = self.overlaps(None, &body.prefix, PrefixOf::Tracks);
                (&body.prefix, overlap.then_some(OVERLAP))
            }
            _ => return None,
        };
        // Section 3.2.1 and 3.2.2: reserved, and managed by the session, which has none.
        match namespace.fields().first() {
            Some(first) if first == "." || first == ".session" => {
                Some((RequestCode::DOES_NOT_EXIST, "a reserved namespace"))
            }
            _ => duplicate,
        }
    }

    /// Returns whether a prefix overlaps another of the same kind that the peer asked for.
    fn overlaps(&self, except: Option<RequestId>, prefix: &Namespace, of: PrefixOf) -> bool {
        self.requests.iter().any(|(id, request)| match (&request.kind, of) {
            (Kind::SubscribeNamespace { prefix: other, .. }, PrefixOf::Namespaces)
            | (Kind::SubscribeTracks { prefix: other }, PrefixOf::Tracks) => {
                request.maker == Maker::Peer
                    && Some(*id) != except
                    && (other.is_prefix_of(prefix) || prefix.is_prefix_of(other))
            }
            _ => false,
        })
    }

    fn on_publish(
        &mut self,
        now: Micros,
        stream: StreamId,
        id: RequestId,
        body: message::Publish,
        params: Params,
    ) -> Result<(), Violation> {
        self.check_alias(body.track_alias, id)?;
        let mut subscription = Subscription::new(body.track.clone(), Role::Subscriber, Via::Publish);
        subscription.apply(&params);
        subscription.alias = Some(body.track_alias);
        subscription.joining = params.largest;
        subscription.properties = TrackProperties::read(&body.properties)?;
        let kind = Kind::Subscription(Box::new(subscription));
        self.requests.insert(id, Request::new(stream, Maker::Peer, kind));
        self.subscribed.insert(body.track.clone(), id);
        let properties = body.properties;
        self.event(Event::Publish { request: id, track: body.track, params: Box::new(params), properties });
        self.claim_alias(now, body.track_alias, id)
    }

    fn on_fetch(&mut self, stream: StreamId, id: RequestId, kind: FetchKind, params: Params) {
        let mut fetch = Fetch::new(Role::Publisher, &params, None);
        match kind {
            FetchKind::Standalone { track, start, end } => {
                fetch.start = Some(start);
                self.requests.insert(id, Request::new(stream, Maker::Peer, Kind::Fetch(Box::new(fetch))));
                self.event(Event::Fetch { request: id, track, start, end, params: Box::new(params) });
            }
            FetchKind::Joining { request_id, start } => {
                let joined = RequestId(request_id);
                fetch.waiting = Some((joined, start, params));
                self.requests.insert(id, Request::new(stream, Maker::Peer, Kind::Fetch(Box::new(fetch))));
                self.join(id, joined, start);
            }
        }
    }

    /// Lets a joining fetch of the peer's go ahead, wait or fail (Section 10.12.2).
    fn join(&mut self, id: RequestId, joined: RequestId, start: JoiningStart) {
        let Some(request) = self.requests.get_mut(&joined) else {
            return self.refuse_join(id, RequestCode::INVALID_JOINING_REQUEST_ID);
        };
        let (phase, maker) = (request.phase, request.maker);
        let Some(subscription) =
            request.subscription_mut().filter(|subscription| subscription.role == Role::Publisher)
        else {
            return self.refuse_join(id, RequestCode::INVALID_JOINING_REQUEST_ID);
        };
        if phase == Phase::Pending {
            match maker {
                Maker::Peer => subscription.joins.push(id),
                Maker::Us => self.refuse_join(id, RequestCode::INVALID_JOINING_REQUEST_ID),
            }
            return;
        }
        let Some((start, end)) = subscription.join(start) else {
            return self.refuse_join(id, RequestCode::INVALID_RANGE);
        };
        let track = subscription.track.clone();
        let Some(Kind::Fetch(fetch)) = self.requests.get_mut(&id).map(|request| &mut request.kind) else {
            return;
        };
        fetch.start = Some(start);
        let params = fetch.waiting.take().map(|(_, _, params)| params).unwrap_or_default();
        self.event(Event::Fetch { request: id, track, start, end, params: Box::new(params) });
    }

    pub(super) fn refuse_join(&mut self, id: RequestId, code: RequestCode) {
        let Some(request) = self.forget(id, ResetCode::CANCELLED) else { return };
        let reason = match code {
            RequestCode::INVALID_RANGE => "there is nothing before that subscription",
            _ => "there is no such subscription to join",
        };
        // A reason this short always fits.
        let _ = self.refuse(request.stream, RequestError::new(code, reason));
    }

    fn refuse_now(&mut self, stream: StreamId, code: RequestCode, reason: &str) {
        // A reason this short always fits.
        let _ = self.refuse(stream, RequestError::new(code, reason));
    }

    fn on_update(&mut self, id: RequestId, mut params: Params) -> Result<(), Violation> {
        let tokens = self.tokens.resolve(&mut params.tokens)?;
        let Some(request) = self.requests.get(&id) else { return Ok(()) };
        if !params.within(request.update_scope()) {
            return Err(Violation::protocol("a parameter in a message it may not be in"));
        }
        let from_maker = request.maker == Maker::Peer;
        let from_subscriber =
            request.subscription().is_some_and(|subscription| subscription.role == Role::Publisher);
        if matches!(request.kind, Kind::TrackStatus) || !(from_maker || from_subscriber) {
            return Err(Violation::protocol("REQUEST_UPDATE of what cannot be updated"));
        }
        let prefixes = match &request.kind {
            Kind::SubscribeNamespace { .. } => Some(PrefixOf::Namespaces),
            Kind::SubscribeTracks { .. } => Some(PrefixOf::Tracks),
            _ => None,
        };
        let overlap = match (prefixes, &params.namespace_prefix) {
            (Some(of), Some(prefix)) => self.overlaps(Some(id), prefix, of),
            _ => false,
        };
        let max = self.config.limits.updates;
        let Some(request) = self.requests.get_mut(&id) else { return Ok(()) };
        if request.updates_received.len() >= max {
            self.drop_request(id, ResetCode::EXCESSIVE_LOAD);
            self.event(Event::Cancelled { request: id, code: ResetCode::EXCESSIVE_LOAD });
            return Ok(());
        }
        request.updates_received.push_back(params.clone());
        let refusal = if tokens.is_err() {
            Some((RequestCode::MALFORMED_AUTH_TOKEN, "a token alias that nobody registered"))
        } else {
            overlap.then_some(OVERLAP)
        };
        match refusal {
            // Answers are in order, so one can only be ours if it is the next.
            Some((code, reason)) => {
                if self.reject_update(id, RequestError::new(code, reason)).is_err() {
                    // Not accepted yet: the request itself is what is refused.
                    let _ = self.reject(id, RequestError::new(code, reason));
                }
                self.event(Event::Cancelled { request: id, code: ResetCode::CANCELLED });
            }
            None => self.event(Event::Update { request: id, params: Box::new(params) }),
        }
        Ok(())
    }

    /// Accepts a subscription of the peer's; from now on objects may be sent on it.
    /// `params.largest` is the newest object of the track, if there is one.
    pub fn accept_subscribe(
        &mut self,
        request: RequestId,
        params: Params,
        properties: Properties,
    ) -> Result<(), Misuse> {
        check_params(&params, Scope::SUBSCRIBE_OK)?;
        let track = read_properties(&properties)?;
        let alias = self.next_alias;
        let stream = self.pending(
            request,
            |kind| matches!(kind, Kind::Subscription(subscription) if subscription.via == Via::Subscribe),
        )?;
        let largest = params.largest;
        let ok = SubscribeOk { track_alias: alias, params, properties };
        let data = self.encoded(&Message::SubscribeOk(ok))?;
        self.reply(stream, data);
        self.next_alias += 1;
        let mut joins = Vec::new();
        if let Some(entry) = self.requests.get_mut(&request) {
            entry.phase = Phase::Established;
            if let Some(subscription) = entry.subscription_mut() {
                subscription.alias = Some(alias);
                subscription.joining = largest;
                subscription.properties = track;
                joins = std::mem::take(&mut subscription.joins);
            }
        }
        for join in joins {
            let start = match self.requests.get(&join).map(|request| &request.kind) {
                Some(Kind::Fetch(fetch)) => fetch.waiting.as_ref().map(|(_, start, _)| *start),
                _ => None,
            };
            if let Some(start) = start {
                self.join(join, request, start);
            }
        }
        Ok(())
    }

    /// Accepts a request of the peer's other than SUBSCRIBE and FETCH.
    pub fn accept(
        &mut self,
        request: RequestId,
        params: Params,
        properties: Properties,
    ) -> Result<(), Misuse> {
        let mut scope = Scope::BARE;
        let stream = self.pending(request, |kind| {
            scope = match kind {
                Kind::Subscription(subscription) if subscription.via == Via::Publish => Scope::PUBLISH_OK,
                Kind::TrackStatus => Scope::TRACK_STATUS_OK,
                Kind::Subscription(_) | Kind::Fetch(_) => return false,
                _ => Scope::BARE,
            };
            true
        })?;
        check_params(&params, scope)?;
        if scope != Scope::TRACK_STATUS_OK && !properties.is_empty() {
            return Err(Misuse::BadField("track properties are for the answer to TRACK_STATUS"));
        }
        read_properties(&properties)?;
        let ok = RequestOk { params: params.clone(), properties };
        let data = self.encoded(&Message::RequestOk(ok))?;
        self.reply(stream, data);
        if let Some(entry) = self.requests.get_mut(&request) {
            entry.phase = Phase::Established;
            if let Some(subscription) = entry.subscription_mut() {
                subscription.apply(&params);
            }
        }
        match scope {
            Scope::TRACK_STATUS_OK => self.end_in_order(request),
            Scope::PUBLISH_OK => self.finish_done_if_complete(request),
            _ => {}
        }
        Ok(())
    }

    /// Accepts a fetch of the peer's. Its stream may have been opened before.
    pub fn accept_fetch(&mut self, request: RequestId, ok: FetchOk) -> Result<(), Misuse> {
        check_params(&ok.params, Scope::FETCH_OK)?;
        read_properties(&ok.properties)?;
        let mut start = None;
        let stream = self.pending(request, |kind| match kind {
            Kind::Fetch(fetch) if fetch.waiting.is_none() => {
                start = fetch.start;
                true
            }
            _ => false,
        })?;
        if start.is_some_and(|start: Location| !is_range(start, ok.end)) {
            return Err(Misuse::BadField("a FETCH_OK that ends before it starts"));
        }
        let data = self.encoded(&Message::FetchOk(ok))?;
        self.reply(stream, data);
        let mut over = false;
        if let Some(entry) = self.requests.get_mut(&request) {
            entry.phase = Phase::Established;
            over = matches!(&entry.kind, Kind::Fetch(fetch) if fetch.stream == FetchStream::Over);
        }
        if over {
            self.end_in_order(request);
        }
        Ok(())
    }

    /// Refuses a request of the peer's.
    pub fn reject(&mut self, request: RequestId, error: RequestError) -> Result<(), Misuse> {
        let stream = self.pending(request, |_| true)?;
        check_error(&error)?;
        let data = self.encoded(&Message::RequestError(error))?;
        self.forget(request, ResetCode::CANCELLED);
        self.reply(stream, data);
        self.finish_stream(stream);
        Ok(())
    }

    /// Accepts the peer's oldest update of a request, and applies it.
    pub fn accept_update(&mut self, request: RequestId, params: Params) -> Result<(), Misuse> {
        check_params(&params, Scope::UPDATE_OK)?;
        let stream = self.updating(request)?;
        let largest = params.largest;
        let ok = RequestOk { params, properties: Properties::NONE };
        let data = self.encoded(&Message::RequestOk(ok))?;
        self.reply(stream, data);
        let Some(entry) = self.requests.get_mut(&request) else { return Ok(()) };
        let Some(update) = entry.updates_received.pop_front() else { return Ok(()) };
        match &mut entry.kind {
            Kind::Subscription(subscription) => {
                subscription.apply(&update);
                // Section 5.1: where live objects begin anew.
                subscription.joining = largest.or(subscription.joining);
            }
            Kind::Fetch(fetch) => {
                fetch.priority = update.priority.unwrap_or(fetch.priority);
                if let FetchStream::Open(stream) = fetch.stream {
                    let order = super::SendOrder::object(fetch.priority, 128, 0, 0);
                    self.outputs.push_back(Output::SetOrder { stream, order });
                }
            }
            Kind::SubscribeNamespace { prefix, announced } => {
                if let Some(new) = update.namespace_prefix {
                    *prefix = new;
                    announced.clear();
                }
            }
            Kind::SubscribeTracks { prefix } => {
                if let Some(new) = update.namespace_prefix {
                    *prefix = new;
                }
            }
            Kind::PublishNamespace | Kind::TrackStatus => {}
        }
        if update.priority.is_some() {
            self.reorder(request);
        }
        Ok(())
    }

    /// Refuses the peer's oldest update of a request, which ends the request
    /// (Section 10.9.1).
    pub fn reject_update(&mut self, request: RequestId, error: RequestError) -> Result<(), Misuse> {
        let stream = self.updating(request)?;
        check_error(&error)?;
        let data = self.encoded(&Message::RequestError(error))?;
        self.reply(stream, data);
        if self.done(request, DoneCode::UPDATE_FAILED, "an update was refused").is_err() {
            self.end_in_order(request);
        }
        Ok(())
    }

    /// Tells the peer of a namespace under the prefix it asked for.
    pub fn namespace(&mut self, request: RequestId, suffix: Namespace) -> Result<(), Misuse> {
        let (stream, announced) = self.announcing(request)?;
        if !announced.insert(suffix.clone()) {
            return Ok(());
        }
        let data = self.encoded(&Message::Namespace(suffix))?;
        self.reply(stream, data);
        Ok(())
    }

    /// Tells the peer that a namespace is no more.
    pub fn namespace_done(&mut self, request: RequestId, suffix: Namespace) -> Result<(), Misuse> {
        let (stream, announced) = self.announcing(request)?;
        if !announced.remove(&suffix) {
            return Err(Misuse::BadField("a namespace that was not announced cannot be done"));
        }
        let data = self.encoded(&Message::NamespaceDone(suffix))?;
        self.reply(stream, data);
        Ok(())
    }

    /// Tells the peer of a track under the prefix it asked for that cannot be
    /// published.
    pub fn publish_blocked(&mut self, request: RequestId, track: TrackName) -> Result<(), Misuse> {
        self.ready_for_calls()?;
        let entry = self.requests.get(&request).ok_or(Misuse::UnknownRequest(request))?;
        let asked = entry.maker == Maker::Peer && matches!(entry.kind, Kind::SubscribeTracks { .. });
        if !asked || entry.phase != Phase::Established {
            return Err(Misuse::WrongState { id: request, what: "be told of tracks" });
        }
        let stream = entry.stream;
        let data = self.encoded(&Message::PublishBlocked(message::PublishBlocked { track }))?;
        self.reply(stream, data);
        Ok(())
    }

    fn announcing(&mut self, id: RequestId) -> Result<(StreamId, &mut BTreeSet<Namespace>), Misuse> {
        self.ready_for_calls()?;
        match self.requests.get_mut(&id) {
            None => Err(Misuse::UnknownRequest(id)),
            Some(Request {
                stream,
                maker: Maker::Peer,
                phase: Phase::Established,
                kind: Kind::SubscribeNamespace { announced, .. },
                ..
            }) => Ok((*stream, announced)),
            Some(_) => Err(Misuse::WrongState { id, what: "be told of namespaces" }),
        }
    }

    /// The stream of a request of the peer's that waits for an answer.
    fn pending(&self, id: RequestId, is_it: impl FnOnce(&Kind) -> bool) -> Result<StreamId, Misuse> {
        self.ready_for_calls()?;
        let request = self.requests.get(&id).ok_or(Misuse::UnknownRequest(id))?;
        if request.is_pending_from_peer() && is_it(&request.kind) {
            Ok(request.stream)
        } else {
            Err(Misuse::WrongState { id, what: "be answered so" })
        }
    }

    /// The stream of a request with an update that waits for an answer.
    fn updating(&self, id: RequestId) -> Result<StreamId, Misuse> {
        self.ready_for_calls()?;
        let request = self.requests.get(&id).ok_or(Misuse::UnknownRequest(id))?;
        if request.updates_received.is_empty() || request.is_pending_from_peer() {
            return Err(Misuse::WrongState { id, what: "have an update answered" });
        }
        Ok(request.stream)
    }
}

const OVERLAP: (RequestCode, &str) = (RequestCode::PREFIX_OVERLAP, "the prefix overlaps another");

/// Kind of prefix: each has an overlap check of its own (Section 10.19).
#[derive(Clone, Copy)]
enum PrefixOf {
    Namespaces,
    Tracks,
}

fn check_error(error: &RequestError) -> Result<(), Misuse> {
    if error.redirect.is_some() != (error.code == RequestCode::REDIRECT) {
        return Err(Misuse::BadField("a redirect goes with the code REDIRECT, and only with it"));
    }
    if error.reason.len() > message::MAX_REASON_LEN {
        return Err(Misuse::TooLong { what: "the reason", max: message::MAX_REASON_LEN });
    }
    Ok(())
}
