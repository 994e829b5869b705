//! A track on this node: its state, and the groups that are kept.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    sync::Arc,
    task::Waker,
};

use bytes::Bytes;
use moqt::{
    DoneCode, Location, Micros, Properties, ResetCode, TrackName,
    data::{Datagram, ObjectHeader, SubgroupHeader, SubgroupId},
    message::RequestError,
};

use crate::{
    Figures, MAX_GROUP_BYTES, PeerId, TrackStats,
    budget::{Charge, Kind as Cost, Payer},
    cache::{Cache, OBJECT_OVERHEAD, SUBGROUP_OVERHEAD, most_groups},
};

/// Datagrams of a track that are kept until its subscriptions are woken.
pub(super) const DATAGRAMS_KEPT: usize = 64;

/// The longest that a subscriber waits for a publisher, in milliseconds; a session refuses it then.
const MAX_PATIENCE_MS: u64 = 30_000;

/// Numbers the source's streams of a track. Later streams have higher numbers.
pub(super) type Sequence = u64;

/// The state of a track.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// A source has been sent a request, or is still missing.
    Pending,
    /// Its publisher accepted the subscription, or offered the track.
    Live,
    /// Its publisher refused the subscription, or no publisher exists.
    Refused(RequestError),
    /// The track is over, for this reason.
    Ended(DoneCode),
}

/// The way in which a track came from its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The node subscribed to it.
    Requested,
    /// The source published it of its own accord.
    Offered,
}

/// A track: its source, its kept groups, and the subscriptions that wait for more.
pub(super) struct Track {
    pub(super) name: TrackName,
    pub(super) state: State,
    /// The session that publishes it, or has been requested to.
    pub(super) source: Option<PeerId>,
    way: Way,
    /// The longest time for which a source is requested to wait for a publisher, in milliseconds.
    pub(super) patience: Option<u64>,
    /// The place of its request, while a publisher is waited for. The session pays that was the first to subscribe.
    pub(super) held: Option<Charge>,
    /// The time until which a subscriber waits for a publisher.
    awaited_until: Micros,
    pub(super) properties: Properties,
    pub(super) largest: Option<Location>,
    /// The position at which its publisher accepted: subscriptions that waited for that get all objects since.
    pub(super) since: (Option<Location>, Sequence),
    /// The first group that is kept from its first object on.
    pub(super) whole_from: u64,
    /// The largest object when the publisher accepted, and how many objects of that group up to it are missing. A
    /// publisher may send them too, though a subscription begins after them.
    joined: Option<(Location, u64)>,
    pub(super) subgroups: BTreeMap<Sequence, Subgroup>,
    pub(super) datagrams: VecDeque<Datagram>,
    /// The number of the datagram after the newest.
    pub(super) next_datagram: u64,
    /// The number of its subscriptions.
    pub(super) takers: usize,
    /// The track that replaces this one, if any: its subscriptions move there.
    pub(super) successor: Option<Rc<RefCell<Track>>>,
    next: Sequence,
    bytes: usize,
    /// The most groups that are kept of a track of its kind.
    most_groups: usize,
    /// The groups that are kept, by number.
    groups: BTreeMap<u64, Group>,
    /// Their numbers, in the order in which they began: another creator may count from a lower number.
    arrival: VecDeque<u64>,
    /// The bytes of the group that arrived last, which cannot be shed. The session that sends it pays for them.
    open: Option<Charge>,
    /// A group that is too large, and why, until that is reported.
    overflow: Option<(u64, String)>,
    /// Set once its publisher may publish it.
    is_installed: bool,
    pub(super) figures: Figures,
    cache: Rc<Cache>,
    stats: Arc<TrackStats>,
    /// Set while it is counted among the live publications.
    is_counted: bool,
    wakers: Vec<Waker>,
}

/// A group that is kept.
#[derive(Default)]
struct Group {
    subgroups: Vec<Sequence>,
    bytes: usize,
}

/// The objects that came on one stream of the source.
pub(super) struct Subgroup {
    pub(super) header: SubgroupHeader,
    pub(super) objects: Vec<Object>,
    pub(super) end: Option<End>,
}

pub(super) struct Object {
    pub(super) header: ObjectHeader,
    pub(super) chunks: Vec<Bytes>,
    /// Payload bytes still to come.
    pub(super) missing: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Finished,
    Reset(ResetCode),
    /// The source is gone. Another may send the rest, on a stream of its own.
    Orphaned,
}

impl Track {
    pub(super) fn new(name: TrackName, figures: Figures, cache: Rc<Cache>, stats: Arc<TrackStats>) -> Self {
        Self {
            most_groups: most_groups(&name),
            name,
            state: State::Pending,
            source: None,
            way: Way::Requested,
            patience: None,
            held: None,
            awaited_until: Micros(0),
            properties: Properties::NONE,
            largest: None,
            since: (None, 0),
            whole_from: 0,
            joined: None,
            subgroups: BTreeMap::new(),
            datagrams: VecDeque::new(),
            next_datagram: 0,
            takers: 0,
            successor: None,
            next: 0,
            bytes: 0,
            groups: BTreeMap::new(),
            arrival: VecDeque::new(),
            open: None,
            overflow: None,
            is_installed: false,
            figures,
            cache,
            stats,
            is_counted: false,
            wakers: Vec::new(),
        }
    }

    /// Wakes a task at the next change of the track.
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

    /// Sets the source that offers the track (PUBLISH). The track is live.
    pub(super) fn offered_by(&mut self, source: PeerId, properties: Properties, largest: Option<Location>) {
        (self.source, self.way) = (Some(source), Way::Offered);
        self.accepted(properties, largest);
    }

    /// Sets the source that the track is requested from (SUBSCRIBE).
    pub(super) fn requested_from(&mut self, source: PeerId) {
        (self.source, self.way) = (Some(source), Way::Requested);
        self.is_installed = true;
        self.count();
    }

    pub(super) fn is_offered(&self) -> bool {
        self.way == Way::Offered && self.is_live()
    }

    /// Records that a subscriber waits for `patience` milliseconds, and that a source is to wait for `forwarded`.
    pub(super) fn await_publisher(&mut self, now: Micros, patience: Option<u64>, forwarded: Option<u64>) {
        self.patience = self.patience.max(forwarded);
        if let Some(ms) = patience {
            self.awaited_until = self.awaited_until.max(now + Micros::from_millis(ms.min(MAX_PATIENCE_MS)));
        }
    }

    /// Returns whether a subscriber still waits for a publisher.
    pub(super) fn is_awaited(&self, now: Micros) -> bool {
        self.takers > 0 && now < self.awaited_until
    }

    /// Makes a refused track pending again, for a new subscriber or source.
    pub(super) fn reopen(&mut self) {
        if matches!(self.state, State::Refused(_)) {
            self.state = State::Pending;
        }
    }

    /// Returns whether a new request for it would wait for a publisher at nobody's cost yet.
    pub(super) fn is_unheld(&self) -> bool {
        !self.is_live() && self.held.is_none()
    }

    pub(super) fn set(&mut self, state: State) {
        if !matches!(state, State::Pending) {
            self.held = None;
        }
        self.state = state;
        self.count();
        self.wake();
    }

    /// Makes the track live: its publisher accepted the subscription, or offered the track.
    pub(super) fn accepted(&mut self, properties: Properties, largest: Option<Location>) {
        self.properties = properties;
        self.joined_at(largest);
        self.largest = self.largest.max(largest);
        self.since = (largest, self.next);
        self.set(State::Live);
    }

    /// Resumes a live track with another publisher, whose largest object this is: the subscriptions go on.
    pub(super) fn resumed(&mut self, largest: Option<Location>) {
        self.joined_at(largest);
        self.wake();
    }

    fn joined_at(&mut self, largest: Option<Location>) {
        self.whole_from = largest.map_or(0, |largest| largest.group.saturating_add(1));
        self.joined = largest.map(|largest| (largest, largest.object.saturating_add(1)));
    }

    /// Counts an object of the group in which the node joined. Once none of its first objects is missing, it is whole.
    fn count_joined(&mut self, at: Location) {
        if let Some((largest, missing)) = &mut self.joined
            && at.group == largest.group
            && at <= *largest
        {
            *missing -= 1;
            if *missing == 0 {
                self.whole_from = self.whole_from.min(at.group);
                self.joined = None;
            }
        }
    }

    /// Removes the source, which is gone. The subscriptions wait for another.
    pub(super) fn orphaned(&mut self) {
        self.source = None;
        self.count();
        for subgroup in self.subgroups.values_mut() {
            subgroup.end.get_or_insert(End::Orphaned);
        }
        self.wake();
    }

    /// Begins a subgroup, at the cost of the session that sends it, if one does.
    pub(super) fn begin(&mut self, header: SubgroupHeader, payer: Option<&Payer>) -> Sequence {
        let sequence = self.next;
        self.next += 1;
        self.subgroups.insert(sequence, Subgroup { header, objects: Vec::new(), end: None });
        let group = self.groups.entry(header.group).or_default();
        group.subgroups.push(sequence);
        if group.subgroups.len() == 1 {
            self.arrival.push_back(header.group);
            self.stats.group(header.group);
            // The group before it can be shed from now on: it is paid for no more.
            self.open = payer.map(|payer| payer.empty(Cost::OpenBytes));
        }
        self.grow(header.group, SUBGROUP_OVERHEAD);
        self.shed();
        self.wake();
        sequence
    }

    pub(super) fn object(&mut self, sequence: Sequence, header: ObjectHeader) {
        let Some(subgroup) = self.subgroups.get_mut(&sequence) else { return };
        if subgroup.header.subgroup == SubgroupId::FirstObject {
            // With its number known, the subgroup can also be sent to peers that join after its first object.
            subgroup.header.subgroup = SubgroupId::Id(header.id);
        }
        let at = Location::new(subgroup.header.group, header.id);
        let len = OBJECT_OVERHEAD + header.properties.as_wire().len();
        let group = subgroup.header.group;
        subgroup.objects.push(Object { missing: header.payload_len, header, chunks: Vec::new() });
        self.grow(group, len);
        self.stats.object();
        self.count_joined(at);
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
        // A source that reconnects sends its last datagrams again.
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

    /// Returns the highest group that has begun and is kept.
    pub(super) fn newest(&self) -> Option<u64> {
        self.groups.last_key_value().map(|(group, _)| *group)
    }

    /// Returns the lowest group that is kept.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.groups.first_key_value().map(|(group, _)| *group)
    }

    /// Returns the first subgroup of a kept group.
    pub(super) fn first_of(&self, group: u64) -> Option<Sequence> {
        self.groups.get(&group).and_then(|group| group.subgroups.first().copied())
    }

    /// Returns whether it has more than its publisher may have open.
    pub(super) fn has_overflown(&self) -> bool {
        self.overflow.is_some()
    }

    /// Returns the group that is too large, and why, once.
    pub(super) fn take_overflow(&mut self) -> Option<(u64, String)> {
        self.overflow.take()
    }

    /// Drops all groups: the track is over, and nobody gets the rest.
    pub(super) fn discard(&mut self) {
        self.subgroups.clear();
        self.groups.clear();
        self.arrival.clear();
        self.open = None;
        self.set_bytes(0);
    }

    /// Records that it was accepted, so that it may keep more than one group.
    pub(super) fn install(&mut self) {
        self.is_installed = true;
    }

    /// Returns whether at least `count` newer groups have begun. Their numbers may have gaps.
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

    /// Sets the bytes that are kept, in the track, its cache and the metrics.
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
                let reason = format!("it is over {} MiB; end groups sooner", MAX_GROUP_BYTES >> 20);
                self.overflow = Some((group, reason));
            }
        }
        if self.arrival.back() == Some(&group)
            && let Some(open) = &self.open
            && let Err(excess) = open.grow(bytes as u64)
        {
            self.overflow.get_or_insert_with(|| (group, excess.to_string()));
        }
    }

    /// Drops the groups that arrived first until the limits hold. The group that arrived last stays.
    fn shed(&mut self) {
        let limits = self.cache.limits;
        // Until it is accepted, nobody else may want it.
        let groups = if self.is_installed { limits.groups.min(self.most_groups) } else { 1 };
        let is_within = |track: &Self| {
            track.arrival.len() <= groups
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
    /// Returns its group and subgroup number, once the number is known.
    pub(super) fn key(&self) -> Option<(u64, u64)> {
        let number = match self.header.subgroup {
            SubgroupId::Zero => 0,
            SubgroupId::Id(number) => number,
            SubgroupId::FirstObject => return None,
        };
        Some((self.header.group, number))
    }
}

/// Returns whether a namespace is that of a room's tracks for all fans.
pub(super) fn is_room_track(namespace: &moqt::Namespace) -> bool {
    is_under(namespace, wire::names::ROOM)
}

/// Returns whether the first field of a namespace is `name`.
pub(super) fn is_under(namespace: &moqt::Namespace, name: &str) -> bool {
    namespace.fields().first().is_some_and(|field| &field[..] == name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept_after(namespace: &str, name: &'static str, groups: u64) -> Vec<u64> {
        let name = TrackName::new(moqt::Namespace::from_path(namespace).unwrap(), name).unwrap();
        let figures = Figures::new("test");
        let mut track = Track::new(name, figures, Rc::default(), Arc::default());
        track.is_installed = true;
        for group in 0..groups {
            let header = SubgroupHeader {
                track_alias: 0,
                group,
                subgroup: SubgroupId::Zero,
                priority: None,
                properties: false,
                end_of_group: true,
                first_object: true,
            };
            track.begin(header, None);
        }
        track.groups.keys().copied().collect()
    }

    #[test]
    fn of_a_rooms_own_tracks_only_the_newest_groups_are_kept() {
        assert_eq!(kept_after(".room/show", "chat", 9), [7, 8]);
        assert_eq!(kept_after(".room/show", "stage", 9), [8]);
        assert_eq!(kept_after(".room/show", "pulse", 9), [8]);
        assert_eq!(kept_after("show", "chat", 9), [6, 7, 8]);
    }
}
