//! MoQ sessions on real networks: QUIC, WebTransport and WebSocket.
//!
//! [`Endpoint`] listens and connects, over raw QUIC and WebTransport on one UDP port; [`drive`] runs one
//! [`moqt::Session`] on one connection, in one task, without a lock: it feeds the session what the transport
//! received, carries out the session's outputs, and hands its events to a [`moqt::App`]. [`websocket`] does the
//! same on a WebSocket. A server presents a [`Certificate`]; a client accepts servers by its [`Trust`].
#![forbid(unsafe_code)]

mod certificate;
pub use certificate::{
    BACKDATE, Certificate, CertificateError, CertificateSource, RENEW_BEFORE, VALIDITY, provider,
};

mod clock;
pub use clock::Clock;

mod drive;
pub use drive::drive;

mod endpoint;
pub use endpoint::{Connection, Endpoint, Error, MAX_STREAMS};

mod incoming;
pub use incoming::Incoming;

mod stream;

mod transport;
pub use transport::Transport;

mod trust;
pub use trust::{Fingerprint, Trust};

pub mod websocket;
