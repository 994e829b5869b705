//! The creator's side of Media over QUIC.
//!
//! A [`Source`] makes samples: out of files, a pipe or the test card. A [`Broadcast`] puts them into groups, keeps the
//! newest and describes them in a catalog. A [`Publisher`] serves a broadcast to one session, and [`publish`] does all
//! of it over real connections, one after the other for as long as it takes.
//!
//! The broadcast and the publisher do no I/O and read no clock.
#![forbid(unsafe_code)]

mod broadcast;
pub use broadcast::{
    Broadcast, Config, Counts, Group, KEPT_GROUPS, MAX_GROUP_BYTES, MAX_GROUP_DELAY, Object, Track,
};

mod describe;

mod bitrate;

mod publisher;
pub use publisher::{MAX_BACKLOG, Publisher, Refusal, SessionContext};

mod publish;
pub use publish::{Error, Publish, Report, State, publish};

mod source;
pub use source::{Input, Repeat, Source, SourceError};
