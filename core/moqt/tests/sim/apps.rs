//! A publisher and a subscriber, as an application would write them.

use std::collections::BTreeMap;

use moqt::{
    DoneCode, Event, FetchOk, Filter, GroupOrder, Location, Micros, Misuse, Namespace, Params, Properties,
    RequestCode, ResetCode, TrackName,
    data::{Datagram, DatagramBody, FetchObject, ObjectHeader, Status, SubgroupHeader, SubgroupId},
    message::{FetchKind, JoiningStart, RequestError},
    session::{Delivery, RequestId, StreamId},
};

use testnet::{App, Cx};

use crate::track::{Collector, Shape};

pub(crate) fn track() -> TrackName {
    TrackName::new(Namespace::from_path("fanfare/room").unwrap(), "video").unwrap()
}

/// Way in which a publisher makes itself known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announce {
    /// It waits to be asked.
    Nothing,
    /// It offers the track itself.
    Track,
}

/// Publishes one track, an object every `pace`, to all subscribers.
pub(crate) struct Publisher {
    pub(crate) shape: Shape,
    pub(crate) announce: Announce,
    pub(crate) pace: Micros,
    /// Percent of objects whose stream is reset instead.
    pub(crate) resets: u64,
    /// Objects in datagrams rather than subgroups.
    pub(crate) datagrams: bool,
    pub(crate) next: usize,
    pub(crate) subscriptions: BTreeMap<(usize, RequestId), BTreeMap<u64, StreamId>>,
    pub(crate) fetches: u64,
    pub(crate) cancelled: u64,
    pub(crate) refused: Vec<RequestError>,
    /// Start only once this many subscriptions are there.
    pub(crate) start_at: usize,
    pub(crate) answered: Vec<Properties>,
}

impl Publisher {
    pub(crate) fn new(shape: Shape) -> Self {
        Self {
            shape,
            announce: Announce::Nothing,
            pace: Micros(3_000),
            resets: 0,
            datagrams: false,
            next: 0,
            subscriptions: BTreeMap::new(),
            fetches: 0,
            cancelled: 0,
            refused: Vec::new(),
            start_at: 1,
            answered: Vec::new(),
        }
    }

    fn published(&self) -> Option<Location> {
        self.next.checked_sub(1).and_then(|last| self.shape.locations().nth(last))
    }

    fn join(&mut self, cx: &mut Cx<'_>, session: usize, request: RequestId) {
        self.subscriptions.insert((session, request), BTreeMap::new());
        if self.next == 0 && self.subscriptions.len() == self.start_at {
            cx.wake_at(cx.now + self.pace);
        }
    }

    fn send(&mut self, cx: &mut Cx<'_>, at: Location) {
        let shape = self.shape;
        let payload = shape.payload(at);
        let last_of_group = at.object + shape.subgroups >= shape.objects;
        for (&(index, request), streams) in &mut self.subscriptions {
            let now = cx.now;
            let break_off = cx.rng.chance(self.resets);
            let session = cx.session(index);
            if self.datagrams {
                let datagram = Datagram {
                    track_alias: 0,
                    group: at.group,
                    object: at.object,
                    priority: Some(shape.priority(at)),
                    properties: shape.properties(at),
                    end_of_group: false,
                    body: DatagramBody::Payload(payload.clone()),
                };
                session.datagram(request, datagram).unwrap();
                continue;
            }
            let subgroup = shape.subgroup(at);
            let stream = match streams.get(&subgroup) {
                Some(stream) => *stream,
                None if at.object >= shape.subgroups => continue, // It was broken off.
                None => {
                    let header = SubgroupHeader {
                        group: at.group,
                        subgroup: [SubgroupId::FirstObject, SubgroupId::Id(subgroup)]
                            [(at.group % 2) as usize],
                        priority: Some(shape.priority(at)),
                        properties: true,
                        first_object: true,
                        ..SubgroupHeader::default()
                    };
                    let stream = session.open_subgroup(request, header).unwrap();
                    streams.insert(subgroup, stream);
                    stream
                }
            };
            let header = ObjectHeader {
                id: at.object,
                properties: shape.properties(at),
                payload_len: payload.len() as u64,
                status: Status::Normal,
            };
            assert_eq!(session.object(now, stream, &header, now).unwrap(), Delivery::Sent);
            let half = payload.len() / 2;
            session.payload(stream, payload.slice(..half)).unwrap();
            if break_off {
                session.reset(stream, ResetCode::CANCELLED).unwrap();
                streams.remove(&subgroup);
                continue;
            }
            session.payload(stream, payload.slice(half..)).unwrap();
            if last_of_group {
                session.finish(now, stream).unwrap();
                streams.remove(&subgroup);
            }
        }
    }

    fn fetch(
        &mut self,
        cx: &mut Cx<'_>,
        session: usize,
        request: RequestId,
        range: (Location, Location),
        params: &Params,
    ) {
        self.fetches += 1;
        let now = cx.now;
        let session = cx.session(session);
        let Some(largest) = self.published().filter(|largest| range.0 <= *largest) else {
            let error = RequestError::new(RequestCode::INVALID_RANGE, "nothing there");
            return session.reject(request, error).unwrap();
        };
        let after = Location::new(largest.group, largest.object + 1);
        let end = if range.1.object == 0 { Location::new(range.1.group + 1, 0) } else { range.1 }.min(after);
        let mut objects: Vec<_> = self.shape.locations().filter(|at| (range.0..end).contains(at)).collect();
        if params.group_order == Some(GroupOrder::Descending) {
            objects.sort_by_key(|at| (u64::MAX - at.group, at.object));
        }
        let stream = session.open_fetch(request).unwrap();
        let ok = FetchOk { end, ..FetchOk::default() };
        session.accept_fetch(request, ok).unwrap();
        for at in objects {
            let payload = self.shape.payload(at);
            let object = FetchObject {
                location: at,
                subgroup: Some(self.shape.subgroup(at)),
                priority: self.shape.priority(at),
                properties: self.shape.properties(at),
                payload_len: payload.len() as u64,
            };
            session.fetch_object(stream, &object).unwrap();
            session.payload(stream, payload).unwrap();
        }
        session.finish(now, stream).unwrap();
    }
}

impl App for Publisher {
    fn start(&mut self, cx: &mut Cx<'_>) {
        let session = cx.session(0);
        match self.announce {
            Announce::Nothing => {}
            Announce::Track => {
                let request = session.publish(track(), Params::default(), Properties::NONE).unwrap();
                self.join(cx, 0, request);
            }
        }
    }

    fn event(&mut self, cx: &mut Cx<'_>, session: usize, event: Event) {
        let largest = self.published();
        match event {
            Event::Subscribe { request, track: name, .. } => {
                if name != track() {
                    let error = RequestError::new(RequestCode::DOES_NOT_EXIST, "no such track");
                    return cx.session(session).reject(request, error).unwrap();
                }
                let params = Params { largest, ..Params::default() };
                if cx.session(session).accept_subscribe(request, params, Properties::NONE).is_ok() {
                    self.join(cx, session, request);
                }
            }
            Event::TrackStatus { request, .. } => {
                let properties = Properties::builder().int(0x0E, 7).build();
                cx.session(session)
                    .accept(request, Params { largest, ..Params::default() }, properties)
                    .unwrap();
            }
            Event::Fetch { request, start, end, params, .. } => {
                self.fetch(cx, session, request, (start, end), &params);
            }
            Event::Update { request, .. } => {
                cx.session(session).accept_update(request, Params { largest, ..Params::default() }).unwrap();
            }
            Event::SubscribeTracks { request, .. } => {
                cx.session(session).accept(request, Params::default(), Properties::NONE).unwrap();
                let offer = cx
                    .session(session)
                    .publish(track(), Params { largest, ..Params::default() }, Properties::NONE)
                    .unwrap();
                self.join(cx, session, offer);
            }
            Event::Cancelled { request, .. } => {
                self.cancelled += 1;
                self.subscriptions.remove(&(session, request));
            }
            Event::RequestError { request, error } => {
                self.refused.push(error);
                self.subscriptions.remove(&(session, request));
            }
            Event::StreamStopped { stream, .. } => {
                for streams in self.subscriptions.values_mut() {
                    streams.retain(|_, open| *open != stream);
                }
            }
            Event::Closed { .. } => {
                self.subscriptions.retain(|(index, _), _| *index != session);
            }
            Event::RequestOk { properties, .. } => self.answered.push(properties),
            Event::Ready(_) | Event::GoAway { .. } => {}
            other => panic!("the publisher was told {other:?}"),
        }
    }

    fn wake(&mut self, cx: &mut Cx<'_>) {
        if let Some(at) = self.shape.locations().nth(self.next) {
            self.next += 1;
            self.send(cx, at);
            cx.wake_at(cx.now + self.pace);
        } else {
            for (index, request) in std::mem::take(&mut self.subscriptions).into_keys() {
                cx.session(index).done(request, DoneCode::TRACK_ENDED, "the show is over").unwrap();
            }
        }
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// Request that a subscriber makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Subscribe,
    /// SUBSCRIBE after a while, and a joining fetch from the start of that many groups back.
    Join {
        after: Micros,
        back: u64,
    },
    /// SUBSCRIBE with a filter, after a while.
    Filtered {
        after: Micros,
        filter: Filter,
    },
    /// A SUBSCRIBE_TRACKS for the namespace.
    Tracks,
    /// SUBSCRIBE, and leave after so many objects.
    Leave {
        objects: usize,
    },
    /// Fetch all of it when it is over.
    Past {
        after: Micros,
        order: GroupOrder,
    },
    /// A TRACK_STATUS for the track.
    Status,
}

pub(crate) struct Subscriber {
    pub(crate) ask: Ask,
    pub(crate) collector: Collector,
    pub(crate) request: Option<RequestId>,
    pub(crate) fetch: Option<RequestId>,
    pub(crate) accepted: Option<Params>,
    pub(crate) done: Option<DoneCode>,
    pub(crate) refused: Vec<RequestError>,
    pub(crate) datagrams: BTreeMap<Location, u32>,
    pub(crate) status: Option<(Params, Properties)>,
    pub(crate) rendezvous: Option<u64>,
    pub(crate) left: Option<Micros>,
    pub(crate) closed: bool,
    shape: Shape,
}

impl Subscriber {
    pub(crate) fn new(shape: Shape, ask: Ask) -> Self {
        Self {
            ask,
            collector: Collector::new(shape),
            request: None,
            fetch: None,
            accepted: None,
            done: None,
            refused: Vec::new(),
            datagrams: BTreeMap::new(),
            status: None,
            rendezvous: None,
            left: None,
            closed: false,
            shape,
        }
    }

    fn subscribe(&mut self, cx: &mut Cx<'_>, filter: Option<Filter>) {
        let params = Params { rendezvous_timeout: self.rendezvous, filter, ..Params::default() };
        self.request = Some(cx.session(0).subscribe(track(), params).unwrap());
    }
}

impl App for Subscriber {
    fn start(&mut self, cx: &mut Cx<'_>) {
        let prefix = Namespace::from_path("fanfare").unwrap();
        match self.ask {
            Ask::Subscribe | Ask::Leave { .. } => self.subscribe(cx, None),
            Ask::Join { after, .. } | Ask::Filtered { after, .. } | Ask::Past { after, .. } => {
                cx.wake_at(cx.now + after);
            }
            Ask::Tracks => {
                cx.session(0).subscribe_tracks(prefix, Params::default()).unwrap();
            }
            Ask::Status => {
                cx.session(0).track_status(track(), Params::default()).unwrap();
            }
        }
    }

    fn wake(&mut self, cx: &mut Cx<'_>) {
        match self.ask {
            Ask::Join { back, .. } => {
                self.subscribe(cx, None);
                let request = self.request.unwrap();
                // Without waiting for SUBSCRIBE_OK: the publisher holds it back.
                let kind = FetchKind::Joining { request_id: request.0, start: JoiningStart::Relative(back) };
                self.fetch = Some(cx.session(0).fetch(kind, Params::default()).unwrap());
            }
            Ask::Filtered { filter, .. } => self.subscribe(cx, Some(filter)),
            Ask::Past { order, .. } => {
                let kind = FetchKind::Standalone {
                    track: track(),
                    start: Location::default(),
                    end: Location::new(self.shape.groups, 0),
                };
                let params = Params { group_order: Some(order), ..Params::default() };
                self.fetch = Some(cx.session(0).fetch(kind, params).unwrap());
            }
            _ => {}
        }
    }

    fn event(&mut self, cx: &mut Cx<'_>, session: usize, event: Event) {
        assert!(!self.closed, "{event:?} after Closed");
        match event {
            Event::SubscribeOk { params, .. } => self.accepted = Some(*params),
            Event::Publish { request, .. } => {
                self.request = Some(request);
                cx.session(session).accept(request, Params::default(), Properties::NONE).unwrap();
            }
            Event::Done { request, code, .. } => {
                assert_eq!(Some(request), self.request);
                match self.left {
                    None => self.done = Some(code),
                    Some(left) => assert_eq!(left, cx.now, "a word on what was taken back"),
                }
            }
            Event::RequestError { error, .. } => self.refused.push(error),
            Event::RequestOk { params, properties, .. } => self.status = Some((*params, properties)),
            Event::Datagram { datagram, .. } => {
                let at = Location::new(datagram.group, datagram.object);
                assert_eq!(datagram.body, DatagramBody::Payload(self.shape.payload(at)));
                assert_eq!(datagram.properties, self.shape.properties(at));
                *self.datagrams.entry(at).or_default() += 1;
            }
            Event::Closed { .. } => self.closed = true,
            Event::Ready(_) | Event::FetchOk { .. } | Event::Cancelled { .. } | Event::GoAway { .. } => {}
            event => {
                if let Some(left) = self.left {
                    // Events that the session had emitted by then may still arrive.
                    assert_eq!(cx.now, left, "{event:?} of a subscription that was taken back");
                    return;
                }
                self.collector.event(event);
                if let Ask::Leave { objects } = self.ask
                    && self.collector.order.len() == objects
                {
                    self.left = Some(cx.now);
                    // It may have ended in the meantime.
                    let request = self.request.unwrap();
                    let _ = cx.session(0).cancel(request);
                    assert_eq!(cx.session(0).cancel(request), Err(Misuse::UnknownRequest(request)));
                }
            }
        }
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// Publishes nothing, and keeps subscriptions waiting for as long as they may.
pub(crate) struct Absent;

impl App for Absent {
    fn event(&mut self, cx: &mut Cx<'_>, session: usize, event: Event) {
        if let Event::Subscribe { request, .. } = event {
            let now = cx.now;
            cx.session(session).hold(now, request).unwrap();
        }
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}
