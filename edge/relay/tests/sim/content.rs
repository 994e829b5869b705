//! Tracks whose objects follow from their name and location, so that any receiver can check them.

use std::{cell::RefCell, collections::VecDeque};

use bytes::Bytes;
use moqt::{Location, Micros, Namespace, Properties, TrackName};
use testnet::Rng;

use crate::executor::Signal;

/// The most creators whose groups have distinct numbers.
pub(crate) const CREATORS: u64 = 4;
/// Groups that a creator keeps.
const KEPT: usize = 2;

/// The way in which the objects of a track are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Travel {
    Subgroups,
    Datagrams,
}

/// The shape of a track.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) objects: u64,
    pub(crate) subgroups: u64,
    /// Bytes of an object, at most.
    pub(crate) size: u64,
    pub(crate) travel: Travel,
    /// The time between two objects of the track.
    pub(crate) pace: Micros,
}

impl Shape {
    pub(crate) fn plain() -> Self {
        let pace = Micros::from_millis(200);
        Self { objects: 5, subgroups: 1, size: 300, travel: Travel::Subgroups, pace }
    }

    pub(crate) fn at_random(rng: &mut Rng) -> Self {
        Self {
            objects: rng.of(1..7),
            subgroups: rng.of(1..4),
            size: rng.pick(&[0, 1, 300, 3000]),
            travel: if rng.chance(20) { Travel::Datagrams } else { Travel::Subgroups },
            pace: Micros::from_millis(rng.of(300..1_000)),
        }
    }

    pub(crate) fn payload(&self, at: Location) -> Bytes {
        let mut rng = Self::rng(at);
        let len = rng.of(0..self.size + 1);
        (0..len.div_ceil(8)).flat_map(|_| rng.next().to_le_bytes()).take(len as usize).collect()
    }

    pub(crate) fn properties(at: Location) -> Properties {
        let mut rng = Self::rng(at);
        rng.next();
        if rng.chance(50) {
            return Properties::NONE;
        }
        Properties::builder().int(0x38, rng.next()).build()
    }

    pub(crate) fn subgroup(&self, at: Location) -> u64 {
        at.object % self.subgroups
    }

    /// Returns whether an object is the last of its subgroup.
    pub(crate) fn is_last(&self, at: Location) -> bool {
        at.object + self.subgroups >= self.objects
    }

    fn rng(at: Location) -> Rng {
        let mut rng = Rng::new((at.group << 8) ^ at.object);
        rng.next();
        rng
    }
}

/// The track of that number.
pub(crate) fn track(number: usize) -> TrackName {
    TrackName::new(namespace(), format!("track{number}")).unwrap()
}

pub(crate) fn namespace() -> Namespace {
    Namespace::from_path("show/one").unwrap()
}

/// The creator that made a group.
pub(crate) fn maker(group: u64) -> u64 {
    group % CREATORS
}

/// The objects that one creator makes for one track.
pub(crate) struct Log {
    pub(crate) shape: Shape,
    /// Groups that are kept, and how many objects each has.
    pub(crate) groups: VecDeque<(u64, u64)>,
    /// The time at which each object was made.
    pub(crate) history: Vec<(Micros, Location)>,
}

impl Log {
    /// A track of a creator that starts then: its groups come after those of all that started before.
    fn new(shape: Shape, maker: u64, now: Micros) -> Self {
        Self { shape, groups: VecDeque::from([(now.as_millis() * CREATORS + maker, 0)]), history: Vec::new() }
    }

    fn add(&mut self, now: Micros) {
        let (group, objects) = *self.groups.back().expect("a group");
        self.history.push((now, Location::new(group, objects)));
        self.groups.back_mut().expect("a group").1 += 1;
        if objects + 1 == self.shape.objects {
            self.groups.push_back((group + CREATORS, 0));
            if self.groups.len() > KEPT + 1 {
                self.groups.pop_front();
            }
        }
    }

    pub(crate) fn largest(&self) -> Option<Location> {
        self.history.last().map(|(_, at)| *at)
    }

    /// The newest object that was there at that time.
    pub(crate) fn newest_at(&self, at: Micros) -> Option<Location> {
        let after = self.history.partition_point(|(made, _)| *made <= at);
        after.checked_sub(1).map(|last| self.history[last].1)
    }
}

/// All objects of one creator, for as long as it runs.
pub(crate) struct Broadcast {
    pub(crate) tracks: RefCell<Vec<Log>>,
    pub(crate) changed: Signal,
}

impl Broadcast {
    pub(crate) fn new(shapes: &[Shape], maker: u64, now: Micros) -> Self {
        let tracks = shapes.iter().map(|shape| Log::new(*shape, maker, now)).collect();
        Self { tracks: RefCell::new(tracks), changed: Signal::default() }
    }

    pub(crate) fn add(&self, track: usize, now: Micros) {
        self.tracks.borrow_mut()[track].add(now);
        self.changed.wake();
    }
}
