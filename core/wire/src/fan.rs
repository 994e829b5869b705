//! Fan → edge.

use serde::{Deserialize, Serialize};

use crate::{ChatId, FanId, GiftId, List, Moderation, PollId, QuestionId, StreamId};

/// What a fan's client says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FanMessage<'a> {
    /// The first message of each connection.
    Hello(Hello),
    /// Every few seconds: what the fan did since the last one. Not numbered: a lost one is a
    /// moment not measured.
    Beat(Beat),
    /// A numbered message: answered, and counted once however often it is sent.
    Act {
        /// 1 for the stream's first, and one more for each.
        number: u64,
        /// What it does.
        #[serde(borrow)]
        act: Act<'a>,
    },
}

impl FanMessage<'_> {
    /// The number in a frame that is otherwise unknown here, so that a newer client's
    /// message can be answered.
    pub fn number_of_unknown(frame: &[u8]) -> Option<u64> {
        match postcard::take_from_bytes::<(u32, u64)>(frame) {
            Ok(((2, number), _)) => Some(number),
            _ => None,
        }
    }
}

/// Which run of numbers this connection goes on with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The run.
    pub stream: StreamId,
    /// The lowest number that the client may still send: 1, or one more than was last
    /// acked or given up. What was before and never arrived, never will.
    pub next: u64,
}

/// What a fan did in the last few seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// For how long the page was visible and the fan moved, typed or touched within the half minute before.
    pub active_ms: u32,
    /// Whether the stage plays.
    pub playing: Playing,
    /// From the sending of a message to its ack, of the slowest one since the last beat.
    pub latency_ms: Option<u32>,
}

/// Whether the stage plays in the fan's page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Playing {
    /// It does.
    #[default]
    Playing,
    /// It does not.
    Paused,
}

/// What a numbered message does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act<'a> {
    /// A chat line.
    #[serde(borrow)]
    Say(Say<'a>),
    /// Likes or emoji, as many as the fan gave in a tick.
    Cheer {
        /// Which, below [`limits::CHEER_KINDS`](crate::limits::CHEER_KINDS).
        kind: u8,
        /// How many, 1 to [`limits::CHEERS`](crate::limits::CHEERS).
        count: u16,
    },
    /// A gift of the creator's catalogue.
    Gift {
        /// Which.
        gift: GiftId,
        /// How many, 1 to [`limits::GIFTS`](crate::limits::GIFTS).
        count: u16,
        /// The fan's own random number for it, so that a gift given again (by a page that
        /// does not know if it was taken) is not another one.
        key: u64,
    },
    /// A vote in a poll.
    Vote {
        /// Which poll.
        poll: PollId,
        /// Which option.
        option: u8,
    },
    /// A question to the creator.
    Ask {
        /// The question.
        text: &'a str,
    },
    /// A fan has the same question.
    Upvote {
        /// Which.
        question: QuestionId,
    },
    /// What moderators and the creator do.
    Moderate(Moderation<'a>),
    /// The name a fan without one of their own takes.
    Rename {
        /// The name.
        name: &'a str,
    },
}

/// A chat line, as its fan sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Say<'a> {
    /// What is said.
    pub text: &'a str,
    /// The line it answers.
    pub reply: Option<ChatId>,
    /// The fans it mentions.
    pub mentions: List<FanId>,
    /// Over the picture, too.
    pub danmaku: Option<Danmaku>,
}

/// A say that crosses the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Danmaku {
    /// Where.
    pub lane: Lane,
    /// Below [`limits::COLOURS`](crate::limits::COLOURS).
    pub colour: u8,
    /// How large.
    pub size: DanmakuSize,
}

/// Where a danmaku crosses the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lane {
    /// Where there is room.
    #[default]
    Any,
    /// Here, counted from the top, below [`limits::LANES`](crate::limits::LANES).
    At(u8),
}

/// How large a danmaku is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DanmakuSize {
    /// Smaller.
    Small,
    /// As usual.
    #[default]
    Normal,
    /// Larger.
    Large,
}
