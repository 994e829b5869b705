//! Node ↔ worker: the batches that `handle` takes and gives. The contract is `wit/`.

use serde::{Deserialize, Serialize};

use crate::{
    ChatId, EdgeId, FanId, GiftId, Micros, Moderation, PollId, QuestionId, Role, SessionId, Track, Visit,
};

/// What a node hands its worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input<'a> {
    /// Both seats, every 50 ms or less: what was collected goes out.
    Tick,
    /// Leaf: a fan has connected. The node has checked who they are.
    FanJoined {
        /// The lowest index that is free.
        session: SessionId,
        /// Who.
        #[serde(borrow)]
        fan: Identity<'a>,
    },
    /// Leaf: a packet of [`FanMessage`](crate::FanMessage)s, as it came.
    FanPacket {
        /// Whose.
        session: SessionId,
        /// The packet.
        #[serde(with = "crate::bytes", borrow)]
        packet: &'a [u8],
    },
    /// Leaf: a fan is gone. Their index is free once this was handled.
    FanLeft {
        /// Who.
        session: SessionId,
    },
    /// Leaf: the origin can be reached (again).
    RootConnected,
    /// Leaf: a packet of [`Down`](crate::Down)s, in order.
    FromRoot {
        /// The packet.
        #[serde(with = "crate::bytes", borrow)]
        packet: &'a [u8],
    },
    /// Root: the three tracks have no group yet, and no edge is connected: the first input, and the first
    /// after a restart of the node.
    Opened,
    /// Root: an edge has connected.
    EdgeJoined {
        /// Which.
        edge: EdgeId,
        /// Its life.
        incarnation: u64,
    },
    /// Root: a delta, a packet of [`Up`](crate::Up)s.
    Delta {
        /// Which edge's connection it came by.
        edge: EdgeId,
        /// The packet.
        #[serde(with = "crate::bytes", borrow)]
        packet: &'a [u8],
    },
    /// Root: an edge's connection is lost, and its fans with it unless it comes back.
    EdgeLeft {
        /// Which.
        edge: EdgeId,
    },
    /// Root: the room's owner does something, by the node's own API.
    Owner {
        /// What.
        #[serde(borrow)]
        act: Moderation<'a>,
    },
    /// Root: erase what is kept of a person.
    Forget {
        /// Who.
        fan: FanId,
    },
}

/// Who a fan is, as the node has checked it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity<'a> {
    /// Who.
    pub id: FanId,
    /// What they are called; may be empty.
    pub name: &'a str,
    /// What they may do.
    pub role: Role,
    /// The token is one that the node gave to a stranger.
    pub anonymous: bool,
    /// The token says that they follow the creator.
    pub follower: bool,
}

/// What a worker has its node do, in order.
///
/// At the root nothing may be done before the batch of inputs that it came from is kept: what is
/// acked must outlive the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect<'a> {
    /// Leaf: a packet of [`EdgeMessage`](crate::EdgeMessage)s for one fan.
    ToFan {
        /// Whom.
        session: SessionId,
        /// The packet.
        #[serde(with = "crate::bytes", borrow)]
        packet: &'a [u8],
    },
    /// Leaf: end a fan's connection. [`Input::FanLeft`] follows, as for any other end.
    CloseFan {
        /// Whose.
        session: SessionId,
        /// Why.
        why: Close,
    },
    /// Leaf: a delta for the origin. To be dropped without a connection: it comes again.
    ToRoot {
        /// The packet, of [`Up`](crate::Up)s.
        #[serde(with = "crate::bytes", borrow)]
        packet: &'a [u8],
    },
    /// Root: a packet of [`Down`](crate::Down)s for an edge. To be dropped without a connection.
    ToEdge {
        /// Which.
        edge: EdgeId,
        /// The packet.
        #[serde(with = "crate::bytes", borrow)]
        packet: &'a [u8],
    },
    /// Root: end an edge's connection; it speaks in no way that can be.
    CloseEdge {
        /// Which.
        edge: EdgeId,
    },
    /// Root: an object of a track, a packet of [`TrackItem`](crate::TrackItem)s.
    Publish {
        /// Which.
        track: Track,
        /// Where in it.
        group: Group,
        /// The object.
        #[serde(with = "crate::bytes", borrow)]
        object: &'a [u8],
    },
    /// Root: something for the archive.
    Archive(Row<'a>),
    /// A line for the node's log.
    Log {
        /// How bad it is.
        level: Level,
        /// What.
        text: &'a str,
    },
}

/// Where an object goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Group {
    /// It is the first of a new group.
    New,
    /// It follows the last one.
    Same,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// Good to know.
    Info,
    /// Not as it should be.
    Warn,
}

/// Why a fan's connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Close {
    /// A packet that cannot be read.
    Malformed,
    /// Messages before a hello, or a second hello.
    OutOfOrder,
    /// More at once than a client may have unacked.
    Flooding,
    /// The edge is full.
    Full,
}

/// What an archive keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Row<'a> {
    /// A line.
    Said {
        /// Its place among the lines.
        id: ChatId,
        /// When.
        at: Micros,
        /// Whose.
        fan: FanId,
        /// Their name.
        name: &'a str,
        /// What it says.
        text: &'a str,
        /// The line it answers.
        reply: Option<ChatId>,
        /// Who sees it.
        seen: Seen,
    },
    /// Who sees a line has changed.
    Seen {
        /// Which.
        id: ChatId,
        /// By whom.
        seen: Seen,
    },
    /// All published lines of a fan are taken back.
    Purged {
        /// Whose.
        fan: FanId,
    },
    /// Gifts.
    Gifted {
        /// Their place among the lines.
        id: ChatId,
        /// When.
        at: Micros,
        /// Whose.
        fan: FanId,
        /// Their name.
        name: &'a str,
        /// Which.
        gift: GiftId,
        /// How many.
        count: u16,
        /// What one was worth.
        value: u32,
        /// The fan's number for it: with the fan, it is unique.
        key: u64,
    },
    /// A poll was opened.
    PollOpened {
        /// Which.
        poll: PollId,
        /// When.
        at: Micros,
        /// What is asked.
        question: &'a str,
    },
    /// One of its options.
    PollOption {
        /// Of which.
        poll: PollId,
        /// Its index.
        option: u8,
        /// What it says.
        text: &'a str,
    },
    /// A vote, in place of the fan's last in this poll.
    Voted {
        /// In which.
        poll: PollId,
        /// Whose.
        fan: FanId,
        /// For what.
        option: u8,
    },
    /// A poll was closed.
    PollClosed {
        /// Which.
        poll: PollId,
        /// When.
        at: Micros,
    },
    /// A question.
    Asked {
        /// Which.
        question: QuestionId,
        /// When.
        at: Micros,
        /// Whose.
        fan: FanId,
        /// Their name.
        name: &'a str,
        /// What.
        text: &'a str,
    },
    /// A question is answered or dismissed.
    QuestionDone {
        /// Which.
        question: QuestionId,
        /// When.
        at: Micros,
        /// Answered, not dismissed.
        answered: bool,
        /// How many had it.
        votes: u32,
    },
    /// A connection has ended: what it says about a fan's activity.
    Visited {
        /// Whose.
        fan: FanId,
        /// When it ended.
        at: Micros,
        /// How long it was.
        visit: Visit,
        /// Messages that were taken.
        interactions: u32,
    },
    /// Somebody moderated.
    Audit {
        /// When.
        at: Micros,
        /// Who; nobody if the owner, by the node's API.
        by: Option<FanId>,
        /// What, in the words of [`Moderation`].
        act: &'a str,
        /// Whom it was done to.
        fan: Option<FanId>,
        /// Which line, poll or question it was about; or for how many seconds.
        number: u64,
    },
    /// All rows of a person are to be erased.
    Forgotten {
        /// Whose.
        fan: FanId,
    },
}

/// Who sees a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seen {
    /// Everyone.
    Everyone,
    /// Moderators, for now.
    Held,
    /// Only its author.
    Author,
    /// Nobody any more.
    Nobody,
}

/// One fan's demand, at the start of a group of `video/auto`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// What the fan's connection was measured to carry; 0 if that is not known.
    pub throughput_kbps: u32,
    /// How much of the stage is waiting to be sent to them.
    pub backlog_ms: u32,
    /// What they ask for.
    pub hint: Hint,
    /// The rendition they get; [`SKIP`] if none.
    pub current: u8,
}

/// What a fan asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hint {
    /// What is best.
    #[default]
    Auto,
    /// No more than this rendition's bit rate.
    AtMost(u8),
    /// Nothing: the page is hidden, or only listens.
    Nothing,
}

/// In a plan: this fan gets nothing of this group.
pub const SKIP: u8 = 255;

/// The worker's place, once and for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seat {
    /// At the origin.
    Root,
    /// On an edge.
    Leaf {
        /// Which.
        edge: EdgeId,
        /// Its life: higher each time it starts from nothing.
        incarnation: u64,
    },
}
