//! Edge → origin: the deltas.

use serde::{Deserialize, Serialize};

use crate::{Act, EdgeId, FanId, List, Micros, Reason, Role, SessionId, StreamId};

/// One message of a delta. The delta's first frame is its only [`Head`](Self::Head).
///
/// The deltas of one incarnation of an edge are numbered 1, 2, 3… and the root applies each once, in that
/// order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Up<'a> {
    /// Identifies the delta: its edge, incarnation and number.
    Head {
        /// The edge that sends the delta.
        edge: EdgeId,
        /// The edge's incarnation: higher each time the edge starts with no state.
        incarnation: u64,
        /// The delta's number within the edge's incarnation.
        sequence: u64,
        /// The lowest number that is not acked: an origin that does not know the edge begins there.
        oldest: u64,
        /// Time of sealing, by the edge's clock.
        at: Micros,
    },
    /// A fan is connected to the edge.
    Attach {
        /// Session index that the edge has given to the connection.
        session: SessionId,
        /// The fan's identity, from a checked token.
        fan: FanId,
        /// The run of message numbers that the client continues.
        stream: StreamId,
        /// The lowest number that the client may still send.
        next: u64,
        /// The role that the fan's token grants.
        role: Role,
    },
    /// Further facts about an attached fan, before the fan's first message.
    Known {
        /// The fan's session at the edge.
        session: SessionId,
        /// The name that the fan has chosen or brought in a token.
        name: &'a str,
        /// True if the fan has no account and may therefore choose a name.
        anonymous: bool,
    },
    /// A message that the edge has checked and lets pass.
    Act {
        /// The fan's session at the edge.
        session: SessionId,
        /// The message's number in the fan's stream.
        number: u64,
        /// The edge's verdict: whether a moderator should see the message first.
        screen: Screen,
        /// The act that the message carries.
        #[serde(borrow)]
        act: Act<'a>,
    },
    /// A message that the edge rejects. The root records its number as used.
    Settle {
        /// The fan's session at the edge.
        session: SessionId,
        /// The message's number in the fan's stream.
        number: u64,
        /// The reason, which the root repeats if the message is sent again.
        reason: Reason,
    },
    /// Time that a fan has spent here since the edge's last report of it.
    Stayed {
        /// The fan's session at the edge.
        session: SessionId,
        /// The time, by kind.
        visit: Visit,
    },
    /// A fan's connection has ended.
    Detach {
        /// The fan's session at the edge.
        session: SessionId,
    },
    /// Totals that the edge has measured since it started. Replaces the previous report.
    Report(Report),
    /// Latencies since the edge started. Replaces the previous report.
    Latency(List<LatencyBucket>),
    /// The token of a fan whom the next delta attaches, for the node of the root, which verifies it and passes it on to no
    /// worker. Proofs come in packets of their own.
    Proof {
        /// The signed token, as text.
        token: &'a str,
    },
    /// The address of a fan without a name of their own, before a vote of theirs.
    Address {
        /// The fan's session at the edge.
        session: SessionId,
        /// A number that stands for the address at this edge, and discloses nothing of it.
        address: u64,
    },
}

impl Up<'_> {
    /// Returns the session and number of a frame of an unknown kind, so that a reader can answer a newer kind
    /// of act.
    pub fn number_of_unknown(frame: &[u8]) -> Option<(SessionId, u64)> {
        match postcard::take_from_bytes::<(u32, SessionId, u64)>(frame) {
            Ok(((3, session, number), _)) => Some((session, number)),
            _ => None,
        }
    }
}

/// The edge's verdict on a message that it lets pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Screen {
    /// The message may be published at once.
    #[default]
    Pass,
    /// The message should wait for a moderator.
    Hold,
}

/// Duration of a fan's time in the room, by one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// Milliseconds of the connection in all.
    pub total_ms: u64,
    /// Milliseconds while the stage played.
    pub watched_ms: u64,
    /// Milliseconds while the fan was active.
    pub active_ms: u64,
}

/// Totals that an edge has measured since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Fans connected to the edge now.
    pub viewers: u32,
    /// The time of all fans together, as in [`Visit`].
    pub time: Visit,
}

/// Number of latencies in one bucket of the latency sketch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyBucket {
    /// Index of the bucket in the sketch.
    pub bucket: u16,
    /// Latencies counted in it.
    pub count: u32,
}
