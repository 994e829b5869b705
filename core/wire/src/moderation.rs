//! Acts of moderators and the creator, and the state that they change.

use serde::{Deserialize, Serialize};

use crate::{ChatId, FanId, GiftId, List, Micros, PollId, QuestionId};

/// Roles of fans, in ascending order of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// An ordinary fan, who takes part.
    #[default]
    Fan,
    /// A moderator, who keeps order.
    Moderator,
    /// The creator, who owns the room.
    Creator,
}

/// Subject of a moderator's act: a fan, by identity or by a chat line they wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// The fan with this identity.
    Fan(FanId),
    /// The author of this chat line.
    Author(ChatId),
}

/// Acts of moderators; those marked "creator" are the creator's alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Moderation<'a> {
    /// Take a chat line back. Fans may do so with their own recent lines.
    Delete(ChatId),
    /// Pin a chat line, so that everyone keeps it in sight.
    Pin(ChatId),
    /// Unpin the pinned chat line.
    Unpin,
    /// Silence a fan for a while, and take their lines back.
    Timeout {
        /// The fan to silence.
        subject: Subject,
        /// Seconds until the timeout ends.
        seconds: u32,
    },
    /// Silence a fan for good, and take their lines back.
    Ban(Subject),
    /// Let a fan write without anybody else seeing it.
    ShadowMute(Subject),
    /// End a fan's timeout, ban or shadow mute.
    Pardon(Subject),
    /// Publish a held chat line.
    Approve(ChatId),
    /// Drop a held chat line.
    Refuse(ChatId),
    /// Open a poll for everybody. A room has one open poll at a time.
    OpenPoll {
        /// The question that the poll asks.
        question: &'a str,
        /// The options, two to [`limits::POLL_OPTIONS`](crate::limits::POLL_OPTIONS).
        #[serde(borrow)]
        options: List<&'a str>,
        /// Seconds until the poll closes.
        seconds: u32,
        /// The rule for voters, and for a second vote of one fan.
        choice: Choice,
    },
    /// Close the poll before its time.
    ClosePoll(PollId),
    /// Mark a question as answered.
    Answer(QuestionId),
    /// Remove a question from the list without an answer.
    Dismiss(QuestionId),
    /// Set the room's modes.
    SetModes(Modes),
    /// Set the blocked words and patterns; replaces the earlier ones.
    SetPatterns(List<Pattern<'a>>),
    /// Set the stage's title (creator).
    SetTitle(&'a str),
    /// Set the catalogue of gifts; replaces the earlier one (creator).
    SetGifts(List<Gift<'a>>),
    /// Make a fan a moderator, or an ordinary fan again (creator).
    SetRole {
        /// The fan whose role changes.
        subject: Subject,
        /// The new role; never the creator's.
        role: Role,
    },
}

/// Fans who may vote in a poll. Fans with a name of their own always may. To be a stranger costs nothing, so that one
/// person can be many of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Who {
    /// Everybody.
    #[default]
    Everyone,
    /// Of strangers, one for each address at each edge.
    Address,
    /// No strangers.
    Named,
}

/// Rule of a poll: the fans who may vote, and the effect of a fan's second vote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Choice {
    /// The first vote stands.
    #[default]
    Final,
    /// The last vote before the close counts.
    Changeable,
    /// Only fans with a name of their own may vote, and the first vote stands.
    NamedFinal,
    /// Only fans with a name of their own may vote, and the last vote before the close counts.
    NamedChangeable,
    /// One stranger for each address may vote, and the first vote stands.
    AddressFinal,
    /// One stranger for each address may vote, and the last vote before the close counts.
    AddressChangeable,
}

impl Choice {
    /// Returns the rule with those two properties.
    pub fn new(is_changeable: bool, who: Who) -> Self {
        match (is_changeable, who) {
            (false, Who::Everyone) => Self::Final,
            (true, Who::Everyone) => Self::Changeable,
            (false, Who::Named) => Self::NamedFinal,
            (true, Who::Named) => Self::NamedChangeable,
            (false, Who::Address) => Self::AddressFinal,
            (true, Who::Address) => Self::AddressChangeable,
        }
    }

    /// Returns whether the first vote of a fan stands.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Final | Self::NamedFinal | Self::AddressFinal)
    }

    /// Returns the fans who may vote.
    pub fn who(self) -> Who {
        match self {
            Self::Final | Self::Changeable => Who::Everyone,
            Self::NamedFinal | Self::NamedChangeable => Who::Named,
            Self::AddressFinal | Self::AddressChangeable => Who::Address,
        }
    }
}

/// Modes of a room: the rules for writing in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modes {
    /// Seconds between two chat lines of one fan; 0 turns slow mode off.
    pub slow_seconds: u16,
    /// Only fans whose token marks them as followers may write.
    pub followers_only: bool,
    /// Only emoji may be written.
    pub emoji_only: bool,
    /// Every chat line of an ordinary fan waits for a moderator.
    pub hold_all: bool,
    /// The rule for chat lines with a link.
    pub links: Links,
}

/// Rule for a chat line with a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Links {
    /// Publish it as any other line.
    Allow,
    /// Hold it for a moderator.
    #[default]
    Hold,
    /// Reject it with [`Reason::Links`](crate::Reason::Links).
    Reject,
}

/// A blocked word or pattern.
///
/// Letters are compared without their case. `*` stands for any letters and digits of one
/// word, or none: `spam` is that word alone, `spam*` also `spammer`, `*spam*` any word it is in,
/// `f*k` words that begin and end so. A space is any run of what is not a letter or digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern<'a> {
    /// The word or pattern, as written.
    pub text: &'a str,
    /// The rule for a chat line that matches.
    pub action: OnMatch,
}

/// Rule for a chat line with a blocked word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OnMatch {
    /// Hold the line for a moderator.
    Hold,
    /// Reject the line with [`Reason::Blocked`](crate::Reason::Blocked).
    #[default]
    Reject,
}

/// A gift that fans can give, in the creator's catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gift<'a> {
    /// The gift's number in the catalogue.
    pub id: GiftId,
    /// The gift's name, shown to fans.
    pub name: &'a str,
    /// The gift's symbol, an emoji.
    pub icon: &'a str,
    /// The gift's value, in the creator's smallest unit.
    pub value: u32,
}

/// A fan's standing now: the rights that moderators have left them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// The fan may take part.
    #[default]
    Clear,
    /// The fan may do nothing until `until`.
    TimedOut {
        /// End of the timeout.
        until: Micros,
    },
    /// The fan may do nothing.
    Banned,
}
