//! Reasons for which a message is not taken.

use serde::{Deserialize, Serialize};

/// Reason for a rejection, which the page explains to the fan. A rejected message is settled, and never
/// counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Reason {
    /// The room does not know this kind of message.
    #[error("this room does not support this kind of message")]
    Unsupported,
    /// The text is empty, or has nothing visible.
    #[error("the text is empty")]
    Empty,
    /// The text has more characters than are allowed.
    #[error("at most {max} characters are allowed")]
    TooLong {
        /// Characters allowed, as users perceive them.
        max: u16,
    },
    /// The text has control characters, or more marks on one letter than any language has.
    #[error("the text has characters that are not allowed")]
    Characters,
    /// A count, an option or another number is out of its range.
    #[error("a number is out of its range")]
    OutOfRange,
    /// The fan sends more messages than the rate limit allows.
    #[error("too fast: wait {retry_ms} ms")]
    TooFast {
        /// Milliseconds until the message would be allowed.
        retry_ms: u32,
    },
    /// Slow mode is on and the fan wrote a moment ago.
    #[error("slow mode: wait {retry_ms} ms")]
    SlowMode {
        /// Milliseconds until the message would be allowed.
        retry_ms: u32,
    },
    /// Only followers of the creator may write now.
    #[error("only followers may write")]
    FollowersOnly,
    /// Only emoji may be written now.
    #[error("only emoji are allowed")]
    EmojiOnly,
    /// The text repeats the fan's line of a moment ago.
    #[error("you wrote the same text a moment ago")]
    Repeated,
    /// The text has a blocked word or pattern.
    #[error("the text has words that are blocked here")]
    Blocked,
    /// The text has a link, and links are not allowed.
    #[error("links are not allowed")]
    Links,
    /// A moderator has timed the fan out.
    #[error("you are timed out for {retry_ms} ms")]
    TimedOut {
        /// Milliseconds until the timeout ends.
        retry_ms: u32,
    },
    /// A moderator has banned the fan.
    #[error("you are banned from this room")]
    Banned,
    /// The fan's role, or that of the act's subject, does not allow it.
    #[error("your role does not allow that")]
    NotAllowed,
    /// The act's subject is not there, or no longer.
    #[error("the subject of the message does not exist, or no longer")]
    NotFound,
    /// The poll is closed: its votes are final.
    #[error("the poll is closed")]
    PollClosed,
    /// The fan has voted, and this poll takes one vote for good.
    #[error("you have voted already")]
    AlreadyVoted,
    /// The room has counted it before, by another message: that gift, that upvote.
    #[error("the room has counted it before")]
    AlreadyCounted,
    /// The room receives more than it takes at once.
    #[error("the room is busy: wait {retry_ms} ms")]
    Busy {
        /// Milliseconds until the client should try again.
        retry_ms: u32,
    },
    /// Another fan without a name of their own has voted from the same address, and the poll takes one such vote of it.
    #[error(
        "somebody else has voted from your address, and this poll takes one vote of each; sign in to vote"
    )]
    AddressVoted,
}
