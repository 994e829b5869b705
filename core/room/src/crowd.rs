//! A log of inputs that fills a root to all its bounds at once, to measure what they take in memory and time.

use wire::worker::Input;
use wire::{
    Act, Choice, EdgeId, FanId, Gift, GiftId, LatencyBucket, List, Micros, Moderation, OnMatch, Pattern,
    PollId, QuestionId, Reason, Role, Say, Screen, SessionId, StreamId, Up, Visit, limits,
};

use crate::rehearsal::Batch;

const EDGES: u64 = 256;
/// Fans that come in one round, with their messages.
const ROUND: u64 = 60_000;
/// Rounds: in each other fans come, after those of the round before were forgotten.
const ROUNDS: u64 = 4;
/// Fans of the last round with the longest names, who stay when no stranger may come any more.
const NAMED: u64 = 30_000;
/// Length at which a delta is closed.
const LONG: usize = 40 * 1024;

/// A crowd at many edges, whose batches go to `each`.
pub struct Crowd<F> {
    now: Micros,
    /// The deltas of each edge so far, and the frames of the next.
    edges: Vec<(u64, Vec<u8>)>,
    each: F,
}

impl<F: FnMut(Batch)> Crowd<F> {
    /// Opens a room with all edges that it may have.
    pub fn new(each: F) -> Self {
        let now = Micros::from_secs(1_700_000_000);
        let mut crowd = Self { now, edges: vec![(0, Vec::new()); EDGES as usize], each };
        crowd.batch(&[Input::Opened]);
        for edge in 0..EDGES {
            crowd.batch(&[Input::EdgeJoined { edge: EdgeId(edge), incarnation: 1 }]);
        }
        crowd
    }

    fn batch(&mut self, inputs: &[Input<'_>]) {
        let mut packet = Vec::new();
        wire::start(&mut packet);
        for input in inputs {
            wire::put(&mut packet, input);
        }
        self.now = self.now + Micros::from_millis(5);
        (self.each)(Batch { now: self.now, inputs: packet });
    }

    fn put(&mut self, edge: u64, entries: &[Up<'_>]) {
        let pending = &mut self.edges[edge as usize].1;
        for entry in entries {
            wire::put(pending, entry);
        }
        if pending.len() >= LONG {
            self.seal(edge);
        }
    }

    /// Sends an edge's delta. None is ever reported as answered, so that the root keeps its answers.
    fn seal(&mut self, edge: u64) {
        let (sequence, pending) = &mut self.edges[edge as usize];
        *sequence += 1;
        let head =
            Up::Head { edge: EdgeId(edge), incarnation: 1, sequence: *sequence, oldest: 1, at: self.now };
        let mut packet = wire::packet(&head);
        packet.append(pending);
        self.batch(&[Input::Delta { edge: EdgeId(edge), packet: &packet }]);
    }

    /// Seals all deltas, and lets time pass in ticks.
    pub fn wait(&mut self, seconds: u64) {
        for edge in 0..EDGES {
            self.seal(edge);
        }
        for _ in 0..seconds {
            self.now = self.now + Micros::from_millis(995);
            self.batch(&[Input::Tick]);
        }
    }

    /// Lets a fan come, with a stream, and as somebody with that name.
    pub fn enter(&mut self, fan: u64, name: &str, anonymous: bool) -> (u64, SessionId) {
        let (edge, session) = (fan % EDGES, SessionId((fan % ROUND / EDGES) as u32));
        let (fan, stream) = (FanId(fan + 1), StreamId(fan));
        self.put(
            edge,
            &[
                Up::Attach { session, fan, stream, next: 1, role: Role::Fan },
                Up::Known { session, name, anonymous },
            ],
        );
        (edge, session)
    }

    /// Has a fan's messages refused by their edge.
    pub fn refuse(&mut self, (edge, session): (u64, SessionId), numbers: std::ops::RangeInclusive<u64>) {
        for number in numbers {
            self.put(edge, &[Up::Settle { session, number, reason: Reason::TooFast { retry_ms: 700 } }]);
        }
    }

    /// Lets a fan act.
    pub fn act(&mut self, (edge, session): (u64, SessionId), number: u64, screen: Screen, act: Act<'_>) {
        self.put(edge, &[Up::Act { session, number, screen, act }]);
    }

    /// Lets a fan go.
    pub fn leave(&mut self, (edge, session): (u64, SessionId)) {
        self.put(edge, &[Up::Stayed { session, visit: Visit { total_ms: 1, ..Visit::default() } }]);
        self.put(edge, &[Up::Detach { session }]);
    }

    /// Fills the room to all its bounds.
    pub fn fill(&mut self) {
        self.set_up();
        for round in 0..ROUNDS {
            for fan in round * ROUND..(round + 1) * ROUND {
                let at = self.enter(fan, "guest-0123abcd", true);
                self.acts(at, fan);
                self.refuse(at, 7..=70);
                if round + 1 < ROUNDS {
                    self.leave(at);
                }
            }
            self.wait(if round + 1 < ROUNDS { 700 } else { 1 });
        }
        let name = "n".repeat(limits::NAME);
        for fan in ROUNDS * ROUND..ROUNDS * ROUND + NAMED {
            // Each named fan has taken the session of a stranger, who is gone.
            let at = self.enter(fan, &name, false);
            self.acts(at, fan);
        }
        self.viewers();
        self.wait(1);
    }

    /// Gives the room the longest lists that a creator may set, and an open poll.
    pub fn set_up(&mut self) {
        let name = "g".repeat(limits::NAME_GRAPHEMES);
        let gift = |id| Gift { id: GiftId(id), name: &name, icon: &name, value: 1 };
        self.owner(Moderation::SetGifts((0..limits::CATALOGUE as u16).map(gift).collect()));
        let texts: Vec<String> = (0..limits::PATTERNS).map(|at| format!("{at:0>12}")).collect();
        let pattern = |text| Pattern { text, action: OnMatch::Hold };
        self.owner(Moderation::SetPatterns(texts.iter().map(|text| pattern(text)).collect()));
        let options = List(vec!["an option of a poll"; limits::POLL_OPTIONS]);
        let question = "a question of a poll";
        self.owner(Moderation::OpenPoll { question, options, seconds: 86_400, choice: Choice::AddressFinal });
        let buckets: List<LatencyBucket> =
            (0..200).map(|bucket| LatencyBucket { bucket, count: 9 }).collect();
        for edge in 0..EDGES {
            self.put(edge, &[Up::Latency(buckets.clone())]);
        }
    }

    fn owner(&mut self, act: Moderation<'_>) {
        self.batch(&[Input::Owner { act }]);
    }

    /// Lets a fan do what takes space.
    fn acts(&mut self, at: (u64, SessionId), fan: u64) {
        let text = "t".repeat(limits::TEXT);
        let pass = Screen::Pass;
        self.put(at.0, &[Up::Address { session: at.1, address: fan }]);
        self.act(at, 1, pass, Act::Vote { poll: PollId(1), option: 1 });
        self.act(at, 2, pass, Act::Gift { gift: GiftId(1), count: 1, key: fan });
        self.act(at, 3, pass, Act::Gift { gift: GiftId(1), count: 1, key: fan + 1 });
        if fan.is_multiple_of(100) {
            self.act(at, 4, pass, Act::Ask { text: &text });
            let say = Say { text: &text, ..Say::default() };
            self.act(at, 5, if fan.is_multiple_of(200) { Screen::Hold } else { pass }, Act::Say(say));
        } else {
            self.act(at, 4, pass, Act::Upvote { question: QuestionId(1) });
            self.act(at, 5, pass, Act::Upvote { question: QuestionId(2) });
        }
        self.act(at, 6, pass, Act::Cheer { kind: 0, count: 1 });
    }

    /// Fills all slots with fans who only watch.
    fn viewers(&mut self) {
        for viewer in 0..200_000u64 {
            let (edge, session) = (viewer % EDGES, SessionId((ROUND / EDGES + 2 + viewer / EDGES) as u32));
            let (fan, stream) = (FanId(viewer << 20), StreamId(viewer));
            self.put(edge, &[Up::Attach { session, fan, stream, next: 1, role: Role::Fan }]);
        }
    }
}
