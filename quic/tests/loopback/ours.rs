//! Our end: a session that runs the calls of the test and passes its events on to it.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use moqt::Ended;
use moqt::{
    Event, Micros, Params, Properties, Session,
    data::{Datagram, DatagramBody, ObjectHeader, Status, SubgroupHeader},
    session::{RequestId, StreamId},
};
use quic::{Connection, drive};
use testnet::{Probe, Word};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::within;

/// A group as it was published: its ID and its objects' payloads.
pub(crate) type Group = (u64, Vec<Bytes>);

pub(crate) struct Ours {
    words: mpsc::UnboundedSender<Word>,
    events: mpsc::UnboundedReceiver<Event>,
    /// Events that came while the test waited for another.
    kept: VecDeque<Event>,
    groups: BTreeMap<StreamId, Group>,
    pub(crate) done: JoinHandle<Ended>,
}

impl Ours {
    pub(crate) fn start(connection: Connection) -> Self {
        let (mut probe, words, events) = Probe::new();
        let done = tokio::task::spawn_local(async move {
            let clock = quic::Clock::default();
            drive(connection.transport, connection.config, clock, &mut probe)
                .await
                .expect("a fair configuration")
        });
        Self { words, events, kept: VecDeque::new(), groups: BTreeMap::new(), done }
    }

    /// Calls a function on the session, and waits for its result.
    pub(crate) async fn call<T: 'static>(&self, call: impl FnOnce(&mut Session, Micros) -> T + 'static) -> T {
        let (result, answer) = tokio::sync::oneshot::channel();
        let word: Word = Box::new(move |session, now| {
            let _ = result.send(call(session, now));
        });
        assert!(self.words.send(word).is_ok(), "the session is over");
        within("an answer of our session", answer).await.expect("an answer")
    }

    /// Returns the next event that matches; the others are kept for later.
    pub(crate) async fn expect<T>(&mut self, what: &str, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        for (at, event) in self.kept.iter().enumerate() {
            if let Some(found) = wanted(event) {
                self.kept.remove(at);
                return found;
            }
        }
        loop {
            let event = within(what, self.events.recv()).await;
            let event =
                event.unwrap_or_else(|| panic!("{what}: the session ended first, after {:?}", self.kept));
            match wanted(&event) {
                Some(found) => return found,
                None => self.kept.push_back(event),
            }
        }
    }

    /// Returns the next group whose stream ends.
    pub(crate) async fn group(&mut self) -> Group {
        loop {
            let event = match self.kept.pop_front() {
                Some(event) => event,
                None => within("a group", self.events.recv()).await.expect("a session"),
            };
            match event {
                Event::Subgroup { stream, header, .. } => {
                    self.groups.insert(stream, (header.group, Vec::new()));
                }
                Event::FetchStream { stream, .. } => {
                    self.groups.insert(stream, (0, Vec::new()));
                }
                Event::Object { stream, header } if header.status == Status::Normal => {
                    self.groups.get_mut(&stream).expect("an open stream").1.push(Bytes::new());
                }
                Event::FetchObject { stream, object } => {
                    let group = self.groups.get_mut(&stream).expect("an open stream");
                    group.0 = object.location.group;
                    group.1.push(Bytes::new());
                }
                Event::Payload { stream, data } => {
                    let objects = &mut self.groups.get_mut(&stream).expect("an open stream").1;
                    let object = objects.last_mut().expect("an object");
                    *object = [object.as_ref(), data.as_ref()].concat().into();
                }
                Event::StreamEnded { stream } => {
                    return self.groups.remove(&stream).expect("an open stream");
                }
                Event::StreamReset { stream, code } => panic!("{stream:?} was reset: {code}"),
                _ => {}
            }
        }
    }

    /// Answers the peer's subscription to any track.
    pub(crate) async fn accept_subscription(&mut self) -> RequestId {
        let request = self
            .expect("SUBSCRIBE", |event| match event {
                Event::Subscribe { request, .. } => Some(*request),
                _ => None,
            })
            .await;
        self.call(move |session, _| {
            session.accept_subscribe(request, Params::default(), Properties::NONE).expect("accepted");
        })
        .await;
        request
    }

    /// Publishes a whole group on one stream.
    pub(crate) async fn publish(&self, request: RequestId, group: u64, objects: &'static [&'static str]) {
        self.call(move |session, now| {
            let header = SubgroupHeader {
                group,
                priority: Some(100),
                properties: true,
                end_of_group: true,
                first_object: true,
                ..SubgroupHeader::default()
            };
            let stream = session.open_subgroup(request, header).expect("an open subscription");
            for (id, payload) in objects.iter().enumerate() {
                let object = ObjectHeader {
                    id: id as u64,
                    properties: Properties::builder().int(0x38, id as u64).build(),
                    payload_len: payload.len() as u64,
                    status: Status::Normal,
                };
                let _ = session.object(now, stream, &object, now).expect("in order");
                session.payload(stream, Bytes::from_static(payload.as_bytes())).expect("as declared");
            }
            session.finish(now, stream).expect("whole");
        })
        .await;
    }

    pub(crate) async fn datagram(&self, request: RequestId, object: u64, payload: &'static str) {
        self.call(move |session, _| {
            let datagram = Datagram {
                track_alias: 0,
                group: 7,
                object,
                priority: Some(3),
                properties: Properties::NONE,
                end_of_group: false,
                body: DatagramBody::Payload(Bytes::from_static(payload.as_bytes())),
            };
            session.datagram(request, datagram).expect("an open subscription");
        })
        .await;
    }
}
