//! The origin: creators publish into it, rooms live in it, edges read from it.
//!
//! [`Origin::bind`] takes a [`Config`], [`Origin::run`] serves until its shutdown
//! future resolves. Media over QUIC Transport draft 18 is spoken over raw QUIC and
//! WebTransport on one UDP port; HTTP (health, metrics, rooms) on TCP.
//!
//! A **room** is named by a track namespace: its fields joined with `/`. A token's
//! `room` claim authorises publishing in exactly that namespace and below it.

#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub)]

mod config;
mod discover;
mod endpoint;
mod error;
mod feed;
mod fetch;
mod http;
pub mod keep;
mod metrics;
mod origin;
mod publish;
mod registry;
mod room;
mod root;
mod session;
mod store;
mod subscribe;

pub use config::{
    Config, DEFAULT_DRAIN, DEFAULT_GRACE, DEFAULT_LINGER, DEFAULT_LISTEN, DEFAULT_MAX_SESSIONS,
};
pub use error::Error;
pub use origin::{Handle, Origin};
pub use registry::{MAX_TRACKS, RoomView, TrackView};
pub use room::{MAX_ROOMS, State};
pub use root::{ROOT_LINGER, RoomsConfig, TICK};
pub use session::EDGE_IMPLEMENTATION;
pub use store::{DEFAULT_TOTAL_BUDGET, DEFAULT_TRACK_BUDGET, Limits, MAX_GROUP_BYTES};
pub use token;
