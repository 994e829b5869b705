//! The logic of a room: chat, danmaku, cheers, gifts, polls, questions, moderation,
//! counting, and the plan that assigns renditions to fans.
//!
//! A room has two kinds of seat. The **root**, at the origin, is the room's one truth. A
//! **leaf**, on each edge, serves the fans: it checks their messages, collects them, and sends
//! them up in numbered deltas. [`Room`] is either.
//!
//! Nothing here reads a clock, a socket or a random number, and no float is stored: the same
//! inputs give the same effects and the same snapshots, bit for bit, natively and in Wasm.
//!
//! # Acked means counted, once
//!
//! A fan's client numbers its messages 1, 2, 3… in a stream of its own. The root keeps, for
//! each fan and stream, the **mark**: the highest number that is settled. It applies the message after
//! the mark, repeats its answers to those up to the mark, and requests a missing message
//! before it takes a later one. So a message counts once, however often it arrives and
//! through whichever edges. The host stores the root's inputs before it sends any of the
//! root's answers; a root that is restored from a snapshot and the inputs stored since is
//! the same root.
#![forbid(unsafe_code)]

mod bucket;
pub use bucket::Rate;

mod config;
pub use config::{Config, Limits};

mod content;

pub mod crowd;

mod error;
pub use error::Error;

mod effects;

mod leaf;

mod plan;
pub use plan::plan;

pub mod rehearsal;

mod splitmix;

mod room;
pub use room::Room;

mod root;

pub mod tally;
