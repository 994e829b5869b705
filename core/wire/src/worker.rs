//! Node ↔ worker: the batches that `handle` takes and returns. The contract is `wit/`.

use serde::{Deserialize, Serialize};

use crate::{
    ChatId, EdgeId, FanId, GiftId, Micros, Moderation, PollId, QuestionId, Role, SessionId, Track, Visit,
};

/// One input that a node passes to its worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input<'a> {
    /// Both seats, every 50 ms or less: the worker sends what it has collected.
    Tick,
    /// Leaf: a fan has connected, and the node has checked their identity.
    FanJoined {
        /// The lowest free session index.
        session: SessionId,
        /// The fan, from the checked token.
        #[serde(borrow)]
        fan: Identity<'a>,
    },
    /// Leaf: a packet of [`FanMessage`](crate::FanMessage)s, unchanged from the wire.
    FanPacket {
        /// Session of the fan who sent it.
        session: SessionId,
        /// The packet's bytes, with its version byte.
        #[serde(with = "crate::bytes", borrow)]
        packet: &'a [u8],
    },
    /// Leaf: a fan is gone. The session index is free once the worker has handled this.
    FanLeft {
        /// The fan's session at the edge.
        session: SessionId,
    },
    /// Leaf: the origin is connected (again).
    RootConnected,
    /// Leaf: a packet of [`Down`](crate::Down)s, in order.
    FromRoot {
        /// The packet's bytes, with its version byte.
        #[serde(with = "crate::bytes", borrow)]
        packet: &'a [u8],
    },
    /// Root: the three tracks have no group yet, and no edge is connected: the first input, and the first
    /// after a restart of the node.
    Opened,
    /// Root: an edge has connected.
    EdgeJoined {
        /// Identity of the edge, the same over its restarts.
        edge: EdgeId,
        /// The edge's incarnation: higher each time the edge starts with no state.
        incarnation: u64,
    },
    /// Root: a delta, a packet of [`Up`](crate::Up)s.
    Delta {
        /// The edge whose connection delivered it.
        edge: EdgeId,
        /// The packet's bytes, with its version byte.
        #[serde(with = "crate::bytes", borrow)]
        packet: &'a [u8],
    },
    /// Root: an edge's connection is lost, and its fans are gone unless it comes back.
    EdgeLeft {
        /// The identity of the edge.
        edge: EdgeId,
    },
    /// Root: the room's owner acts, through the node's own API.
    Owner {
        /// The act, with the creator's rights.
        #[serde(borrow)]
        act: Moderation<'a>,
    },
    /// Root: erase everything kept of a person.
    Forget {
        /// Identity of the fan, the same on every edge.
        fan: FanId,
    },
    /// Leaf: the address of an anonymous fan who has just joined.
    FanAddress {
        /// The fan's session.
        session: SessionId,
        /// A number that stands for the address as long as the node runs, and discloses nothing of it.
        address: u64,
    },
}

/// A fan as the node has verified them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity<'a> {
    /// Identity of the fan, the same on every edge.
    pub id: FanId,
    /// The fan's display name; may be empty.
    pub name: &'a str,
    /// The role that the token grants.
    pub role: Role,
    /// True if the node itself issued the token, to an anonymous fan.
    pub anonymous: bool,
    /// True if the token marks the fan as a follower of the creator.
    pub follower: bool,
}

/// One effect that a worker asks of its node, in order.
///
/// At the root the node performs no effect before it has stored the batch of inputs that caused it: an acked
/// message must survive a crash of the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect<'a> {
    /// Leaf: a packet of [`EdgeMessage`](crate::EdgeMessage)s for one fan.
    ToFan {
        /// Session of the fan who receives it.
        session: SessionId,
        /// The packet's bytes, with its version byte.
        #[serde(with = "crate::bytes", borrow)]
        packet: &'a [u8],
    },
    /// Leaf: end a fan's connection. [`Input::FanLeft`] follows, as for any other end.
    CloseFan {
        /// The fan's session at the edge.
        session: SessionId,
        /// The reason, sent as a close code.
        why: Close,
    },
    /// Leaf: a delta for the origin. The node drops it if no connection is open: the worker sends it again.
    ToRoot {
        /// The packet of [`Up`](crate::Up)s.
        #[serde(with = "crate::bytes", borrow)]
        packet: &'a [u8],
    },
    /// Root: a packet of [`Down`](crate::Down)s for an edge. The node drops it if no connection is open.
    ToEdge {
        /// The identity of the edge.
        edge: EdgeId,
        /// The packet's bytes, with its version byte.
        #[serde(with = "crate::bytes", borrow)]
        packet: &'a [u8],
    },
    /// Root: end an edge's connection, because the edge violates the protocol.
    CloseEdge {
        /// The identity of the edge.
        edge: EdgeId,
    },
    /// Root: an object of a track, a packet of [`TrackItem`](crate::TrackItem)s.
    Publish {
        /// The track to publish on.
        track: Track,
        /// Position of the object in its track.
        group: Group,
        /// The object's bytes, a packet.
        #[serde(with = "crate::bytes", borrow)]
        object: &'a [u8],
    },
    /// Root: a row for the archive.
    Archive(Row<'a>),
    /// One entry for the node's log.
    Log {
        /// Severity of the log entry.
        level: Level,
        /// Text of the log entry.
        text: &'a str,
    },
}

/// Position of an object relative to the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Group {
    /// The object opens a new group.
    New,
    /// The object follows the last one in its group.
    Same,
}

/// Severity of a log entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// Information for the operator; nothing is wrong.
    Info,
    /// A fault that the operator should look at.
    Warn,
}

/// Reason for which a fan's connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Close {
    /// The fan sent a packet that cannot be read.
    Malformed,
    /// The fan sent messages before a hello, or a second hello.
    OutOfOrder,
    /// The fan sent more at once than a client may have unacked.
    Flooding,
    /// The edge has no free session.
    Full,
}

/// One row for the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Row<'a> {
    /// A chat line was taken.
    Said {
        /// The number in the room's one order of chat lines.
        id: ChatId,
        /// Time of the event, by the origin's clock.
        at: Micros,
        /// Identity of the fan who is the author.
        fan: FanId,
        /// The author's display name.
        name: &'a str,
        /// Text of the line: plain, never markup.
        text: &'a str,
        /// The chat line that this one answers.
        reply: Option<ChatId>,
        /// Audience that sees the line.
        seen: Seen,
    },
    /// A chat line's audience has changed.
    Seen {
        /// The number in the room's one order of chat lines.
        id: ChatId,
        /// Audience that sees the line from now on.
        seen: Seen,
    },
    /// All published lines of a fan are taken back.
    Purged {
        /// Identity of the fan who is the author.
        fan: FanId,
    },
    /// Gifts were given, of one kind.
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
        /// Value of one gift at the time, in the creator's smallest unit.
        value: u32,
        /// The fan's random number for the gift: unique together with the fan.
        key: u64,
    },
    /// A poll was opened.
    PollOpened {
        /// The poll's number in the room.
        poll: PollId,
        /// Time of the event, by the origin's clock.
        at: Micros,
        /// The question that the poll asks.
        question: &'a str,
    },
    /// One option of a poll.
    PollOption {
        /// The poll's number in the room.
        poll: PollId,
        /// The option's index, counted from 0.
        option: u8,
        /// Text of the option: plain, never markup.
        text: &'a str,
    },
    /// A vote; replaces the fan's earlier one in this poll.
    Voted {
        /// The poll's number in the room.
        poll: PollId,
        /// Identity of the fan who voted.
        fan: FanId,
        /// Index of the chosen option.
        option: u8,
    },
    /// A poll was closed.
    PollClosed {
        /// The poll's number in the room.
        poll: PollId,
        /// Time of the event, by the origin's clock.
        at: Micros,
    },
    /// A question was asked.
    Asked {
        /// The question's number in the room.
        question: QuestionId,
        /// Time of the event, by the origin's clock.
        at: Micros,
        /// Identity of the fan who is the author.
        fan: FanId,
        /// The author's display name.
        name: &'a str,
        /// Text of the question: plain, never markup.
        text: &'a str,
    },
    /// A question is answered or dismissed.
    QuestionDone {
        /// The question's number in the room.
        question: QuestionId,
        /// Time of the event, by the origin's clock.
        at: Micros,
        /// True if answered, false if dismissed.
        answered: bool,
        /// Votes that it had, its author's included.
        votes: u32,
    },
    /// A connection has ended: the fan's activity during it.
    Visited {
        /// Identity of the fan, the same on every edge.
        fan: FanId,
        /// Time of the connection's end.
        at: Micros,
        /// Duration of the connection, by kind.
        visit: Visit,
        /// Messages of the fan that were taken.
        interactions: u32,
    },
    /// A moderator or the creator acted.
    Audit {
        /// Time of the event, by the origin's clock.
        at: Micros,
        /// The actor's identity; none if the owner acted through the node's API.
        by: Option<FanId>,
        /// The act's name, as in [`Moderation`].
        act: &'a str,
        /// The fan whom the act concerns, if any.
        fan: Option<FanId>,
        /// The chat line, poll or question that the act concerns; or a duration in seconds.
        number: u64,
    },
    /// All rows of a person are to be erased.
    Forgotten {
        /// Identity of the person as a fan.
        fan: FanId,
    },
    /// The votes that one option of a poll had when it was closed.
    PollCounted {
        /// The poll's number in the room.
        poll: PollId,
        /// The option's index, counted from 0.
        option: u8,
        /// All votes.
        votes: u32,
        /// Votes of fans without a name of their own.
        strangers: u32,
    },
}

/// Audience of a chat line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seen {
    /// Everyone in the room.
    Everyone,
    /// Moderators, until one decides.
    Held,
    /// Only the line's author.
    Author,
    /// Nobody any more: the line was taken back.
    Nobody,
}

/// One fan's demand, at the start of a group of `video/auto`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// Measured throughput of the fan's connection in kbit/s; 0 if unknown.
    pub throughput_kbps: u32,
    /// Media queued for the fan, in milliseconds.
    pub backlog_ms: u32,
    /// The fan's own wish.
    pub hint: Hint,
    /// The rendition that the fan receives now; [`SKIP`] if none.
    pub current: u8,
}

/// A fan's own wish for a rendition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hint {
    /// The best rendition that the connection carries.
    #[default]
    Auto,
    /// No more than this rendition's bit rate.
    AtMost(u8),
    /// No video: the page is hidden, or only listens.
    Nothing,
}

/// Entry of a plan for a fan who gets nothing of this group.
pub const SKIP: u8 = 255;

/// Role of a worker, fixed when it is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seat {
    /// The root, at the origin: the room's truth.
    Root,
    /// A leaf, on an edge.
    Leaf {
        /// Identity of the edge, the same over its restarts.
        edge: EdgeId,
        /// The edge's incarnation: higher each time the edge starts with no state.
        incarnation: u64,
    },
}
