//! A track whose every object follows from its location, so that any receiver can check it.

use std::collections::BTreeMap;

use bytes::Bytes;
use moqt::{
    Event, Location, Properties,
    data::{FetchObject, ObjectHeader, SubgroupHeader},
    session::StreamId,
};

use testnet::Rng;

/// Shape of a track: its groups, subgroups and objects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) seed: u64,
    pub(crate) groups: u64,
    pub(crate) objects: u64,
    pub(crate) subgroups: u64,
}

impl Shape {
    pub(crate) fn at_random(rng: &mut Rng) -> Self {
        Self { seed: rng.next(), groups: rng.of(1..6), objects: rng.of(1..8), subgroups: rng.of(1..4) }
    }

    fn rng(&self, at: Location) -> Rng {
        let mut rng = Rng::new(self.seed ^ (at.group << 32) ^ at.object);
        rng.next();
        rng
    }

    pub(crate) fn payload(&self, at: Location) -> Bytes {
        let mut rng = self.rng(at);
        let len = [0, 1, 10, 300, 2000][rng.of(0..5) as usize];
        (0..len).map(|_| rng.next() as u8).collect()
    }

    pub(crate) fn properties(&self, at: Location) -> Properties {
        let mut rng = self.rng(at);
        if rng.chance(50) {
            return Properties::NONE;
        }
        Properties::builder().int(0x38, rng.next()).bytes(0x3801, at.object.to_be_bytes().to_vec()).build()
    }

    pub(crate) fn subgroup(&self, at: Location) -> u64 {
        at.object % self.subgroups
    }

    pub(crate) fn priority(&self, at: Location) -> u8 {
        100 + self.subgroup(at) as u8
    }

    pub(crate) fn locations(&self) -> impl Iterator<Item = Location> + use<> {
        let Self { groups, objects, .. } = *self;
        (0..groups).flat_map(move |group| (0..objects).map(move |object| Location { group, object }))
    }

    pub(crate) fn last(&self) -> Location {
        Location::new(self.groups - 1, self.objects - 1)
    }
}

/// Collects objects as they come, and checks each against its track.
pub(crate) struct Collector {
    shape: Shape,
    streams: BTreeMap<StreamId, Open>,
    /// Arrivals of each object, from a subscription or from a fetch.
    pub(crate) got: BTreeMap<Location, u32>,
    /// The order in which they were complete.
    pub(crate) order: Vec<Location>,
    pub(crate) ended: u64,
    pub(crate) reset: u64,
}

struct Open {
    header: Option<SubgroupHeader>,
    object: Option<(Location, Properties, u64)>,
    payload: Vec<u8>,
}

impl Collector {
    pub(crate) fn new(shape: Shape) -> Self {
        Self { shape, streams: BTreeMap::new(), got: BTreeMap::new(), order: Vec::new(), ended: 0, reset: 0 }
    }

    /// Takes an event if it is about objects.
    pub(crate) fn event(&mut self, event: Event) {
        match event {
            Event::Subgroup { stream, header, .. } => {
                let open = Open { header: Some(header), object: None, payload: Vec::new() };
                assert!(self.streams.insert(stream, open).is_none());
            }
            Event::FetchStream { stream, .. } => {
                let open = Open { header: None, object: None, payload: Vec::new() };
                assert!(self.streams.insert(stream, open).is_none());
            }
            Event::Object { stream, header } => self.object(stream, header),
            Event::FetchObject { stream, object } => self.fetched(stream, object),
            Event::Payload { stream, data } => {
                let open = self.streams.get_mut(&stream).expect("a payload on an open stream");
                open.payload.extend_from_slice(&data);
                self.complete(stream);
            }
            Event::StreamEnded { stream } => {
                let open = self.streams.remove(&stream).expect("the end of an open stream");
                assert!(open.object.is_none(), "a stream ended within an object");
                self.ended += 1;
            }
            Event::StreamReset { stream, .. } => {
                self.streams.remove(&stream).expect("the reset of an open stream");
                self.reset += 1;
            }
            _ => {}
        }
    }

    fn object(&mut self, stream: StreamId, header: ObjectHeader) {
        let open = self.streams.get_mut(&stream).expect("an object on an open stream");
        let subgroup = open.header.expect("an object of a subgroup");
        let at = Location::new(subgroup.group, header.id);
        assert!(open.object.is_none(), "{at:?} before the one before it was complete");
        assert_eq!(subgroup.priority.unwrap_or(self.shape.priority(at)), self.shape.priority(at));
        open.object = Some((at, header.properties, header.payload_len));
        self.complete(stream);
    }

    fn fetched(&mut self, stream: StreamId, object: FetchObject) {
        let open = self.streams.get_mut(&stream).expect("an object on an open stream");
        assert!(open.header.is_none(), "a fetched object of a fetch");
        assert_eq!(object.subgroup, Some(self.shape.subgroup(object.location)));
        assert_eq!(object.priority, self.shape.priority(object.location));
        open.object = Some((object.location, object.properties, object.payload_len));
        self.complete(stream);
    }

    fn complete(&mut self, stream: StreamId) {
        let open = self.streams.get_mut(&stream).unwrap();
        let Some((at, properties, len)) = &open.object else { panic!("a payload without an object") };
        if (open.payload.len() as u64) < *len {
            return;
        }
        assert_eq!(open.payload, self.shape.payload(*at), "the payload of {at:?}");
        assert_eq!(*properties, self.shape.properties(*at), "the properties of {at:?}");
        *self.got.entry(*at).or_default() += 1;
        self.order.push(*at);
        open.object = None;
        open.payload.clear();
    }

    /// Every object of the track came, and once.
    pub(crate) fn assert_whole(&self, from: Location) {
        for at in self.shape.locations().filter(|at| *at >= from) {
            assert_eq!(self.got.get(&at), Some(&1), "{at:?} of {:?} from {from:?}", self.shape);
        }
        assert!(self.streams.is_empty(), "streams left open");
    }
}
