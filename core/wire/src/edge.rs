//! Edge → one fan.

use serde::{Deserialize, Serialize};

use crate::{ChatId, FanId, Micros, PollId, Reason, Role, Standing};

/// What an edge says to one fan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EdgeMessage<'a> {
    /// The answer to a hello.
    Welcome {
        /// Who the fan is.
        fan: FanId,
        /// What they may do.
        role: Role,
        /// The highest number of the stream that is settled: a new message has a higher one. What
        /// the client has no answer to is sent again all the same, to get it.
        mark: u64,
        /// Their vote in the open poll.
        vote: Option<Vote>,
        /// Timed out, banned, or neither.
        standing: Standing,
    },
    /// The node's signed token for an anonymous fan, to be shown on the next connection.
    Token {
        /// The token.
        token: &'a str,
    },
    /// All messages up to this one are settled: counted, but for those that were said
    /// to be rejected or held.
    Acked {
        /// The last of them.
        through: u64,
    },
    /// A message is settled, and was not taken. Comes before the ack that includes it.
    Rejected {
        /// Which.
        number: u64,
        /// Why.
        reason: Reason,
    },
    /// A message is settled, and waits for a moderator. Comes before the ack that includes it.
    Held {
        /// Which.
        number: u64,
    },
    /// A line has its place: it is, or will be, the one of this number on the chat track. Comes before the ack, at
    /// best once.
    Said {
        /// Which message.
        number: u64,
        /// Which line.
        chat: ChatId,
    },
    /// Messages from this one on were not taken in: send them again.
    Resend {
        /// The first.
        from: u64,
        /// After so long.
        after_ms: u32,
    },
    /// The room has forgotten this stream: report what is not acked as unknown, and begin another.
    Restart,
    /// The fan's standing or role has changed.
    Standing {
        /// What they may do at the moment.
        standing: Standing,
        /// And in general.
        role: Role,
    },
    /// For moderators.
    Review(#[serde(borrow)] Review<'a>),
}

/// A fan's vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// In which poll.
    pub poll: PollId,
    /// For which option.
    pub option: u8,
}

/// What moderators see of lines that wait for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Review<'a> {
    /// A line waits.
    Held {
        /// What moderators call it. Once it is published it is another line, of that moment.
        chat: ChatId,
        /// When it was written.
        at: Micros,
        /// Whose it is.
        fan: FanId,
        /// Their name.
        name: &'a str,
        /// What it says.
        text: &'a str,
    },
    /// It waits no more.
    Done {
        /// Which.
        chat: ChatId,
    },
}
