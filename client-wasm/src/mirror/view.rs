//! Messages as pages see them: milliseconds, fans as hexadecimal text, and names as JavaScript has them.

use serde::{Serialize, Serializer};
use wire::{Choice, DanmakuSize, FanId, Lane, Links, Role, Standing};

/// What a value is in JSON.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// 64 bits: a number in JavaScript has 53.
#[derive(Clone, Copy)]
pub(super) struct Hex(pub(super) u64);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&FanId(self.0))
    }
}

/// What is new in the chat.
#[derive(Default, Serialize)]
pub(super) struct Change<'a> {
    pub(super) lines: Vec<Line<'a>>,
    pub(super) gifts: Vec<Given<'a>>,
    pub(super) deleted: Vec<u64>,
}

impl Change<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.gifts.is_empty() && self.deleted.is_empty()
    }
}

#[derive(Serialize)]
pub(super) struct Line<'a> {
    pub(super) id: u64,
    at: u64,
    fan: Hex,
    name: &'a str,
    role: &'static str,
    text: &'a str,
    reply: Option<u64>,
    mentions: Vec<Hex>,
    danmaku: Option<Danmaku>,
}

#[derive(Serialize)]
struct Danmaku {
    lane: Option<u8>,
    colour: u8,
    size: &'static str,
}

#[derive(Serialize)]
pub(super) struct Given<'a> {
    pub(super) id: u64,
    pub(super) at: u64,
    pub(super) fan: Hex,
    pub(super) name: &'a str,
    pub(super) gift: u16,
    pub(super) count: u16,
}

impl<'a> From<&wire::Line<'a>> for Line<'a> {
    fn from(line: &wire::Line<'a>) -> Self {
        Self {
            id: line.id.0,
            at: line.at.as_millis(),
            fan: Hex(line.fan.0),
            name: line.name,
            role: role(line.role),
            text: line.text,
            reply: line.reply.map(|reply| reply.0),
            mentions: line.mentions.iter().map(|fan| Hex(fan.0)).collect(),
            danmaku: line.danmaku.map(Danmaku::from),
        }
    }
}

impl From<wire::Danmaku> for Danmaku {
    fn from(danmaku: wire::Danmaku) -> Self {
        let lane = match danmaku.lane {
            Lane::Any => None,
            Lane::At(lane) => Some(lane),
        };
        let size = match danmaku.size {
            DanmakuSize::Small => "small",
            DanmakuSize::Normal => "normal",
            DanmakuSize::Large => "large",
        };
        Self { lane, colour: danmaku.colour, size }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pulse<'a> {
    at: u64,
    viewers: u32,
    uniques: u64,
    says: u64,
    cheers: &'a [u64],
    gifts: Vec<GiftCount>,
    rates: Rates,
    poll: Option<PollResult<'a>>,
    questions: Vec<QuestionVotes>,
    top_cheerers: Vec<Top<'a>>,
    top_gifters: Vec<Top<'a>>,
    total_seconds: u64,
    watched_seconds: u64,
    activity_permille: u16,
    interactions_per_1000_minutes: u64,
    latency_p50_ms: u32,
    latency_p99_ms: u32,
}

#[derive(Serialize)]
struct GiftCount {
    gift: u16,
    count: u64,
}

#[derive(Serialize)]
struct Rates {
    says: u32,
    cheers: u32,
    gifts: u32,
    votes: u32,
}

#[derive(Serialize)]
struct PollResult<'a> {
    poll: u32,
    votes: &'a [u32],
    open: bool,
}

#[derive(Serialize)]
struct QuestionVotes {
    question: u32,
    votes: u32,
}

#[derive(Serialize)]
struct Top<'a> {
    fan: Hex,
    name: &'a str,
    amount: u64,
}

impl<'a> From<&'a wire::Pulse<'a>> for Pulse<'a> {
    fn from(pulse: &'a wire::Pulse<'a>) -> Self {
        let top = |top: &wire::Top<'a>| Top { fan: Hex(top.fan.0), name: top.name, amount: top.amount };
        let wire::Rates { says, cheers, gifts, votes } = pulse.rates;
        let result = |poll: &'a wire::PollResult| PollResult {
            poll: poll.poll.0,
            votes: &poll.votes,
            open: poll.open,
        };
        let votes_of =
            |votes: &wire::QuestionVotes| QuestionVotes { question: votes.question.0, votes: votes.votes };
        Self {
            at: pulse.at.as_millis(),
            viewers: pulse.viewers,
            uniques: pulse.uniques,
            says: pulse.says,
            cheers: &pulse.cheers,
            gifts: pulse
                .gifts
                .iter()
                .map(|(gift, count)| GiftCount { gift: gift.0, count: *count })
                .collect(),
            rates: Rates { says, cheers, gifts, votes },
            poll: pulse.poll.as_ref().map(result),
            questions: pulse.questions.iter().map(votes_of).collect(),
            top_cheerers: pulse.top_cheerers.iter().map(top).collect(),
            top_gifters: pulse.top_gifters.iter().map(top).collect(),
            total_seconds: pulse.total_seconds,
            watched_seconds: pulse.watched_seconds,
            activity_permille: pulse.activity_permille,
            interactions_per_1000_minutes: pulse.interactions_per_1000_minutes,
            latency_p50_ms: pulse.latency_p50_ms,
            latency_p99_ms: pulse.latency_p99_ms,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Stage<'a> {
    title: &'a str,
    pinned: Option<Line<'a>>,
    poll: Option<Poll<'a>>,
    modes: Modes,
    gifts: Vec<Gift<'a>>,
    questions: Vec<Question<'a>>,
}

#[derive(Serialize)]
struct Poll<'a> {
    #[serde(rename = "poll")]
    id: u32,
    question: &'a str,
    options: &'a [&'a str],
    closes: u64,
    changeable: bool,
    open: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Modes {
    slow_seconds: u16,
    followers_only: bool,
    emoji_only: bool,
    hold_all: bool,
    links: &'static str,
}

#[derive(Serialize)]
struct Gift<'a> {
    id: u16,
    name: &'a str,
    icon: &'a str,
    value: u32,
}

#[derive(Serialize)]
struct Question<'a> {
    #[serde(rename = "question")]
    id: u32,
    fan: Hex,
    name: &'a str,
    text: &'a str,
}

impl<'a> From<&'a wire::Stage<'a>> for Stage<'a> {
    fn from(stage: &'a wire::Stage<'a>) -> Self {
        let poll = |poll: &'a wire::PollView<'a>| Poll {
            id: poll.poll.0,
            question: poll.question,
            options: &poll.options,
            closes: poll.closes.as_millis(),
            changeable: poll.choice == Choice::Changeable,
            open: poll.open,
        };
        let gift = |gift: &wire::Gift<'a>| {
            let wire::Gift { id, name, icon, value } = *gift;
            Gift { id: id.0, name, icon, value }
        };
        let question = |view: &wire::QuestionView<'a>| {
            let wire::QuestionView { question, fan, name, text } = *view;
            Question { id: question.0, fan: Hex(fan.0), name, text }
        };
        let wire::Modes { slow_seconds, followers_only, emoji_only, hold_all, links } = stage.modes;
        let links = match links {
            Links::Allow => "allow",
            Links::Hold => "hold",
            Links::Reject => "reject",
        };
        Self {
            title: stage.title,
            pinned: stage.pinned.as_ref().map(Line::from),
            poll: stage.poll.as_ref().map(poll),
            modes: Modes { slow_seconds, followers_only, emoji_only, hold_all, links },
            gifts: stage.gifts.iter().map(gift).collect(),
            questions: stage.questions.iter().map(question).collect(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Identity {
    fan: Hex,
    role: &'static str,
    /// What they may do at the moment.
    standing: &'static str,
    /// And until when that is so.
    until: Option<u64>,
    vote: Option<Vote>,
}

#[derive(Serialize)]
struct Vote {
    poll: u32,
    option: u8,
}

impl From<&crate::voice::Identity> for Identity {
    fn from(identity: &crate::voice::Identity) -> Self {
        let (standing, until) = match identity.standing {
            Standing::Clear => ("clear", None),
            Standing::TimedOut { until } => ("timed-out", Some(until.as_millis())),
            Standing::Banned => ("banned", None),
        };
        let vote = identity.vote.map(|vote| Vote { poll: vote.poll.0, option: vote.option });
        Self { fan: Hex(identity.fan.0), role: role(identity.role), standing, until, vote }
    }
}

#[derive(Serialize)]
pub(super) struct Waiting<'a> {
    id: u64,
    at: u64,
    fan: Hex,
    name: &'a str,
    text: &'a str,
}

impl<'a> From<&'a crate::voice::Waiting> for Waiting<'a> {
    fn from(waiting: &'a crate::voice::Waiting) -> Self {
        let crate::voice::Waiting { chat, at, fan, name, text } = waiting;
        Self { id: chat.0, at: at.as_millis(), fan: Hex(fan.0), name, text }
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Fan => "fan",
        Role::Moderator => "moderator",
        Role::Creator => "creator",
    }
}
