//! The tracks of a room, over one connection.

mod feeds;
mod find;
mod reading;
mod seat;

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
    reading::{Object, Reading},
    seat::Seat,
};
use crate::{
    catalog::{Catalog, Inits, TRACKS},
    clock::now,
    few::Few,
    frame::Reader,
    jitter::Arrival,
    player::State,
    quality::{Quality, Report},
    search::Search,
    stage::Stage,
    talk::Talk,
    transport::Connection,
};

/// The catalog goes first, then sound, then the picture.
const CATALOG_PRIORITY: u8 = 32;
const AUDIO_PRIORITY: u8 = 64;
const VIDEO_PRIORITY: u8 = 128;
/// How long the server may wait for a creator before it says that there is none.
const RENDEZVOUS: Micros = Micros::from_millis(10_000);
/// Without a catalog for this long, nobody is on stage.
const OFFLINE: Micros = Micros::from_millis(1_500);
/// How long until what was refused is asked for again.
const RETRY: Micros = Micros::from_millis(2_000);
/// The first pause before the past of a track is asked for again; it doubles.
const PAUSE: Micros = Micros::from_millis(500);
/// How often the way to the server is measured.
const PROBE: Micros = Micros::from_millis(2_000);
/// Bytes of one object, at most.
const MAX_OBJECT: u64 = 16 << 20;

/// What the viewer wants.
#[derive(Clone, Debug)]
pub(crate) struct Wishes {
    /// The rendition; none for whichever is best.
    pub(crate) rendition: Option<String>,
    /// Whether anybody sees the picture,
    pub(crate) video: bool,
    /// and hears the sound.
    pub(crate) audio: bool,
    /// Pixels down that there are to show it on; 0 if that is not known.
    pub(crate) height: u32,
}

/// What the room found out.
#[derive(Debug)]
pub(crate) enum Found {
    State(State),
    Catalog(Catalog),
    /// The session is over, and another one may be had there, if anywhere.
    Closed {
        reason: String,
    },
}

/// What a request is for.
#[derive(Clone, Debug)]
enum Purpose {
    /// One of the tracks that may hold the catalog.
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
    /// What the fan says,
    Acts,
    /// and is answered.
    Answers,
    /// What all fans see.
    Shown(wire::Track),
}

/// How a request ended that we did not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Refused,
    Cancelled,
    Done(DoneCode),
}

/// How what is published now and then, or once, is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// From now on.
    Live,
    /// What was there before that.
    Past,
    /// The first group: a creator who publishes once may have nothing to say of it to those who come later.
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

/// An ongoing subscription to a track of media.
#[derive(Clone, Debug)]
struct Feed {
    source: u32,
    name: String,
}

/// A room being watched.
pub(crate) struct Room {
    connection: Connection,
    stage: Rc<RefCell<Stage>>,
    talk: Rc<RefCell<Talk>>,
    seat: Seat,
    namespace: Namespace,
    begun: Micros,
    requests: Few<RequestId, Purpose>,
    /// Joining fetches without an answer: the subscription of each, and its priority.
    joins: Few<RequestId, (RequestId, u8)>,
    readings: Few<StreamId, Reading>,
    search: Search<RequestId>,
    catalog: Option<(Bytes, Catalog)>,
    /// A catalog that refers to initialisation segments, until they are there.
    waiting: Option<Bytes>,
    inits: Inits,
    /// What is asked for again, and when.
    again: Vec<(Micros, Purpose)>,
    pause: Micros,
    /// What the stage plays, and what it will play from the next group on.
    video: Option<Feed>,
    next_video: Option<Feed>,
    handover: Handover,
    audio: Option<Feed>,
    readers: Few<u32, Reader>,
    /// Open streams by source and group.
    open: Few<(u32, u64), usize>,
    next_source: u32,
    quality: Quality,
    retry_at: Option<Micros>,
    probe_at: Micros,
    /// The catalog of a broadcast that is over; it is not played again.
    over: Option<Bytes>,
    found: Vec<Found>,
}

impl Room {
    pub(crate) fn new(
        connection: Connection,
        stage: Rc<RefCell<Stage>>,
        talk: Rc<RefCell<Talk>>,
        namespace: Namespace,
        source: u32,
    ) -> Self {
        let begun = now();
        Self {
            connection,
            stage,
            talk,
            seat: Seat::default(),
            namespace,
            begun,
            requests: Few::default(),
            joins: Few::default(),
            readings: Few::default(),
            search: Search::new(begun),
            catalog: None,
            waiting: None,
            inits: Inits::new(),
            again: Vec::new(),
            pause: PAUSE,
            video: None,
            next_video: None,
            handover: Handover::WhenShown,
            audio: None,
            readers: Few::default(),
            open: Few::default(),
            next_source: source,
            quality: Quality::new(Vec::new(), 0, begun),
            retry_at: None,
            probe_at: begun + PROBE,
            over: None,
            found: Vec::new(),
        }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The number of the next source, for the room that comes after this.
    pub(crate) fn next_source(&self) -> u32 {
        self.next_source
    }

    /// What was found out since this was last asked.
    pub(crate) fn take_found(&mut self) -> Vec<Found> {
        std::mem::take(&mut self.found)
    }

    /// The rendition that is played, or will be in a moment.
    pub(crate) fn rendition(&self) -> Option<&str> {
        self.next_video.as_ref().or(self.video.as_ref()).map(|feed| feed.name.as_str())
    }

    pub(crate) fn throughput(&self) -> Option<f64> {
        self.quality.throughput()
    }

    /// Asks for what is wanted and missing, and gives back what is not wanted.
    pub(crate) fn ensure(&mut self, wishes: &Wishes) -> Result<(), Misuse> {
        self.ask_for_catalog()?;
        self.take_seat()?;
        let Some((_, catalog)) = &self.catalog else { return Ok(()) };
        let catalog = catalog.clone();
        if self.over.is_some() {
            return Ok(());
        }
        if !wishes.video {
            self.drop_video()?;
        } else if self.video.is_none() && self.may_ask() {
            self.video = self.subscribe_video(&catalog, self.choose(&catalog, wishes), None)?;
        }
        if !wishes.audio {
            self.drop_audio()?;
        } else if self.audio.is_none()
            && self.may_ask()
            && let Some(track) = &catalog.audio
        {
            self.audio = self.subscribe_audio(track)?;
        }
        self.quality.limit(best_for(&catalog, wishes.height));
        if let Some(wish) = &wishes.rendition {
            let wanted = catalog.video.iter().position(|track| track.name == *wish);
            if let Some(index) = wanted
                && self.video.is_some()
                && self.rendition() != Some(wish.as_str())
            {
                self.switch(&catalog, index, Handover::WhenShown)?;
            }
        }
        Ok(())
    }

    /// What is due by time alone.
    pub(crate) fn tick(&mut self) -> Result<(), Misuse> {
        let time = now();
        if self.catalog.is_none() && time - self.begun > OFFLINE {
            self.found.push(Found::State(State::Offline));
        }
        if time >= self.probe_at && self.catalog.is_some() {
            self.probe_at = time + PROBE;
            let probing = self.requests.values().any(|purpose| matches!(purpose, Purpose::Probe(_)));
            if !probing {
                let track = self.track(self.search.track())?;
                let request =
                    self.connection.with(|session| session.track_status(track, Params::default()))?;
                self.requests.insert(request, Purpose::Probe(time));
            }
        }
        self.ask_again()?;
        self.finish_switch()
    }

    /// The stage has played a group.
    pub(crate) fn group(&mut self, report: Report, wishes: &Wishes) -> Result<(), Misuse> {
        let before = self.quality.current();
        let next = self.quality.group(now(), report);
        let Some((_, catalog)) = &self.catalog else { return Ok(()) };
        let catalog = catalog.clone();
        match next {
            Some(index) if wishes.rendition.is_none() && wishes.video && self.video.is_some() => {
                let handover = if index > before { Handover::WhenThere } else { Handover::WhenShown };
                self.switch(&catalog, index, handover)
            }
            _ => Ok(()),
        }
    }

    /// Takes what the session says.
    pub(crate) async fn event(&mut self, event: Event) -> Result<(), Misuse> {
        match event {
            Event::Closed { reason, .. } => {
                let reason = String::from_utf8_lossy(&reason).into_owned();
                self.found.push(Found::Closed { reason });
            }
            Event::GoAway { .. } => {
                self.found.push(Found::Closed { reason: "the server is being restarted".into() });
            }
            Event::Subgroup { stream, request, header } => self.begin(stream, request, header.group),
            Event::FetchStream { stream, request } => self.begin(stream, request, 0),
            Event::Object { stream, header } => {
                let Some(reading) = self.readings.get_mut(&stream) else { return Ok(()) };
                if header.status != Status::Normal {
                    reading.object = None;
                    return Ok(());
                }
                let location = Location::new(reading.group, header.id);
                return self.object(stream, location, header.properties, header.payload_len).await;
            }
            Event::FetchObject { stream, object } => {
                return self.object(stream, object.location, object.properties, object.payload_len).await;
            }
            Event::Payload { stream, data } => {
                let Some(object) = self.readings.get_mut(&stream).and_then(|reading| reading.object.as_mut())
                else {
                    return Ok(());
                };
                object.add(data);
                if object.is_whole() {
                    return self.complete(stream).await;
                }
            }
            Event::StreamEnded { stream } | Event::StreamReset { stream, .. } => {
                let of = self.readings.get(&stream).map(|reading| reading.request);
                self.end(stream);
                self.seat_stream_over(stream, of)?;
            }
            Event::StreamStopped { stream, .. } => self.seat_stream_over(stream, None)?,
            Event::RequestOk { request, .. } => {
                self.answered(request);
                self.seat_published(request)?;
            }
            Event::SubscribeOk { request, properties, .. } => {
                self.search.accept(request);
                self.described(request, &properties);
                self.seat_subscribed(request)?;
            }
            Event::RequestError { request, error } => {
                if self.join_again(request, &error)? {
                    return Ok(());
                }
                self.answered(request);
                return self.lost(request, Ending::Refused).await;
            }
            Event::FetchOk { request, .. } => {
                self.joins.remove(&request);
            }
            Event::Cancelled { request, .. } => return self.lost(request, Ending::Cancelled).await,
            Event::Done { request, code, .. } => return self.lost(request, Ending::Done(code)).await,
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

    fn may_ask(&self) -> bool {
        self.retry_at.is_none_or(|at| at <= now())
    }

    fn track(&self, name: &str) -> Result<TrackName, Misuse> {
        TrackName::new(self.namespace.clone(), name.to_owned())
            .map_err(|_| Misuse::BadField("a track name that is too long"))
    }

    /// Subscribes from now on, and fetches the group that is under way from its beginning.
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

    /// Fetches what was there before a subscription.
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

    /// A joining fetch that overtook its subscription on the way, as packets that are lost let
    /// it, is refused for a reason that is none by now: it is made again, once.
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

    /// Takes back requests.
    fn take_back(&mut self, unwanted: impl Fn(&Purpose) -> bool) -> Result<(), Misuse> {
        let requests = self.requests.iter().filter(|(_, purpose)| unwanted(purpose));
        let requests: Vec<RequestId> = requests.map(|(request, _)| *request).collect();
        for request in requests {
            self.requests.remove(&request);
            self.joins.remove(&request);
            self.readings.retain(|_, reading| reading.request != request);
            match self.connection.with(|session| session.cancel(request)) {
                // A fetch that is over.
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
        self.readings.insert(stream, Reading { request, group, object: None });
    }

    fn end(&mut self, stream: StreamId) {
        let Some(reading) = self.readings.remove(&stream) else { return };
        let Some(Purpose::Media { source, arrival: Arrival::Live }) = self.requests.get(&reading.request)
        else {
            return;
        };
        let place = (*source, reading.group);
        if let Some(open) = self.open.get_mut(&place) {
            *open -= 1;
            if *open == 0 {
                self.open.remove(&place);
                self.stage.borrow_mut().group_ended(place.0, place.1);
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
        let Some(reading) = self.readings.get_mut(&stream) else { return Ok(()) };
        if len > MAX_OBJECT {
            reading.object = None;
            return Ok(());
        }
        reading.object = Some(Object::new(location, properties, len, now()));
        if len == 0 { self.complete(stream).await } else { Ok(()) }
    }

    async fn complete(&mut self, stream: StreamId) -> Result<(), Misuse> {
        let Some(reading) = self.readings.get_mut(&stream) else { return Ok(()) };
        let request = reading.request;
        let Some(object) = reading.object.take() else { return Ok(()) };
        let Object { location, begun, first, .. } = object;
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
                // What is no frame is of no use; the next may be one.
                if let Ok(frames) = reader.read(location.object, properties, payload) {
                    self.stage.borrow_mut().object(now(), source, location, frames, arrival);
                    return self.hand_over(source);
                }
            }
            Some(Purpose::Init { name, .. }) => {
                let name = name.clone();
                return self.on_init(name, Some(payload)).await;
            }
            Some(Purpose::Answers) => return self.answered_by_edge(&payload),
            Some(Purpose::Shown(track)) => {
                let track = *track;
                // What cannot be read is of a newer house: the next may be.
                let _ = self.talk.borrow_mut().shown(track, location.group, location.object, &payload);
            }
            Some(Purpose::Probe(_) | Purpose::Acts) | None => {}
        }
        Ok(())
    }

    /// The properties of a track came.
    fn described(&mut self, request: RequestId, track: &Properties) {
        if let Some(Purpose::Media { source, .. }) = self.requests.get(&request)
            && let Some(reader) = self.readers.get_mut(source)
        {
            reader.described(track);
        }
    }

    /// An answer came: what it took to come is what a way there and back takes.
    fn answered(&mut self, request: RequestId) {
        if let Some(Purpose::Probe(at)) = self.requests.get(&request) {
            let rtt = now() - *at;
            self.requests.remove(&request);
            self.stage.borrow_mut().stats.rtt = Some(rtt);
        }
    }

    /// A request ended that we did not end.
    async fn lost(&mut self, request: RequestId, ending: Ending) -> Result<(), Misuse> {
        let Some(purpose) = self.requests.remove(&request) else { return Ok(()) };
        let over = ending == Ending::Done(DoneCode::TRACK_ENDED);
        match purpose {
            Purpose::Catalog { index, way: Way::Live } => {
                let none = self.search.lost(now(), index);
                self.no_catalog_again(|of| of == index);
                self.ask_for_catalog()?;
                if none && self.catalog.is_none() {
                    self.found.push(Found::State(State::Offline));
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
                    self.found.push(Found::State(State::Ended));
                } else if picture && next {
                    self.found.push(Found::State(State::Reconnecting));
                }
            }
            // Ours are published anew whenever they change, and have another first group each time.
            Purpose::Catalog { index, way: Way::Past } if index > 0 => {
                self.fetch_first(TRACKS[index], Purpose::Catalog { index, way: Way::First })?;
            }
            Purpose::Init { name, way: Way::Past } => {
                self.fetch_first(&name.clone(), Purpose::Init { name, way: Way::First })?;
            }
            Purpose::Catalog { way: Way::Past | Way::First, .. } => self.ask_later(purpose),
            Purpose::Init { ref name, way: Way::First } => {
                let name = name.clone();
                self.ask_later(purpose);
                if !self.inits.contains_key(&name) {
                    return self.on_init(name, None).await;
                }
            }
            Purpose::Acts | Purpose::Answers | Purpose::Shown(_) => {
                self.seat_lost(request, ending == Ending::Refused)?;
            }
            Purpose::Init { way: Way::Live, .. } | Purpose::Media { .. } | Purpose::Probe(_) => {}
        }
        Ok(())
    }
}
