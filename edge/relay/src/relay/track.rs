//! One track, as far as this node has it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
    task::Waker,
};

use bytes::Bytes;
use moqt::{
    DoneCode, Location, Properties, ResetCode, TrackName,
    data::{Datagram, ObjectHeader, SubgroupHeader, SubgroupId},
    message::RequestError,
};

use super::PeerId;
use crate::Figures;

/// Groups of a track that are kept, the newest of them.
pub const GROUPS_KEPT: usize = 3;
/// Bytes of a track that are kept, whatever groups they are of.
pub const BYTES_KEPT: usize = 32 << 20;
/// Datagrams of a track that are kept for those who are about to be woken.
const DATAGRAMS_KEPT: usize = 64;

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
    Asked,
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
    pub(super) figures: Figures,
    wakers: Vec<Waker>,
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
    pub(super) fn new(name: TrackName, figures: Figures) -> Self {
        Self {
            name,
            state: State::Pending,
            source: None,
            way: Way::Asked,
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
            figures,
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
    pub(super) fn asked_of(&mut self, source: PeerId) {
        (self.source, self.way) = (Some(source), Way::Asked);
    }

    pub(super) fn is_offered(&self) -> bool {
        self.way == Way::Offered && self.is_live()
    }

    /// Somebody wants it whom nobody has refused yet.
    pub(super) fn ask_again(&mut self) {
        if matches!(self.state, State::Refused(_)) {
            self.state = State::Pending;
        }
    }

    pub(super) fn set(&mut self, state: State) {
        self.state = state;
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
        for subgroup in self.subgroups.values_mut() {
            subgroup.end.get_or_insert(End::Orphaned);
        }
        self.wake();
    }

    pub(super) fn begin(&mut self, header: SubgroupHeader) -> Sequence {
        let sequence = self.next;
        self.next += 1;
        self.subgroups.insert(sequence, Subgroup { header, objects: Vec::new(), end: None });
        self.shed();
        self.wake();
        sequence
    }

    pub(super) fn object(&mut self, sequence: Sequence, header: ObjectHeader) {
        let Some(subgroup) = self.subgroups.get_mut(&sequence) else { return };
        if subgroup.header.subgroup == SubgroupId::FirstObject {
            // From here on it can be told to those who come after its first object.
            subgroup.header.subgroup = SubgroupId::Id(header.id);
        }
        let at = Location::new(subgroup.header.group, header.id);
        let len = header.properties.as_wire().len();
        subgroup.objects.push(Object { missing: header.payload_len, header, chunks: Vec::new() });
        self.keeps(self.bytes + len);
        self.largest = self.largest.max(Some(at));
        self.wake();
    }

    pub(super) fn payload(&mut self, sequence: Sequence, data: Bytes) {
        let Some(object) = self.subgroups.get_mut(&sequence).and_then(|subgroup| subgroup.objects.last_mut())
        else {
            return;
        };
        object.missing -= data.len() as u64;
        let len = data.len();
        object.chunks.push(data);
        self.figures.received.inc_by(len as u64);
        self.keeps(self.bytes + len);
        if self.bytes > BYTES_KEPT {
            self.shed();
        }
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
        self.subgroups.values().map(|subgroup| subgroup.header.group).max()
    }

    /// How many groups have begun that are newer. Their numbers may have gaps.
    pub(super) fn newer_than(&self, group: u64) -> usize {
        let groups: BTreeSet<u64> = self.subgroups.values().map(|subgroup| subgroup.header.group).collect();
        groups.range(group.saturating_add(1)..).count()
    }

    fn keeps(&mut self, bytes: usize) {
        self.figures.kept.inc_by(bytes as i64 - self.bytes as i64);
        self.bytes = bytes;
    }

    /// Lets go of the groups that came first: another creator of the track may count its groups from a lower number.
    fn shed(&mut self) {
        loop {
            let groups: BTreeSet<u64> =
                self.subgroups.values().map(|subgroup| subgroup.header.group).collect();
            let Some(oldest) = self.subgroups.values().next().map(|subgroup| subgroup.header.group) else {
                return;
            };
            if groups.len() <= GROUPS_KEPT && (groups.len() == 1 || self.bytes <= BYTES_KEPT) {
                return;
            }
            self.subgroups.retain(|_, subgroup| subgroup.header.group != oldest);
            self.keeps(self.subgroups.values().map(Subgroup::bytes).sum());
            self.whole_from = self.whole_from.max(oldest.saturating_add(1));
        }
    }
}

impl Drop for Track {
    fn drop(&mut self) {
        self.keeps(0);
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

    fn bytes(&self) -> usize {
        let object = |object: &Object| {
            object.header.properties.as_wire().len() + object.chunks.iter().map(Bytes::len).sum::<usize>()
        };
        self.objects.iter().map(object).sum()
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
