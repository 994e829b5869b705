//! Origin → edge.

use serde::{Deserialize, Serialize};

use crate::{ChatId, FanId, List, Modes, Pattern, Reason, Review, Role, SessionId, Standing, Vote};

/// What the origin says to an edge.
///
/// An edge acks what an answer does not except, so a new kind of exception is not one that it may
/// pass over: it comes with a new [`VERSION`](crate::VERSION).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Down<'a> {
    /// The packet's first frame: which life of the edge it is for. Another drops it.
    Head {
        /// The incarnation.
        incarnation: u64,
    },
    /// A delta is applied and kept. The rest of the packet is about it, and all its
    /// messages are settled and taken, but for what is said of them there.
    Answer {
        /// Which.
        sequence: u64,
    },
    /// An attached fan's state.
    Attached {
        /// Where.
        session: SessionId,
        /// The highest number settled.
        mark: u64,
        /// What they may do.
        role: Role,
        /// At the moment.
        standing: Standing,
        /// Their vote in the open poll.
        vote: Option<Vote>,
    },
    /// An attached fan's stream is forgotten: they begin another.
    Forgotten {
        /// Where.
        session: SessionId,
    },
    /// The room has no place for an attached fan.
    Refused {
        /// Where.
        session: SessionId,
    },
    /// A message was not taken.
    Rejected {
        /// Where.
        session: SessionId,
        /// Which.
        number: u64,
        /// Why.
        reason: Reason,
    },
    /// A message waits for a moderator.
    Held {
        /// Where.
        session: SessionId,
        /// Which.
        number: u64,
    },
    /// A line has its place.
    Said {
        /// Where.
        session: SessionId,
        /// Which message.
        number: u64,
        /// Which line it is.
        chat: ChatId,
    },
    /// A message came before one that has not: all from there again that is not acked.
    Resend {
        /// Where.
        session: SessionId,
        /// The one that has not come.
        from: u64,
    },
    /// A delta is missing: all from there again.
    Expect {
        /// Which.
        sequence: u64,
    },
    /// What edges check messages against, whenever it changes.
    Settings(#[serde(borrow)] Settings<'a>),
    /// A fan's standing or role has changed, wherever they are.
    Standing {
        /// Who.
        fan: FanId,
        /// What they may do at the moment.
        standing: Standing,
        /// And in general.
        role: Role,
    },
    /// To all moderators here.
    Moderators(Review<'a>),
    /// To one.
    Moderator {
        /// Where.
        session: SessionId,
        /// What.
        review: Review<'a>,
    },
}

/// What edges check messages against.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings<'a> {
    /// How the room is run.
    pub modes: Modes,
    /// Blocked words and patterns.
    #[serde(borrow)]
    pub patterns: List<Pattern<'a>>,
}
