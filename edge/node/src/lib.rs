//! MoQ sessions on real QUIC.
//!
//! [`Endpoint`] listens and connects, over raw QUIC and WebTransport; [`drive`]
//! runs one [`moqt::Session`] on one connection, in one task, without a lock:
//! it feeds the session what the transport does, does what the session says, and
//! hands its events to an [`App`].
#![forbid(unsafe_code)]

mod clock;
pub use clock::Clock;

mod drive;
pub use drive::{App, Cx, Ended, drive};

mod endpoint;
pub use endpoint::{Connection, Endpoint, Error, MAX_STREAMS};

mod edge;
pub use edge::{Config as EdgeConfig, Edge, Pages};

pub mod packets;

pub mod relay;
pub use relay::Relay;

mod room;
pub use room::{MAX_ROOMS, ROOM_LINGER, RoomsConfig, TICK as ROOM_TICK};

mod socket;

mod stream;

mod transport;
pub use transport::Transport;

mod trust;
pub use trust::{Fingerprint, Trust};
