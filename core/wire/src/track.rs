//! Origin → all fans: the objects of a room's three tracks.

use serde::{Deserialize, Serialize};

use crate::{ChatId, Choice, Danmaku, FanId, Gift, GiftId, List, Micros, Modes, PollId, QuestionId, Role};

/// Tracks of a room beside the media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Track {
    /// Chat lines in their one order. A group opens with an object of recent lines.
    Chat,
    /// The room's numbers, a few times a second. Each object is complete, and a group of its own.
    Pulse,
    /// The programme (title, poll, questions, gifts, modes), when it changes. Each object is complete, and a
    /// group of its own.
    Stage,
}

impl Track {
    /// Returns the track's name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Pulse => "pulse",
            Self::Stage => "stage",
        }
    }
}

/// One item in an object of these tracks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrackItem<'a> {
    /// On `chat`: a line. A reader may have seen the lines of a group's first object: [`Line::id`] tells
    /// lines apart.
    #[serde(borrow)]
    Said(Line<'a>),
    /// On `chat`: a gift was given.
    Gifted {
        /// The number in the room's one order of chat lines and gifts.
        id: ChatId,
        /// Time of the event, by the origin's clock.
        at: Micros,
        /// Identity of the fan who gave it.
        fan: FanId,
        /// The giver's display name.
        name: &'a str,
        /// The gift's number in the creator's catalogue.
        gift: GiftId,
        /// Number of gifts, 1 to [`limits::GIFTS`](crate::limits::GIFTS).
        count: u16,
    },
    /// On `chat`: a chat line was taken back.
    Deleted(ChatId),
    /// On `chat`: all chat lines of a fan were taken back.
    Purged(FanId),
    /// On `pulse`: the room's numbers.
    Pulse(Pulse<'a>),
    /// On `stage`: the room's programme.
    Stage(Stage<'a>),
    /// On `pulse`, before the numbers: the votes of fans without a name of their own.
    Strangers(PollStrangers),
}

/// A chat line as everyone gets it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line<'a> {
    /// The number in the room's one order: a later line has a higher one.
    pub id: ChatId,
    /// Time at which the origin took the line.
    pub at: Micros,
    /// Identity of the fan who is the author.
    pub fan: FanId,
    /// The author's name at the time.
    pub name: &'a str,
    /// The author's role at the time.
    pub role: Role,
    /// The line's text; plain text, never markup.
    pub text: &'a str,
    /// The chat line that this one answers.
    pub reply: Option<ChatId>,
    /// The fans that the line mentions.
    pub mentions: List<FanId>,
    /// Style of the line over the picture, with its lane, if it is a danmaku.
    pub danmaku: Option<Danmaku>,
}

/// The numbers of a room, as one pulse publishes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse<'a> {
    /// Time of the count, by the origin's clock.
    pub at: Micros,
    /// Fans connected now, at all edges.
    pub viewers: u32,
    /// Different fans ever here, within 1 %.
    pub uniques: u64,
    /// Chat lines taken since the room opened.
    pub says: u64,
    /// Cheers by kind, without trailing zeros.
    pub cheers: List<u64>,
    /// Gifts given, by catalogue number.
    pub gifts: List<(GiftId, u64)>,
    /// Activity in the last ten seconds.
    pub rates: Rates,
    /// The votes of the open poll, or of the last one.
    pub poll: Option<PollResult>,
    /// The votes of the questions with the most.
    pub questions: List<QuestionVotes>,
    /// The fans with the most cheers.
    #[serde(borrow)]
    pub top_cheerers: List<Top<'a>>,
    /// The fans who gave most, by value.
    pub top_gifters: List<Top<'a>>,
    /// Time that fans spent here, in seconds.
    pub total_seconds: u64,
    /// Time in which the stage played, in seconds, of that total.
    pub watched_seconds: u64,
    /// Activity: active time by total time, in thousandths.
    pub activity_permille: u16,
    /// Interaction frequency: interactions per thousand minutes of total time.
    pub interactions_per_1000_minutes: u64,
    /// Median latency of a message from sending to ack, in milliseconds.
    pub latency_p50_ms: u32,
    /// 99th percentile of the same latency, in milliseconds.
    pub latency_p99_ms: u32,
}

/// Activity in the last ten seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Chat lines in ten seconds.
    pub says: u32,
    /// Cheers in ten seconds.
    pub cheers: u32,
    /// Gifts in ten seconds.
    pub gifts: u32,
    /// Votes, questions and upvotes in ten seconds.
    pub votes: u32,
}

/// The votes of one poll.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollResult {
    /// The poll's number in the room.
    pub poll: PollId,
    /// Votes per option, by its index.
    pub votes: List<u32>,
    /// True while the poll takes votes.
    pub open: bool,
}

/// The votes of fans without a name of their own, among those of one poll.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollStrangers {
    /// The poll's number in the room.
    pub poll: PollId,
    /// Votes per option, by its index.
    pub votes: List<u32>,
}

/// The votes of one question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionVotes {
    /// The question's number in the room.
    pub question: QuestionId,
    /// Number of fans who have the question, its author included.
    pub votes: u32,
}

/// One entry in a list of the most active fans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Top<'a> {
    /// Identity of the fan, the same on every edge.
    pub fan: FanId,
    /// The fan's display name.
    pub name: &'a str,
    /// The amount: cheers, or gifts by value.
    pub amount: u64,
}

/// The room's programme: everything on the stage track.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage<'a> {
    /// The title of the show.
    pub title: &'a str,
    /// The pinned chat line, kept in sight.
    #[serde(borrow)]
    pub pinned: Option<Line<'a>>,
    /// The poll: the open one, or the last.
    pub poll: Option<PollView<'a>>,
    /// The room's modes: the rules for writing in it.
    pub modes: Modes,
    /// The catalogue of gifts that fans can give.
    pub gifts: List<Gift<'a>>,
    /// Unanswered questions, most votes first.
    pub questions: List<QuestionView<'a>>,
}

/// A poll as everyone sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollView<'a> {
    /// The poll's number in the room.
    pub poll: PollId,
    /// The question that the poll asks.
    pub question: &'a str,
    /// The texts of the options.
    pub options: List<&'a str>,
    /// Closing time, planned or past.
    pub closes: Micros,
    /// The rule for voters, and for a second vote of one fan.
    pub choice: Choice,
    /// True while the poll takes votes.
    pub open: bool,
}

/// A question as everyone sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionView<'a> {
    /// The question's number in the room.
    pub question: QuestionId,
    /// Identity of the fan who is the author.
    pub fan: FanId,
    /// The author's display name.
    pub name: &'a str,
    /// Text of the question: plain, never markup.
    pub text: &'a str,
}
