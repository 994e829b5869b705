//! MoQ sessions on real QUIC.
//!
//! [`Endpoint`] listens and connects, over raw QUIC and WebTransport; [`drive`]
//! runs one [`moqt::Session`] on one connection, in one task, without a lock:
//! it feeds the session what the transport does, does what the session says, and
//! hands its events to an [`App`].
#![forbid(unsafe_code)]

mod clock;
pub use clock::Clock;

mod door;
pub use door::Door;

mod drive;
pub use drive::drive;
pub use relay::{App, Cx, Ended, packets};

mod endpoint;
pub use endpoint::{Connection, Endpoint, Error, MAX_STREAMS};

mod edge;
pub use edge::{Config as EdgeConfig, Edge, Pages, RoomsConfig};

mod headers;

mod platform;

mod socket;

mod stream;

mod transport;
pub use transport::Transport;

mod trust;
pub use trust::{Fingerprint, Trust};
