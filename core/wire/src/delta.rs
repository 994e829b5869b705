//! Edge → origin: the deltas.

use serde::{Deserialize, Serialize};

use crate::{Act, EdgeId, FanId, List, Micros, Reason, Role, SessionId, StreamId};

/// What is in a delta. Its first frame is the only [`Head`](Self::Head).
///
/// The deltas of one incarnation of an edge are numbered 1, 2, 3… and applied in that order, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Up<'a> {
    /// Whose delta it is, and which.
    Head {
        /// The edge.
        edge: EdgeId,
        /// Its life: higher each time it starts from nothing.
        incarnation: u64,
        /// The delta's number.
        sequence: u64,
        /// The lowest number that is not acked: what an origin that does not know the edge
        /// begins with.
        oldest: u64,
        /// When it was made, by the edge's clock.
        at: Micros,
    },
    /// A fan is here.
    Attach {
        /// Under which index.
        session: SessionId,
        /// Who.
        fan: FanId,
        /// With which stream.
        stream: StreamId,
        /// The lowest number that they may still send.
        next: u64,
        /// As their token has it.
        role: Role,
    },
    /// More about that fan, before their first message.
    Known {
        /// Where.
        session: SessionId,
        /// What they call themselves.
        name: &'a str,
        /// May choose a name.
        anonymous: bool,
    },
    /// A message that the edge lets pass.
    Act {
        /// Whose.
        session: SessionId,
        /// Which.
        number: u64,
        /// What the edge makes of it.
        screen: Screen,
        /// What it does.
        #[serde(borrow)]
        act: Act<'a>,
    },
    /// A message that the edge rejects: its number is used up.
    Settle {
        /// Whose.
        session: SessionId,
        /// Which.
        number: u64,
        /// Why.
        reason: Reason,
    },
    /// How long a fan has been here since the last time that it was told.
    Stayed {
        /// Who.
        session: SessionId,
        /// How long.
        visit: Visit,
    },
    /// A fan is gone.
    Detach {
        /// Who.
        session: SessionId,
    },
    /// What the edge has measured since it started. Replaces what was said before.
    Report(Report),
    /// Latencies since the edge started. Replaces what was said before.
    Latency(List<LatencyBucket>),
}

impl Up<'_> {
    /// The session and the number in a frame that is otherwise unknown here, so that an act
    /// of a newer kind can be answered.
    pub fn number_of_unknown(frame: &[u8]) -> Option<(SessionId, u64)> {
        match postcard::take_from_bytes::<(u32, SessionId, u64)>(frame) {
            Ok(((3, session, number), _)) => Some((session, number)),
            _ => None,
        }
    }
}

/// What an edge makes of a message that it lets pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Screen {
    /// Nothing.
    #[default]
    Pass,
    /// It should wait for a moderator.
    Hold,
}

/// For how long a fan was in the room, by one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// In all.
    pub total_ms: u64,
    /// While the stage played.
    pub watched_ms: u64,
    /// While the fan was active.
    pub active_ms: u64,
}

/// What an edge has measured since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Fans here now.
    pub viewers: u32,
    /// The time of all fans together, as in [`Visit`].
    pub time: Visit,
}

/// How many latencies were in a bucket of the sketch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyBucket {
    /// Which bucket.
    pub bucket: u16,
    /// How many.
    pub count: u32,
}
