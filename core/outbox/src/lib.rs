//! What a fan says: numbered, sent again until it is answered, and counted once.
//!
//! [`Voice`] is the client's half of the promise that what was acked is counted, once; `core/room` has the other half.
//! It knows no sockets and no clock.

mod cheers;
pub mod outcome;
pub mod presence;
pub mod wish;

use std::collections::VecDeque;

use moqt::Micros;
use wire::{
    Act, Beat, ChatId, EdgeMessage, FanId, FanMessage, Frame, Frames, Hello, Playing, Reason, Role, Standing,
    StreamId, Vote, limits,
};

use self::cheers::{Cheers, Pending};
pub use self::outcome::{Failure, Outcome};

/// Messages whose answer does not come are sent again this often: an edge that is full asks for them once.
const RETRY: Micros = Micros::from_millis(4_000);
/// For how long a message is sent again before it is given up.
const PATIENCE: Micros = Micros::from_millis(limits::RESEND_SECONDS * 1_000);

/// What a page calls something that it asked for.
pub type Ticket = u32;

/// What is to be done, or known.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send a packet.
    Send(Vec<u8>),
    /// End this connection's streams, and join anew.
    StartOver,
    /// What became of something that was asked for.
    Settled {
        /// What.
        ticket: Ticket,
        /// How.
        outcome: Outcome,
    },
    /// Who the fan is, as of now.
    Identity(Identity),
    /// A token to be shown on the next connection.
    Token(String),
    /// A line waits for a moderator.
    Waits(Waiting),
    /// It waits no more.
    Reviewed(ChatId),
}

/// Who a fan is, and what they may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who.
    pub fan: FanId,
    /// In general.
    pub role: Role,
    /// At the moment.
    pub standing: Standing,
    /// Their vote in the open poll.
    pub vote: Option<Vote>,
}

/// A line that waits for a moderator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// What moderators call it.
    pub chat: ChatId,
    /// When it was written.
    pub at: wire::Micros,
    /// Whose it is.
    pub fan: FanId,
    /// Their name.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// What a fan's client has to say, as a state machine.
///
/// # Contract
///
/// * **Inputs.** [`joined`](Self::joined) when a connection can carry packets, [`left`](Self::left) when it no longer can,
///   [`heard`](Self::heard) for each packet of the edge's; [`act`](Self::act) and [`beat`](Self::beat) for what the fan
///   does; [`tick`](Self::tick) at the moment that [`timeout`](Self::timeout) gave.
/// * **Outputs.** After any input, [`poll`](Self::poll) until it gives `None`.
///
/// The one invariant: each ticket is settled once, and as taken only if the room has counted it, once.
#[derive(Debug)]
pub struct Voice {
    /// What the next stream is made from.
    seed: u64,
    stream: StreamId,
    /// The next message's number.
    next: u64,
    unacked: VecDeque<Message>,
    cheers: Cheers,
    is_joined: bool,
    /// There is a token to be the same fan with on the next connection.
    is_known: bool,
    /// What is to be sent again, and when; nothing else is sent before.
    again: Option<(u64, Micros)>,
    /// When all of it is, if no answer comes.
    retry: Option<Micros>,
    identity: Option<Identity>,
    /// From a message to its ack, in milliseconds, of the slowest since the last beat.
    slowest: Option<u32>,
    outputs: VecDeque<Output>,
}

/// A message that is not acked.
#[derive(Debug)]
struct Message {
    number: u64,
    frame: Vec<u8>,
    begun: Micros,
    is_sent: bool,
    tickets: Vec<Ticket>,
    vote: Option<Vote>,
    /// What the next ack will settle it as.
    outcome: Outcome,
}

impl Voice {
    /// One that has said nothing. Two with one seed would take each other's numbers: it is to be random.
    pub fn new(seed: u64) -> Self {
        let mut voice = Self {
            seed,
            stream: StreamId(0),
            next: 1,
            unacked: VecDeque::new(),
            cheers: Cheers::default(),
            is_joined: false,
            is_known: true,
            again: None,
            retry: None,
            identity: None,
            slowest: None,
            outputs: VecDeque::new(),
        };
        voice.begin_stream();
        voice
    }

    /// One of a fan without a token. Nothing that counts is sent before the edge has given them one: what is sent again
    /// without it, over another connection, would be somebody else's, and count once more.
    pub fn stranger(seed: u64) -> Self {
        Self { is_known: false, ..Self::new(seed) }
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether packets reach an edge.
    pub fn is_joined(&self) -> bool {
        self.is_joined
    }

    /// The fan does something.
    pub fn act(&mut self, now: Micros, ticket: Ticket, act: Act<'_>) {
        if let Act::Cheer { kind, count } = act {
            return self.cheer(now, ticket, kind, count);
        }
        if self.is_full() {
            return self.settle(ticket, Outcome::Failed(Failure::Full));
        }
        self.push(now, vec![ticket], act);
    }

    /// The fan was active for so long since the last time.
    pub fn beat(&mut self, active_ms: u32, playing: Playing) {
        if self.is_joined {
            let beat = Beat { active_ms, playing, latency_ms: self.slowest.take() };
            self.send_message(&FanMessage::Beat(beat));
        }
    }

    /// A connection is there: what is not acked is sent over it.
    pub fn joined(&mut self, now: Micros) {
        self.left();
        self.is_joined = true;
        self.greet(now);
        self.tick(now);
    }

    /// The connection is gone.
    pub fn left(&mut self) {
        self.is_joined = false;
        self.unsend();
    }

    /// The edge says something. After an error, the connection is of no use.
    pub fn heard(&mut self, now: Micros, packet: &[u8]) -> Result<(), wire::Error> {
        for message in Frames::<EdgeMessage<'_>>::new(packet)? {
            if let Frame::Known(message) = message? {
                self.word(now, message);
            }
        }
        Ok(())
    }

    /// When something is due by itself.
    pub fn timeout(&self) -> Option<Micros> {
        let given_up = self.unacked.front().map(|message| message.begun + PATIENCE);
        let cheers = if self.is_joined && !self.is_full() { self.cheers.due() } else { None };
        let again = self.again.map(|(_, at)| at).or(self.retry);
        [given_up, cheers, again, self.cheers.given_up()].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Micros) {
        while self.is_joined
            && !self.is_full()
            && let Some(pending) = self.cheers.take_due(now)
        {
            self.push_cheers(now, pending);
        }
        if let Some((from, at)) = self.again
            && at <= now
        {
            self.again = None;
            self.send_from(now, from);
        }
        if self.again.is_none() && self.retry.is_some_and(|at| at <= now) {
            self.send_from(now, 0);
        }
        self.give_up(now);
    }

    fn is_full(&self) -> bool {
        self.unacked.len() as u64 >= limits::UNACKED
    }

    fn cheer(&mut self, now: Micros, ticket: Ticket, kind: u8, count: u16) {
        let is_one = usize::from(kind) < limits::CHEER_KINDS && (1..=limits::CHEERS).contains(&count);
        if !is_one {
            return self.settle(ticket, Outcome::Failed(Failure::Rejected(Reason::OutOfRange)));
        }
        if !self.cheers.has_room(kind, count) {
            if self.is_full() {
                return self.settle(ticket, Outcome::Failed(Failure::Full));
            }
            if let Some(pending) = self.cheers.take(kind) {
                self.push_cheers(now, pending);
            }
        }
        self.cheers.add(now, ticket, kind, count);
    }

    fn push_cheers(&mut self, now: Micros, pending: Pending) {
        let Pending { kind, count, tickets, .. } = pending;
        self.push(now, tickets, Act::Cheer { kind, count });
    }

    fn push(&mut self, now: Micros, tickets: Vec<Ticket>, act: Act<'_>) {
        let number = self.next;
        let vote = match act {
            Act::Vote { poll, option } => Some(Vote { poll, option }),
            _ => None,
        };
        let mut frame = Vec::new();
        wire::put(&mut frame, &FanMessage::Act { number, act });
        if frame.len() >= limits::FAN_PACKET {
            for ticket in tickets {
                self.settle(ticket, Outcome::Failed(Failure::TooLarge));
            }
            return;
        }
        self.next += 1;
        let is_sent = self.is_joined && self.is_known && self.again.is_none();
        if is_sent {
            self.send(&frame);
            self.retry.get_or_insert(now + RETRY);
        }
        let outcome = Outcome::Taken { line: None };
        self.unacked.push_back(Message { number, frame, begun: now, is_sent, tickets, vote, outcome });
    }

    /// A message of the edge's.
    fn word(&mut self, now: Micros, message: EdgeMessage<'_>) {
        match message {
            EdgeMessage::Welcome { fan, role, mark, vote, standing } => {
                self.next = self.next.max(mark.saturating_add(1));
                self.know(Identity { fan, role, standing, vote });
            }
            EdgeMessage::Token { token } => {
                self.outputs.push_back(Output::Token(token.to_owned()));
                if !std::mem::replace(&mut self.is_known, true) && self.is_joined {
                    self.send_from(now, 0);
                }
            }
            EdgeMessage::Acked { through } => self.acked(now, through),
            EdgeMessage::Rejected { number, reason } => {
                self.note(number, Outcome::Failed(Failure::Rejected(reason)));
            }
            EdgeMessage::Held { number } => self.note(number, Outcome::Held),
            EdgeMessage::Said { number, chat } => self.note(number, Outcome::Taken { line: Some(chat) }),
            EdgeMessage::Resend { from, after_ms } => {
                let at = now + Micros::from_millis(after_ms.into());
                let (from, at) = self.again.map_or((from, at), |(other, due)| (from.min(other), at.max(due)));
                self.again = Some((from, at));
                self.tick(now);
            }
            EdgeMessage::Restart => self.restart(now),
            EdgeMessage::Standing { standing, role } => {
                if let Some(identity) = self.identity {
                    self.know(Identity { role, standing, ..identity });
                }
            }
            EdgeMessage::Review(wire::Review::Held { chat, at, fan, name, text }) => {
                let (name, text) = (name.to_owned(), text.to_owned());
                self.outputs.push_back(Output::Waits(Waiting { chat, at, fan, name, text }));
            }
            EdgeMessage::Review(wire::Review::Done { chat }) => {
                self.outputs.push_back(Output::Reviewed(chat));
            }
        }
    }

    fn know(&mut self, identity: Identity) {
        if self.identity.replace(identity) != Some(identity) {
            self.outputs.push_back(Output::Identity(identity));
        }
    }

    fn note(&mut self, number: u64, outcome: Outcome) {
        if let Some(message) = self.unacked.iter_mut().find(|message| message.number == number) {
            message.outcome = outcome;
        }
    }

    fn acked(&mut self, now: Micros, through: u64) {
        while let Some(message) = self.unacked.pop_front_if(|message| message.number <= through) {
            let ms = (now - message.begun).as_millis().min(u32::MAX.into()) as u32;
            self.slowest = Some(self.slowest.map_or(ms, |slowest| slowest.max(ms)));
            if let (Some(vote), Some(identity), Outcome::Taken { .. }) =
                (message.vote, self.identity, message.outcome)
            {
                self.know(Identity { vote: Some(vote), ..identity });
            }
            self.settle_all(message.tickets, message.outcome);
        }
        self.retry = (!self.unacked.is_empty()).then_some(now + RETRY);
        // There is room for cheers that waited.
        self.tick(now);
    }

    fn give_up(&mut self, now: Micros) {
        let late = |message: &mut Message| message.begun + PATIENCE <= now;
        let mut is_heard = false;
        while let Some(message) = self.unacked.pop_front_if(late) {
            is_heard |= message.is_sent;
            self.lose(message);
        }
        while let Some(pending) = self.cheers.take_given_up(now) {
            self.settle_all(pending.tickets, Outcome::Failed(Failure::NotSent));
        }
        // An edge that knows of it waits for its number: only a new hello tells that it does not come.
        if is_heard && self.is_joined {
            self.left();
            self.outputs.push_back(Output::StartOver);
        }
    }

    /// The room has forgotten the stream.
    fn restart(&mut self, now: Micros) {
        while let Some(message) = self.unacked.pop_front() {
            self.lose(message);
        }
        self.begin_stream();
        if self.is_joined {
            self.unsend();
            self.greet(now);
        }
    }

    /// Packets that have not left are of no use any more.
    fn unsend(&mut self) {
        (self.again, self.retry) = (None, None);
        self.outputs.retain(|output| !matches!(output, Output::Send(_)));
    }

    fn lose(&mut self, message: Message) {
        let failure = if message.is_sent { Failure::Unknown } else { Failure::NotSent };
        self.settle_all(message.tickets, Outcome::Failed(failure));
    }

    fn begin_stream(&mut self) {
        // SplitMix64.
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.seed;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.stream = StreamId(x ^ (x >> 31));
        self.next = 1;
    }

    fn greet(&mut self, now: Micros) {
        let next = self.unacked.front().map_or(self.next, |message| message.number);
        self.send_message(&FanMessage::Hello(Hello { stream: self.stream, next }));
        self.send_from(now, 0);
    }

    /// Sends what is not acked from that number on.
    fn send_from(&mut self, now: Micros, from: u64) {
        if !self.is_known {
            return;
        }
        let mut unacked = std::mem::take(&mut self.unacked);
        for message in unacked.iter_mut().filter(|message| message.number >= from) {
            message.is_sent = true;
            self.send(&message.frame);
        }
        self.retry = (!unacked.is_empty()).then_some(now + RETRY);
        self.unacked = unacked;
    }

    fn send_message(&mut self, message: &FanMessage<'_>) {
        let mut frame = Vec::new();
        wire::put(&mut frame, message);
        self.send(&frame);
    }

    /// Puts a frame into the packet that goes out next.
    fn send(&mut self, frame: &[u8]) {
        if let Some(Output::Send(packet)) = self.outputs.back_mut()
            && packet.len() + frame.len() <= limits::FAN_PACKET
        {
            return packet.extend_from_slice(frame);
        }
        let mut packet = Vec::with_capacity(frame.len() + 1);
        wire::start(&mut packet);
        packet.extend_from_slice(frame);
        self.outputs.push_back(Output::Send(packet));
    }

    fn settle(&mut self, ticket: Ticket, outcome: Outcome) {
        self.outputs.push_back(Output::Settled { ticket, outcome });
    }

    fn settle_all(&mut self, tickets: Vec<Ticket>, outcome: Outcome) {
        for ticket in tickets {
            self.settle(ticket, outcome);
        }
    }
}
