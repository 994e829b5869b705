use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use moq_transport::{
    coding::{Location, Value},
    data::{ExtensionHeaders, ObjectStatus},
    serve::{Datagram, ServeError, SubgroupObjectReader, SubgroupReader, TrackReaderMode},
};
use tokio::sync::watch;

/// Bytes of its newest groups kept of one track.
pub const DEFAULT_TRACK_BUDGET: u64 = 32 << 20;
/// Bytes kept of all tracks together.
pub const DEFAULT_TOTAL_BUDGET: u64 = 1 << 30;
/// The largest group a track may have. A group is in memory while it is being
/// published, kept or not; a creator that never ends one is cut off here.
pub const MAX_GROUP_BYTES: u64 = 256 << 20;
/// What an object costs beside its payload and properties.
const OBJECT_OVERHEAD: u64 = 512;
/// The span over which a track's bitrate is measured.
const RATE_WINDOW: Duration = Duration::from_secs(2);

/// Memory for the newest groups of the tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes kept of one track.
    pub track: u64,
    /// Bytes kept of all tracks together.
    pub total: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { track: DEFAULT_TRACK_BUDGET, total: DEFAULT_TOTAL_BUDGET }
    }
}

/// All that is kept, within one budget.
#[derive(Debug)]
pub(crate) struct Store {
    limits: Limits,
    total: AtomicU64,
    evicted: AtomicU64,
    received: AtomicU64,
    tracks: Mutex<Vec<Weak<TrackStore>>>,
}

impl Store {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            total: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            received: AtomicU64::new(0),
            tracks: Mutex::default(),
        })
    }

    /// A place for one more track.
    pub(crate) fn track(self: &Arc<Self>) -> Arc<TrackStore> {
        let track = Arc::new(TrackStore {
            store: Arc::clone(self),
            kept: Mutex::default(),
            newest: watch::Sender::default(),
        });
        let mut tracks = lock(&self.tracks);
        tracks.retain(|track| track.strong_count() > 0);
        tracks.push(Arc::downgrade(&track));
        track
    }

    /// Bytes kept now.
    pub(crate) fn bytes(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Groups dropped to stay within the budget.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Bytes of objects that creators published.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Drops the oldest group of the largest track until all fits.
    fn shed(&self) {
        while self.bytes() > self.limits.total {
            let tracks: Vec<_> = lock(&self.tracks).iter().filter_map(Weak::upgrade).collect();
            let largest = tracks.iter().max_by_key(|track| track.kept().bytes);
            let dropped = largest.is_some_and(|track| track.kept().drop_oldest(self));
            if !dropped {
                return;
            }
        }
    }
}

#[derive(Debug, Default)]
struct Kept {
    groups: BTreeMap<u64, Group>,
    bytes: u64,
    /// Groups before this one were dropped, and stay dropped.
    floor: u64,
    /// Of the objects as they came, kept or not.
    stats: Stats,
    window: Option<(Instant, u64)>,
    /// Groups of which more is to come, kept or not.
    open: BTreeMap<u64, OpenGroup>,
    /// A publication began of which nothing came yet.
    is_new: bool,
}

#[derive(Default)]
struct Group {
    subgroups: Vec<SubgroupReader>,
    datagrams: Vec<Datagram>,
    bytes: u64,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct OpenGroup {
    subgroups: usize,
    bytes: u64,
}

/// What came over a track.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stats {
    pub(crate) objects: u64,
    pub(crate) groups: u64,
    pub(crate) newest: Option<u64>,
    /// Bits per second, over the last whole window.
    pub(crate) bitrate: u64,
    /// Bytes kept.
    pub(crate) kept: u64,
}

impl Kept {
    /// Returns false if there was nothing to drop.
    fn drop_oldest(&mut self, store: &Store) -> bool {
        let Some((id, group)) = self.groups.pop_first() else {
            return false;
        };
        self.floor = id.saturating_add(1);
        self.bytes -= group.bytes;
        store.total.fetch_sub(group.bytes, Ordering::Relaxed);
        store.evicted.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// The group, if it is one to keep.
    fn group(&mut self, store: &Store, id: u64) -> Option<&mut Group> {
        if std::mem::take(&mut self.is_new) && self.stats.newest.is_some_and(|newest| id <= newest) {
            // The creator counts from the start again: what was is another track's.
            while self.drop_oldest(store) {}
            (self.floor, self.stats.newest) = (0, None);
        }
        if self.stats.newest.is_none_or(|newest| newest < id) {
            self.stats.newest = Some(id);
            self.stats.groups += 1;
        }
        (id >= self.floor).then(|| self.groups.entry(id).or_default())
    }

    fn count(&mut self, now: Instant, bytes: u64) {
        self.stats.objects += 1;
        let (start, sum) = self.window.get_or_insert((now, 0));
        let span = now.saturating_duration_since(*start);
        if span >= RATE_WINDOW {
            self.stats.bitrate = (*sum as f64 * 8.0 / span.as_secs_f64()) as u64;
            (*start, *sum) = (now, 0);
        }
        *sum += bytes;
    }
}

/// The newest groups of one track.
#[derive(Debug)]
pub(crate) struct TrackStore {
    store: Arc<Store>,
    kept: Mutex<Kept>,
    /// The newest group, for those who wait for it.
    newest: watch::Sender<Option<u64>>,
}

/// One object that is kept, or on its way.
pub(crate) enum Object {
    Stream(SubgroupObjectReader),
    Datagram(Datagram),
}

impl Object {
    pub(crate) fn id(&self) -> u64 {
        match self {
            Self::Stream(object) => object.object_id,
            Self::Datagram(datagram) => datagram.object_id,
        }
    }
}

/// What is kept of a range asked for.
pub(crate) struct Range {
    /// The groups, oldest first, with their objects in order.
    pub(crate) groups: Vec<(u64, Vec<Object>)>,
    /// The oldest group kept of the track.
    pub(crate) oldest: Option<u64>,
}

impl TrackStore {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }

    pub(crate) fn stats(&self) -> Stats {
        let kept = self.kept();
        let mut stats = Stats { kept: kept.bytes, ..kept.stats };
        if kept.window.is_none_or(|(start, _)| start.elapsed() > 3 * RATE_WINDOW) {
            stats.bitrate = 0;
        }
        stats
    }

    /// Keeps what comes over a track until it ends. Fails if a group is too large.
    pub(crate) async fn fill(&self, track: TrackReaderMode) -> Result<(), GroupTooLarge> {
        {
            let mut kept = self.kept();
            kept.is_new = true;
            kept.open.clear();
        }
        self.newest.send_replace(None);
        match track {
            TrackReaderMode::Subgroups(mut subgroups) => {
                let mut counting = FuturesUnordered::new();
                loop {
                    tokio::select! {
                        next = subgroups.next() => match next {
                            Ok(Some(subgroup)) => counting.push(self.keep_subgroup(subgroup)),
                            Ok(None) | Err(_) => break,
                        },
                        Some(counted) = counting.next() => counted?,
                    }
                }
                while let Some(counted) = counting.next().await {
                    counted?;
                }
            }
            TrackReaderMode::Datagrams(mut datagrams) => {
                while let Ok(Some(datagram)) = datagrams.read().await {
                    self.keep_datagram(datagram)?;
                }
            }
            TrackReaderMode::Stream(_) => {}
        }
        Ok(())
    }

    async fn keep_subgroup(&self, mut subgroup: SubgroupReader) -> Result<(), GroupTooLarge> {
        let id = subgroup.group_id;
        {
            let mut kept = self.kept();
            if let Some(group) = kept.group(&self.store, id) {
                group.subgroups.push(subgroup.clone());
            }
            kept.open.entry(id).or_default().subgroups += 1;
        }
        self.newest.send_if_modified(|newest| newest.replace(id) != Some(id));
        while let Ok(Some(object)) = subgroup.next().await {
            let size = properties_size(&object.extension_headers).saturating_add(object.size as u64);
            self.account(id, size)?;
        }
        let mut kept = self.kept();
        if let Some(open) = kept.open.get_mut(&id) {
            open.subgroups -= 1;
            if open.subgroups == 0 {
                kept.open.remove(&id);
            }
        }
        Ok(())
    }

    fn keep_datagram(&self, datagram: Datagram) -> Result<(), GroupTooLarge> {
        let id = datagram.group_id;
        let size = datagram.payload.len() as u64 + properties_size(&datagram.extension_headers);
        if let Some(group) = self.kept().group(&self.store, id) {
            if group.bytes > MAX_GROUP_BYTES {
                return Err(GroupTooLarge { group: id });
            }
            group.datagrams.push(datagram);
        }
        self.newest.send_if_modified(|newest| newest.replace(id) != Some(id));
        self.account(id, size)
    }

    /// One object of `size` bytes more in group `id`; old groups make way.
    fn account(&self, id: u64, size: u64) -> Result<(), GroupTooLarge> {
        let store = &*self.store;
        // A peer may announce any size; only what passes this check is ever summed up.
        let cost = size.saturating_add(OBJECT_OVERHEAD);
        {
            let mut kept = self.kept();
            let before = kept.open.get(&id).map_or(0, |open| open.bytes);
            if cost.saturating_add(before) > MAX_GROUP_BYTES {
                return Err(GroupTooLarge { group: id });
            }
            if let Some(open) = kept.open.get_mut(&id) {
                open.bytes += cost;
            }
            store.received.fetch_add(size, Ordering::Relaxed);
            kept.count(Instant::now(), size);
            let Some(group) = kept.groups.get_mut(&id) else {
                return Ok(());
            };
            group.bytes += cost;
            kept.bytes += cost;
            store.total.fetch_add(cost, Ordering::Relaxed);
            while kept.bytes > store.limits.track && kept.drop_oldest(store) {}
        }
        if store.bytes() > store.limits.total {
            store.shed();
        }
        Ok(())
    }

    /// Waits until group `id` or a later one has come in.
    pub(crate) async fn reached(&self, id: u64) {
        let mut newest = self.newest.subscribe();
        let _ = newest.wait_for(|newest| newest.is_some_and(|newest| newest >= id)).await;
    }

    /// Whether more is to come in the newest group.
    pub(crate) fn is_group_open(&self) -> bool {
        let kept = self.kept();
        kept.stats.newest.is_some_and(|newest| kept.open.contains_key(&newest))
    }

    /// The subgroups kept of group `from` and later ones.
    pub(crate) fn subgroups(&self, from: u64) -> Vec<SubgroupReader> {
        let kept = self.kept();
        kept.groups.range(from..).flat_map(|(_, group)| group.subgroups.iter().cloned()).collect()
    }

    /// The oldest group kept.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.kept().groups.first_key_value().map(|(id, _)| *id)
    }

    /// The location of the last object kept.
    pub(crate) fn largest(&self) -> Option<Location> {
        let kept = self.kept();
        kept.groups.iter().rev().find_map(|(id, group)| {
            let streamed = group.subgroups.iter().filter_map(SubgroupReader::latest);
            let datagrams = group.datagrams.iter().map(|datagram| datagram.object_id);
            Some(Location::new(*id, streamed.chain(datagrams).max()?))
        })
    }

    /// What is kept between two locations, both included. Objects of which more is on
    /// its way are there too; reading them waits for it.
    pub(crate) async fn range(&self, start: Location, end: Location) -> Range {
        let (mut parts, oldest) = {
            let kept = self.kept();
            let parts: Vec<_> = kept
                .groups
                .range(start.group_id..=end.group_id)
                .map(|(id, group)| (*id, group.subgroups.clone(), group.datagrams.clone()))
                .collect();
            (parts, kept.groups.first_key_value().map(|(id, _)| *id))
        };
        let mut groups = Vec::new();
        for (id, subgroups, datagrams) in &mut parts {
            let mut objects: Vec<_> = datagrams.drain(..).map(Object::Datagram).collect();
            for subgroup in subgroups {
                // Those announced by now, so that this does not wait for the future.
                for _ in 0..subgroup.len() {
                    match subgroup.next().await {
                        Ok(Some(object)) => objects.push(Object::Stream(object)),
                        Ok(None) | Err(_) => break,
                    }
                }
            }
            objects.retain(|object| {
                let at = Location::new(*id, object.id());
                let exists = match object {
                    Object::Stream(object) => object.status == ObjectStatus::NormalObject,
                    Object::Datagram(datagram) => datagram.status == ObjectStatus::NormalObject,
                };
                exists && start <= at && at <= end
            });
            objects.sort_by_key(Object::id);
            objects.dedup_by_key(|object| object.id());
            if !objects.is_empty() {
                groups.push((*id, objects));
            }
        }
        Range { groups, oldest }
    }
}

impl Drop for TrackStore {
    fn drop(&mut self) {
        let bytes = self.kept().bytes;
        self.store.total.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A creator never ends its group.
#[derive(Debug)]
pub(crate) struct GroupTooLarge {
    pub(crate) group: u64,
}

/// The payload of an object, without a copy if it came in one piece.
pub(crate) async fn payload(object: &mut SubgroupObjectReader) -> Result<Vec<bytes::Bytes>, ServeError> {
    let mut chunks = Vec::new();
    while let Some(chunk) = object.read().await? {
        chunks.push(chunk);
    }
    Ok(chunks)
}

fn properties_size(properties: &ExtensionHeaders) -> u64 {
    let size = |value: &Value| match value {
        Value::IntValue(_) => 16,
        Value::BytesValue(bytes) => 32 + bytes.len() as u64,
    };
    properties.0.iter().map(|pair| size(&pair.value)).sum()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use moq_transport::{
        coding::TrackNamespace,
        serve::{Subgroup, Track},
    };

    use super::*;

    const OBJECT: usize = 1000;
    const COST: u64 = OBJECT as u64 + OBJECT_OVERHEAD;

    /// A track of `groups` groups with four objects each, kept in `store`.
    async fn filled(store: &Arc<Store>, groups: u64) -> Arc<TrackStore> {
        let namespace = TrackNamespace::from_utf8_path("demo");
        let (writer, reader) = Track::new(namespace, "video").produce();
        let kept = store.track();
        let mut writer = writer.subgroups().expect("open");
        let write = async {
            for group_id in 0..groups {
                let subgroup = Subgroup { group_id, subgroup_id: 0, priority: 1 };
                let mut subgroup = writer.create(subgroup).expect("open");
                for _ in 0..4 {
                    subgroup.write(Bytes::from(vec![0; OBJECT])).expect("open");
                }
                drop(subgroup);
                tokio::task::yield_now().await;
            }
            drop(writer);
        };
        let mode = reader.mode().await.expect("open");
        let (filled, ()) = tokio::join!(kept.fill(mode), write);
        filled.expect("small groups");
        kept
    }

    async fn groups(track: &TrackStore) -> Vec<u64> {
        let all = track.range(Location::new(0, 0), Location::new(u64::MAX, u64::MAX)).await;
        all.groups.iter().map(|(id, _)| *id).collect()
    }

    #[tokio::test]
    async fn the_newest_groups_stay_within_the_track_budget() {
        let store = Store::new(Limits { track: 12 * COST, total: u64::MAX });
        let track = filled(&store, 10).await;
        assert_eq!(groups(&track).await, [7, 8, 9]);
        assert_eq!((store.bytes(), store.evicted()), (12 * COST, 7));
        let some = track.range(Location::new(8, 1), Location::new(9, 0)).await;
        let ids: Vec<Vec<u64>> =
            some.groups.iter().map(|(_, objects)| objects.iter().map(Object::id).collect()).collect();
        assert_eq!(ids, [vec![1, 2, 3], vec![0]]);
        assert_eq!(some.oldest, Some(7));
        drop(track);
        assert_eq!(store.bytes(), 0);
    }

    #[tokio::test]
    async fn an_object_announced_with_any_size_is_refused_not_summed_up() {
        let store = Store::new(Limits::default());
        let namespace = TrackNamespace::from_utf8_path("demo");
        let (writer, reader) = Track::new(namespace, "video").produce();
        let mut writer = writer.subgroups().expect("open");
        let subgroup = Subgroup { group_id: 9, subgroup_id: 0, priority: 1 };
        let mut subgroup = writer.create(subgroup).expect("open");
        let _object = subgroup.create(usize::MAX, None).expect("open");
        let filled = store.track().fill(reader.mode().await.expect("open")).await;
        assert_eq!(filled.expect_err("too large").group, 9);
        assert_eq!((store.bytes(), store.received()), (0, 0));
    }

    #[tokio::test]
    async fn all_tracks_share_the_total_budget() {
        let store = Store::new(Limits { track: u64::MAX, total: 20 * COST });
        let (big, small) = (filled(&store, 4).await, filled(&store, 2).await);
        assert_eq!(groups(&big).await, [1, 2, 3]);
        assert_eq!(groups(&small).await, [0, 1]);
        assert!(store.bytes() <= 20 * COST);
    }

    #[tokio::test]
    async fn a_group_larger_than_the_budget_is_not_kept_at_all() {
        let store = Store::new(Limits { track: 3 * COST, total: u64::MAX });
        let track = filled(&store, 2).await;
        assert_eq!(groups(&track).await, [0; 0]);
        assert_eq!(store.bytes(), 0);
    }
}
