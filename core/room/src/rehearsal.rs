//! Logs of inputs made from a seed, to prove that a room behaves the same wherever it runs.
//!
//! [`Script::new`] makes a root and two leaves play through everything that can happen in a room, and records
//! the batches that each received. [`perform`] replays a log to a room, in any host, and digests its output.
//! Equal digests mean equal effects and snapshots, byte for byte.

use wire::worker::{Effect, Identity, Input, Seat};
use wire::{
    Act, Beat, ChatId, Choice, Danmaku, DanmakuSize, EdgeId, FanId, FanMessage, Frame, Frames, Gift, GiftId,
    Hello, Lane, Links, List, Micros, Moderation, Modes, OnMatch, Pattern, Playing, PollId, QuestionId, Role,
    Say, SessionId, StreamId, Subject,
};

pub use crate::splitmix::SplitMix64;
use crate::{Config, Room};

const EDGES: usize = 2;
const SESSIONS: u64 = 12;
const START: Micros = Micros::from_secs(1_700_000_000);

/// Texts of fans: several writing systems, and forbidden characters.
const TEXTS: [&str; 14] = [
    "hello",
    "Hello, everyone!",
    "加油！",
    "مرحبا بالجميع",
    "👨‍👩‍👧‍👦🎉",
    "see https://example.com",
    "best casino bonus",
    "free tickets",
    "a\u{202e}b\u{2067}c",
    "\u{200b}",
    "tab\there",
    "z\u{300}\u{301}\u{302}\u{303}\u{304}",
    "ＷＩＤＥ letters",
    "Việt Nam vô địch",
];

/// A batch that a room received, with its time.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Time of the batch.
    pub now: Micros,
    /// The packet of inputs.
    pub inputs: Vec<u8>,
}

/// Logs of the whole play.
#[derive(Clone, Debug)]
pub struct Script {
    /// Log of a leaf: edge 0, in its first incarnation.
    pub leaf: Vec<Batch>,
    /// Log of the root.
    pub root: Vec<Batch>,
}

/// Returns the configuration that the leaf's log is for.
pub fn leaf_config() -> Config {
    Config::new(Seat::Leaf { edge: EdgeId(0), incarnation: 1 })
}

/// Returns the configuration that the root's log is for.
pub fn root_config() -> Config {
    Config::new(Seat::Root)
}

/// Replays a log to a room: `handle` returns a batch's effects, `snapshot` the whole state. Returns a digest
/// of all effects, and of a snapshot after every twenty batches.
pub fn perform<R>(
    log: &[Batch],
    room: &mut R,
    mut handle: impl FnMut(&mut R, Micros, &[u8]) -> Vec<u8>,
    mut snapshot: impl FnMut(&mut R) -> Vec<u8>,
) -> u64 {
    // FNV-1a suffices: the digest need not withstand an attacker.
    let mut digest = 0xcbf2_9ce4_8422_2325_u64;
    let mut fold = |bytes: &[u8]| {
        for byte in bytes {
            digest = (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for (nth, batch) in log.iter().enumerate() {
        fold(&handle(room, batch.now, &batch.inputs));
        if nth % 20 == 19 || nth + 1 == log.len() {
            fold(&snapshot(room));
        }
    }
    digest
}

impl Script {
    /// Plays that many ticks from a seed.
    pub fn new(seed: u64, ticks: u32) -> Self {
        let mut play = Play::new(seed);
        for _ in 0..ticks {
            play.tick();
        }
        play.script
    }
}

/// A root, leaves and their fans.
struct Play {
    rng: SplitMix64,
    now: Micros,
    root: Room,
    leaves: Vec<Room>,
    /// The next message number by edge and session.
    numbers: [[u64; SESSIONS as usize]; EDGES],
    script: Script,
    streams: u64,
}

impl Play {
    fn new(seed: u64) -> Self {
        let leaf = |edge| Room::new(Config::new(Seat::Leaf { edge: EdgeId(edge), incarnation: 1 }));
        let mut play = Self {
            rng: SplitMix64(seed),
            now: START,
            root: Room::new(root_config()),
            leaves: (0..EDGES as u64).map(leaf).collect(),
            numbers: [[0; SESSIONS as usize]; EDGES],
            script: Script { leaf: Vec::new(), root: Vec::new() },
            streams: 0,
        };
        let join = |edge| Input::EdgeJoined { edge: EdgeId(edge), incarnation: 1 };
        play.root(&[Input::Opened, join(0), join(1)]);
        play
    }

    fn below(&mut self, end: u64) -> u64 {
        self.rng.below(end)
    }

    fn tick(&mut self) {
        self.now = self.now + Micros(50_000 + self.below(5000));
        for _ in 0..self.below(12) {
            let (edge, session) = (self.below(EDGES as u64) as usize, self.below(SESSIONS));
            self.fan(edge, session);
        }
        if self.below(20) == 0 {
            self.misbehave();
        }
        for edge in 0..EDGES {
            self.leaf(edge, &[Input::Tick]);
        }
        self.root(&[Input::Tick]);
    }

    /// Lets a fan join, act or leave.
    fn fan(&mut self, edge: usize, at: u64) {
        let session = SessionId(at as u32);
        let number = self.numbers[edge][at as usize];
        if number == 0 {
            return self.comes(edge, at);
        }
        match self.below(12) {
            0 => {
                self.numbers[edge][at as usize] = 0;
                self.leaf(edge, &[Input::FanLeft { session }]);
            }
            1 => {
                let playing = if self.below(2) == 0 { Playing::Playing } else { Playing::Paused };
                let latency_ms = Some(self.below(400) as u32);
                let beat = Beat { active_ms: self.below(9000) as u32, playing, latency_ms };
                self.sends(edge, session, &FanMessage::Beat(beat));
            }
            _ => {
                let act = self.act();
                self.numbers[edge][at as usize] += 1;
                self.sends(edge, session, &FanMessage::Act { number, act });
            }
        }
    }

    fn comes(&mut self, edge: usize, at: u64) {
        self.streams += 1;
        let role = match self.below(8) {
            0 => Role::Moderator,
            1 => Role::Creator,
            _ => Role::Fan,
        };
        let (anonymous, follower) = (self.below(2) == 0, self.below(2) == 0);
        let fan = Identity { id: FanId(1 + self.below(20)), name: "somebody", role, anonymous, follower };
        let hello = FanMessage::Hello(Hello { stream: StreamId(self.streams), next: 1 });
        let session = SessionId(at as u32);
        self.leaf(edge, &[Input::FanJoined { session, fan }]);
        self.sends(edge, session, &hello);
        self.numbers[edge][at as usize] = 1;
    }

    fn text(&mut self) -> &'static str {
        TEXTS[self.below(TEXTS.len() as u64) as usize]
    }

    fn act(&mut self) -> Act<'static> {
        match self.below(10) {
            0..3 => Act::Cheer { kind: self.below(18) as u8, count: self.below(110) as u16 },
            3..6 => self.say(),
            6 => Act::Gift {
                gift: GiftId(self.below(4) as u16),
                count: self.below(5) as u16,
                key: self.below(40),
            },
            7 => match self.below(4) {
                0 | 3 => Act::Vote { poll: PollId(1 + self.below(3) as u32), option: self.below(4) as u8 },
                1 => Act::Ask { text: self.text() },
                _ => Act::Upvote { question: QuestionId(self.below(9) as u32) },
            },
            8 => Act::Rename { name: self.text() },
            _ => Act::Moderate(self.moderation()),
        }
    }

    fn say(&mut self) -> Act<'static> {
        let lane = if self.below(2) == 0 { Lane::Any } else { Lane::At(self.below(14) as u8) };
        let colour = self.below(18) as u8;
        let danmaku = Danmaku { lane, colour, size: DanmakuSize::Normal };
        let danmaku = (self.below(3) == 0).then_some(danmaku);
        let reply = (self.below(4) == 0).then_some(ChatId(self.below(90)));
        let mentions = (0..self.below(3)).map(FanId).collect();
        Act::Say(Say { text: self.text(), reply, mentions, danmaku })
    }

    fn moderation(&mut self) -> Moderation<'static> {
        let (chat, fan) = (ChatId(self.below(120)), FanId(1 + self.below(20)));
        let subject = if self.below(2) == 0 { Subject::Fan(fan) } else { Subject::Author(chat) };
        match self.below(18) {
            0 => Moderation::Delete(chat),
            1 => Moderation::Pin(chat),
            2 => Moderation::Unpin,
            3 => Moderation::Timeout { subject, seconds: self.below(20) as u32 },
            4 => Moderation::Ban(subject),
            5 => Moderation::ShadowMute(subject),
            6 | 7 => Moderation::Pardon(subject),
            8 => Moderation::Approve(chat),
            9 => Moderation::Refuse(chat),
            10 => Moderation::OpenPoll {
                question: "Encore?",
                options: List(vec!["yes", "no", "maybe"]),
                seconds: 1 + self.below(20) as u32,
                choice: if self.below(2) == 0 { Choice::Final } else { Choice::Changeable },
            },
            11 => Moderation::ClosePoll(PollId(self.below(5) as u32)),
            12 => Moderation::Answer(QuestionId(self.below(9) as u32)),
            13 => Moderation::SetModes(Modes {
                slow_seconds: self.below(3) as u16,
                followers_only: self.below(8) == 0,
                emoji_only: self.below(8) == 0,
                hold_all: self.below(8) == 0,
                links: [Links::Allow, Links::Hold, Links::Reject][self.below(3) as usize],
            }),
            14 => Moderation::SetPatterns(List(vec![
                Pattern { text: "casino*", action: OnMatch::Reject },
                Pattern { text: "free tickets", action: OnMatch::Hold },
            ])),
            15 => Moderation::SetTitle(self.text()),
            16 => Moderation::SetGifts(List(vec![
                Gift { id: GiftId(1), name: "rose", icon: "🌹", value: 10 },
                Gift { id: GiftId(2), name: "rocket", icon: "🚀", value: 500 },
            ])),
            _ => Moderation::SetRole { subject, role: Role::Moderator },
        }
    }

    /// Sends something that no proper client sends.
    fn misbehave(&mut self) {
        let edge = self.below(EDGES as u64);
        match self.below(5) {
            0 => {
                self.root(&[Input::EdgeLeft { edge: EdgeId(edge) }]);
                self.root(&[Input::EdgeJoined { edge: EdgeId(edge), incarnation: 1 }]);
                self.leaf(edge as usize, &[Input::RootConnected]);
            }
            1 => {
                let fan = FanId(1 + self.below(20));
                self.root(&[Input::Forget { fan }]);
            }
            2 => self.leaf(edge as usize, &[Input::FanPacket { session: SessionId(1), packet: &[1, 9, 9] }]),
            3 => {
                self.root(&[Input::Opened]);
                for edge in 0..EDGES {
                    self.root(&[Input::EdgeJoined { edge: EdgeId(edge as u64), incarnation: 1 }]);
                    self.leaf(edge, &[Input::RootConnected]);
                }
            }
            _ => {
                let act = self.moderation();
                self.root(&[Input::Owner { act }]);
            }
        }
    }

    fn sends(&mut self, edge: usize, session: SessionId, message: &FanMessage<'_>) {
        let packet = wire::packet(message);
        self.leaf(edge, &[Input::FanPacket { session, packet: &packet }]);
    }

    fn leaf(&mut self, edge: usize, inputs: &[Input<'_>]) {
        let inputs = packed(inputs);
        let mut effects = Vec::new();
        let handled = self.leaves[edge].handle(self.now, &inputs, &mut effects);
        debug_assert!(handled.is_ok(), "a batch of ours: {handled:?}");
        if edge == 0 {
            self.script.leaf.push(Batch { now: self.now, inputs });
        }
        for effect in known(&effects) {
            match effect {
                Effect::ToRoot { packet } => self.root(&[Input::Delta { edge: EdgeId(edge as u64), packet }]),
                Effect::CloseFan { session, .. } => {
                    self.numbers[edge][session.0 as usize] = 0;
                    self.leaf(edge, &[Input::FanLeft { session }]);
                }
                _ => {}
            }
        }
    }

    fn root(&mut self, inputs: &[Input<'_>]) {
        let inputs = packed(inputs);
        let mut effects = Vec::new();
        let handled = self.root.handle(self.now, &inputs, &mut effects);
        debug_assert!(handled.is_ok(), "a batch of ours: {handled:?}");
        self.script.root.push(Batch { now: self.now, inputs });
        for effect in known(&effects) {
            if let Effect::ToEdge { edge, packet } = effect {
                self.leaf(edge.0 as usize, &[Input::FromRoot { packet }]);
            }
        }
    }
}

fn packed(inputs: &[Input<'_>]) -> Vec<u8> {
    let mut batch = Vec::new();
    wire::start(&mut batch);
    for input in inputs {
        wire::put(&mut batch, input);
    }
    batch
}

fn known(effects: &[u8]) -> impl Iterator<Item = Effect<'_>> {
    let known = |frame| match frame {
        Ok(Frame::Known(effect)) => Some(effect),
        _ => None,
    };
    Frames::<Effect<'_>>::new(effects).into_iter().flatten().filter_map(known)
}
