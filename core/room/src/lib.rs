//! The logic of a room: chat, danmaku, cheers, gifts, polls, questions, moderation,
//! counting and the plan of who gets which rendition.
//!
//! A room has two kinds of seat. The **root**, at the origin, is the room's one truth. A
//! **leaf**, on each edge, has the fans: it checks what they send, collects it, and hands it
//! up in numbered deltas. [`Room`] is either.
//!
//! Nothing here reads a clock, a socket or a random number, and no float is kept: the same
//! inputs give the same effects and the same snapshots, bit for bit, natively and in Wasm.
//!
//! # Acked means counted, once
//!
//! A fan's client numbers its messages 1, 2, 3… in a stream of its own. The root keeps, for
//! each fan and stream, the **mark**: the highest number that is settled. It applies the message after
//! the mark, answers those up to the mark as it did before, and asks for what is missing
//! before a later one. So it does not matter how often a message comes, nor
//! through which edges. The host keeps what the root was handed before it lets any of its
//! answers out; a root that is restored from a snapshot and what was handed to it since is the same
//! root.
#![forbid(unsafe_code)]

mod bucket;
pub use bucket::Rate;

mod config;
pub use config::{Config, Limits};

mod content;

mod error;
pub use error::Error;

mod effects;

mod leaf;

mod plan;
pub use plan::plan;

pub mod rehearsal;

mod roll;

mod room;
pub use room::Room;

mod root;

pub mod tally;
