//! The origin: creators publish into it, rooms live in it, edges read from it.
//!
//! It is a platform of the [`relay`], as an edge is, that owns rooms: [`Origin::bind`] takes a [`Config`],
//! [`Origin::run`] serves until its shutdown future resolves. It serves Media over QUIC Transport draft 18 over raw
//! QUIC and WebTransport on one UDP port; HTTP (health, metrics, rooms), and WebSockets for edges, on TCP.
//!
//! A **room** is named by a track namespace: its fields joined with `/`. A token's `room` claim authorises publishing
//! in exactly that namespace and below it.
#![forbid(unsafe_code)]

mod admission;

mod config;
pub use config::{
    Config, DEFAULT_DRAIN, DEFAULT_GRACE, DEFAULT_LINGER, DEFAULT_LISTEN, DEFAULT_MAX_SESSIONS,
    DEFAULT_TOTAL_BUDGET, DEFAULT_TRACK_BUDGET, Limits, RoomsConfig,
};

mod error;
pub use error::Error;

mod front;

mod http;

mod journal;

pub mod keep;

mod listen;

mod metrics;

mod origin;
pub use origin::{Handle, Origin};

mod ownership;
pub use ownership::{MAX_ROOMS, State};

mod rooms;
pub use rooms::{EDGE_IMPLEMENTATION, MAX_TRACKS};

mod roots;

mod serve;

mod view;
pub use view::{RoomView, TrackView};

mod websocket;

pub use room_runtime::RoomPatterns;
pub use token;
