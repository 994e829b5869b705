//! One track, as far as this node has it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    sync::Arc,
    task::Waker,
};

use bytes::Bytes;
use moqt::{
    DoneCode, Location, Properties, ResetCode, TrackName,
    data::{Datagram, ObjectHeader, SubgroupHeader, SubgroupId},
    message::RequestError,
};

use crate::{
    Figures, MAX_GROUP_BYTES, PeerId, TrackStats,
    cache::{Cache, OBJECT_OVERHEAD},
};

/// Datagrams of a track that are kept for those who are about to be woken.
pub(super) const DATAGRAMS_KEPT: usize = 64;

/// Names a subgroup's stream for as long as it is kept; later ones are higher.
pub(super) type Sequence = u64;

/// Whether a track can be had.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// Somebody has been asked, or is to be.
    Pending,
    /// Its publisher accepted.
    Live,
    /// Its publisher did not.
    Refused(RequestError),
    /// It is over.
    Ended(DoneCode),
}

/// The way in which a track came from its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// We subscribed.
    Requested,
    /// The source published it of its own accord.
    Offered,
}

pub(super) struct Track {
    pub(super) name: TrackName,
    pub(super) state: State,
    /// Who publishes it, or has been asked to.
    pub(super) source: Option<PeerId>,
    way: Way,
    /// Milliseconds for which a publisher is waited for, by the most patient of those who asked.
    pub(super) patience: Option<u64>,
    pub(super) properties: Properties,
    pub(super) largest: Option<Location>,
    /// Where it stood when its publisher accepted: those who waited for that get all
    /// that came since.
    pub(super) since: (Option<Location>, Sequence),
    /// The first group that is here from its first object on.
    pub(super) whole_from: u64,
    pub(super) subgroups: BTreeMap<Sequence, Subgroup>,
    pub(super) datagrams: VecDeque<Datagram>,
    /// The number of the datagram after the newest.
    pub(super) next_datagram: u64,
    /// Subscriptions that take from it.
    pub(super) takers: usize,
    /// The track that has taken its place, if any: whoever takes from this one goes on there.
    pub(super) successor: Option<Rc<RefCell<Track>>>,
    next: Sequence,
    bytes: usize,
    /// The groups that are kept, by number.
    groups: BTreeMap<u64, Group>,
    /// Their numbers, in the order in which they began: another creator may count from a lower number.
    arrival: VecDeque<u64>,
    /// A group that is larger than any may be.
    oversized: Option<u64>,
    pub(super) figures: Figures,
    cache: Rc<Cache>,
    stats: Arc<TrackStats>,
    /// Counted among the publications that are live.
    is_counted: bool,
    wakers: Vec<Waker>,
}

/// A group that is kept.
#[derive(Default)]
struct Group {
    subgroups: Vec<Sequence>,
    bytes: usize,
}

/// What came on one stream.
pub(super) struct Subgroup {
    pub(super) header: SubgroupHeader,
    pub(super) objects: Vec<Object>,
    pub(super) end: Option<End>,
}

pub(super) struct Object {
    pub(super) header: ObjectHeader,
    pub(super) chunks: Vec<Bytes>,
    pub(super) missing: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Finished,
    Reset(ResetCode),
    /// Its source is gone: another may send the rest, on a stream of its own.
    Orphaned,
}

impl Track {
    pub(super) fn new(name: TrackName, figures: Figures, cache: Rc<Cache>, stats: Arc<TrackStats>) -> Self {
        Self {
            name,
            state: State::Pending,
            source: None,
            way: Way::Requested,
            patience: None,
            properties: Properties::NONE,
            largest: None,
            since: (None, 0),
            whole_from: 0,
            subgroups: BTreeMap::new(),
            datagrams: VecDeque::new(),
            next_datagram: 0,
            takers: 0,
            successor: None,
            next: 0,
            bytes: 0,
            groups: BTreeMap::new(),
            arrival: VecDeque::new(),
            oversized: None,
            figures,
            cache,
            stats,
            is_counted: false,
            wakers: Vec::new(),
        }
    }

    /// Has a task woken when there is more.
    pub(super) fn watch(&mut self, waker: &Waker) {
        if !self.wakers.iter().any(|known| known.will_wake(waker)) {
            self.wakers.push(waker.clone());
        }
    }

    pub(super) fn wake(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.state, State::Live)
    }

    /// A source publishes it of its own accord.
    pub(super) fn offered_by(&mut self, source: PeerId, properties: Properties, largest: Option<Location>) {
        (self.source, self.way) = (Some(source), Way::Offered);
        self.accepted(properties, largest);
    }

    /// A source is asked for it.
    pub(super) fn requested_from(&mut self, source: PeerId) {
        (self.source, self.way) = (Some(source), Way::Requested);
        self.count();
    }

    pub(super) fn is_offered(&self) -> bool {
        self.way == Way::Offered && self.is_live()
    }

    /// Somebody wants it whom nobody has refused yet.
    pub(super) fn reopen(&mut self) {
        if matches!(self.state, State::Refused(_)) {
            self.state = State::Pending;
        }
    }

    pub(super) fn set(&mut self, state: State) {
        self.state = state;
        self.count();
        self.wake();
    }

    /// Its publisher accepted, or offered it.
    pub(super) fn accepted(&mut self, properties: Properties, largest: Option<Location>) {
        self.properties = properties;
        self.whole_from = largest.map_or(0, |largest| largest.group.saturating_add(1));
        self.largest = self.largest.max(largest);
        self.since = (largest, self.next);
        self.set(State::Live);
    }

    /// Its publisher is gone; whoever takes from it waits for another.
    pub(super) fn orphaned(&mut self) {
        self.source = None;
        self.count();
        for subgroup in self.subgroups.values_mut() {
            subgroup.end.get_or_insert(End::Orphaned);
        }
        self.wake();
    }

    pub(super) fn begin(&mut self, header: SubgroupHeader) -> Sequence {
        let sequence = self.next;
        self.next += 1;
        self.subgroups.insert(sequence, Subgroup { header, objects: Vec::new(), end: None });
        let group = self.groups.entry(header.group).or_default();
        group.subgroups.push(sequence);
        if group.subgroups.len() == 1 {
            self.arrival.push_back(header.group);
            self.stats.group(header.group);
        }
        self.shed();
        self.wake();
        sequence
    }

    pub(super) fn object(&mut self, sequence: Sequence, header: ObjectHeader) {
        let Some(subgroup) = self.subgroups.get_mut(&sequence) else { return };
        if subgroup.header.subgroup == SubgroupId::FirstObject {
            // From here on it can be sent to those who come after its first object.
            subgroup.header.subgroup = SubgroupId::Id(header.id);
        }
        let at = Location::new(subgroup.header.group, header.id);
        let len = OBJECT_OVERHEAD + header.properties.as_wire().len();
        let group = subgroup.header.group;
        subgroup.objects.push(Object { missing: header.payload_len, header, chunks: Vec::new() });
        self.grow(group, len);
        self.stats.object();
        self.largest = self.largest.max(Some(at));
        self.wake();
    }

    pub(super) fn payload(&mut self, sequence: Sequence, data: Bytes) {
        let Some(subgroup) = self.subgroups.get_mut(&sequence) else { return };
        let group = subgroup.header.group;
        let Some(object) = subgroup.objects.last_mut() else { return };
        object.missing -= data.len() as u64;
        let len = data.len();
        object.chunks.push(data);
        self.figures.received.inc_by(len as u64);
        self.stats.payload(len);
        self.grow(group, len);
        self.shed();
        self.wake();
    }

    pub(super) fn end(&mut self, sequence: Sequence, end: End) {
        if let Some(subgroup) = self.subgroups.get_mut(&sequence) {
            subgroup.end = Some(end);
            self.wake();
        }
    }

    pub(super) fn datagram(&mut self, datagram: Datagram) {
        let at = Location::new(datagram.group, datagram.object);
        // A source that is there again begins with what it sent before.
        if self.datagrams.iter().any(|known| (known.group, known.object) == (at.group, at.object)) {
            return;
        }
        self.largest = self.largest.max(Some(at));
        if self.datagrams.len() == DATAGRAMS_KEPT {
            self.datagrams.pop_front();
        }
        self.datagrams.push_back(datagram);
        self.next_datagram += 1;
        self.wake();
    }

    pub(super) fn next_sequence(&self) -> Sequence {
        self.next
    }

    /// The newest group that has begun.
    pub(super) fn newest(&self) -> Option<u64> {
        self.groups.last_key_value().map(|(group, _)| *group)
    }

    /// The oldest group that is kept.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.groups.first_key_value().map(|(group, _)| *group)
    }

    /// The first subgroup of a group that is kept.
    pub(super) fn first_of(&self, group: u64) -> Option<Sequence> {
        self.groups.get(&group).and_then(|group| group.subgroups.first().copied())
    }

    /// A group that has grown larger than any may, once.
    pub(super) fn take_oversized(&mut self) -> Option<u64> {
        self.oversized.take()
    }

    /// Whether at least `count` newer groups have begun. Their numbers may have gaps.
    pub(super) fn has_newer(&self, group: u64, count: usize) -> bool {
        self.groups.range(group.saturating_add(1)..).take(count).count() == count
    }

    /// Counts it among the publications that are live while it has a source.
    fn count(&mut self) {
        let counts = self.is_live() && self.source.is_some();
        if std::mem::replace(&mut self.is_counted, counts) != counts {
            self.stats.set_live(counts);
        }
    }

    fn set_bytes(&mut self, bytes: usize) {
        self.figures.kept.inc_by(bytes as i64 - self.bytes as i64);
        self.cache.bytes.set(self.cache.bytes.get() + bytes - self.bytes);
        self.stats.keep(self.bytes, bytes);
        self.bytes = bytes;
    }

    fn grow(&mut self, group: u64, bytes: usize) {
        self.set_bytes(self.bytes + bytes);
        if let Some(kept) = self.groups.get_mut(&group) {
            let was_within = kept.bytes <= MAX_GROUP_BYTES;
            kept.bytes += bytes;
            if was_within && kept.bytes > MAX_GROUP_BYTES {
                self.oversized = Some(group);
            }
        }
    }

    /// Drops the groups that came first until the limits hold. The group that came last stays.
    fn shed(&mut self) {
        let limits = self.cache.limits;
        let is_within = |track: &Self| {
            track.arrival.len() <= limits.groups
                && track.bytes <= limits.track_bytes
                && track.cache.bytes.get() <= limits.total_bytes
        };
        while self.arrival.len() > 1 && !is_within(self) {
            let Some(oldest) = self.arrival.pop_front() else { return };
            let group = self.groups.remove(&oldest).unwrap_or_default();
            for sequence in group.subgroups {
                self.subgroups.remove(&sequence);
            }
            self.set_bytes(self.bytes - group.bytes);
            self.figures.evicted.inc();
            self.whole_from = self.whole_from.max(oldest.saturating_add(1));
        }
    }
}

impl Drop for Track {
    fn drop(&mut self) {
        self.source = None;
        self.count();
        self.set_bytes(0);
    }
}

impl Subgroup {
    /// Its group and number, once that is known.
    pub(super) fn key(&self) -> Option<(u64, u64)> {
        let number = match self.header.subgroup {
            SubgroupId::Zero => 0,
            SubgroupId::Id(number) => number,
            SubgroupId::FirstObject => return None,
        };
        Some((self.header.group, number))
    }
}

/// Whether a namespace is that of a room's tracks to all fans.
pub(super) fn is_room_track(namespace: &moqt::Namespace) -> bool {
    is_under(namespace, wire::names::ROOM)
}

/// Whether the first field of a namespace is `name`.
pub(super) fn is_under(namespace: &moqt::Namespace, name: &str) -> bool {
    namespace.fields().first().is_some_and(|field| &field[..] == name.as_bytes())
}
