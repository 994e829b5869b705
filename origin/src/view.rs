//! The rooms in the form of the HTTP API.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use relay::{PeerId, TrackStats};
use serde::Serialize;

use crate::State;

/// The shortest span over which a bit rate is measured.
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// A room in `/api/rooms`.
#[derive(Clone, Debug, Serialize)]
pub struct RoomView {
    /// The room's full name, as a path.
    pub name: String,
    /// The room's state at this moment.
    pub state: State,
    /// The name in the creator's token; `None` without a token.
    pub creator: Option<String>,
    /// The time at which its show began, or at which the room ended (RFC 3339).
    pub since: String,
    /// Sessions that subscribe to any of its tracks, edges excluded.
    pub viewers: usize,
    /// Edges that subscribe to any of its tracks.
    pub edges: usize,
    /// The room's tracks, sorted by namespace and name.
    pub tracks: Vec<TrackView>,
}

/// A track in `/api/rooms`.
#[derive(Clone, Debug, Serialize)]
pub struct TrackView {
    /// The track's namespace, joined with `/`.
    pub namespace: String,
    /// The track's name within its namespace.
    pub name: String,
    /// Set while a creator publishes it now.
    pub live: bool,
    /// Incoming bits per second, measured between two views.
    pub bitrate: u64,
    /// Groups received since the track began.
    pub groups: u64,
    /// Objects received since the track began.
    pub objects: u64,
    /// The number of the newest group.
    pub newest_group: Option<u64>,
    /// Bytes kept to answer FETCH.
    pub kept_bytes: u64,
    /// The number of subscriptions to it.
    pub subscribers: usize,
}

/// The counters and viewers of a track.
pub(crate) struct Entry {
    pub(crate) room: String,
    pub(crate) stats: Arc<TrackStats>,
    /// Subscriptions by session, with whether the session is an edge.
    pub(crate) viewers: HashMap<PeerId, (usize, bool)>,
    pub(crate) rate: Rate,
}

/// The bit rate of a track, measured between two views that are at least [`RATE_WINDOW`] apart.
pub(crate) struct Rate {
    at: Instant,
    bytes: u64,
    bits_per_second: u64,
}

impl Rate {
    pub(crate) fn new(at: Instant) -> Self {
        Self { at, bytes: 0, bits_per_second: 0 }
    }

    pub(crate) fn measure(&mut self, now: Instant, bytes: u64) -> u64 {
        let span = now - self.at;
        if span >= RATE_WINDOW {
            let bits = 8.0 * bytes.saturating_sub(self.bytes) as f64;
            *self = Self { at: now, bytes, bits_per_second: (bits / span.as_secs_f64()) as u64 };
        }
        self.bits_per_second
    }
}

pub(crate) fn rfc3339(at: SystemTime) -> String {
    time::UtcDateTime::from(at)
        .replace_nanosecond(0)
        .ok()
        .and_then(|at| at.format(&time::format_description::well_known::Rfc3339).ok())
        .unwrap_or_default()
}
