//! What moderators and the creator do, and the state it leaves.

use serde::{Deserialize, Serialize};

use crate::{ChatId, FanId, GiftId, List, Micros, PollId, QuestionId};

/// What somebody may do, in ascending order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Takes part.
    #[default]
    Fan,
    /// Keeps order.
    Moderator,
    /// Whose room it is.
    Creator,
}

/// Whom a moderator's act is about: a fan, by name or by something they wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// The fan.
    Fan(FanId),
    /// Who wrote this line.
    Author(ChatId),
}

/// What moderators may do; where it says so, only the creator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Moderation<'a> {
    /// Take a line back. A fan may do that to a recent one of their own.
    Delete(ChatId),
    /// Keep a line in everyone's sight.
    Pin(ChatId),
    /// Or no line.
    Unpin,
    /// Silence somebody for a while, and take their lines back.
    Timeout {
        /// Whom.
        subject: Subject,
        /// For how long.
        seconds: u32,
    },
    /// Silence somebody for good, and take their lines back.
    Ban(Subject),
    /// Let somebody write without anybody seeing it.
    ShadowMute(Subject),
    /// End a timeout, ban or shadow mute.
    Pardon(Subject),
    /// Publish a line that was held.
    Approve(ChatId),
    /// Drop a line that was held.
    Refuse(ChatId),
    /// Ask everybody. There is one open poll at a time.
    OpenPoll {
        /// What.
        question: &'a str,
        /// Two to [`limits::POLL_OPTIONS`](crate::limits::POLL_OPTIONS).
        #[serde(borrow)]
        options: List<&'a str>,
        /// For how long.
        seconds: u32,
        /// Whether a vote can be changed.
        choice: Choice,
    },
    /// Close the poll before its time.
    ClosePoll(PollId),
    /// A question is answered.
    Answer(QuestionId),
    /// A question is taken from the list.
    Dismiss(QuestionId),
    /// How the room is run.
    SetModes(Modes),
    /// Blocked words and patterns, in place of those before.
    SetPatterns(List<Pattern<'a>>),
    /// The stage's title (creator).
    SetTitle(&'a str),
    /// The catalogue of gifts, in place of the one before (creator).
    SetGifts(List<Gift<'a>>),
    /// Make somebody a moderator, or a fan again (creator).
    SetRole {
        /// Whom.
        subject: Subject,
        /// Not that of the creator.
        role: Role,
    },
}

/// Whether a vote can be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Choice {
    /// The first one stands.
    #[default]
    Final,
    /// The last one before the close counts.
    Changeable,
}

/// How the room is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modes {
    /// Seconds between two lines of a fan; 0 for no slow mode.
    pub slow_seconds: u16,
    /// Only those may write whose token says that they follow.
    pub followers_only: bool,
    /// Only emoji may be written.
    pub emoji_only: bool,
    /// Every line of a fan waits for a moderator.
    pub hold_all: bool,
    /// Links.
    pub links: Links,
}

/// What becomes of a line with a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Links {
    /// As any other.
    Allow,
    /// It waits for a moderator.
    #[default]
    Hold,
    /// It is rejected.
    Reject,
}

/// A blocked word or pattern.
///
/// Letters are compared without their case. `*` stands for any letters and digits of one
/// word, or none: `spam` is that word alone, `spam*` also `spammer`, `*spam*` any word it is in,
/// `f*k` words that begin and end so. A space is any run of what is not a letter or digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern<'a> {
    /// The word or pattern.
    pub text: &'a str,
    /// What becomes of a line that has it.
    pub action: OnMatch,
}

/// What becomes of a line with a blocked word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OnMatch {
    /// It waits for a moderator.
    Hold,
    /// It is rejected.
    #[default]
    Reject,
}

/// A gift that fans can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gift<'a> {
    /// Which.
    pub id: GiftId,
    /// What it is called.
    pub name: &'a str,
    /// Its symbol.
    pub icon: &'a str,
    /// What it is worth, in the creator's smallest unit.
    pub value: u32,
}

/// What a fan may do at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// Take part.
    #[default]
    Clear,
    /// Nothing until then.
    TimedOut {
        /// When it ends.
        until: Micros,
    },
    /// Nothing.
    Banned,
}
