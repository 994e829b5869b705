//! A client's acts: numbered, sent again until they are answered, and counted once.
//!
//! [`Outbox`] is the client's half of the promise that an acked act is counted exactly once; `core/room` has the other
//! half. [`Membership`] carries an outbox over MoQ sessions, one after the other. Neither has sockets or a clock.

pub mod act_json;
mod cheers;
pub mod membership;
pub mod outcome;
pub mod presence;

use std::collections::VecDeque;

use moqt::Micros;
use wire::{
    Act, Beat, ChatId, EdgeMessage, FanId, FanMessage, Frame, Frames, Hello, Playing, Reason, Role, Standing,
    StreamId, Vote, limits,
};

use self::cheers::{Cheers, Pending};
pub use self::{
    membership::Membership,
    outcome::{Failure, Outcome},
};

/// Interval at which unanswered messages are sent again. A full edge asks for them only once, so the client cannot wait
/// for it.
const RETRY: Micros = Micros::from_millis(4_000);
/// Time after which an unanswered message is given up.
const PATIENCE: Micros = Micros::from_millis(limits::RESEND_SECONDS * 1_000);

/// The page's own number for something that it asked for.
pub type Ticket = u32;

/// A step for the caller to take, or a fact for it to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this packet to the edge.
    Send(Vec<u8>),
    /// End this connection's streams, and join anew.
    StartOver,
    /// Show this.
    Fact(Fact),
}

/// A fact about the fan or the fan's acts, for the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// An act that the page asked for is settled.
    Settled {
        /// The ticket that the page gave to the act.
        ticket: Ticket,
        /// The result: counted, held or failed.
        outcome: Outcome,
    },
    /// The fan's identity, role, standing or vote is now this.
    Identity(Identity),
    /// Present this token on the next connection.
    Token(String),
    /// A chat line is held for a moderator; only moderators receive this.
    Held(HeldLine),
    /// A moderator has approved or refused the held line.
    Reviewed(ChatId),
}

/// The fan's identity, and what the room lets them do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The fan's identity, which is the same on every connection with one token.
    pub fan: FanId,
    /// The role that the token or a moderator gives.
    pub role: Role,
    /// The fan's present standing, such as muted or banned until some time.
    pub standing: Standing,
    /// The fan's vote in the open poll.
    pub vote: Option<Vote>,
}

/// A chat line that is held for a moderator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLine {
    /// The number by which a moderator approves or refuses it.
    pub chat: ChatId,
    /// The time at which the fan sent it.
    pub at: wire::Micros,
    /// The author's identity.
    pub fan: FanId,
    /// The author's name.
    pub name: String,
    /// The text of the line.
    pub text: String,
}

/// The outbox of one fan's client, as a state machine.
///
/// # Contract
///
/// * **Inputs.** [`joined`](Self::joined) when a connection can carry packets, [`left`](Self::left) when it no longer
///   can, [`receive`](Self::receive) for each packet from the edge; [`act`](Self::act) and [`beat`](Self::beat) for
///   what the fan does; [`tick`](Self::tick) at the moment that [`timeout`](Self::timeout) gave.
/// * **Outputs.** After any input, [`poll`](Self::poll) until it gives `None`.
///
/// The one invariant: each ticket is settled once, and as taken only if the room has counted it, once.
#[derive(Debug)]
pub struct Outbox {
    /// State of the generator that draws the numbers of streams.
    seed: u64,
    stream: StreamId,
    /// Number of the next message on this stream, from 1.
    next: u64,
    unacked: VecDeque<Message>,
    cheers: Cheers,
    is_joined: bool,
    /// Set if the next connection can present a token and so be the same fan.
    has_token: bool,
    /// The first number to send again and the time to do so, as the edge asked. Nothing else is sent before.
    resend: Option<(u64, Micros)>,
    /// The time at which all unacked messages are sent again if no answer comes.
    retry: Option<Micros>,
    identity: Option<Identity>,
    /// The longest time from a message to its ack since the last beat, in milliseconds.
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
    /// The outcome that the next ack will settle it with.
    outcome: Outcome,
}

impl Outbox {
    /// Creates an empty outbox for a fan with a token. The seed must be random: two outboxes with one seed would use
    /// the same stream, and each would take the other's numbers.
    pub fn new(seed: u64) -> Self {
        let mut outbox = Self {
            seed,
            stream: StreamId(0),
            next: 1,
            unacked: VecDeque::new(),
            cheers: Cheers::default(),
            is_joined: false,
            has_token: true,
            resend: None,
            retry: None,
            identity: None,
            slowest: None,
            outputs: VecDeque::new(),
        };
        outbox.begin_stream();
        outbox
    }

    /// Creates an empty outbox for a fan without a token. It holds back every act until the edge has issued a token: an
    /// act that is sent again without it over another connection would belong to another fan, and would count twice.
    pub fn anonymous(seed: u64) -> Self {
        Self { has_token: false, ..Self::new(seed) }
    }

    /// Returns the next output; see the contract.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns whether packets reach an edge.
    pub fn is_joined(&self) -> bool {
        self.is_joined
    }

    /// Queues an act of the fan. It is settled at once if it is too large or the outbox is full.
    pub fn act(&mut self, now: Micros, ticket: Ticket, act: Act<'_>) {
        if let Act::Cheer { kind, count } = act {
            return self.cheer(now, ticket, kind, count);
        }
        if self.is_full() {
            return self.settle(ticket, Outcome::Failed(Failure::Full));
        }
        self.push(now, vec![ticket], act);
    }

    /// Sends a heartbeat: the fan was active for `active_ms` milliseconds since the last one.
    pub fn beat(&mut self, active_ms: u32, playing: Playing) {
        if self.is_joined {
            let beat = Beat { active_ms, playing, latency_ms: self.slowest.take() };
            self.send_message(&FanMessage::Beat(beat));
        }
    }

    /// Begins a connection: sends a hello, and everything that is not acked.
    pub fn joined(&mut self, now: Micros) {
        self.left();
        self.is_joined = true;
        self.send_hello(now);
        self.tick(now);
    }

    /// Ends the connection; unacked messages stay for the next one.
    pub fn left(&mut self) {
        self.is_joined = false;
        self.drop_unsent();
    }

    /// Handles a packet from the edge. After an error the connection is of no use.
    pub fn receive(&mut self, now: Micros, packet: &[u8]) -> Result<(), wire::Error> {
        for message in Frames::<EdgeMessage<'_>>::new(packet)? {
            if let Frame::Known(message) = message? {
                self.on_message(now, message);
            }
        }
        Ok(())
    }

    /// Returns the time at which [`tick`](Self::tick) has something to do.
    pub fn timeout(&self) -> Option<Micros> {
        let given_up = self.unacked.front().map(|message| message.begun + PATIENCE);
        let cheers = if self.is_joined && !self.is_full() { self.cheers.due() } else { None };
        let resend = self.resend.map(|(_, at)| at).or(self.retry);
        [given_up, cheers, resend, self.cheers.given_up()].into_iter().flatten().min()
    }

    /// Sends and gives up whatever is due at `now`.
    pub fn tick(&mut self, now: Micros) {
        while self.is_joined
            && !self.is_full()
            && let Some(pending) = self.cheers.take_due(now)
        {
            self.push_cheers(now, pending);
        }
        if let Some((from, at)) = self.resend
            && at <= now
        {
            self.resend = None;
            self.send_from(now, from);
        }
        if self.resend.is_none() && self.retry.is_some_and(|at| at <= now) {
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
        if !self.cheers.fits(kind, count) {
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
        let is_sent = self.is_joined && self.has_token && self.resend.is_none();
        if is_sent {
            self.send(&frame);
            self.retry.get_or_insert(now + RETRY);
        }
        let outcome = Outcome::Taken { line: None };
        self.unacked.push_back(Message { number, frame, begun: now, is_sent, tickets, vote, outcome });
    }

    /// Handles one message from the edge.
    fn on_message(&mut self, now: Micros, message: EdgeMessage<'_>) {
        match message {
            EdgeMessage::Welcome { fan, role, mark, vote, standing } => {
                self.next = self.next.max(mark.saturating_add(1));
                self.set_identity(Identity { fan, role, standing, vote });
            }
            EdgeMessage::Token { token } => {
                self.push_fact(Fact::Token(token.to_owned()));
                if !std::mem::replace(&mut self.has_token, true) && self.is_joined {
                    self.send_from(now, 0);
                }
            }
            EdgeMessage::Acked { through } => self.acked(now, through),
            EdgeMessage::Rejected { number, reason } => {
                self.set_outcome(number, Outcome::Failed(Failure::Rejected(reason)));
            }
            EdgeMessage::Held { number } => self.set_outcome(number, Outcome::Held),
            EdgeMessage::Said { number, chat } => {
                self.set_outcome(number, Outcome::Taken { line: Some(chat) });
            }
            EdgeMessage::Resend { from, after_ms } => {
                let at = now + Micros::from_millis(after_ms.into());
                let (from, at) =
                    self.resend.map_or((from, at), |(other, due)| (from.min(other), at.max(due)));
                self.resend = Some((from, at));
                self.tick(now);
            }
            EdgeMessage::Restart => self.restart(now),
            EdgeMessage::Standing { standing, role } => {
                if let Some(identity) = self.identity {
                    self.set_identity(Identity { role, standing, ..identity });
                }
            }
            EdgeMessage::Review(wire::Review::Held { chat, at, fan, name, text }) => {
                let (name, text) = (name.to_owned(), text.to_owned());
                self.push_fact(Fact::Held(HeldLine { chat, at, fan, name, text }));
            }
            EdgeMessage::Review(wire::Review::Done { chat }) => {
                self.push_fact(Fact::Reviewed(chat));
            }
        }
    }

    fn set_identity(&mut self, identity: Identity) {
        if self.identity.replace(identity) != Some(identity) {
            self.push_fact(Fact::Identity(identity));
        }
    }

    fn set_outcome(&mut self, number: u64, outcome: Outcome) {
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
                self.set_identity(Identity { vote: Some(vote), ..identity });
            }
            self.settle_all(message.tickets, message.outcome);
        }
        self.retry = (!self.unacked.is_empty()).then_some(now + RETRY);
        // The ack has freed a slot for cheers that waited for one.
        self.tick(now);
    }

    fn give_up(&mut self, now: Micros) {
        let late = |message: &mut Message| message.begun + PATIENCE <= now;
        let mut was_sent = false;
        while let Some(message) = self.unacked.pop_front_if(late) {
            was_sent |= message.is_sent;
            self.fail(message);
        }
        while let Some(pending) = self.cheers.take_given_up(now) {
            self.settle_all(pending.tickets, Outcome::Failed(Failure::NotSent));
        }
        // The edge waits for the number of a message that it was sent: only a new hello shows that it will not come.
        if was_sent && self.is_joined {
            self.left();
            self.outputs.push_back(Output::StartOver);
        }
    }

    /// Begins a new stream, because the room has forgotten this one: messages on it may or may not have been counted.
    fn restart(&mut self, now: Micros) {
        while let Some(message) = self.unacked.pop_front() {
            self.fail(message);
        }
        self.begin_stream();
        if self.is_joined {
            self.drop_unsent();
            self.send_hello(now);
        }
    }

    /// Drops packets that were not polled yet: they belong to a connection that has ended.
    fn drop_unsent(&mut self) {
        (self.resend, self.retry) = (None, None);
        self.outputs.retain(|output| !matches!(output, Output::Send(_)));
    }

    fn fail(&mut self, message: Message) {
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

    fn send_hello(&mut self, now: Micros) {
        let next = self.unacked.front().map_or(self.next, |message| message.number);
        self.send_message(&FanMessage::Hello(Hello { stream: self.stream, next }));
        self.send_from(now, 0);
    }

    /// Sends every unacked message with this number or a higher one.
    fn send_from(&mut self, now: Micros, from: u64) {
        if !self.has_token {
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

    /// Appends a frame to the last packet that was not polled yet, or starts another.
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

    fn push_fact(&mut self, fact: Fact) {
        self.outputs.push_back(Output::Fact(fact));
    }

    fn settle(&mut self, ticket: Ticket, outcome: Outcome) {
        self.push_fact(Fact::Settled { ticket, outcome });
    }

    fn settle_all(&mut self, tickets: Vec<Ticket>, outcome: Outcome) {
        for ticket in tickets {
            self.settle(ticket, outcome);
        }
    }
}
