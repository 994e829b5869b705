//! Origin → edge: answers to deltas, and the state that edges check messages against.

use serde::{Deserialize, Serialize};

use crate::{ChatId, FanId, List, Modes, Pattern, Reason, Review, Role, SessionId, Standing, Vote};

/// One message from the origin to an edge.
///
/// An edge acks everything in a delta that the answer does not except. It may therefore not skip a new kind
/// of exception: a new kind comes with a new [`VERSION`](crate::VERSION).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Down<'a> {
    /// The packet's first frame: the incarnation of the edge that the packet is for. Any other incarnation
    /// drops the packet.
    Head {
        /// The edge's incarnation: higher each time the edge starts with no state.
        incarnation: u64,
    },
    /// The root has applied and stored a delta. The rest of the packet belongs to it; all messages of the
    /// delta are settled and taken, except those that the packet rejects or holds.
    Answer {
        /// The delta's number within the edge's incarnation.
        sequence: u64,
    },
    /// State of a fan whom the root has attached.
    Attached {
        /// Session that the edge has attached.
        session: SessionId,
        /// The highest number of the stream that is settled.
        mark: u64,
        /// The fan's role in general.
        role: Role,
        /// The fan's standing now: free, timed out or banned.
        standing: Standing,
        /// Their vote in the open poll.
        vote: Option<Vote>,
    },
    /// The root has forgotten an attached fan's stream: the client begins another.
    Forgotten {
        /// The fan's session at the edge.
        session: SessionId,
    },
    /// The room is full and does not attach this fan.
    Refused {
        /// The fan's session at the edge.
        session: SessionId,
    },
    /// The root has not taken a message.
    Rejected {
        /// The fan's session at the edge.
        session: SessionId,
        /// The message's number in the fan's stream.
        number: u64,
        /// The reason, which the page explains to the fan.
        reason: Reason,
    },
    /// A message is held until a moderator decides.
    Held {
        /// The fan's session at the edge.
        session: SessionId,
        /// The message's number in the fan's stream.
        number: u64,
    },
    /// A chat line has its number in the room's order.
    Said {
        /// The fan's session at the edge.
        session: SessionId,
        /// The number of the message that carried the line.
        number: u64,
        /// The chat line's number in the room's one order.
        chat: ChatId,
    },
    /// A message overtook an earlier one: the edge resends everything unacked from `from` on.
    Resend {
        /// The fan's session at the edge.
        session: SessionId,
        /// The number of the missing message.
        from: u64,
    },
    /// A delta is missing: the edge resends all from `sequence` on.
    Expect {
        /// The number of the first missing delta.
        sequence: u64,
    },
    /// The settings that edges check messages against, sent whenever they change.
    Settings(#[serde(borrow)] Settings<'a>),
    /// A fan's standing or role has changed; sent to every edge that the fan is connected to.
    Standing {
        /// Identity of the fan, the same on every edge.
        fan: FanId,
        /// The fan's standing now: free, timed out or banned.
        standing: Standing,
        /// The fan's role in general.
        role: Role,
    },
    /// A review for every moderator at this edge.
    Moderators(Review<'a>),
    /// A review for one moderator.
    Moderator {
        /// The moderator's session at the edge.
        session: SessionId,
        /// The review, of a held line.
        review: Review<'a>,
    },
}

/// Settings that edges check messages against.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings<'a> {
    /// The room's modes: slow, followers only, emoji only, held, links.
    pub modes: Modes,
    /// The blocked words and patterns.
    #[serde(borrow)]
    pub patterns: List<Pattern<'a>>,
}
