//! A creator's side of Media over QUIC.
//!
//! A [`Source`] makes samples: out of files, a pipe or the test card. A
//! [`Broadcast`] puts them into groups, keeps the newest and describes them in a
//! catalog. An [`Outlet`] serves a broadcast to one session, and [`publish`] does
//! all of it over real connections, one after the other for as long as it takes.
//!
//! The broadcast and the outlet do no I/O and read no clock.
#![forbid(unsafe_code)]

mod broadcast;
pub use broadcast::{
    Broadcast, Config, Counts, Group, KEPT_GROUPS, MAX_GROUP_BYTES, MAX_GROUP_DELAY, Object, Track,
};

mod describe;

mod measure;

mod outlet;
pub use outlet::{Link, MAX_BACKLOG, Outlet, Refusal};

mod publish;
pub use publish::{Error, Publish, Report, State, publish};

mod source;
pub use source::{Input, Repeat, Source, SourceError};
