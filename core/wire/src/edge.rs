//! Edge → one fan: the welcome, answers to acts, and reviews.

use serde::{Deserialize, Serialize};

use crate::{ChatId, FanId, Micros, PollId, Reason, Role, Standing};

/// One message from an edge to one fan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EdgeMessage<'a> {
    /// The answer to a hello, first on each connection.
    Welcome {
        /// Identity of the fan, the same on every edge.
        fan: FanId,
        /// The fan's role in general.
        role: Role,
        /// The highest number of the stream that is settled: a new message gets a higher one. The client
        /// still resends messages that it has no answer to, so that it gets one.
        mark: u64,
        /// Their vote in the open poll.
        vote: Option<Vote>,
        /// The fan's standing: timed out, banned, or neither.
        standing: Standing,
    },
    /// The node's signed token for an anonymous fan, to present on the next connection.
    Token {
        /// The signed token, as text.
        token: &'a str,
    },
    /// All messages up to `through` are settled, and counted unless they were rejected or held.
    Acked {
        /// The highest number that is settled.
        through: u64,
    },
    /// A message is settled and was not taken. Sent before the ack that includes it.
    Rejected {
        /// The message's number in the fan's stream.
        number: u64,
        /// The reason, which the page explains to the fan.
        reason: Reason,
    },
    /// A message is settled and waits for a moderator. Sent before the ack that includes it.
    Held {
        /// The message's number in the fan's stream.
        number: u64,
    },
    /// A chat line has its number: the chat track has published, or will publish, it under that number. Sent
    /// before the ack, at most once.
    Said {
        /// The number of the message that carried the line.
        number: u64,
        /// The chat line's number in the room's one order.
        chat: ChatId,
    },
    /// The edge did not take messages from this one on: the client sends them again.
    Resend {
        /// The first number to send again.
        from: u64,
        /// Milliseconds to wait before sending.
        after_ms: u32,
    },
    /// The room has forgotten this stream: the client reports unacked messages as unknown and begins another.
    Restart,
    /// The fan's standing or role has changed.
    Standing {
        /// The fan's standing now: free, timed out or banned.
        standing: Standing,
        /// The fan's role in general.
        role: Role,
    },
    /// A review; only moderators receive it.
    Review(#[serde(borrow)] Review<'a>),
}

/// A fan's vote in one poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// The poll's number in the room.
    pub poll: PollId,
    /// The option's index, counted from 0.
    pub option: u8,
}

/// Moderators' view of the chat lines that wait for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Review<'a> {
    /// A chat line waits for approval.
    Held {
        /// The number that moderators refer to. The published line gets another, at the moment of its
        /// approval.
        chat: ChatId,
        /// Time of writing, by the origin's clock.
        at: Micros,
        /// Identity of the fan who is the author.
        fan: FanId,
        /// The author's display name.
        name: &'a str,
        /// Text of the line: plain, never markup.
        text: &'a str,
    },
    /// A chat line waits no more: it was approved, refused or taken back.
    Done {
        /// The number that the held line had.
        chat: ChatId,
    },
}
