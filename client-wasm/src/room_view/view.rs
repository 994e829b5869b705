//! Messages in the pages' form: milliseconds, fan IDs as hexadecimal text, and names as JavaScript has them.

use serde::{Serialize, Serializer};
use wire::{DanmakuSize, FanId, Lane, Links, Role, Standing, Who};

/// Returns the JSON of a value.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A number of 64 bits as hexadecimal text, because a number in JavaScript holds only 53.
#[derive(Clone, Copy)]
pub(super) struct Hex(pub(super) u64);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&FanId(self.0))
    }
}

/// A list whose items are each converted by a function.
struct Each<'a, T, V>(&'a [T], fn(&'a T) -> V);

impl<T, V: Serialize> Serialize for Each<'_, T, V> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(self.1))
    }
}

/// A change of the chat.
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
    mentions: Each<'a, FanId, Hex>,
    danmaku: Option<Danmaku>,
}

#[derive(Serialize)]
struct Danmaku {
    lane: Option<u64>,
    colour: u64,
    size: &'static str,
}

#[derive(Serialize)]
pub(super) struct Given<'a> {
    pub(super) id: u64,
    pub(super) at: u64,
    pub(super) fan: Hex,
    pub(super) name: &'a str,
    pub(super) gift: u64,
    pub(super) count: u64,
}

impl<'a> From<&'a wire::Line<'a>> for Line<'a> {
    fn from(line: &'a wire::Line<'a>) -> Self {
        Self {
            id: line.id.0,
            at: line.at.as_millis(),
            fan: Hex(line.fan.0),
            name: line.name,
            role: role(line.role),
            text: line.text,
            reply: line.reply.map(|reply| reply.0),
            mentions: Each(&line.mentions, |fan| Hex(fan.0)),
            danmaku: line.danmaku.map(Danmaku::from),
        }
    }
}

impl From<wire::Danmaku> for Danmaku {
    fn from(danmaku: wire::Danmaku) -> Self {
        let lane = match danmaku.lane {
            Lane::Any => None,
            Lane::At(lane) => Some(lane.into()),
        };
        let size = match danmaku.size {
            DanmakuSize::Small => "small",
            DanmakuSize::Normal => "normal",
            DanmakuSize::Large => "large",
        };
        Self { lane, colour: danmaku.colour.into(), size }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pulse<'a> {
    at: u64,
    viewers: u64,
    uniques: u64,
    says: u64,
    cheers: &'a [u64],
    gifts: Each<'a, (wire::GiftId, u64), GiftCount>,
    rates: Rates,
    poll: Option<PollResult<'a>>,
    questions: Each<'a, wire::QuestionVotes, QuestionVotes>,
    top_cheerers: Each<'a, wire::Top<'a>, Top<'a>>,
    top_gifters: Each<'a, wire::Top<'a>, Top<'a>>,
    total_seconds: u64,
    watched_seconds: u64,
    activity_permille: u64,
    interactions_per_1000_minutes: u64,
    latency_p50_ms: u64,
    latency_p99_ms: u64,
}

#[derive(Serialize)]
struct GiftCount {
    gift: u64,
    count: u64,
}

#[derive(Serialize)]
struct Rates {
    says: u64,
    cheers: u64,
    gifts: u64,
    votes: u64,
}

#[derive(Serialize)]
struct PollResult<'a> {
    poll: u64,
    votes: &'a [u32],
    strangers: &'a [u32],
    open: bool,
}

#[derive(Serialize)]
struct QuestionVotes {
    question: u64,
    votes: u64,
}

#[derive(Serialize)]
struct Top<'a> {
    fan: Hex,
    name: &'a str,
    amount: u64,
}

impl<'a> Pulse<'a> {
    /// Creates the view of the numbers, with the votes of strangers from the same object.
    pub(super) fn new(pulse: &'a wire::Pulse<'a>, strangers: &'a wire::PollStrangers) -> Self {
        let top = |top: &'a wire::Top<'a>| Top { fan: Hex(top.fan.0), name: top.name, amount: top.amount };
        let wire::Rates { says, cheers, gifts, votes } = pulse.rates;
        let result = |poll: &'a wire::PollResult| PollResult {
            poll: poll.poll.0.into(),
            votes: &poll.votes,
            strangers: &strangers.votes,
            open: poll.open,
        };
        let votes_of = |votes: &'a wire::QuestionVotes| QuestionVotes {
            question: votes.question.0.into(),
            votes: votes.votes.into(),
        };
        Self {
            at: pulse.at.as_millis(),
            viewers: pulse.viewers.into(),
            uniques: pulse.uniques,
            says: pulse.says,
            cheers: &pulse.cheers,
            gifts: Each(&pulse.gifts, |(gift, count)| GiftCount { gift: gift.0.into(), count: *count }),
            rates: Rates {
                says: says.into(),
                cheers: cheers.into(),
                gifts: gifts.into(),
                votes: votes.into(),
            },
            poll: pulse.poll.as_ref().map(result),
            questions: Each(&pulse.questions, votes_of),
            top_cheerers: Each(&pulse.top_cheerers, top),
            top_gifters: Each(&pulse.top_gifters, top),
            total_seconds: pulse.total_seconds,
            watched_seconds: pulse.watched_seconds,
            activity_permille: pulse.activity_permille.into(),
            interactions_per_1000_minutes: pulse.interactions_per_1000_minutes,
            latency_p50_ms: pulse.latency_p50_ms.into(),
            latency_p99_ms: pulse.latency_p99_ms.into(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Stage<'a> {
    title: &'a str,
    pinned: Option<Line<'a>>,
    poll: Option<Poll<'a>>,
    modes: Modes,
    gifts: Each<'a, wire::Gift<'a>, Gift<'a>>,
    questions: Each<'a, wire::QuestionView<'a>, Question<'a>>,
}

#[derive(Serialize)]
struct Poll<'a> {
    #[serde(rename = "poll")]
    id: u64,
    question: &'a str,
    options: &'a [&'a str],
    closes: u64,
    changeable: bool,
    who: &'static str,
    open: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Modes {
    slow_seconds: u64,
    followers_only: bool,
    emoji_only: bool,
    hold_all: bool,
    links: &'static str,
}

#[derive(Serialize)]
struct Gift<'a> {
    id: u64,
    name: &'a str,
    icon: &'a str,
    value: u64,
}

#[derive(Serialize)]
struct Question<'a> {
    #[serde(rename = "question")]
    id: u64,
    fan: Hex,
    name: &'a str,
    text: &'a str,
}

impl<'a> From<&'a wire::Stage<'a>> for Stage<'a> {
    fn from(stage: &'a wire::Stage<'a>) -> Self {
        let poll = |poll: &'a wire::PollView<'a>| Poll {
            id: poll.poll.0.into(),
            question: poll.question,
            options: &poll.options,
            closes: poll.closes.as_millis(),
            changeable: !poll.choice.is_final(),
            who: match poll.choice.who() {
                Who::Everyone => "everyone",
                Who::Address => "address",
                Who::Named => "named",
            },
            open: poll.open,
        };
        let gift = |gift: &'a wire::Gift<'a>| {
            let wire::Gift { id, name, icon, value } = *gift;
            Gift { id: id.0.into(), name, icon, value: value.into() }
        };
        let question = |view: &'a wire::QuestionView<'a>| {
            let wire::QuestionView { question, fan, name, text } = *view;
            Question { id: question.0.into(), fan: Hex(fan.0), name, text }
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
            modes: Modes { slow_seconds: slow_seconds.into(), followers_only, emoji_only, hold_all, links },
            gifts: Each(&stage.gifts, gift),
            questions: Each(&stage.questions, question),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Identity {
    fan: Hex,
    role: &'static str,
    /// The fan's present standing.
    standing: &'static str,
    /// The end of that standing, in milliseconds since the UNIX epoch.
    until: Option<u64>,
    vote: Option<Vote>,
}

#[derive(Serialize)]
struct Vote {
    poll: u64,
    option: u64,
}

impl From<&outbox::Identity> for Identity {
    fn from(identity: &outbox::Identity) -> Self {
        let (standing, until) = match identity.standing {
            Standing::Clear => ("clear", None),
            Standing::TimedOut { until } => ("timed-out", Some(until.as_millis())),
            Standing::Banned => ("banned", None),
        };
        let vote = identity.vote.map(|vote| Vote { poll: vote.poll.0.into(), option: vote.option.into() });
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

impl<'a> From<&'a outbox::HeldLine> for Waiting<'a> {
    fn from(waiting: &'a outbox::HeldLine) -> Self {
        let outbox::HeldLine { chat, at, fan, name, text } = waiting;
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
