//! Serving a broadcast to one session: announcement, subscriptions and fetches.

use std::collections::BTreeMap;

use moqt::{
    DoneCode, Event, FetchOk, Filter, GroupOrder, Location, Micros, Misuse, Params, Properties, RequestCode,
    ResetCode, Session, TrackName,
    data::{FetchObject, ObjectHeader, RangeEnd, Status, SubgroupHeader, SubgroupId},
    message::RequestError,
    session::{Delivery, RequestId, StreamId},
};

use crate::{
    Broadcast,
    broadcast::{Group, Object, Track},
};

/// Bytes of one group that may wait for the transport; a subscriber that is further behind misses the rest of the
/// group.
pub const MAX_BACKLOG: usize = 4 << 20;

/// The session that a publisher serves, and the transport below it.
pub trait SessionContext {
    /// Returns the session.
    fn session(&mut self) -> &mut Session;
    /// Returns the present time, by the session's clock.
    fn now(&self) -> Micros;
    /// Returns the number of bytes written to a stream that the transport has not taken.
    fn backlog(&self, stream: StreamId) -> usize;
}

impl SessionContext for moqt::Cx<'_> {
    fn session(&mut self) -> &mut Session {
        self.session
    }

    fn now(&self) -> Micros {
        self.now
    }

    fn backlog(&self, stream: StreamId) -> usize {
        moqt::Cx::backlog(self, stream)
    }
}

/// The peer refused the broadcast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code of the refusal.
    pub code: RequestCode,
    /// The reason for people to read; may be empty.
    pub reason: String,
}

/// Serves a broadcast to one session: announces it, answers requests for its tracks, and sends its groups to
/// subscribers.
///
/// Hand it the session's events ([`event`](Self::event)), and [`flush`](Self::flush) it whenever the broadcast has more
/// or the transport took some. It never owes a subscriber more than the groups that the broadcast keeps: a subscriber
/// that is too slow misses the rest of a group and goes on with the next.
#[derive(Debug, Default)]
pub struct Publisher {
    announced: Option<RequestId>,
    accepted: bool,
    subscriptions: BTreeMap<RequestId, Subscription>,
    drops: u64,
}

#[derive(Debug)]
struct Subscription {
    track: usize,
    /// Location of the next object to send.
    next: Location,
    /// Number of the last group that the subscriber wants.
    end_group: Option<u64>,
    /// The stream of the group that `next` is in, if it has begun.
    stream: Option<StreamId>,
    forward: bool,
}

impl Publisher {
    /// Returns the number of groups reset because a subscriber was too slow.
    pub fn drops(&self) -> u64 {
        self.drops
    }

    /// Returns the number of open subscriptions.
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    /// Returns whether the peer has accepted the broadcast's namespace.
    pub fn is_accepted(&self) -> bool {
        self.accepted
    }

    /// Handles the session's events about requests and streams; ignores all others.
    pub fn event(
        &mut self,
        cx: &mut impl SessionContext,
        broadcast: &Broadcast,
        event: &Event,
    ) -> Result<(), Refusal> {
        match event {
            Event::RequestError { request, error } => {
                self.subscriptions.remove(request);
                if self.announced == Some(*request) {
                    self.announced = None;
                    let reason = error.reason_text().to_owned();
                    return Err(Refusal { code: error.code, reason });
                }
            }
            event => {
                if let Err(misuse) = self.answer(cx, broadcast, event) {
                    // The peer ended the request before we answered it.
                    tracing::debug!(%misuse, "the request had ended before its answer");
                }
            }
        }
        Ok(())
    }

    fn answer(
        &mut self,
        cx: &mut impl SessionContext,
        broadcast: &Broadcast,
        event: &Event,
    ) -> Result<(), Misuse> {
        let session = cx.session();
        match event {
            Event::Ready(_) => {
                let namespace = broadcast.namespace().clone();
                self.announced = Some(session.publish_namespace(namespace, Params::default())?);
            }
            Event::RequestOk { request, params, .. } => {
                if self.announced == Some(*request) {
                    self.accepted = true;
                } else if let Some(subscription) = self.subscriptions.get_mut(request) {
                    subscription.update(params);
                }
            }
            Event::Subscribe { request, track, params } => {
                let Some((index, track)) = find(broadcast, track) else {
                    return session.reject(*request, no_such_track());
                };
                session.accept_subscribe(*request, newest(track), track.properties().clone())?;
                self.subscriptions.insert(*request, Subscription::new(index, track, params));
            }
            Event::TrackStatus { request, track, .. } => match find(broadcast, track) {
                Some((_, track)) => session.accept(*request, newest(track), track.properties().clone())?,
                None => session.reject(*request, no_such_track())?,
            },
            Event::Fetch { request, track, start, end, params } => match find(broadcast, track) {
                Some((_, track)) => fetch(cx, track, *request, (*start, *end), params)?,
                None => session.reject(*request, no_such_track())?,
            },
            Event::SubscribeNamespace { request, prefix, .. } => {
                session.accept(*request, Params::default(), Properties::NONE)?;
                if let Some(suffix) = broadcast.namespace().strip_prefix(prefix) {
                    session.namespace(*request, suffix)?;
                }
            }
            Event::SubscribeTracks { request, prefix, params } => {
                session.accept(*request, Params::default(), Properties::NONE)?;
                if prefix.is_prefix_of(broadcast.namespace()) {
                    self.offer(cx.session(), broadcast, params)?;
                }
            }
            Event::Update { request, params } => {
                let track = self.subscriptions.get(request).map(|subscription| subscription.track);
                let largest = track.and_then(|track| broadcast.tracks().get(track)?.largest());
                session.accept_update(*request, Params { largest, ..Params::default() })?;
                if let Some(subscription) = self.subscriptions.get_mut(request) {
                    subscription.update(params);
                }
            }
            Event::PublishNamespace { request, .. } | Event::Publish { request, .. } => {
                let error =
                    RequestError::new(RequestCode::NOT_SUPPORTED, "a creator accepts no published tracks");
                session.reject(*request, error)?;
            }
            Event::Cancelled { request, .. } => {
                self.subscriptions.remove(request);
            }
            Event::StreamStopped { stream, code } => self.stopped(*stream, *code),
            _ => {}
        }
        Ok(())
    }

    /// Publishes every track to a peer that asked for them by SUBSCRIBE_TRACKS.
    fn offer(&mut self, session: &mut Session, broadcast: &Broadcast, asked: &Params) -> Result<(), Misuse> {
        for (index, track) in broadcast.tracks().iter().enumerate() {
            let params = Params { forward: asked.forward, ..newest(track) };
            match session.publish(track.name().clone(), params, track.properties().clone()) {
                Ok(request) => {
                    self.subscriptions.insert(request, Subscription::new(index, track, asked));
                }
                // The peer is subscribed to it already.
                Err(Misuse::DuplicateSubscription(_)) => {}
                Err(misuse) => return Err(misuse),
            }
        }
        Ok(())
    }

    fn stopped(&mut self, stream: StreamId, code: ResetCode) {
        if code == ResetCode::DELIVERY_TIMEOUT {
            self.drops += 1;
        }
        let mut subscriptions = self.subscriptions.values_mut();
        if let Some(subscription) = subscriptions.find(|subscription| subscription.stream == Some(stream)) {
            subscription.skip();
        }
    }

    /// Sends everything that subscribers want and the transport can take.
    pub fn flush(&mut self, cx: &mut impl SessionContext, broadcast: &Broadcast) {
        let requests: Vec<RequestId> = self.subscriptions.keys().copied().collect();
        for request in requests {
            let Some(subscription) = self.subscriptions.get_mut(&request) else { continue };
            let Some(track) = broadcast.tracks().get(subscription.track) else { continue };
            let mut serving = Serving { cx: &mut *cx, request, track, drops: &mut self.drops };
            match subscription.flush(&mut serving) {
                Ok(Served::All) if broadcast.is_finished() => {
                    self.end(cx, request, DoneCode::TRACK_ENDED);
                }
                Ok(Served::Range) => self.end(cx, request, DoneCode::SUBSCRIPTION_ENDED),
                Ok(Served::All) => {}
                Err(misuse) => {
                    // The session has ended the subscription; its event is still to come.
                    tracing::debug!(%misuse, "the subscription has ended");
                    self.subscriptions.remove(&request);
                }
            }
        }
    }

    fn end(&mut self, cx: &mut impl SessionContext, request: RequestId, code: DoneCode) {
        self.subscriptions.remove(&request);
        if let Err(misuse) = cx.session().done(request, code, "") {
            tracing::debug!(%misuse, "the subscription had ended before");
        }
    }

    /// Withdraws the namespace from the peer.
    pub fn withdraw(&mut self, cx: &mut impl SessionContext) {
        if let Some(request) = self.announced.take() {
            let _ = cx.session().cancel(request);
        }
    }
}

/// A subscription's state after a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Served {
    /// Everything that the broadcast has was sent.
    All,
    /// Everything in the requested range was sent.
    Range,
}

/// The parts that serving one subscription needs.
struct Serving<'a, L> {
    cx: &'a mut L,
    request: RequestId,
    track: &'a Track,
    drops: &'a mut u64,
}

impl Subscription {
    fn new(index: usize, track: &Track, params: &Params) -> Self {
        let largest = track.largest();
        let next = match &params.filter {
            Some(filter) => filter.start(largest),
            // Without a filter, begin with the newest group from its start, so that decoding can begin at once.
            None => largest.map_or(Location::default(), |largest| Location::new(largest.group, 0)),
        };
        let end_group = params.filter.as_ref().and_then(Filter::end_group);
        let forward = params.forward.unwrap_or(true);
        Self { track: index, next, end_group, stream: None, forward }
    }

    fn update(&mut self, params: &Params) {
        self.forward = params.forward.unwrap_or(self.forward);
        if let Some(filter) = &params.filter {
            self.end_group = filter.end_group();
        }
    }

    /// Skips the rest of the group.
    fn skip(&mut self) {
        self.next = Location::new(self.next.group.saturating_add(1), 0);
        self.stream = None;
    }

    fn flush<L: SessionContext>(&mut self, serving: &mut Serving<'_, L>) -> Result<Served, Misuse> {
        let track = serving.track;
        for group in track.groups() {
            if group.id() < self.next.group {
                continue;
            }
            if self.end_group.is_some_and(|end| group.id() > end) {
                return Ok(Served::Range);
            }
            if !self.forward {
                // Objects published while forwarding is off are not sent later.
                self.next = Location::new(group.id(), group.end());
                self.stream = None;
                continue;
            }
            if group.id() > self.next.group {
                self.reset_group(serving)?;
                self.next = Location::new(group.id(), 0);
            }
            self.flush_group(serving, group)?;
        }
        match self.end_group {
            Some(end) if self.next.group > end => Ok(Served::Range),
            _ => Ok(Served::All),
        }
    }

    /// Resets the stream of a group that is not kept any more.
    fn reset_group<L: SessionContext>(&mut self, serving: &mut Serving<'_, L>) -> Result<(), Misuse> {
        if let Some(stream) = self.stream.take() {
            *serving.drops += 1;
            serving.cx.session().reset(stream, ResetCode::TOO_FAR_BEHIND)?;
        }
        Ok(())
    }

    fn flush_group<L: SessionContext>(
        &mut self,
        serving: &mut Serving<'_, L>,
        group: &Group,
    ) -> Result<(), Misuse> {
        if self.next.object < group.first() {
            // The next object is not kept: without it the rest of the group cannot be decoded.
            self.reset_group(serving)?;
            self.skip();
            return Ok(());
        }
        while let Some(object) = group.object(self.next.object) {
            let stream = match self.stream {
                Some(stream) => stream,
                None => *self.stream.insert(self.open(serving)?),
            };
            if serving.cx.backlog(stream) > MAX_BACKLOG {
                self.reset_group(serving)?;
                self.skip();
                return Ok(());
            }
            if send(serving.cx, stream, self.next.object, object)? == Delivery::Expired {
                *serving.drops += 1;
                self.skip();
                return Ok(());
            }
            self.next.object += 1;
        }
        if group.is_ended() && self.next.object >= group.end() {
            let now = serving.cx.now();
            if let Some(stream) = self.stream {
                serving.cx.session().finish(now, stream)?;
            }
            self.skip();
        }
        Ok(())
    }

    fn open<L: SessionContext>(&self, serving: &mut Serving<'_, L>) -> Result<StreamId, Misuse> {
        let header = SubgroupHeader {
            group: self.next.group,
            subgroup: SubgroupId::Zero,
            priority: Some(serving.track.priority()),
            properties: true,
            end_of_group: true,
            first_object: self.next.object == 0,
            ..SubgroupHeader::default()
        };
        serving.cx.session().open_subgroup(serving.request, header)
    }
}

fn send(
    cx: &mut impl SessionContext,
    stream: StreamId,
    id: u64,
    object: &Object,
) -> Result<Delivery, Misuse> {
    let now = cx.now();
    let session = cx.session();
    let header = ObjectHeader {
        id,
        properties: object.properties.clone(),
        payload_len: object.payload.len() as u64,
        status: Status::Normal,
    };
    let delivery = session.object(now, stream, &header, object.born)?;
    if delivery == Delivery::Sent {
        session.payload(stream, object.payload.clone())?;
    }
    Ok(delivery)
}

/// Answers a FETCH with the objects that are kept.
fn fetch(
    cx: &mut impl SessionContext,
    track: &Track,
    request: RequestId,
    (start, end): (Location, Location),
    params: &Params,
) -> Result<(), Misuse> {
    let now = cx.now();
    let session = cx.session();
    // In FETCH's encoding, an end at object 0 means the whole group.
    let end = if end.object == 0 { Location::new(end.group.saturating_add(1), 0) } else { end };
    let after = track.largest().map(|largest| Location::new(largest.group, largest.object + 1));
    let Some(end) = after.map(|after| end.min(after)).filter(|end| start < *end) else {
        return session.reject(request, nothing_there("nothing has been published there yet"));
    };
    let mut wanted: Vec<(Location, &Object)> = track
        .groups()
        .flat_map(|group| {
            let objects = (group.first()..group.end()).filter_map(|id| Some((id, group.object(id)?)));
            objects.map(|(id, object)| (Location::new(group.id(), id), object))
        })
        .filter(|(at, _)| (start..end).contains(at))
        .collect();
    if wanted.is_empty() {
        return session.reject(request, nothing_there("those groups are not kept any more"));
    }
    let descending = params.group_order == Some(GroupOrder::Descending);
    if descending {
        wanted.sort_by_key(|(at, _)| (u64::MAX - at.group, at.object));
    }
    let stream = session.open_fetch(request)?;
    let properties = track.properties().clone();
    session.accept_fetch(request, FetchOk { end, properties, ..FetchOk::default() })?;
    // Objects before those that are kept existed and were dropped: their status is unknown.
    if let Some(evicted) = track.evicted().filter(|evicted| *evicted >= start && !descending) {
        session.range_end(stream, RangeEnd::Unknown(evicted))?;
    }
    for (location, object) in wanted {
        let header = FetchObject {
            location,
            subgroup: Some(0),
            priority: track.priority(),
            properties: object.properties.clone(),
            payload_len: object.payload.len() as u64,
        };
        session.fetch_object(stream, &header)?;
        session.payload(stream, object.payload.clone())?;
    }
    session.finish(now, stream)
}

fn find<'a>(broadcast: &'a Broadcast, name: &TrackName) -> Option<(usize, &'a Track)> {
    let index = broadcast.find(name)?;
    Some((index, broadcast.tracks().get(index)?))
}

/// Returns the parameters that name the newest object to a subscriber.
fn newest(track: &Track) -> Params {
    Params { largest: track.largest(), ..Params::default() }
}

fn no_such_track() -> RequestError {
    RequestError::new(RequestCode::DOES_NOT_EXIST, "no such track in this broadcast")
}

fn nothing_there(reason: &str) -> RequestError {
    RequestError::new(RequestCode::INVALID_RANGE, reason)
}
