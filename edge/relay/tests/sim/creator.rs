//! A creator's session: it announces its tracks and sends what its peer subscribes to.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    task::{Context, Poll},
};

use moqt::{
    App, Cx, DoneCode, Event, FetchOk, Location, Params, Properties, RequestCode,
    data::{Datagram, DatagramBody, FetchObject, ObjectHeader, Status, SubgroupHeader, SubgroupId},
    message::RequestError,
    session::{RequestId, StreamId},
};

use crate::content::{Broadcast, Shape, Travel, namespace, track};

/// The way in which a creator announces its tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announce {
    /// It sends PUBLISH_NAMESPACE and waits for subscriptions.
    Namespace,
    /// It sends PUBLISH for each track.
    Tracks,
}

/// The state of a creator that tests can see.
#[derive(Default)]
pub(crate) struct Known {
    /// Subscriptions that others asked for.
    pub(crate) asked: Cell<usize>,
    pub(crate) sessions: Cell<u64>,
    pub(crate) fetches: Cell<u64>,
    pub(crate) refused: RefCell<Vec<RequestError>>,
    pub(crate) goaways: Cell<u64>,
    /// It is to end all tracks.
    pub(crate) ending: Cell<bool>,
}

pub(crate) struct Creator {
    broadcast: Rc<Broadcast>,
    known: Rc<Known>,
    announce: Announce,
    feeds: BTreeMap<RequestId, Feed>,
    begun: bool,
    ended: bool,
}

struct Feed {
    track: usize,
    next: Location,
    asked: bool,
    streams: BTreeMap<(u64, u64), StreamId>,
}

impl Creator {
    pub(crate) fn new(broadcast: Rc<Broadcast>, known: Rc<Known>, announce: Announce) -> Self {
        known.sessions.set(known.sessions.get() + 1);
        Self { broadcast, known, announce, feeds: BTreeMap::new(), begun: false, ended: false }
    }

    fn begin(&mut self, cx: &mut Cx<'_>) {
        match self.announce {
            Announce::Namespace => {
                cx.session.publish_namespace(namespace(), Params::default()).unwrap();
            }
            Announce::Tracks => {
                let count = self.broadcast.tracks.borrow().len();
                for number in 0..count {
                    let largest = self.broadcast.tracks.borrow()[number].largest();
                    let params = Params { largest, ..Params::default() };
                    let request = cx.session.publish(track(number), params, Properties::NONE).unwrap();
                    self.feed(request, number, false);
                }
            }
        }
    }

    /// Sends from the newest group on, whole.
    fn feed(&mut self, request: RequestId, track: usize, asked: bool) {
        let log = &self.broadcast.tracks.borrow()[track];
        let newest = log.largest().map_or_else(|| log.groups.back().expect("a group").0, |at| at.group);
        let next = Location::new(newest, 0);
        self.feeds.insert(request, Feed { track, next, asked, streams: BTreeMap::new() });
        self.count();
    }

    fn count(&self) {
        self.known.asked.set(self.feeds.values().filter(|feed| feed.asked).count());
    }

    fn fetch(&mut self, cx: &mut Cx<'_>, request: RequestId, number: usize, range: (Location, Location)) {
        self.known.fetches.set(self.known.fetches.get() + 1);
        let tracks = self.broadcast.tracks.borrow();
        let log = &tracks[number];
        let Some(largest) = log.largest().filter(|largest| range.0 <= *largest) else {
            let error = RequestError::new(RequestCode::INVALID_RANGE, "nothing is there");
            let _ = cx.session.reject(request, error);
            return;
        };
        let after = Location::new(largest.group, largest.object + 1);
        let end = if range.1.object == 0 { Location::new(range.1.group + 1, 0) } else { range.1 }.min(after);
        let Ok(stream) = cx.session.open_fetch(request) else { return };
        cx.session.accept_fetch(request, FetchOk { end, ..FetchOk::default() }).unwrap();
        for (_, at) in log.history.iter().filter(|(_, at)| (range.0..end).contains(at)) {
            let payload = log.shape.payload(*at);
            let object = FetchObject {
                location: *at,
                subgroup: Some(log.shape.subgroup(*at)),
                priority: 128,
                properties: Shape::properties(*at),
                payload_len: payload.len() as u64,
            };
            cx.session.fetch_object(stream, &object).unwrap();
            cx.session.payload(stream, payload).unwrap();
        }
        cx.session.finish(cx.now, stream).unwrap();
    }
}

/// The number of one of our tracks.
fn number(name: &moqt::TrackName, count: usize) -> Option<usize> {
    (0..count).find(|number| track(*number) == *name)
}

impl App for Creator {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        let count = self.broadcast.tracks.borrow().len();
        match event {
            Event::Subscribe { request, track, .. } => match number(&track, count) {
                Some(number) if !self.ended => {
                    let largest = self.broadcast.tracks.borrow()[number].largest();
                    let params = Params { largest, ..Params::default() };
                    if cx.session.accept_subscribe(request, params, Properties::NONE).is_ok() {
                        self.feed(request, number, true);
                    }
                }
                _ => {
                    let error = RequestError::new(RequestCode::DOES_NOT_EXIST, "no such track");
                    let _ = cx.session.reject(request, error);
                }
            },
            Event::Fetch { request, track, start, end, .. } => {
                if let Some(number) = number(&track, count) {
                    self.fetch(cx, request, number, (start, end));
                } else {
                    let error = RequestError::new(RequestCode::DOES_NOT_EXIST, "no such track");
                    let _ = cx.session.reject(request, error);
                }
            }
            Event::TrackStatus { request, track, .. } => {
                let tracks = self.broadcast.tracks.borrow();
                let largest = number(&track, count).and_then(|number| tracks[number].largest());
                let _ = cx.session.accept(request, Params { largest, ..Params::default() }, Properties::NONE);
            }
            Event::RequestError { request, error } => {
                // The edge could not reach the origin: another session may.
                if error.code == RequestCode::INTERNAL_ERROR {
                    cx.session.close(moqt::SessionCode::NO_ERROR, "again");
                }
                self.known.refused.borrow_mut().push(error);
                self.feeds.remove(&request);
            }
            Event::Cancelled { request, .. } => {
                self.feeds.remove(&request);
                self.count();
            }
            Event::StreamStopped { stream, .. } => {
                for feed in self.feeds.values_mut() {
                    feed.streams.retain(|_, open| *open != stream);
                }
            }
            Event::GoAway { .. } => {
                self.known.goaways.set(self.known.goaways.get() + 1);
                cx.session.close(moqt::SessionCode::NO_ERROR, "moved");
            }
            Event::SubscribeTracks { request, .. } | Event::SubscribeNamespace { request, .. } => {
                let error = RequestError::new(RequestCode::NOT_SUPPORTED, "ask for tracks by name");
                let _ = cx.session.reject(request, error);
            }
            Event::Update { request, .. } => {
                let _ = cx.session.accept_update(request, Params::default());
            }
            _ => {}
        }
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> Poll<()> {
        if !std::mem::replace(&mut self.begun, true) {
            self.begin(cx);
        }
        self.broadcast.changed.watch(task);
        let tracks = self.broadcast.tracks.borrow();
        for (request, feed) in &mut self.feeds {
            let log = &tracks[feed.track];
            for (group, objects) in &log.groups {
                if *group > feed.next.group {
                    feed.next = Location::new(*group, 0);
                }
                while feed.next.group == *group && feed.next.object < *objects {
                    feed.send(cx, *request, log.shape);
                    feed.next.object += 1;
                }
            }
        }
        drop(tracks);
        if self.known.ending.get() && !std::mem::replace(&mut self.ended, true) {
            for request in std::mem::take(&mut self.feeds).into_keys() {
                let _ = cx.session.done(request, DoneCode::TRACK_ENDED, "the show is over");
            }
            self.count();
        }
        Poll::Pending
    }
}

impl Drop for Creator {
    fn drop(&mut self) {
        self.known.asked.set(0);
    }
}

impl Feed {
    fn send(&mut self, cx: &mut Cx<'_>, request: RequestId, shape: Shape) {
        let (at, now) = (self.next, cx.now);
        let payload = shape.payload(at);
        if shape.travel == Travel::Datagrams {
            let datagram = Datagram {
                track_alias: 0,
                group: at.group,
                object: at.object,
                priority: Some(128),
                properties: Shape::properties(at),
                end_of_group: false,
                body: DatagramBody::Payload(payload),
            };
            let _ = cx.session.datagram(request, datagram);
            return;
        }
        let subgroup = shape.subgroup(at);
        let key = (at.group, subgroup);
        if at.object < shape.subgroups {
            let header = SubgroupHeader {
                group: at.group,
                subgroup: if at.group & 4 == 0 { SubgroupId::FirstObject } else { SubgroupId::Id(subgroup) },
                priority: Some(128),
                properties: true,
                first_object: true,
                ..SubgroupHeader::default()
            };
            // Refused, or the peer has gone.
            let Ok(stream) = cx.session.open_subgroup(request, header) else { return };
            self.streams.insert(key, stream);
        }
        let Some(stream) = self.streams.get(&key).copied() else { return };
        let header = ObjectHeader {
            id: at.object,
            properties: Shape::properties(at),
            payload_len: payload.len() as u64,
            status: Status::Normal,
        };
        if cx.session.object(now, stream, &header, now).is_err() {
            self.streams.remove(&key);
            return;
        }
        let half = payload.len() / 2;
        let _ = cx.session.payload(stream, payload.slice(..half));
        let _ = cx.session.payload(stream, payload.slice(half..));
        if shape.is_last(at) {
            let _ = cx.session.finish(now, stream);
            self.streams.remove(&key);
        }
    }
}
