//! Errors of an edge node.

use std::{io, net::SocketAddr};

/// A failure of an edge node to start or to go on, in one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The TCP address cannot be bound.
    #[error("cannot listen on TCP {addr}: {source}; choose another address")]
    Listen {
        /// The address that was to be bound.
        addr: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The UDP socket or the TLS configuration cannot be used.
    #[error(transparent)]
    Quic(#[from] quic::Error),
}
