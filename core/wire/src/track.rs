//! Origin → all fans: the objects of a room's three tracks.

use serde::{Deserialize, Serialize};

use crate::{ChatId, Choice, Danmaku, FanId, Gift, GiftId, List, Micros, Modes, PollId, QuestionId, Role};

/// A room's tracks beside the media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Track {
    /// Lines in their one order. A group opens with an object of recent ones.
    Chat,
    /// The numbers, a few times a second. Each object is whole, and a group.
    Pulse,
    /// What is on, when it changes. Each object is whole, and a group.
    Stage,
}

impl Track {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Pulse => "pulse",
            Self::Stage => "stage",
        }
    }
}

/// What is in objects of the tracks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrackItem<'a> {
    /// On `chat`: a line. Those of a group's first object may have been seen: lines are told apart by [`Line::id`].
    #[serde(borrow)]
    Said(Line<'a>),
    /// On `chat`: a gift was given.
    Gifted {
        /// Its place among the lines.
        id: ChatId,
        /// When.
        at: Micros,
        /// By whom.
        fan: FanId,
        /// Their name.
        name: &'a str,
        /// Which.
        gift: GiftId,
        /// How many.
        count: u16,
    },
    /// On `chat`: a line was taken back.
    Deleted(ChatId),
    /// On `chat`: all lines of a fan were.
    Purged(FanId),
    /// On `pulse`.
    Pulse(Pulse<'a>),
    /// On `stage`.
    Stage(Stage<'a>),
}

/// A chat line as everyone gets it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line<'a> {
    /// Its place in the room's one order: a later line has a higher one.
    pub id: ChatId,
    /// When the origin took it.
    pub at: Micros,
    /// Whose.
    pub fan: FanId,
    /// Their name at the time.
    pub name: &'a str,
    /// Their role at the time.
    pub role: Role,
    /// What they say. Text, never markup.
    pub text: &'a str,
    /// The line it answers.
    pub reply: Option<ChatId>,
    /// The fans it mentions.
    pub mentions: List<FanId>,
    /// Over the picture, too; with its lane.
    pub danmaku: Option<Danmaku>,
}

/// The numbers of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse<'a> {
    /// When it was made.
    pub at: Micros,
    /// Fans here now.
    pub viewers: u32,
    /// Different fans ever here, within 1 %.
    pub uniques: u64,
    /// Lines.
    pub says: u64,
    /// Cheers by kind, without trailing zeros.
    pub cheers: List<u64>,
    /// Gifts.
    pub gifts: List<(GiftId, u64)>,
    /// What happened in the last ten seconds.
    pub rates: Rates,
    /// The open poll's votes, or those of the last.
    pub poll: Option<PollResult>,
    /// Votes of the questions that are asked most.
    pub questions: List<QuestionVotes>,
    /// Who cheered most.
    #[serde(borrow)]
    pub top_cheerers: List<Top<'a>>,
    /// Who gave most, by value.
    pub top_gifters: List<Top<'a>>,
    /// Time that fans spent here, in seconds.
    pub total_seconds: u64,
    /// Of which the stage played.
    pub watched_seconds: u64,
    /// Activity: active time by total time, in thousandths.
    pub activity_permille: u16,
    /// Interaction frequency: interactions per thousand minutes of total time.
    pub interactions_per_1000_minutes: u64,
    /// Half of the messages were acked within that.
    pub latency_p50_ms: u32,
    /// And all but a hundredth within that.
    pub latency_p99_ms: u32,
}

/// What happened in the last ten seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Lines.
    pub says: u32,
    /// Cheers.
    pub cheers: u32,
    /// Gifts.
    pub gifts: u32,
    /// Votes, questions and upvotes.
    pub votes: u32,
}

/// The votes of a poll.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollResult {
    /// Which.
    pub poll: PollId,
    /// By option.
    pub votes: List<u32>,
    /// Whether it still takes votes.
    pub open: bool,
}

/// The votes of a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionVotes {
    /// Which.
    pub question: QuestionId,
    /// How many have it, its asker among them.
    pub votes: u32,
}

/// Somebody in a list of those who did most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Top<'a> {
    /// Who.
    pub fan: FanId,
    /// Their name.
    pub name: &'a str,
    /// How much.
    pub amount: u64,
}

/// What is on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage<'a> {
    /// The title.
    pub title: &'a str,
    /// The line that is kept in sight.
    #[serde(borrow)]
    pub pinned: Option<Line<'a>>,
    /// The poll: the open one, or the last.
    pub poll: Option<PollView<'a>>,
    /// How the room is run.
    pub modes: Modes,
    /// What can be given.
    pub gifts: List<Gift<'a>>,
    /// Questions that are not answered, most votes first.
    pub questions: List<QuestionView<'a>>,
}

/// A poll as everyone sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollView<'a> {
    /// Which.
    pub poll: PollId,
    /// What is asked.
    pub question: &'a str,
    /// What can be chosen.
    pub options: List<&'a str>,
    /// When it closes, or closed.
    pub closes: Micros,
    /// Whether a vote can be changed.
    pub choice: Choice,
    /// Whether it still takes votes.
    pub open: bool,
}

/// A question as everyone sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionView<'a> {
    /// Which.
    pub question: QuestionId,
    /// Who asked.
    pub fan: FanId,
    /// Their name.
    pub name: &'a str,
    /// What.
    pub text: &'a str,
}
