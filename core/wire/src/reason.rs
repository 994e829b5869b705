//! Why a message was not taken.

use serde::{Deserialize, Serialize};

/// Why a message was rejected: what the page explains to the fan. A rejected message is settled, and never counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Reason {
    /// The room does not know this kind of message.
    #[error("this room does not know such a message")]
    Unsupported,
    /// No text, or none that can be seen.
    #[error("there is no text")]
    Empty,
    /// More characters than are allowed.
    #[error("at most {max} characters are allowed")]
    TooLong {
        /// Characters, as users perceive them.
        max: u16,
    },
    /// Control characters, or more marks on one letter than any language has.
    #[error("the text has characters that are not allowed")]
    Characters,
    /// A count, an option or another number out of its range.
    #[error("a number is out of its range")]
    OutOfRange,
    /// More messages than the rate limit allows.
    #[error("too fast: wait {retry_ms} ms")]
    TooFast {
        /// When it will be allowed.
        retry_ms: u32,
    },
    /// Slow mode.
    #[error("slow mode: wait {retry_ms} ms")]
    SlowMode {
        /// When it will be allowed.
        retry_ms: u32,
    },
    /// Only followers may write.
    #[error("only followers may write")]
    FollowersOnly,
    /// Only emoji may be written.
    #[error("only emoji are allowed")]
    EmojiOnly,
    /// The same text as a moment ago.
    #[error("you have just written that")]
    Repeated,
    /// A blocked word or pattern.
    #[error("the text has words that are blocked here")]
    Blocked,
    /// A link, where links are not allowed.
    #[error("links are not allowed")]
    Links,
    /// A moderator has timed the fan out.
    #[error("you are timed out for {retry_ms} ms")]
    TimedOut {
        /// When it ends.
        retry_ms: u32,
    },
    /// A moderator has banned the fan.
    #[error("you are banned from this room")]
    Banned,
    /// The fan's role, or that of whom it is done to, does not allow it.
    #[error("your role does not allow that")]
    NotAllowed,
    /// What the message is about is not there (any more).
    #[error("that is not there (any more)")]
    NotFound,
    /// The poll is closed.
    #[error("the poll is closed")]
    PollClosed,
    /// The fan has voted, and this poll takes one vote for good.
    #[error("you have voted")]
    AlreadyVoted,
    /// It was done before, by another message: that gift, that upvote.
    #[error("that was counted before")]
    AlreadyCounted,
    /// More than the room takes at once.
    #[error("the room is busy: wait {retry_ms} ms")]
    Busy {
        /// When to try again.
        retry_ms: u32,
    },
}
