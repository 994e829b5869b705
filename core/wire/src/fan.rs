//! Fan → edge: hello, beats and numbered acts.

use serde::{Deserialize, Serialize};

use crate::{ChatId, FanId, GiftId, List, Moderation, PollId, QuestionId, StreamId};

/// One message from a fan's client to its edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FanMessage<'a> {
    /// The first message of each connection.
    Hello(Hello),
    /// A beat, every few seconds: the fan's activity since the last beat. Unnumbered: a lost beat leaves a
    /// moment unmeasured.
    Beat(Beat),
    /// A numbered message: answered, and counted once however often it is sent.
    Act {
        /// 1 for the stream's first message, and one more for each.
        number: u64,
        /// The act that the message carries.
        #[serde(borrow)]
        act: Act<'a>,
    },
}

impl FanMessage<'_> {
    /// Returns the number of a frame of an unknown kind, so that an edge can answer a newer client's message.
    pub fn number_of_unknown(frame: &[u8]) -> Option<u64> {
        match postcard::take_from_bytes::<(u32, u64)>(frame) {
            Ok(((2, number), _)) => Some(number),
            _ => None,
        }
    }
}

/// Identifies the run of message numbers that this connection continues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The run's random number.
    pub stream: StreamId,
    /// The lowest number that the client may still send: 1, or one more than was last acked or given up.
    /// Earlier messages that have not arrived never will.
    pub next: u64,
}

/// A fan's activity in the last few seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// Milliseconds in which the page was visible and the fan had moved, typed or touched within the half
    /// minute before.
    pub active_ms: u32,
    /// The playback state of the stage.
    pub playing: Playing,
    /// Milliseconds from sending to ack, of the slowest message since the last beat.
    pub latency_ms: Option<u32>,
}

/// Playback state of the stage in the fan's page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Playing {
    /// The stage plays in the fan's page.
    #[default]
    Playing,
    /// The stage does not play.
    Paused,
}

/// The act that a numbered message carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act<'a> {
    /// A chat line, sent by the fan.
    #[serde(borrow)]
    Say(Say<'a>),
    /// Likes or emoji, as many as the fan gave in a tick.
    Cheer {
        /// The kind's index, below [`limits::CHEER_KINDS`](crate::limits::CHEER_KINDS).
        kind: u8,
        /// Number of cheers, 1 to [`limits::CHEERS`](crate::limits::CHEERS).
        count: u16,
    },
    /// A gift from the creator's catalogue.
    Gift {
        /// The gift's number in the creator's catalogue.
        gift: GiftId,
        /// Number of gifts, 1 to [`limits::GIFTS`](crate::limits::GIFTS).
        count: u16,
        /// The fan's own random number for the gift, so that the room counts it once even if a page that
        /// missed the answer gives it again.
        key: u64,
    },
    /// A vote in a poll.
    Vote {
        /// The poll's number in the room.
        poll: PollId,
        /// The option's index, counted from 0.
        option: u8,
    },
    /// A question to the creator.
    Ask {
        /// Text of the question: plain, never markup.
        text: &'a str,
    },
    /// An upvote: the fan has the same question.
    Upvote {
        /// The question's number in the room.
        question: QuestionId,
    },
    /// An act of moderators and the creator.
    Moderate(Moderation<'a>),
    /// The name that a fan without an account takes.
    Rename {
        /// The new name, which the room checks.
        name: &'a str,
    },
}

/// A chat line, before the root gives it a number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Say<'a> {
    /// Text of the line: plain, never markup.
    pub text: &'a str,
    /// The chat line that this one answers.
    pub reply: Option<ChatId>,
    /// The fans that the line mentions.
    pub mentions: List<FanId>,
    /// Shown over the picture as well, if present.
    pub danmaku: Option<Danmaku>,
}

/// Style of a chat line that crosses the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Danmaku {
    /// The lane that it crosses in.
    pub lane: Lane,
    /// The palette index, below [`limits::COLOURS`](crate::limits::COLOURS).
    pub colour: u8,
    /// Size of the text over the picture.
    pub size: DanmakuSize,
}

/// Lane in which a danmaku crosses the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lane {
    /// The root chooses the lane that is free first.
    #[default]
    Any,
    /// This lane, counted from the top, below [`limits::LANES`](crate::limits::LANES).
    At(u8),
}

/// Size of a danmaku's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DanmakuSize {
    /// Smaller than usual.
    Small,
    /// The usual size.
    #[default]
    Normal,
    /// Larger than usual.
    Large,
}
