//! The limits that every reader and writer of these messages applies.

/// Bytes of a packet from a fan, at most.
pub const FAN_PACKET: usize = 16 * 1024;
/// Bytes of a delta, and of a packet down to an edge, at most. An edge splits a larger delta.
pub const DELTA: usize = 256 * 1024;
/// Bytes of an object of a track, at most.
pub const OBJECT: usize = 64 * 1024;
/// Bytes of a frame, at most: as many as the largest packet.
pub const FRAME: usize = 1024 * 1024;

/// The highest message number: the largest integer that JavaScript represents exactly.
pub const NUMBER: u64 = (1 << 53) - 1;
/// Messages of a fan that are sent and not acked, at most. A client pauses at this many; a room remembers its
/// answers to this many, so that it can repeat each one unchanged.
pub const UNACKED: u64 = 64;
/// Seconds for which a client resends an unacked message before it reports it as unknown. A room remembers a
/// fan's marks for longer.
pub const RESEND_SECONDS: u64 = 10 * 60;

/// Bytes of a text (chat, a question, a title), at most.
pub const TEXT: usize = 2000;
/// Bytes of one user-perceived character, at most. A family with skin tones takes 41.
pub const GRAPHEME: usize = 64;
/// Bytes of a name, at most.
pub const NAME: usize = 128;
/// Characters of a name, as users perceive them, at most.
pub const NAME_GRAPHEMES: usize = 32;

/// Kinds of cheer: indices into a list that the pages have.
pub const CHEER_KINDS: usize = 16;
/// Cheers in one message, at most.
pub const CHEERS: u16 = 100;
/// Gifts in one message, at most.
pub const GIFTS: u16 = 1000;

/// Fans mentioned in one chat line, at most.
pub const MENTIONS: usize = 8;
/// Lanes for danmaku, counted from the top of the picture.
pub const LANES: u8 = 12;
/// Colours for danmaku: indices into a palette that the pages have.
pub const COLOURS: u8 = 16;

/// Options of one poll, at most.
pub const POLL_OPTIONS: usize = 10;
/// Gifts in one catalogue, at most.
pub const CATALOGUE: usize = 64;
/// Blocked words and patterns of one room, at most.
pub const PATTERNS: usize = 500;
/// Bytes of one blocked word or pattern, at most.
pub const PATTERN: usize = 64;

/// Items of any list, at most: enough for the longest above and for the latency buckets.
pub const LIST: usize = 1024;
