//! Answers one viewer's session at the test card server.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    task::Waker,
};

use bytes::Bytes;
use moqt::{
    DoneCode, Event, FetchOk, Filter, Location, Micros, Misuse, Params, Properties, RequestCode, ResetCode,
    Session,
    data::{FetchObject, ObjectHeader, Status, SubgroupHeader},
    message::RequestError,
    session::{Delivery, RequestId, StreamId},
};

/// An object of a track.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) track: Rc<str>,
    pub(crate) at: Location,
    pub(crate) properties: Properties,
    pub(crate) payload: Bytes,
}

/// The newest group of each track, and the sessions that receive new objects.
#[derive(Default)]
pub(crate) struct Show {
    tracks: BTreeMap<Rc<str>, Vec<Object>>,
    audience: Vec<Rc<Inbox>>,
}

/// The objects that a viewer's session has not taken yet.
#[derive(Default)]
pub(crate) struct Inbox {
    pub(crate) objects: RefCell<VecDeque<Object>>,
    pub(crate) waker: Cell<Option<Waker>>,
    pub(crate) gone: Cell<bool>,
}

impl Show {
    pub(crate) fn publish(&mut self, object: Object) {
        let newest = self.tracks.entry(Rc::clone(&object.track)).or_default();
        if newest.first().is_some_and(|first| first.at.group != object.at.group) {
            newest.clear();
        }
        newest.push(object.clone());
        self.audience.retain(|inbox| !inbox.gone.get());
        for inbox in &self.audience {
            inbox.objects.borrow_mut().push_back(object.clone());
            if let Some(waker) = inbox.waker.take() {
                waker.wake();
            }
        }
    }

    pub(crate) fn join(&mut self) -> Rc<Inbox> {
        let inbox = Rc::new(Inbox::default());
        self.audience.push(Rc::clone(&inbox));
        inbox
    }

    fn newest(&self, track: &str) -> &[Object] {
        self.tracks.get(track).map_or(&[], Vec::as_slice)
    }
}

/// Answers one viewer's requests and sends it objects.
pub(crate) struct Viewer {
    show: Rc<RefCell<Show>>,
    pub(crate) inbox: Rc<Inbox>,
    subscriptions: BTreeMap<RequestId, Subscription>,
}

struct Subscription {
    track: Rc<str>,
    start: Location,
    open: Option<(u64, StreamId)>,
}

impl Viewer {
    pub(crate) fn new(show: Rc<RefCell<Show>>) -> Self {
        let inbox = show.borrow_mut().join();
        Self { show, inbox, subscriptions: BTreeMap::new() }
    }

    pub(crate) fn event(&mut self, session: &mut Session, now: Micros, event: Event) -> Result<(), Misuse> {
        let show = Rc::clone(&self.show);
        let show = show.borrow();
        let unknown = || RequestError::new(RequestCode::DOES_NOT_EXIST, "no such track");
        let find = |name: &Bytes| show.tracks.keys().find(|track| track.as_bytes() == &name[..]).cloned();
        match event {
            Event::Subscribe { request, track, params } => {
                let Some(track) = find(track.name()) else { return session.reject(request, unknown()) };
                let largest = show.newest(&track).last().map(|object| object.at);
                let start = params.filter.unwrap_or(Filter::LargestObject).start(largest);
                let ok = Params { largest, ..Params::default() };
                session.accept_subscribe(request, ok, Properties::NONE)?;
                self.subscriptions.insert(request, Subscription { track, start, open: None });
            }
            Event::Fetch { request, track, start, end, .. } => {
                let Some(track) = find(track.name()) else { return session.reject(request, unknown()) };
                let stream = session.open_fetch(request)?;
                session.accept_fetch(request, FetchOk { end, ..FetchOk::default() })?;
                let last = if end.object == 0 { Location::new(end.group, u64::MAX) } else { end };
                for object in show.newest(&track).iter().filter(|object| (start..last).contains(&object.at)) {
                    let header = FetchObject {
                        location: object.at,
                        subgroup: Some(0),
                        priority: 128,
                        properties: object.properties.clone(),
                        payload_len: object.payload.len() as u64,
                    };
                    session.fetch_object(stream, &header)?;
                    session.payload(stream, object.payload.clone())?;
                }
                session.finish(now, stream)?;
            }
            Event::TrackStatus { request, .. } => {
                session.accept(request, Params::default(), Properties::NONE)?;
            }
            Event::Update { request, .. } => session.accept_update(request, Params::default())?,
            Event::Cancelled { request, .. } => {
                self.subscriptions.remove(&request);
            }
            Event::StreamStopped { stream, .. } => {
                for subscription in self.subscriptions.values_mut() {
                    subscription.open.take_if(|(_, open)| *open == stream);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Sends the objects of the inbox to the subscriptions.
    pub(crate) fn forward(&mut self, session: &mut Session, now: Micros) -> Result<(), Misuse> {
        loop {
            let Some(object) = self.inbox.objects.borrow_mut().pop_front() else { return Ok(()) };
            for (request, subscription) in &mut self.subscriptions {
                if subscription.track != object.track || object.at < subscription.start {
                    continue;
                }
                let stream = match subscription.open {
                    Some((group, stream)) if group == object.at.group => stream,
                    before => {
                        if let Some((_, stream)) = before {
                            session.finish(now, stream)?;
                        }
                        let header = SubgroupHeader {
                            group: object.at.group,
                            properties: true,
                            end_of_group: true,
                            first_object: object.at.object == 0,
                            ..SubgroupHeader::default()
                        };
                        let stream = session.open_subgroup(*request, header)?;
                        subscription.open = Some((object.at.group, stream));
                        stream
                    }
                };
                let header = ObjectHeader {
                    id: object.at.object,
                    properties: object.properties.clone(),
                    payload_len: object.payload.len() as u64,
                    status: Status::Normal,
                };
                if session.object(now, stream, &header, now)? == Delivery::Sent {
                    session.payload(stream, object.payload.clone())?;
                }
            }
        }
    }

    /// Resets the open groups, as an edge does for a viewer that cannot keep up. Each subscription goes on with the
    /// next group.
    pub(crate) fn break_off(&mut self, session: &mut Session) -> Result<(), Misuse> {
        for subscription in self.subscriptions.values_mut() {
            if let Some((group, stream)) = subscription.open.take() {
                session.reset(stream, ResetCode::EXCESSIVE_LOAD)?;
                subscription.start = Location::new(group + 1, 0);
            }
        }
        Ok(())
    }

    /// Ends all subscriptions: the show is over.
    pub(crate) fn end(&mut self, session: &mut Session, now: Micros) -> Result<(), Misuse> {
        for (request, subscription) in std::mem::take(&mut self.subscriptions) {
            if let Some((_, stream)) = subscription.open {
                session.finish(now, stream)?;
            }
            session.done(request, DoneCode::TRACK_ENDED, "")?;
        }
        Ok(())
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.inbox.gone.set(true);
    }
}
