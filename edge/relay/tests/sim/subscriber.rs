//! A subscriber's session: it requests its tracks, again if they are refused, and checks everything that arrives.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
    task::{Context, Poll},
};

use moqt::{
    App, Cx, DoneCode, Event, Later, Location, Micros, Namespace, Params, Properties, RequestCode,
    SessionCode, TrackName,
    data::{DatagramBody, SubgroupHeader, SubgroupId},
    message::FetchKind,
    session::{RequestId, StreamId},
};

use crate::{
    content::{Shape, maker, track},
    executor::{Signal, Sim, later},
};

/// The pause before what was refused is asked for again.
const AGAIN: Micros = Micros::from_millis(500);

/// The way in which a subscriber requests its tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It sends SUBSCRIBE for each track.
    Names,
    /// SUBSCRIBE_NAMESPACE, and SUBSCRIBE once the namespace is there.
    Namespaces,
    /// It sends SUBSCRIBE_TRACKS and takes what is offered.
    Tracks,
}

/// The end of a fetch, as the subscriber saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ended,
    Reset,
    Refused(RequestCode),
}

/// The result of a fetch.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    pub(crate) objects: Vec<Location>,
    pub(crate) outcome: Outcome,
}

/// A subscriber's wishes and results over all its sessions, for the test to read.
pub(crate) struct Report {
    pub(crate) name: String,
    pub(crate) shapes: Vec<Shape>,
    pub(crate) rendezvous: Option<u64>,
    pub(crate) wants: RefCell<BTreeSet<usize>>,
    pub(crate) to_fetch: RefCell<VecDeque<(usize, Location, Location)>>,
    pub(crate) is_leaving: Cell<bool>,
    pub(crate) changed: Signal,
    /// The newest object of each track by each creator.
    pub(crate) newest: RefCell<BTreeMap<(usize, u64), Location>>,
    /// Objects of the subscriptions, in the order in which they were complete.
    pub(crate) objects: RefCell<Vec<(usize, Location, Micros)>>,
    /// The last object of each subgroup that ended, and when it did.
    pub(crate) ended: RefCell<Vec<(usize, Location, Micros)>>,
    pub(crate) fetched: RefCell<Vec<Fetched>>,
    pub(crate) namespaces: RefCell<BTreeSet<Namespace>>,
    pub(crate) refused: RefCell<Vec<RequestCode>>,
    pub(crate) done: RefCell<Vec<DoneCode>>,
    pub(crate) resets: Cell<u64>,
    pub(crate) sessions: Cell<u64>,
    pub(crate) goaways: Cell<u64>,
}

impl Report {
    pub(crate) fn new(name: String, shapes: &[Shape], wants: &[usize], rendezvous: Option<u64>) -> Rc<Self> {
        Rc::new(Self {
            name,
            shapes: shapes.to_vec(),
            rendezvous,
            wants: RefCell::new(wants.iter().copied().collect()),
            to_fetch: RefCell::default(),
            is_leaving: Cell::new(false),
            changed: Signal::default(),
            newest: RefCell::default(),
            objects: RefCell::default(),
            ended: RefCell::default(),
            fetched: RefCell::default(),
            namespaces: RefCell::default(),
            refused: RefCell::default(),
            done: RefCell::default(),
            resets: Cell::new(0),
            sessions: Cell::new(0),
            goaways: Cell::new(0),
        })
    }

    pub(crate) fn want(&self, wants: &[usize]) {
        *self.wants.borrow_mut() = wants.iter().copied().collect();
        self.changed.wake();
    }

    pub(crate) fn fetch(&self, track: usize, start: Location, end: Location) {
        self.to_fetch.borrow_mut().push_back((track, start, end));
        self.changed.wake();
    }

    pub(crate) fn leave(&self) {
        self.is_leaving.set(true);
        self.changed.wake();
    }

    fn got(&self, track: usize, at: Location, now: Micros) {
        self.objects.borrow_mut().push((track, at, now));
        let mut newest = self.newest.borrow_mut();
        let newest = newest.entry((track, maker(at.group))).or_insert(at);
        *newest = at.max(*newest);
    }
}

pub(crate) struct Subscriber {
    sim: Sim,
    report: Rc<Report>,
    manner: Manner,
    begun: bool,
    subscriptions: BTreeMap<RequestId, Subscription>,
    fetches: BTreeMap<RequestId, (usize, Vec<Location>)>,
    streams: BTreeMap<StreamId, Stream>,
    again: Option<Later<'static, ()>>,
}

struct Subscription {
    track: usize,
    seen: BTreeSet<Location>,
}

struct Stream {
    request: RequestId,
    track: usize,
    /// None for that of a fetch.
    header: Option<SubgroupHeader>,
    last: Option<Location>,
    /// The object that is arriving: where it is, its properties and length.
    object: Option<(Location, Properties, u64)>,
    payload: Vec<u8>,
}

impl Subscriber {
    pub(crate) fn new(sim: Sim, report: Rc<Report>, manner: Manner) -> Self {
        report.sessions.set(report.sessions.get() + 1);
        Self {
            sim,
            report,
            manner,
            begun: false,
            subscriptions: BTreeMap::new(),
            fetches: BTreeMap::new(),
            streams: BTreeMap::new(),
            again: None,
        }
    }

    fn shape(&self, track: usize) -> Shape {
        self.report.shapes[track]
    }

    fn number(&self, name: &TrackName) -> usize {
        (0..self.report.shapes.len()).find(|number| track(*number) == *name).expect("a track of the show")
    }

    fn begin(&mut self, cx: &mut Cx<'_>) {
        let prefix = Namespace::from_path("show").unwrap();
        match self.manner {
            Manner::Names => {}
            Manner::Namespaces => {
                cx.session.subscribe_namespace(prefix, Params::default()).unwrap();
            }
            Manner::Tracks => {
                cx.session.subscribe_tracks(prefix, Params::default()).unwrap();
            }
        }
    }

    /// Asks for what is wanted, and no more for what is not.
    fn tune(&mut self, cx: &mut Cx<'_>) {
        let wants = self.report.wants.borrow().clone();
        let unwanted: Vec<_> = self
            .subscriptions
            .iter()
            .filter(|(_, subscription)| !wants.contains(&subscription.track))
            .map(|(request, _)| *request)
            .collect();
        for request in unwanted {
            let _ = cx.session.cancel(request);
            self.subscriptions.remove(&request);
            self.streams.retain(|_, stream| stream.request != request);
        }
        let may_ask = match self.manner {
            Manner::Names => true,
            Manner::Namespaces => !self.report.namespaces.borrow().is_empty(),
            Manner::Tracks => false,
        };
        if !may_ask || self.again.is_some() {
            return;
        }
        for wanted in wants {
            if self.subscriptions.values().any(|subscription| subscription.track == wanted) {
                continue;
            }
            let params = Params { rendezvous_timeout: self.report.rendezvous, ..Params::default() };
            if let Ok(request) = cx.session.subscribe(track(wanted), params) {
                self.subscriptions.insert(request, Subscription { track: wanted, seen: BTreeSet::new() });
            } else {
                self.ask_again();
            }
        }
    }

    fn ask_again(&mut self) {
        let sim = self.sim.clone();
        self.again = Some(later(async move { sim.sleep(AGAIN).await }));
    }

    fn over(&mut self, request: RequestId) {
        self.subscriptions.remove(&request);
        self.ask_again();
    }

    fn open(&mut self, stream: StreamId, request: RequestId, header: Option<SubgroupHeader>) {
        let track = match header {
            Some(_) => self.subscriptions.get(&request).map(|subscription| subscription.track),
            None => self.fetches.get(&request).map(|(track, _)| *track),
        };
        // Objects of a cancelled request may still arrive.
        let Some(track) = track else { return };
        let opened = Stream { request, track, header, last: None, object: None, payload: Vec::new() };
        assert!(self.streams.insert(stream, opened).is_none());
    }

    fn object(&mut self, cx: &Cx<'_>, id: StreamId, at: Location, properties: Properties, len: u64) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let (name, shape) = (&self.report.name, self.report.shapes[stream.track]);
        assert!(stream.object.is_none(), "{name}: {at:?} before the one before it was complete");
        if let Some(header) = stream.header {
            match stream.last {
                Some(last) => {
                    assert_eq!(
                        at.object,
                        last.object + shape.subgroups,
                        "{name}: after {last:?} on a stream"
                    );
                }
                None if header.first_object => {
                    assert_eq!(at.object, shape.subgroup(at), "{name}: the first of a subgroup");
                }
                None => {}
            }
            match header.subgroup {
                SubgroupId::Id(subgroup) => assert_eq!(subgroup, shape.subgroup(at), "{name}: {at:?}"),
                SubgroupId::Zero => assert_eq!(shape.subgroup(at), 0, "{name}: {at:?}"),
                SubgroupId::FirstObject => {}
            }
        }
        stream.last = Some(at);
        stream.object = Some((at, properties, len));
        self.complete(cx, id);
    }

    fn payload(&mut self, cx: &Cx<'_>, id: StreamId, data: &[u8]) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.payload.extend_from_slice(data);
        self.complete(cx, id);
    }

    fn complete(&mut self, cx: &Cx<'_>, id: StreamId) {
        let stream = self.streams.get_mut(&id).expect("a stream");
        let Some((at, properties, len)) = &stream.object else { panic!("a payload without an object") };
        let (at, track, name) = (*at, stream.track, &self.report.name);
        if (stream.payload.len() as u64) < *len {
            return;
        }
        assert_eq!(stream.payload, self.report.shapes[track].payload(at), "{name}: the payload of {at:?}");
        assert_eq!(*properties, Shape::properties(at), "{name}: the properties of {at:?}");
        let request = stream.request;
        let is_fetched = stream.header.is_none();
        stream.object = None;
        stream.payload.clear();
        if is_fetched {
            self.fetches.get_mut(&request).expect("a fetch").1.push(at);
        } else {
            self.got(request, at, cx.now);
        }
    }

    fn got(&mut self, request: RequestId, at: Location, now: Micros) {
        let Some(subscription) = self.subscriptions.get_mut(&request) else { return };
        let name = &self.report.name;
        assert!(subscription.seen.insert(at), "{name}: {at:?} came twice to {request:?}");
        self.report.got(subscription.track, at, now);
    }

    fn stream_ended(&mut self, cx: &Cx<'_>, id: StreamId) {
        let Some(stream) = self.streams.remove(&id) else { return };
        let name = &self.report.name;
        assert!(stream.object.is_none(), "{name}: a stream ended within {:?}", stream.object);
        if stream.header.is_none() {
            self.fetch_over(stream.request, Outcome::Ended);
        } else if let Some(last) = stream.last {
            assert!(self.shape(stream.track).is_last(last), "{name}: a subgroup ended after {last:?}");
            self.report.ended.borrow_mut().push((stream.track, last, cx.now));
        }
    }

    fn fetch_over(&mut self, request: RequestId, outcome: Outcome) {
        if let Some((_, objects)) = self.fetches.remove(&request) {
            self.report.fetched.borrow_mut().push(Fetched { objects, outcome });
        }
    }
}

impl App for Subscriber {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        match event {
            Event::Publish { request, track, .. } => {
                let track = self.number(&track);
                if self.report.wants.borrow().contains(&track) {
                    self.subscriptions.insert(request, Subscription { track, seen: BTreeSet::new() });
                    let _ = cx.session.accept(request, Params::default(), Properties::NONE);
                } else {
                    let error = moqt::message::RequestError::new(RequestCode::UNINTERESTED, "not that one");
                    let _ = cx.session.reject(request, error);
                }
            }
            Event::RequestError { request, error } => {
                if self.fetches.contains_key(&request) {
                    self.fetch_over(request, Outcome::Refused(error.code));
                } else {
                    self.report.refused.borrow_mut().push(error.code);
                    self.over(request);
                }
            }
            Event::Done { request, code, .. } => {
                self.report.done.borrow_mut().push(code);
                self.over(request);
            }
            Event::Cancelled { request, .. } => {
                self.fetch_over(request, Outcome::Reset);
                self.over(request);
            }
            Event::Namespace { suffix, .. } => {
                assert!(self.report.namespaces.borrow_mut().insert(suffix), "a namespace came twice");
            }
            Event::NamespaceDone { suffix, .. } => {
                assert!(self.report.namespaces.borrow_mut().remove(&suffix), "a namespace went twice");
            }
            Event::Subgroup { stream, request, header } => self.open(stream, request, Some(header)),
            Event::FetchStream { stream, request } => self.open(stream, request, None),
            Event::Object { stream, header } => {
                let Some(of) = self.streams.get(&stream) else { return };
                let group = of.header.expect("an object of a subgroup").group;
                let at = Location::new(group, header.id);
                self.object(cx, stream, at, header.properties, header.payload_len);
            }
            Event::FetchObject { stream, object } => {
                self.object(cx, stream, object.location, object.properties, object.payload_len);
            }
            Event::Payload { stream, data } => self.payload(cx, stream, &data),
            Event::StreamEnded { stream } => self.stream_ended(cx, stream),
            Event::StreamReset { stream, .. } => {
                self.report.resets.set(self.report.resets.get() + 1);
                if let Some(stream) = self.streams.remove(&stream)
                    && stream.header.is_none()
                {
                    self.fetch_over(stream.request, Outcome::Reset);
                }
            }
            Event::Datagram { request, datagram } => {
                let Some(track) = self.subscriptions.get(&request).map(|subscription| subscription.track)
                else {
                    return;
                };
                let at = Location::new(datagram.group, datagram.object);
                assert_eq!(datagram.body, DatagramBody::Payload(self.shape(track).payload(at)));
                assert_eq!(datagram.properties, Shape::properties(at));
                self.got(request, at, cx.now);
            }
            Event::GoAway { .. } => {
                self.report.goaways.set(self.report.goaways.get() + 1);
                cx.session.close(SessionCode::NO_ERROR, "moved");
            }
            _ => {}
        }
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> Poll<()> {
        if !std::mem::replace(&mut self.begun, true) {
            self.report.namespaces.borrow_mut().clear();
            self.begin(cx);
        }
        self.report.changed.watch(task);
        if self.report.is_leaving.get() {
            return Poll::Ready(());
        }
        if self.again.as_mut().is_some_and(|again| again.as_mut().poll(task).is_ready()) {
            self.again = None;
        }
        self.tune(cx);
        // A request that was refused in `tune` has just set the pause: poll it, so that its end wakes this task.
        if let Some(again) = &mut self.again
            && again.as_mut().poll(task).is_ready()
        {
            task.waker().wake_by_ref();
        }
        loop {
            let Some((number, start, end)) = self.report.to_fetch.borrow_mut().pop_front() else { break };
            let kind = FetchKind::Standalone { track: track(number), start, end };
            let request = cx.session.fetch(kind, Params::default()).unwrap();
            self.fetches.insert(request, (number, Vec::new()));
        }
        Poll::Pending
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        for request in self.fetches.keys().copied().collect::<Vec<_>>() {
            self.fetch_over(request, Outcome::Reset);
        }
    }
}
