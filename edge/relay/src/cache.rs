//! The groups that a relay keeps: for subscribers that come late, and for FETCH.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use moqt::TrackName;

/// Groups of a track that an edge keeps, the newest of them.
pub const GROUPS_KEPT: usize = 3;
/// Bytes of a track that an edge keeps.
pub const BYTES_KEPT: usize = 32 << 20;
/// Bytes of all tracks that an edge keeps.
pub const TOTAL_BYTES_KEPT: usize = 1 << 30;
/// The largest group that a track may have. The newest group is kept whatever its size, so that a publisher that
/// never ends one is cut off here.
pub const MAX_GROUP_BYTES: usize = 256 << 20;
/// Bytes that an object costs beside its payload and properties.
pub(crate) const OBJECT_OVERHEAD: usize = 128;
/// Bytes that a subgroup costs beside its objects.
pub(crate) const SUBGROUP_OVERHEAD: usize = 512;

/// The bounds of the groups that a relay keeps. The newest group of each track is always kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// The most groups kept of one track.
    pub groups: usize,
    /// The most bytes kept of one track.
    pub track_bytes: usize,
    /// The most bytes kept of all tracks together.
    pub total_bytes: usize,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self { groups: GROUPS_KEPT, track_bytes: BYTES_KEPT, total_bytes: TOTAL_BYTES_KEPT }
    }
}

/// Returns the most groups that any relay keeps of a track. What was taken back in a room's own tracks is in no group
/// that begins later, so that few may be kept: two of the chat, for readers who are a little behind, and one of the
/// others, whose objects are complete.
pub(crate) fn most_groups(track: &TrackName) -> usize {
    match track.namespace().fields().first() {
        Some(field) if field[..] != *wire::names::ROOM.as_bytes() => usize::MAX,
        None => usize::MAX,
        Some(_) if track.name() == wire::Track::Chat.name().as_bytes() => 2,
        Some(_) => 1,
    }
}

/// The limits, and the bytes kept of all tracks.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    pub(crate) limits: CacheLimits,
    pub(crate) bytes: Cell<usize>,
}

/// Counters of a track, read by other threads.
#[derive(Debug, Default)]
pub struct TrackStats {
    /// Publications of it that are live.
    live: AtomicUsize,
    groups: AtomicU64,
    objects: AtomicU64,
    bytes: AtomicU64,
    kept: AtomicU64,
    /// The newest group and one; zero before there is one.
    newest: AtomicU64,
}

impl TrackStats {
    /// Returns whether the track has a live publication.
    pub fn is_live(&self) -> bool {
        self.live.load(Ordering::Relaxed) > 0
    }

    /// Returns the number of groups received.
    pub fn groups(&self) -> u64 {
        self.groups.load(Ordering::Relaxed)
    }

    /// Returns the number of objects received.
    pub fn objects(&self) -> u64 {
        self.objects.load(Ordering::Relaxed)
    }

    /// Returns the payload bytes received.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns the bytes kept now.
    pub fn kept(&self) -> u64 {
        self.kept.load(Ordering::Relaxed)
    }

    /// Returns the group that began last, if any has.
    pub fn newest_group(&self) -> Option<u64> {
        self.newest.load(Ordering::Relaxed).checked_sub(1)
    }

    pub(crate) fn set_live(&self, live: bool) {
        if live {
            self.live.fetch_add(1, Ordering::Relaxed);
        } else {
            self.live.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn group(&self, group: u64) {
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.newest.store(group.saturating_add(1), Ordering::Relaxed);
    }

    pub(crate) fn object(&self) {
        self.objects.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn payload(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn keep(&self, before: usize, now: usize) {
        // Wraps around for a decrease, as the counter does.
        self.kept.fetch_add((now as u64).wrapping_sub(before as u64), Ordering::Relaxed);
    }
}
