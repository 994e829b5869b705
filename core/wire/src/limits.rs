//! What is too much, for every reader and writer of these messages.

/// Bytes of a packet from a fan.
pub const FAN_PACKET: usize = 16 * 1024;
/// Bytes of a delta, and of what goes down to an edge. An edge splits what is more.
pub const DELTA: usize = 256 * 1024;
/// Bytes of an object of a track.
pub const OBJECT: usize = 64 * 1024;
/// Bytes that a frame may have: that of the largest packet.
pub const FRAME: usize = 1024 * 1024;

/// The highest number that a message can have: what JavaScript still counts by one.
pub const NUMBER: u64 = (1 << 53) - 1;
/// A fan's messages that are sent and not acked. A client waits at this many; and a room remembers
/// what it answered to this many, so that each can be answered again in the same way.
pub const UNACKED: u64 = 64;
/// For how long a client resends what is not acked, in seconds, before it reports it as
/// unknown. A room remembers a fan's marks for longer.
pub const RESEND_SECONDS: u64 = 10 * 60;

/// Bytes of a text: chat, a question, a title.
pub const TEXT: usize = 2000;
/// Bytes of one user-perceived character. A family with skin tones is 41.
pub const GRAPHEME: usize = 64;
/// Bytes of a name.
pub const NAME: usize = 128;
/// Characters of a name, as users perceive them.
pub const NAME_GRAPHEMES: usize = 32;

/// Kinds of cheer: indices into a list that the pages have.
pub const CHEER_KINDS: usize = 16;
/// Cheers in one message.
pub const CHEERS: u16 = 100;
/// Gifts in one message.
pub const GIFTS: u16 = 1000;

/// Fans mentioned in one say.
pub const MENTIONS: usize = 8;
/// Lanes for danmaku.
pub const LANES: u8 = 12;
/// Colours for danmaku: indices into a palette that the pages have.
pub const COLOURS: u8 = 16;

/// Options of a poll.
pub const POLL_OPTIONS: usize = 10;
/// Gifts in a catalogue.
pub const CATALOGUE: usize = 64;
/// Blocked words and patterns.
pub const PATTERNS: usize = 500;
/// Bytes of a blocked word or pattern.
pub const PATTERN: usize = 64;

/// The most that any list has: that of the longest above, or of buckets of latency.
pub const LIST: usize = 1024;
