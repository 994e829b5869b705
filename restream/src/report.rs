//! Reports on the progress of a restream.

use std::time::Duration;

use tokio::time::Instant;

use crate::End;

/// The state of a restream, reported once a second and whenever something changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The connection to the source.
    pub source: Link,
    /// The connection to the destination.
    pub destination: Link,
    /// The room at the source.
    pub room: Room,
    /// Counters since the beginning.
    pub counts: Counts,
}

/// A connection to a relay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// An attempt is being made.
    #[default]
    Connecting,
    /// The session is established.
    Up {
        /// The time when it was.
        since: Instant,
    },
    /// There is none, and an attempt will be made.
    Down {
        /// The reason, in one line.
        reason: String,
        /// The pause before the attempt.
        pause: Duration,
    },
}

/// The state of the room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Room {
    /// The source has not answered yet.
    #[default]
    Unknown,
    /// The source has no catalog of this room. It is asked again.
    Absent,
    /// The source has the room.
    Present,
    /// The destination has accepted it.
    Announced,
}

/// Counters of the objects that have been carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tracks that the destination is subscribed to now.
    pub tracks: u64,
    /// Objects that have been handed to QUIC.
    pub frames: u64,
    /// Bytes of streams with objects.
    pub bytes: u64,
    /// Groups that were skipped in whole or in part, because the destination was too slow.
    pub skipped: u64,
}

impl Report {
    /// The time since which both ends are connected, if they are and the room is at the destination.
    pub fn live_since(&self) -> Option<Instant> {
        match (&self.source, &self.destination, self.room) {
            (Link::Up { since: source }, Link::Up { since: destination }, Room::Announced) => {
                Some(*source.max(destination))
            }
            _ => None,
        }
    }

    /// The end that has no connection, the reason and the pause before the next attempt.
    pub fn down(&self) -> Option<(End, &str, Duration)> {
        let ends = [(End::Source, &self.source), (End::Destination, &self.destination)];
        ends.into_iter().find_map(|(end, link)| match link {
            Link::Down { reason, pause } => Some((end, reason.as_str(), *pause)),
            Link::Connecting | Link::Up { .. } => None,
        })
    }
}
