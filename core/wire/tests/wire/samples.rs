//! Sample messages: at least one of every kind.

use wire::{
    Act, Beat, ChatId, Choice, Danmaku, DanmakuSize, Down, EdgeId, EdgeMessage, FanId, FanMessage, Gift,
    GiftId, Hello, Lane, LatencyBucket, Line, Links, List, Micros, Moderation, Modes, OnMatch, Pattern,
    Playing, PollId, PollResult, PollStrangers, PollView, Pulse, QuestionId, QuestionView, QuestionVotes,
    Rates, Reason, Report, Review, Role, Say, Screen, SessionId, Settings, Stage, Standing, StreamId,
    Subject, Top, TrackItem, Up, Visit, Vote,
};
use wire::{
    Track,
    worker::{Close, Effect, Group, Identity, Input, Level, Row, Seen},
};

const FAN: FanId = FanId(0x0123_4567_89ab_cdef);
const CHAT: ChatId = ChatId(4711);
const AT: Micros = Micros(1_700_000_000_000_000);
const SESSION: SessionId = SessionId(300);

fn list<T>(items: impl IntoIterator<Item = T>) -> List<T> {
    items.into_iter().collect()
}

pub(crate) fn moderation() -> Vec<Moderation<'static>> {
    let subject = Subject::Fan(FAN);
    let modes = Modes {
        slow_seconds: 30,
        followers_only: true,
        emoji_only: false,
        hold_all: true,
        links: Links::Reject,
    };
    vec![
        Moderation::Delete(CHAT),
        Moderation::Pin(CHAT),
        Moderation::Unpin,
        Moderation::Timeout { subject, seconds: 600 },
        Moderation::Ban(Subject::Author(CHAT)),
        Moderation::ShadowMute(subject),
        Moderation::Pardon(subject),
        Moderation::Approve(CHAT),
        Moderation::Refuse(CHAT),
        Moderation::OpenPoll {
            question: "Encore?",
            options: list(["yes", "no"]),
            seconds: 60,
            choice: Choice::Changeable,
        },
        Moderation::ClosePoll(PollId(3)),
        Moderation::Answer(QuestionId(5)),
        Moderation::Dismiss(QuestionId(6)),
        Moderation::SetModes(modes),
        Moderation::SetPatterns(list([
            Pattern { text: "spam*", action: OnMatch::Hold },
            Pattern { text: "*scam*", action: OnMatch::Reject },
        ])),
        Moderation::SetTitle("Day one, 第一天"),
        Moderation::SetGifts(list([Gift { id: GiftId(1), name: "rose", icon: "🌹", value: 100 }])),
        Moderation::SetRole { subject, role: Role::Moderator },
    ]
}

fn acts() -> Vec<Act<'static>> {
    let mut acts = vec![
        Act::Say(Say { text: "hello", ..Say::default() }),
        Act::Say(Say {
            text: "加油 🎉",
            reply: Some(CHAT),
            mentions: list([FAN, FanId(7)]),
            danmaku: Some(Danmaku { lane: Lane::At(3), colour: 5, size: DanmakuSize::Large }),
        }),
        Act::Cheer { kind: 2, count: 40 },
        Act::Gift { gift: GiftId(1), count: 3, key: u64::MAX },
        Act::Vote { poll: PollId(3), option: 1 },
        Act::Ask { text: "When is the next one?" },
        Act::Upvote { question: QuestionId(5) },
        Act::Rename { name: "fan 7" },
    ];
    acts.extend(moderation().into_iter().map(Act::Moderate));
    acts
}

pub(crate) fn fan() -> Vec<FanMessage<'static>> {
    let beat = Beat { active_ms: 5000, playing: Playing::Paused, latency_ms: Some(84) };
    let mut all = vec![
        FanMessage::Hello(Hello { stream: StreamId(u64::MAX), next: 1 }),
        FanMessage::Beat(beat),
        FanMessage::Beat(Beat { active_ms: 0, playing: Playing::Playing, latency_ms: None }),
    ];
    all.extend((1..).zip(acts()).map(|(number, act)| FanMessage::Act { number, act }));
    all.extend([Choice::AddressFinal, Choice::AddressChangeable].map(|choice| {
        let (question, options) = ("Encore?", list(["yes", "no"]));
        let poll = Moderation::OpenPoll { question, options, seconds: 60, choice };
        FanMessage::Act { number: 99, act: Act::Moderate(poll) }
    }));
    all
}

pub(crate) fn reasons() -> Vec<Reason> {
    vec![
        Reason::Unsupported,
        Reason::Empty,
        Reason::TooLong { max: 300 },
        Reason::Characters,
        Reason::OutOfRange,
        Reason::TooFast { retry_ms: 900 },
        Reason::SlowMode { retry_ms: 29_000 },
        Reason::FollowersOnly,
        Reason::EmojiOnly,
        Reason::Repeated,
        Reason::Blocked,
        Reason::Links,
        Reason::TimedOut { retry_ms: 600_000 },
        Reason::Banned,
        Reason::NotAllowed,
        Reason::NotFound,
        Reason::PollClosed,
        Reason::AlreadyVoted,
        Reason::AlreadyCounted,
        Reason::Busy { retry_ms: 1000 },
        Reason::AddressVoted,
    ]
}

fn standings() -> [Standing; 3] {
    [Standing::Clear, Standing::TimedOut { until: AT }, Standing::Banned]
}

fn reviews() -> [Review<'static>; 2] {
    let held = Review::Held { chat: CHAT, at: AT, fan: FAN, name: "fan 7", text: "see http://x.example" };
    [held, Review::Done { chat: CHAT }]
}

pub(crate) fn edge() -> Vec<EdgeMessage<'static>> {
    let vote = Some(Vote { poll: PollId(3), option: 1 });
    let mut all = vec![
        EdgeMessage::Welcome { fan: FAN, role: Role::Creator, mark: 9, vote, standing: Standing::Clear },
        EdgeMessage::Token { token: "aaa.bbb" },
        EdgeMessage::Acked { through: 300 },
        EdgeMessage::Held { number: 8 },
        EdgeMessage::Said { number: 10, chat: CHAT },
        EdgeMessage::Resend { from: 5, after_ms: 100 },
        EdgeMessage::Restart,
    ];
    let role = Role::Moderator;
    all.extend(reasons().into_iter().map(|reason| EdgeMessage::Rejected { number: 7, reason }));
    all.extend(standings().map(|standing| EdgeMessage::Standing { standing, role }));
    all.extend(reviews().map(EdgeMessage::Review));
    all
}

fn visit() -> Visit {
    Visit { total_ms: 60_000, watched_ms: 50_000, active_ms: 40_000 }
}

pub(crate) fn up() -> Vec<Up<'static>> {
    let session = SESSION;
    let mut all = vec![
        Up::Head { edge: EdgeId(2), incarnation: 77, sequence: 12, oldest: 11, at: AT },
        Up::Attach { session, fan: FAN, stream: StreamId(99), next: 1, role: Role::Creator },
        Up::Known { session, name: "fan 7", anonymous: true },
        Up::Settle { session, number: 6, reason: Reason::Repeated },
        Up::Stayed { session, visit: visit() },
        Up::Detach { session },
        Up::Report(Report { viewers: 12, time: visit() }),
        Up::Latency(list([LatencyBucket { bucket: 17, count: 900 }])),
    ];
    all.extend(acts().into_iter().map(|act| Up::Act { session, number: 5, screen: Screen::Hold, act }));
    all.push(Up::Proof { token: "a.b.c" });
    all.push(Up::Address { session, address: 0xfeed_0123_4567_89ab });
    all
}

pub(crate) fn down() -> Vec<Down<'static>> {
    let (session, role) = (SESSION, Role::Fan);
    let vote = Some(Vote { poll: PollId(3), option: 0 });
    let settings = Settings {
        modes: Modes::default(),
        patterns: list([Pattern { text: "a b", action: OnMatch::Reject }]),
    };
    let mut all = vec![
        Down::Head { incarnation: 77 },
        Down::Attached { session, mark: 5, role, standing: Standing::Clear, vote },
        Down::Forgotten { session },
        Down::Rejected { session, number: 5, reason: Reason::PollClosed },
        Down::Held { session, number: 6 },
        Down::Resend { session, from: 4 },
        Down::Refused { session },
        Down::Said { session, number: 7, chat: CHAT },
        Down::Answer { sequence: 12 },
        Down::Expect { sequence: 11 },
        Down::Settings(settings),
        Down::Standing { fan: FAN, standing: Standing::Banned, role },
    ];
    all.extend(reviews().map(Down::Moderators));
    all.extend(reviews().map(|review| Down::Moderator { session, review }));
    all
}

fn line() -> Line<'static> {
    Line {
        id: CHAT,
        at: AT,
        fan: FAN,
        name: "fan 7",
        role: Role::Fan,
        text: "加油",
        reply: Some(ChatId(4700)),
        mentions: list([FanId(8)]),
        danmaku: Some(Danmaku { lane: Lane::Any, colour: 0, size: DanmakuSize::Small }),
    }
}

fn pulse() -> Pulse<'static> {
    Pulse {
        at: AT,
        viewers: 1200,
        uniques: 34_000,
        says: 5600,
        cheers: list([1, 2, 300_000]),
        gifts: list([(GiftId(1), 12)]),
        rates: Rates { says: 100, cheers: 2000, gifts: 3, votes: 40 },
        poll: Some(PollResult { poll: PollId(3), votes: list([17, 4]), open: true }),
        questions: list([QuestionVotes { question: QuestionId(5), votes: 9 }]),
        top_cheerers: list([Top { fan: FAN, name: "fan 7", amount: 999 }]),
        top_gifters: list([Top { fan: FanId(8), name: "fan 8", amount: 100 }]),
        total_seconds: 4_000_000,
        watched_seconds: 3_000_000,
        activity_permille: 640,
        interactions_per_1000_minutes: 2150,
        latency_p50_ms: 80,
        latency_p99_ms: 240,
    }
}

fn stage() -> Stage<'static> {
    let poll = PollView {
        poll: PollId(3),
        question: "Encore?",
        options: list(["yes", "no"]),
        closes: AT,
        choice: Choice::Final,
        open: true,
    };
    Stage {
        title: "Day one",
        pinned: Some(line()),
        poll: Some(poll),
        modes: Modes::default(),
        gifts: list([Gift { id: GiftId(1), name: "rose", icon: "🌹", value: 100 }]),
        questions: list([QuestionView { question: QuestionId(5), fan: FAN, name: "fan 7", text: "When?" }]),
    }
}

pub(crate) fn track() -> Vec<TrackItem<'static>> {
    vec![
        TrackItem::Said(line()),
        TrackItem::Gifted { id: CHAT, at: AT, fan: FAN, name: "fan 7", gift: GiftId(1), count: 2 },
        TrackItem::Deleted(CHAT),
        TrackItem::Purged(FAN),
        TrackItem::Pulse(pulse()),
        TrackItem::Stage(stage()),
        TrackItem::Strangers(PollStrangers { poll: PollId(3), votes: list([9, 1]) }),
    ]
}

pub(crate) fn input() -> Vec<Input<'static>> {
    let (session, edge, packet) = (SESSION, EdgeId(2), &[1, 2, 3][..]);
    let fan = Identity { id: FAN, name: "fan 7", role: Role::Fan, anonymous: true, follower: true };
    let mut all = vec![
        Input::Tick,
        Input::FanJoined { session, fan },
        Input::FanPacket { session, packet },
        Input::FanLeft { session },
        Input::RootConnected,
        Input::FromRoot { packet },
        Input::Opened,
        Input::EdgeJoined { edge, incarnation: 77 },
        Input::Delta { edge, packet },
        Input::EdgeLeft { edge },
        Input::Forget { fan: FAN },
    ];
    all.extend(moderation().into_iter().map(|act| Input::Owner { act }));
    all.push(Input::FanAddress { session, address: 0xfeed_0123_4567_89ab });
    all
}

fn rows() -> Vec<Row<'static>> {
    let (id, at, fan, name, text) = (CHAT, AT, FAN, "fan 7", "hello");
    let (poll, question) = (PollId(3), QuestionId(5));
    let mut all: Vec<_> = [Seen::Everyone, Seen::Held, Seen::Author, Seen::Nobody]
        .map(|seen| Row::Said { id, at, fan, name, text, reply: None, seen })
        .into();
    all.extend([
        Row::Seen { id, seen: Seen::Nobody },
        Row::Purged { fan },
        Row::Gifted { id, at, fan, name, gift: GiftId(1), count: 2, value: 100, key: 55 },
        Row::PollOpened { poll, at, question: "Encore?" },
        Row::PollOption { poll, option: 1, text: "no" },
        Row::Voted { poll, fan, option: 1 },
        Row::PollClosed { poll, at },
        Row::Asked { question, at, fan, name, text },
        Row::QuestionDone { question, at, answered: true, votes: 9 },
        Row::Visited { fan, at, visit: visit(), interactions: 12 },
        Row::Audit { at, by: None, act: "ban", fan: Some(fan), number: 0 },
        Row::Forgotten { fan },
    ]);
    all
}

pub(crate) fn effect() -> Vec<Effect<'static>> {
    let (session, edge, packet) = (SESSION, EdgeId(2), &[1, 2, 3][..]);
    let mut all = vec![Effect::ToFan { session, packet }];
    all.extend(
        [Close::Malformed, Close::OutOfOrder, Close::Flooding, Close::Full]
            .map(|why| Effect::CloseFan { session, why }),
    );
    all.extend([Effect::ToRoot { packet }, Effect::ToEdge { edge, packet }, Effect::CloseEdge { edge }]);
    for (track, group) in [(Track::Chat, Group::Same), (Track::Pulse, Group::New), (Track::Stage, Group::New)]
    {
        all.push(Effect::Publish { track, group, object: packet });
    }
    all.extend(rows().into_iter().map(Effect::Archive));
    all.extend([Level::Info, Level::Warn].map(|level| Effect::Log { level, text: "so and so" }));
    let counted = Row::PollCounted { poll: PollId(3), option: 1, votes: 300, strangers: 17 };
    all.push(Effect::Archive(counted));
    all
}
