//! The tracks of a room, over one connection.

mod catalog_fetch;
mod feeds;
mod object_reader;

use std::{cell::RefCell, rc::Rc};

use bytes::Bytes;
use moqt::{
    DoneCode, Event, Filter, GroupOrder, Location, Micros, Misuse, Namespace, Params, Properties,
    RequestCode, TrackName,
    data::Status,
    message::{FetchKind, JoiningStart, RequestError},
    session::{RequestId, StreamId},
};

use self::{
    feeds::{Handover, best_for},
    object_reader::{ObjectReader, PartialObject},
};
use crate::{
    browser::{
        clock::now, playout::Playout, room_client::RoomClient, small_map::SmallMap, state::State,
        transport::Connection,
    },
    catalog::{Catalog, Inits, TRACKS},
    catalog_probe::CatalogProbe,
    frame::Reader,
    jitter::Arrival,
    quality::{Quality, Report},
};

/// Priorities: the catalog goes first, then sound, then the picture.
const CATALOG_PRIORITY: u8 = 32;
const AUDIO_PRIORITY: u8 = 64;
const VIDEO_PRIORITY: u8 = 128;
/// Time that the server may hold a subscription until a creator comes.
const RENDEZVOUS: Micros = Micros::from_millis(10_000);
/// Time without a catalog after which the room counts as offline.
const OFFLINE: Micros = Micros::from_millis(1_500);
/// Pause before a refused request is sent again.
const RETRY: Micros = Micros::from_millis(2_000);
/// The first pause before the past of a track is requested again; it doubles.
const PAUSE: Micros = Micros::from_millis(500);
/// Interval at which the round-trip time is measured.
const PROBE: Micros = Micros::from_millis(2_000);
/// Bytes that one object may have.
const MAX_OBJECT: u64 = 16 << 20;

/// The viewer's preferences.
#[derive(Clone, Debug)]
pub(crate) struct Preferences {
    /// The rendition to play; without one, the best that the network carries.
    pub(crate) rendition: Option<String>,
    /// Set while the picture is visible.
    pub(crate) video: bool,
    /// Set while the sound is audible.
    pub(crate) audio: bool,
    /// Height in pixels at which the picture is shown; 0 if unknown.
    pub(crate) height: u32,
}

/// A change that the player has to know of.
#[derive(Debug)]
pub(crate) enum Finding {
    State(State),
    Catalog(Catalog),
    /// The session has ended, and the server may be reached again by another.
    Closed {
        reason: String,
    },
}

/// The purpose of a request.
#[derive(Clone, Debug)]
enum Purpose {
    /// One of the tracks that may have the catalog.
    Catalog {
        index: usize,
        way: Way,
    },
    Media {
        source: u32,
        arrival: Arrival,
    },
    /// An initialisation segment in a track of its own.
    Init {
        name: String,
        way: Way,
    },
    Probe(Micros),
}

/// The way in which a track with few objects is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// A subscription: objects from now on.
    Live,
    /// A joining fetch: objects before that.
    Past,
    /// A fetch of the first group: a creator that publishes only once may send nothing to later subscribers.
    First,
}

impl From<Arrival> for Way {
    fn from(arrival: Arrival) -> Self {
        match arrival {
            Arrival::Live => Self::Live,
            Arrival::Past => Self::Past,
        }
    }
}

/// A subscription to a media track.
#[derive(Clone, Debug)]
struct Feed {
    source: u32,
    name: String,
}

/// The subscriptions to one room over one connection.
pub(crate) struct Subscriptions {
    connection: Connection,
    playout: Rc<RefCell<Playout>>,
    room_client: Rc<RefCell<RoomClient>>,
    namespace: Namespace,
    begun: Micros,
    requests: SmallMap<RequestId, Purpose>,
    /// Joining fetches without an answer: the subscription of each, and its priority.
    joins: SmallMap<RequestId, (RequestId, u8)>,
    object_readers: SmallMap<StreamId, ObjectReader>,
    catalog_probe: CatalogProbe<RequestId>,
    catalog: Option<(Bytes, Catalog)>,
    /// A catalog whose initialisation segments are still missing.
    waiting: Option<Bytes>,
    inits: Inits,
    /// Requests to send again, each with its time.
    retries: Vec<(Micros, Purpose)>,
    pause: Micros,
    /// The rendition that is played, and the one that takes over from the next group on.
    video: Option<Feed>,
    next_video: Option<Feed>,
    handover: Handover,
    audio: Option<Feed>,
    readers: SmallMap<u32, Reader>,
    /// Numbers of open streams by source and group.
    open: SmallMap<(u32, u64), usize>,
    next_source: u32,
    quality: Quality,
    retry_at: Option<Micros>,
    probe_at: Micros,
    /// The catalog of a broadcast that has ended; it is not played again.
    over: Option<Bytes>,
    findings: Vec<Finding>,
}

impl Subscriptions {
    pub(crate) fn new(
        connection: Connection,
        playout: Rc<RefCell<Playout>>,
        room_client: Rc<RefCell<RoomClient>>,
        namespace: Namespace,
        source: u32,
    ) -> Self {
        let begun = now();
        room_client.borrow_mut().begin(begun);
        Self {
            connection,
            playout,
            room_client,
            namespace,
            begun,
            requests: SmallMap::default(),
            joins: SmallMap::default(),
            object_readers: SmallMap::default(),
            catalog_probe: CatalogProbe::new(begun),
            catalog: None,
            waiting: None,
            inits: Inits::new(),
            retries: Vec::new(),
            pause: PAUSE,
            video: None,
            next_video: None,
            handover: Handover::WhenShown,
            audio: None,
            readers: SmallMap::default(),
            open: SmallMap::default(),
            next_source: source,
            quality: Quality::new(Vec::new(), 0, begun),
            retry_at: None,
            probe_at: begun + PROBE,
            over: None,
            findings: Vec::new(),
        }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns the number of the next source, for the next connection's subscriptions.
    pub(crate) fn next_source(&self) -> u32 {
        self.next_source
    }

    /// Returns the findings since the last call.
    pub(crate) fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// Returns the rendition that is played, or will be in a moment.
    pub(crate) fn rendition(&self) -> Option<&str> {
        self.next_video.as_ref().or(self.video.as_ref()).map(|feed| feed.name.as_str())
    }

    pub(crate) fn throughput(&self) -> Option<f64> {
        self.quality.throughput()
    }

    /// Requests the tracks that are wanted and missing, and cancels those that are not wanted.
    pub(crate) fn ensure(&mut self, preferences: &Preferences) -> Result<(), Misuse> {
        self.request_catalog()?;
        self.drive_room()?;
        let Some((_, catalog)) = &self.catalog else { return Ok(()) };
        let catalog = catalog.clone();
        if self.over.is_some() {
            return Ok(());
        }
        if !preferences.video {
            self.drop_video()?;
        } else if self.video.is_none() && self.may_request() {
            self.video = self.subscribe_video(&catalog, self.choose(&catalog, preferences), None)?;
        }
        if !preferences.audio {
            self.drop_audio()?;
        } else if self.audio.is_none()
            && self.may_request()
            && let Some(track) = &catalog.audio
        {
            self.audio = self.subscribe_audio(track)?;
        }
        self.quality.limit(best_for(&catalog, preferences.height));
        if let Some(name) = &preferences.rendition {
            let wanted = catalog.video.iter().position(|track| track.name == *name);
            if let Some(index) = wanted
                && self.video.is_some()
                && self.rendition() != Some(name.as_str())
            {
                self.switch(&catalog, index, Handover::WhenShown)?;
            }
        }
        Ok(())
    }

    /// Sends whatever is due of the fan's part in the room.
    pub(crate) fn drive_room(&self) -> Result<(), Misuse> {
        self.connection.with(|session| self.room_client.borrow_mut().drive(session, now()))
    }

    /// Does whatever is due by time alone.
    pub(crate) fn tick(&mut self) -> Result<(), Misuse> {
        let time = now();
        if self.catalog.is_none() && time - self.begun > OFFLINE {
            self.findings.push(Finding::State(State::Offline));
        }
        if time >= self.probe_at && self.catalog.is_some() {
            self.probe_at = time + PROBE;
            let probing = self.requests.values().any(|purpose| matches!(purpose, Purpose::Probe(_)));
            if !probing {
                let track = self.track(self.catalog_probe.track())?;
                let request =
                    self.connection.with(|session| session.track_status(track, Params::default()))?;
                self.requests.insert(request, Purpose::Probe(time));
            }
        }
        self.retry_due()?;
        self.finish_switch()
    }

    /// Handles the report on a group that was played: may switch renditions.
    pub(crate) fn group(&mut self, report: Report, preferences: &Preferences) -> Result<(), Misuse> {
        let before = self.quality.current();
        let next = self.quality.group(now(), report);
        let Some((_, catalog)) = &self.catalog else { return Ok(()) };
        let catalog = catalog.clone();
        match next {
            Some(index) if preferences.rendition.is_none() && preferences.video && self.video.is_some() => {
                let handover = if index > before { Handover::WhenThere } else { Handover::WhenShown };
                self.switch(&catalog, index, handover)
            }
            _ => Ok(()),
        }
    }

    /// Handles an event of the session.
    pub(crate) async fn event(&mut self, event: Event) -> Result<(), Misuse> {
        let passed = self.room_client.borrow_mut().event(now(), event);
        let Some(event) = passed else { return self.drive_room() };
        match event {
            Event::Closed { reason, .. } => {
                let reason = String::from_utf8_lossy(&reason).into_owned();
                self.findings.push(Finding::Closed { reason });
            }
            Event::GoAway { .. } => {
                self.findings.push(Finding::Closed { reason: "the server is being restarted".into() });
            }
            Event::Subgroup { stream, request, header } => self.begin(stream, request, header.group),
            Event::FetchStream { stream, request } => self.begin(stream, request, 0),
            Event::Object { stream, header } => {
                let Some(reader) = self.object_readers.get_mut(&stream) else { return Ok(()) };
                if header.status != Status::Normal {
                    reader.object = None;
                    return Ok(());
                }
                let location = Location::new(reader.group, header.id);
                return self.object(stream, location, header.properties, header.payload_len).await;
            }
            Event::FetchObject { stream, object } => {
                return self.object(stream, object.location, object.properties, object.payload_len).await;
            }
            Event::Payload { stream, data } => {
                let Some(object) =
                    self.object_readers.get_mut(&stream).and_then(|reader| reader.object.as_mut())
                else {
                    return Ok(());
                };
                object.add(data);
                if object.is_whole() {
                    return self.complete(stream).await;
                }
            }
            Event::StreamEnded { stream } | Event::StreamReset { stream, .. } => self.end(stream),
            Event::RequestOk { request, .. } => self.answered(request),
            Event::SubscribeOk { request, properties, .. } => {
                self.catalog_probe.accept(request);
                self.described(request, &properties);
            }
            Event::RequestError { request, error } => {
                if self.join_again(request, &error)? {
                    return Ok(());
                }
                self.answered(request);
                return self.lost(request, None).await;
            }
            Event::FetchOk { request, .. } => {
                self.joins.remove(&request);
            }
            Event::Cancelled { request, .. } => return self.lost(request, None).await,
            Event::Done { request, code, .. } => return self.lost(request, Some(code)).await,
            Event::Datagram { request, datagram } => {
                if let moqt::data::DatagramBody::Payload(payload) = datagram.body {
                    let location = Location::new(datagram.group, datagram.object);
                    return self.deliver(request, location, &datagram.properties, payload).await;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn may_request(&self) -> bool {
        self.retry_at.is_none_or(|at| at <= now())
    }

    fn track(&self, name: &str) -> Result<TrackName, Misuse> {
        TrackName::new(self.namespace.clone(), name.to_owned())
            .map_err(|_| Misuse::BadField("a track name that is too long"))
    }

    /// Subscribes from now on, and fetches the current group from its beginning.
    fn join(
        &mut self,
        name: &str,
        priority: u8,
        purpose: impl Fn(Arrival) -> Purpose,
    ) -> Result<RequestId, Misuse> {
        let track = self.track(name)?;
        let params = Params {
            filter: Some(Filter::LargestObject),
            priority: Some(priority),
            group_order: Some(GroupOrder::Descending),
            rendezvous_timeout: Some(RENDEZVOUS.as_millis()),
            ..Params::default()
        };
        let request = self.connection.with(|session| session.subscribe(track, params))?;
        self.requests.insert(request, purpose(Arrival::Live));
        let fetch = self.fetch_joining(request, priority, purpose(Arrival::Past))?;
        self.joins.insert(fetch, (request, priority));
        Ok(request)
    }

    /// Fetches the objects before a subscription.
    fn fetch_joining(
        &mut self,
        subscription: RequestId,
        priority: u8,
        purpose: Purpose,
    ) -> Result<RequestId, Misuse> {
        let kind = FetchKind::Joining { request_id: subscription.0, start: JoiningStart::Relative(0) };
        let params = Params { priority: Some(priority), ..Params::default() };
        let fetch = self.connection.with(|session| session.fetch(kind, params))?;
        self.requests.insert(fetch, purpose);
        Ok(fetch)
    }

    /// Repeats a joining fetch once. Lost packets can let the fetch overtake its subscription; the server then refuses
    /// it, for a reason that no longer holds.
    fn join_again(&mut self, fetch: RequestId, error: &RequestError) -> Result<bool, Misuse> {
        let Some((subscription, priority)) = self.joins.remove(&fetch) else { return Ok(false) };
        let overtook = error.code == RequestCode::INVALID_JOINING_REQUEST_ID;
        if !overtook || !self.requests.contains_key(&subscription) {
            return Ok(false);
        }
        let Some(purpose) = self.requests.remove(&fetch) else { return Ok(false) };
        self.fetch_joining(subscription, priority, purpose)?;
        Ok(true)
    }

    /// Cancels requests.
    fn cancel_requests(&mut self, unwanted: impl Fn(&Purpose) -> bool) -> Result<(), Misuse> {
        let requests = self.requests.iter().filter(|(_, purpose)| unwanted(purpose));
        let requests: Vec<RequestId> = requests.map(|(request, _)| *request).collect();
        for request in requests {
            self.requests.remove(&request);
            self.joins.remove(&request);
            self.object_readers.retain(|_, reader| reader.request != request);
            match self.connection.with(|session| session.cancel(request)) {
                // The fetch has already ended.
                Ok(()) | Err(Misuse::UnknownRequest(_)) => {}
                Err(misuse) => return Err(misuse),
            }
        }
        Ok(())
    }

    fn begin(&mut self, stream: StreamId, request: RequestId, group: u64) {
        if let Some(Purpose::Media { source, arrival: Arrival::Live }) = self.requests.get(&request) {
            *self.open.or_default((*source, group)) += 1;
        }
        self.object_readers.insert(stream, ObjectReader { request, group, object: None });
    }

    fn end(&mut self, stream: StreamId) {
        let Some(reader) = self.object_readers.remove(&stream) else { return };
        let Some(Purpose::Media { source, arrival: Arrival::Live }) = self.requests.get(&reader.request)
        else {
            return;
        };
        let key = (*source, reader.group);
        if let Some(open) = self.open.get_mut(&key) {
            *open -= 1;
            if *open == 0 {
                self.open.remove(&key);
                self.playout.borrow_mut().group_ended(key.0, key.1);
            }
        }
    }

    async fn object(
        &mut self,
        stream: StreamId,
        location: Location,
        properties: Properties,
        len: u64,
    ) -> Result<(), Misuse> {
        let Some(reader) = self.object_readers.get_mut(&stream) else { return Ok(()) };
        if len > MAX_OBJECT {
            reader.object = None;
            return Ok(());
        }
        reader.object = Some(PartialObject::new(location, properties, len, now()));
        if len == 0 { self.complete(stream).await } else { Ok(()) }
    }

    async fn complete(&mut self, stream: StreamId) -> Result<(), Misuse> {
        let Some(reader) = self.object_readers.get_mut(&stream) else { return Ok(()) };
        let request = reader.request;
        let Some(object) = reader.object.take() else { return Ok(()) };
        let PartialObject { location, begun, first, .. } = object;
        let properties = object.properties.clone();
        let payload = object.into_payload();
        let is_media =
            matches!(self.requests.get(&request), Some(Purpose::Media { .. } | Purpose::Catalog { .. }));
        if location.object == 0 && is_media {
            self.quality.measured(now(), payload.len() as u64 - first, now() - begun);
        }
        self.deliver(request, location, &properties, payload).await
    }

    async fn deliver(
        &mut self,
        request: RequestId,
        location: Location,
        properties: &Properties,
        payload: Bytes,
    ) -> Result<(), Misuse> {
        match self.requests.get(&request) {
            Some(Purpose::Catalog { index, .. }) => return self.on_catalog(*index, payload).await,
            Some(Purpose::Media { source, arrival }) => {
                let (source, arrival) = (*source, *arrival);
                let Some(reader) = self.readers.get(&source) else { return Ok(()) };
                // An object that is not a frame is dropped; the next may be one.
                if let Ok(frames) = reader.read(location.object, properties, payload) {
                    self.playout.borrow_mut().object(now(), source, location, frames, arrival);
                    return self.hand_over(source);
                }
            }
            Some(Purpose::Init { name, .. }) => {
                let name = name.clone();
                return self.on_init(name, Some(payload)).await;
            }
            Some(Purpose::Probe(_)) | None => {}
        }
        Ok(())
    }

    /// Passes a track's properties to its reader.
    fn described(&mut self, request: RequestId, track: &Properties) {
        if let Some(Purpose::Media { source, .. }) = self.requests.get(&request)
            && let Some(reader) = self.readers.get_mut(source)
        {
            reader.described(track);
        }
    }

    /// Measures the round-trip time, if this is the answer to a probe.
    fn answered(&mut self, request: RequestId) {
        if let Some(Purpose::Probe(at)) = self.requests.get(&request) {
            let rtt = now() - *at;
            self.requests.remove(&request);
            self.playout.borrow_mut().stats.rtt = Some(rtt);
        }
    }

    /// Handles a request that the server ended: a subscription with a code, unless it refused or cancelled it.
    async fn lost(&mut self, request: RequestId, done: Option<DoneCode>) -> Result<(), Misuse> {
        let Some(purpose) = self.requests.remove(&request) else { return Ok(()) };
        let over = done == Some(DoneCode::TRACK_ENDED);
        match purpose {
            Purpose::Catalog { index, way: Way::Live } => {
                let none = self.catalog_probe.lost(now(), index);
                self.drop_catalog_retries(|of| of == index);
                self.request_catalog()?;
                if none && self.catalog.is_none() {
                    self.findings.push(Finding::State(State::Offline));
                }
            }
            Purpose::Media { source, arrival: Arrival::Live } => {
                let is = |feed: &mut Feed| feed.source == source;
                let picture = self.video.take_if(is).is_some();
                let sound = self.audio.take_if(is).is_some();
                let next = self.next_video.take_if(is).is_some();
                self.retry_at = Some(now() + RETRY);
                if over && (picture || sound && self.video.is_none()) {
                    self.over = self.catalog.as_ref().map(|(json, _)| json.clone());
                    self.findings.push(Finding::State(State::Ended));
                } else if picture && next {
                    self.findings.push(Finding::State(State::Reconnecting));
                }
            }
            // Index 0 is our own catalog. It is published anew whenever it changes, with another first group each time,
            // so that only the catalogs of others can be fetched so.
            Purpose::Catalog { index, way: Way::Past } if index > 0 => {
                self.fetch_first(TRACKS[index], Purpose::Catalog { index, way: Way::First })?;
            }
            Purpose::Init { name, way: Way::Past } => {
                self.fetch_first(&name.clone(), Purpose::Init { name, way: Way::First })?;
            }
            Purpose::Catalog { way: Way::Past | Way::First, .. } => self.retry_later(purpose),
            Purpose::Init { ref name, way: Way::First } => {
                let name = name.clone();
                self.retry_later(purpose);
                if !self.inits.contains_key(&name) {
                    return self.on_init(name, None).await;
                }
            }
            Purpose::Init { way: Way::Live, .. } | Purpose::Media { .. } | Purpose::Probe(_) => {}
        }
        Ok(())
    }
}
